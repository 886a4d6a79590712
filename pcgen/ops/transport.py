r"""Earth mover's distance of ragged, weighted clouds.

.. math::
    W(x, y) = \min_{f \ge 0} \sum_{ij} f_{ij}\,|x_i - y_j|^p
    \quad\text{with}\quad \sum_j f_{ij} = a_i,\ \sum_i f_{ij} = a'_j

p = 1 is the earth mover's distance, p = 2 the *square* of the 2-Wasserstein distance (for masses
that sum to 1). Where the totals differ, a penalty of
:mod:`pcgen.ops.marginals` defines what that costs; :class:`EnergyDifference` makes it the energy
mover's distance.

Every result is certified: a feasible plan bounds the optimum from above and feasible dual prices
bound it from below, ``cost - gap <= optimum <= cost``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops._kernels import ground
from pcgen.ops._kernels.problem import Flow, Problems, Solution, primal
from pcgen.ops._kernels.soft import soft, soft_primal
from pcgen.ops._kernels.solvers import (
    TOLERANCE,
    Solver,
    ToleranceWarning,
    rounding,
    solve,
    warn_unless,
)
from pcgen.ops._kernels.transport_fast import fast
from pcgen.ops.floats import check_range, exponent
from pcgen.ops.marginals import (
    EnergyDifference,
    KullbackLeibler,
    Penalty,
    TotalVariation,
    as_penalty,
)
from pcgen.ops.points import Period, steps
from pcgen.ops.segments import sum_by
from pcgen.ops.sides import (
    Empty,
    Sides,
    as_rows,
    check_empty,
    check_sides,
    check_totals,
    fill_empty,
)

__all__ = [
    "EnergyDifference",
    "Flow",
    "KullbackLeibler",
    "Penalty",
    "Solver",
    "ToleranceWarning",
    "TotalVariation",
    "Transport",
    "earth_mover",
]


class Transport(NamedTuple):
    """Cost, certificate and plan of B transport problems.

    Attributes:
        cost: [B], differentiable in positions and weights.
        gap: [B], the optimum lies in ``[cost - gap, cost]`` (to the dtype); no gradient.
        flow: The plan found, whose cost is ``cost``; no gradient.
        refined: [B], true where the solver chosen stayed above the tolerance and the exact one
            solved the problem after it. Its mean is worth logging.
    """

    cost: Tensor
    gap: Tensor
    flow: Flow
    refined: Tensor


def earth_mover(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
    *,
    weight_x: Tensor | None = None,
    weight_y: Tensor | None = None,
    p: int = 1,
    period: Period | None = None,
    unbalanced: float | Penalty | None = None,
    solver: Solver = "auto",
    tolerance: float | None = None,
    empty: Empty = "raise",
) -> Transport:
    r"""Earth mover's distance between cloud b of x and cloud b of y, for all b.

    Gradients follow the envelope theorem: the plan found is held fixed for the positions, and the
    dual prices are the derivative by the weights. Balanced prices are defined up to a constant
    that moves between the sides; here both sides carry half of the cost, :math:`u a = v a'`. Second
    derivatives hold the plan and the prices: they are right by the positions (almost everywhere),
    but not mixed with the weights.

    Args:
        x, y: Points of all clouds [N, D], [M, D] with pointers, of one pair of clouds without them,
            or dense [B, N, D], [B, M, D].
        ptr_x, ptr_y: First row of each cloud, and N or M [B+1].
        weight_x, weight_y: Of the shape of the points without D, >= 0. Absent: 1/n each.
        p: Power of the distance, 1 or 2. No root is taken of the sum.
        period: Period of each axis, None where it is a line: ``(None, 2 * math.pi)``, say.
        unbalanced: What unmatched weight costs; a number R means ``EnergyDifference(R)``. None:
            the totals must agree (to the square root of the dtype's precision).
        solver: ``"exact"`` (network simplex, assignment), ``"auction"`` (equal weights),
            ``"sinkhorn"``, or ``"auto"``: exact for small or weighted clouds on a CPU, the auction
            for at least 256 points of equal weight and on a GPU, Sinkhorn for other clouds there.
        tolerance: Cost and optimum differ at most by this fraction; 0 means exact. None: 0.01 where
            the auction is used, 0.03 for Sinkhorn. Where a solver stays above it, the exact one
            takes over (``refined``); a :class:`ToleranceWarning` is issued where that fails too.
        empty: Balanced cost where one cloud alone has no points or no weight: ``"raise"``,
            ``"nan"`` or a value. Two empty clouds cost 0.

    Returns:
        Cost [B] and gap [B] in the dtype of x, the plan, and who needed the exact solver. Rows of
        the plan count through all clouds: point i of cloud b of dense x is row b N + i.

    Raises:
        ArgumentError: an argument cannot be used; the message names it.
        DataError: a value is not finite, a weight negative, one cloud of a pair empty, or totals
            differ although the problem is balanced, or a cost is beyond the type of x.

    >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [1.0]])
    >>> ptr = torch.tensor([0, 2])
    >>> earth_mover(x, y, ptr, ptr).cost
    tensor([1.5000])
    """
    sides = (x, y, ptr_x, ptr_y, weight_x, weight_y, period)
    return _opaque(sides, p, unbalanced, solver, tolerance, empty)


def _earth_mover(
    sides: tuple[Any, ...],
    p: int,
    unbalanced: float | Penalty | None,
    solver: Solver,
    tolerance: float | None,
    empty: Empty,
) -> Transport:
    penalty = as_penalty(unbalanced)
    if penalty is None and p in (1, 2) and solver in ("auto", "exact") and _usable(tolerance):
        found = _small(sides, p, solver, tolerance, empty)
        if found is not None:
            return found
    return _plain(sides, p, penalty, solver, tolerance, empty)


def _small(
    sides: tuple[Any, ...], p: int, solver: Solver, tolerance: float | None, empty: Empty
) -> Transport | None:
    """Small balanced problems, exactly; None where the plain form has to take over."""
    check_empty(empty)
    x, y, ptr_x, ptr_y, weight_x, weight_y, period = sides
    x, ptr_x, weight_x = as_rows("x", x, ptr_x, weight_x)
    y, ptr_y, weight_y = as_rows("y", y, ptr_y, weight_y)

    def cost(x: Tensor, y: Tensor, weight_x: Tensor | None, weight_y: Tensor | None) -> Tensor:
        rows = (x, y, ptr_x, ptr_y, weight_x, weight_y, period)
        return _plain(rows, p, None, solver, tolerance, empty).cost

    found = fast(x, y, ptr_x, ptr_y, weight_x, weight_y, period, p, tolerance, cost)
    if found is None:
        return None
    return Transport(*found, torch.zeros(len(ptr_x) - 1, dtype=torch.bool))


def _usable(tolerance: float | None) -> bool:
    return tolerance is None or (math.isfinite(tolerance) and tolerance >= 0)


def _plain(
    sides: tuple[Any, ...],
    p: int,
    penalty: Penalty | None,
    solver: Solver,
    tolerance: float | None,
    empty: Empty,
) -> Transport:
    """For any device, size, solver, penalty and derivative."""
    given = check_sides(*sides)
    # Plans are computed in float64, which has the squares of all of float32.
    wide = given.x.dtype == torch.float64
    scale = 2.0 ** exponent(_extent(given), torch.float64) if wide else 1.0
    if scale != 1.0:
        return _scaled(given, scale, p, penalty, solver, tolerance, empty)
    if p not in (1, 2):
        raise ArgumentError(f"p: got {p}, expected 1 or 2")
    if not _usable(tolerance):
        raise ArgumentError(f"tolerance: got {tolerance}, expected a number >= 0")
    problems = _problems(given, p, penalty)
    if isinstance(penalty, KullbackLeibler):
        aim = TOLERANCE["sinkhorn"] if tolerance is None else tolerance
        solution = soft(problems, penalty.penalty, aim)
        optimum = soft_primal(problems, solution.flow, penalty.penalty)
        refined = torch.zeros_like(solution.bound, dtype=torch.bool)
        warn_unless(optimum, solution.bound, torch.full_like(optimum, aim), 0.0 * optimum)
    else:
        solution, refined, aims = solve(problems, solver, tolerance)
        optimum = primal(problems, solution.flow)
        warn_unless(optimum, solution.bound, aims, rounding(problems, solution))
    gap = (optimum - solution.bound).clamp(min=0.0)
    cost = _value(given, problems, solution, optimum, penalty)
    unit = _power(penalty.radius, p) if isinstance(penalty, EnergyDifference) else 1.0
    flow = solution.flow._replace(mass=solution.flow.mass.to(cost.dtype))
    cost, gap = cost / unit, (gap / unit).to(cost.dtype)
    _check_cost(cost, problems, flow)
    if penalty is None:
        cost = fill_empty(cost, given, empty)
    return Transport(cost, gap, flow, refined)


# Solvers are compiled code, or loops of many short steps: torch.compile is not to look into them.
_opaque = torch.compiler.disable(_earth_mover)


def _extent(given: Sides) -> float:
    """Largest extent of all clouds together along an axis."""
    points = torch.cat([given.x.detach(), given.y.detach()]).double()
    if not len(points):
        return 0.0
    low, high = points.aminmax(dim=0)
    return float((high / 2 - low / 2).max()) * 2.0


def _scaled(
    given: Sides,
    scale: float,
    p: int,
    penalty: Penalty | None,
    solver: Solver,
    tolerance: float | None,
    empty: Empty,
) -> Transport:
    """The cost in coordinates times a power of two, where squares of theirs leave float64."""
    if penalty is not None:
        by = scale if isinstance(penalty, EnergyDifference) else scale**p
        value = next(iter(vars(penalty).values())) * by
        penalty = type(penalty)(value)
    period = [each * scale or None for each in given.period]
    weights = (given.weight_x, given.weight_y)
    sides = (given.x * scale, given.y * scale, given.ptr_x, given.ptr_y, *weights, period)
    found = _plain(sides, p, penalty, solver, tolerance, empty="nan")
    unit = 1.0 if isinstance(penalty, EnergyDifference) else scale
    cost, gap = found.cost, found.gap
    for _ in range(p if unit != 1.0 else 0):  # step by step: scale**p is beyond float64
        cost, gap = cost / unit, gap / unit
    alone = found.cost.detach().isnan()  # by empty="nan"
    check_range(torch.where(alone, 0.0, cost), torch.where(alone, 0.0, found.cost), "cost")
    if penalty is None:
        cost = fill_empty(cost, given, empty)
    return found._replace(cost=cost, gap=gap)


def _check_cost(cost: Tensor, problems: Problems, flow: Flow) -> None:
    """Refuse costs [B] that their type cannot hold.

    Raises:
        DataError: naming the first pair.
    """
    cost = cost.detach()
    if bool((cost.isfinite() & (cost > 0)).all()):
        return
    moved = steps(
        problems.sides.x[flow.source] - problems.sides.y[flow.target], problems.sides.period
    )
    owner = problems.sides.owner_x[flow.source]
    far = sum_by((moved != 0).any(1).double(), owner, problems.number)
    check_range(cost, far, "cost")


def _problems(given: Sides, p: int, penalty: Penalty | None) -> Problems:
    """The problems in float64: balanced ones with equal totals, others with slack particles."""
    mass_x, mass_y = given.weight_x.detach().double(), given.weight_y.detach().double()
    total_x, total_y = given.totals()
    slack_x, slack_y = torch.zeros_like(total_x), torch.zeros_like(total_y)
    slack_cost = 0.0
    if penalty is None:
        check_totals(given)
        # Rounding is shared between the sides, so that both carry half of the cost.
        both = (total_x > 0) & (total_y > 0)
        mean = torch.where(both, 0.5 * (total_x + total_y), 0.0)
        mass_x = mass_x * (mean / torch.where(both, total_x, 1.0))[given.owner_x]
        mass_y = mass_y * (mean / torch.where(both, total_y, 1.0))[given.owner_y]
    elif isinstance(penalty, EnergyDifference):
        # Equal totals get a trace of slack on both sides, so that its price bounds the others'.
        heavier = torch.maximum(total_x, total_y)
        trace = torch.where((total_x - total_y).abs() <= 1e-9 * heavier, 1e-12 * heavier, 0.0)
        slack_x = trace + (total_y - total_x).clamp(min=0.0)
        slack_y = trace + (total_x - total_y).clamp(min=0.0)
        slack_cost = _power(penalty.radius, p)
    elif isinstance(penalty, TotalVariation):
        slack_x, slack_y, slack_cost = total_y, total_x, penalty.penalty
    sides = given._replace(
        x=given.x.detach().double(),
        y=given.y.detach().double(),
        weight_x=mass_x,
        weight_y=mass_y,
    )
    return Problems(sides, slack_x, slack_y, slack_cost, p)


def _power(radius: float, p: int) -> float:
    value = radius * radius if p == 2 else radius
    if not 0.0 < value < math.inf:
        raise ArgumentError(
            f"unbalanced: got the radius {radius}, expected one whose power {p} float64 holds"
        )
    return value


def _value(
    given: Sides, problems: Problems, solution: Solution, optimum: Tensor, penalty: Penalty | None
) -> Tensor:
    """Cost of the plan [B], whose gradients are those of the optimum (envelope theorem)."""
    flow, dtype = solution.flow, given.x.dtype
    x, y = given.x[flow.source], given.y[flow.target]
    pair_cost = ground.cost(x, y, problems.p, given.period)
    if not math.isfinite(float(pair_cost.detach().sum())):
        # Their mean may be a number of this type, though a cost is none.
        dtype, pair_cost = (
            torch.float64,
            ground.cost(x.double(), y.double(), problems.p, given.period),
        )
    moved = sum_by(flow.mass.to(dtype) * pair_cost, given.owner_x[flow.source], given.number)
    # What the penalty adds does not depend on the positions once the plan is held.
    value = moved + (optimum.to(dtype) - moved.detach())
    slopes = _weight_slopes(problems, solution, penalty)
    sides = ((given.weight_x, given.owner_x), (given.weight_y, given.owner_y))
    for (weight, owner), slope in zip(sides, slopes, strict=True):
        if weight.requires_grad:
            term = weight * slope.to(dtype)
            value = value + sum_by(term - term.detach(), owner, given.number)
    return value.to(given.x.dtype)


def _weight_slopes(
    problems: Problems, solution: Solution, penalty: Penalty | None
) -> tuple[Tensor, Tensor]:
    """Derivative of the optimum by the weights [N], [M], in the units of the ground cost."""
    u, v, number = solution.price_x, solution.price_y, problems.number
    if isinstance(penalty, KullbackLeibler):
        scale = penalty.penalty
        return -scale * torch.expm1(-u / scale), -scale * torch.expm1(-v / scale)
    if isinstance(penalty, TotalVariation):
        # Each side's total is the mass of the slack particle of the other.
        shift_x, shift_y = solution.price_slack_y, solution.price_slack_x
    elif isinstance(penalty, EnergyDifference):
        # The mass of the slack particle is the difference of the totals.
        more = problems.slack_y >= problems.slack_x
        shift_x = torch.where(more, solution.price_slack_y, -solution.price_slack_x)
        shift_y = -shift_x
    else:
        half_x = sum_by(u * problems.sides.weight_x, problems.sides.owner_x, number)
        half_y = sum_by(v * problems.sides.weight_y, problems.sides.owner_y, number)
        mass = sum_by(problems.sides.weight_x, problems.sides.owner_x, number)
        shift_x = (half_y - half_x) / (2.0 * torch.where(mass > 0, mass, 1.0))
        shift_y = -shift_x
    return u + shift_x[problems.sides.owner_x], v + shift_y[problems.sides.owner_y]
