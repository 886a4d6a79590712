"""Assignment of points of equal mass by shortest augmenting paths, compiled.

Order and ties are those of ``scipy.optimize.linear_sum_assignment``: it finds the same assignment.

References:
    Crouse, On implementing 2D rectangular assignment algorithms, 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@_compiled
def assign(cost: Array) -> Array:
    """The column of each row [n] that make the sum of costs [n, n] least."""
    n = len(cost)
    price_x, price_y = np.zeros(n), np.zeros(n)
    column, row, path = np.full(n, -1), np.full(n, -1), np.empty(n, np.int64)
    reach, remaining = np.empty(n), np.empty(n, np.uint32)
    for start in range(n):
        low, left = _nearest(cost, start, price_x, price_y, row, path, reach, remaining)
        price_x[start] += low
        for place in range(left, n):
            j = remaining[place]
            if row[j] >= 0:
                price_x[row[j]] += low - reach[j]
            price_y[j] -= low - reach[j]
        j, i = remaining[left], -1
        while i != start:
            i = path[j]
            row[j], column[i], j = i, j, column[i]
    return column


@_compiled
def _nearest(
    cost: Array, start: int, price_x: Array, price_y: Array, row: Array, path: Array,
    reach: Array, remaining: Array,
) -> tuple[float, int]:  # fmt: skip
    """Length of the shortest path from a row to a free column, and its place in ``remaining``.

    Args:
        cost: [n, n].
        start: The row.
        price_x, price_y: Dual prices [n].
        row: Of each column, -1 where it is free [n].
        path: Filled with the row before each column [n].
        reach: Filled with the length of the shortest path to each column [n].
        remaining: Filled with all columns [n], those that were visited last.
    """
    n = len(cost)
    for j in range(n):
        remaining[j], reach[j] = n - 1 - j, np.inf
    i, low, left = start, 0.0, n
    while True:
        best, least, to = -1, np.inf, cost[i]
        for place in range(left):
            j = remaining[place]
            length = low + to[j] - price_x[i] - price_y[j]
            if length < reach[j]:
                path[j], reach[j] = i, length
            if reach[j] < least or (reach[j] == least and row[j] < 0):
                best, least = place, reach[j]
        left -= 1
        low, j = least, remaining[best]
        remaining[best], remaining[left] = remaining[left], j
        if row[j] < 0:
            return low, left
        i = row[j]
