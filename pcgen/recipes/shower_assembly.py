"""From the plain values of a recipe to a model of showers, layer by layer."""

from __future__ import annotations

from typing import Any

from pcgen.datasets.calorimeters import detector
from pcgen.errors import ArgumentError, at_least
from pcgen.grids import Calorimeter
from pcgen.models.autoencoder import Autoencoder
from pcgen.models.flow import FlowMatching
from pcgen.models.flow_decoder import FlowDecoder
from pcgen.models.latent import LatentModel
from pcgen.models.layer_totals import Law
from pcgen.models.representations import Layered
from pcgen.models.representations.layered import given_channels
from pcgen.nn import LayeredEncoder, LayeredField, LayerProfileField
from pcgen.objectives.coupling import optimal_pairs
from pcgen.objectives.flow_matching import Clock
from pcgen.recipes import assembly
from pcgen.recipes.adversaries import Choice
from pcgen.schema import Schema


def layered(
    schema: dict[str, Any] | None,
    calorimeter: dict[str, Any] | None,
    *,
    totals: Law,
    depth: str | None,
    squash: float | None,
    width: int,
) -> Layered:
    """Points in layers of a schema as it is stored; by default in those of the usual cylinder."""
    cells = None if calorimeter is None else Calorimeter.from_dict(calorimeter)
    if schema is None:
        usual = detector("cylinder").calorimeter
        cells, meaning = cells or usual, usual.schema
    else:
        meaning = Schema.from_dict(schema)
    at_least(1, layer_width=width)
    field = LayerProfileField(
        len(meaning.layers), condition_channels=given_channels(meaning), hidden=width
    )
    return Layered(meaning, field, totals=totals, depth=depth, squash=squash, calorimeter=cells)


def field(representation: Layered, *, hidden: int, layers: int, further: int = 0) -> LayeredField:
    """The velocity of points in layers."""
    at_least(1, hidden=hidden)
    at_least(0, layers=layers)
    return LayeredField(
        representation.value_channels,
        representation.layers,
        condition_channels=representation.condition_channels + further,
        event_channels=representation.condition_channels - 2 * representation.layers,
        hidden=hidden,
        layer_channels=max(hidden // 2, 1),
        depth=layers,
    )


def showers_flow(
    representation: Layered, network: LayeredField, *, steps: int, shift: float, coupling: str
) -> FlowMatching:
    """Flow matching on points in layers; noise is exchanged within a layer.

    Raises:
        ArgumentError: the coupling is unknown.
    """
    at_least(1, integration_steps=steps)
    if coupling not in ("optimal", "independent"):
        raise ArgumentError(f"coupling: got {coupling!r}, expected optimal or independent")
    return FlowMatching(
        representation,
        network,
        steps=steps,
        clock=Clock(shift),
        coupling=optimal_pairs if coupling == "optimal" else None,
    )


def showers_latent_gan(
    representation: Layered,
    *,
    latent_dim: int,
    hidden: int,
    layers: int,
    noise: float,
    share: float,
    width: int,
    choice: Choice,
) -> LatentModel:
    """A code of each shower, a flow that draws its points given the code, and a GAN of codes.

    Args:
        representation: Of the showers.
        latent_dim: Columns of the code.
        hidden: Channels of a point inside.
        layers: Exchanges of the decoder; the encoder has half as many.
        noise: See :func:`~pcgen.recipes.assembly.smooth`.
        share: Fraction of the run's steps that the autoencoder gets.
        width: See :func:`~pcgen.recipes.assembly.adversarial_prior`.
        choice: See there.
    """
    at_least(1, latent_dim=latent_dim, hidden=hidden, layers=layers)
    encoder = LayeredEncoder(
        representation.value_channels,
        hidden,
        representation.layers,
        condition_channels=representation.condition_channels,
        event_channels=representation.condition_channels - 2 * representation.layers,
        hidden=hidden,
        layer_channels=max(hidden // 2, 1),
        depth=max(layers // 2, 1),
    )
    decoder = FlowDecoder(
        representation,
        field(representation, hidden=hidden, layers=layers, further=latent_dim),
        clock=Clock(3.0),
        coupling=optimal_pairs,
    )
    latent = assembly.smooth(noise)(hidden, latent_dim)
    codec = Autoencoder(representation, encoder, latent, decoder)
    judged = assembly.adversarial_prior(codec, latent_dim=latent_dim, width=width, choice=choice)
    return assembly.latent_model(codec, judged, latent_dim, share)
