"""Recipes for jets: particles or calorimeter cells around the jet axis, given class and jet p_T.

The parts are the same in all of them: an EPiC encoder, a decoder of EPiC layers on ranked points,
and a reconstruction loss of four terms: the earth mover's distance of the energy, Chamfer's of the
points, and the two of :mod:`pcgen.objectives.terms`. Arguments are plain values, so that they can
be options of a command and part of a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from torch import nn

from pcgen.errors import ArgumentError
from pcgen.io import JETS
from pcgen.models.autoencoder import Autoencoder, Deterministic, Distance, Gaussian, Latent
from pcgen.models.cardinality import Cardinality
from pcgen.models.codes import CodeBook
from pcgen.models.latent import LatentModel, Prior
from pcgen.models.latent_gan import LatentGAN, Penalty
from pcgen.models.mixture import Mixture
from pcgen.models.whitening import Whitening
from pcgen.nn import MLP, EPiCEncoder, RankedDecoder, SetDecoder
from pcgen.nn.ranked import CHANNELS
from pcgen.objectives import terms
from pcgen.objectives.adversarial import NON_SATURATING, WASSERSTEIN, Game
from pcgen.objectives.penalties import r1, wgan_gp
from pcgen.objectives.reconstruction import ChamferLoss, EarthMoverLoss, Scaled
from pcgen.schema import Schema
from pcgen.standardize import Standardize

GAMES: dict[str, tuple[Game, Penalty]] = {
    "r1": (NON_SATURATING, r1),
    "wgan-gp": (WASSERSTEIN, wgan_gp),
}
GLOBAL = 16  # channels of the cloud's own vector in EPiC layers


def jets_autoencoder(
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    recentre: bool = True,
    schema: dict[str, Any] | None = None,
) -> Autoencoder:
    """Autoencoder of jets: codes for other uses; it has no prior and is not sampled.

    Args:
        latent_dim: Numbers in the code of a jet.
        hidden: Channels of a particle inside the networks.
        layers: EPiC layers of the decoder; the encoder has one less.
        recentre: Move each jet so that its p_T-weighted centre is that of a training jet.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.
    """
    return _autoencoder(latent_dim, hidden, layers, recentre, schema, Deterministic)


def jets_vae(
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    beta: float = 0.01,
    recentre: bool = True,
    schema: dict[str, Any] | None = None,
) -> Autoencoder:
    """Variational autoencoder of jets, conditional on class and jet p_T.

    Args:
        latent_dim: Numbers in the code of a jet.
        hidden: Channels of a particle inside the networks.
        layers: EPiC layers of the decoder; the encoder has one less.
        beta: Factor of the Kullback-Leibler divergence of the codes from a standard normal.
        recentre: Move each jet so that its p_T-weighted centre is that of a training jet.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.
    """
    latent = partial(Gaussian, beta=beta)
    return _autoencoder(latent_dim, hidden, layers, recentre, schema, latent)


def jets_latent_gan(
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    width: int = 128,
    share: float = 0.5,
    game: Literal["r1", "wgan-gp"] = "r1",
    penalty: float = 5.0,
    critic_steps: int = 1,
    noise: float = 0.0,
    recentre: bool = True,
    schema: dict[str, Any] | None = None,
) -> LatentModel:
    """Latent GAN of jets: a GAN on the codes of an autoencoder, given class and jet p_T.

    Args:
        latent_dim: Numbers in the code of a jet.
        hidden: Channels of a particle inside the networks.
        layers: EPiC layers of the decoder; the encoder has one less.
        width: Width of the three hidden layers of generator and critic.
        share: Fraction of the steps that the autoencoder gets.
        game: r1, the non-saturating game with a penalty at real codes, or wgan-gp, the Wasserstein
            game with a penalty in between, customarily with penalty 10 and critic_steps 5.
        penalty: Factor of the gradient penalty.
        critic_steps: Steps of the critic per step of the generator.
        noise: Factor of a Kullback-Leibler term that keeps the autoencoder's codes smooth.
        recentre: Move each jet so that its p_T-weighted centre is that of a training jet.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.

    Raises:
        ArgumentError: an unknown game.
    """
    if game not in GAMES:
        raise ArgumentError(f"game: got {game!r}, expected one of {', '.join(GAMES)}")
    autoencoder = _autoencoder(latent_dim, hidden, layers, recentre, schema, _smooth(noise))
    conditions = autoencoder.standardize.condition_features
    generator, critic = (
        MLP(latent_dim, [width] * 3, out, condition_channels=conditions) for out in (latent_dim, 1)
    )
    rules, regulariser = GAMES[game]
    prior = LatentGAN(
        generator,
        critic,
        latent_dim,
        game=rules,
        penalty=regulariser,
        strength=penalty,
        critic_steps=critic_steps,
    )
    return _latent(autoencoder, prior, latent_dim, share)


def jets_latent_mixture(
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    components: int = 32,
    noise: float = 0.0,
    recentre: bool = True,
    schema: dict[str, Any] | None = None,
) -> LatentModel:
    """Gaussian mixture on the codes of an autoencoder of jets: baseline of the latent GAN.

    Args:
        latent_dim: Numbers in the code of a jet.
        hidden: Channels of a particle inside the networks.
        layers: EPiC layers of the decoder; the encoder has one less.
        components: Most components of the mixture of a class.
        noise: Factor of the Kullback-Leibler term that keeps the autoencoder's codes smooth.
        recentre: Move each jet so that its p_T-weighted centre is that of a training jet.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.
    """
    autoencoder = _autoencoder(latent_dim, hidden, layers, recentre, schema, _smooth(noise))
    meaning, channels = autoencoder.schema, autoencoder.standardize.condition_features
    # Condition: y, one-hot class, log n.
    continuous = [*range(len(meaning.condition)), channels - 1]
    prior = Mixture(latent_dim, continuous, classes=len(meaning.labels), components=components)
    # Fitted in one pass and without steps: the last twentieth of the run costs no time.
    return _latent(autoencoder, prior, latent_dim, 0.95)


def _latent(autoencoder: Autoencoder, prior: Prior, latent_dim: int, share: float) -> LatentModel:
    conditions = autoencoder.standardize.condition_features
    whitening, book = Whitening(latent_dim, conditions), CodeBook(latent_dim, conditions)
    return LatentModel(autoencoder, prior, whitening, book, share=share)


def _smooth(noise: float) -> Callable[[int, int], Latent]:
    """Codes under a prior: those nearby are nearby jets where noise is added."""
    return partial(Gaussian, beta=noise) if noise else Deterministic


def _autoencoder(
    latent_dim: int,
    hidden: int,
    layers: int,
    recentre: bool,
    schema: dict[str, Any] | None,
    latent: Callable[[int, int], Latent],
) -> Autoencoder:
    meaning = JETS if schema is None else Schema.from_dict(schema)
    standardize = Standardize(meaning)
    points, conditions = standardize.point_features, standardize.condition_features
    axes = len(meaning.axes)
    encoder = EPiCEncoder(
        points,
        hidden,
        hidden=hidden,
        global_channels=GLOBAL,
        layers=max(layers - 1, 1),
        condition_channels=conditions,
    )
    decoder: nn.Module = RankedDecoder(
        SetDecoder(
            latent_dim,
            axes,
            points - axes,
            condition_channels=conditions,
            hidden=hidden,
            global_channels=GLOBAL,
            noise_channels=CHANNELS,
            layers=layers,
        )
    )
    return Autoencoder(
        standardize=standardize,
        cardinality=Cardinality(meaning),
        encoder=encoder,
        latent=latent(encoder.out_channels, latent_dim),
        decoder=decoder,
        reconstruction=reconstruction(standardize),
        recentre=recentre,
    )


def reconstruction(standardize: Standardize) -> dict[str, Distance]:
    """The four terms of a set autoencoder's loss, see the head of this file."""
    return {
        "emd": EarthMoverLoss(standardize=standardize),
        "chamfer": Scaled(0.3, ChamferLoss(standardize=standardize)),
        "sliced": terms.sliced,
        "shape": terms.shape,
    }
