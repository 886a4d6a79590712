r"""NumPy's own files of images: .npy (the numbers alone) and .npz (with grid, schema, conditions).

An .npy file is an array [B, \*shape]; an .npz file is a zip of such: ``image``, ``y``, ``label``
and the arrays that describe the grid (:func:`pcgen.io.image_source.described`). Blocks are read
from and written to their place directly, so that neither needs to fit into memory.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch

from pcgen.errors import FileError
from pcgen.grids import Grid
from pcgen.io.array_stream import ArrayReader, ArrayWriter, size_of
from pcgen.io.atomic import atomic
from pcgen.io.image_source import (
    Array,
    Images,
    ImageSink,
    ImageSource,
    described,
    floats,
    understood,
)
from pcgen.io.source import existing_file
from pcgen.schema import Schema


class NpyFile(ImageSource):
    """Images in an .npy file; it says nothing about the grid.

    Raises:
        FileError: the file is missing, truncated or holds no array [B, ...].
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = existing_file(path).open("rb")
        try:
            self._array = ArrayReader(self._file, size_of(self._file), self.path)
            self.shape = _event_shape(self._array.shape, self.path)
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        return self._array.shape[0]

    def close(self) -> None:
        self._file.close()

    def _read(self, start: int, stop: int) -> Images:
        return Images(floats(self._array.rows(start, stop), self.path))


class NpzFile(ImageSource):
    """Images in an .npz file: the array ``image`` (or ``images``, or the only one there is).

    ``y`` and ``label`` go with them; the grid is that of ``axes`` and ``edges_<axis>``.

    Raises:
        FileError: the file is missing, truncated, or has no such array.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._stack = ExitStack()
        try:
            self._open()
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            NotImplementedError,  # zipfile's, for a way of compression that it does not know
            RuntimeError,  # and for an encrypted file
        ) as error:
            self._stack.close()
            if isinstance(error, FileError):
                raise
            raise FileError(f"{path}: truncated or not an .npz file ({error})") from error
        except BaseException:
            self._stack.close()
            raise

    def _open(self) -> None:
        self._zip = self._stack.enter_context(zipfile.ZipFile(existing_file(self.path)))
        names = [name.removesuffix(".npy") for name in self._zip.namelist()]
        chosen = [name for name in ("image", "images") if name in names] or names
        if chosen is names and len(names) != 1:
            raise FileError(
                f"{self.path}: got the arrays {', '.join(names) or 'none'}, "
                f"expected image among them"
            )
        self._array = self._member(chosen[0])
        self.shape = _event_shape(self._array.shape, self.path)
        others = {name: _small(self._zip, name, self.path) for name in names if name != chosen[0]}
        self.grid, self.schema = understood(others, self.path, self.shape)
        self._rows = {name: others[name] for name in ("y", "label") if name in others}
        for name, value in self._rows.items():
            if value.shape[:1] != self._array.shape[:1] or value.ndim != (2 if name == "y" else 1):
                raise FileError(
                    f"{self.path}: {name} has shape {value.shape}, "
                    f"expected {'[B, C]' if name == 'y' else '[B]'} for {len(self)} images"
                )

    def _member(self, name: str) -> ArrayReader:
        info = self._zip.getinfo(f"{name}.npy")
        file = self._stack.enter_context(self._zip.open(info))
        return ArrayReader(file, info.file_size, self.path)

    def __len__(self) -> int:
        return self._array.shape[0]

    def close(self) -> None:
        self._stack.close()

    def _read(self, start: int, stop: int) -> Images:
        y, label = self._rows.get("y"), self._rows.get("label")
        return Images(
            floats(self._array.rows(start, stop), self.path),
            None if y is None else floats(y[start:stop], self.path),
            None if label is None else torch.from_numpy(label[start:stop].astype(np.int64)),
        )


class NpyWriter(ImageSink):
    """Writes images to an .npy file, which keeps the numbers alone.

    Args:
        path: File.
        number: How many events will come; the header says it before they do.
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
        number: How many events will come; the header says it before they do.
        grid: The cells.
        schema: Of the clouds that the images stand for.
    """

    def __init__(self, path: str | Path, number: int, grid: Grid, schema: Schema) -> None:
        self.path, self._number, self._grid, self._schema = Path(path), number, grid, schema
        self._rows: dict[str, list[Array]] = {"y": [], "label": []}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with (
            atomic(self.path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            with archive.open("image.npy", "w", force_zip64=True) as file:
                self._array = ArrayWriter(file, self._number, self._grid.shape, self.path)
                yield
                self._array.finish()
            small = described(self._grid, self._schema)
            small |= {name: np.concatenate(rows) for name, rows in self._rows.items() if rows}
            for name, value in small.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, value, allow_pickle=False)

    def _append(self, block: Images) -> int:
        self._array.append(block.image.detach().cpu().numpy())
        for name, rows in self._rows.items():
            value = getattr(block, name)
            if value is not None:
                rows.append(value.detach().cpu().numpy())
        return len(block.image)


def _event_shape(shape: tuple[int, ...], path: Path) -> tuple[int, ...]:
    if len(shape) < 2:
        raise FileError(f"{path}: got an array of shape {shape}, expected images [B, ...]")
    return shape[1:]


def _small(archive: zipfile.ZipFile, name: str, path: Path) -> Array:
    """A whole array of an archive; text is welcome, Python objects are not."""
    try:
        with archive.open(f"{name}.npy") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, KeyError) as error:
        raise FileError(f"{path}: array {name} cannot be read ({error})") from error
