"""Columns of NumPy's archives (.npz) and of HDF5: arrays whose first axis is the rows.

==================== ========================== ================================================
array                as columns                 where
==================== ========================== ================================================
[R]                  ``name``                   one number in each row
[R, K]               ``name``, ``name.0`` ...   a list of K numbers; its K columns
[R, P, K]            ``name.0`` ...             for each of K columns, a list of P numbers
[R] of lists (vlen)  ``name``                   HDF5's lists of different lengths
[R] of records       ``name.field``             as PyTables and pandas write
[N] and *offsets*    ``name``                   row r is ``name[offsets[r]:offsets[r + 1]]``
[N, K] and *offsets* ``name.0`` ...             the same, for each column
==================== ========================== ================================================

Where offsets [R + 1] are given, arrays of R rows have one value in each row. Padding is not known
here: a cut on a column removes it.
"""

from __future__ import annotations

import zipfile
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from pcgen.bounds import COLUMNS
from pcgen.errors import ArgumentError, FileError
from pcgen.io.columns import archive_member, archived, array_names, npz
from pcgen.io.hdf5 import opened, values_of
from pcgen.io.hdf5_door import columns_of, reading
from pcgen.io.npy_array import read_header
from pcgen.io.source import Array, existing_file
from pcgen.io.tables.table import CHUNK_BYTES, CHUNK_ROWS, Column, Table, Values

_SEVERAL = 100  # columns of an array that have a name of their own


class _Part(NamedTuple):
    """What a column is of an array.

    Attributes:
        array: Name of the array.
        field: Of its records.
        place: On its last axis; None for all.
    """

    array: str
    field: str | None = None
    place: int | None = None


class _ArrayTable(Table):
    """Columns of arrays.

    Args:
        path: File.
        arrays: Shape and type of each array, by name.
        offsets: Where each row begins, and the number of values [R + 1].
    """

    def __init__(
        self,
        path: Path,
        arrays: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]],
        offsets: Array | None,
    ) -> None:
        self.path, self._offsets = path, offsets
        self._parts: dict[str, _Part] = {}
        self._single: set[str] = set()
        columns: dict[str, Column] = {}
        for array, (shape, kind) in arrays.items():
            for field in kind.names or (None,):
                for name, place, column in self._columns(array, shape, kind, field):
                    self._parts.setdefault(name, _Part(array, field, place))
                    columns.setdefault(name, column)
        COLUMNS.check(len(columns), str(path))
        self.columns = columns

    def _columns(
        self, array: str, shape: tuple[int, ...], kind: np.dtype[Any], field: str | None
    ) -> Iterator[tuple[str, int | None, Column]]:
        """The columns of an array, or of a field of its records: name, place and what they hold."""
        kind = kind if field is None else kind[field]
        name = ".".join(filter(None, (array, field)))
        shape, base, offsets = (*shape, *kind.shape), kind.base, self._offsets
        if not shape:
            return
        lists = h5py.check_vlen_dtype(base)
        cut = offsets is not None and shape[0] == offsets[-1]
        rows = len(offsets) - 1 if offsets is not None and cut else shape[0]
        depth = len(shape) - 1 + cut + (lists is not None)
        words = str(base if lists is None else lists)
        if depth > 2 or (lists is not None and depth > 1) or base.kind not in "biufSUO":
            yield name, None, Column(f"{words} {list(shape)}", -1, rows)
            return
        if depth < 2:
            yield name, None, Column(words, depth, rows)
        if len(shape) > 1:
            for place in range(min(shape[-1], _SEVERAL)):
                yield f"{name}.{place}", place, Column(words, depth - 1, rows)

    def rows(self) -> int:
        found = [column.rows for column in self.columns.values() if column.rows is not None]
        return max(found, default=0)

    def is_either(self, name: str) -> bool:
        equal = self._offsets is not None and len(self._offsets) - 1 == self._offsets[-1]
        return bool(equal) and self.columns[name].depth == 1

    def take_as_single(self, names: Collection[str]) -> None:
        self._single |= {name for name in names if self.is_either(name)}
        changed = {name: self.columns[name]._replace(depth=0) for name in self._single}
        self.columns = {**self.columns, **changed}

    @abstractmethod
    def _array(self, name: str, start: int, stop: int) -> Array:
        """Some rows of an array."""

    @abstractmethod
    def _bytes(self, name: str) -> float:
        """Bytes of a row of an array, about."""

    def stream(self, names: Sequence[str], start: int) -> Iterator[dict[str, Values]]:
        number = self.rows_of(names)
        size = sum(map(self._bytes, {self._parts[name].array for name in names}))
        while True:
            stop = self._stop(start, number, CHUNK_BYTES / (size + 1))
            yield {name: self._values(name, start, stop) for name in names}
            start = stop
            if start >= number:
                return

    def _stop(self, start: int, number: int, most: float) -> int:
        """The row behind the chunk that begins with row ``start``: one row at least."""
        stop = min(start + CHUNK_ROWS, number)
        if self._offsets is None:
            return min(max(start + 1, start + int(most)), stop)
        limit = self._offsets[start] + int(most)
        return min(max(start + 1, int(np.searchsorted(self._offsets, limit, "right")) - 1), stop)

    def _values(self, name: str, start: int, stop: int) -> Values:
        """The values of a column in some rows."""
        part, column = self._parts[name], self.columns[name]
        cut = self._offsets is not None and column.depth > 0
        first, last = (start, stop)
        if cut:
            assert self._offsets is not None
            first, last = int(self._offsets[start]), int(self._offsets[stop])
        values = self._array(part.array, first, last)
        if part.field is not None:
            values = values[part.field]
        if part.place is not None:
            values = values[..., part.place]
        if values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8", "replace")
        if h5py.check_string_dtype(values.dtype) is not None:
            values = np.array([_text(each) for each in values], dtype=str)
        if cut:
            assert self._offsets is not None
            return Values(values, self._offsets[start : stop + 1] - first)
        if values.dtype == object:
            sizes = np.array([len(each) for each in values], np.int64)
            empty = np.zeros(0, h5py.check_vlen_dtype(values.dtype))
            return Values.of_sizes(np.concatenate([empty, *values]), sizes)
        if values.ndim == 2:
            length = values.shape[1]
            return Values(values.reshape(-1), length * np.arange(len(values) + 1))
        return Values(values)


class NpzTable(_ArrayTable):
    """The arrays of an .npz file; those that are wanted are held as a whole.

    Args:
        path: File.
        offsets: Name of the array of offsets; empty: there is none.

    Raises:
        FileError: it is missing, damaged or no .npz file, or the offsets are none.
        ArgumentError: no array is called so.
    """

    def __init__(self, path: str | Path, offsets: str = "") -> None:
        path = existing_file(path)
        self._held: dict[str, Array] = {}
        with npz(path) as archive:
            names = dict.fromkeys(array_names(archive))
            shapes = {name: _shape(archive, name, path) for name in names}
            cuts = None
            if offsets:
                _check_there(offsets, names, path)
                cuts = _offsets(archived(archive, offsets, path), f"{path}: {offsets}")
        super().__init__(path, shapes, cuts)

    def _bytes(self, name: str) -> float:
        return 1.0 * CHUNK_BYTES / CHUNK_ROWS

    def _array(self, name: str, start: int, stop: int) -> Array:
        if name not in self._held:
            with npz(self.path) as archive:
                self._held[name] = archived(archive, name, self.path)
        return self._held[name][start:stop]


class Hdf5Table(_ArrayTable):
    """The data sets of an HDF5 file.

    Args:
        path: File.
        table: The group whose data sets are the columns, or the data set of records; empty: all.
        offsets: Name of the data set of offsets; empty: there is none.

    Raises:
        FileError: it is missing, damaged or no HDF5 file, or the offsets are none.
        ArgumentError: no data set is called so.
    """

    def __init__(self, path: str | Path, table: str = "", offsets: str = "") -> None:
        path = existing_file(path)
        with opened(path) as self._file:
            with reading(path):
                self._sets = columns_of(self._file, table.strip("/"), path)
            if not self._sets:
                raise ArgumentError(f"{path}: got the table {table or '/'}, which has no data sets")
            shapes = {name: (data.shape, data.dtype) for name, data in self._sets.items()}
            cuts = None
            if offsets:
                _check_there(offsets, self._sets, path)
                cuts = _offsets(values_of(self._sets[offsets], path), f"{path}: {offsets}")
            super().__init__(path, shapes, cuts)

    def close(self) -> None:
        self._file.close()

    def _bytes(self, name: str) -> float:
        data = self._sets[name]
        stored = data.dtype.itemsize * (data.size // max(len(data), 1))
        # Lists of different lengths lie elsewhere in the file, not packed.
        lists = self.path.stat().st_size / max(len(data), 1) if data.dtype == object else 0
        return float(max(stored, lists))

    def _array(self, name: str, start: int, stop: int) -> Array:
        with reading(self.path):
            return np.asarray(self._sets[name][start:stop])


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _shape(
    archive: zipfile.ZipFile, name: str, path: Path
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array, of which only the header is read."""
    try:
        with archive.open(archive_member(archive, name, path)) as file:
            header = read_header(file)
    except ValueError as error:
        raise FileError(f"{path}: {name} cannot be read ({error})") from error
    return header.shape, header.dtype


def _check_there(name: str, names: Sequence[str] | Mapping[str, Any], path: Path) -> None:
    if name not in names:
        raise ArgumentError(
            f"{path}: got the offsets {name}, expected one of {', '.join(list(names)[:30])}"
        )


def _offsets(values: Array, where: str) -> Array:
    """Offsets of rows [R + 1], int64.

    Raises:
        FileError: they are no whole numbers from 0 that do not fall.
    """
    good = values.ndim == 1 and len(values) > 0 and values.dtype.kind in "iu"
    whole = values.astype(np.int64) if good else np.zeros(0, np.int64)
    if not good or whole[0] != 0 or (np.diff(whole) < 0).any():
        raise FileError(
            f"{where} is {values.dtype} {list(values.shape)}, expected where each event begins "
            "and, at the end, the number of points: whole numbers from 0 that do not fall"
        )
    return whole
