r"""The compiled loops behind :mod:`.neighbors_numba`.

``space`` is (period [A], 1 / period [A], line, single, width) of the A axes: ``line`` means that
nothing goes around a circle, ``single`` that moreover the coordinates are float32; ``width`` is a
tuple whose length is the number of axes that are unrolled, A itself unless A > 8. ``blocks`` holds
the points of a cloud axis by axis [n, A, 32], in float32 or in float64, the latter where A > 8.
Coordinates are float64, rows int64. Queries go a handful at a time through each stage: a call from
one compiled function to another hands over its arrays field by field, which would cost more than
the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import NDArray

BLOCK = 32
INFINITY = np.int64(0x7FF0000000000000)
"""As the bits of a float64."""
STAGE = 2048
"""Pairs of a query and a block in one go."""

Array = NDArray[Any]
Width = tuple[int, ...]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)
_fused: Callable[..., Any] = numba.njit(cache=True, nogil=True, fastmath={"nnan", "contract"})
_loose: Callable[..., Any] = numba.njit(cache=True, nogil=True, fastmath=True)


@_compiled
def search(
    points: Any, pointers: Any, space: Any, first: int, last: int, found: Array,
    limit: float, place: Array, near: Array,
) -> None:  # fmt: skip
    """Neighbours of rows first, ..., last - 1 of x.

    If ``limit`` is negative: the k nearest y of each, nearest first, to ``found`` [N, k]. Otherwise
    those of squared distance up to ``limit``: to ``near`` [E] from ``place`` [N] on, which moves
    along; only counted in ``place`` where ``near`` is empty.
    """
    x, y = points
    ptr_x, ptr_y, longest = pointers
    best = np.empty(found.shape[1], np.float64)
    blocks, lows, squared, pairs = _room(y, longest, space)
    for b in range(len(ptr_x) - 1):
        x0, x1, y0, y1 = max(first, ptr_x[b]), min(last, ptr_x[b + 1]), ptr_y[b], ptr_y[b + 1]
        if x0 < x1 and y0 < y1:
            _pack(y, y0, y1, blocks)
            number = -(-(y1 - y0) // BLOCK)
            step = max(STAGE // number, 1)
            low = lows[: step * number].reshape(step, number)
            for i0 in range(x0, x1, step):
                queries = x[i0 : min(i0 + step, x1)].copy()
                slack = 0.0, 0.0
                if limit >= 0 or number >= len(best):
                    slack = _look(queries, y, y0, y1, space, blocks, low)
                else:
                    low[: len(queries)] = 0.0  # no block can be left out
                chosen = pairs[: _choose(len(queries), low, limit, best, slack, pairs)]
                _measure(queries, space, blocks, chosen, squared)
                if limit >= 0:
                    _collect(i0, y0, y1, chosen, squared, limit, place, near)
                elif len(best) == 1:
                    _keep_one(i0, y0, chosen, squared, found)
                else:
                    _keep(i0, y0, y1, chosen, squared, best, found)


@_compiled
def _choose(
    queries: int, low: Array, limit: float, best: Array, slack: tuple[float, float], pairs: Array
) -> int:
    """Pairs (query, block) where the block may hold a neighbour; their number."""
    if low.shape[1] == 1:  # it is measured at once
        pairs[:queries, 0], pairs[:queries, 1] = np.arange(queries), 0
        return queries
    found = 0
    for i in range(queries):
        bound = limit
        if limit < 0:
            # k blocks have a point nearer than the k-th of these: the k-th neighbour is no farther.
            bound = _least(low[i]) if len(best) == 1 else _kth(low[i], best)
        bound = bound * (1 + slack[0]) + slack[1]
        for c in range(low.shape[1]):
            if low[i, c] <= bound:
                pairs[found, 0], pairs[found, 1] = i, c
                found += 1
    return found


@_compiled
def _least(values: Array) -> float:
    """Least of some values >= 0. Their order is that of their bits; the least of integers is found
    by vector instructions, the least of floats would not be, for fear of NaN."""
    keys = values.view(np.int64)
    least = keys[0]
    for j in range(len(keys)):
        least = keys[j] if keys[j] < least else least
    return np.int64(least).view(np.float64)


@_compiled
def _kth(values: Array, best: Array) -> float:
    """The k-th least of the values, k = len(best); infinite where there are fewer."""
    last = len(best) - 1
    best[:] = np.inf
    for value in values:
        if value < best[last]:
            place = last
            while place > 0 and best[place - 1] > value:
                best[place] = best[place - 1]
                place -= 1
            best[place] = value
    return best[last]


@_compiled
def _keep_one(i0: int, y0: int, pairs: Array, squared: Array, found: Array) -> None:
    """The nearest point of the blocks of each query; the lowest row among equally near ones."""
    keys, best, previous = squared.view(np.int64), INFINITY, -1
    for p in range(len(pairs)):
        if pairs[p, 0] != previous:
            best, previous = INFINITY, pairs[p, 0]
        least = keys[p, 0]
        for j in range(BLOCK):
            least = keys[p, j] if keys[p, j] < least else least
        if least < best:
            lane = BLOCK
            for j in range(BLOCK):
                here = j if keys[p, j] == least else BLOCK
                lane = here if here < lane else lane
            best, found[i0 + previous, 0] = least, y0 + pairs[p, 1] * BLOCK + lane


@_compiled
def _keep(
    i0: int, y0: int, y1: int, pairs: Array, squared: Array, best: Array, found: Array
) -> None:
    """Insert the points of the blocks among the k nearest, behind equally near ones."""
    last, previous = len(best) - 1, -1
    for p in range(len(pairs)):
        i = i0 + pairs[p, 0]
        if i != previous:
            best[:], previous = np.inf, i
        row = y0 + pairs[p, 1] * BLOCK
        for j in range(min(BLOCK, y1 - row)):
            distance = squared[p, j]
            if distance < best[last]:
                place = last
                while place > 0 and best[place - 1] > distance:
                    best[place], found[i, place] = best[place - 1], found[i, place - 1]
                    place -= 1
                best[place], found[i, place] = distance, row + j


@_compiled
def _collect(
    i0: int, y0: int, y1: int, pairs: Array, squared: Array, limit: float, place: Array, near: Array
) -> None:
    """Write or count the points of the blocks that are near enough."""
    for p in range(len(pairs)):
        i, row = i0 + pairs[p, 0], y0 + pairs[p, 1] * BLOCK
        for j in range(min(BLOCK, y1 - row)):
            if squared[p, j] <= limit:
                if len(near):
                    near[place[i]] = row + j
                place[i] += 1


@_compiled
def _room(y: Array, longest: int, space: Any) -> Any:
    """Scratch for the largest cloud: its blocks, least squared distances [stage], squared distances
    [stage, 32], pairs [stage, 2]."""
    axes = y.shape[1]
    single = space[3] and axes <= len(space[4])
    number = -(-longest // BLOCK)
    narrow = np.empty((number if single else 0, axes, BLOCK), np.float32)
    wide = np.empty((0 if single else number, axes, BLOCK), np.float64)
    stage = max(STAGE, number)
    squared, pairs = np.empty((stage, BLOCK), np.float64), np.empty((stage, 2), np.int64)
    return (narrow, wide), np.empty(stage, np.float64), squared, pairs


@_compiled
def _pack(y: Array, y0: int, y1: int, blocks: Any) -> None:
    """Fill the blocks with the rows y0, ..., y1 - 1, the rest of the last with the last row."""
    narrow, wide = blocks
    for c in range(-(-(y1 - y0) // BLOCK)):
        for a in range(y.shape[1]):
            for j in range(BLOCK):
                value = y[min(y0 + c * BLOCK + j, y1 - 1), a]
                if len(narrow):
                    narrow[c, a, j] = value
                else:
                    wide[c, a, j] = value


@_compiled
def _look(
    queries: Array, y: Array, y0: int, y1: int, space: Any, blocks: Any, low: Array
) -> tuple[float, float]:
    """First pass: the least squared distance of each query in each block; and by how much,
    relatively and absolutely, it may exceed the truth."""
    period, inverse, line, single, width = space
    number = -(-(y1 - y0) // BLOCK)
    if number == 1:
        return 0.0, 0.0
    if queries.shape[1] > len(width):
        if line:
            _lows_many(queries, y, y0, y1, low)
        else:
            low[: len(queries)] = 0.0  # unknown: each block is measured
        return 1e-12, 0.0
    if single:
        _lows_line(queries, blocks[0], number, width, low)
        return 1e-5, 1e-36
    _lows_circle(queries, blocks[1], number, width, period, inverse, low)
    return 0.0, 0.0


@_fused
def _lows_line(queries: Array, blocks: Array, number: int, width: Width, low: Array) -> None:
    """The fast sweep."""
    for i in range(len(queries)):
        q = to_fixed_tuple(queries[i], len(width))
        for c in range(number):
            block = blocks[c]
            least = np.int32(0x7F800000)  # infinity
            for j in range(BLOCK):
                total = np.float32(0)
                for a in range(len(width)):
                    step = np.float32(q[a]) - block[a, j]
                    total += step * step
                key = np.float32(total).view(np.int32)
                least = key if key < least else least
            low[i, c] = np.int32(least).view(np.float32)


@_compiled
def _lows_circle(
    queries: Array, blocks: Array, number: int, width: Width,
    period: Array, inverse: Array, low: Array,
) -> None:  # fmt: skip
    """The sweep around circles where the period is not 0: exact."""
    p, f = to_fixed_tuple(period, len(width)), to_fixed_tuple(inverse, len(width))
    for i in range(len(queries)):
        q = to_fixed_tuple(queries[i], len(width))
        for c in range(number):
            block = blocks[c]
            least = INFINITY
            for j in range(BLOCK):
                total = 0.0
                for a in range(len(width)):
                    step = q[a] - block[a, j]
                    step -= p[a] * np.rint(step * f[a])
                    total += step * step
                key = np.float64(total).view(np.int64)
                least = key if key < least else least
            low[i, c] = np.int64(least).view(np.float64)


@_loose
def _lows_many(queries: Array, y: Array, y0: int, y1: int, low: Array) -> None:
    """The sweep for more than 8 axes, vectorised over them."""
    for i in range(len(queries)):
        for c in range(-(-(y1 - y0) // BLOCK)):
            least = np.inf
            for j in range(y0 + c * BLOCK, min(y0 + (c + 1) * BLOCK, y1)):
                total = 0.0
                for a in range(queries.shape[1]):
                    step = queries[i, a] - y[j, a]
                    total += step * step
                least = min(least, total)
            low[i, c] = least


@_compiled
def _measure(queries: Array, space: Any, blocks: Any, pairs: Array, squared: Array) -> None:
    """Second pass: squared distances of each pair's query to its block's points, by the definition:
    axis after axis, in float64, without fused steps."""
    period, inverse, _, single, width = space
    if queries.shape[1] > len(width):
        _exact_many(queries, blocks[1], width, period, inverse, pairs, squared)
    elif single:
        _exact_line(queries, blocks[0], width, pairs, squared)
    else:
        _exact_circle(queries, blocks[1], width, period, inverse, pairs, squared)


@_compiled
def _exact_line(queries: Array, blocks: Array, width: Width, pairs: Array, squared: Array) -> None:
    for p in range(len(pairs)):
        q, c = to_fixed_tuple(queries[pairs[p, 0]], len(width)), pairs[p, 1]
        for j in range(BLOCK):
            total = 0.0
            for a in range(len(width)):
                step = q[a] - np.float64(blocks[c, a, j])
                total += step * step
            squared[p, j] = total


@_compiled
def _exact_circle(
    queries: Array, blocks: Array, width: Width, period: Array, inverse: Array,
    pairs: Array, squared: Array,
) -> None:  # fmt: skip
    p, f = to_fixed_tuple(period, len(width)), to_fixed_tuple(inverse, len(width))
    for n in range(len(pairs)):
        q = to_fixed_tuple(queries[pairs[n, 0]], len(width))
        block, row = blocks[pairs[n, 1]], squared[n]
        for j in range(BLOCK):
            total = 0.0
            for a in range(len(width)):
                step = q[a] - block[a, j]
                step -= p[a] * np.rint(step * f[a])
                total += step * step
            row[j] = total


@_compiled
def _exact_many(
    queries: Array, blocks: Array, width: Width, period: Array, inverse: Array,
    pairs: Array, squared: Array,
) -> None:  # fmt: skip
    """For more than 8 axes, 8 at a time: each total grows axis after axis all the same."""
    for n in range(len(pairs)):
        row = squared[n]
        row[:] = 0.0
        for first in range(0, queries.shape[1], len(width)):
            some = slice(first, first + len(width))
            q = to_fixed_tuple(queries[pairs[n, 0], some], len(width))
            block = blocks[pairs[n, 1], some]
            if period[some].any():
                p = to_fixed_tuple(period[some], len(width))
                f = to_fixed_tuple(inverse[some], len(width))
                for j in range(BLOCK):
                    for a in range(len(width)):
                        step = q[a] - block[a, j]
                        step -= p[a] * np.rint(step * f[a])
                        row[j] += step * step
            else:
                for j in range(BLOCK):
                    total = row[j]
                    for a in range(len(width)):
                        step = q[a] - block[a, j]
                        total += step * step
                    row[j] = total
