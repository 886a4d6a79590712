"""A command with options of every kind, called ``pcgen do it``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pcgen.errors import DataError
from pcgen.tools import cli

if TYPE_CHECKING:
    from nowhere import Unknown  # a type of what is returned, known to type checkers alone


def command(
    source: str,
    second: str = "-",
    *,
    threshold: float = 0.0,
    mode: Literal["a", "b"] = "a",
    raw: bool = False,
    maybe: bool | None = None,
    how_many: int = 1,
    count: dict[str, int] | None = None,
    names: list[str] | None = None,
    cells: list[int] | None = None,
    edges: tuple[float, float] = (0.0, 1.0),
    phases: dict[str, dict[str, Any]] | None = None,
) -> Unknown:
    """Do something with a file.

    Args:
        source: File to read.
        second: Another.
        threshold: Energy [GeV] below which a cell is empty.
        mode: How.
        raw: As it is.
        maybe: Or not.
        how_many: Times.
        count: Of each.
        names: Their names.
        cells: Along each axis.
        edges: Of the range, 100% of it.
        phases: Options of each.
    """
    if source == "bad":
        raise DataError("bad: got NaN, expected numbers")
    print(source, second, threshold, mode, raw)
    seen.append({"count": count, "names": names, "cells": cells, "edges": edges, "phases": phases,
                 "maybe": maybe})  # fmt: skip


seen: list[dict[str, Any]] = []


def status(words: list[str]) -> Any:
    """The exit status, returned or raised."""
    try:
        return cli.main(words)
    except SystemExit as stop:
        return stop.code
