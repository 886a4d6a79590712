"""From the plain values of :mod:`pcgen.recipes.paper_gans` to models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from pcgen.datasets.electrons import ELECTRONS
from pcgen.errors import ArgumentError, at_least
from pcgen.io import JETS
from pcgen.models.auxiliary_gan import Auxiliary, AuxiliaryGAN
from pcgen.models.gan import GAN, Adversary
from pcgen.models.representations import Images, Points, Singles
from pcgen.nn import (
    MLP,
    AttentionDecoder,
    AttentionEncoder,
    EPiCEncoder,
    LAGANCritic,
    LAGANGenerator,
    MessagePassingDecoder,
    MessagePassingEncoder,
    Noise,
    RowGenerator,
    SetDecoder,
    weight_normed,
)
from pcgen.objectives.adversarial import LEAST_SQUARES, NON_SATURATING, WASSERSTEIN
from pcgen.objectives.penalties import wgan_gp
from pcgen.recipes import assembly
from pcgen.schema import Schema

LAGAN_GRID = "eta_rel:-0.4:0.4:25,phi_rel:-0.4:0.4:25"
LAGAN_FLIPPED = 0.09 / 0.05
"""Wrong classes in the loss of LAGAN's generator over those in the loss of its critic."""
RMSPROP = (0.0, 0.99)
"""With these betas Adam is RMSprop as torch has it, but for the correction of its first steps."""


def epic_gan(points: Points, *, latent_dim: int, hidden: int, layers: int) -> GAN:
    """EPiC layers with weight normalisation on both sides, without a penalty."""
    at_least(1, latent_dim=latent_dim, hidden=hidden, layers=layers)
    common: dict[str, Any] = {
        "hidden": hidden,
        "global_channels": latent_dim,
        "linear": weight_normed,
        "sum_scale": 1.0,
        "condition_channels": points.condition_channels,
    }
    generator = SetDecoder(
        latent_dim, *_channels(points), start=Noise(3), layers=layers, skips=True, **common
    )
    critic = EPiCEncoder(points.value_channels, 1, layers=_half(layers), deep_head=True, **common)
    return GAN(points, generator, critic, latent_dim, _least_squares(1e-4, 1e-4, (0.9, 0.999)))


def mpgan(points: Points, *, hidden: int, layers: int, distance: bool, dropout: float) -> GAN:
    """Message passing on both sides; all noise is that of the points."""
    at_least(1, hidden=hidden, layers=layers)
    at_least(0, dropout=dropout)
    if not dropout < 1:
        raise ArgumentError(f"dropout: got {dropout}, expected < 1")
    common: dict[str, Any] = {
        "hidden": hidden,
        "layers": layers,
        "distance": distance,
        "condition_channels": points.condition_channels,
    }
    generator = MessagePassingDecoder(0, *_channels(points), start=Noise(hidden, 0.2), **common)
    critic = MessagePassingEncoder(points.value_channels, 1, dropout=dropout, **common)
    return GAN(points, generator, critic, 0, _least_squares(3e-5, 1e-5, RMSPROP))


def gapt(points: Points, *, hidden: int, layers: int, induced: int | None) -> GAN:
    """Attention on both sides; with induced attention the clouds have noise of their own."""
    at_least(1, hidden=hidden, layers=layers, induced=induced)
    heads = next(number for number in (4, 2, 1) if hidden % number == 0)
    common: dict[str, Any] = {
        "hidden": hidden,
        "heads": heads,
        "induced": induced,
        "condition_channels": points.condition_channels,
    }
    code = 0 if induced is None else 8
    generator = AttentionDecoder(code, *_channels(points), layers=layers, start=Noise(8), **common)
    critic = AttentionEncoder(
        points.value_channels, 1, layers=_half(layers), seeds=1, pooling=(), **common
    )
    return GAN(points, generator, critic, code, _least_squares(1.5e-4, 0.5e-4, RMSPROP))


def jet_images(grid: str | None, schema: dict[str, Any] | None) -> Images:
    """Images on a grid; of jets that of LAGAN where none is given."""
    axes = JETS.axes if schema is None else Schema.from_dict(schema).axes
    jets = [axis.name for axis in axes] == [axis.name for axis in JETS.axes]
    return assembly.images(LAGAN_GRID if grid is None and jets else grid, schema)


def lagan(images: Images, *, latent_dim: int, channels: int, label_flipping: float) -> GAN:
    """Locally connected layers; where there are classes, a critic that names them."""
    at_least(1, latent_dim=latent_dim, channels=channels)
    if not 0 <= label_flipping < 0.5:
        raise ArgumentError(f"label_flipping: got {label_flipping}, expected a share in [0, 1/2)")
    first, number = len(images.schema.condition), len(images.schema.labels)
    classes = range(first, first + number) if number > 1 else range(0)
    generator = LAGANGenerator(latent_dim, images.shape, classes, channels=channels)
    critic = LAGANCritic(images.shape, len(classes))
    adversary = Adversary(
        replace(NON_SATURATING, flipping=label_flipping),
        None,
        optimiser={"lr": 2e-4, "betas": (0.5, 0.999)},
    )
    if not classes:
        return GAN(images, generator, critic, latent_dim, adversary)
    flipped = min(LAGAN_FLIPPED * label_flipping, 0.49)
    auxiliary = Auxiliary(number, flipping=label_flipping, generator_flipping=flipped)
    return AuxiliaryGAN(images, generator, critic, latent_dim, adversary, auxiliary)


def smearing_gan(
    schema: Mapping[str, Any] | None,
    *,
    latent_dim: int | None,
    hidden: int,
    layers: int,
    critic_steps: int,
    penalty: float,
) -> GAN:
    """Perceptrons on rows: one point of each event."""
    at_least(1, latent_dim=latent_dim, hidden=hidden, layers=layers, critic_steps=critic_steps)
    at_least(0, penalty=penalty)
    singles = Singles(ELECTRONS if schema is None else Schema.from_dict(dict(schema)))
    rows = singles.value_channels
    code = rows if latent_dim is None else latent_dim
    common: dict[str, Any] = {
        "hidden": [hidden] * layers,
        "condition_channels": singles.condition_channels,
        "activation": nn.ReLU,
    }
    generator = RowGenerator(code, out_channels=rows, **common)
    critic = MLP(rows, out_channels=1, **common)
    adversary = Adversary(
        WASSERSTEIN,
        wgan_gp,
        strength=penalty,
        steps=critic_steps,
        optimiser={"lr": 1e-3, "betas": (0.0, 0.9)},
    )
    return GAN(singles, generator, critic, code, adversary)


def _least_squares(critic: float, generator: float, betas: tuple[float, float]) -> Adversary:
    """Least squares without a penalty, and the learning rates of the two."""
    return Adversary(
        LEAST_SQUARES,
        None,
        optimiser={"lr": critic, "betas": betas},
        generator_optimiser={"lr": generator},
    )


def _channels(points: Points) -> tuple[int, int]:
    """Coordinates of a point, and what it has beside them."""
    axes = len(points.schema.axes)
    return axes, points.value_channels - axes


def _half(layers: int) -> int:
    return max(layers // 2, 1)
