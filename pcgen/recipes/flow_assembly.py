"""From the plain values of a recipe to a model that follows paths: flows, maps, flow decoders."""

from __future__ import annotations

from pcgen.errors import ArgumentError, at_least
from pcgen.models.autoencoder import Autoencoder
from pcgen.models.flow import FlowMatching
from pcgen.models.flow_decoder import FlowDecoder
from pcgen.models.flow_gan import FlowGAN
from pcgen.models.flow_map import DISTANCE, FlowMap
from pcgen.models.flow_student import FlowStudent
from pcgen.models.gan import Adversary
from pcgen.models.paths import Coupling
from pcgen.models.priors import FlowPrior
from pcgen.models.representations import Images, Points, Sites
from pcgen.nn import CodeField
from pcgen.objectives.adversarial import RELATIVISTIC
from pcgen.objectives.coupling import optimal_pairs
from pcgen.objectives.flow_matching import Clock
from pcgen.objectives.penalties import finite_r1_r2
from pcgen.recipes import image_networks, networks
from pcgen.recipes.networks import PointNetwork


def points_flow(
    representation: Points,
    network: PointNetwork,
    *,
    steps: int,
    shift: float,
    coupling: str,
) -> FlowMatching:
    """Flow matching on points; the places of a list have a meaning, and keep their own noise.

    Raises:
        ArgumentError: the coupling is unknown, or not one for lists.
    """
    at_least(1, integration_steps=steps)
    if representation.listed and coupling != "independent":
        raise ArgumentError(f"coupling: got {coupling!r}, expected independent")
    return FlowMatching(
        representation,
        network.field(representation),
        steps=steps,
        clock=Clock(shift),
        coupling=coupling_of(coupling),
    )


def points_flow_map(
    representation: Points,
    network: PointNetwork,
    *,
    steps: int,
    shift: float,
    coupling: str,
    share: float,
) -> FlowMap:
    """Mean velocities of a flow on points.

    Raises:
        ArgumentError: the coupling is unknown, or the share out of range.
    """
    at_least(1, integration_steps=steps)
    return FlowMap(
        representation,
        network.field(representation, DISTANCE),
        steps=steps,
        clock=Clock(shift),
        coupling=coupling_of(coupling),
        share=share,
    )


def points_flow_student(
    representation: Points,
    network: PointNetwork,
    *,
    steps: int,
    shift: float,
    coupling: str,
    share: float,
) -> FlowStudent:
    """A flow on points, and the map that it teaches.

    Raises:
        ArgumentError: the coupling is unknown, or the share out of range.
    """
    at_least(1, integration_steps=steps)
    return FlowStudent(
        representation,
        network.field(representation, DISTANCE),
        network.field(representation),
        steps=steps,
        clock=Clock(shift),
        coupling=coupling_of(coupling),
        share=share,
    )


def points_flow_gan(
    representation: Points,
    network: PointNetwork,
    judge: PointNetwork,
    *,
    shift: float,
    penalty: float,
    nearness: float,
) -> FlowGAN:
    """One step of a map, and a critic of points with their moments."""
    at_least(0, penalty=penalty)
    moments = 0 if representation.schema.weight is None else len(representation.schema.axes) + 1
    return FlowGAN(
        representation,
        network.field(representation, DISTANCE),
        judge.encoder(representation, 1, moments),
        Adversary(RELATIVISTIC, finite_r1_r2, strength=penalty),
        clock=Clock(shift),
        nearness=nearness,
    )


def image_flow(representation: Images, channels: int, steps: int) -> FlowMatching:
    """Flow matching on all cells."""
    at_least(1, channels=channels, integration_steps=steps)
    field = image_networks.image_field(representation, channels)
    return FlowMatching(representation, field, steps=steps)


def sites_flow(representation: Sites, channels: int, steps: int) -> FlowMatching:
    """Flow matching at active sites, which are drawn first."""
    at_least(1, channels=channels, integration_steps=steps)
    field = image_networks.site_field(representation, channels)
    support = image_networks.sparse_decoder(representation, 0, channels)
    return FlowMatching(representation, field, support=support, steps=steps)


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
