"""Recipes on shapes: the generators that Achlioptas et al. compare (arXiv 1707.02392).

Networks and optimisers have the sizes of the paper, and few options; for other encoders, games and
remedies take the recipes points-*, which train on shapes too. The networks are those of
:mod:`pcgen.recipes.shape_networks`. They are for clouds of up to ``list_length`` points.

It is read by the command line, as :mod:`pcgen.recipes.points` is: arguments are plain values, and
torch is imported inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pcgen.recipes.glossary import described

if TYPE_CHECKING:
    from pcgen.models.gan import GAN
    from pcgen.models.latent import LatentModel

Distance = Literal["chamfer", "emd"]


@described
def shapes_gan(
    latent_dim: int = 128, list_length: int = 2048, schema: dict[str, Any] | None = None
) -> GAN:
    """GAN of shapes (r-GAN): the plain game on point sets, conditional on the class.

    Args:
        latent_dim: Numbers of noise of a cloud.
        list_length: Longest cloud.

    Raises:
        ArgumentError: an option is out of range.
    """
    from pcgen.errors import at_least
    from pcgen.models.gan import GAN
    from pcgen.recipes import assembly, shape_networks

    at_least(1, latent_dim=latent_dim, list_length=list_length)
    points = assembly.points(schema, False, False)
    networks = shape_networks.ShapeNetworks(list_length)
    generator, critic = networks.generator(points, latent_dim), networks.encoder(points, 1)
    return GAN(points, generator, critic, latent_dim, shape_networks.PLAIN)


@described
def shapes_latent_gan(
    latent_dim: int = 128,
    list_length: int = 2048,
    reconstruction: Distance = "chamfer",
    wgan: bool = False,
    share: float = 0.5,
    schema: dict[str, Any] | None = None,
) -> LatentModel:
    """Latent GAN of shapes (l-GAN, l-WGAN): a GAN on the codes of an autoencoder, given the class.

    Args:
        list_length: Longest cloud.
        reconstruction: Distance of sets that the autoencoder minimises, chamfer or emd.
        wgan: Play the Wasserstein game with gradient penalty and five steps of the critic.

    Raises:
        ArgumentError: an option is out of range.
    """
    from pcgen.models.priors import AdversarialPrior
    from pcgen.nn import MLP
    from pcgen.recipes import assembly, shape_networks

    points = assembly.points(schema, False, False)
    codec = shape_networks.codec(points, latent_dim, list_length, reconstruction)
    conditions = points.condition_channels
    generator = MLP(latent_dim, (128,), latent_dim, condition_channels=conditions)
    critic = MLP(latent_dim, (256, 512), 1, condition_channels=conditions)
    rules = shape_networks.WGAN if wgan else shape_networks.PLAIN
    prior = AdversarialPrior(generator, critic, latent_dim, rules)
    return assembly.latent_model(codec, prior, latent_dim, share)


@described
def shapes_latent_mixture(
    latent_dim: int = 128,
    list_length: int = 2048,
    reconstruction: Distance = "chamfer",
    components: int = 32,
    schema: dict[str, Any] | None = None,
) -> LatentModel:
    """Latent Gaussian mixture of shapes, fitted in one pass over the codes of an autoencoder.

    Args:
        list_length: Longest cloud.
        reconstruction: Distance of sets that the autoencoder minimises, chamfer or emd.

    Raises:
        ArgumentError: an option is out of range.
    """
    from pcgen.recipes import assembly, shape_networks

    points = assembly.points(schema, False, False)
    codec = shape_networks.codec(points, latent_dim, list_length, reconstruction)
    prior = assembly.mixture(codec, latent_dim, components)
    return assembly.latent_model(codec, prior, latent_dim, 0.95)


@described
def shapes_latent_flow(
    latent_dim: int = 128,
    list_length: int = 2048,
    reconstruction: Distance = "chamfer",
    width: int = 256,
    share: float = 0.8,
    schema: dict[str, Any] | None = None,
) -> LatentModel:
    """Latent flow of shapes: flow matching on the codes of an autoencoder, the paper's successor.

    Args:
        list_length: Longest cloud.
        reconstruction: Distance of sets that the autoencoder minimises, chamfer or emd.
        width: Width of the three hidden layers of the flow on codes.

    Raises:
        ArgumentError: an option is out of range.
    """
    from pcgen.recipes import assembly, flow_assembly, shape_networks

    points = assembly.points(schema, False, False)
    codec = shape_networks.codec(points, latent_dim, list_length, reconstruction)
    prior = flow_assembly.flow_prior(codec, latent_dim, width)
    return assembly.latent_model(codec, prior, latent_dim, share)
