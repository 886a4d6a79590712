r"""Exact transport on the CPU: network simplex (POT) and assignment (SciPy), in a pool of threads.

Cost matrices, the sparse plan and the certificate are compiled loops beside the solver, all
outside Python's lock, so a ragged batch of small problems costs little more than its solves.

References:
    Bonneel et al., Displacement interpolation using Lagrangian mass transport, 2011 (the solver).
    Crouse, On implementing 2D rectangular assignment algorithms, 2016 (SciPy's assignment).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np
import torch

from pcgen.errors import PcgenError
from pcgen.ops.ground import pair
from pcgen.ops.problem import Flow, Problems, Solution


class _Arrays(NamedTuple):
    """:class:`Problems` as NumPy arrays, and room for the solutions."""

    x: np.ndarray
    y: np.ndarray
    ptr_x: np.ndarray
    ptr_y: np.ndarray
    mass_x: np.ndarray
    mass_y: np.ndarray
    slack_x: np.ndarray
    slack_y: np.ndarray
    slack_cost: float
    p: int
    period: np.ndarray
    source: np.ndarray
    target: np.ndarray
    mass: np.ndarray
    entries: np.ndarray
    price_x: np.ndarray
    price_y: np.ndarray
    price_slack: np.ndarray
    bound: np.ndarray


def exact(problems: Problems) -> Solution:
    """The optimal plan and prices of each problem, to the accuracy of float64.

    Clouds of a side without mass are left empty-handed: no flow, prices 0, bound 0.

    Raises:
        PcgenError: the solver gave up on a problem.
    """
    arrays = _allocate(problems)
    number = len(problems)
    work = np.diff(arrays.ptr_x) * np.diff(arrays.ptr_y)
    workers = min(torch.get_num_threads(), max(1, int(work.sum()) // 4096))
    if workers == 1:
        _solve_all(arrays, 0, number)
    else:
        share = np.searchsorted(work.cumsum(), np.linspace(0, work.sum(), 4 * workers + 1)[1:-1])
        edges = np.concatenate([[0], share, [number]])
        jobs = [_pool(workers).submit(_solve_all, arrays, *e) for e in pairwise(edges)]
        for job in jobs:
            job.result()
    return _collect(problems, arrays)


def _allocate(problems: Problems) -> _Arrays:
    given = problems._asdict()
    tensors = {n: v.cpu().contiguous().numpy() for n, v in given.items() if torch.is_tensor(v)}
    room = len(problems.x) + len(problems.y) + 2 * len(problems)
    return _Arrays(
        **tensors,
        slack_cost=problems.slack_cost,
        p=problems.p,
        period=np.array(problems.period),
        source=np.empty(room, np.int64),
        target=np.empty(room, np.int64),
        mass=np.empty(room),
        entries=np.zeros(len(problems), np.int64),
        price_x=np.zeros(len(problems.x)),
        price_y=np.zeros(len(problems.y)),
        price_slack=np.zeros((len(problems), 2)),
        bound=np.zeros(len(problems)),
    )


def _collect(problems: Problems, arrays: _Arrays) -> Solution:
    device = problems.x.device
    start = arrays.ptr_x[:-1] + arrays.ptr_y[:-1] + 2 * np.arange(len(problems))
    ptr = np.concatenate([[0], arrays.entries.cumsum()])
    rows = np.arange(ptr[-1]) + np.repeat(start - ptr[:-1], arrays.entries)
    parts = (arrays.source[rows], arrays.target[rows], arrays.mass[rows], ptr)
    prices = (arrays.price_x, arrays.price_y, arrays.price_slack[:, 0], arrays.price_slack[:, 1])
    flow = Flow(*(torch.from_numpy(part).to(device) for part in parts))
    return Solution(flow, *(torch.from_numpy(v).to(device) for v in (*prices, arrays.bound)))


@lru_cache(maxsize=2)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="pcgen-transport")


# Threads do not survive a fork (data-loader workers): the child starts its own.
os.register_at_fork(after_in_child=_pool.cache_clear)


def _solve_all(arrays: _Arrays, first: int, last: int) -> None:
    for b in range(first, last):
        mass_x, mass_y, cost, scale = assemble(arrays, b)
        if not (mass_x.size and mass_y.size):
            continue
        plan, price_x, price_y, optimal = _network_simplex()(mass_x, mass_y, cost)
        if not (optimal and finish(arrays, b, mass_x, mass_y, cost, scale, plan, price_x, price_y)):
            raise PcgenError(
                f"exact: the network simplex failed on cloud {b} ({mass_x.size} x {mass_y.size} "
                "points); expected weights and distances of a range that float64 resolves"
            )


_Simplex = Callable[
    [np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, bool]
]


@lru_cache(maxsize=1)
def _network_simplex() -> _Simplex:
    """POT's compiled solver; its public wrapper where the private name has gone.

    The wrapper takes five times as long on clouds of 30.
    """
    iterations = 10**9
    try:
        from ot.lp.emd_wrap import emd_c
    except ImportError:
        return _public_simplex

    def raw(
        mass_x: np.ndarray, mass_y: np.ndarray, cost: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        plan, _, price_x, price_y, code = emd_c(mass_x, mass_y, cost, iterations, 1)
        return plan, price_x, price_y, code == 1

    return raw


def _public_simplex(
    mass_x: np.ndarray, mass_y: np.ndarray, cost: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    import ot

    plan, log = ot.emd(mass_x, mass_y, cost, numItermax=10**9, log=True)
    return plan, log["u"], log["v"], log["warning"] is None


def _assemble(a: _Arrays, b: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Masses that sum to 1 and costs of at most 1 (times the scale), slack particles last."""
    x0, n, y0, m = a.ptr_x[b], a.ptr_x[b + 1] - a.ptr_x[b], a.ptr_y[b], a.ptr_y[b + 1] - a.ptr_y[b]
    rows, columns = n + (a.slack_x[b] > 0.0), m + (a.slack_y[b] > 0.0)
    mass_x, mass_y = np.empty(rows), np.empty(columns)
    cost = np.zeros((rows, columns))
    mass_x[:n], mass_y[:m] = a.mass_x[x0 : x0 + n], a.mass_y[y0 : y0 + m]
    if rows > n:
        mass_x[n] = a.slack_x[b]
        cost[n, :m] = a.slack_cost
    if columns > m:
        mass_y[m] = a.slack_y[b]
        cost[:n, m] = a.slack_cost
    if mass_x.sum() <= 0.0 or mass_y.sum() <= 0.0:
        return np.empty(0), np.empty(0), cost, 0.0
    for i in range(n):
        for j in range(m):
            cost[i, j] = pair(a.x, x0 + i, a.y, y0 + j, a.p, a.period)
    scale = cost.max()
    if scale > 0.0:
        cost /= scale
    return mass_x / mass_x.sum(), mass_y / mass_y.sum(), cost, scale


def _finish(
    a: _Arrays,
    b: int,
    mass_x: np.ndarray,
    mass_y: np.ndarray,
    cost: np.ndarray,
    scale: float,
    plan: np.ndarray,
    price_x: np.ndarray,
    price_y: np.ndarray,
) -> bool:
    """Store the plan and the certificate of problem b; false where the plan is no tree."""
    x0, n, y0, m = a.ptr_x[b], a.ptr_x[b + 1] - a.ptr_x[b], a.ptr_y[b], a.ptr_y[b + 1] - a.ptr_y[b]
    total = a.mass_x[x0 : x0 + n].sum() + a.slack_x[b]
    start, k = x0 + y0 + 2 * b, 0
    for i in range(n):
        for j in range(m):
            if plan[i, j] > 0.0:
                if k == n + m + 2:
                    return False
                a.source[start + k], a.target[start + k] = x0 + i, y0 + j
                a.mass[start + k] = plan[i, j] * total
                k += 1
    a.entries[b] = k
    # Prices feasible on every pair, points without mass included (the solver leaves those out).
    for i in range(len(mass_x)):
        price_x[i] = np.inf
        for j in range(len(mass_y)):
            if mass_y[j] > 0.0:
                price_x[i] = min(price_x[i], cost[i, j] - price_y[j])
    price_y[:] = np.inf
    for i in range(len(mass_x)):
        for j in range(len(mass_y)):
            price_y[j] = min(price_y[j], cost[i, j] - price_x[i])
    a.bound[b] = scale * total * ((price_x * mass_x).sum() + (price_y * mass_y).sum())
    a.price_x[x0 : x0 + n], a.price_y[y0 : y0 + m] = scale * price_x[:n], scale * price_y[:m]
    if len(mass_x) > n:
        a.price_slack[b, 0] = scale * price_x[n]
    if len(mass_y) > m:
        a.price_slack[b, 1] = scale * price_y[m]
    return True


assemble = numba.njit(cache=True, nogil=True)(_assemble)
finish = numba.njit(cache=True, nogil=True)(_finish)
