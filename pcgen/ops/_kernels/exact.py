r"""Exact transport on the CPU: network simplex (POT) and, for equal masses, assignment (SciPy).

The loops around both are compiled by Numba at first use and kept on disk.

References:
    Bonneel et al., Displacement interpolation using Lagrangian mass transport, 2011 (the simplex).
    Crouse, On implementing 2D rectangular assignment algorithms, 2016 (the assignment).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from scipy.optimize import linear_sum_assignment

from pcgen.errors import PcgenError
from pcgen.ops._kernels.workspace import Workspace, row

# Enough for any problem that fits in memory; the solver stops at its optimum long before.
ITERATIONS = 10**9
# Costs that are prepared at once: about as many as the cache of a core holds.
ROOM = 2**16

_Simplex = Callable[
    [np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, bool]
]


class _Tables(NamedTuple):
    """Some problems in normal form, one after the other, slack particles last.

    Problem k has the masses ``mass_x[at_x[k] : at_x[k + 1]]``, likewise of y, the costs and the
    plan ``[at[k] : at[k + 1]]``, or the assignment ``target``, and prices beside the masses. Its
    costs are in units of ``scale[k]``, -1 where there is nothing to solve.
    """

    at_x: np.ndarray
    at_y: np.ndarray
    at: np.ndarray
    mass_x: np.ndarray
    mass_y: np.ndarray
    cost: np.ndarray
    scale: np.ndarray
    plan: np.ndarray
    target: np.ndarray
    price_x: np.ndarray
    price_y: np.ndarray


def optimal(space: Workspace, first: int, last: int, alike: np.ndarray) -> None:
    """The optima of problems first, ..., last - 1, to the accuracy of float64.

    Compiled loops prepare and finish many problems in one call: only the solvers themselves take
    and release Python's lock, for which threads on a busy machine wait long.

    Args:
        space: The problems.
        first: First of them.
        last: One behind the last.
        alike: Which problems [B] have equally many points of one mass on both sides: they go to
            the assignment solver, others to the network simplex.

    Raises:
        PcgenError: a solver gave up.
    """
    rows = np.diff(space.sides.ptr_x) + (space.slack_x > 0.0)
    columns = np.diff(space.sides.ptr_y) + (space.slack_y > 0.0)
    until = (rows * columns).cumsum()
    while first < last:
        room = ROOM + (until[first - 1] if first else 0)
        stop = min(max(int(np.searchsorted(until, room, side="right")), first + 1), last)
        _solve(space, first, stop, rows[first:stop], columns[first:stop], alike)
        first = stop


def _solve(
    space: Workspace,
    first: int,
    last: int,
    rows: np.ndarray,
    columns: np.ndarray,
    alike: np.ndarray,
) -> None:
    at_x, at_y, at = (np.concatenate([[0], n.cumsum()]) for n in (rows, columns, rows * columns))
    one, other, all_pairs = int(at_x[-1]), int(at_y[-1]), int(at[-1])
    tables = _Tables(
        at_x, at_y, at, np.empty(one), np.empty(other), np.empty(all_pairs), np.empty(len(rows)),
        np.empty(all_pairs), np.empty(one, np.int64), np.empty(one), np.empty(other),
    )  # fmt: skip
    assemble_all(space, first, tables)
    simplex = _network_simplex()
    # Numbers of Python: with those of NumPy the slices would take as long as the rest of the loop.
    shapes = list(zip(rows.tolist(), columns.tolist(), strict=True))
    starts = [p.tolist() for p in (at_x, at_y, at)]
    for k, scale in enumerate(tables.scale.tolist()):
        if scale < 0.0:
            continue
        x, y, pairs = [slice(p[k], p[k + 1]) for p in starts]
        cost = tables.cost[pairs].reshape(shapes[k])
        if alike[first + k]:
            tables.target[x] = linear_sum_assignment(cost)[1]
            continue
        plan, price_x, price_y, sound = simplex(tables.mass_x[x], tables.mass_y[y], cost)
        tables.plan[pairs] = plan.ravel() if sound else 1.0  # no plan: refused below
        tables.price_x[x], tables.price_y[y] = price_x, price_y
    failed = finish_all(space, first, alike, tables)
    if failed >= 0:
        raise PcgenError(
            f"exact: the network simplex failed on cloud {first + failed} ({rows[failed]} x "
            f"{columns[failed]} points); expected weights and distances of a range that float64 "
            "resolves"
        )


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


def _assemble_all(space: Workspace, first: int, tables: _Tables) -> None:
    """Fill masses, costs and scales of problems first, first + 1, ..."""
    t = tables
    for k in range(len(t.scale)):
        mass_x, mass_y, cost, t.scale[k] = assemble(space, first + k)
        t.mass_x[t.at_x[k] : t.at_x[k + 1]] = mass_x
        t.mass_y[t.at_y[k] : t.at_y[k + 1]] = mass_y
        t.cost[t.at[k] : t.at[k + 1]] = cost.ravel()


def _finish_all(space: Workspace, first: int, alike: np.ndarray, tables: _Tables) -> int:
    """Store plans, prices and bounds; return which problem has no sound plan, -1 for none."""
    t = tables
    for k in range(len(t.scale)):
        if t.scale[k] < 0.0:
            continue
        x, y = slice(t.at_x[k], t.at_x[k + 1]), slice(t.at_y[k], t.at_y[k + 1])
        mass_x, mass_y, b = t.mass_x[x], t.mass_y[y], first + k
        shape, pairs = (len(mass_x), len(mass_y)), slice(t.at[k], t.at[k + 1])
        cost = t.cost[pairs].reshape(shape)
        price_x, price_y = t.price_x[x], t.price_y[y]
        if alike[b]:
            store_assignment(space, b, t.target[x])
            price_x[:], price_y[:] = assignment_prices(cost, t.target[x])
        elif not store_plan(space, b, t.plan[pairs].reshape(shape)):
            return k
        certify(space, b, mass_x, mass_y, cost, t.scale[k], price_x, price_y)
    return -1


def _total(space: Workspace, b: int) -> float:
    """Mass of one side of problem b, slack included."""
    return float(
        space.sides.weight_x[space.sides.ptr_x[b] : space.sides.ptr_x[b + 1]].sum()
        + space.slack_x[b]
    )


def _store_plan(space: Workspace, b: int, plan: np.ndarray) -> bool:
    """Keep the entries of a dense plan between points; false where it is no forest."""
    x0, n = space.sides.ptr_x[b], space.sides.ptr_x[b + 1] - space.sides.ptr_x[b]
    y0, m = space.sides.ptr_y[b], space.sides.ptr_y[b + 1] - space.sides.ptr_y[b]
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
    x0, y0 = space.sides.ptr_x[b], space.sides.ptr_y[b]
    for i in range(len(target)):
        k = x0 + y0 + i
        space.source[k], space.target[k], space.mass[k] = (
            x0 + i,
            y0 + target[i],
            space.sides.weight_x[x0],
        )
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
    n, m = (
        space.sides.ptr_x[b + 1] - space.sides.ptr_x[b],
        space.sides.ptr_y[b + 1] - space.sides.ptr_y[b],
    )
    bound = (price_x * mass_x).sum() + (price_y * mass_y).sum()
    space.bound[b] = scale * total(space, b) * bound
    space.price_x[space.sides.ptr_x[b] : space.sides.ptr_x[b + 1]] = scale * price_x[:n]
    space.price_y[space.sides.ptr_y[b] : space.sides.ptr_y[b + 1]] = scale * price_y[:m]
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
assemble_all = numba.njit(cache=True, nogil=True)(_assemble_all)
finish_all = numba.njit(cache=True, nogil=True)(_finish_all)
