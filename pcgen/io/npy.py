r"""NumPy's own files of images: .npy (the numbers alone) and .npz (with grid, schema, conditions).

An .npy file is an array [B, \*shape]; an .npz file is a zip of such: ``image``, ``y``, ``label``
and the arrays that describe the grid (:func:`pcgen.io.image_source.described`). Blocks are read
from and written to their place directly, so that neither needs to fit into memory.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pcgen.errors import FileError, PcgenError
from pcgen.grids import Grid
from pcgen.io.atomic import atomic
from pcgen.io.columns import UNOPENABLE, archive_member, read_array
from pcgen.io.image_source import (
    Images,
    ImageSink,
    ImageSource,
    check_shape,
    chosen_name,
    described,
    describes,
    floats,
    understood,
)
from pcgen.io.npy_array import ArrayReader, ArrayWriter, size_of
from pcgen.io.source import Array, existing_file
from pcgen.schema import Schema


class NpyFile(ImageSource):
    """Images in an .npy file; it holds nothing about the grid.

    Raises:
        FileError: the file is missing, truncated or holds no array [B, ...].
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = existing_file(path).open("rb")
        try:
            self._array = ArrayReader(self._file, size_of(self._file), self.path)
            self.shape = check_shape(self._array.shape, f"{self.path}: got an array of shape")
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        return self._array.shape[0]

    def _read(self, start: int, stop: int) -> Images:
        return Images(floats(self._array.rows(start, stop), self.path))


class NpzFile(ImageSource):
    """Images in an .npz file: the array ``image`` (or ``images``, or the only one there is).

    Conditions ``y`` [B] or [B, C] and classes ``label`` (or ``labels``) [B], whole numbers or
    names, go with them; the grid is that of ``axes`` and ``edges_<axis>``. Other arrays are not
    opened: ``passed_over`` names them.

    Raises:
        FileError: the file is missing, truncated, or has no such array.
        DataError: a condition or a class cannot be used; names the event.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._stack = ExitStack()
        try:
            self._open()
        except UNOPENABLE as error:
            self._stack.close()
            if isinstance(error, PcgenError):
                raise
            raise FileError(f"{path}: truncated or not an .npz file ({error})") from error
        except BaseException:
            self._stack.close()
            raise

    def _open(self) -> None:
        self._zip = self._stack.enter_context(zipfile.ZipFile(existing_file(self.path)))
        members = self._zip.namelist()
        names = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
        image = names[0] if len(names) == 1 else chosen_name("image", names)
        if image is None:
            raise FileError(
                f"{self.path}: got the arrays {', '.join(names) or 'none'}, "
                "expected image among them; or columns of points, which pcgen convert reads with "
                "--pos or --preset"
            )
        self._array = self._member(image)
        self.shape = check_shape(self._array.shape, f"{self.path}: {image} is an array of shape")
        # Only what is read is opened: what else there is may be large, or made of Python objects.
        cells = {n: self._small(n) for n in names if "axes" in names and describes(n)}
        self.grid, self.schema, self.attrs = understood(cells, self.path, self.shape)
        rows = {"y": "y" if "y" in names else None, "label": chosen_name("label", names)}
        self._beside({name: self._small(found) for name, found in rows.items() if found})
        used = {f"{name}.npy" for name in (image, *rows.values(), *cells)}
        self.passed_over = tuple(n.removesuffix(".npy") for n in members if n not in used)

    def _small(self, name: str) -> Array:
        with self._zip.open(archive_member(self._zip, name, self.path)) as file:
            return read_array(file, f"{self.path}: array {name}")

    def _member(self, name: str) -> ArrayReader:
        info = archive_member(self._zip, name, self.path)
        file = self._stack.enter_context(self._zip.open(info))
        return ArrayReader(file, info.file_size, self.path)

    def __len__(self) -> int:
        return self._array.shape[0]

    def close(self) -> None:
        self._stack.close()

    def _read(self, start: int, stop: int) -> Images:
        return self._block(self._array.rows(start, stop), start, stop)


class NpyWriter(ImageSink):
    """Writes images to an .npy file, which keeps the numbers alone.

    Args:
        path: File.
        number: How many events will come; the header states it before the first.
        shape: Of one image.
    """

    def __init__(self, path: str | Path, number: int, shape: tuple[int, ...]) -> None:
        self.path, self._number, self._shape = Path(path), number, shape

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with atomic(self.path) as temporary, temporary.open("wb") as file:
            self._array = ArrayWriter(file, self._number, self._shape, self.path)
            yield
            self._array.finish()

    def _append(self, block: Images) -> int:
        self._array.append(block.image.detach().cpu().numpy())
        return len(block.image)


class NpzWriter(ImageSink):
    """Writes images to an .npz file with their grid, schema, conditions and classes.

    Args:
        path: File.
        number: How many events will come; the header states it before the first.
        grid: The cells.
        schema: Of the clouds that the images stand for.
        attrs: Further facts to store, anything that JSON can say.
    """

    def __init__(
        self,
        path: str | Path,
        number: int,
        grid: Grid,
        schema: Schema,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        self.path, self._number = Path(path), number
        self._described = described(grid, schema, attrs or {})
        self._shape = grid.shape
        self._rows: dict[str, list[Array]] = {"y": [], "label": []}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with (
            atomic(self.path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            with archive.open("image.npy", "w", force_zip64=True) as file:
                self._array = ArrayWriter(file, self._number, self._shape, self.path)
                yield
                self._array.finish()
            rows = {name: np.concatenate(each) for name, each in self._rows.items() if each}
            for name, value in {**self._described, **rows}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, value, allow_pickle=False)

    def _append(self, block: Images) -> int:
        self._array.append(block.image.detach().cpu().numpy())
        for name, rows in self._rows.items():
            value = getattr(block, name)
            if value is not None:
                rows.append(value.detach().cpu().numpy())
        return len(block.image)
