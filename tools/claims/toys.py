"""Toy GANs: the models of pcgen on rows of numbers, several seeds side by side.

Generator, critic and encoder are :class:`~pcgen.tools.claims.several.Networks`, and the model's own
phases train them, each with an Adam that has the options of the phase. Samples are of the generator
as it is at the end, or of the running average of its parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pcgen.models.base import Phase
from pcgen.models.gan import GAN, Adversary
from pcgen.models.latent_terms import Code, Latent
from pcgen.models.mode_gan import MDGAN, RegGAN
from pcgen.schema import Quantity, Schema
from pcgen.tools.claims.several import Networks

Truth = Callable[[int, torch.Generator], Tensor]
"""``(number, generator) -> samples [number, C]``."""


@dataclass(frozen=True)
class Toy:
    """What is learnt, and by networks of which size.

    Attributes:
        truth: Draws samples.
        channels: C.
        hidden: Widths of the hidden layers of all networks.
        noise: Columns of the generator's noise.
        batch: Samples of each seed in a step.
        steps: Of the generator.
        rate: Learning rate of all.
        decay: Of the running average.
        slope: Of the networks' leaky ReLUs; 0, of ReLUs, is what the papers have.
    """

    truth: Truth
    channels: int
    hidden: tuple[int, ...] = (64, 64, 64)
    noise: int = 4
    batch: int = 128
    steps: int = 4000
    rate: float = 1e-3
    decay: float = 0.995
    slope: float = 0.0


class Rows(nn.Module):
    """Rows of numbers [B, C] as a representation of events: they are their own values."""

    schema = Schema((Quantity("x"),))

    def phases(self) -> tuple[Phase, ...]:
        """Nothing is fitted."""
        return ()

    def see(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The rows, and no condition."""
        return rows, rows.new_zeros(len(rows), 0)

    def sizes(self, event: Tensor) -> Tensor:
        """No sizes."""
        return event.new_zeros(len(event), dtype=torch.int64)

    def values(self, event: Tensor) -> Tensor:
        """The rows."""
        return event

    def with_values(self, event: Tensor, values: Tensor) -> Tensor:
        """Other rows."""
        return values

    def complete(self, event: Tensor) -> Tensor:
        """The rows."""
        return event


class Bare(nn.Module):
    """Networks of the first argument, as models call them with several."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, rows: Tensor, *others: Any) -> Tensor:
        """Rows [S B, C] -> [S B, C']."""
        found: Tensor = self.networks(rows)
        return found


class Straight(Latent):
    """The encoder's features are the code, each seed's of its own network."""

    def __init__(self, code_channels: int) -> None:
        super().__init__()
        self.code_channels = code_channels

    def forward(self, features: Tensor) -> Code:
        """See :meth:`Latent.forward`."""
        return Code(features, {})

    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """Normal numbers."""
        return torch.randn(number, self.code_channels, generator=generator)


class Trained(NamedTuple):
    """Samples of each seed [S, N, C]: of the running average, and of the last parameters."""

    average: Tensor
    last: Tensor


def _squared(decoded: Tensor, real: Tensor) -> Tensor:
    return (decoded - real).square().sum(1)


def model(toy: Toy, seeds: Sequence[int], adversary: Adversary, modes: str) -> GAN:
    """An untrained GAN, or with ``modes`` a Reg-GAN or MDGAN."""

    def networks(sizes: tuple[int, ...], start: int) -> Bare:
        return Bare(Networks([seed + start for seed in seeds], sizes, slope=toy.slope))

    rows: Any = Rows()
    generator = networks((toy.noise, *toy.hidden, toy.channels), 0)
    critic = networks((toy.channels, *toy.hidden, 1), 500)
    if modes == "none":
        return GAN(rows, generator, critic, toy.noise, adversary)
    encoder = networks((toy.channels, *toy.hidden, toy.noise), 1000)
    code: Any = Straight(toy.noise)
    distances = {"squared": _squared}
    if modes == "reg-gan":
        return RegGAN(rows, generator, critic, encoder, code, adversary, distances=distances)
    manifold = networks((toy.channels, *toy.hidden, 1), 1500)
    return MDGAN(rows, generator, critic, manifold, encoder, code, adversary, distances=distances)


def trained(
    toy: Toy,
    seeds: Sequence[int],
    adversary: Adversary,
    *,
    modes: str = "none",
    number: int = 5000,
    quick: bool = False,
) -> Trained:
    """Samples of what has been learnt.

    Args:
        toy: What is learnt.
        seeds: Of the networks.
        adversary: What the two play.
        modes: none, reg-gan or mdgan.
        number: Samples of each seed.
        quick: A few steps only.
    """
    gan, steps = model(toy, seeds, adversary, modes), (5 if quick else toy.steps)
    average = copy.deepcopy(gan.generator).requires_grad_(False)
    phases = gan.phases()
    sides = [
        torch.optim.Adam(phase.parameters(), lr=toy.rate, betas=(phase.optimiser or {})["betas"])
        for phase in phases
    ]
    rows, draw = len(seeds) * toy.batch, torch.Generator().manual_seed(1000 + seeds[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2000 + seeds[0])
        for step in range(steps):
            gan.set_done(step / steps)
            for phase, optimiser in zip(phases, sides, strict=True):
                for _ in range(phase.repeat):
                    _learn(phase, optimiser, toy.truth(rows, draw), len(seeds))
            _follow(average, gan.generator, toy.decay)
    noise = torch.randn(len(seeds) * number, toy.noise, generator=draw)
    with torch.no_grad():
        average_rows, last_rows = average(noise), gan.generator(noise)
    shape = (len(seeds), number, toy.channels)
    return Trained(average_rows.reshape(shape), last_rows.reshape(shape))


def _learn(phase: Phase, optimiser: torch.optim.Optimizer, rows: Tensor, number: int) -> None:
    """One step; losses are means over all seeds, and each is to learn as it would alone."""
    assert phase.loss is not None
    optimiser.zero_grad()
    terms = phase.loss(rows)
    loss = number * torch.stack(list(terms.values())).sum()
    parameters = phase.parameters()
    gradients = torch.autograd.grad(loss, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimiser.step()
    if phase.after is not None:
        phase.after()


def _follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for mean, value in zip(average.parameters(), net.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)


def found(samples: Tensor, centres: Tensor, width: float, least: int = 20) -> int:
    """Modes with at least so many samples within five widths.

    Args:
        samples: [N, C].
        centres: Of the modes [M, C].
        width: Of each.
        least: Samples that a mode needs.
    """
    distance, mode = torch.cdist(samples, centres).min(1)
    counts = torch.bincount(mode[distance < 5 * width], minlength=len(centres))
    return int((counts >= least).sum())


def quality(samples: Tensor, centres: Tensor, width: float) -> float:
    """Fraction of the samples [N, C] within five widths of a mode."""
    return float((torch.cdist(samples, centres).min(1)[0] < 5 * width).float().mean())
