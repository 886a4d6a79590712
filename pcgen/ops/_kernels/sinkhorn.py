r"""Certified transport by entropic smoothing (Sinkhorn), for GPUs and for soft marginals.

.. math:: \min_f \sum f_{ij} c_{ij} + \epsilon\,\mathrm{KL}(f \,|\, a \otimes a')

has potentials that are the fixed point of

.. math:: f_i = -\epsilon \log \sum_j a'_j e^{(g_j - c_{ij})/\epsilon}, \qquad
          g_j = -\epsilon \log \sum_i a_i e^{(f_i - c_{ij})/\epsilon} .

The temperature falls geometrically from the largest cost to a fraction of the optimum that the
tolerance allows; the steps are over-relaxed (f moves by :math:`\omega` times its update), which
halves the gap that a given number of steps leaves, or better. What the potentials are worth is then
proven, not assumed: :mod:`.dense`.

References:
    Cuturi, Sinkhorn distances, arXiv:1306.0895.
    Thibault, Chizat, Dossal, Papadakis, Overrelaxed Sinkhorn-Knopp, arXiv:1711.01851.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.ops._kernels.dense import Dense, chunks, densify, feasible, flow, gibbs, prices, solution
from pcgen.ops._kernels.problem import Problems, Solution, merge, select

RELAX = 1.8
FALL = 0.8
STEPS = 80
WARM = 0.02
COLD = 1e-4


class Potentials(NamedTuple):
    """Entropic potentials [b, n], [b, m] and temperature [b], in units of the largest cost."""

    f: Tensor
    g: Tensor
    epsilon: Tensor


def sinkhorn(problems: Problems, tolerance: float) -> Solution:
    """A feasible plan and a bound of each problem, ``tolerance`` apart where that succeeds.

    Args:
        problems: On any device.
        tolerance: Relative gap aimed at; the temperature follows from it.
    """
    parts = [
        (index, _solve(select(problems, index), tolerance))
        for index in chunks(problems.sides.ptr_x, problems.sides.ptr_y)
    ]
    return merge(problems, parts)


def _solve(problems: Problems, tolerance: float) -> Solution:
    dense = densify(problems)

    alone = torch.zeros_like(dense.scale)

    def bound(f: Tensor) -> Tensor:
        u, v = prices(dense, f, alone)
        return (u * dense.mass_x).sum(1) + (v * dense.mass_y).sum(1)

    end = cool(problems, dense, tolerance, bound)
    found = flow(problems, dense, *feasible(dense, gibbs(dense, *end)))
    return solution(problems, dense, found, *prices(dense, end.f, alone))


def cool(
    problems: Problems,
    dense: Dense,
    tolerance: float,
    bound: Callable[[Tensor], Tensor],
    softness: Tensor | None = None,
) -> Potentials:
    """Potentials at the temperature that the tolerance allows, in float64.

    Args:
        problems: The problems.
        dense: The same as rectangles.
        tolerance: Relative gap aimed at.
        bound: Lower bound of the optimum [b] from potentials [b, n].
        softness: Penalty of soft marginals [b]; None: they are hard.
    """
    descend = _descent(problems, dense, softness)
    start = descend(None, torch.full_like(dense.scale, WARM).float(), 0)
    cold = (tolerance * bound(start.f.double())).clamp(COLD, WARM).float()
    # A colder plan takes longer to settle, in proportion.
    patience = min(max(1.0, 0.03 / tolerance), 10.0)
    end = descend(start, cold, round(patience * STEPS))
    return Potentials(end.f.double(), end.g.double(), end.epsilon.double())


_Descent = Callable[[Potentials | None, Tensor, int], Potentials]


def _descent(problems: Problems, dense: Dense, softness: Tensor | None) -> _Descent:
    """How potentials are annealed: by one fused kernel on a GPU that has Triton.

    float32 is enough: what the potentials are worth is proven afterwards, in float64.
    """
    if problems.sides.x.is_cuda and importlib.util.find_spec("triton") is not None:
        from pcgen.ops._kernels.sinkhorn_triton import Fused

        return Fused(problems, dense, softness)
    cost, mass_x, mass_y = dense.cost.float(), dense.mass_x.float(), dense.mass_y.float()
    soft = None if softness is None else softness.float()

    def descend(start: Potentials | None, epsilon: Tensor, steps: int) -> Potentials:
        return anneal(cost, mass_x, mass_y, start, epsilon, steps=steps, softness=soft)

    return descend


def anneal(
    cost: Tensor,
    mass_x: Tensor,
    mass_y: Tensor,
    start: Potentials | None,
    epsilon: Tensor,
    *,
    steps: int = 0,
    softness: Tensor | None = None,
) -> Potentials:
    """Let the temperature fall to ``epsilon`` [b], then take ``steps`` over-relaxed steps.

    Args:
        cost: [b, n, m], at most 1.
        mass_x, mass_y: [b, n], [b, m].
        start: Where to start; None: potentials 0 at temperature 1.
        epsilon: Final temperature [b].
        steps: Steps at the final temperature.
        softness: Penalty of soft marginals [b]; None: they are hard.
    """
    if start is None:
        start = Potentials(
            torch.zeros_like(mass_x), torch.zeros_like(mass_y), torch.ones_like(epsilon)
        )
    f, g, now = start
    # Smaller masses, and the padding, count as that little.
    log_x, log_y = mass_x.clamp(min=1e-30).log(), mass_y.clamp(min=1e-30).log()
    falls = math.ceil(float((epsilon / now).log().amin()) / math.log(FALL) - 1e-3)
    falls = max(falls, 0)
    for step in range(falls + steps):
        now = torch.maximum(FALL * now, epsilon)
        # The last step is a plain one: then its columns carry their mass exactly.
        relax = RELAX if falls <= step < falls + steps - 1 else 1.0
        share = 1.0 if softness is None else (softness / (softness + now))[:, None]
        f = f + relax * (share * softmin(cost, g[:, None], log_y[:, None], now, 2) - f)
        g = g + relax * (share * softmin(cost, f[:, :, None], log_x[:, :, None], now, 1) - g)
    return Potentials(f, g, now)


def softmin(cost: Tensor, potential: Tensor, log_mass: Tensor, epsilon: Tensor, dim: int) -> Tensor:
    """Entropic c-transform over ``dim``: -epsilon log sum mass exp((potential - cost)/epsilon)."""
    exponent = (potential - cost) / epsilon[:, None, None] + log_mass
    return -epsilon[:, None] * torch.logsumexp(exponent, dim)
