r"""Roth et al. 2017: Gaussians on a ring in a plane of three dimensions, and who finds them all.

Seven modes of width 0.01 on the unit circle, z = 0 with the same width. Generator, critic and
encoder are perceptrons of three layers of 64 with ReLUs, batches of 128, Adam without momentum,
4000 steps. A mode is found where at least 20 of 5000 samples lie within five widths of it; the
samples are of the running average of the generator (decay 0.995) or, where it is said, of its last
parameters.

With leaky ReLUs of slope 0.2 a generator without a remedy finds all modes, and the toy tells
nothing of remedies; docs/remedies.md has the figures.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from pcgen.models.gan import Adversary
from pcgen.objectives.adversarial import NON_SATURATING, RELATIVISTIC
from pcgen.objectives.penalties import r1, r1_r2, roth
from pcgen.tools.claims import toys
from pcgen.tools.claims.claim import Claim

MODES, WIDTH = 7, 0.01

# The factor of a penalty is γ / 2.
ADVERSARIES = {
    "none": Adversary(NON_SATURATING, None),
    "small": Adversary(NON_SATURATING, roth, strength=0.05, annealing=0.01),
    "large": Adversary(NON_SATURATING, roth, strength=1.0, annealing=0.01),
    "r1": Adversary(NON_SATURATING, r1, strength=0.05),
    "r3": Adversary(RELATIVISTIC, r1_r2, strength=0.05),
}


def centres() -> Tensor:
    """Of the modes [7, 3]."""
    angle = 2 * math.pi * torch.arange(MODES)[:, None] / MODES
    return torch.cat([angle.cos(), angle.sin(), torch.zeros_like(angle)], 1)


def ring(number: int, draw: torch.Generator) -> Tensor:
    """Samples of the truth [number, 3]."""
    place = centres()[torch.randint(MODES, (number,), generator=draw)]
    return place + WIDTH * torch.randn(number, 3, generator=draw)


def modes(samples: Tensor) -> int:
    """How many modes have at least 20 of 5000 samples [5000, 3] within five widths."""
    return toys.found(samples, centres(), WIDTH)


@functools.cache
def _trained(game: str, encoder: str, seeds: tuple[int, ...], quick: bool) -> toys.Trained:
    """Trained once for all that is measured of it."""
    toy = toys.Toy(ring, 3)
    return toys.trained(toy, seeds, ADVERSARIES[game], modes=encoder, quick=quick)


def found(
    game: str, seeds: Sequence[int], quick: bool, *, encoder: str = "none", last: bool = False
) -> list[float]:
    """Modes that each seed finds."""
    trained = _trained(game, encoder, tuple(seeds), quick)
    return [float(modes(part)) for part in (trained.last if last else trained.average)]


def quality(game: str, seeds: Sequence[int], quick: bool, *, encoder: str = "none") -> list[float]:
    """Fraction of the samples of each seed that are within five widths of a mode."""
    trained = _trained(game, encoder, tuple(seeds), quick)
    return [toys.quality(part, centres(), WIDTH) for part in trained.average]


def truth(seeds: Sequence[int], quick: bool) -> list[float]:
    """Modes among samples of the truth: the floor of the count."""
    return [float(modes(ring(5000, torch.Generator().manual_seed(seed)))) for seed in seeds]


_PAPER, _CHE, _ALL = "1705.09367, Figure 2", "1612.02136", "7 of 7"
_LAST = ", last parameters"
CLAIMS = (
    Claim("ring", "modes among true samples", "ours", _ALL, truth, 7, above=True),
    Claim("ring", "non-saturating game without a remedy loses modes", _PAPER, "collapses",
          partial(found, "none"), 5),
    Claim("ring", f"the same{_LAST}", _PAPER, "collapses", partial(found, "none", last=True), 5),
    Claim("ring", "Roth's penalty, γ = 2 annealed to 0.02, finds all", _PAPER, _ALL,
          partial(found, "large"), 7, above=True),
    Claim("ring", f"Roth's penalty, γ = 2 annealed to 0.02, finds nearly all{_LAST}", _PAPER, _ALL,
          partial(found, "large", last=True), 6, above=True),
    Claim("ring", "Roth's penalty, γ = 0.1, is too small: its weights vanish", "ours", "none",
          partial(found, "small"), 5),
    Claim("ring", "R1, γ = 0.1, finds all", "1801.04406", "none", partial(found, "r1"), 7,
          above=True),
    Claim("ring", f"R1, γ = 0.1, finds nearly all{_LAST}", "1801.04406", "none",
          partial(found, "r1", last=True), 6, above=True),
    Claim("ring", "relativistic pairing with R1 and R2, γ = 0.1, finds all", "2501.05441",
          "none", partial(found, "r3"), 7, above=True),
    Claim("ring", f"relativistic pairing with R1 and R2, γ = 0.1, finds nearly all{_LAST}",
          "2501.05441", "none", partial(found, "r3", last=True), 6, above=True),
    Claim("ring", "Reg-GAN without a penalty, λ = 0.2, finds nearly all", _CHE, "all modes",
          partial(found, "none", encoder="reg-gan"), 6, above=True),
    Claim("ring", f"Reg-GAN finds nearly all{_LAST}", _CHE, "all modes",
          partial(found, "none", encoder="reg-gan", last=True), 6, above=True),
    Claim("ring", "Reg-GAN: fraction of samples on a mode", "ours", "none",
          partial(quality, "none", encoder="reg-gan"), 0.8, above=True),
    Claim("ring", "MDGAN without a penalty, λ = 0.2, finds nearly all", _CHE, "all modes",
          partial(found, "none", encoder="mdgan"), 6, above=True),
    Claim("ring", f"MDGAN finds nearly all{_LAST}", _CHE, "all modes",
          partial(found, "none", encoder="mdgan", last=True), 6, above=True),
    Claim("ring", "MDGAN: fraction of samples on a mode", "ours", "none",
          partial(quality, "none", encoder="mdgan"), 0.8, above=True),
)  # fmt: skip
