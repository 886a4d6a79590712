"""Runs a compiled solver over a ragged batch of transport problems, in a pool of threads.

A method solves problem b of a :class:`Workspace` and writes the result into it. Its loops are
compiled and run outside Python's lock, so threads help and small problems cost little extra.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from pcgen.ops.problem import Flow, Problems, Solution


class Workspace(NamedTuple):
    """:class:`~pcgen.ops.problem.Problems` as NumPy arrays, and room for their solutions.

    Problem b has room for n + m entries of the plan, from row ``ptr_x[b] + ptr_y[b]`` on: an
    extreme plan is a forest on its n + m points.
    """

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


Method = Callable[[Workspace, int], None]


def solve(problems: Problems, method: Method) -> Solution:
    """Every problem by ``method``, on as many threads as torch uses."""
    space = _allocate(problems)
    number = problems.number
    work = (np.diff(space.ptr_x) + 1) * (np.diff(space.ptr_y) + 1)
    workers = min(torch.get_num_threads(), number, 1 + int(work.sum()) // 4096)
    if workers <= 1:
        _solve_range(space, method, 0, number)
    else:
        # Several shares per thread, of equal work, even out what the solver makes of it.
        share = np.linspace(0, work.sum(), 4 * workers + 1)[1:-1]
        edges = [0, *np.searchsorted(work.cumsum(), share).tolist(), number]
        pool = _pool(workers)
        jobs = [pool.submit(_solve_range, space, method, *edge) for edge in pairwise(edges)]
        for job in jobs:
            job.result()
    return _collect(problems, space)


def _solve_range(space: Workspace, method: Method, first: int, last: int) -> None:
    for b in range(first, last):
        method(space, b)


@lru_cache(maxsize=2)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="pcgen-transport")


# Threads do not survive a fork (data-loader workers): the child starts its own.
os.register_at_fork(after_in_child=_pool.cache_clear)


def _allocate(problems: Problems) -> Workspace:
    names = ("x", "y", "ptr_x", "ptr_y", "mass_x", "mass_y", "slack_x", "slack_y")
    tensors = {n: getattr(problems, n).cpu().contiguous().numpy() for n in names}
    room = len(problems.x) + len(problems.y)
    return Workspace(
        **tensors,
        slack_cost=problems.slack_cost,
        p=problems.p,
        period=np.array(problems.period),
        source=np.empty(room, np.int64),
        target=np.empty(room, np.int64),
        mass=np.empty(room),
        entries=np.zeros(problems.number, np.int64),
        price_x=np.zeros(len(problems.x)),
        price_y=np.zeros(len(problems.y)),
        price_slack=np.zeros((problems.number, 2)),
        bound=np.zeros(problems.number),
    )


def _collect(problems: Problems, space: Workspace) -> Solution:
    device = problems.x.device
    ptr = np.concatenate([[0], space.entries.cumsum()])
    shift = space.ptr_x[:-1] + space.ptr_y[:-1] - ptr[:-1]
    rows = np.arange(ptr[-1]) + np.repeat(shift, space.entries)
    parts = (space.source[rows], space.target[rows], space.mass[rows], ptr)
    prices = (space.price_x, space.price_y, space.price_slack[:, 0], space.price_slack[:, 1])
    flow = Flow(*(torch.from_numpy(part).to(device) for part in parts))
    return Solution(flow, *(torch.from_numpy(v).to(device) for v in (*prices, space.bound)))
