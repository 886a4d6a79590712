r"""One array in NumPy's .npy format, read and written block after block.

Layout: the magic string ``\x93NUMPY``, a version, the length of the header, then the header, a
dictionary of three keys (type, order, shape) in Python's notation, then the values. The header is
read without evaluating it: nothing else is understood, so that none costs more than its few bytes,
and arrays of Python objects, which would run code, are refused. NumPy Enhancement Proposal 1.
"""

from __future__ import annotations

import math
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from pcgen.bounds import BYTES, whole_number
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.source import Array

UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error)
"""Raised while a damaged array is read from a file or a zip archive."""

_MOST = 10_000  # bytes of a header; NumPy reads no longer ones either
_LENGTHS = {(1, 0): 2, (2, 0): 4, (3, 0): 4}  # bytes that state its length, by version
_KINDS = re.compile(r"[<>|=]?(?:[biufc](?:1|2|4|8|12|16|24|32)|[SU]\d{1,6}|\?)")
_ENTRY = re.compile(
    r"\s*'(?P<key>descr|fortran_order|shape)'\s*:\s*"
    r"(?P<value>'[^'\\]{1,20}'|True|False|\(\s*(?:\d+L?\s*(?:,\s*|(?=\))))*\)|\[[^\[\]]*\])"
    r"\s*(?:,|(?=\}))"
)
_FIELD = re.compile(r"\s*\(\s*'([^'\\]{1,200})'\s*,\s*('[^'\\]{1,20}')\s*\)\s*(?:,|$)")


class Header(NamedTuple):
    """What the header states about the array behind it.

    Attributes:
        shape: Of the array; no length is beyond 63 bits.
        fortran: Whether the first index runs fastest.
        dtype: Numbers or text of fixed length, or several of them under names, as in a table.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]

    @property
    def size(self) -> int:
        """Number of bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> Header:
    """The header at the beginning of an open file, which is left at the first value.

    Raises:
        ValueError: there is none of version 1 to 3, or it announces something else than an array of
            numbers or text whose lengths fit into 63 bits.
    """
    start = file.read(8)
    if len(start) < 8 or start[:6] != b"\x93NUMPY":
        raise ValueError("it begins otherwise")
    if (start[6], start[7]) not in _LENGTHS:
        raise ValueError(f"the version is {start[6]}.{start[7]}")
    words = file.read(_LENGTHS[start[6], start[7]])
    length = int.from_bytes(words, "little")
    if length > _MOST:
        raise ValueError(f"a header of {length} bytes, expected at most {_MOST}")
    text = file.read(length)
    if len(text) < length:
        raise ValueError(f"a header of {length} bytes, of which {len(text)} are there")
    return _parsed(text.decode("latin-1" if start[6] < 3 else "utf-8").strip())


def _parsed(text: str) -> Header:
    values: dict[str, str] = {}
    place = 1
    while text[:1] == "{" and (match := _ENTRY.match(text, place)):
        if match["key"] in values:
            raise ValueError(f"a header with {match['key']!r} twice")
        values[match["key"]], place = match["value"], match.end()
    if text[place:].strip() != "}" or len(values) != 3:
        raise ValueError(
            f"a header {' '.join(text[:80].split())!r}, expected descr, fortran_order and shape of "
            "an array of numbers or text"
        )
    numbers = [whole_number(word) for word in re.findall(r"\d+", values["shape"])]
    shape = tuple(number for number in numbers if number is not None)
    if len(shape) < len(numbers) or len(shape) > 32:
        raise ValueError(f"a shape {values['shape'][:80]}, expected lengths of 63 bits")
    if values["fortran_order"] not in ("True", "False"):
        raise ValueError(f"fortran_order {values['fortran_order'][:20]}, expected True or False")
    header = Header(shape, values["fortran_order"] == "True", _dtype(values["descr"]))
    if header.size >= 2**63:
        raise ValueError(f"a shape {values['shape'][:80]} of {header.dtype}, beyond 63 bits")
    return header


def _dtype(text: str) -> np.dtype[np.generic]:
    if text[0] == "[":
        return _fields(text[1:-1])
    text = text.strip("'")
    if _KINDS.fullmatch(text):
        try:
            return np.dtype(text)
        except TypeError:
            pass
    raise ValueError(
        f"values of type {text!r}, expected numbers or text, no Python objects (pickle)"
    )


def _fields(text: str) -> np.dtype[np.generic]:
    """Columns of a table: ``('E', '<f8'), ('class', '<U9')``."""
    fields: list[tuple[str, np.dtype[np.generic]]] = []
    place = 0
    while match := _FIELD.match(text, place):
        fields.append((match[1], _dtype(match[2])))
        place = match.end()
    if text[place:].strip() or not fields or len(dict(fields)) < len(fields):
        raise ValueError(
            f"fields {' '.join(text[:80].split())!r}, expected different names of numbers or text"
        )
    return np.dtype(fields)


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
