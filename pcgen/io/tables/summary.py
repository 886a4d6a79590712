"""What a table holds, without a mapping: for ``pcgen info`` and for messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pcgen.errors import ArgumentError
from pcgen.formats import FORMATS, by_name, tables
from pcgen.io.numbered import files_of, is_many
from pcgen.io.tables.engines import ENGINES
from pcgen.io.tables.presets import fitting
from pcgen.io.tables.table import Column

_PREFIX = re.compile(r"[^./]+[./]|[^_./]+_")
_FEW = 12  # columns that are listed one a line
_MANY = 200  # columns from which those of a prefix are no longer all listed
_LISTED = 6  # of them then


class Summary(NamedTuple):
    """A table of a file.

    Attributes:
        name: Of the table in the file; empty where it is the only one.
        rows: Number of its rows.
        columns: What it holds, by name.
        presets: Words for ``--preset`` that fit, and what they are about.
    """

    name: str
    rows: int
    columns: Mapping[str, Column]
    presets: Mapping[str, str]

    def lines(self) -> list[str]:
        """The columns with their types; in a wide table those of one prefix on a line.

        Of very many columns the first ones of each prefix are listed, and how many more there are.
        """
        if len(self.columns) <= _FEW:
            return [f"{name} {self._shown(column)}" for name, column in self.columns.items()]
        groups: dict[str, list[str]] = {}
        for name, column in self.columns.items():
            match = _PREFIX.match(name)
            groups.setdefault(match[0] if match else "", []).append(
                f"{name[len(match[0]) if match else 0 :]} {self._shown(column)}"
            )
        alone = [f"{key}{each[0]}" for key, each in groups.items() if key and len(each) == 1]
        several = [
            f"{key}*: {self._some(each)}" for key, each in groups.items() if key and len(each) > 1
        ]
        return [*filter(None, [", ".join([*groups.get("", []), *alone])]), *several]

    def _some(self, names: list[str]) -> str:
        """All of the columns of a prefix, or the first ones."""
        if len(self.columns) <= _MANY or len(names) <= _LISTED + 1:
            return ", ".join(names)
        return f"{', '.join(names[:_LISTED])} and {len(names) - _LISTED} more"

    def _shown(self, column: Column) -> str:
        """Its type, and its number of rows where that is not the table's."""
        other = column.rows is not None and column.rows != self.rows
        return f"{column} ({column.rows} rows)" if other else str(column)


def is_table(path: str | Path) -> bool:
    """Whether a file is a table by its ending, and nothing else that pcgen reads."""
    try:
        return by_name(path, None, tables()) in _ALONE
    except ArgumentError:
        return False


_ALONE = [name for name in tables() if FORMATS[name].ending in (".csv", ".parquet", ".root")]


def summaries(path: str | Path) -> list[Summary]:
    """The tables of a file.

    Raises:
        ArgumentError: it is no table by its ending.
        FileError: it is missing or damaged.
        MissingExtraError: the library of the format is not installed.
    """
    path = Path(path)
    engine = ENGINES[by_name(path, None, tables())]
    files = files_of(path, FORMATS[engine.format].ending) if is_many(path) else [path]
    found = []
    for name in engine.tables(files[0]) if engine.tables else [""]:
        with engine.open(files[0], name, "") as table:
            fits = fitting(table.columns)
            found.append(Summary(name, table.rows(), table.columns, fits))
    return found
