r"""Roth et al. 2017: Gaussians on a ring in a plane of three dimensions, and who finds them all.

Seven modes of width 0.01 on the unit circle, z = 0 with the same width. Generator and critic are
perceptrons of three layers of 64, batches of 128, Adam without momentum. A mode is found where at
least 20 of 5000 samples lie within five widths of it; the samples are of the running average of the
generator (decay 0.995).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from pcgen.models.gan import Adversary
from pcgen.objectives.adversarial import NON_SATURATING, OPTIMISER, RELATIVISTIC
from pcgen.objectives.penalties import r1, r1_r2, roth
from pcgen.tools.claims.claim import Claim
from pcgen.tools.claims.several import Networks

MODES, WIDTH, BATCH, STEPS, NOISE, DECAY = 7, 0.01, 128, 2500, 4, 0.995

# The factor of a penalty is γ / 2.
ADVERSARIES = {
    "none": Adversary(NON_SATURATING, None),
    "small": Adversary(NON_SATURATING, roth, strength=0.05, annealing=0.01),
    "large": Adversary(NON_SATURATING, roth, strength=1.0, annealing=0.01),
    "r1": Adversary(NON_SATURATING, r1, strength=0.05),
    "r3": Adversary(RELATIVISTIC, r1_r2, strength=0.05),
}


def ring(number: int, draw: torch.Generator) -> Tensor:
    """Samples of the truth [number, 3]."""
    angle = 2 * math.pi * torch.randint(MODES, (number, 1), generator=draw) / MODES
    place = torch.cat([angle.cos(), angle.sin(), torch.zeros_like(angle)], 1)
    return place + WIDTH * torch.randn(number, 3, generator=draw)


def modes(samples: Tensor) -> int:
    """How many modes have at least 20 of 5000 samples [5000, 3] within five widths."""
    angle = 2 * math.pi * torch.arange(MODES)[:, None] / MODES
    place = torch.cat([angle.cos(), angle.sin(), torch.zeros_like(angle)], 1)
    near = torch.cdist(samples, place) < 5 * WIDTH
    return int((near.sum(0) >= 20).sum())


def found(name: str, seeds: Sequence[int], quick: bool) -> list[float]:
    """Modes that each seed finds."""
    adversary, steps = ADVERSARIES[name], (5 if quick else STEPS)
    draw = torch.Generator().manual_seed(1000 + seeds[0])
    generator = Networks(seeds, (NOISE, 64, 64, 64, 3))
    critic = Networks([seed + 500 for seed in seeds], (3, 64, 64, 64, 1))
    average = copy.deepcopy(generator).requires_grad_(False)
    sides = [torch.optim.Adam(net.parameters(), lr=1e-3, betas=OPTIMISER["betas"])
             for net in (critic, generator)]  # fmt: skip
    rows = len(seeds) * BATCH
    for step in range(steps):
        done = step / steps
        real = ring(rows, draw)
        with torch.no_grad():
            generated = generator(torch.randn(rows, NOISE, generator=draw))
        terms = adversary.critic_loss(critic, real, generated, done=done)
        _learn(sides[0], len(seeds) * torch.stack(list(terms.values())).sum())
        generated = generator(torch.randn(rows, NOISE, generator=draw))
        loss = adversary.generator_loss(critic, real, generated, done=done)
        _learn(sides[1], len(seeds) * loss["generator"])
        _follow(average, generator)
    samples = average(torch.randn(len(seeds) * 5000, NOISE, generator=draw))
    return [float(modes(part)) for part in samples.reshape(len(seeds), 5000, 3)]


def _learn(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _follow(average: Networks, net: Networks) -> None:
    with torch.no_grad():
        for mean, value in zip(average.parameters(), net.parameters(), strict=True):
            mean.lerp_(value, 1 - DECAY)


def truth(seeds: Sequence[int], quick: bool) -> list[float]:
    """Modes among samples of the truth: the floor of the count."""
    return [float(modes(ring(5000, torch.Generator().manual_seed(seed)))) for seed in seeds]


_PAPER, _ALL = "1705.09367, Figure 2", "7 of 7"
CLAIMS = (
    Claim("ring", "modes among true samples", "ours", _ALL, truth, 7, above=True),
    Claim("ring", "non-saturating game without a remedy loses modes", _PAPER, "collapses",
          partial(found, "none"), 5),
    Claim("ring", "Roth's penalty, γ = 2 annealed to 0.02, finds all", _PAPER, _ALL,
          partial(found, "large"), 7, above=True),
    Claim("ring", "Roth's penalty, γ = 0.1, is too small: its weights vanish", "ours", "none",
          partial(found, "small"), 5),
    Claim("ring", "R1, γ = 0.1, finds all", "1801.04406", "none", partial(found, "r1"), 7,
          above=True),
    Claim("ring", "relativistic pairing with R1 and R2, γ = 0.1, finds all", "2501.05441",
          "none", partial(found, "r3"), 7, above=True),
)  # fmt: skip
