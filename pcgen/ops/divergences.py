r"""Distances between weighted clouds that compare all pairs of points and are not transport.

Both are debiased: 0 for equal clouds, and positive otherwise.

.. math::
    S_\epsilon(a, b) &= T_\epsilon(a, b) - \tfrac12 T_\epsilon(a, a) - \tfrac12 T_\epsilon(b, b) \\
    E(a, b) &= 2 \sum_{ij} a_i b_j |x_i - y_j| - \sum_{ij} a_i a_j |x_i - x_j|
               - \sum_{ij} b_i b_j |y_i - y_j|

:math:`T_\epsilon` is entropic transport (:mod:`pcgen.ops._kernels.sinkhorn`). The Sinkhorn
divergence goes to the transport cost as :math:`\epsilon \to 0` and, for p = 1, to E / 2 as
:math:`\epsilon \to \infty`.

References:
    Feydy et al., Interpolating between optimal transport and MMD, arXiv:1810.08278.
    Szekely, Rizzo, Energy statistics, J. Stat. Plan. Inference 143 (2013) 1249.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops._kernels import ground
from pcgen.ops._kernels.dense import chunks, pad
from pcgen.ops._kernels.problem import rows
from pcgen.ops._kernels.sinkhorn import STEPS, anneal, softmin
from pcgen.ops.points import Period
from pcgen.ops.sides import Empty, Sides, check_sides, check_totals, fill_empty


def sinkhorn_divergence(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
    *,
    epsilon: float,
    weight_x: Tensor | None = None,
    weight_y: Tensor | None = None,
    p: int = 2,
    period: Period | None = None,
    steps: int = STEPS,
    empty: Empty = "raise",
) -> Tensor:
    r"""Sinkhorn divergence :math:`S_\epsilon` between cloud b of x and cloud b of y [B].

    Smooth, unlike the transport cost, and it needs no plan; it is no earth mover's distance.

    Args:
        x, y: Points of all clouds [N, D], [M, D] with pointers, of one pair of clouds without them,
            or dense [B, N, D], [B, M, D].
        ptr_x, ptr_y: First row of each cloud, and N or M [B+1].
        epsilon: Temperature, in the units of the ground cost :math:`|x - y|^p`: about
            (the distance below which points are not distinguished) ** p.
        weight_x, weight_y: Of the shape of the points without D, >= 0, of equal totals. Absent:
            1/n each.
        p: Power of the distance, 1 or 2.
        period: Period of each axis, None where it is a line.
        steps: Iterations at the final temperature; small temperatures need more.
        empty: Value where one cloud alone has no points or no weight.

    Raises:
        ArgumentError: an argument cannot be used.
        DataError: values or totals cannot be used, or one cloud of a pair is empty.
    """
    if p not in (1, 2):
        raise ArgumentError(f"p: got {p}, expected 1 or 2")
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ArgumentError(f"epsilon: got {epsilon}, expected a number > 0")
    given = check_sides(x, y, ptr_x, ptr_y, weight_x, weight_y, period)
    check_totals(given)
    value = given.x.new_zeros(given.number)
    for index in chunks(given.ptr_x, given.ptr_y):
        x, a, y, b = _padded(given, index)
        part = _entropic(x, a, y, b, p, given.period, epsilon, steps)
        for z, c in ((x, a), (y, b)):
            part = part - 0.5 * _entropic(z, c, z, c, p, given.period, epsilon, steps)
        value = value.index_add(0, index, part)
    return fill_empty(value, given, empty)


def energy_distance(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
    *,
    weight_x: Tensor | None = None,
    weight_y: Tensor | None = None,
    period: Period | None = None,
    empty: Empty = "raise",
) -> Tensor:
    """Energy distance E between cloud b of x and cloud b of y [B].

    Args:
        x, y: Points of all clouds [N, D], [M, D] with pointers, of one pair of clouds without them,
            or dense [B, N, D], [B, M, D].
        ptr_x, ptr_y: First row of each cloud, and N or M [B+1].
        weight_x, weight_y: Of the shape of the points without D, >= 0, of equal totals. Absent:
            1/n each.
        period: Period of each axis, None where it is a line.
        empty: Value where one cloud alone has no points or no weight.

    Raises:
        ArgumentError: an argument cannot be used.
        DataError: values or totals cannot be used, or one cloud of a pair is empty.

    >>> x, y, ptr = torch.tensor([[0.0]]), torch.tensor([[2.0]]), torch.tensor([0, 1])
    >>> energy_distance(x, y, ptr, ptr)
    tensor([4.])
    """
    given = check_sides(x, y, ptr_x, ptr_y, weight_x, weight_y, period)
    check_totals(given)
    value = given.x.new_zeros(given.number)
    for index in chunks(given.ptr_x, given.ptr_y):
        x, a, y, b = _padded(given, index)
        part = 2 * _mean_cost(x, a, y, b, given.period)
        part = part - _mean_cost(x, a, x, a, given.period) - _mean_cost(y, b, y, b, given.period)
        value = value.index_add(0, index, part)
    return fill_empty(value, given, empty)


def _padded(given: Sides, index: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points [b, n, D] and weights [b, n] of both sides; 0 in the padding."""
    rows_x, _, ptr_x = rows(given.ptr_x, index)
    rows_y, _, ptr_y = rows(given.ptr_y, index)
    values = (
        (given.x[rows_x], ptr_x),
        (given.weight_x[rows_x], ptr_x),
        (given.y[rows_y], ptr_y),
        (given.weight_y[rows_y], ptr_y),
    )
    x, a, y, b = (pad(value, ptr)[0] for value, ptr in values)
    return x, a, y, b


def _mean_cost(x: Tensor, a: Tensor, y: Tensor, b: Tensor, period: tuple[float, ...]) -> Tensor:
    """Mean distance, weighted by the product of the weights [b]."""
    distance = ground.cost(x[:, :, None], y[:, None], 1, period)
    # No matrix product: autocast would round the distances.
    return (a * (b[:, None] * distance).sum(2)).sum(1)


def _entropic(
    x: Tensor,
    a: Tensor,
    y: Tensor,
    b: Tensor,
    p: int,
    period: tuple[float, ...],
    epsilon: float,
    steps: int,
) -> Tensor:
    """Entropic transport cost [b]: the potentials' last update carries the gradients."""
    with torch.no_grad():
        cost = ground.cost(x[:, :, None], y[:, None], p, period)
        scale = cost.amax((1, 2))
        scale = torch.where(scale > 0, scale, 1.0)
        end = anneal(cost / scale[:, None, None], a, b, None, epsilon / scale, steps=steps)
        f, g = end.f * scale[:, None], end.g * scale[:, None]
        heat = torch.full_like(scale, epsilon)
        log_a, log_b = a.clamp(min=1e-30).log(), b.clamp(min=1e-30).log()
    cost = ground.cost(x[:, :, None], y[:, None].detach(), p, period)
    new_f = softmin(cost, g[:, None], log_b[:, None], heat, 2)
    cost = ground.cost(x[:, :, None].detach(), y[:, None], p, period)
    new_g = softmin(cost, f[:, :, None], log_a[:, :, None], heat, 1)
    return (a * new_f).sum(1) + (b * new_g).sum(1)
