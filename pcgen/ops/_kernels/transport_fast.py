"""Exact, balanced transport of small clouds on the CPU: little beside the solver itself.

One compiled call checks and prepares all problems, one settles plans, costs and gaps, and one gives
the gradients. Everything else goes the plain way: a GPU, large clouds, penalties, other solvers,
derivatives of higher order or in forward mode, errors, and numbers at the ends of a float's range.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from pcgen.ops import threads
from pcgen.ops._kernels.fast import (
    Array,
    Plain,
    differentiable,
    period_array,
    suits,
    weight_array,
)
from pcgen.ops._kernels.problem import Flow
from pcgen.ops.points import Period
from pcgen.ops.sides import Sides

LARGEST = 255
"""Points of the largest cloud: from one point more on, the auction may be used."""


class Found(NamedTuple):
    """Costs, with gradients, gaps and plans."""

    cost: Tensor
    gap: Tensor
    flow: Flow


class _Solved(NamedTuple):
    space: Any
    source: Array
    target: Array
    mass: Array
    ptr: Array


def fast(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    weight_x: Tensor | None,
    weight_y: Tensor | None,
    period: Period | None,
    p: int,
    tolerance: float | None,
    plain: Plain,
) -> Found | None:
    """Exact transport; None where the plain form is to take over.

    Args:
        x, y, ptr_x, ptr_y, weight_x, weight_y, period, p, tolerance: Of
            :func:`pcgen.ops.earth_mover`, as rows.
        plain: Takes over where the derivative is to be differentiated.
    """
    if not suits(x, y, ptr_x, ptr_y, weight_x, weight_y):
        return None
    from pcgen.ops._kernels import exact, transport_compiled, workspace

    points = [side.detach().numpy() for side in (x, y)]
    weights = [weight_array(weight, x) for weight in (weight_x, weight_y)]
    ends = ptr_x.numpy(), ptr_y.numpy()
    number, kind = len(ptr_x) - 1, points[0].dtype
    lengths = period_array(period, x.shape[1])
    space = _space(points, ends, lengths, p)
    alike = np.empty(number, np.bool_)
    if not transport_compiled.prepare(*points, *weights, space, alike, LARGEST):
        return None
    pairs = (np.diff(ends[0]) + 1) * (np.diff(ends[1]) + 1)
    threads.run(partial(exact.optimal, space, alike=alike), workspace.LOOKS * pairs)
    room = len(x) + len(y)
    source, target, mass = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    ptr, cost, gap = np.zeros(number + 1, np.int64), np.empty(number, kind), np.empty(number, kind)
    plans = source, target, mass, ptr
    aim = np.inf if tolerance is None else tolerance
    if not transport_compiled.settle(*points, space, aim, *plans, cost, gap):
        return None
    last = int(ptr[-1])
    solved = _Solved(space, source[:last], target[:last], mass[:last], ptr)
    flow = Flow(*(torch.from_numpy(part) for part in solved[1:]))
    flow = flow._replace(mass=flow.mass.to(x.dtype))
    value = _Cost.apply(x, y, weight_x, weight_y, cost, solved, plain)
    return Found(value, torch.from_numpy(gap), flow)


def _space(points: list[Array], ends: tuple[Array, Array], period: Array, p: int) -> Any:
    """Room for problems without slack particles and for their solutions."""
    from pcgen.ops._kernels.workspace import Workspace

    sizes, number = [len(side) for side in points], len(ends[0]) - 1
    wide = [np.empty(side.shape) for side in points]
    none = np.empty(0, np.int64)
    masses, of_arrays = [np.empty(size) for size in sizes], cast(Any, Sides)
    return Workspace(
        sides=of_arrays(*wide, *ends, none, none, *masses, period),
        slack_x=np.zeros(number),
        slack_y=np.zeros(number),
        slack_cost=0.0,
        p=p,
        source=np.empty(sum(sizes), np.int64),
        target=np.empty(sum(sizes), np.int64),
        mass=np.empty(sum(sizes)),
        entries=np.zeros(number, np.int64),
        price_x=np.zeros(sizes[0]),
        price_y=np.zeros(sizes[1]),
        price_slack=np.zeros((number, 2)),
        bound=np.zeros(number),
    )


class _Cost(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        weight_x: Tensor | None,
        weight_y: Tensor | None,
        cost: Array,
        solved: _Solved,
        plain: Plain,
    ) -> Tensor:
        ctx.save_for_backward(x, y, weight_x, weight_y)
        ctx.solved, ctx.plain = solved, plain
        return torch.from_numpy(cost)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        inputs, needed = ctx.saved_tensors, ctx.needs_input_grad[:4]
        if torch.is_grad_enabled():  # somebody differentiates again
            return *differentiable(ctx.plain, inputs, needed, slopes[0]), None, None, None
        from pcgen.ops._kernels import transport_compiled

        points = [side.detach().numpy() for side in inputs[:2]]
        out = [np.zeros_like(side) for side in points]
        for side, wanted in zip(points, needed[2:], strict=True):
            out.append(np.zeros(len(side) if wanted else 0, side.dtype))
        slope = slopes[0].contiguous().numpy()
        transport_compiled.backward(slope, *points, *ctx.solved, *out)
        found = [torch.from_numpy(z) if n else None for z, n in zip(out, needed, strict=True)]
        return *found, None, None, None
