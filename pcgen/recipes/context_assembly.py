"""From the plain values of a recipe to a model of events that are generated from contexts."""

from __future__ import annotations

from typing import Any

from pcgen.errors import ArgumentError, at_least
from pcgen.models.context_gan import ContextGAN
from pcgen.models.contexts import Contexts
from pcgen.models.flow import FlowMatching
from pcgen.models.representations import Points
from pcgen.models.set_generation import SetGeneration
from pcgen.nn import (
    ContextEncoder,
    ContextField,
    ContextGenerator,
    ContextReader,
    PointReader,
)
from pcgen.objectives.flow_matching import Clock
from pcgen.recipes import assembly, flow_assembly
from pcgen.recipes.adversaries import Choice, Kind, rules
from pcgen.recipes.networks import EPiC, PointNetwork, Wide, of_points


def points(
    schema: dict[str, Any] | None, context_schema: dict[str, Any] | None, squash: float | None
) -> Points:
    """Point sets with contexts, of schemas as they are stored; that of the contexts too."""
    other = schema if context_schema is None else context_schema
    contexts = Contexts(assembly.meaning(other))
    return assembly.points(schema, False, False, squash=squash, contexts=contexts)


def context_flow(
    representation: Points,
    network: PointNetwork,
    reading: PointNetwork,
    *,
    hidden: int,
    steps: int,
    shift: float,
    coupling: str,
) -> FlowMatching:
    """Flow matching on points that read from their context.

    Raises:
        ArgumentError: the coupling is unknown.
    """
    at_least(1, integration_steps=steps)
    reader = _reader(representation, reading, hidden)
    return FlowMatching(
        representation,
        _field(representation, network, reader, hidden),
        steps=steps,
        clock=Clock(shift),
        coupling=flow_assembly.coupling_of(coupling),
        reader=reader,
    )


def context_gan(
    representation: Points,
    network: PointNetwork,
    reading: PointNetwork,
    *,
    hidden: int,
    choice: Choice,
) -> ContextGAN:
    """GAN on points that read from their context.

    Raises:
        ArgumentError: of the options of the game.
    """
    play = rules(choice, Kind(0.1, sets=True))

    def encoder(out: int) -> ContextEncoder:
        reader = _reader(representation, reading, hidden)
        return ContextEncoder(
            reader,
            network.encoder(_wide(representation, reader, hidden), out),
            representation.value_channels,
            condition_channels=representation.condition_channels,
            hidden=hidden,
            heads=_heads(hidden),
        )

    reader = _reader(representation, reading, hidden)
    generator = ContextGenerator(reader, _field(representation, network, reader, hidden))
    return ContextGAN(representation, generator, play.critic_of(encoder), play.adversary)


def set_generation(
    representation: Points,
    reading: PointNetwork,
    network: PointNetwork,
    *,
    answer: str,
    guesses: int,
    latent_dim: int,
    beta: float,
    distances: str,
    hidden: int,
    layers: int,
) -> SetGeneration:
    """Point-set generation by min of N, or as a conditional VAE.

    Raises:
        ArgumentError: the answer is unknown, or a number is out of range.
    """
    at_least(1, latent_dim=latent_dim, layers=layers)
    if answer not in ("guesses", "code"):
        raise ArgumentError(f"answer: got {answer!r}, expected guesses or code")
    reader = _reader(representation, reading, hidden)
    code = reader.out_channels + latent_dim
    of_code = answer == "code"
    encoder = EPiC(hidden, 2).encoder(representation, hidden) if of_code else None
    features = hidden + reader.out_channels
    return SetGeneration(
        representation,
        reader,
        network.generator(representation, code, layers),
        assembly.reconstruction(distances, representation.standardize),
        row_channels=reader.out_channels,
        noise_channels=latent_dim,
        guesses=1 if of_code else guesses,
        encoder=encoder,
        latent=assembly.gaussian(beta)(features, latent_dim) if of_code else None,
    )


def pair(
    event: tuple[str, int], context: tuple[str, int], hidden: int, neighbours: int | None
) -> tuple[PointNetwork, PointNetwork]:
    """Networks of events and of contexts, by name and layers; neighbours where one has some.

    Raises:
        ArgumentError: an unknown network, or neighbours where neither has some.
    """
    names = event[0], context[0]
    if neighbours is not None and "edgeconv" not in names:
        raise ArgumentError(f"neighbours: got {neighbours}, expected none with {', '.join(names)}")

    def network(name: str, layers: int) -> PointNetwork:
        k = neighbours if name == "edgeconv" else None
        return of_points(name, hidden, layers, neighbours=k)

    return network(*event), network(*context)


def _reader(representation: Points, network: PointNetwork, hidden: int) -> ContextReader:
    assert representation.contexts is not None
    encoder = network.encoder(representation.contexts, hidden)
    if not isinstance(encoder, PointReader):
        raise ArgumentError(
            f"context_encoder: got {type(encoder).__name__}, expected a network that is read point "
            "by point (PointReader)"
        )
    return ContextReader(encoder)


def _wide(representation: Points, reader: ContextReader, hidden: int) -> Wide:
    """What a network is made for whose points have read, with the row of the context."""
    return Wide(
        representation.schema,
        representation.value_channels + hidden,
        representation.condition_channels + reader.out_channels,
    )


def _field(
    representation: Points, network: PointNetwork, reader: ContextReader, hidden: int
) -> ContextField:
    return ContextField(
        network.field(_wide(representation, reader, hidden)),
        representation.value_channels,
        reader.feature_channels,
        reader.out_channels,
        condition_channels=representation.condition_channels,
        hidden=hidden,
        heads=_heads(hidden),
    )


def _heads(hidden: int) -> int:
    """The most heads up to 4 that divide the channels."""
    return next(number for number in (4, 2, 1) if hidden % number == 0)
