r"""Exact transport on the CPU: network simplex (POT) and, for equal masses, assignment (SciPy).

The loops around both are compiled by Numba at first use and kept on disk.

References:
    Bonneel et al., Displacement interpolation using Lagrangian mass transport, 2011 (the simplex).
    Crouse, On implementing 2D rectangular assignment algorithms, 2016 (the assignment).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numba
import numpy as np
from scipy.optimize import linear_sum_assignment

from pcgen.errors import PcgenError
from pcgen.ops.ground import row
from pcgen.ops.workspace import Workspace

# Enough for any problem that fits in memory; the solver stops at its optimum long before.
ITERATIONS = 10**9

_Simplex = Callable[
    [np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, bool]
]


def simplex(space: Workspace, b: int) -> None:
    """The optimum of problem b by the network simplex, to the accuracy of float64.

    Raises:
        PcgenError: the solver gave up.
    """
    mass_x, mass_y, cost, scale = assemble(space, b)
    if scale < 0.0:
        return
    plan, price_x, price_y, optimal = _network_simplex()(mass_x, mass_y, cost)
    if not (optimal and store_plan(space, b, plan)):
        raise PcgenError(
            f"exact: the network simplex failed on cloud {b} ({mass_x.size} x {mass_y.size} "
            "points); expected weights and distances of a range that float64 resolves"
        )
    certify(space, b, mass_x, mass_y, cost, scale, price_x, price_y)


def assignment(space: Workspace, b: int) -> None:
    """The optimum of problem b, whose sides have equally many points of one mass each."""
    mass_x, mass_y, cost, scale = assemble(space, b)
    if scale < 0.0:
        return
    _, target = linear_sum_assignment(cost)
    store_assignment(space, b, target)
    price_x, price_y = assignment_prices(cost, target)
    certify(space, b, mass_x, mass_y, cost, scale, price_x, price_y)


@lru_cache(maxsize=1)
def _network_simplex() -> _Simplex:
    """POT's compiled solver, whose name is private; its public wrapper where that has gone.

    The wrapper takes several times as long on clouds of 30.
    """
    try:
        from ot.lp.emd_wrap import emd_c
    except ImportError:
        return public_simplex

    def private_simplex(
        mass_x: np.ndarray, mass_y: np.ndarray, cost: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        plan, _, price_x, price_y, code = emd_c(mass_x, mass_y, cost, ITERATIONS, 1)
        return plan, price_x, price_y, code == 1

    return private_simplex


def public_simplex(
    mass_x: np.ndarray, mass_y: np.ndarray, cost: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Plan, prices and whether they are optimal, through POT's public interface."""
    import ot

    plan, log = ot.emd(mass_x, mass_y, cost, numItermax=ITERATIONS, log=True)
    return plan, log["u"], log["v"], log["warning"] is None


def _assemble(space: Workspace, b: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Masses that sum to 1, costs of at most 1 and their scale, slack particles last.

    The scale is -1 where a side has no mass: there is nothing to solve.
    """
    x = space.x[space.ptr_x[b] : space.ptr_x[b + 1]]
    columns = space.y[space.ptr_y[b] : space.ptr_y[b + 1]].T.copy()
    n, m = len(x), columns.shape[1]
    mass_x, mass_y = np.empty(n + (space.slack_x[b] > 0)), np.empty(m + (space.slack_y[b] > 0))
    cost = np.zeros((len(mass_x), len(mass_y)))
    mass_x[:n] = space.mass_x[space.ptr_x[b] : space.ptr_x[b + 1]]
    mass_y[:m] = space.mass_y[space.ptr_y[b] : space.ptr_y[b + 1]]
    mass_x[n:], mass_y[m:] = space.slack_x[b], space.slack_y[b]
    cost[n:, :m], cost[:n, m:] = space.slack_cost, space.slack_cost
    if mass_x.sum() <= 0.0 or mass_y.sum() <= 0.0:
        return mass_x, mass_y, cost, -1.0
    for i in range(n):
        row(x[i], columns, space.p, space.period, cost[i, :m])
    scale = cost.max()
    if scale > 0.0:
        cost /= scale
    return mass_x / mass_x.sum(), mass_y / mass_y.sum(), cost, scale


def _total(space: Workspace, b: int) -> float:
    """Mass of one side of problem b, slack included."""
    return float(space.mass_x[space.ptr_x[b] : space.ptr_x[b + 1]].sum() + space.slack_x[b])


def _store_plan(space: Workspace, b: int, plan: np.ndarray) -> bool:
    """Keep the entries of a dense plan between points; false where it is no forest."""
    x0, n = space.ptr_x[b], space.ptr_x[b + 1] - space.ptr_x[b]
    y0, m = space.ptr_y[b], space.ptr_y[b + 1] - space.ptr_y[b]
    scale, start, k = total(space, b), x0 + y0, 0
    for i in range(n):
        for j in range(m):
            if plan[i, j] > 0.0:
                if k == n + m:
                    return False
                space.source[start + k], space.target[start + k] = x0 + i, y0 + j
                space.mass[start + k] = plan[i, j] * scale
                k += 1
    space.entries[b] = k
    return True


def _store_assignment(space: Workspace, b: int, target: np.ndarray) -> None:
    """Keep the plan that sends point i to point ``target[i]``."""
    x0, y0 = space.ptr_x[b], space.ptr_y[b]
    for i in range(len(target)):
        k = x0 + y0 + i
        space.source[k], space.target[k], space.mass[k] = x0 + i, y0 + target[i], space.mass_x[x0]
    space.entries[b] = len(target)


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
    n, m = space.ptr_x[b + 1] - space.ptr_x[b], space.ptr_y[b + 1] - space.ptr_y[b]
    bound = (price_x * mass_x).sum() + (price_y * mass_y).sum()
    space.bound[b] = scale * total(space, b) * bound
    space.price_x[space.ptr_x[b] : space.ptr_x[b + 1]] = scale * price_x[:n]
    space.price_y[space.ptr_y[b] : space.ptr_y[b + 1]] = scale * price_y[:m]
    if len(mass_x) > n:
        space.price_slack[b, 0] = scale * price_x[n]
    if len(mass_y) > m:
        space.price_slack[b, 1] = scale * price_y[m]


total = numba.njit(cache=True, nogil=True)(_total)
assemble = numba.njit(cache=True, nogil=True)(_assemble)
store_plan = numba.njit(cache=True, nogil=True)(_store_plan)
store_assignment = numba.njit(cache=True, nogil=True)(_store_assignment)
assignment_prices = numba.njit(cache=True, nogil=True)(_assignment_prices)
certify = numba.njit(cache=True, nogil=True)(_certify)
