r"""Images in HDF5: ``image`` [B, \*shape] in chunks, ``y`` [B, C], ``label`` [B], grid and schema.

HDF5 files of others may also call them ``images`` and ``labels``, have a flat ``y`` [B], and
classes as text.

Attributes of the file as in :mod:`pcgen.io.hdf5`, with ``format = "pcgen-images"`` and the grid
under ``attrs``; files of others have none of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pcgen.errors import DataError, FileError
from pcgen.grids import Grid
from pcgen.io.atomic import atomic
from pcgen.io.hdf5 import Hdf5Output, header, opened, read_header, values_of
from pcgen.io.hdf5_door import attribute, contents, data_set, listed, names_of, reading
from pcgen.io.image_source import (
    Images,
    ImageSink,
    ImageSource,
    check_shape,
    chosen_name,
    fitting,
)
from pcgen.schema import Schema

FORMAT = "pcgen-images"
VERSION = 1


class ImageFile(ImageSource):
    """Images in an HDF5 file.

    Raises:
        FileError: the file is missing, truncated, foreign, of another version, or has no images.
        DataError: a condition or a class cannot be used; names the event.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(path) as self._file:
            self._open()

    def _open(self) -> None:
        there = set(names_of(self._file, self.path))
        known = there & {"image", "images", "y", "label", "labels"}
        entries = {name: data_set(self._file, name, self.path) for name in known}
        found = {name: data for name, data in entries.items() if data is not None}
        image, label = chosen_name("image", found), chosen_name("label", found)
        if image is None:
            raise FileError(
                f"{self.path}: got the data sets {listed(self._file, self.path)}, "
                f"expected image among them"
            )
        self._image = found[image]
        self.shape = check_shape(self._image.shape, f"{self.path}: /{image} has shape")
        if attribute(self._file, "format", self.path) is not None:
            self._read_header()
        rows = {"y": "y" if "y" in found else None, "label": label}
        self._beside({name: values_of(found[n], self.path) for name, n in rows.items() if n})
        self.passed_over = contents(self._file, {image, *filter(None, rows.values())}, self.path)

    def _read_header(self) -> None:
        self.schema, attrs = read_header(self._file, self.path, FORMAT, VERSION)
        try:
            grid = Grid.from_dict(attrs.pop("grid", {}))
        except DataError as error:
            raise FileError(f"{self.path}: {error}") from error
        self.grid, self.attrs = fitting(grid, self.path, self.shape), attrs

    def __len__(self) -> int:
        return int(self._image.shape[0])

    def _read(self, start: int, stop: int) -> Images:
        with reading(self.path):
            image = self._image[start:stop]
        return self._block(image, start, stop)


class ImageWriter(ImageSink):
    """Writes images to an HDF5 file.

    Args:
        path: File.
        grid: The cells.
        schema: Of the clouds that the images stand for.
        attrs: Further facts to store, anything that JSON can say.
    """

    def __init__(
        self,
        path: str | Path,
        grid: Grid,
        schema: Schema,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        self.path, self._shape = Path(path), grid.shape
        self._header = header(FORMAT, VERSION, schema, {**(attrs or {}), "grid": grid.to_dict()})

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with atomic(self.path) as temporary, Hdf5Output(temporary) as self._file:
            self._file.describe(self._header)
            yield
            if self.written == 0:
                self._append(Images(torch.zeros(0, *self._shape)))

    def _append(self, block: Images) -> int:
        for name, value in block._asdict().items():
            if value is not None:
                self._file.extend(name, value.detach().cpu().numpy())
        return len(block.image)
