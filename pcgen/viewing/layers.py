"""The layers of a calorimeter, as faint lines behind the points of a shower."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pcgen.grids import Calorimeter, CellList

Floats = NDArray[np.float64]

_CORNERS = 64
"""Corners of the rim of a cylinder."""
_OUTLINES = 12
"""Layers that are drawn, at most."""
_FAR = 3.0
"""A calorimeter that reaches so many times farther to the sides than its points is cut there."""


def widened(
    low: Floats, high: Floats, calorimeter: Calorimeter, *, whole: bool = False
) -> tuple[Floats, Floats]:
    """Ends of the axes that hold the points seen, from ``low`` [3] to ``high`` [3], and the layers.

    All of the depth is seen, and to the sides the rims of the layers where they are not far away;
    with ``whole`` the calorimeter alone, of which nothing is seen otherwise.
    """
    rims = np.concatenate([_rim(calorimeter, n) for n in range(len(calorimeter.layers))])
    least, most = rims.min(0), rims.max(0)
    pad = 0.02 * (most - least)
    edges = calorimeter.depth_edges
    if whole:
        return np.array([*(least - pad), edges[0]]), np.array([*(most + pad), edges[-1]])
    near = (most - least) <= _FAR * (high - low)[:2]
    low, high = low.copy(), high.copy()
    low[:2] = np.where(near, np.minimum(low[:2], least - pad), low[:2])
    high[:2] = np.where(near, np.maximum(high[:2], most + pad), high[:2])
    low[2], high[2] = min(low[2], edges[0]), max(high[2], edges[-1])
    return low, high


def outlines(low: Floats, high: Floats, calorimeter: Calorimeter) -> tuple[Floats, ...]:
    """Rims of the layers' front faces and of the last back, closed lines [n, 3] each.

    Every layer of a dozen, at equal steps of more; what is outside of the box is put on its sides.

    Args:
        low: Lower ends of the box, in the units of the axes [3].
        high: Upper ends [3].
        calorimeter: The layers.
    """
    edges, number = calorimeter.depth_edges, len(calorimeter.layers)
    faces = [*range(0, number, math.ceil(number / _OUTLINES)), number]
    found = []
    for face in faces:
        flat = np.clip(_rim(calorimeter, min(face, number - 1)), low[:2], high[:2])
        found.append(np.column_stack([flat, np.full(len(flat), edges[face])]))
    return tuple(found)


def _rim(calorimeter: Calorimeter, layer: int) -> Floats:
    """A closed line about the cells of a layer, (x, y) of its corners [n, 2]."""
    cells = calorimeter.layers[layer]
    if isinstance(cells, CellList):
        half = np.asarray(cells.size) / 2
        ends = [
            np.array([(c - half).min(), (c + half).max()])
            for c in map(np.asarray, (cells.x, cells.y))
        ]
    else:
        ends = [np.asarray(edges) for edges in cells.edges]
    first, second = ends
    if calorimeter.cylinder:
        angle = np.linspace(-np.pi, np.pi, _CORNERS + 1)
        angle[-1] = angle[0]
        return np.asarray(second[-1] * np.stack([np.cos(angle), np.sin(angle)], 1))
    return np.stack([first[[0, -1, -1, 0, 0]], second[[0, 0, -1, -1, 0]]], 1)
