"""From the names in the options of a recipe to what critic and generator play.

A new remedy is one entry of ``PENALTIES``, where it is a function of
:mod:`pcgen.objectives.penalties`, and its name in :data:`pcgen.recipes.games.Regulariser`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pcgen.errors import ArgumentError, at_least
from pcgen.models.autoencoder import Distance
from pcgen.models.gan import GAN, Adversary, Penalty
from pcgen.models.latent_terms import Deterministic, Gaussian
from pcgen.models.mode_gan import MDGAN, VAEGAN, RegGAN
from pcgen.models.representations import Representation
from pcgen.nn.critic import FeatureCritic
from pcgen.nn.spectral import SpectralCritic
from pcgen.objectives import adversarial
from pcgen.objectives.adversarial import Game
from pcgen.objectives.noise import InstanceNoise
from pcgen.objectives.penalties import dragan, r1, r1_r2, r2, roth, wgan_gp, wgan_lp

GAMES: Mapping[str, Game] = {
    "non-saturating": adversarial.NON_SATURATING,
    "saturating": adversarial.SATURATING,
    "maximum-likelihood": adversarial.MAXIMUM_LIKELIHOOD,
    "wasserstein": adversarial.WASSERSTEIN,
    "hinge": adversarial.HINGE,
    "least-squares": adversarial.LEAST_SQUARES,
    "relativistic": adversarial.RELATIVISTIC,
}
PENALTIES: Mapping[str, tuple[Penalty, float | None]] = {
    "r1": (r1, None),
    "r2": (r2, None),
    "r1-r2": (r1_r2, None),
    "roth": (roth, 1.0),
    "wgan-gp": (wgan_gp, 10.0),
    "wgan-lp": (wgan_lp, 10.0),
    "dragan": (dragan, 10.0),
}
"""Function and customary strength; None: that which the recipe has for R1."""
BOUNDS: Mapping[str, float] = {"clip": 0.1, "spectral": 5.0}
"""Remedies that bound the critic by its parameters, and their customary strengths."""
REGULARISERS = (*PENALTIES, *BOUNDS, "none")
FORMER: Mapping[str, tuple[str, str]] = {
    "r1": ("non-saturating", "r1"),
    "wgan-gp": ("wasserstein", "wgan-gp"),
}
"""Former names of a game with its penalty on codes."""
ANNEALED = 0.01
"""Last strength over first of Roth's penalty (arXiv 1705.09367) and of instance noise."""
MODES = ("none", "reg-gan", "mdgan", "vae-gan")
"""Encoders beside the generator, see :mod:`pcgen.models.mode_gan`."""
FEATURES = 64
"""Columns of the features of a critic that has some, and of an encoder before the code."""
_ODDS = ("non-saturating", "saturating", "maximum-likelihood")  # D = log p/q at the best critic


@dataclass(frozen=True)
class Kind:
    """What the critic of a recipe sees, as far as remedies depend on it.

    Attributes:
        strength: Factor of R1.
        sets: Points without an order, between which there is nothing.
        cells: The critic asks which cells are active, so noise would open all of them.
    """

    strength: float
    sets: bool = False
    cells: bool = False


@dataclass(frozen=True)
class Choice:
    """Options of a recipe about its game, as they are given.

    Attributes:
        game: One of ``GAMES``, or of ``FORMER``.
        regulariser: One of ``REGULARISERS``; None: r1.
        penalty: Strength of the regulariser; None: the customary one.
        annealing: Last over first strength of penalty and noise; None: the customary one.
        penalty_in_spreads: See :class:`~pcgen.models.gan.Adversary`.
        instance_noise: Scale of :class:`~pcgen.objectives.noise.InstanceNoise` at the start.
        label_smoothing: Of :class:`~pcgen.objectives.adversarial.Game`.
        label_flipping: The same.
        critic_steps: Steps of the critic per step of the generator.
        adaptive_noise: Target of the noise; None: it is annealed.
        minibatch_statistics: Of :class:`~pcgen.nn.critic.FeatureCritic`.
        feature_matching: See :class:`~pcgen.models.gan.Adversary`.
        modes: One of ``MODES``.
        mode_strength: λ of :mod:`pcgen.models.mode_gan`; None: the customary one.
    """

    game: str = "non-saturating"
    regulariser: str | None = None
    penalty: float | None = None
    annealing: float | None = None
    penalty_in_spreads: bool = False
    instance_noise: float = 0.0
    label_smoothing: float = 0.0
    label_flipping: float = 0.0
    critic_steps: int = 1
    adaptive_noise: float | None = None
    minibatch_statistics: bool = False
    feature_matching: bool = False
    modes: str = "none"
    mode_strength: float | None = None


Build = Callable[[int], nn.Module]
"""From the number of columns to an encoder ``(event, condition) -> [B, columns]``."""


@dataclass(frozen=True)
class Rules:
    """What the two play, and with what.

    Attributes:
        adversary: Game and remedies.
        factor: How steep the layers of the critic make it; None: as they are.
        features: Whether the critic needs features of its own.
        statistics: Whether they depend on the batch.
        modes: One of ``MODES``,
        strength: and its λ; None: the customary one.
    """

    adversary: Adversary
    factor: float | None = None
    features: bool = False
    statistics: bool = False
    modes: str = "none"
    strength: float | None = None

    def critic(self, network: nn.Module) -> nn.Module:
        """The critic that keeps to the rules, of one without features."""
        return network if self.factor is None else SpectralCritic(network, self.factor)

    def critic_of(self, encoder: Build) -> nn.Module:
        """The critic that is made of an encoder."""
        if not self.features:
            return self.critic(encoder(1))
        trunk = encoder(FEATURES)
        return self.critic(FeatureCritic(trunk, FEATURES, statistics=self.statistics))

    def gan(
        self,
        representation: Representation,
        generator: nn.Module,
        critic: Build,
        encoder: Build,
        latent_dim: int,
        distances: Mapping[str, Distance],
    ) -> GAN:
        """The model of generator, critic and, where modes are regularised, encoder.

        Args:
            representation: Of the clouds.
            generator: Built already.
            critic: Of which the critic is made.
            encoder: Of which the encoder is made, of the same kind.
            latent_dim: Columns of the code.
            distances: Of decoded and real events.
        """
        parts = (representation, generator, self.critic_of(critic))
        if self.modes == "none":
            return GAN(*parts, latent_dim, self.adversary)
        if self.modes == "vae-gan":
            normal = encoder(FEATURES), Gaussian(FEATURES, latent_dim)
            return VAEGAN(*parts, *normal, self.adversary, strength=self.strength)
        further: dict[str, Any] = {"distances": distances, "strength": self.strength}
        manifold = self.critic_of(critic) if self.modes == "mdgan" else None
        code = encoder(FEATURES), Deterministic(FEATURES, latent_dim)
        if manifold is None:
            return RegGAN(*parts, *code, self.adversary, **further)
        return MDGAN(*parts, manifold, *code, self.adversary, **further)


def rules(choice: Choice, kind: Kind) -> Rules:
    """What is chosen, for events of a kind.

    Raises:
        ArgumentError: an unknown name, a number out of range, or a combination without a meaning;
            the message has the reason.
    """
    choice = _named(choice, kind)
    name = choice.regulariser or "r1"
    _check_numbers(choice, name)
    _check_meaning(choice, name, kind)
    game = GAMES[choice.game]
    if choice.label_smoothing or choice.label_flipping:
        game = dataclasses.replace(
            game, smoothing=choice.label_smoothing, flipping=choice.label_flipping
        )
    penalty, customary = PENALTIES.get(name, (None, BOUNDS.get(name, 0.0)))
    strength = kind.strength if customary is None else customary
    strength = strength if choice.penalty is None else choice.penalty
    annealing = choice.annealing
    if annealing is None:
        annealing = ANNEALED if name == "roth" else 1.0
    adversary = Adversary(
        game,
        penalty,
        strength=1.0 if penalty is None else strength,
        steps=choice.critic_steps,
        annealing=1.0 if penalty is None else annealing,
        in_spreads=choice.penalty_in_spreads,
        noise=_noise(choice),
        bound=strength if name == "clip" else None,
        matching=choice.feature_matching,
    )
    return Rules(
        adversary,
        strength if name == "spectral" else None,
        features=choice.feature_matching
        or choice.minibatch_statistics
        or choice.modes == "vae-gan",
        statistics=choice.minibatch_statistics,
        modes=choice.modes,
        strength=choice.mode_strength,
    )


def _noise(choice: Choice) -> InstanceNoise | None:
    """The noise that is annealed, or follows the critic."""
    if not choice.instance_noise:
        return None
    if choice.adaptive_noise is not None:
        return InstanceNoise(choice.instance_noise, ANNEALED, choice.adaptive_noise)
    ratio = ANNEALED if choice.annealing is None else choice.annealing
    return InstanceNoise(choice.instance_noise, ratio)


def _named(choice: Choice, kind: Kind) -> Choice:
    """Present names, and the strength that a former one had."""
    if choice.game not in FORMER:
        return choice
    game, regulariser = FORMER[choice.game]
    if choice.regulariser is not None:
        raise ArgumentError(
            f"regulariser: got {choice.regulariser!r}, expected none with game {choice.game!r}, "
            f"a former name of both: give {game}"
        )
    penalty = kind.strength if choice.penalty is None else choice.penalty
    return dataclasses.replace(choice, game=game, regulariser=regulariser, penalty=penalty)


def _check_numbers(choice: Choice, name: str) -> None:
    """Names and ranges, each by itself."""
    if choice.game not in GAMES:
        raise ArgumentError(f"game: got {choice.game!r}, expected one of {', '.join(GAMES)}")
    if name not in REGULARISERS:
        raise ArgumentError(f"regulariser: got {name!r}, expected one of {', '.join(REGULARISERS)}")
    at_least(1, critic_steps=choice.critic_steps)
    at_least(0, penalty=choice.penalty, instance_noise=choice.instance_noise)
    if name in BOUNDS and choice.penalty == 0:
        raise ArgumentError(f"penalty: got 0, expected > 0 with {name}, whose bound it is")
    if name == "none" and choice.penalty is not None:
        raise ArgumentError(f"penalty: got {choice.penalty}, expected none without a regulariser")
    if choice.modes not in MODES:
        raise ArgumentError(f"modes: got {choice.modes!r}, expected one of {', '.join(MODES)}")
    at_least(0, mode_strength=choice.mode_strength)
    if choice.modes == "none" and choice.mode_strength is not None:
        raise ArgumentError(
            f"mode_strength: got {choice.mode_strength}, expected none without modes"
        )
    if choice.adaptive_noise is not None and not choice.instance_noise:
        raise ArgumentError(
            f"adaptive_noise: got {choice.adaptive_noise}, expected none without instance_noise, "
            "which is the largest scale of it"
        )


def _check_meaning(choice: Choice, name: str, kind: Kind) -> None:
    """Refuse what has no meaning together, with the reason."""
    if name in ("wgan-gp", "wgan-lp") and kind.sets:
        raise ArgumentError(
            f"regulariser: got {name!r}, expected one of r1, r2, r1-r2, roth, dragan, clip, "
            "spectral for point sets, as there is no in between of two sets"
        )
    if name == "roth" and choice.game not in _ODDS:
        raise ArgumentError(
            f"regulariser: got 'roth' with game {choice.game!r}, expected one of "
            f"{', '.join(_ODDS)}, as its weights take the logit for log odds"
        )
    if name == "none" and choice.game == "wasserstein":
        raise ArgumentError(
            "regulariser: got 'none' with game 'wasserstein', expected one that bounds the slope, "
            "as this critic has no best one otherwise"
        )
    if choice.instance_noise and kind.cells:
        raise ArgumentError(
            f"instance_noise: got {choice.instance_noise}, expected 0 for a critic that asks which "
            "cells are active, as noise would open all of them"
        )
    if choice.penalty_in_spreads and name not in PENALTIES:
        raise ArgumentError(
            f"penalty_in_spreads: got True, expected false with {name}, which takes no gradient"
        )
    _check_noise(choice, name)


def _check_noise(choice: Choice, name: str) -> None:
    """Refuse what has no meaning for a noise that is annealed, or adapts."""
    adapts = choice.adaptive_noise is not None
    if adapts and choice.game in ("wasserstein", "relativistic"):
        raise ArgumentError(
            f"adaptive_noise: got {choice.adaptive_noise} with game {choice.game!r}, expected none "
            "with it, as the sign of its logit means nothing"
        )
    annealed = name in PENALTIES or (choice.instance_noise and not adapts)
    if choice.annealing is not None and not annealed:
        raise ArgumentError(
            f"annealing: got {choice.annealing}, expected none with {name} and without "
            "instance_noise that is annealed, as nothing is"
        )
