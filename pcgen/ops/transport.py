r"""Earth mover's distance of ragged, weighted clouds.

.. math::
    W(x, y) = \min_{f \ge 0} \sum_{ij} f_{ij}\,|x_i - y_j|^p
    \quad\text{with}\quad \sum_j f_{ij} = a_i,\ \sum_i f_{ij} = a'_j

p = 1 is the earth mover's distance, p = 2 the *square* of the 2-Wasserstein distance (for masses
that sum to 1). Where the totals differ, :class:`EnergyDifference` gives the energy mover's
distance of Komiske, Metodiev and Thaler (arXiv:1902.02346).

Every result is certified: a feasible plan bounds the optimum from above and feasible dual prices
bound it from below, ``cost - gap <= optimum <= cost``.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops import ground
from pcgen.ops.exact import simplex
from pcgen.ops.pairs import Empty, Pairs, alone, each, fill, pairs, total
from pcgen.ops.pool import solve
from pcgen.ops.problem import Flow, Problems, Solution

Solver = Literal["auto", "exact"]
TINY = 1e-300


class EnergyDifference(NamedTuple):
    r"""Energy mover's distance: what one side has too much costs 1 per unit of weight.

    .. math:: \min_f \sum_{ij} f_{ij} (|x_i - y_j| / R)^p + \Big|\sum_i a_i - \sum_j a'_j\Big|

    with :math:`\sum_{ij} f_{ij}` the smaller of the totals. A metric for p = 1 where R is at least
    half the largest distance. EnergyFlow's ``emd(R=radius, beta=p)``.

    Attributes:
        radius: R > 0, in the units of the coordinates.
    """

    radius: float


class Transport(NamedTuple):
    """Cost, certificate and plan of B transport problems.

    Attributes:
        cost: [B], differentiable in positions and weights.
        gap: [B], the optimum lies in ``[cost - gap, cost]``; no gradient.
        flow: The plan found; no gradient. Costs ``cost``.
    """

    cost: Tensor
    gap: Tensor
    flow: Flow


def earth_mover(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    *,
    weight_x: Tensor | None = None,
    weight_y: Tensor | None = None,
    p: int = 1,
    period: ground.Period = None,
    unbalanced: float | EnergyDifference | None = None,
    solver: Solver = "auto",
    empty: Empty = "raise",
) -> Transport:
    r"""Earth mover's distance between cloud b of x and cloud b of y, for all b.

    Gradients follow the envelope theorem: the plan found is held fixed for the positions, and the
    dual prices are the derivative by the weights. Balanced prices are defined up to a constant
    that moves between the sides; here both sides carry half of the cost, :math:`u a = v a'`.

    Args:
        x, y: Points of all clouds [N, D], [M, D].
        ptr_x, ptr_y: First row of each cloud, and N or M [B+1].
        weight_x, weight_y: [N], [M], >= 0. Absent: 1/n each.
        p: Power of the distance, 1 or 2. No root is taken of the sum.
        period: Period of each axis, None where it is not periodic; ``(None, 2 * math.pi)``, say.
        unbalanced: What unequal totals cost; a number R means ``EnergyDifference(R)``. None: the
            totals must agree (to the square root of the dtype's precision).
        solver: ``"exact"`` is the network simplex; ``"auto"`` chooses.
        empty: Balanced cost where one cloud alone has no points or no weight: ``"raise"``,
            ``"nan"`` or a value. Two empty clouds cost 0.

    Returns:
        Cost [B] and gap [B] in the dtype of x, and the plan.

    Raises:
        ArgumentError: an argument cannot be used; the message names it.

    >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [1.0]])
    >>> ptr = torch.tensor([0, 2])
    >>> earth_mover(x, y, ptr, ptr).cost
    tensor([1.5000])
    """
    given = pairs(x, y, ptr_x, ptr_y, weight_x, weight_y)
    penalty = (
        EnergyDifference(float(unbalanced)) if isinstance(unbalanced, (int, float)) else unbalanced
    )
    if p not in (1, 2):
        raise ArgumentError(f"p: got {p}, expected 1 or 2")
    if penalty is not None and not (math.isfinite(penalty.radius) and penalty.radius > 0):
        raise ArgumentError(f"unbalanced: got radius {penalty.radius}, expected a number > 0")
    if solver not in ("auto", "exact"):
        raise ArgumentError(f"solver: got {solver!r}, expected 'auto' or 'exact'")
    problems = _problems(given, p, ground.periods(period, x.shape[1]), penalty)
    unit = 1.0 if penalty is None else penalty.radius**p
    solution = solve(problems, simplex)
    primal = _primal(problems, solution.flow)
    gap = ((primal - solution.bound) / unit).clamp(min=0.0).to(x.dtype)
    cost = _value(given, problems, solution, balanced=penalty is None) / unit
    if penalty is None:
        total_x = total(given.weight_x.detach(), given.ptr_x)
        lonely = alone(total_x, total(given.weight_y.detach(), given.ptr_y), empty)
        cost = torch.where(lonely, fill(empty), cost)
    return Transport(cost, gap, solution.flow._replace(mass=solution.flow.mass.to(x.dtype)))


def _problems(
    given: Pairs, p: int, period: tuple[float, ...], penalty: EnergyDifference | None
) -> Problems:
    """The problems in float64; balanced ones with equal totals to the last bit that matters."""
    mass_x, mass_y = given.weight_x.detach().double(), given.weight_y.detach().double()
    total_x, total_y = total(mass_x, given.ptr_x), total(mass_y, given.ptr_y)
    more = total_x - total_y
    if penalty is None:
        _check_totals(total_x, total_y, torch.finfo(given.x.dtype).eps ** 0.5)
        # Rounding is shared between the sides, so that both carry half of the cost.
        mean = torch.where((total_x > 0) & (total_y > 0), 0.5 * (total_x + total_y), 0.0)
        mass_x = mass_x * each(mean / total_x.clamp(min=TINY), given.ptr_x)
        mass_y = mass_y * each(mean / total_y.clamp(min=TINY), given.ptr_y)
        more = torch.zeros_like(more)
    return Problems(
        given.x.detach().double(),
        given.y.detach().double(),
        given.ptr_x,
        given.ptr_y,
        mass_x,
        mass_y,
        slack_x=(-more).clamp(min=0.0),
        slack_y=more.clamp(min=0.0),
        slack_cost=0.0 if penalty is None else penalty.radius**p,
        p=p,
        period=period,
    )


def _check_totals(total_x: Tensor, total_y: Tensor, tolerance: float) -> None:
    both = (total_x > 0) & (total_y > 0)
    wrong = both & ((total_x - total_y).abs() > tolerance * total_x.maximum(total_y))
    if bool(wrong.any()):
        b = int(wrong.nonzero()[0])
        raise ArgumentError(
            f"weights: the totals of cloud {b} are {float(total_x[b]):.9g} and "
            f"{float(total_y[b]):.9g}, expected equal ones; normalise them or give unbalanced="
        )


def _primal(problems: Problems, flow: Flow) -> Tensor:
    """Cost of a plan [B], slack particles included, in float64."""
    pair_cost = ground.cost(
        problems.x[flow.source], problems.y[flow.target], problems.p, problems.period
    )
    return total(flow.mass * pair_cost, flow.ptr) + problems.slack_cost * _unmatched(problems)


def _unmatched(problems: Problems) -> Tensor:
    """Mass of both sides without a partner [B]."""
    return problems.slack_x + problems.slack_y


def _value(given: Pairs, problems: Problems, solution: Solution, *, balanced: bool) -> Tensor:
    """Cost of the plan [B], whose gradients are those of the optimum (envelope theorem)."""
    flow, dtype = solution.flow, given.x.dtype
    pair_cost = ground.cost(given.x[flow.source], given.y[flow.target], problems.p, problems.period)
    value = total(flow.mass.to(dtype) * pair_cost, flow.ptr)
    value = value + (problems.slack_cost * _unmatched(problems)).to(dtype)
    prices = _weight_prices(problems, solution, balanced=balanced)
    for weight, price, ptr in zip(
        (given.weight_x, given.weight_y), prices, (given.ptr_x, given.ptr_y), strict=True
    ):
        if weight.requires_grad:
            slope = weight * price.to(weight.dtype)
            value = value + total(slope - slope.detach(), ptr).to(dtype)
    return value


def _weight_prices(
    problems: Problems, solution: Solution, *, balanced: bool
) -> tuple[Tensor, Tensor]:
    """Derivative of the optimum by the weights [N], [M]."""
    price_x, price_y = solution.price_x, solution.price_y
    if balanced:
        half_x = total(price_x * problems.mass_x, problems.ptr_x)
        half_y = total(price_y * problems.mass_y, problems.ptr_y)
        mass = total(problems.mass_x, problems.ptr_x)
        shift = (half_y - half_x) / (2.0 * mass).clamp(min=TINY)
    else:
        # The mass of the slack particle is the difference of the totals.
        shift = solution.price_slack_y - solution.price_slack_x
    return price_x + each(shift, problems.ptr_x), price_y - each(shift, problems.ptr_y)
