r"""Arjovsky et al. 2017: parallel lines, and the critic's value beside the true distance.

Two vertical segments, x = 0 and x = θ, have JSD = log 2 whatever θ > 0 is, and W1 = θ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from pcgen.models.gan import Adversary
from pcgen.objectives.adversarial import NON_SATURATING, WASSERSTEIN
from pcgen.objectives.penalties import wgan_lp
from pcgen.ops import earth_mover
from pcgen.tools.claims.claim import Claim
from pcgen.tools.claims.several import Networks, per_seed

SHIFTS = (0.25, 0.5, 1.0, 2.0)
PENALISED = Adversary(WASSERSTEIN, wgan_lp, strength=10.0)
CLIPPED = Adversary(WASSERSTEIN, None, bound=0.1)
PLAIN = Adversary(NON_SATURATING, None)


def segment(seeds: Sequence[int], shift: float, number: int = 128) -> Tensor:
    """Points of the segment at x = shift, uniform in y, of each seed [S B, 2]."""
    parts = []
    for seed in seeds:
        y = torch.rand(number, 1, generator=torch.Generator().manual_seed(7 * seed + 1))
        parts.append(torch.cat([torch.full_like(y, shift), y], 1))
    return torch.cat(parts)


def transport_error(seeds: Sequence[int], quick: bool) -> list[float]:
    """Largest abs(W1 - θ) over the shifts, W1 by optimal transport of the same heights."""
    worst = []
    for seed in seeds:
        zero = segment([seed], 0.0)
        costs = [float(earth_mover(zero, segment([seed], s), solver="exact").cost) for s in SHIFTS]
        worst.append(max(abs(cost - s) for cost, s in zip(costs, SHIFTS, strict=True)))
    return worst


def trained(adversary: Adversary, seeds: Sequence[int], real: Tensor, generated: Tensor,
            steps: int) -> tuple[Networks, Tensor]:  # fmt: skip
    """A critic of frozen samples, and minus its loss without the penalty [S]."""
    critic = Networks(seeds, (real.shape[1], 64, 64, 1))
    after = adversary.phases(critic, dict, critic, dict)[0].after
    optimiser = torch.optim.Adam(critic.parameters(), 2e-3, betas=(0.0, 0.9))
    torch.manual_seed(seeds[0])
    for _ in range(steps):
        optimiser.zero_grad()
        terms = adversary.critic_loss(critic, real, generated)
        (len(seeds) * torch.stack(list(terms.values())).sum()).backward()
        optimiser.step()
        if after is not None:
            after()
    with torch.no_grad():
        loss = adversary.game.critic_loss(critic(real), critic(generated))
    return critic, -per_seed(loss, seeds)


def divergence_of_lines(seeds: Sequence[int], quick: bool) -> list[float]:
    """Largest deviation of (V + log 4) / 2 from log 2 over the shifts, of a trained critic."""
    worst = torch.zeros(len(seeds))
    for shift in SHIFTS:
        real, generated = segment(seeds, 0.0), segment(seeds, shift)
        _, value = trained(PLAIN, seeds, real, generated, 10 if quick else 300)
        worst = torch.maximum(worst, ((value + math.log(4)) / 2 - math.log(2)).abs())
    return worst.tolist()


def value_of_lines(seeds: Sequence[int], quick: bool) -> list[float]:
    """Largest relative deviation of the critic's value from θ."""
    worst = torch.zeros(len(seeds))
    for shift in SHIFTS:
        real, generated = segment(seeds, 0.0), segment(seeds, shift)
        _, value = trained(PENALISED, seeds, real, generated, 10 if quick else 400)
        worst = torch.maximum(worst, (value / shift - 1).abs())
    return worst.tolist()


def correlation(adversary: Adversary, seeds: Sequence[int], quick: bool) -> list[float]:
    """Pearson's r of critic value and W1 over pairs of mixtures on the line."""
    values, distances = [], []
    for number in range(3 if quick else 7):
        samples = [_mixtures(seed, number) for seed in seeds]
        real, generated = (torch.cat([pair[side] for pair in samples]) for side in (0, 1))
        values.append(trained(adversary, seeds, real, generated, 10 if quick else 300)[1])
        distances.append([wasserstein_distance(*(side[:, 0].numpy() for side in pair))
                          for pair in samples])  # fmt: skip
    found, exact = torch.stack(values).numpy(), np.array(distances)
    return [float(np.corrcoef(found[:, s], exact[:, s])[0, 1]) for s in range(len(seeds))]


def _mixtures(seed: int, shift: int) -> tuple[Tensor, Tensor]:
    """Two modes, and the same moved by a quarter of ``shift`` and with other shares."""
    draw = torch.Generator().manual_seed(100 * seed + shift)
    number = 128
    sides = []
    for share, moved in ((0.5, 0.0), (0.3, 0.25 * shift)):
        mode = (torch.rand(number, 1, generator=draw) < share).float()
        sides.append(2 * mode - 1 + moved + 0.2 * torch.randn(number, 1, generator=draw))
    return sides[0], sides[1]


def _penalised(seeds: Sequence[int], quick: bool) -> list[float]:
    return correlation(PENALISED, seeds, quick)


def _clipped(seeds: Sequence[int], quick: bool) -> list[float]:
    return correlation(CLIPPED, seeds, quick)


_PAPER = "1701.07875, Example 1"
CLAIMS = (
    Claim("wasserstein", "parallel lines: abs(W1 - θ), by exact transport", _PAPER, "0",
          transport_error, 1e-5),
    Claim("wasserstein", "parallel lines: abs(JSD - log 2) of a trained critic, whatever θ is",
          _PAPER, "0", divergence_of_lines, 0.05),
    Claim("wasserstein", "parallel lines: relative deviation of a WGAN-LP critic from θ",
          "1709.08894", "0", value_of_lines, 0.1),
    Claim("wasserstein", "value of a WGAN-LP critic against W1: Pearson's r",
          "1701.07875, Figure 3", "correlates", _penalised, 0.95, above=True),
    Claim("wasserstein", "value of a clipped critic against W1: Pearson's r",
          "1701.07875, Figure 3", "correlates", _clipped, 0.8, above=True),
)  # fmt: skip
