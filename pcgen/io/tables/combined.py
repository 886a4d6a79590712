"""Tables made of tables: the rows of several files, and rows in another order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from pcgen.bounds import BYTES
from pcgen.errors import FileError
from pcgen.io.source import Array
from pcgen.io.tables.table import CHUNK_ROWS, Table, Values, joined


class Chain(Table):
    """The rows of several files, one behind the other; one file is open at a time.

    Args:
        path: What stands for all of them: ``event%09d-hits.csv``.
        files: The files.
        opened: Opens one.

    Raises:
        FileError: a file is damaged.
    """

    def __init__(self, path: Path, files: Sequence[Path], opened: Callable[[Path], Table]) -> None:
        self.path, self._files, self._opened = path, tuple(files), opened
        with opened(files[0]) as first:
            self.columns, self.from_start = first.columns, first.from_start
        self._rows: tuple[int, ...] | None = None
        self._single: tuple[str, ...] = ()

    def is_either(self, name: str) -> bool:
        with self._opened(self._files[0]) as first:
            return first.is_either(name)

    def take_as_single(self, names: Collection[str]) -> None:
        self._single = (*self._single, *names)
        with self._opened(self._files[0]) as first:
            first.take_as_single(self._single)
            self.columns = first.columns

    def rows_of_files(self) -> tuple[int, ...]:
        if self._rows is None:
            found = []
            for file in self._files:
                with self._opened(file) as table:
                    found.append(table.rows())
            self._rows = tuple(found)
        return self._rows

    def rows(self) -> int:
        return sum(self.rows_of_files())

    def stream(self, names: Sequence[str], start: int) -> Iterator[dict[str, Values]]:
        first = 0
        for number, (file, rows) in enumerate(zip(self._files, self.rows_of_files(), strict=True)):
            last = number == len(self._files) - 1
            if start < first + rows or last:
                with self._opened(file) as table:
                    table.check(names)
                    table.take_as_single(self._single)
                    for name in names:
                        if table.columns[name] != self.columns[name]._replace(
                            rows=table.columns[name].rows
                        ):
                            raise FileError(
                                f"{file}: column {name} holds {table.columns[name]}, expected "
                                f"{self.columns[name]} as in {self._files[0]}"
                            )
                    yield from table.stream(names, max(start - first, 0))
            first += rows


class Sorted(Table):
    """Rows of a table in another order; the wanted columns are held as a whole.

    Args:
        table: The table.
        names: Of the wanted columns.
        by: The column by which they are sorted; rows of one value keep their order.

    Raises:
        FileError: the columns are larger than what may be held at once.
    """

    def __init__(self, table: Table, names: Sequence[str], by: str) -> None:
        self.path = table.path
        names = tuple(dict.fromkeys((by, *names)))
        self.columns = {name: table.columns[name] for name in names}
        parts: dict[str, list[Values]] = {name: [] for name in names}
        size = 0
        for chunk in table.stream(names, 0):
            size += sum(values.content.nbytes for values in chunk.values())
            BYTES.check(size, f"{table.path}: sorted")
            for name in names:
                parts[name].append(chunk[name])
        whole = {name: joined(each) for name, each in parts.items()}
        order: Array = np.argsort(whole[by].content, kind="stable")
        self._held = {name: values.content[order] for name, values in whole.items()}
        self._number = len(order)

    def rows(self) -> int:
        return self._number

    def stream(self, names: Sequence[str], start: int) -> Iterator[dict[str, Values]]:
        for first in range(start, max(self._number, start + 1), CHUNK_ROWS):
            rows = slice(first, first + CHUNK_ROWS)
            yield {name: Values(self._held[name][rows]) for name in names}
