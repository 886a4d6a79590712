r"""Certified assignment by auction, on the CPU.

n points of x bid for n points of y. Prices :math:`\pi_j` start at 0; an unassigned i takes
the j that minimises :math:`c_{ij} + \pi_j` and raises its price by the margin over the second best
plus :math:`\epsilon`. When all are assigned, for :math:`u_i = \min_j c_{ij} + \pi_j`,

.. math:: \sum_i u_i - \sum_j \pi_j \le \text{optimum} \le \sum_i c_{i,j(i)}
          \le \sum_i u_i - \sum_j \pi_j + n\epsilon .

:math:`\epsilon` falls from a fraction of the largest cost until the two sides agree to the
tolerance. Distances are computed as they are needed, from coordinates that stay in the cache; no
n x n matrix is held.

A bid seldom looks at all n prices: prices only rise, so what was above the K-th best when i last
looked still is, and while two of the K candidates remembered then are below that, they are the
best two.

References:
    Bertsekas, The auction algorithm, Annals of Operations Research 14 (1988) 105.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from pcgen.ops._kernels.workspace import Workspace, row

CANDIDATES = 10
FALL = 6.0
# Times that every point reads every price, after which the assignment solver is the better choice.
PATIENCE = 400


def auction(space: Workspace, first: int, last: int, tolerance: float) -> None:
    """Plans and bounds of problems first, ..., last - 1.

    The sides of each have equally many points of one mass. The gap is at most ``tolerance`` times
    the bound, or the bound is -inf: the auction gave up.
    """
    for b in range(first, last):
        _auction(space, b, tolerance)


def _auction(space: Workspace, b: int, tolerance: float) -> None:
    rows_x = slice(space.sides.ptr_x[b], space.sides.ptr_x[b + 1])
    rows_y = slice(space.sides.ptr_y[b], space.sides.ptr_y[b + 1])
    columns_x, columns_y = space.sides.x[rows_x].T.copy(), space.sides.y[rows_y].T.copy()
    target, price_x, price_y = bid(columns_x, columns_y, space.p, space.sides.period, tolerance)
    if len(target) == 0:
        space.bound[b] = -np.inf
        return
    entries = slice(rows_x.start + rows_y.start, rows_x.start + rows_y.start + len(target))
    space.source[entries] = np.arange(rows_x.start, rows_x.stop)
    space.target[entries] = rows_y.start + target
    space.mass[entries] = space.sides.weight_x[rows_x]
    space.entries[b] = len(target)
    space.price_x[rows_x], space.price_y[rows_y] = price_x, price_y
    space.bound[b] = space.sides.weight_x[rows_x.start] * (price_x.sum() + price_y.sum())


class _State(NamedTuple):
    """Coordinates [D, n], prices of y [n], and for each point of x what it remembers.

    ``candidate`` [n, K] are its best offers at its last look, ``cost`` their ground costs, and all
    other offers are no better than ``beyond`` [n].
    """

    x: np.ndarray
    y: np.ndarray
    p: int
    period: np.ndarray
    price: np.ndarray
    values: np.ndarray
    candidate: np.ndarray
    cost: np.ndarray
    beyond: np.ndarray


def _look(s: _State, i: int) -> None:
    """Point i looks at all prices and remembers the K best offers."""
    row(s.x[:, i], s.y, s.p, s.period, s.values)
    k, size = s.candidate.shape[1], 0
    best, where = np.full(k + 1, np.inf), np.zeros(k + 1, np.int64)
    for j in range(len(s.values)):
        value = s.values[j] + s.price[j]
        if value < best[k]:
            size = min(size + 1, k + 1)
            slot = size - 1
            while slot > 0 and best[slot - 1] > value:
                best[slot], where[slot] = best[slot - 1], where[slot - 1]
                slot -= 1
            best[slot], where[slot] = value, j
    s.beyond[i] = best[k]
    for slot in range(k):
        s.candidate[i, slot] = where[slot]
        s.cost[i, slot] = s.values[where[slot]]


def _remembered(s: _State, i: int) -> tuple[int, float, float]:
    """The best remembered offer for point i, its value and the second best value."""
    first, second, chosen = np.inf, np.inf, -1
    for slot in range(s.candidate.shape[1]):
        j = s.candidate[i, slot]
        value = s.cost[i, slot] + s.price[j]
        if value < first:
            first, second, chosen = value, first, j
        elif value < second:
            second = value
    return chosen, first, second


def _assign(s: _State, target: np.ndarray, epsilon: float, patience: int) -> int:
    """Auction until every point of x has one of y, in ``target``; return how many prices it read.

    More than ``patience`` of them: it gave up.
    """
    n, read = len(target), 0
    owner = np.full(n, -1)
    waiting = np.arange(n)
    top = n
    while top > 0 and read <= patience:
        top -= 1
        i = waiting[top]
        j, first, second = remembered(s, i)
        read += s.candidate.shape[1]
        if second > s.beyond[i]:
            look(s, i)
            read += n
            j, first, second = remembered(s, i)
        if n > 1:
            s.price[j] += second - first
        s.price[j] += epsilon
        if owner[j] >= 0:
            waiting[top] = owner[j]
            top += 1
        owner[j], target[i] = i, j
    return read


def _offers(s: _State, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Best value of each point of x, and the cost of the assignment."""
    n = len(target)
    best, primal, one = np.empty(n), 0.0, np.empty(1)
    for i in range(n):
        _, first, _ = remembered(s, i)
        if first > s.beyond[i]:
            look(s, i)
            _, first, _ = remembered(s, i)
        best[i] = first
        row(s.x[:, i], s.y[:, target[i] : target[i] + 1], s.p, s.period, one)
        primal += one[0]
    return best, primal


def _bid(
    x: np.ndarray, y: np.ndarray, p: int, period: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Assignment and prices of both sides, certified to ``tolerance``; empty: it gave up."""
    n = x.shape[1]
    k = min(CANDIDATES, n)
    candidate, beyond = np.zeros((n, k), np.int64), np.full(n, -np.inf)
    s = _State(x, y, p, period, np.zeros(n), np.empty(n), candidate, np.zeros((n, k)), beyond)
    target, patience = np.empty(n, np.int64), PATIENCE * n * n
    epsilon = largest(x, y, p, period) / 8.0
    smallest = 1e-12 * epsilon
    while epsilon > smallest and patience > 0:
        patience -= assign(s, target, epsilon, patience)
        if patience < 0:
            break
        best, primal = offers(s, target)
        bound = best.sum() - s.price.sum()
        if primal - bound <= tolerance * bound:
            return target, best, -s.price
        # n epsilon bounds the gap: nothing finer than the tolerance is needed.
        epsilon = min(max(epsilon / FALL, tolerance * bound / n), epsilon / 2.0)
    return target[:0], s.price, s.price


def _largest(x: np.ndarray, y: np.ndarray, p: int, period: np.ndarray) -> float:
    """No pair costs more: the diagonal of the box around both clouds."""
    square = 0.0
    for k in range(len(x)):
        step = max(x[k].max(), y[k].max()) - min(x[k].min(), y[k].min())
        if period[k] > 0.0:
            step = min(step, 0.5 * period[k])
        square += step * step
    return square if p == 2 else math.sqrt(square)


look = numba.njit(cache=True, nogil=True)(_look)
remembered = numba.njit(cache=True, nogil=True)(_remembered)
assign = numba.njit(cache=True, nogil=True)(_assign)
offers = numba.njit(cache=True, nogil=True)(_offers)
largest = numba.njit(cache=True, nogil=True)(_largest)
bid = numba.njit(cache=True, nogil=True)(_bid)
