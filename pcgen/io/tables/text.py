"""Columns of text (.csv, .tsv, also .gz): a line of names, then a line for each row.

The separator is a tab, ``;`` or ``,``, or blanks where the line of names has none of these. Whole
numbers are exact up to 64 bits; an empty field is a number that is missing, NaN.
"""

from __future__ import annotations

import csv
import gzip
import io as bytes_io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pcgen.bounds import check_unpacked
from pcgen.errors import FileError, PcgenError
from pcgen.io.columns import typed_column
from pcgen.io.source import existing_file
from pcgen.io.table import check_names, number
from pcgen.io.tables.table import Column, Table, Values

_LINE = 1 << 20  # letters of a line, at most
_ROWS = 1 << 14  # of a chunk: words of Python take some ten times their letters
_LETTERS = 1 << 22


class TextTable(Table):
    """A text file of columns, read from its beginning on.

    Args:
        path: File.

    Raises:
        FileError: it is missing, no text, or has no line of names, all different.
    """

    from_start = True

    def __init__(self, path: str | Path) -> None:
        self.path = existing_file(path)
        self._rows: int | None = None
        with self._lines() as lines:
            first = next(lines, "")
        self._separator = next((each for each in "\t;," if each in first), " ")
        names = next(self._fields(iter([first])), [])
        names = [name.strip() for name in names]
        if names:
            names[0] = names[0].removeprefix("#").strip()
            names = names if names[0] else names[1:]
        if not names or not all(names) or all(number(name) is not None for name in names):
            raise FileError(
                f"{path}: got the first line {first.strip()[:60]!r}, expected the names of the "
                "columns"
            )
        check_names(names, self.path)
        self.columns = dict.fromkeys(names, Column("text or numbers"))

    def rows(self) -> int:
        if self._rows is None:
            with self._lines() as lines:
                self._rows = sum(1 for _ in self._cells(lines))
        return self._rows

    def stream(self, names: Sequence[str], start: int) -> Iterator[dict[str, Values]]:
        places = [list(self.columns).index(name) for name in names]
        held: list[list[str]] = []
        size, given = 0, False
        with self._lines() as lines:
            for row, cells in enumerate(self._cells(lines)):
                if row < start:
                    continue
                held.append([cells[place] for place in places])
                size += sum(map(len, held[-1]))
                if len(held) == _ROWS or size > _LETTERS:
                    yield self._typed(names, held)
                    given, held, size = True, [], 0
        if held or not given:
            yield self._typed(names, held)

    def _typed(self, names: Sequence[str], rows: list[list[str]]) -> dict[str, Values]:
        columns = [[row[place].strip() or "nan" for row in rows] for place in range(len(names))]
        return {
            name: Values(typed_column(words, f"{self.path}: {name}"))
            for name, words in zip(names, columns, strict=True)
        }

    def _cells(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """The fields of each row behind the line of names."""
        fields = self._fields(lines)
        next(fields, None)
        for row, cells in enumerate(fields):
            if len(cells) != len(self.columns):
                raise FileError(
                    f"{self.path}: row {row} has {len(cells)} fields, expected "
                    f"{len(self.columns)} as the line of names"
                )
            yield cells

    def _fields(self, lines: Iterator[str]) -> Iterator[list[str]]:
        if self._separator == " ":
            rows: Iterator[list[str]] = (line.split() for line in lines)
        else:
            rows = csv.reader(lines, delimiter=self._separator)
        try:
            for cells in rows:
                if any(cells):
                    yield cells
        except csv.Error as error:
            raise FileError(f"{self.path}: is no table that can be read ({error})") from error

    @contextmanager
    def _lines(self) -> Iterator[Iterator[str]]:
        """The lines of the file; what is packed is unpacked on the way."""
        try:
            packed = self.path.suffix.lower() == ".gz"
            data: Any = gzip.GzipFile(self.path) if packed else self.path.open("rb")
            with bytes_io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as text:
                yield self._bounded(text, packed)
        except PcgenError:
            raise
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise FileError(f"{self.path}: is no text that can be read ({error})") from error

    def _bounded(self, text: TextIO, packed: bool) -> Iterator[str]:
        stored, size = self.path.stat().st_size, 0
        while line := text.readline(_LINE):
            if len(line) == _LINE:
                raise FileError(f"{self.path}: got a line of more than {_LINE} letters")
            size += len(line)
            if packed:
                check_unpacked(size, stored, str(self.path))
            yield line
