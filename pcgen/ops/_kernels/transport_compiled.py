"""The compiled loops behind :mod:`.transport_fast`: what comes before and after the exact solver.

Points and weights are float32 or float64 (their type is that of costs, gaps and gradients); the
problem itself is float64. Sums run over the rows in their order, as the plain form adds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from pcgen.ops._kernels.differences_compiled import square_of, step_of
from pcgen.ops._kernels.workspace import Workspace

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@_compiled
def prepare(
    x: Array, y: Array, weight_x: Array, weight_y: Array, space: Workspace, alike: Array,
    largest: int,
) -> bool:  # fmt: skip
    """Fill points and masses of ``space``, and which problems are assignments.

    Weights that are empty arrays stand for 1/n. False where the plain form has to decide or refuse:
    clouds of more than ``largest`` points, pointers or numbers that cannot be used, one empty cloud
    beside another, totals that differ.
    """
    s = space.sides
    if not (_ordered(s.ptr_x, len(x), largest) and _ordered(s.ptr_y, len(y), largest)):
        return False
    if not (_copied(x, s.x) and _copied(y, s.y)):
        return False
    if not (
        _masses(weight_x, s.ptr_x, x, s.weight_x) and _masses(weight_y, s.ptr_y, y, s.weight_y)
    ):
        return False
    tolerance = np.sqrt(np.finfo(x.dtype).eps)
    for b in range(len(alike)):
        mass_x = s.weight_x[s.ptr_x[b] : s.ptr_x[b + 1]]
        mass_y = s.weight_y[s.ptr_y[b] : s.ptr_y[b + 1]]
        total_x, total_y = _sum(mass_x), _sum(mass_y)
        if (total_x > 0) != (total_y > 0):
            return False
        if not total_x > 0:
            mass_x[:], mass_y[:], alike[b] = 0.0, 0.0, False
            continue
        if not abs(total_x - total_y) <= tolerance * max(total_x, total_y):
            return False
        mean = 0.5 * (total_x + total_y)
        mass_x *= mean / total_x
        mass_y *= mean / total_y
        alike[b] = len(mass_x) == len(mass_y) and _equal(mass_x) and _equal(mass_y)
    return True


@_compiled
def settle(
    x: Array, y: Array, space: Workspace, tolerance: float,
    source: Array, target: Array, mass: Array, ptr: Array, cost: Array, gap: Array,
) -> bool:  # fmt: skip
    """Pack the plans; cost and gap of each problem [B]. False where the plain form has to decide.

    Args:
        x, y: Points.
        space: Solved.
        tolerance: Gap allowed, as a fraction of the bound; infinite where none was named.
        source, target, mass: Entries of the plans [N + M], of which the first ``ptr[B]`` count.
        ptr: First entry of each problem [B+1].
        cost, gap: [B].
    """
    s, k, kind = space.sides, 0, x.dtype.type
    small, large = (2.0**-80, 2.0**120) if x.itemsize == 4 else (2.0**-800, 2.0**1000)
    for b in range(len(cost)):
        optimum, moved, away = 0.0, kind(0), False
        start = s.ptr_x[b] + s.ptr_y[b]
        for entry in range(start, start + space.entries[b]):
            i, j = space.source[entry], space.target[entry]
            source[k], target[k], mass[k] = i, j, space.mass[entry]
            k += 1
            ground = square_of(s.x, s.y, i, j, s.period)
            ground = ground if space.p == 2 else np.sqrt(ground)
            optimum += space.mass[entry] * ground
            square = square_of(x, y, i, j, s.period)
            away = away or ground > 0
            if space.p == 1:
                if not square <= large or (square < small and ground > 0):
                    return False
                square = kind(np.sqrt(square))
            moved += kind(space.mass[entry]) * square
        ptr[b + 1] = k
        cost[b] = moved + (kind(optimum) - moved)
        gap[b] = max(optimum - space.bound[b], 0.0)
        if not np.isfinite(cost[b]) or (away and not cost[b] > 0):
            return False
        if tolerance < np.inf:
            x0, x1, y0, y1 = s.ptr_x[b], s.ptr_x[b + 1], s.ptr_y[b], s.ptr_y[b + 1]
            terms = _product(np.abs(space.price_x[x0:x1]), s.weight_x[x0:x1])
            terms += _product(np.abs(space.price_y[y0:y1]), s.weight_y[y0:y1])
            proven = tolerance * max(space.bound[b], 0.0) + 1e-12 * terms
            if optimum - space.bound[b] > proven:
                return False
    return True


@_compiled
def backward(
    slope: Array, x: Array, y: Array, space: Workspace, source: Array, target: Array, mass: Array,
    ptr: Array, of_x: Array, of_y: Array, of_weight_x: Array, of_weight_y: Array,
) -> None:  # fmt: skip
    """Gradients by points and weights, from those by the costs [B]; the arrays start at 0."""
    s, kind = space.sides, x.dtype.type
    zero = kind(0)
    for b in range(len(slope)):
        for k in range(ptr[b], ptr[b + 1]):
            i, j = source[k], target[k]
            factor = slope[b] * kind(mass[k])
            if space.p == 1:
                length = kind(np.sqrt(square_of(x, y, i, j, s.period)))
                factor = factor / (length + length) if length > 0 else zero
            for a in range(x.shape[1]):
                step = step_of(x[i, a] - y[j, a], s.period[a], x)
                move = factor * step + factor * step
                of_x[i, a] += move
                of_y[j, a] -= move
        x0, x1, y0, y1 = s.ptr_x[b], s.ptr_x[b + 1], s.ptr_y[b], s.ptr_y[b + 1]
        half_x = _product(space.price_x[x0:x1], s.weight_x[x0:x1])
        half_y = _product(space.price_y[y0:y1], s.weight_y[y0:y1])
        total = _sum(s.weight_x[x0:x1])
        shift = (half_y - half_x) / (2.0 * (total if total > 0 else 1.0))
        if len(of_weight_x):
            for i in range(x0, x1):
                of_weight_x[i] = slope[b] * kind(space.price_x[i] + shift)
        if len(of_weight_y):
            for j in range(y0, y1):
                of_weight_y[j] = slope[b] * kind(space.price_y[j] - shift)


@_compiled
def _ordered(ptr: Array, rows: int, largest: int) -> bool:
    if ptr[0] != 0 or ptr[len(ptr) - 1] != rows:
        return False
    good = True
    for b in range(len(ptr) - 1):
        good = good and 0 <= ptr[b + 1] - ptr[b] <= largest
    return good


@_compiled
def _copied(points: Array, wide: Array) -> bool:
    """Copy to float64; whether all are finite and of a size whose squares it holds."""
    largest = 0.0
    for i in range(points.shape[0]):
        for a in range(points.shape[1]):
            wide[i, a] = points[i, a]
            if not abs(wide[i, a]) < np.inf:
                return False
            largest = max(largest, abs(wide[i, a]))
    return points.itemsize == 4 or largest == 0.0 or 2.0**-300 < largest < 2.0**498


@_compiled
def _masses(weight: Array, ptr: Array, points: Array, mass: Array) -> bool:
    """Copy to float64, 1/n (rounded to the type of the points) where there are no weights."""
    kind, good = points.dtype.type, True
    if len(weight):
        for i in range(len(weight)):
            good = good and 0 <= weight[i] < np.inf
            mass[i] = weight[i]
        return good
    for b in range(len(ptr) - 1):
        if ptr[b + 1] > ptr[b]:
            mass[ptr[b] : ptr[b + 1]] = kind(kind(1) / kind(ptr[b + 1] - ptr[b]))
    return True


@_compiled
def _equal(mass: Array) -> bool:
    alike = mass[0] > 0
    for i in range(len(mass)):
        alike = alike and mass[i] == mass[0]
    return alike


@_compiled
def _sum(values: Array) -> float:
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


@_compiled
def _product(values: Array, others: Array) -> float:
    total = 0.0
    for i in range(len(values)):
        total += values[i] * others[i]
    return total
