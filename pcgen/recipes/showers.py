"""Recipes of showers in the layers of a calorimeter.

Points and energies of each layer are drawn first, by a small model of their own; then the points of
each layer share its energy. As in :mod:`pcgen.recipes.points`, torch is imported inside the
functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pcgen.recipes.flows import Coupling
from pcgen.recipes.games import Game, Regulariser

if TYPE_CHECKING:
    from pcgen.models.flow import FlowMatching
    from pcgen.models.latent import LatentModel


def showers_flow(
    hidden: int = 64,
    layers: int = 4,
    layer_width: int = 32,
    totals: Literal["flow", "nearest"] = "flow",
    integration_steps: int = 20,
    coupling: Coupling = "optimal",
    shift: float = 3.0,
    squash: float | None = 0.25,
    depth: str | None = "z",
    calorimeter: dict[str, Any] | None = None,
    schema: dict[str, Any] | None = None,
) -> FlowMatching:
    """Flow matching on the points of showers, layer by layer, conditional on class and y.

    Args:
        hidden: Channels of a point inside the network; a layer has half as many.
        layers: Exchanges between points, their layers and the shower.
        layer_width: Channels of a layer in the model of points and energies of layers.
        totals: Where points and energies of layers come from when sampling: flow, which is learnt,
            or nearest, those of a training shower of nearly the same condition.
        integration_steps: Steps of the midpoint rule when sampling, of two evaluations each.
        coupling: Which noise goes to which point: independent, or optimal, the shortest way within
            each layer (by rank above 64 points).
        shift: How much more of the training is near the data; 1 for as much at all times.
        squash: Width, in standard deviations of the coordinates, within which their scale is linear
            and beyond which it is logarithmic; null for linear throughout.
        depth: Axis along which the layers lie; it has one value in each, and is not generated. Null
            for none.
        calorimeter: The cells that points are the centres of, as ``Calorimeter.to_dict()`` gives
            them: points are learnt as spread over them. Null where points are not those of cells.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; by default the showers of
            ``pcgen simulate showers``, and their calorimeter.

    Raises:
        ArgumentError: the clouds have no layers or no weight, or a choice is unknown.
    """
    from pcgen.recipes import shower_assembly

    representation = shower_assembly.layered(
        schema, calorimeter, totals=totals, depth=depth, squash=squash, width=layer_width
    )
    return shower_assembly.showers_flow(
        representation,
        shower_assembly.field(representation, hidden=hidden, layers=layers),
        steps=integration_steps,
        shift=shift,
        coupling=coupling,
    )


def showers_latent_gan(
    latent_dim: int = 8,
    hidden: int = 64,
    layers: int = 4,
    width: int = 128,
    layer_width: int = 32,
    totals: Literal["flow", "nearest"] = "flow",
    noise: float = 0.01,
    share: float = 0.8,
    game: Game = "non-saturating",
    regulariser: Regulariser | None = None,
    penalty: float | None = None,
    critic_steps: int = 1,
    squash: float | None = 0.25,
    depth: str | None = "z",
    calorimeter: dict[str, Any] | None = None,
    schema: dict[str, Any] | None = None,
) -> LatentModel:
    """Latent GAN of showers: a GAN draws the code of a shower, a flow its points given the code.

    Points and energies of layers come first, as in showers-flow, and are conditions of both.

    Args:
        latent_dim: Numbers in the code of a shower.
        hidden: Channels of a point inside the networks; a layer has half as many.
        layers: Exchanges of the decoder between points, layers and shower; the encoder has half as
            many.
        width: Channels of each hidden layer of the GAN.
        layer_width: Channels of a layer in the model of points and energies of layers.
        totals: Where points and energies of layers come from when sampling: flow, which is learnt,
            or nearest, those of a training shower of nearly the same condition.
        noise: Factor of the Kullback-Leibler divergence, which makes codes nearby nearby showers.
        share: Fraction of the steps that the autoencoder gets.
        game: What critic and generator play: non-saturating, saturating, maximum-likelihood,
            wasserstein, hinge, least-squares or relativistic.
        regulariser: What keeps the critic from being too good: r1 (the default), r2, r1-r2, roth,
            wgan-gp, wgan-lp, dragan, clip, spectral or none; see docs/remedies.md.
        penalty: Strength of the regulariser, as in points-latent-gan.
        critic_steps: Steps of the critic for each one of the generator.
        squash: Width, in standard deviations of the coordinates, within which their scale is linear
            and beyond which it is logarithmic; null for linear throughout.
        depth: Axis along which the layers lie; it has one value in each, and is not generated. Null
            for none.
        calorimeter: The cells that points are the centres of, as ``Calorimeter.to_dict()`` gives
            them: points are learnt as spread over them. Null where points are not those of cells.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; by default the showers of
            ``pcgen simulate showers``, and their calorimeter.

    Raises:
        ArgumentError: the clouds have no layers or no weight, or a choice is unknown.
    """
    from pcgen.recipes import adversaries, shower_assembly

    return shower_assembly.showers_latent_gan(
        shower_assembly.layered(
            schema, calorimeter, totals=totals, depth=depth, squash=squash, width=layer_width
        ),
        latent_dim=latent_dim,
        hidden=hidden,
        layers=layers,
        noise=noise,
        share=share,
        width=width,
        choice=adversaries.Choice(game, regulariser, penalty, critic_steps=critic_steps),
    )
