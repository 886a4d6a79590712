r"""Images in HDF5: ``image`` [B, \*shape] in chunks, ``y`` [B, C], ``label`` [B], grid and schema.

Attributes of the file as in :mod:`pcgen.io.hdf5`, with ``format = "pcgen-images"`` and the grid
under ``attrs``. HDF5 files of others are read too if they have a data set ``image`` or ``images``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import torch

from pcgen.errors import DataError, FileError
from pcgen.grids import Grid
from pcgen.io.atomic import atomic
from pcgen.io.hdf5 import Hdf5Output, header, opened, read_header, reading
from pcgen.io.image_source import Images, ImageSink, ImageSource, fitting, floats
from pcgen.schema import Schema

FORMAT = "pcgen-images"
VERSION = 1


class ImageFile(ImageSource):
    """Images in an HDF5 file.

    Raises:
        FileError: the file is missing, truncated, foreign, of another version, or has no images.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(path) as self._file:
            self._open()

    def _open(self) -> None:
        name = next((name for name in ("image", "images") if name in self._file), None)
        if name is None or not isinstance(self._file[name], h5py.Dataset):
            raise FileError(
                f"{self.path}: got the data sets {', '.join(self._file) or 'none'}, "
                f"expected image among them"
            )
        self._image = self._file[name]
        if self._image.ndim < 2:
            raise FileError(
                f"{self.path}: /{name} has shape {self._image.shape}, expected images [B, ...]"
            )
        self.shape = self._image.shape[1:]
        for other, rank in (("y", 2), ("label", 1)):
            shape = self._file[other].shape if other in self._file else None
            if shape is not None and (len(shape) != rank or shape[0] != len(self)):
                raise FileError(
                    f"{self.path}: /{other} has shape {shape}, "
                    f"expected rank {rank} with {len(self)} rows"
                )
        if "format" not in self._file.attrs:
            return
        self.schema, attrs = read_header(self._file, self.path, FORMAT, VERSION)
        try:
            grid = Grid.from_dict(attrs.get("grid", {}))
        except DataError as error:
            raise FileError(f"{self.path}: {error}") from error
        self.grid = fitting(grid, self.path, self.shape)

    def __len__(self) -> int:
        return int(self._image.shape[0])

    def close(self) -> None:
        self._file.close()

    def _read(self, start: int, stop: int) -> Images:
        with reading(self.path):
            image = self._image[start:stop]
            y = self._file["y"][start:stop] if "y" in self._file else None
            label = self._file["label"][start:stop] if "label" in self._file else None
        return Images(
            floats(image, self.path),
            None if y is None else floats(y, self.path),
            None if label is None else torch.from_numpy(label.astype(np.int64)),
        )


class ImageWriter(ImageSink):
    """Writes images to an HDF5 file.

    Args:
        path: File.
        grid: The cells.
        schema: Of the clouds that the images stand for.
    """

    def __init__(self, path: str | Path, grid: Grid, schema: Schema) -> None:
        self.path, self._grid, self._schema = Path(path), grid, schema

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with atomic(self.path) as temporary, Hdf5Output(temporary) as self._file:
            attrs = {"grid": self._grid.to_dict()}
            self._file.describe(header(FORMAT, VERSION, self._schema, attrs))
            yield
            if self.written == 0:
                self._append(Images(torch.zeros(0, *self._grid.shape)))

    def _append(self, block: Images) -> int:
        for name, value in block._asdict().items():
            if value is not None:
                self._file.extend(name, value.detach().cpu().numpy())
        return len(block.image)
