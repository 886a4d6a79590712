"""Files of tables by format, and which table of a file has the wanted columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pcgen.errors import ArgumentError
from pcgen.formats import FORMATS
from pcgen.io.numbered import files_of, is_many
from pcgen.io.tables.arrays import Hdf5Table, NpzTable
from pcgen.io.tables.combined import Chain
from pcgen.io.tables.hepmc import HepmcTable
from pcgen.io.tables.mapping import Columns
from pcgen.io.tables.parquet import ParquetTable
from pcgen.io.tables.presets import fitting, needed
from pcgen.io.tables.root import root_table, trees
from pcgen.io.tables.table import Column, Table, unknown
from pcgen.io.tables.text import TextTable


@dataclass(frozen=True)
class Engine:
    """How the tables of a format are opened.

    Attributes:
        format: Name of the format.
        open: Called with the path, the name of a table in it and the name of offsets.
        tables: Names of the tables of a file; None: it is one.
        table: Whether a table in the file may be chosen by name.
        offsets: Whether arrays of offsets are known there.
    """

    format: str
    open: Callable[[Path, str, str], Table]
    tables: Callable[[Path], list[str]] | None = None
    table: bool = False
    offsets: bool = False


ENGINES = {
    engine.format: engine
    for engine in (
        Engine("csv", lambda path, table, offsets: TextTable(path)),
        Engine("parquet", lambda path, table, offsets: ParquetTable(path)),
        Engine("root", lambda path, table, offsets: root_table(path, table), trees, table=True),
        Engine(
            "hdf5-table",
            lambda path, table, offsets: Hdf5Table(path, table, offsets),
            table=True,
            offsets=True,
        ),
        Engine("npz-table", lambda path, table, offsets: NpzTable(path, offsets), offsets=True),
        Engine("hepmc", lambda path, table, offsets: HepmcTable(path)),
    )
}
"""By the name of the format in :data:`pcgen.formats.FORMATS`."""


def _again(engine: Engine, table: str, offsets: str, file: Path) -> Table:
    return engine.open(file, table, offsets)


def opened(path: Path, engine: Engine, choices: Sequence[Columns]) -> tuple[Table, Columns]:
    """The table that has all columns of the first choice that fits.

    Args:
        path: A file, a folder of files, or a numbered name such as ``event%09d-hits.csv``.
        engine: How to open it.
        choices: Columns that may be there.

    Raises:
        ArgumentError: no table has the columns of a choice (names those like them), or several
            tables have; or an option is not for this format.
        FileError: a file is missing or damaged.
    """
    files = files_of(path, FORMATS[engine.format].ending) if is_many(path) else [path]
    known: dict[tuple[str, str], Table] = {}
    best: tuple[int, str] | None = None
    try:
        for columns in choices:
            _check_engine(columns, engine, path)
            names, fit = needed(columns), []
            for table in _tables(files[0], engine, columns):
                place = table, columns.offsets
                if place not in known:
                    known[place] = engine.open(files[0], *place)
                there = known[place].columns
                missing = [name for name in names if name not in there]
                if not missing:
                    fit.append(table)
                elif best is None or len(names) - len(missing) > best[0]:
                    text = unknown(missing[0], list(there), path)
                    hint = _others(there) if columns.name else ""
                    best = len(names) - len(missing), text + hint
            if len(fit) > 1:
                raise ArgumentError(
                    f"{path}: got the columns in the tables {', '.join(fit)}, expected one of "
                    "them by --table"
                )
            if fit:
                chosen = known.pop((fit[0], columns.offsets))
                if len(files) == 1:
                    return chosen, columns
                chosen.close()
                again = partial(_again, engine, fit[0], columns.offsets)
                return Chain(path, files, again), columns
    finally:
        for table_ in known.values():
            table_.close()
    assert best is not None
    raise ArgumentError(best[1])


def _others(columns: Mapping[str, Column]) -> str:
    """A hint at presets that fit these columns, if there are some."""
    words = list(fitting(columns))
    return f"; --preset {', '.join(words[:8])} would fit" if words else ""


def _tables(path: Path, engine: Engine, columns: Columns) -> list[str]:
    if columns.table or engine.tables is None:
        return [columns.table]
    return engine.tables(path)


def _check_engine(columns: Columns, engine: Engine, path: Path) -> None:
    """Refuse options that are not for this format."""
    for option in ("table", "offsets"):
        if getattr(columns, option) and not getattr(engine, option):
            those = [each.format for each in ENGINES.values() if getattr(each, option)]
            raise ArgumentError(
                f"{option}: was given, but {path} is {engine.format}, expected one of "
                f"{', '.join(those)}"
            )
