"""Exact transport on the CPU: network simplex and, for equal masses, assignment; one compiled call.

Solvers see masses that sum to 1 and costs of at most 1. Their prices are made feasible on every
pair, which certifies the plan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from pcgen.errors import PcgenError
from pcgen.ops._kernels.assignment import assign
from pcgen.ops._kernels.simplex import network_simplex
from pcgen.ops._kernels.workspace import Workspace, row

# Enough for any problem that fits in memory; the solver stops at its optimum long before.
ITERATIONS = 10**9

_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


def optimal(space: Workspace, first: int, last: int, alike: np.ndarray) -> None:
    """The optima of problems first, ..., last - 1, to the accuracy of float64.

    Args:
        space: The problems.
        first: First of them.
        last: One behind the last.
        alike: Which problems [B] have equally many points of one mass on both sides: they go to
            the assignment solver, others to the network simplex.

    Raises:
        PcgenError: the network simplex gave up.
    """
    b = _solve(space, first, last, alike, ITERATIONS)
    if b >= 0:
        n, m = (int(ptr[b + 1] - ptr[b]) for ptr in (space.sides.ptr_x, space.sides.ptr_y))
        raise PcgenError(
            f"exact: the network simplex failed on cloud {b} ({n} x {m} points); expected weights "
            "and distances of a range that float64 resolves"
        )


@_compiled
def _solve(space: Workspace, first: int, last: int, alike: np.ndarray, iterations: int) -> int:
    """Solve the problems; return which of them failed, -1 for none."""
    for b in range(first, last):
        mass_x, mass_y, cost, scale = _assemble(space, b)
        if scale < 0.0:
            continue
        if alike[b]:
            target = assign(cost)
            _store_assignment(space, b, target)
            price_x, price_y = _assignment_prices(cost, target)
        else:
            plan, price_x, price_y, sound = network_simplex(mass_x, mass_y, cost, iterations)
            if not sound:
                return b
            _store_plan(space, b, plan)
        _certify(space, b, mass_x, mass_y, cost, scale, price_x, price_y)
    return -1


@_compiled
def _assemble(space: Workspace, b: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Masses that sum to 1, costs of at most 1 and their scale, slack particles last.

    The scale is -1 where a side has no mass: there is nothing to solve.
    """
    x = space.sides.x[space.sides.ptr_x[b] : space.sides.ptr_x[b + 1]]
    columns = space.sides.y[space.sides.ptr_y[b] : space.sides.ptr_y[b + 1]].T.copy()
    n, m = len(x), columns.shape[1]
    mass_x, mass_y = np.empty(n + (space.slack_x[b] > 0)), np.empty(m + (space.slack_y[b] > 0))
    cost = np.zeros((len(mass_x), len(mass_y)))
    mass_x[:n] = space.sides.weight_x[space.sides.ptr_x[b] : space.sides.ptr_x[b + 1]]
    mass_y[:m] = space.sides.weight_y[space.sides.ptr_y[b] : space.sides.ptr_y[b + 1]]
    mass_x[n:], mass_y[m:] = space.slack_x[b], space.slack_y[b]
    cost[n:, :m], cost[:n, m:] = space.slack_cost, space.slack_cost
    if mass_x.sum() <= 0.0 or mass_y.sum() <= 0.0:
        return mass_x, mass_y, cost, -1.0
    for i in range(n):
        row(x[i], columns, space.p, space.sides.period, cost[i, :m])
    scale = cost.max()
    if scale > 0.0:
        cost /= scale
    return mass_x / mass_x.sum(), mass_y / mass_y.sum(), cost, scale


@_compiled
def _total(space: Workspace, b: int) -> float:
    """Mass of one side of problem b, slack included."""
    return float(
        space.sides.weight_x[space.sides.ptr_x[b] : space.sides.ptr_x[b + 1]].sum()
        + space.slack_x[b]
    )


@_compiled
def _store_plan(space: Workspace, b: int, plan: np.ndarray) -> None:
    """Keep the entries of a dense plan between points."""
    x0, n = space.sides.ptr_x[b], space.sides.ptr_x[b + 1] - space.sides.ptr_x[b]
    y0, m = space.sides.ptr_y[b], space.sides.ptr_y[b + 1] - space.sides.ptr_y[b]
    scale, start, k = _total(space, b), x0 + y0, 0
    for i in range(n):
        for j in range(m):
            if plan[i, j] > 0.0:
                space.source[start + k], space.target[start + k] = x0 + i, y0 + j
                space.mass[start + k] = plan[i, j] * scale
                k += 1
    space.entries[b] = k


@_compiled
def _store_assignment(space: Workspace, b: int, target: np.ndarray) -> None:
    """Keep the plan that sends point i to point ``target[i]``."""
    x0, y0 = space.sides.ptr_x[b], space.sides.ptr_y[b]
    for i in range(len(target)):
        k = x0 + y0 + i
        space.source[k], space.target[k], space.mass[k] = (
            x0 + i,
            y0 + target[i],
            space.sides.weight_x[x0],
        )
    space.entries[b] = len(target)


@_compiled
def _assignment_prices(cost: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dual prices of an optimal assignment: shortest paths in its residual graph (Bellman-Ford)."""
    n = len(target)
    price = np.zeros(n)
    for _ in range(n):
        settled = True
        for i in range(n):
            start = price[target[i]] - cost[i, target[i]]
            for j in range(n):
                if start + cost[i, j] < price[j] - 1e-15:
                    price[j] = start + cost[i, j]
                    settled = False
        if settled:
            break
    return np.zeros(n), price


@_compiled
def _certify(
    space: Workspace,
    b: int,
    mass_x: np.ndarray,
    mass_y: np.ndarray,
    cost: np.ndarray,
    scale: float,
    price_x: np.ndarray,
    price_y: np.ndarray,
) -> None:
    """Make prices feasible on every pair, points without mass included; store them and the bound.

    Both c-transforms can only raise the bound; prices that were optimal stay so.
    """
    for i in range(len(mass_x)):
        price_x[i] = np.inf
        for j in range(len(mass_y)):
            if mass_y[j] > 0.0:
                price_x[i] = min(price_x[i], cost[i, j] - price_y[j])
    price_y[:] = np.inf
    for i in range(len(mass_x)):
        for j in range(len(mass_y)):
            price_y[j] = min(price_y[j], cost[i, j] - price_x[i])
    n, m = (
        space.sides.ptr_x[b + 1] - space.sides.ptr_x[b],
        space.sides.ptr_y[b + 1] - space.sides.ptr_y[b],
    )
    bound = (price_x * mass_x).sum() + (price_y * mass_y).sum()
    space.bound[b] = scale * _total(space, b) * bound
    space.price_x[space.sides.ptr_x[b] : space.sides.ptr_x[b + 1]] = scale * price_x[:n]
    space.price_y[space.sides.ptr_y[b] : space.sides.ptr_y[b + 1]] = scale * price_y[:m]
    if len(mass_x) > n:
        space.price_slack[b, 0] = scale * price_x[n]
    if len(mass_y) > m:
        space.price_slack[b, 1] = scale * price_y[m]
