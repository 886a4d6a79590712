"""What the plain dictionary of a calorimeter may hold, looked at before anything is built of it."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from pcgen.bounds import EDGES, VOXELS
from pcgen.errors import DataError

CELLS = {
    "cylindrical": ("r_edges", "sectors"),
    "planar": ("x_edges", "y_edges"),
    "cells": ("x", "y", "size"),
}
"""What describes the cells of the layers, for each kind of calorimeter."""
_COMMON = ("numbers", "depth")


def entries_of(data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Kind of a calorimeter, and the arguments of the constructor of this name.

    Raises:
        DataError: an entry is missing, unknown or of the wrong kind, or there are too many voxels.
    """
    try:
        fields = dict(data)
        kind = fields.pop("kind")
        if kind not in CELLS or not set(fields) <= {*CELLS[kind], *_COMMON}:
            raise ValueError(f"kind {kind!r:.40} with {', '.join(map(str, fields))}"[:200])
        _check_size(kind, [fields[name] for name in CELLS[kind]])
        if any(type(number) is not int for number in fields.get("numbers", ())):
            raise ValueError("numbers that are no whole numbers")
    except DataError:
        raise
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
        raise unusable(data, error) from error
    return kind, fields


def unusable(data: Mapping[str, Any], reason: Exception) -> DataError:
    """The error about a dictionary that makes no calorimeter."""
    shown = reprlib.repr(data)
    return DataError(f"calorimeter: got {shown}, expected the fields of Calorimeter ({reason})")


def _check_size(kind: str, cells: Sequence[Sequence[Any]]) -> None:
    """Refuse more cells than fit into memory."""
    if kind == "cells":
        VOXELS.check(sum(map(len, cells[0])), "calorimeter", DataError)
        return
    counts = [[each if isinstance(each, int) else len(each) - 1 for each in axis] for axis in cells]
    for each in counts:
        EDGES.check(max(each, default=0), "calorimeter", DataError)
    VOXELS.check(sum(map(math.prod, zip(*counts, strict=True))), "calorimeter", DataError)
