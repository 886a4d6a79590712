r"""Mode counting with 1000 modes: three digits side by side, without pictures.

Che et al. 2017 and later work stack three images of digits and count which of 1000 numbers a
classifier finds among 26000 samples. Here a digit is one of ten places on a circle of radius 1,
0.05 wide, and a number is three of them: rows of six. A number is found where at least one of 26000
samples has all three digits within five widths of their places. Networks are perceptrons of three
layers of 64 with ReLUs, batches of 128, Adam without momentum, 2500 steps; samples are of the
running average.
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
from pcgen.objectives.penalties import r1, r1_r2
from pcgen.tools.claims import toys
from pcgen.tools.claims.claim import Claim

DIGITS, PLACES, WIDTH, NUMBER = 3, 10, 0.05, 26000

ADVERSARIES = {
    "none": Adversary(NON_SATURATING, None),
    "r1": Adversary(NON_SATURATING, r1, strength=0.05),
    "r3": Adversary(RELATIVISTIC, r1_r2, strength=0.05),
}


def places() -> Tensor:
    """Of the digits [10, 2]."""
    angle = 2 * math.pi * torch.arange(PLACES)[:, None] / PLACES
    return torch.cat([angle.cos(), angle.sin()], 1)


def numbers(number: int, draw: torch.Generator) -> Tensor:
    """Samples of the truth [number, 6]."""
    digits = torch.randint(PLACES, (number, DIGITS), generator=draw)
    rows = places()[digits].flatten(1)
    return rows + WIDTH * torch.randn(rows.shape, generator=draw)


def found(samples: Tensor) -> int:
    """Different numbers among samples [N, 6] all of whose digits can be read."""
    distance, digit = torch.cdist(samples.reshape(-1, DIGITS, 2), places()).min(2)
    read = digit[(distance < 5 * WIDTH).all(1)]
    value = (read * PLACES ** torch.arange(DIGITS)).sum(1)
    return len(value.unique())


@functools.cache
def _trained(game: str, encoder: str, seeds: tuple[int, ...], quick: bool) -> toys.Trained:
    toy = toys.Toy(numbers, 2 * DIGITS, noise=8, steps=2500)
    return toys.trained(toy, seeds, ADVERSARIES[game], modes=encoder, number=NUMBER, quick=quick)


def counted(game: str, seeds: Sequence[int], quick: bool, *, encoder: str = "none") -> list[float]:
    """Numbers that each seed finds."""
    trained = _trained(game, encoder, tuple(seeds), quick)
    return [float(found(part)) for part in trained.average]


def truth(seeds: Sequence[int], quick: bool) -> list[float]:
    """Numbers among samples of the truth."""
    draws = [numbers(NUMBER, torch.Generator().manual_seed(seed)) for seed in seeds]
    return [float(found(part)) for part in draws]


_CHE = "1612.02136"
CLAIMS = (
    Claim("stacked", "numbers among true samples", "ours", "1000", truth, 1000, above=True),
    Claim("stacked", "non-saturating game without a remedy loses numbers", _CHE, "loses modes",
          partial(counted, "none"), 900),
    Claim("stacked", "R1, γ = 0.1, finds nearly all", "1801.04406", "none",
          partial(counted, "r1"), 950, above=True),
    Claim("stacked", "relativistic pairing with R1 and R2, γ = 0.1, finds nearly all",
          "2501.05441", "1000", partial(counted, "r3"), 950, above=True),
    Claim("stacked", "Reg-GAN without a penalty, λ = 0.2, finds nearly all", _CHE,
          "more than without", partial(counted, "none", encoder="reg-gan"), 950, above=True),
    Claim("stacked", "MDGAN without a penalty, λ = 0.2, finds nearly all", _CHE,
          "more than without", partial(counted, "none", encoder="mdgan"), 950, above=True),
)  # fmt: skip
