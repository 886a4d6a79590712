"""The compiled loops behind :mod:`.chamfer_fast`: one call forward, one backward.

All arrays are float32 or all float64, of the type of the points, but for periods (float64) and rows
(int64). Squared distances are compared in float64, axis after axis and without fused steps, as
:mod:`pcgen.ops.points` defines them; values and gradients are added in the type of the points, in
the order of the rows, as the plain form in :mod:`.matches` adds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from pcgen.ops._kernels.differences_compiled import square_of, step_of

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)

LARGEST = 192
"""Points of the largest cloud; above it a search by blocks is faster."""


@_compiled
def forward(
    x: Array, y: Array, ptr_x: Array, ptr_y: Array, weight_x: Array, weight_y: Array,
    period: Array, pairs: int, squared: bool, mean: bool, sides: tuple[bool, bool],
    value: Array, part: Array, total: Array, to_y: Array, to_x: Array,
) -> bool:  # fmt: skip
    """Chamfer distances [B] to ``value``; false where the plain form has to decide or to refuse.

    Args:
        x, y: Points.
        ptr_x, ptr_y: Pointers.
        weight_x, weight_y: Weights; empty arrays stand for ones.
        period: Of each axis, 0 for a line.
        pairs: Most pairs of points that are worth it.
        squared, mean: As in :func:`pcgen.ops.chamfer`.
        sides: Whether the points of x, and of y, are taken to the other side.
        value: [B].
        part: Value of x and of y [2, B].
        total: Sum of the weights of x and of y [2, B].
        to_y, to_x: Nearest row of the other side [N], [M].
    """
    if not (_ordered(ptr_x, ptr_y, len(x), len(y), pairs) and _plain(x) and _plain(y)):
        return False
    if not (_weights(weight_x) and _weights(weight_y)):
        return False
    columns = np.empty((x.shape[1], LARGEST))
    squares, least, place = np.empty(LARGEST), np.empty(LARGEST), np.empty(LARGEST, np.int64)
    for b in range(len(value)):
        x0, x1, y0, y1 = ptr_x[b], ptr_x[b + 1], ptr_y[b], ptr_y[b + 1]
        if x1 > x0 and y1 > y0:
            m = y1 - y0
            _search(
                x[x0:x1], y[y0:y1], period, columns[:, :m], squares[:m], least[:m], place[:m],
                to_y[x0:x1],
            )  # fmt: skip
            for i in range(x0, x1):
                to_y[i] += y0
            for j in range(m):
                to_x[y0 + j] = x0 + place[j]
        total[0, b], total[1, b] = _total(weight_x, x0, x1), _total(weight_y, y0, y1)
        if (total[0, b] > 0) != (total[1, b] > 0):
            return False
        value[b], part[0, b], part[1, b] = 0, 0, 0
        if not total[0, b] > 0:
            continue
        moved = False
        if sides[0]:
            part[0, b], far = _sum(x, y, to_y, weight_x, x0, x1, period, squared)
            moved = moved or far
        if sides[1]:
            part[1, b], far = _sum(y, x, to_x, weight_y, y0, y1, period, squared)
            moved = moved or far
        if mean:
            part[0, b] /= total[0, b]
            part[1, b] /= total[1, b]
        value[b] = part[0, b] + part[1, b]
        if not np.isfinite(value[b]) or (moved and value[b] == 0):
            return False
    return True


@_compiled
def backward(
    slope: Array, x: Array, y: Array, ptr_x: Array, ptr_y: Array, weight_x: Array,
    weight_y: Array, period: Array, squared: bool, mean: bool, sides: tuple[bool, bool],
    part: Array, total: Array, to_y: Array, to_x: Array,
    of_x: Array, of_y: Array, of_weight_x: Array, of_weight_y: Array,
) -> None:  # fmt: skip
    """Gradients by x, y and the weights, from those by the distances [B]; the arrays start at 0."""
    if sides[0]:
        _back(
            slope, x, y, ptr_x, ptr_y, weight_x, period, squared, mean, part[0], total[0], to_y,
            of_x, of_y, of_weight_x,
        )  # fmt: skip
    if sides[1]:
        _back(
            slope, y, x, ptr_y, ptr_x, weight_y, period, squared, mean, part[1], total[1], to_x,
            of_y, of_x, of_weight_y,
        )  # fmt: skip


@_compiled
def _ordered(ptr_x: Array, ptr_y: Array, rows_x: int, rows_y: int, pairs: int) -> bool:
    """Whether both pointers ascend from 0 to the rows, and the clouds are small and few."""
    last = len(ptr_x) - 1
    if ptr_x[0] != 0 or ptr_y[0] != 0 or ptr_x[last] != rows_x or ptr_y[last] != rows_y:
        return False
    count = 0
    for b in range(last):
        n, m = ptr_x[b + 1] - ptr_x[b], ptr_y[b + 1] - ptr_y[b]
        if n < 0 or m < 0 or n > LARGEST or m > LARGEST:
            return False
        count += n * m
    return count <= pairs


@_compiled
def _plain(points: Array) -> bool:
    """Whether all coordinates are finite and of a size whose squares float64 holds."""
    largest = 0.0
    for i in range(points.shape[0]):
        for a in range(points.shape[1]):
            size = abs(np.float64(points[i, a]))
            if not size < np.inf:
                return False
            largest = max(largest, size)
    return largest == 0.0 or 2.0**-400 < largest < 2.0**500


@_compiled
def _weights(weight: Array) -> bool:
    good = True
    for i in range(len(weight)):
        good = good and 0 <= weight[i] < np.inf
    return good


@_compiled
def _total(weight: Array, first: int, last: int) -> float:
    if not len(weight):
        return weight.dtype.type(last - first)
    total = weight.dtype.type(0)
    for i in range(first, last):
        total += weight[i]
    return total


@_compiled
def _search(
    x: Array, y: Array, period: Array, columns: Array, squares: Array, least: Array,
    place: Array, nearest: Array,
) -> None:  # fmt: skip
    """Nearest y of each x to ``nearest``, nearest x of each y to ``place``; lowest rows of ties."""
    m, axes = y.shape
    for a in range(axes):
        for j in range(m):
            columns[a, j] = y[j, a]
    least[:] = np.inf
    place[:] = 0
    keys = squares.view(np.int64)  # squares are not negative: their bits have their order
    for i in range(len(x)):
        for a in range(axes):
            _add_axis(np.float64(x[i, a]), columns[a], period[a], a == 0, squares)
        low = keys[0]
        for j in range(m):
            low = keys[j] if keys[j] < low else low
            nearer = squares[j] < least[j]
            least[j] = squares[j] if nearer else least[j]
            place[j] = i if nearer else place[j]
        lane = m
        for j in range(m):
            here = j if keys[j] == low else m
            lane = here if here < lane else lane
        nearest[i] = lane


@_compiled
def _add_axis(point: float, column: Array, period: float, first: bool, squares: Array) -> None:
    """Add the squared differences along an axis; the first one sets them."""
    inverse = 1.0 / period if period > 0 else 0.0
    if first:
        squares[:] = 0.0
    if period > 0:
        for j in range(len(column)):
            step = point - column[j]
            step -= period * np.rint(step * inverse)
            squares[j] += step * step
    else:
        for j in range(len(column)):
            step = point - column[j]
            squares[j] += step * step


@_compiled
def _sum(
    x: Array, y: Array, row: Array, weight: Array, first: int, last: int, period: Array,
    squared: bool,
) -> tuple[float, bool]:  # fmt: skip
    """Weighted sum over the points of one cloud, and whether a point with weight is elsewhere.

    The sum is NaN where a length is out of the range in which its square is exact.
    """
    total, moved = x.dtype.type(0), False
    small, large = (2.0**-80, 2.0**120) if x.itemsize == 4 else (2.0**-800, 2.0**1000)
    for i in range(first, last):
        square = square_of(x, y, i, row[i], period)
        apart = False
        for a in range(x.shape[1]):
            apart = apart or step_of(x[i, a] - y[row[i], a], period[a], x) != 0
        apart = apart and (not len(weight) or weight[i] > 0)
        moved = moved or apart
        if not squared:
            if not square <= large or (square < small and apart):
                return x.dtype.type(np.nan), moved
            square = x.dtype.type(np.sqrt(square))
        total += square * weight[i] if len(weight) else square
    return total, moved


@_compiled
def _back(
    slope: Array, x: Array, y: Array, ptr_x: Array, ptr_y: Array, weight: Array, period: Array,
    squared: bool, mean: bool, part: Array, total: Array, row: Array,
    of_x: Array, of_y: Array, of_weight: Array,
) -> None:  # fmt: skip
    """Gradients of one direction. Those by y are gathered apart: x has its own from the other."""
    gathered, zero = np.zeros_like(y), x.dtype.type(0)  # with a plain 0 all would be float64
    for b in range(len(slope)):
        if ptr_x[b] == ptr_x[b + 1] or ptr_y[b] == ptr_y[b + 1] or not total[b] > 0:
            continue
        each = slope[b] / total[b] if mean else slope[b]
        shared = slope[b] * (part[b] / total[b]) if mean else zero
        for i in range(ptr_x[b], ptr_x[b + 1]):
            square = square_of(x, y, i, row[i], period)
            length = square if squared else x.dtype.type(np.sqrt(square))
            factor = each * weight[i] if len(weight) else each
            if len(of_weight):
                of_weight[i] = each * length - shared
            if not squared:
                factor = factor / (length + length) if square > 0 else zero
            for a in range(x.shape[1]):
                step = step_of(x[i, a] - y[row[i], a], period[a], x)
                move = factor * step + factor * step
                of_x[i, a] += move
                gathered[row[i], a] -= move
    of_y += gathered
