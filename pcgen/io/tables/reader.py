"""Clouds from a table: a file of columns, and what they are.

Without a mapping a table is no clouds: ``pcgen convert`` makes them, with ``--preset`` or
``--pos``. HepMC has its own preset.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError
from pcgen.io.columns import read_column
from pcgen.io.source import Array, CloudSource
from pcgen.io.tables import presets
from pcgen.io.tables.clouds import clouds_of
from pcgen.io.tables.combined import Sorted
from pcgen.io.tables.engines import ENGINES, Engine, opened
from pcgen.io.tables.events import exact_ids
from pcgen.io.tables.grouping import Grouping, Jets, Rows, Runs
from pcgen.io.tables.mapping import Columns, Points
from pcgen.io.tables.table import Table, Values
from pcgen.io.tables.terms import Cut, places

_BLOCK = 1024


class TableFile(CloudSource):
    """A file of columns, or several numbered ones, read as clouds.

    Args:
        path: File; a folder of files; or a numbered name such as ``event%09d-hits.csv``.
        engine: How files of its format are opened.
        columns: What the columns are; of several choices, the first one that fits.

    Raises:
        ArgumentError: nothing says what the columns are, or one is not there; or an option does not
            fit the table.
        DataError: numbers of events come again behind others.
        FileError: a file is missing or damaged.
        MissingExtraError: the library of the format is not installed.
    """

    def __init__(
        self,
        path: str | Path,
        engine: Engine,
        columns: Columns | Sequence[Columns] | None = None,
    ) -> None:
        self.path = Path(path)
        if columns is None and engine.format == "hepmc":
            columns = presets.shipped("hepmc").columns()
        if columns is None:
            raise ArgumentError(
                f"{path}: is a table, and nothing says what its columns are; pcgen convert makes "
                "clouds of it with --preset, or with --pos; pcgen info lists its columns"
            )
        choices = (columns,) if isinstance(columns, Columns) else tuple(columns)
        self._table, self._columns = opened(self.path, engine, choices)
        try:
            names = [places(each)[0] for each in self._columns.of_clouds]
            self._table.take_as_single(names)
            self._columns = _with_cuts_of_clouds(self._table, self._columns)
            self._grouping = _grouped(self._table, self._columns)
        except BaseException:
            self._table.close()
            raise
        self.schema = self._columns.schema
        self.attrs: dict[str, Any] = {"preset": self._columns.name} if self._columns.name else {}
        self._sizes: Tensor | None = None

    def __len__(self) -> int:
        return len(self._grouping)

    def close(self) -> None:
        self._table.close()

    def sizes(self) -> Tensor:
        """Number of points of each cloud [B]; all points are read once, for their cuts."""
        if self._sizes is None:
            parts = [
                convention.sizes(self._read(start, min(start + _BLOCK, len(self))))
                for start in range(0, len(self), _BLOCK)
            ]
            self._sizes = torch.cat([torch.zeros(0, dtype=torch.long), *parts])
        return self._sizes

    def labels(self) -> Tensor | None:
        """Class of each cloud [B], None where the table has none."""
        return None if self._columns.label is None else super().labels()

    def values(self, reference: str) -> Array:
        """A column of the clouds, whole [B].

        Args:
            reference: Name of the column, with places in it where there are some.

        Raises:
            ArgumentError: there is no such column, or it has not one value for each cloud.
            DataError: the rows of an event differ in it.
        """
        name = places(reference)[0]
        self._table.check([name])
        if reference not in self._columns.of_points:
            self._table.take_as_single([name])
        single = self._grouping.only(reference)
        parts = [
            single.read(start, min(start + _BLOCK, len(self))).clouds[reference]
            for start in range(0, max(len(self), 1), _BLOCK)
        ]
        return np.concatenate(parts)

    def _read(self, start: int, stop: int) -> Batch:
        return clouds_of(self._grouping.read(start, stop), self._columns, start, self.path)


def _depth(table: Table, reference: str) -> int:
    """How deep the lists of a column are, within its chosen places."""
    name, place = places(reference)
    return table.columns[name].depth - isinstance(place, int)


def _with_cuts_of_clouds(table: Table, columns: Columns) -> Columns:
    """Columns whose cuts are divided into those of points and those of clouds."""
    table.check(presets.needed(columns))
    depths = {reference: _depth(table, reference) for reference in columns.of_points}
    if max(depths.values(), default=0) == 0:
        return columns
    jets = columns.members.jets if columns.members else None

    def of_cloud(cut: Cut) -> bool:
        flat = depths.get(cut.column) == 0
        return flat or (jets is not None and cut.column.startswith(jets))

    used = {each for part in columns.parts for term in part.terms for each in term.columns}
    for cut in (cut for part in columns.parts for cut in part.where):
        if cut.column not in used and table.is_either(places(cut.column)[0]):
            raise ArgumentError(
                f"where: {cut.column} of {table.path} may be of points or of events, of which "
                "there are as many; expected a column that is also used otherwise"
            )
    parts: list[Points] = []
    found: dict[Cut, None] = {}
    for part in columns.parts:
        found |= dict.fromkeys(cut for cut in part.where if of_cloud(cut))
        kept = tuple(cut for cut in part.where if not of_cloud(cut))
        parts.append(dataclasses.replace(part, where=kept))
    return dataclasses.replace(columns, parts=tuple(parts), where=tuple(found))


def _grouped(table: Table, columns: Columns) -> Grouping:
    """How the rows of the table are clouds."""
    jagged = any(_depth(table, reference) > 0 for reference in columns.of_points)
    first = columns.of_points[0]
    if jagged:
        for option in ("event", "events", "sort"):
            if getattr(columns, option):
                raise ArgumentError(
                    f"{option}: was given, but {first} of {table.path} is a list in each row, "
                    "which is an event; expected none"
                )
        return Jets(table, columns, columns.members) if columns.members else Rows(table, columns)
    if not columns.event:
        shown = ", ".join(list(table.columns)[:20])
        raise ArgumentError(
            f"event: got none, and {first} of {table.path} is one number in each row; expected the "
            f"column of the event's number (of {shown}), or --event file where a file is one event"
        )
    ids = None
    if columns.events:
        values, where = read_column(columns.events, table.path)
        ids = exact_ids(Values(values), where)
    if columns.sort:
        table = Sorted(table, presets.needed(columns), columns.event)
    return Runs(table, columns, ids)


# As the table of formats names them.
read_csv = partial(TableFile, engine=ENGINES["csv"])
read_parquet = partial(TableFile, engine=ENGINES["parquet"])
read_root = partial(TableFile, engine=ENGINES["root"])
read_hdf5 = partial(TableFile, engine=ENGINES["hdf5-table"])
read_npz = partial(TableFile, engine=ENGINES["npz-table"])
read_hepmc = partial(TableFile, engine=ENGINES["hepmc"])
