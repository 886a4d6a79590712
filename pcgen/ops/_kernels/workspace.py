"""A ragged batch of transport problems as arrays, and a compiled solver run over it by threads.

A method solves problems first, ..., last - 1 of a :class:`Workspace` and writes the results into
it. Its loops are compiled and run outside Python's lock, so that threads help.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import numba
import numpy as np
import torch

from pcgen.ops import threads
from pcgen.ops._kernels.problem import Flow, Problems, Solution
from pcgen.ops.sides import Sides

LOOKS = 64
"""How often a solver looks at each pair of points, about."""


class Workspace(NamedTuple):
    """:class:`~.problem.Problems` as NumPy arrays, and room for their solutions.

    Problem b has room for n + m entries of the plan, from row ``ptr_x[b] + ptr_y[b]`` on: an
    extreme plan is a forest on its n + m points.

    Attributes:
        sides: :class:`~pcgen.ops.sides.Sides` of arrays, the periods as an array too.
    """

    sides: Any
    slack_x: np.ndarray
    slack_y: np.ndarray
    slack_cost: float
    p: int
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
    pairs = (np.diff(space.sides.ptr_x) + 1) * (np.diff(space.sides.ptr_y) + 1)
    threads.run(partial(method, space), LOOKS * pairs)
    return _collect(problems, space)


def _allocate(problems: Problems) -> Workspace:
    def array(value: torch.Tensor) -> np.ndarray:
        return value.cpu().contiguous().numpy()

    sides, of_arrays = problems.sides, cast(Any, Sides)
    room = len(sides.x) + len(sides.y)
    return Workspace(
        sides=of_arrays(*map(array, sides[:-1]), np.array(sides.period)),
        slack_x=array(problems.slack_x),
        slack_y=array(problems.slack_y),
        slack_cost=problems.slack_cost,
        p=problems.p,
        source=np.empty(room, np.int64),
        target=np.empty(room, np.int64),
        mass=np.empty(room),
        entries=np.zeros(problems.number, np.int64),
        price_x=np.zeros(len(problems.sides.x)),
        price_y=np.zeros(len(problems.sides.y)),
        price_slack=np.zeros((problems.number, 2)),
        bound=np.zeros(problems.number),
    )


def _collect(problems: Problems, space: Workspace) -> Solution:
    device = problems.sides.x.device
    ptr = np.concatenate([[0], space.entries.cumsum()])
    shift = space.sides.ptr_x[:-1] + space.sides.ptr_y[:-1] - ptr[:-1]
    rows = np.arange(ptr[-1]) + np.repeat(shift, space.entries)
    parts = (space.source[rows], space.target[rows], space.mass[rows], ptr)
    prices = (space.price_x, space.price_y, space.price_slack[:, 0], space.price_slack[:, 1])
    flow = Flow(*(torch.from_numpy(part).to(device) for part in parts))
    return Solution(flow, *(torch.from_numpy(v).to(device) for v in (*prices, space.bound)))


def _row(
    point: np.ndarray, columns: np.ndarray, p: int, period: np.ndarray, out: np.ndarray
) -> None:
    """Ground cost of one point [D] to all of ``columns`` [D, M], written to ``out`` [M]."""
    out[:] = 0.0
    for k in range(len(point)):
        if period[k] > 0.0:
            for j in range(len(out)):
                step = point[k] - columns[k, j]
                step -= period[k] * np.rint(step / period[k])
                out[j] += step * step
        else:
            for j in range(len(out)):
                step = point[k] - columns[k, j]
                out[j] += step * step
    if p == 1:
        for j in range(len(out)):
            out[j] = math.sqrt(out[j])


row = numba.njit(cache=True, nogil=True)(_row)
