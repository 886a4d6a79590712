"""Recipes on point sets: autoencoder, VAE, latent flow and latent mixture.

Flows are in :mod:`pcgen.recipes.flows`, GANs in :mod:`pcgen.recipes.point_games`. Any encoder goes
with any method, and all work on clouds of any schema; by default on jets. The encoders are those of
:mod:`pcgen.recipes.networks`: sets ("epic", "pointnet", "edgeconv", "attention"), and as a control
the sorted, padded "list". Decoders and generators are EPiC layers on ranked points, or an MLP to a
list.

These functions are read by the command line, which makes options and help of them: arguments are
plain values, and torch is imported inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pcgen.recipes.codes import LatentTerm, PriorShape
from pcgen.recipes.glossary import described

if TYPE_CHECKING:
    from pcgen.models.autoencoder import Autoencoder
    from pcgen.models.latent import LatentModel

SetEncoder = Literal["epic", "pointnet", "edgeconv", "attention"]
Encoder = Literal[SetEncoder, "list"]
Pooling = list[Literal["max", "mean", "sum"]]
Reconstruction = Literal["full", "spectral", "both", "emd", "chamfer", "listed", "flow"]


@described
def points_autoencoder(
    encoder: Encoder = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    reconstruction: Reconstruction | None = None,
    t_nets: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    pooling: Pooling | None = None,
    list_length: int | None = None,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> Autoencoder:
    """Autoencoder of point sets: codes for other uses; it has no prior and is not sampled.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.recipes import assembly, networks

    network = networks.of_points(
        encoder, hidden, max(layers - 1, 1), t_nets, neighbours, dynamic, pooling, list_length
    )
    return assembly.autoencoder(
        assembly.points_of_codes(schema, recentre, rescale, reconstruction),
        network,
        assembly.smooth(0.0),
        (latent_dim, hidden, layers),
        reconstruction,
    )


@described
def points_vae(
    encoder: Encoder = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    beta: float | None = None,
    latent: LatentTerm = "gaussian",
    free_bits: float = 0.0,
    prior_shape: PriorShape = "normal",
    reconstruction: Reconstruction | None = None,
    t_nets: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    pooling: Pooling | None = None,
    list_length: int | None = None,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> Autoencoder:
    """Variational autoencoder of point sets with set distances, conditional on class and y.

    Args:
        beta: Factor of the latent term, by default 0.01 of gaussian and density-ratio, 1 of mmd and
            sliced.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.recipes import assembly, code_assembly, networks

    network = networks.of_points(
        encoder, hidden, max(layers - 1, 1), t_nets, neighbours, dynamic, pooling, list_length
    )
    return assembly.autoencoder(
        assembly.points_of_codes(schema, recentre, rescale, reconstruction),
        network,
        code_assembly.term(
            code_assembly.TermChoice(latent, beta, free_bits, prior_shape), kl=0.01, divergence=1.0
        ),
        (latent_dim, hidden, layers),
        reconstruction,
    )


@described
def points_latent_flow(
    encoder: Encoder = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    width: int = 256,
    share: float = 0.8,
    noise: float = 0.001,
    reconstruction: Reconstruction | None = None,
    t_nets: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    pooling: Pooling | None = None,
    list_length: int | None = None,
    global_channels: int | None = None,
    identity: bool | None = None,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> LatentModel:
    """Latent flow: flow matching on the codes of an autoencoder of point sets, given class and y.

    Args:
        width: Width of the three hidden layers of the flow on codes.
        reconstruction: Distance of sets that is minimised: emd, chamfer, both, full (both, sliced
            and moments), spectral (full, and the spectrum of the weights), or listed
            (squared error down the list; the default of list). Or flow, otherwise the default: the
            decoder is a flow, which draws what the code leaves open.
        identity: Add in the layers of a decoder that is a flow of epic without an activation
            behind the sum, which is learnt faster; false by default.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.recipes import assembly, flow_assembly, networks

    if reconstruction is None:
        reconstruction = "listed" if encoder == "list" else "flow"

    network = networks.of_points(
        encoder,
        hidden,
        max(layers - 1, 1),
        t_nets,
        neighbours,
        dynamic,
        pooling,
        list_length,
        global_channels,
        identity,
    )
    codec = assembly.autoencoder(
        assembly.points_of_codes(schema, recentre, rescale, reconstruction),
        network,
        assembly.smooth(noise),
        (latent_dim, hidden, layers),
        reconstruction,
    )
    prior = flow_assembly.flow_prior(codec, latent_dim, width)
    return assembly.latent_model(codec, prior, latent_dim, share)


@described
def points_latent_mixture(
    encoder: Encoder = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    components: int = 32,
    noise: float = 0.0,
    reconstruction: Reconstruction | None = None,
    t_nets: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    pooling: Pooling | None = None,
    list_length: int | None = None,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> LatentModel:
    """Latent Gaussian mixture: the baseline of the latent GAN, fitted in one pass over the codes.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.recipes import assembly, networks

    network = networks.of_points(
        encoder, hidden, max(layers - 1, 1), t_nets, neighbours, dynamic, pooling, list_length
    )
    codec = assembly.autoencoder(
        assembly.points_of_codes(schema, recentre, rescale, reconstruction),
        network,
        assembly.smooth(noise),
        (latent_dim, hidden, layers),
        reconstruction,
    )
    prior = assembly.mixture(codec, latent_dim, components)
    # Fitted in one pass and without steps: the last twentieth of the run costs no time.
    return assembly.latent_model(codec, prior, latent_dim, 0.95)
