r"""Transport with soft marginals (:class:`~pcgen.ops.marginals.KullbackLeibler`), certified.

Any plan f >= 0 is feasible; scaled by the best factor t it costs

.. math:: t \sum f_{ij} c_{ij} + \lambda\,\mathrm{KL}(t f_{i\cdot} | a)
          + \lambda\,\mathrm{KL}(t f_{\cdot j} | a') .

Prices with :math:`u_i + v_j \le c_{ij}` bound the optimum from below by

.. math:: \lambda \sum_i a_i (1 - e^{-u_i/\lambda}) + \lambda \sum_j a'_j (1 - e^{-v_j/\lambda}) .

References:
    Chizat, Peyre, Schmitzer, Vialard, Scaling algorithms for unbalanced transport problems,
    arXiv:1607.05816.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.ops._kernels import ground
from pcgen.ops._kernels.dense import Dense, chunks, densify, flow, gibbs, prices, solution
from pcgen.ops._kernels.problem import Flow, Problems, Solution, merge, select
from pcgen.ops._kernels.sinkhorn import cool
from pcgen.ops.segments import sum_by


def soft(problems: Problems, penalty: float, tolerance: float) -> Solution:
    """A plan and a bound of each problem, ``tolerance`` apart where that succeeds.

    Args:
        problems: Without slack particles; totals may differ.
        penalty: lambda, in the units of the ground cost.
        tolerance: Relative gap aimed at.
    """
    parts = []
    for index in chunks(problems.sides.ptr_x, problems.sides.ptr_y):
        chosen = select(problems, index)
        parts.append((index, _solve(chosen, penalty, tolerance)))
    return merge(problems, parts)


def _solve(problems: Problems, penalty: float, tolerance: float) -> Solution:
    dense = densify(problems)
    softness = penalty / dense.scale

    def bound(f: Tensor) -> Tensor:
        return _dual(dense, *_prices(dense, f, softness), softness)

    end = cool(problems, dense, tolerance, bound, softness)
    plan = _scaled(dense, gibbs(dense, *end), softness)
    u, v = _prices(dense, end.f, softness)
    found = solution(problems, dense, flow(problems, dense, plan), u, v)
    return found._replace(bound=dense.total * dense.scale * _dual(dense, u, v, softness))


def _prices(dense: Dense, f: Tensor, softness: Tensor) -> tuple[Tensor, Tensor]:
    """Feasible prices from potentials, shifted to bound best."""
    # Where the other side is empty nothing is kept: exp(-u / softness) vanishes.
    return _shifted(dense, *prices(dense, f, 700.0 * softness), softness)


def _shifted(dense: Dense, u: Tensor, v: Tensor, softness: Tensor) -> tuple[Tensor, Tensor]:
    """The shift u + k, v - k that bounds best: both sides then keep the same mass."""
    kept_x = (dense.mass_x * (-u / softness[:, None]).exp()).sum(1)
    kept_y = (dense.mass_y * (-v / softness[:, None]).exp()).sum(1)
    both = (kept_x > 0) & (kept_y > 0)
    ratio = torch.where(both, kept_x, 1.0) / torch.where(both, kept_y, 1.0)
    shift = (0.5 * softness * ratio.log())[:, None]
    return u + shift, v - shift


def _dual(dense: Dense, u: Tensor, v: Tensor, softness: Tensor) -> Tensor:
    lost_x = dense.mass_x * -torch.expm1(-u / softness[:, None])
    lost_y = dense.mass_y * -torch.expm1(-v / softness[:, None])
    return softness * (lost_x.sum(1) + lost_y.sum(1))


def _scaled(dense: Dense, plan: Tensor, softness: Tensor) -> Tensor:
    """The plan times the factor at which it costs least: the derivative by log t vanishes."""
    kept_x, kept_y = plan.sum(2), plan.sum(1)
    slope = (plan * dense.cost).sum((1, 2)) + softness * (
        _log_ratio(kept_x, dense.mass_x).sum(1) + _log_ratio(kept_y, dense.mass_y).sum(1)
    )
    mass = plan.sum((1, 2))
    factor = (-slope / (2.0 * softness * torch.where(mass > 0, mass, 1.0))).exp()
    return plan * factor[:, None, None]


def _log_ratio(kept: Tensor, mass: Tensor) -> Tensor:
    """kept log(kept / mass), 0 where nothing is kept."""
    some = kept > 0
    return torch.where(some, kept * (torch.where(some, kept / mass, 1.0)).log(), 0.0)


def soft_primal(problems: Problems, plan: Flow, penalty: float) -> Tensor:
    """Cost of a plan, penalty included [B]."""
    x, y = problems.sides.x[plan.source], problems.sides.y[plan.target]
    pair_cost = ground.cost(x, y, problems.p, problems.sides.period)
    cost = sum_by(plan.mass * pair_cost, problems.sides.owner_x[plan.source], problems.number)
    for row, mass, owner in (
        (plan.source, problems.sides.weight_x, problems.sides.owner_x),
        (plan.target, problems.sides.weight_y, problems.sides.owner_y),
    ):
        kept = torch.zeros_like(mass).index_add(0, row, plan.mass)
        lost = _log_ratio(kept, mass) - kept + mass
        cost = cost + penalty * sum_by(lost, owner, problems.number)
    return cost
