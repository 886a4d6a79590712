r"""Transport problems as rectangles, in chunks that fit in memory, and what turns potentials into
certified solutions.

From entropic potentials f, g at temperature :math:`\epsilon` follow

- a plan :math:`P_{ij} = a_i a'_j e^{(f_i + g_j - c_ij)/\epsilon}`, of which the entries too small
  to matter are dropped; rows, then columns that carry too much are scaled down, and what is then
  missing is paired in the order of the first coordinate (a north-west corner plan). The result is
  feasible and sparse (Altschuler, Weed, Rigollet, arXiv:1705.09634, algorithm 2, but for the last
  step, where theirs is dense);
- prices :math:`v_j = \min_i c_{ij} - f_i`, :math:`u_i = \min_j c_{ij} - v_j` that are feasible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.ops._kernels import ground
from pcgen.ops._kernels.problem import Flow, Problems, Solution

# Pairs of points held at once: 16 MB of float64 suit a CPU's cache, a GPU wants more at a time.
CHUNK = {"cpu": 2**21, "cuda": 2**25}
DROP = 1e-5


class Dense(NamedTuple):
    """b problems, padded; the slack particles are the last row and the last column.

    Attributes:
        cost: [b, n, m] float64, divided by ``scale``.
        mass_x, mass_y: [b, n], [b, m] float64, divided by ``total``; 0 in the padding.
        present_x, present_y: Rows and columns that exist [b, n], [b, m].
        order_x, order_y: Key by which residual mass is paired [b, n], [b, m].
        scale, total: Largest cost and mass of the heavier side [b], never 0.
    """

    cost: Tensor
    mass_x: Tensor
    mass_y: Tensor
    present_x: Tensor
    present_y: Tensor
    order_x: Tensor
    order_y: Tensor
    scale: Tensor
    total: Tensor


def chunks(ptr_x: Tensor, ptr_y: Tensor) -> Iterator[Tensor]:
    """Indices of pairs of clouds of similar size whose pairs of points fit in memory together."""
    largest = torch.maximum(ptr_x.diff(), ptr_y.diff()) + 1
    size, order = torch.sort(largest, descending=True, stable=True)
    limit, start = CHUNK.get(ptr_x.device.type, CHUNK["cuda"]), 0
    while start < len(order):
        stop = start + max(1, limit // int(size[start]) ** 2)
        yield order[start:stop]
        start = stop


def densify(problems: Problems) -> Dense:
    """Padded costs and masses of all ``problems``."""
    x, present_x = pad(problems.sides.x, problems.sides.ptr_x)
    y, present_y = pad(problems.sides.y, problems.sides.ptr_y)
    mass_x = pad(problems.sides.weight_x, problems.sides.ptr_x)[0]
    mass_y = pad(problems.sides.weight_y, problems.sides.ptr_y)[0]
    mass_x[:, -1], mass_y[:, -1] = problems.slack_x, problems.slack_y
    present_x[:, -1], present_y[:, -1] = problems.slack_x > 0, problems.slack_y > 0
    cost = ground.cost(x[:, :, None], y[:, None], problems.p, problems.sides.period)
    cost[:, -1], cost[:, :, -1] = problems.slack_cost, problems.slack_cost
    cost[:, -1, -1] = 0.0
    real = present_x[:, :, None] & present_y[:, None]
    scale = torch.where(real, cost, 0.0).amax((1, 2))
    scale = torch.where(scale > 0, scale, 1.0)
    total = torch.maximum(mass_x.sum(1), mass_y.sum(1))
    total = torch.where(total > 0, total, 1.0)
    return Dense(
        # Padding has no mass: a cost like any other keeps its potentials harmless.
        torch.where(real, cost / scale[:, None, None], 1.0),
        mass_x / total[:, None],
        mass_y / total[:, None],
        present_x,
        present_y,
        x[..., 0],
        y[..., 0],
        scale,
        total,
    )


def pad(value: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
    """[N, ...] as [b, n_max + 1, ...], 0 where no point is, and where one is."""
    sizes = ptr.diff()
    slot = torch.arange(int(sizes.max()) + 1, device=ptr.device)
    present = slot < sizes[:, None]
    row = torch.where(present, ptr[:-1, None] + slot, len(value))
    return torch.cat([value, value.new_zeros(1, *value.shape[1:])])[row], present


def gibbs(dense: Dense, f: Tensor, g: Tensor, epsilon: Tensor) -> Tensor:
    """The plan of potentials [b, n], [b, m] at temperature [b], negligible entries dropped."""
    mass_x, mass_y = dense.mass_x[:, :, None], dense.mass_y[:, None]
    exponent = (f[:, :, None] + g[:, None] - dense.cost) / epsilon[:, None, None]
    plan = mass_x * mass_y * exponent.clamp(max=500.0).exp()
    rows, columns = dense.present_x.sum(1), dense.present_y.sum(1)
    small = DROP * torch.maximum(
        mass_x / columns[:, None, None].clamp(min=1), mass_y / rows[:, None, None].clamp(min=1)
    )
    return torch.where(plan > small, plan, 0.0)


def feasible(dense: Dense, plan: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A plan with exact marginals: the scaled one [b, n, m] and a corner plan beside it.

    Returns:
        Scaled plan; rows, columns and masses [b, n + m] of the corner plan.
    """
    plan = plan * _at_most_one(dense.mass_x, plan.sum(2))[:, :, None]
    plan = plan * _at_most_one(dense.mass_y, plan.sum(1))[:, None]
    left_x = (dense.mass_x - plan.sum(2)).clamp(min=0.0)
    left_y = (dense.mass_y - plan.sum(1)).clamp(min=0.0)
    order_x, order_y = dense.order_x.argsort(1), dense.order_y.argsort(1)
    end_x, end_y = left_x.gather(1, order_x).cumsum(1), left_y.gather(1, order_y).cumsum(1)
    # Both sides miss the same mass, but for rounding.
    end_y = end_y * (end_x[:, -1:] / end_y[:, -1:].clamp(min=1e-300))
    ends = torch.cat([end_x, end_y], 1).sort(1).values
    mass = ends.diff(dim=1, prepend=torch.zeros_like(ends[:, :1]))
    middle = ends - 0.5 * mass
    row = torch.searchsorted(end_x, middle).clamp(max=end_x.shape[1] - 1)
    column = torch.searchsorted(end_y, middle).clamp(max=end_y.shape[1] - 1)
    return plan, order_x.gather(1, row), order_y.gather(1, column), mass


def _at_most_one(mass: Tensor, carried: Tensor) -> Tensor:
    return torch.where(carried > mass, mass / torch.where(carried > 0, carried, 1.0), 1.0)


def prices(dense: Dense, f: Tensor, alone: Tensor) -> tuple[Tensor, Tensor]:
    """Feasible prices [b, n], [b, m] by two c-transforms of f [b, n].

    ``alone`` [b] is the price where the other side is empty, which bounds it by nothing.
    """
    real = dense.present_x[:, :, None] & dense.present_y[:, None]
    cost = torch.where(real, dense.cost, torch.inf)
    v = (cost - f[:, :, None]).amin(1)
    v = torch.where(v.isinf(), alone[:, None], v)
    u = (cost - v[:, None]).amin(2)
    return torch.where(u.isinf(), alone[:, None], u), v


def flow(problems: Problems, dense: Dense, plan: Tensor, *corner: Tensor) -> Flow:
    """The sparse plan between points, from a dense one and a corner plan beside it."""
    cloud, row, column = plan.nonzero(as_tuple=True)
    mass = plan[cloud, row, column]
    if corner:
        extra, slot = (corner[2] > 1e-16).nonzero(as_tuple=True)
        parts = [part[extra, slot] for part in corner]
        cloud, row = torch.cat([cloud, extra]), torch.cat([row, parts[0]])
        column, mass = torch.cat([column, parts[1]]), torch.cat([mass, parts[2]])
    slack = (row == plan.shape[1] - 1) | (column == plan.shape[2] - 1)
    order = torch.argsort(cloud[~slack], stable=True)
    cloud, row, column = (value[~slack][order] for value in (cloud, row, column))
    mass = mass[~slack][order] * dense.total[cloud]
    ptr = torch.nn.functional.pad(
        torch.bincount(cloud, minlength=problems.number).cumsum(0), (1, 0)
    )
    return Flow(problems.sides.ptr_x[cloud] + row, problems.sides.ptr_y[cloud] + column, mass, ptr)


def solution(problems: Problems, dense: Dense, found: Flow, u: Tensor, v: Tensor) -> Solution:
    """Flow and prices in the problems' units; the bound is that of transport without penalty."""
    u, v = u * dense.scale[:, None], v * dense.scale[:, None]
    bound = dense.total * ((u * dense.mass_x).sum(1) + (v * dense.mass_y).sum(1))
    point_x, point_y = dense.present_x.clone(), dense.present_y.clone()
    point_x[:, -1], point_y[:, -1] = False, False
    return Solution(found, u[point_x], v[point_y], u[:, -1], v[:, -1], bound)
