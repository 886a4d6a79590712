r"""Certified transport by entropic smoothing (Sinkhorn), for GPUs and for soft marginals.

.. math:: \min_f \sum f_{ij} c_{ij} + \epsilon\,\mathrm{KL}(f \,|\, a \otimes a')

has potentials that are the fixed point of

.. math:: f_i = -\epsilon \log \sum_j a'_j e^{(g_j - c_{ij})/\epsilon}, \qquad
          g_j = -\epsilon \log \sum_i a_i e^{(f_i - c_{ij})/\epsilon} .

The temperature falls geometrically from the largest cost to a fraction of the optimum that the
tolerance allows; the steps are over-relaxed (f moves by :math:`\omega` times its update), which
halves the gap that a given number of steps leaves, or better. What the potentials are worth is then
proven, not assumed: :mod:`pcgen.ops.dense`.

References:
    Cuturi, Sinkhorn distances, arXiv:1306.0895.
    Thibault, Chizat, Dossal, Papadakis, Overrelaxed Sinkhorn-Knopp, arXiv:1711.01851.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.ops.dense import Dense, chunks, densify, feasible, flow, gibbs, prices, solution
from pcgen.ops.problem import Problems, Solution, merge, select

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
    parts = [(index, _solve(select(problems, index), tolerance)) for index in chunks(problems)]
    return merge(problems, parts)


def _solve(problems: Problems, tolerance: float) -> Solution:
    dense = densify(problems)
    start = anneal(dense, None, torch.full_like(dense.scale, WARM))
    u, v = prices(dense, start.f.double())
    bound = (u * dense.mass_x).sum(1) + (v * dense.mass_y).sum(1)
    end = anneal(dense, start, (tolerance * bound).clamp(COLD, WARM), steps=STEPS)
    f, g, epsilon = (value.double() for value in end)
    found = flow(problems, dense, *feasible(dense, gibbs(dense, f, g, epsilon)))
    return solution(problems, dense, found, *prices(dense, f))


def anneal(
    dense: Dense,
    start: Potentials | None,
    epsilon: Tensor,
    *,
    steps: int = 0,
    softness: Tensor | None = None,
) -> Potentials:
    """Let the temperature fall to ``epsilon`` [b], then take ``steps`` over-relaxed steps.

    Args:
        dense: The problems.
        start: Where to start; None: potentials 0 at the largest cost.
        epsilon: Final temperature [b].
        steps: Steps at the final temperature.
        softness: Penalty of soft marginals [b]; None: they are hard.
    """
    if start is None:
        zero_x, zero_y = torch.zeros_like(dense.mass_x), torch.zeros_like(dense.mass_y)
        start = Potentials(zero_x.float(), zero_y.float(), torch.ones_like(dense.scale).float())
    f, g, now = start
    end, cost = epsilon.float(), dense.cost.float()
    # Masses below float32 count as that little; the certificate knows better.
    log_x, log_y = (mass.clamp(min=1e-30).log().float() for mass in (dense.mass_x, dense.mass_y))
    falls = math.ceil(float((end / now).log().amin()) / math.log(FALL) - 1e-3)
    for step in range(falls + steps):
        now = torch.maximum(FALL * now, end)
        # The last step is a plain one: its columns carry their mass exactly.
        relax = RELAX if falls <= step < falls + steps - 1 else 1.0
        share = 1.0 if softness is None else (softness / (softness + now))[:, None]
        update = softmin(cost, g[:, None], log_y[:, None], now, 2)
        f = f + relax * (share * update - f)
        update = softmin(cost, f[:, :, None], log_x[:, :, None], now, 1)
        g = g + relax * (share * update - g)
    return Potentials(f, g, now)


def softmin(cost: Tensor, potential: Tensor, log_mass: Tensor, epsilon: Tensor, dim: int) -> Tensor:
    """Entropic c-transform over ``dim``: -epsilon log sum mass exp((potential - cost)/epsilon)."""
    exponent = (potential - cost) / epsilon[:, None, None] + log_mass
    return -epsilon[:, None] * torch.logsumexp(exponent, dim)
