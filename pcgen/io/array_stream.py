"""One array in NumPy's .npy format, read and written block after block.

Layout: a magic string and version, a header with type, order and shape, the values. NumPy
Enhancement Proposal 1. Arrays of Python objects are refused: reading them would run code.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO

import numpy as np

from pcgen.bounds import BYTES
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.columns import UNREADABLE
from pcgen.io.image_source import Array
from pcgen.io.npy_header import read_header


class ArrayReader:
    """Rows of an array [B, ...] from an open .npy file.

    Args:
        file: Open at its beginning, seekable.
        size: Number of bytes that it has.
        path: For messages.

    Raises:
        FileError: it is not in .npy format, is truncated, or holds Python objects.
    """

    def __init__(self, file: IO[bytes], size: int, path: Path) -> None:
        self._file, self._path = file, path
        try:
            header = read_header(file)
        except (ValueError, *UNREADABLE) as error:
            raise FileError(
                f"{path}: no NumPy array of version 1 to 3 can be read ({error})"
            ) from error
        self.shape, self.dtype = header.shape, header.dtype
        if self.dtype.names:
            columns = ", ".join(self.dtype.names)[:200]
            raise FileError(f"{path}: got a table of {columns}, expected an array of numbers")
        if self.dtype.kind not in "biuf":
            raise DataError(f"{path}: got an array of {self.dtype}, expected real numbers")
        self._start = file.tell()
        needed = self._start + header.size
        if needed > size:
            raise FileError(
                f"{path}: truncated, {size} bytes are left of the {needed} of an array "
                f"{self.shape} of {self.dtype}"
            )
        # Columns first cannot be read by rows: such an array is read at once, here.
        self._all = None
        if header.fortran and len(self.shape) > 1:
            BYTES.check(header.size, f"{path}: an array with its columns first")
            self._all = self._take(math.prod(self.shape)).reshape(self.shape[::-1]).T

    def rows(self, start: int, stop: int) -> Array:
        """Rows ``start`` to ``stop``.

        Raises:
            FileError: the file is damaged.
        """
        if self._all is not None:
            return self._all[start:stop]
        row = math.prod(self.shape[1:])
        place = self._start + start * row * self.dtype.itemsize
        if place != self._file.tell():
            self._file.seek(place)
        return self._take((stop - start) * row).reshape(stop - start, *self.shape[1:])

    def _take(self, number: int) -> Array:
        size = number * self.dtype.itemsize
        try:
            data = self._file.read(size)
        except UNREADABLE as error:
            raise FileError(f"{self._path}: damaged, cannot be read ({error})") from error
        if len(data) != size:
            raise FileError(f"{self._path}: truncated, got {len(data)} of {size} bytes")
        return np.frombuffer(bytearray(data), self.dtype)


class ArrayWriter:
    """Writes an array [B, ...] whose number of rows is known beforehand.

    Args:
        file: Open for writing.
        rows: Number of rows B that will come.
        shape: Of one row.
        path: For messages.
    """

    def __init__(self, file: IO[bytes], rows: int, shape: tuple[int, ...], path: Path) -> None:
        self._file, self._rows, self._shape, self._path = file, rows, shape, path
        self._dtype: np.dtype[np.generic] | None = None
        self.written = 0

    def append(self, value: Array) -> None:
        """Write rows [b, ...]; those that come first decide the type."""
        if self._dtype is None:
            self._begin(value.dtype)
        if value.shape[1:] != self._shape or value.dtype != self._dtype:
            raise ArgumentError(
                f"{self._path}: got rows {value.shape} of {value.dtype}, "
                f"expected [b, {self._shape}] of {self._dtype}"
            )
        self._file.write(np.ascontiguousarray(value).tobytes())
        self.written += len(value)

    def finish(self) -> None:
        """Say that all rows were written.

        Raises:
            ArgumentError: they were not as many as announced.
        """
        if self._dtype is None:
            self._begin(np.dtype(np.float32))
        if self.written != self._rows:
            raise ArgumentError(
                f"{self._path}: got {self.written} events, expected the {self._rows} announced"
            )

    def _begin(self, dtype: np.dtype[np.generic]) -> None:
        self._dtype = dtype
        descr = np.lib.format.dtype_to_descr(dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self._rows, *self._shape)}
        np.lib.format.write_array_header_2_0(self._file, header)


def size_of(file: IO[bytes]) -> int:
    """Number of bytes of an open file on disk."""
    return os.fstat(file.fileno()).st_size
