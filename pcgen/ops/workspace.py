"""A ragged batch of transport problems as arrays, and a compiled solver run over it by threads.

A method solves problems first, ..., last - 1 of a :class:`Workspace` and writes the results into
it. Its loops are compiled and run outside Python's lock, so that threads help.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from pcgen.ops import threads
from pcgen.ops.problem import Flow, Problems, Solution

LOOKS = 64
"""How often a solver looks at each pair of points, about."""


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


Method = Callable[[Workspace, int, int], None]


def solve(problems: Problems, method: Method) -> Solution:
    """Every problem by ``method``, on as many threads as torch uses."""
    space = _allocate(problems)
    pairs = (np.diff(space.ptr_x) + 1) * (np.diff(space.ptr_y) + 1)
    threads.run(partial(method, space), LOOKS * pairs)
    return _collect(problems, space)


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
