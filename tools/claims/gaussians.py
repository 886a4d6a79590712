r"""Gulrajani et al. 2017: 25 Gaussians on a square lattice in the plane.

Centres 2 apart in units of which a mode is 0.05 wide, all divided by 2.828, as in the code of the
paper, of which two columns of noise, λ = 0.1 and 5 critic steps are also (its networks are of 512,
and learn for 100 000 steps). Here generator, critic and encoder are perceptrons of three layers of
64 with ReLUs, batches of 128, Adam without momentum, 4000 steps. A mode is found where at least 20
of 5000 samples lie within five widths of it; the samples are of the running average of the
generator.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from pcgen.models.gan import Adversary
from pcgen.objectives.adversarial import NON_SATURATING, WASSERSTEIN
from pcgen.objectives.penalties import r1, wgan_gp
from pcgen.tools.claims import toys
from pcgen.tools.claims.claim import Claim

WIDTH = 0.05 / 2.828

ADVERSARIES = {
    "none": Adversary(NON_SATURATING, None),
    "r1": Adversary(NON_SATURATING, r1, strength=0.05),
    "wgan-gp": Adversary(WASSERSTEIN, wgan_gp, strength=0.1, steps=5),
}


def centres() -> Tensor:
    """Of the modes [25, 2]."""
    axis = torch.arange(-2.0, 3.0) * 2 / 2.828
    return torch.cartesian_prod(axis, axis)


def lattice(number: int, draw: torch.Generator) -> Tensor:
    """Samples of the truth [number, 2]."""
    place = centres()[torch.randint(25, (number,), generator=draw)]
    return place + WIDTH * torch.randn(number, 2, generator=draw)


@functools.cache
def _trained(game: str, encoder: str, seeds: tuple[int, ...], quick: bool) -> toys.Trained:
    toy = toys.Toy(lattice, 2, noise=2)
    return toys.trained(toy, seeds, ADVERSARIES[game], modes=encoder, quick=quick)


def found(game: str, seeds: Sequence[int], quick: bool, *, encoder: str = "none") -> list[float]:
    """Modes that each seed finds."""
    trained = _trained(game, encoder, tuple(seeds), quick)
    return [float(toys.found(part, centres(), WIDTH)) for part in trained.average]


def truth(seeds: Sequence[int], quick: bool) -> list[float]:
    """Modes among samples of the truth."""
    draws = [lattice(5000, torch.Generator().manual_seed(seed)) for seed in seeds]
    return [float(toys.found(part, centres(), WIDTH)) for part in draws]


_PAPER = "1704.00028, Figure 1"
CLAIMS = (
    Claim("gaussians", "modes among true samples", "ours", "25 of 25", truth, 25, above=True),
    Claim("gaussians", "WGAN-GP, λ = 0.1, finds nearly all", _PAPER, "25 of 25",
          partial(found, "wgan-gp"), 23, above=True),
    Claim("gaussians", "R1, γ = 0.1, finds nearly all", "1801.04406", "none",
          partial(found, "r1"), 23, above=True),
    Claim("gaussians", "Reg-GAN without a penalty, λ = 0.2, finds nearly all", "1612.02136",
          "none", partial(found, "none", encoder="reg-gan"), 23, above=True),
    Claim("gaussians", "MDGAN without a penalty, λ = 0.2, finds nearly all", "1612.02136",
          "none", partial(found, "none", encoder="mdgan"), 23, above=True),
)  # fmt: skip
