r"""The Dirac-GAN of Mescheder et al. 2018: which games and remedies converge at all.

Data are one point at 0, the generator's are one at θ, and the critic is D(x) = ψ x. Gradient
descent with rate 0.1 in turn, 2000 steps, from a point of the circle of radius √2 that the seed
draws. Reported is the largest abs(θ) of the last 200 steps: 0 where the game converges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from pcgen.models.gan import Adversary
from pcgen.objectives.adversarial import NON_SATURATING, RELATIVISTIC, WASSERSTEIN
from pcgen.objectives.noise import InstanceNoise
from pcgen.objectives.penalties import r1, r1_r2, roth, wgan_gp
from pcgen.tools.claims.claim import Claim, Measure

RATE, STEPS, LAST, DRAWS = 0.1, 2000, 200, 64

ADVERSARIES = {
    "no remedy": Adversary(NON_SATURATING, None),
    "R1": Adversary(NON_SATURATING, r1, strength=0.5),
    "Roth": Adversary(NON_SATURATING, roth, strength=0.5),
    "noise": Adversary(NON_SATURATING, None, noise=InstanceNoise(0.7, 1.0)),
    "R3": Adversary(RELATIVISTIC, r1_r2, strength=0.5),
    "clip": Adversary(WASSERSTEIN, None, bound=1.0),
    "WGAN-GP": Adversary(WASSERSTEIN, wgan_gp, strength=1.0),
    "WGAN R1": Adversary(WASSERSTEIN, r1, strength=0.5),
}


class Slope(nn.Module):
    """ψ of each seed [S]."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.value = nn.Parameter(start)

    def forward(self, x: Tensor) -> Tensor:
        """Rows [S K, 1] -> logits [S K]."""
        return (x.reshape(len(self.value), -1) * self.value[:, None]).flatten()


def farthest(adversary: Adversary, seeds: Sequence[int], quick: bool) -> list[float]:
    """Largest abs(θ) of the last steps."""
    angle = torch.tensor([_angle(seed) for seed in seeds])
    critic, theta = Slope(math.sqrt(2) * angle.sin()), (math.sqrt(2) * angle.cos())
    torch.manual_seed(seeds[0])
    steps, number = (40 if quick else STEPS), len(seeds)
    copies = DRAWS if adversary.noise is not None else 1
    real, largest = torch.zeros(number * copies, 1), torch.zeros(number)
    for phase_step in range(steps):
        generated = theta.repeat_interleave(copies)[:, None]
        terms = adversary.critic_loss(critic, real, generated)
        _descend(number * torch.stack(list(terms.values())).sum(), critic.value)
        if adversary.bound is not None:
            for phase in adversary.phases(critic, dict, critic, dict)[:1]:
                assert phase.after is not None
                phase.after()
        theta.requires_grad_(True)
        generated = theta.repeat_interleave(copies)[:, None]
        loss = adversary.generator_loss(critic, real, generated)["generator"]
        _descend(number * loss, theta)
        theta = theta.detach()
        if phase_step >= steps - LAST:
            largest = torch.maximum(largest, theta.abs())
    return largest.tolist()


def _angle(seed: int) -> float:
    return float(2 * math.pi * torch.rand((), generator=torch.Generator().manual_seed(seed)))


def _descend(loss: Tensor, parameter: Tensor) -> None:
    (slope,) = torch.autograd.grad(loss, parameter)
    with torch.no_grad():
        parameter -= RATE * slope


def _of(name: str) -> Measure:
    found: Callable[[Sequence[int], bool], list[float]] = partial(farthest, ADVERSARIES[name])
    return found


_PAPER = "1801.04406"
CLAIMS = (
    Claim("dirac", "non-saturating game without a remedy does not converge: abs(θ) at the end",
          _PAPER, "> 0", _of("no remedy"), 0.05, above=True),
    Claim("dirac", "R1 converges", _PAPER, "0", _of("R1"), 0.01),
    Claim("dirac", "Roth's penalty converges", _PAPER, "0", _of("Roth"), 0.01),
    Claim("dirac", "instance noise converges, up to the noise of its draws", _PAPER, "0",
          _of("noise"), 0.05),
    Claim("dirac", "relativistic pairing with R1 and R2 converges", "2501.05441", "0",
          _of("R3"), 0.01),
    Claim("dirac", "WGAN with clipping does not converge", _PAPER, "> 0", _of("clip"), 0.05,
          above=True),
    Claim("dirac", "WGAN-GP does not converge", _PAPER, "> 0", _of("WGAN-GP"), 0.05, above=True),
    Claim("dirac", "a Wasserstein critic with R1 converges", _PAPER, "0", _of("WGAN R1"), 0.01),
)  # fmt: skip
