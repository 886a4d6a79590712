"""Differences and squared distances of two points in compiled loops, in the type of the points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@_compiled
def step_of(difference: float, period: float, like: Array) -> float:
    """Shortest difference, in the type of the points, as :func:`pcgen.ops.points.wrap` takes it."""
    if period > 0:
        kind = like.dtype.type
        return difference - kind(period) * np.rint(difference * kind(1.0 / period))
    return difference


@_compiled
def square_of(x: Array, y: Array, i: int, j: int, period: Array) -> float:
    """Squared distance of row i of x and row j of y, in the type of the points."""
    total = x.dtype.type(0)
    for a in range(x.shape[1]):
        step = step_of(x[i, a] - y[j, a], period[a], x)
        total += step * step
    return total
