r"""Arjovsky and Bottou 2017: a critic of a frozen generator becomes perfect, and says nothing.

Data and samples lie on two curves in ten dimensions. The generator stays as it is; a new critic
learns to tell them apart, and the gradient that the generator would get is recorded before and
after. Noise on both gives the critic something to be unsure of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from pcgen.models.gan import Adversary
from pcgen.objectives.adversarial import NON_SATURATING, SATURATING, WASSERSTEIN, Game
from pcgen.objectives.noise import InstanceNoise
from pcgen.objectives.penalties import wgan_gp
from pcgen.tools.claims.claim import Claim
from pcgen.tools.claims.several import per_seed
from pcgen.tools.claims.wasserstein import trained

DIMENSIONS, EVENTS = 10, 128
PLAIN = Adversary(NON_SATURATING, None)
NOISY = Adversary(NON_SATURATING, None, noise=InstanceNoise(1.0, 1.0))


def curves(seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """A circle, and another in other directions and with another centre, of each seed [S B, 10]."""
    sides: tuple[list[Tensor], list[Tensor]] = ([], [])
    for seed in seeds:
        draw = torch.Generator().manual_seed(seed)
        for side in sides:
            plane = torch.linalg.qr(torch.randn(DIMENSIONS, 2, generator=draw))[0]
            angle = 2 * math.pi * torch.rand(EVENTS, 1, generator=draw)
            circle = torch.cat([angle.cos(), angle.sin()], 1) @ plane.T
            side.append(circle + 0.3 * torch.randn(1, DIMENSIONS, generator=draw))
    return torch.cat(sides[0]), torch.cat(sides[1])


def accuracy(adversary: Adversary, seeds: Sequence[int], quick: bool) -> list[float]:
    """Share of events on the right side of the trained critic."""
    real, generated = curves(seeds)
    critic, _ = trained(adversary, seeds, real, generated, 20 if quick else 400)
    with torch.no_grad():
        if adversary.noise is not None:
            real, generated = (adversary.noise(side, 0.0) for side in (real, generated))
        right = (critic(real) > 0).float(), (critic(generated) < 0).float()
        return (0.5 * (per_seed(right[0], seeds) + per_seed(right[1], seeds))).tolist()


def shrinking(game: Game, adversary: Adversary, seeds: Sequence[int], quick: bool) -> list[float]:
    """log10 of the generator's gradient after the training of the critic over that before it."""
    real, generated = curves(seeds)
    norms = []
    for steps in (0, 20 if quick else 400):
        critic, _ = trained(adversary, seeds, real, generated, steps)
        points = generated.clone().requires_grad_(True)
        seen = points if adversary.noise is None else adversary.noise(points, 0.0)
        (slope,) = torch.autograd.grad(game.generator_loss(critic(seen)).sum(), points)
        norms.append(per_seed(slope.norm(dim=1), seeds))
    return (norms[1] / norms[0]).log10().tolist()


_PAPER = "1701.04862"
_WGAN_GP = Adversary(WASSERSTEIN, wgan_gp, strength=10.0)
CLAIMS = (
    Claim("frozen", "accuracy of a critic of a frozen generator", f"{_PAPER}, Figure 1", "1",
          partial(accuracy, PLAIN), 0.99, above=True),
    Claim("frozen", "saturating game: log10 of the generator's gradient, after over before",
          f"{_PAPER}, Figure 2", "-5 in 4000 steps", partial(shrinking, SATURATING, PLAIN), -1.0),
    Claim("frozen", "non-saturating game: the same", f"{_PAPER}, Figure 3", "grows",
          partial(shrinking, NON_SATURATING, PLAIN), 0.0, above=True),
    Claim("frozen", "WGAN-GP: the same", "1704.00028", "does not vanish",
          partial(shrinking, WASSERSTEIN, _WGAN_GP), -0.5, above=True),
    Claim("frozen", "accuracy with noise of scale 1 on both", f"{_PAPER}, section 3", "< 1",
          partial(accuracy, NOISY), 0.95),
    Claim("frozen", "saturating game with noise of scale 1: log10 of the gradient",
          f"{_PAPER}, Theorem 3.2", "does not vanish", partial(shrinking, SATURATING, NOISY),
          -1.0, above=True),
)  # fmt: skip
