"""Data sets of HDF5 whose rows have lengths of their own (variable-length types), read in blocks.

Such a data set [N] holds a reference for each row: its length as 4 bytes, and where in the file its
values lie. h5py gives the lengths only with the values. They are read here from the references
themselves, before any value: a file may let many references stand for the same values, and would
unpack to a multiple of its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from pcgen.errors import FileError
from pcgen.io.hdf5_door import REFERENCE, data_set, reading
from pcgen.io.source import Array

_STEP = 1024
"""Rows of one read: HDF5 looks each row up, and a row at a time costs several times as much."""


class Ragged(NamedTuple):
    """Rows of numbers in an HDF5 file.

    Attributes:
        data: The data set [N].
        lengths: Numbers in each row [N], int64.
        path: Of the file.
    """

    data: h5py.Dataset
    lengths: Array
    path: Path

    def read(self, start: int, stop: int) -> Array:
        """The numbers of rows ``start`` to ``stop`` (exclusive), one row behind the other.

        Raises:
            FileError: the file is damaged.
        """
        parts = [np.zeros(0, h5py.check_vlen_dtype(self.data.dtype))]
        with reading(self.path):
            for first in range(start, stop, _STEP):
                last = min(first + _STEP, stop)
                rows = self.data[first:last]
                found = np.array([len(row) for row in rows], dtype=np.int64)
                if not np.array_equal(found, self.lengths[first:last]):
                    raise FileError(f"{self.path}: {self.data.name} has rows of other lengths")
                parts += list(rows)
        return np.concatenate(parts)


def ragged_set(file: h5py.File, name: str, path: Path) -> Ragged | None:
    """The data set of this name, of rows of real numbers; None where there is none.

    Raises:
        FileError: it holds something else, is packed by a filter, is damaged, or its rows are more
            than its file.
    """
    data = data_set(file, name, path, ragged=True)
    if data is None:
        return None
    where = f"{path}: /{name}"
    if data.ndim != 1:
        raise FileError(f"{where} has shape {data.shape}, expected one row for each event")
    with reading(path):
        if data.id.get_create_plist().get_nfilters():
            raise FileError(
                f"{where}: its references are packed by a filter, expected plain ones; h5repack -f "
                "NONE unpacks them"
            )
        if file.id.get_create_plist().get_sizes() != (8, 8):
            raise FileError(f"{where}: got addresses of other lengths, expected 8 bytes")
        lengths = np.zeros(data.shape, dtype=np.int64)
        with path.open("rb") as stored:
            for first, rows, place in _places(data):
                stored.seek(place)
                block = stored.read(rows * REFERENCE)
                if len(block) < rows * REFERENCE:
                    raise FileError(f"{where}: damaged, its references lie beyond the file")
                heads = np.frombuffer(block, "<u4").reshape(rows, REFERENCE // 4)[:, 0]
                part = lengths[first : first + rows]
                part[:] = heads[: len(part)]
    size = h5py.check_vlen_dtype(data.dtype).itemsize
    if int(lengths.sum()) * size > path.stat().st_size:
        raise FileError(
            f"{where}: its rows hold {int(lengths.sum())} numbers, more than the file of "
            f"{path.stat().st_size} bytes"
        )
    return Ragged(data, lengths, path)


def _places(data: h5py.Dataset) -> Iterator[tuple[int, int, int]]:
    """First row, number of rows and place in the file of each stored piece of references."""
    if data.chunks is None:
        place = data.id.get_offset()
        if place is not None and len(data):
            yield 0, len(data), place
        return
    for number in range(data.id.get_num_chunks()):
        chunk = data.id.get_chunk_info(number)
        if chunk.byte_offset is not None and chunk.chunk_offset[0] < len(data):
            yield chunk.chunk_offset[0], data.chunks[0], chunk.byte_offset
