"""From the plain values of a recipe to parts that follow paths: a decoder, a prior, a coupling."""

from __future__ import annotations

from pcgen.errors import ArgumentError, at_least
from pcgen.models.autoencoder import Autoencoder
from pcgen.models.flow_decoder import FlowDecoder
from pcgen.models.paths import Coupling
from pcgen.models.priors import FlowPrior
from pcgen.models.representations import Points
from pcgen.nn import CodeField
from pcgen.objectives.coupling import optimal_pairs
from pcgen.objectives.flow_matching import Clock
from pcgen.recipes import networks
from pcgen.recipes.networks import PointNetwork


def flow_decoder(
    representation: Points, network: PointNetwork, latent_dim: int, layers: int
) -> FlowDecoder:
    """A flow on points, given their code."""
    if isinstance(network, networks.SortedList):
        raise ArgumentError("reconstruction: got 'flow' with list, expected an encoder of sets")
    return FlowDecoder(
        representation,
        network.field(representation, latent_dim, layers),
        clock=Clock(5.0),
        coupling=optimal_pairs,
    )


def flow_prior(codec: Autoencoder, latent_dim: int, width: int) -> FlowPrior:
    """Latent flow: an MLP of three hidden layers."""
    at_least(1, width=width)
    field = CodeField(
        latent_dim,
        condition_channels=codec.representation.condition_channels,
        hidden=[width] * 3,
    )
    return FlowPrior(field, latent_dim)


def coupling_of(name: str) -> Coupling | None:
    """Which noise goes to which point, by the name of the choice.

    Raises:
        ArgumentError: the name is unknown.
    """
    if name not in ("optimal", "independent"):
        raise ArgumentError(f"coupling: got {name!r}, expected optimal or independent")
    return optimal_pairs if name == "optimal" else None
