r"""Rows of a table to clouds: which rows, or which parts of them, make up cloud b.

=============== ============================================================================
grouping        a cloud is
=============== ============================================================================
:class:`Rows`   a row of a jagged table; rows that fail a cut of clouds are left out
:class:`Runs`   consecutive rows of a flat table with the same event number, or the rows of
                one file
:class:`Jets`   a jet of a row: indices of members and of their jets choose among the points
                of the row
=============== ============================================================================

Each looks once at the columns that decide how many clouds there are, in chunks, and keeps some
whole numbers for each cloud.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pcgen.errors import ArgumentError, DataError
from pcgen.io.source import Array
from pcgen.io.tables.events import check_once, constant, runs, with_empty
from pcgen.io.tables.mapping import Columns, Members
from pcgen.io.tables.table import Table, Values, Window, chunks_of, joined, pointer
from pcgen.io.tables.terms import places

if TYPE_CHECKING:
    from typing_extensions import Self

_ROWS = 256  # that are read at once where few of them are kept, at least


class Block(NamedTuple):
    """Columns of some clouds, by their references.

    Attributes:
        points: Columns of points; they are cut into clouds.
        clouds: Columns of clouds [B].
    """

    points: dict[str, Values]
    clouds: dict[str, Array]


class Grouping(ABC):
    """The clouds of a table.

    Args:
        table: The table.
        of_points: References of the wanted columns of points.
        of_clouds: References of those of clouds.
    """

    def __init__(self, table: Table, of_points: Sequence[str], of_clouds: Sequence[str]) -> None:
        self._table = table
        self._want(of_points, of_clouds)

    def _want(self, of_points: Sequence[str], of_clouds: Sequence[str]) -> None:
        self._of_points, self._of_clouds = tuple(of_points), tuple(of_clouds)
        names = [places(each)[0] for each in (*of_points, *of_clouds)]
        self._window = Window(self._table, names)

    def only(self, reference: str) -> Self:
        """The same clouds with a single column of theirs."""
        other = copy(self)
        other._want((), (reference,))
        return other

    @abstractmethod
    def __len__(self) -> int:
        """Number of clouds."""

    @abstractmethod
    def read(self, start: int, stop: int) -> Block:
        """The wanted columns of the clouds ``start`` to ``stop`` (exclusive)."""

    def _rows(self, start: int, stop: int) -> dict[str, Values]:
        """Some rows of the wanted columns, by reference."""
        found = self._window.read(start, stop)
        return {each: self._placed(each, found) for each in (*self._of_points, *self._of_clouds)}

    def _placed(self, reference: str, found: Mapping[str, Values]) -> Values:
        name, place = places(reference)
        if place is None:
            return found[name]
        return found[name].at(place, f"{self._table.path}: {reference}")


class Rows(Grouping):
    """A row of a jagged table is a cloud.

    Args:
        table: The table.
        columns: What is wanted of it.
    """

    def __init__(self, table: Table, columns: Columns) -> None:
        super().__init__(table, columns.of_points, columns.of_clouds)
        self._number = table.rows_of([places(each)[0] for each in self._of_points])
        self._kept: Array | None = None
        if columns.where:
            self._kept = np.concatenate([np.zeros(0, np.int64), *self._passing(columns)])

    def _passing(self, columns: Columns) -> Iterator[Array]:
        """Numbers of the rows that pass the cuts of clouds."""
        cuts = [cut.column for cut in columns.where]
        for first, found in chunks_of(self._table, cuts):
            good = np.ones(next(iter(found.values())).rows, bool)
            for cut in columns.where:
                good &= cut.kept(self._single(cut.column, self._placed(cut.column, found), first))
            yield first + good.nonzero()[0]

    def __len__(self) -> int:
        return self._number if self._kept is None else len(self._kept)

    def read(self, start: int, stop: int) -> Block:
        if self._kept is None:
            found = self._rows(start, stop)
        else:
            found = self._chosen(self._kept[start:stop])
        points = {name: self._list(name, found[name], start) for name in self._of_points}
        clouds = {n: self._single(n, found[n], start) for n in self._of_clouds}
        return Block(points, clouds)

    def _chosen(self, rows: Array) -> dict[str, Values]:
        """Some rows, in pieces: there may be many between them."""
        parts: list[dict[str, Values]] = []
        place = 0
        while place < len(rows) or not parts:
            first = int(rows[place]) if len(rows) else 0
            more = int(np.searchsorted(rows, first + max(_ROWS, len(rows)), "left"))
            last = int(rows[more - 1]) + 1 if len(rows) else 0
            found = self._rows(first, last)
            parts.append({n: taken(each, rows[place:more] - first) for n, each in found.items()})
            place = max(more, 1)
        return {name: joined([part[name] for part in parts]) for name in parts[0]}

    def _list(self, name: str, values: Values, first: int) -> Values:
        if values.offsets is None:
            raise ArgumentError(
                f"{self._table.path}: column {name} has one value in each row, expected a list as "
                f"{self._of_points[0]} has it"
            )
        return values

    def _single(self, name: str, values: Values, first: int) -> Array:
        if values.offsets is not None:
            raise ArgumentError(
                f"{self._table.path}: column {name} is a list in each row, expected one value for "
                "each event"
            )
        return values.content


class Runs(Grouping):
    """Consecutive rows of a flat table are a cloud.

    Args:
        table: The table.
        columns: What is wanted of it.
        ids: Numbers of all events in their order [B], also of those without a row; None: those
            that have one.

    Raises:
        DataError: an event number comes again behind other events, or is none of ``ids`` or not
            in their order; names the row.
    """

    def __init__(self, table: Table, columns: Columns, ids: Array | None = None) -> None:
        super().__init__(table, columns.of_points, columns.of_clouds)
        if columns.event == "file":
            self._ptr = pointer(np.array(table.rows_of_files()))
            return
        found, first, rows = runs(table, columns.event)
        check_once(found, first, f"{table.path}: {columns.event}")
        ends = np.append(first, rows)
        self._ptr = ends if ids is None else with_empty(found, ends, ids, columns.event, table)

    def __len__(self) -> int:
        return len(self._ptr) - 1

    def read(self, start: int, stop: int) -> Block:
        ptr = self._ptr[start : stop + 1]
        found = self._rows(int(ptr[0]), int(ptr[-1]))
        for name, values in found.items():
            if values.offsets is not None:
                raise ArgumentError(
                    f"{self._table.path}: column {name} is a list in each row, expected one value "
                    f"as {self._of_points[0]} has it"
                )
        cut = ptr - ptr[0]
        points = {name: Values(found[name].content, cut) for name in self._of_points}
        clouds = {
            name: constant(found[name].content, cut, f"{self._table.path}: {name}", start)
            for name in self._of_clouds
        }
        return Block(points, clouds)


class Jets(Grouping):
    """A jet of a row is a cloud; a row has any number of them.

    Args:
        table: The table.
        columns: What is wanted of it.
        members: How points belong to jets.

    Raises:
        ArgumentError: no column is one of jets.
    """

    def __init__(self, table: Table, columns: Columns, members: Members) -> None:
        self._members, self._cuts = members, columns.where
        jets = [n for n in (*columns.of_clouds, *table.columns) if n.startswith(members.jets)]
        if not jets:
            raise ArgumentError(
                f"{table.path}: got no column {members.jets}..., expected one of jets"
            )
        self._one = jets[0]
        links = (members.owner, members.index)
        super().__init__(table, (*columns.of_points, *links), (*columns.of_clouds, self._one))
        counts = [np.zeros(0, np.int64)]
        for _, found in chunks_of(table, [self._one, *(cut.column for cut in self._cuts)]):
            jets_of_row = found[self._one].sizes()
            row = np.repeat(np.arange(len(jets_of_row)), jets_of_row)
            counts.append(np.bincount(row[self._passing(found, row)], minlength=len(jets_of_row)))
        self._ptr = pointer(np.concatenate(counts))

    def only(self, reference: str) -> Self:
        other = copy(self)
        other._want((), (reference, self._one))
        return other

    def __len__(self) -> int:
        return int(self._ptr[-1])

    def read(self, start: int, stop: int) -> Block:
        first = int(np.searchsorted(self._ptr, start, "right")) - 1
        end = max(int(np.searchsorted(self._ptr, stop, "left")), first)
        blocks: list[Block] = []
        row = first
        while row < end or not blocks:
            last = min(row + max(_ROWS, stop - start), end)
            low, high = (min(max(int(self._ptr[k]), start), stop) for k in (row, last))
            if low < high or last == end:
                blocks.append(self._of_rows(row, last, low, high))
            row = max(last, row + 1)
        points = {n: joined([block.points[n] for block in blocks]) for n in blocks[0].points}
        clouds = {
            n: np.concatenate([block.clouds[n] for block in blocks]) for n in blocks[0].clouds
        }
        return Block(points, clouds)

    def _of_rows(self, start: int, stop: int, low: int, high: int) -> Block:
        """The clouds ``low`` to ``high`` (exclusive), which lie in some rows."""
        found = self._rows(start, stop)
        jets = found[self._one].sizes()
        row = np.repeat(np.arange(len(jets)), jets)
        before = int(self._ptr[start])
        kept = self._passing(found, row).nonzero()[0][low - before : high - before]
        clouds = {n: self._spread(n, found[n], row)[kept] for n in self._of_clouds}
        if not self._of_points:
            return Block({}, clouds)
        cloud_of_jet = np.full(len(row), -1)
        cloud_of_jet[kept] = np.arange(len(kept))
        jet, point = self._links(found, jets, start)
        cloud = cloud_of_jet[jet]
        order = np.argsort(cloud, kind="stable")[np.count_nonzero(cloud < 0) :]
        sizes = np.bincount(cloud[order], minlength=len(kept))
        names = self._of_points[:-2]
        points = {n: Values.of_sizes(found[n].content[point[order]], sizes) for n in names}
        return Block(points, clouds)

    def _links(self, found: Mapping[str, Values], jets: Array, start: int) -> tuple[Array, Array]:
        """The jet and the point of each member, counted in all rows."""
        owner, index = (found[name] for name in self._of_points[-2:])
        sizes = common_sizes({n: found[n] for n in self._of_points[:-2]}, self._table.path, start)
        members = common_sizes({n: found[n] for n in self._of_points[-2:]}, self._table.path, start)
        row = np.repeat(np.arange(len(members)), members)
        for name, values, most in (
            (self._members.owner, owner.content, jets[row]),
            (self._members.index, index.content, sizes[row]),
        ):
            if (bad := values >= most).any():
                place = int(bad.argmax())
                raise DataError(
                    f"{self._table.path}: {name} of row {start + row[place]} is {values[place]}, "
                    f"expected less than {most[place]}, the number of what it counts"
                )
        there = (owner.content >= 0) & (index.content >= 0)
        row = row[there]
        return (
            pointer(jets)[row] + owner.content[there],
            pointer(sizes)[row] + index.content[there],
        )

    def _passing(self, found: Mapping[str, Values], row: Array) -> Array:
        """Whether each jet passes the cuts [J]."""
        good = np.ones(len(row), bool)
        for cut in self._cuts:
            good &= cut.kept(self._spread(cut.column, self._placed(cut.column, found), row))
        return good

    def _spread(self, name: str, values: Values, row: Array) -> Array:
        """A column of jets, or of rows, for each jet [J]."""
        if values.offsets is None:
            return values.content[row]
        if not name.startswith(self._members.jets) or len(values.content) != len(row):
            raise ArgumentError(
                f"{self._table.path}: column {name} is a list in each row, expected one value for "
                f"each row or each of the jets {self._members.jets}..."
            )
        return values.content


def taken(values: Values, rows: Array) -> Values:
    """Some of the rows, in the order of their numbers in ``rows``."""
    if values.offsets is None:
        return Values(values.content[rows])
    sizes = values.sizes()[rows]
    within = np.arange(sizes.sum()) - np.repeat(pointer(sizes)[:-1], sizes)
    return Values.of_sizes(values.content[np.repeat(values.offsets[rows], sizes) + within], sizes)


def common_sizes(points: Mapping[str, Values], path: Path, first: int) -> Array:
    """Number of values in each row, which must be the same in all columns.

    Raises:
        DataError: two columns differ in it; names the row.
    """
    (one, sizes), *others = ((name, values.sizes()) for name, values in points.items())
    for name, each in others:
        if (bad := each != sizes).any():
            row = int(bad.argmax())
            raise DataError(
                f"{path}: {name} of event {first + row} has {each[row]} values, expected "
                f"{sizes[row]} as {one} has"
            )
    return sizes
