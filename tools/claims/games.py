"""Goodfellow et al. 2014: what the best critic measures; 2016: which generator has a gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pcgen.objectives.adversarial import NON_SATURATING, SATURATING
from pcgen.tools.claims.claim import Claim
from pcgen.tools.claims.several import Networks

FAR = -20.0
"""Logit of a generated sample that a critic is sure of."""


def divergence_gap(seeds: Sequence[int], quick: bool) -> list[float]:
    """abs((V + log 4) / 2 - JSD) of N(0, 1) and N(1.5, 0.7), by quadrature, after training D."""
    x = torch.linspace(-6, 7, 401)
    p = torch.exp(-0.5 * x.square())
    q = torch.exp(-0.5 * ((x - 1.5) / 0.7).square())
    p, q = p / p.sum(), q / q.sum()
    middle = 0.5 * (p + q)
    exact = 0.5 * (torch.special.xlogy(p, p / middle) + torch.special.xlogy(q, q / middle)).sum()
    rows = x.repeat(len(seeds))[:, None] / 3
    critic = Networks(seeds, (1, 32, 32, 1))
    optimiser = torch.optim.Adam(critic.parameters(), 1e-2)
    for _ in range(20 if quick else 800):
        optimiser.zero_grad()
        (-_value(critic(rows), p, q, len(seeds)).sum()).backward()
        optimiser.step()
    value = _value(critic(rows), p, q, len(seeds)).detach()
    return [abs(float(v)) for v in (value + math.log(4)) / 2 - exact]


def _value(logit: Tensor, p: Tensor, q: Tensor, number: int) -> Tensor:
    """V(D) [S], of which minus the loss of the critic is the part of each place."""
    logit = logit.reshape(number, -1)
    sure = torch.full_like(logit, -1e9).flatten()  # adds nothing to the loss
    at_real = NON_SATURATING.critic_loss(logit.flatten(), sure).reshape(number, -1)
    at_generated = NON_SATURATING.critic_loss(-sure, logit.flatten()).reshape(number, -1)
    return -(p * at_real + q * at_generated).sum(1)


def _slope(game_loss: Tensor, logit: Tensor) -> float:
    return abs(float(torch.autograd.grad(game_loss.sum(), logit)[0]))


def saturating_slope(seeds: Sequence[int], quick: bool) -> list[float]:
    """Gradient in the logit of log(1 - D) where the critic is sure."""
    logit = torch.tensor([FAR], dtype=torch.float64, requires_grad=True)
    return [_slope(SATURATING.generator_loss(logit), logit) for _ in seeds]


def other_slope(seeds: Sequence[int], quick: bool) -> list[float]:
    """The same of -log D."""
    logit = torch.tensor([FAR], dtype=torch.float64, requires_grad=True)
    return [_slope(NON_SATURATING.generator_loss(logit), logit) for _ in seeds]


CLAIMS = (
    Claim("games", "best critic: abs((V + log 4) / 2 - JSD), trained on two normal distributions",
          "1406.2661, Theorem 1", "0", divergence_gap, 0.01),
    Claim("games", "saturating generator: gradient at logit -20",
          "1701.00160, section 3.2.3", "2.1e-9", saturating_slope, 1e-8),
    Claim("games", "non-saturating generator: gradient at logit -20",
          "1701.00160, section 3.2.3", "1", other_slope, 0.999, above=True),
)  # fmt: skip
