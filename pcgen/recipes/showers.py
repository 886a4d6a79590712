"""Recipes of showers in the layers of a calorimeter.

Points and energies of each layer are drawn first, by a small model of their own; then the points of
each layer share its energy. As in :mod:`pcgen.recipes.points`, torch is imported inside the
functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pcgen.errors import at_least
from pcgen.recipes.flows import Coupling
from pcgen.recipes.games import Game, Regulariser
from pcgen.recipes.glossary import described

if TYPE_CHECKING:
    from pcgen.models.flow import FlowMatching
    from pcgen.models.latent import LatentModel


@described
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
        coupling: Which noise goes to which point: independent, or optimal, the shortest way within
            each layer (by rank above 64 points).
        calorimeter: The cells that points are the centres of, as ``Calorimeter.to_dict()`` gives
            them: points are learnt as spread over them. Null where points are not those of cells.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; by default the showers of
            ``pcgen simulate showers``, and their calorimeter.

    Raises:
        ArgumentError: the clouds have no layers or no weight, or a choice is unknown.
    """
    from pcgen.models.flow import FlowMatching
    from pcgen.objectives.flow_matching import Clock
    from pcgen.recipes import flow_assembly, shower_assembly

    at_least(1, integration_steps=integration_steps)
    showers = shower_assembly.layered(
        schema, calorimeter, totals=totals, depth=depth, squash=squash, width=layer_width
    )
    return FlowMatching(
        showers,
        shower_assembly.field(showers, hidden=hidden, layers=layers),
        steps=integration_steps,
        clock=Clock(shift),
        coupling=flow_assembly.coupling_of(coupling),
    )


@described
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
        noise: Factor of the Kullback-Leibler divergence, which makes codes nearby nearby showers.
        penalty: Strength of the regulariser, as in points-latent-gan.
        critic_steps: Steps of the critic for each one of the generator.
        calorimeter: The cells that points are the centres of, as ``Calorimeter.to_dict()`` gives
            them: points are learnt as spread over them. Null where points are not those of cells.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; by default the showers of
            ``pcgen simulate showers``, and their calorimeter.

    Raises:
        ArgumentError: the clouds have no layers or no weight, or a choice is unknown.
    """
    from pcgen.models.autoencoder import Autoencoder
    from pcgen.models.flow_decoder import FlowDecoder
    from pcgen.objectives.coupling import optimal_pairs
    from pcgen.objectives.flow_matching import Clock
    from pcgen.recipes import adversaries, assembly, shower_assembly

    at_least(1, latent_dim=latent_dim, hidden=hidden, layers=layers)
    showers = shower_assembly.layered(
        schema, calorimeter, totals=totals, depth=depth, squash=squash, width=layer_width
    )
    encoder = shower_assembly.encoder(showers, hidden=hidden, layers=max(layers // 2, 1))
    field = shower_assembly.field(showers, hidden=hidden, layers=layers, further=latent_dim)
    decoder = FlowDecoder(showers, field, clock=Clock(3.0), coupling=optimal_pairs)
    codec = Autoencoder(showers, encoder, assembly.smooth(noise)(hidden, latent_dim), decoder)
    choice = adversaries.Choice(game, regulariser, penalty, critic_steps=critic_steps)
    prior = assembly.adversarial_prior(codec, latent_dim=latent_dim, width=width, choice=choice)
    return assembly.latent_model(codec, prior, latent_dim, share)
