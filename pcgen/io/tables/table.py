r"""A table: rows and columns, read in chunks.

A column has one value in each row, or a list of them (then the table is jagged). Lists of R rows
are kept flat, as :math:`N = \sum_r n_r` values and R + 1 offsets: row r has the values
``content[offsets[r]:offsets[r + 1]]``.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.beside import representable
from pcgen.io.source import Array
from pcgen.io.tables.terms import places

if TYPE_CHECKING:
    from typing_extensions import Self

CHUNK_ROWS = 1 << 16
CHUNK_BYTES = 1 << 24  # of the wanted columns, about
_LISTED = 30  # names of columns in a message


class Values(NamedTuple):
    """Values of a column in consecutive rows.

    Attributes:
        content: One value for each row [R]; where there are offsets, all values of all rows [N].
        offsets: Where each row begins, and N [R + 1], from 0; None: one value for each row.
    """

    content: Array
    offsets: Array | None = None

    @property
    def rows(self) -> int:
        """Number of rows R."""
        return len(self.content) if self.offsets is None else len(self.offsets) - 1

    def sizes(self) -> Array:
        """Number of values in each row [R]."""
        return np.ones(self.rows, np.int64) if self.offsets is None else np.diff(self.offsets)

    def part(self, start: int, stop: int) -> Values:
        """The rows ``start`` to ``stop`` (exclusive)."""
        if self.offsets is None:
            return Values(self.content[start:stop])
        offsets = self.offsets[start : stop + 1]
        return Values(self.content[offsets[0] : offsets[-1]], offsets - offsets[0])

    def at(self, place: slice | int, where: str) -> Values:
        """One or some places of each list, of lists that all have the same length.

        Raises:
            ArgumentError: the lists differ in length, are no lists, or have no such place.
        """
        sizes = self.sizes()
        length = int(sizes[0]) if len(sizes) else 0
        if self.offsets is None or (sizes != length).any():
            raise ArgumentError(f"{where}: got places of lists that differ in length, or of none")
        table = self.content.reshape(len(sizes), length)
        if isinstance(place, int):
            if len(sizes) and not -length <= place < length:
                raise ArgumentError(f"{where}: got a list of {length}, expected a longer one")
            return Values(table[:, place] if len(sizes) else self.content[:0])
        chosen = table[:, place]
        return Values(chosen.reshape(-1), chosen.shape[1] * np.arange(len(sizes) + 1))

    @classmethod
    def of_sizes(cls, content: Array, sizes: Array) -> Values:
        """Lists of these lengths [R]."""
        return cls(content, pointer(sizes))


class Column(NamedTuple):
    """What a column holds.

    Attributes:
        kind: Type of its values, for people: ``float32``.
        depth: 0: one value in each row; 1: a list; -1: something that pcgen does not read.
        rows: Number of its rows, where columns of one file may differ in it.
    """

    kind: str
    depth: int = 0
    rows: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}[]" if self.depth == 1 else self.kind


class Table(ABC):
    """A file of columns, open for reading.

    Attributes:
        path: Where it lies.
        columns: What it holds, by name.
        from_start: It can only be read from its first row on, as text is.
    """

    path: Path
    columns: Mapping[str, Column]
    from_start: bool = False

    @abstractmethod
    def rows(self) -> int:
        """Number of rows."""

    def rows_of_files(self) -> tuple[int, ...]:
        """Number of rows of each file, where there are several."""
        return (self.rows(),)

    def rows_of(self, names: Sequence[str]) -> int:
        """Number of rows of some columns.

        Raises:
            FileError: they differ in it.
        """
        counts = {name: self.columns[name].rows for name in names}
        if len(set(counts.values())) > 1:
            lengths = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise FileError(
                f"{self.path}: got columns of different lengths ({lengths}), expected equal ones, "
                "or --offsets where values and events have their own"
            )
        known = next(iter(counts.values()), None)
        return self.rows() if known is None else known

    @abstractmethod
    def stream(self, names: Sequence[str], start: int) -> Iterator[dict[str, Values]]:
        """The named columns from row ``start`` to the last, a chunk of consecutive rows each time.

        Raises:
            FileError: the file is damaged.
        """

    def is_either(self, name: str) -> bool:
        """Whether a column may be of points or of events: a file has as many of both."""
        return False

    def take_as_single(self, names: Collection[str]) -> None:
        """Read those of these columns that are either as one value for each row."""
        return

    def close(self) -> None:
        """Give the file back to the system."""
        return

    def check(self, names: Collection[str]) -> None:
        """Refuse names that no column has, and columns that hold what pcgen does not read.

        Raises:
            ArgumentError: naming the column, and those with a similar name.
        """
        for name in names:
            if name not in self.columns:
                raise ArgumentError(unknown(name, self.columns, self.path))
            if self.columns[name].depth < 0:
                raise ArgumentError(
                    f"{self.path}: column {name} holds {self.columns[name].kind}, expected a "
                    "number or a list of numbers in each row"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def unknown(name: str, columns: Collection[str], path: Path) -> str:
    """A message on a column that is not there: those of a similar name, or all if they are few."""
    near = difflib.get_close_matches(name, columns, n=5, cutoff=0.5)
    near += [each for each in columns if name.lower() in each.lower() and each not in near][:5]
    few = list(columns) if len(columns) <= _LISTED else []
    some = ", ".join(few or near) or f"{', '.join(list(columns)[:_LISTED])}, ..."
    return f"{path}: got no column {name}, expected one of its columns, such as {some}"


def pointer(sizes: Array) -> Array:
    """Where lists of these lengths [R] begin, and where the last one ends [R + 1]."""
    found = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=found[1:])
    return found


def joined(parts: Sequence[Values]) -> Values:
    """The rows of parts, one behind the other.

    Raises:
        DataError: whole numbers that float64 does not hold would become floats, as others are.
    """
    if len(parts) == 1:
        return parts[0]
    whole = [part.content for part in parts if part.content.dtype.kind in "iu"]
    if 0 < len(whole) < len(parts):
        for content in whole:
            if not (exact := representable(content)).all():
                raise DataError(
                    f"got the whole number {content[~exact][0]} in a column with other values, "
                    "expected none beyond 2^53, which float64 does not hold"
                )
    content = np.concatenate([part.content for part in parts])
    if parts[0].offsets is None:
        return Values(content)
    return Values.of_sizes(content, np.concatenate([part.sizes() for part in parts]))


class Window:
    """Some columns of a table, of which ranges of rows are read, usually one behind the other.

    It holds a chunk and the rows that are wanted, never the table.

    Args:
        table: The table.
        names: Of its columns.
    """

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self._table, self._names = table, tuple(dict.fromkeys(names))
        self._chunks: Iterator[dict[str, Values]] | None = None
        self._held: dict[str, Values] = {}
        self._first = self._stop = 0

    def read(self, start: int, stop: int) -> dict[str, Values]:
        """The rows ``start`` to ``stop`` (exclusive) of each column.

        Raises:
            FileError: the table is damaged, or ends before that row.
            DataError: a column has another type in later rows.
        """
        if not self._names:
            return {}
        near = self._table.from_start or start <= self._stop
        if self._chunks is None or start < self._first or not near:
            self._chunks = self._table.stream(self._names, start)
            self._held, self._first, self._stop = {}, start, start
        if start == stop:
            if not self._held:
                self._advance(stop)
            return {name: values.part(0, 0) for name, values in self._held.items()}
        parts: dict[str, list[Values]] = {name: [] for name in self._names}
        while True:
            low, high = max(start, self._first), min(stop, self._stop)
            if low < high:
                for name, values in self._held.items():
                    parts[name].append(values.part(low - self._first, high - self._first))
            if self._stop >= stop and self._held:
                return {name: self._joined(name, each) for name, each in parts.items()}
            self._advance(stop)

    def _advance(self, stop: int) -> None:
        """Hold the next chunk in place of this one."""
        assert self._chunks is not None
        chunk = next(self._chunks, None)
        if chunk is None:
            raise FileError(
                f"{self._table.path}: ends after row {self._stop}, expected {stop} rows at least"
            )
        lengths = {values.rows for values in chunk.values()}
        if len(lengths) != 1:
            raise FileError(
                f"{self._table.path}: got columns of {lengths} rows, expected equal ones"
            )
        self._held, self._first = chunk, self._stop
        self._stop += lengths.pop()

    def _joined(self, name: str, parts: list[Values]) -> Values:
        if len({part.offsets is None for part in parts}) != 1:
            raise DataError(
                f"{self._table.path}: column {name} has lists in some rows and numbers in others"
            )
        return joined(parts)


def chunks_of(table: Table, references: Sequence[str]) -> Iterator[tuple[int, dict[str, Values]]]:
    """Number of the first row of each chunk of a table, and its columns by name.

    Args:
        table: The table.
        references: Of columns.
    """
    first = 0
    for chunk in table.stream(tuple(dict.fromkeys(places(r)[0] for r in references)), 0):
        yield first, chunk
        first += next(iter(chunk.values())).rows
