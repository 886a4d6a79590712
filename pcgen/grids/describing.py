"""What the plain dictionary of a calorimeter may hold, looked at before anything is built of it.

Lists of cells are long (a million numbers), and a dictionary goes into attributes of files and into
checkpoints. Each list is one text there: float64 of all layers, low bytes first, deflated and in
base64, beside the number of cells of each layer, ``counts``. Plain lists, one for each layer, are
read too.
"""

from __future__ import annotations

import base64
import math
import reprlib
import zlib
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

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
        if kind == "cells" and "counts" in fields:
            fields |= _unpacked(fields, fields.pop("counts"))
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


def packed(lists: Sequence[Sequence[float]]) -> str:
    """A list of each layer as one text."""
    flat = np.concatenate([np.asarray(each, dtype="<f8") for each in lists])
    return base64.b64encode(zlib.compress(flat.tobytes(), 9)).decode("ascii")


def _unpacked(fields: Mapping[str, Any], counts: Sequence[int]) -> dict[str, list[list[float]]]:
    """The lists of each layer.

    Raises:
        DataError: there are more than :data:`pcgen.bounds.VOXELS` cells.
        ValueError: a text is damaged, or of another length.
    """
    if not counts or any(type(count) is not int or count < 1 for count in counts):
        raise ValueError("counts that are no positive whole numbers")
    VOXELS.check(sum(counts), "calorimeter", DataError)
    size, ends, lists = 8 * sum(counts), [0, *accumulate(counts)], {}
    for name in CELLS["cells"]:
        unpacking = zlib.decompressobj()
        try:
            data = unpacking.decompress(base64.b64decode(fields[name], validate=True), size + 1)
        except zlib.error as error:
            raise ValueError(f"{name}: {error}") from error
        if len(data) != size or not unpacking.eof:
            raise ValueError(f"{name} is not of {sum(counts)} numbers")
        flat = np.frombuffer(data, "<f8").tolist()
        lists[name] = [flat[first:last] for first, last in pairwise(ends)]
    return lists


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
