"""From the names in the options of a recipe to latent terms, and to priors over codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pcgen.errors import ArgumentError, at_least
from pcgen.models import prior_shapes
from pcgen.models.autoencoder import Autoencoder
from pcgen.models.density_ratio import DensityRatio
from pcgen.models.latent import LatentModel, Prior
from pcgen.models.latent_terms import (
    Adversarial,
    Deterministic,
    Divergence,
    Gaussian,
    Latent,
    Matched,
)
from pcgen.models.priors import DensityPrior, Normal
from pcgen.nn import MLP, RealNVP
from pcgen.objectives.latent import mmd, sliced_wasserstein
from pcgen.recipes import assembly, flow_assembly
from pcgen.recipes.adversaries import Choice, Kind, rules

SHAPES: Mapping[str, prior_shapes.PriorShape] = {
    shape.name: shape for shape in (prior_shapes.NORMAL, prior_shapes.RING, prior_shapes.ROLL)
}
DIVERGENCES: Mapping[str, Divergence] = {"mmd": mmd, "sliced": sliced_wasserstein}
DENSITIES = ("gaussian", "density-ratio")
TERMS = (*DENSITIES, "none", "adversarial", *DIVERGENCES)
PRIORS = ("normal", "mixture", "real-nvp", "gan", "flow")
_WIDTH, _FUNCTIONS, _NOISE = (
    128,
    16,
    32,
)  # of critic and ratio; of the basis of an implicit posterior


@dataclass(frozen=True)
class TermChoice:
    """Options of a recipe about its latent term, as they are given.

    Attributes:
        latent: One of ``TERMS``.
        beta: Factor of the term; None: the customary one.
        free_bits: Of ``gaussian``.
        prior_shape: One of ``SHAPES``.
    """

    latent: str = "gaussian"
    beta: float | None = None
    free_bits: float = 0.0
    prior_shape: str = "normal"


def term(choice: TermChoice, *, kl: float, divergence: float) -> Callable[[int, int], Latent]:
    """Builds the latent term from columns of features and of the code.

    Args:
        choice: The options.
        kl: Customary factor of a Kullback-Leibler divergence,
        divergence: and of MMD or sliced Wasserstein.

    Raises:
        ArgumentError: an unknown name, a number out of range, or an option that the term lacks.
    """
    _check(choice)
    shape = SHAPES[choice.prior_shape]
    if choice.latent == "none":
        return Deterministic
    if choice.latent == "adversarial":
        return partial(_adversarial, shape)
    customary = kl if choice.latent in DENSITIES else divergence
    beta = customary if choice.beta is None else choice.beta
    if choice.latent == "gaussian":
        return partial(Gaussian, beta=beta, free_bits=choice.free_bits)
    if choice.latent == "density-ratio":
        return partial(_density_ratio, beta)
    name = choice.latent
    return partial(Matched, divergence=DIVERGENCES[name], name=name, strength=beta, shape=shape)


def _check(choice: TermChoice) -> None:
    name = choice.latent
    if name not in TERMS:
        raise ArgumentError(f"latent: got {name!r}, expected one of {', '.join(TERMS)}")
    if choice.prior_shape not in SHAPES:
        raise ArgumentError(
            f"prior_shape: got {choice.prior_shape!r}, expected one of {', '.join(SHAPES)}"
        )
    at_least(0, beta=choice.beta, free_bits=choice.free_bits)
    if choice.free_bits and name != "gaussian":
        raise ArgumentError(
            f"free_bits: got {choice.free_bits}, expected 0 with latent {name}, whose term is no "
            "sum over the numbers of the code"
        )
    if choice.beta is not None and name in ("none", "adversarial"):
        raise ArgumentError(
            f"beta: got {choice.beta}, expected none with latent {name}, which adds no term to the "
            "reconstruction"
        )
    if choice.prior_shape != "normal" and name in ("none", *DENSITIES):
        raise ArgumentError(
            f"prior_shape: got {choice.prior_shape!r}, expected normal with latent {name}; "
            f"adversarial, {' and '.join(DIVERGENCES)} take any shape"
        )


def _adversarial(shape: prior_shapes.PriorShape, features: int, latent_dim: int) -> Latent:
    play = rules(Choice(), Kind(1.0))
    critic = play.critic(MLP(latent_dim, [_WIDTH] * 2, 1))
    return Adversarial(features, latent_dim, critic, adversary=play.adversary, shape=shape)


def _density_ratio(beta: float, features: int, latent_dim: int) -> Latent:
    basis = MLP(_NOISE, [_WIDTH] * 2, _FUNCTIONS * latent_dim)
    ratio = MLP(features, [_WIDTH] * 3, 1, condition_channels=latent_dim)
    return DensityRatio(
        features,
        latent_dim,
        basis,
        ratio,
        functions=_FUNCTIONS,
        noise_channels=_NOISE,
        beta=beta,
    )


def latent_model(
    codec: Autoencoder, name: str, *, width: int, components: int, share: float
) -> LatentModel:
    """An autoencoder with a prior of this name over its codes.

    Raises:
        ArgumentError: the name is unknown, or a number out of range.
    """
    latent_dim = codec.latent.code_channels
    return assembly.latent_model(
        codec, prior(codec, name, width=width, components=components), latent_dim, share
    )


def prior(codec: Autoencoder, name: str, *, width: int, components: int) -> Prior:
    """A prior over the codes of an autoencoder by its name, as :func:`latent_model` takes it."""
    at_least(1, width=width, components=components)
    latent_dim, conditions = codec.latent.code_channels, codec.representation.condition_channels
    if name == "normal":
        return Normal(latent_dim)
    if name == "mixture":
        return assembly.mixture(codec, latent_dim, components)
    if name == "real-nvp":
        flow = RealNVP(latent_dim, condition_channels=conditions, hidden=[width] * 2)
        return DensityPrior(flow, latent_dim)
    if name == "gan":
        return assembly.adversarial_prior(
            codec, latent_dim=latent_dim, width=width, choice=Choice()
        )
    if name == "flow":
        return flow_assembly.flow_prior(codec, latent_dim, width)
    raise ArgumentError(f"prior: got {name!r}, expected one of {', '.join(PRIORS)}")
