"""Numbers of events in a flat table: runs of equal ones, and what the rows of an event share.

Numbers are compared as they are stored, never as floats that would round them.
"""

from __future__ import annotations

import numpy as np

from pcgen.errors import DataError
from pcgen.io.source import Array
from pcgen.io.tables.table import Table, Values, chunks_of, pointer


def runs(table: Table, event: str) -> tuple[Array, Array, int]:
    """Runs of rows with the same event number: number, first row of each, and the number of rows.

    Args:
        table: A flat table.
        event: Its column of event numbers.

    Raises:
        DataError: a value is no whole number, or text where others are numbers; names the row.
    """
    ids: list[Array] = []
    firsts: list[Array] = [np.zeros(0, np.int64)]
    rows, last = 0, None
    for first, found in chunks_of(table, [event]):
        values = exact_ids(found[event], f"{table.path}: {event}", first)
        if not len(values):
            continue
        if ids and ids[0].dtype.kind != values.dtype.kind:
            raise DataError(
                f"{table.path}: {event} of row {first} is {values[0]!r:.40}, expected a number as "
                "in the rows before"
            )
        new = np.ones(len(values), bool)
        new[1:] = values[1:] != values[:-1]
        new[0] = not ids or bool(values[0] != last)
        last, rows = values[-1], first + len(values)
        ids.append(values[new])
        firsts.append(first + new.nonzero()[0])
    return np.concatenate(ids or [np.zeros(0, np.int64)]), np.concatenate(firsts), rows


def exact_ids(values: Values, where: str, first: int = 0) -> Array:
    """Numbers (or names) of events as they are; floats must be whole numbers that float64 holds.

    Args:
        values: A column.
        where: File and column, for messages.
        first: Number of the first row, for messages.

    Raises:
        DataError: it has lists, or a value is no whole number; names the row.
    """
    ids = values.content
    if values.offsets is not None:
        raise DataError(f"{where} is a list in each row, expected the event's number")
    if ids.dtype.kind != "f":
        return ids
    bad = ~((np.abs(ids) < 2**53) & (ids == np.floor(ids)))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"{where} of row {first + row} is {ids[row]}, expected a whole number")
    return ids.astype(np.int64)


def check_once(ids: Array, first: Array, where: str) -> None:
    """Refuse events whose rows are not consecutive.

    Args:
        ids: Number of the event of each run.
        first: First row of each run.
        where: File and column, for messages.

    Raises:
        DataError: an event comes again; names the row.
    """
    order = np.argsort(ids, kind="stable")
    again = np.concatenate([np.zeros(1, bool), ids[order][1:] == ids[order][:-1]])[: len(ids)]
    if not again.any():
        return
    run = int(order[again].min())
    before = int(first[ids == ids[run]][0])
    raise DataError(
        f"{where} of row {first[run]} is {ids[run]} again, as in row {before}, with other events "
        "between; expected each event in consecutive rows: --sort brings them together in memory"
    )


def with_empty(found: Array, ends: Array, ids: Array, event: str, table: Table) -> Array:
    """Where the rows of all events begin, and N [B + 1], some events having no row.

    Args:
        found: Number of the event of each run.
        ends: First row of each run, and N.
        ids: Numbers of all events in their order [B].
        event: The column of event numbers, for messages.
        table: The table, for messages.

    Raises:
        DataError: an event of the table is not among all, or in another order; names the row.
    """
    order = np.argsort(ids, kind="stable")
    if len(np.unique(ids)) != len(ids) or (ids.dtype.kind != found.dtype.kind and len(found)):
        raise DataError(f"{table.path}: events: got equal ones, or no numbers as in {event}")
    place = order[np.minimum(np.searchsorted(ids, found, sorter=order), max(len(ids) - 1, 0))]
    if len(found) and (not len(ids) or (wrong := ids[place] != found).any()):
        row = ends[int(wrong.argmax())] if len(ids) else 0
        raise DataError(
            f"{table.path}: {event} of row {row} is not among the {len(ids)} events, expected one "
            "of them"
        )
    if (falls := np.diff(place) <= 0).any():
        row = ends[int(falls.argmax()) + 1]
        raise DataError(
            f"{table.path}: {event} of row {row} comes before that of the row before it in the "
            "list of events, expected both in the same order"
        )
    sizes = np.zeros(len(ids), np.int64)
    sizes[place] = np.diff(ends)
    return pointer(sizes)


def constant(values: Array, ptr: Array, where: str, first: int) -> Array:
    """The value of each run of rows [B], which is the same in all of them.

    Args:
        values: Of a column.
        ptr: Where runs begin, and N [B + 1].
        where: File and column, for messages.
        first: Number of the first event, for messages.

    Raises:
        DataError: a run has no row, or different values; names the event.
    """
    sizes = np.diff(ptr)
    if (empty := sizes == 0).any():
        raise DataError(
            f"{where} of event {first + int(empty.argmax())} is in no row, expected one that "
            "states it, or --condition from a table of events"
        )
    once = values[ptr[:-1]]
    if (bad := values != np.repeat(once, sizes)).any():
        row = int(bad.argmax())
        event = int(np.searchsorted(ptr, row, "right")) - 1
        raise DataError(
            f"{where} of event {first + event} is {once[event]} and {values[row]}, expected the "
            "same in all its rows"
        )
    return once
