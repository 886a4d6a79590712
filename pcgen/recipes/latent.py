"""Recipes of two stages: an autoencoder of points, images or sites, and a prior over its codes.

The autoencoders are those of points-vae, image-vae and sites-vae with the same options, so a run of
one of them, or of another recipe with the same networks, can be the first stage: ``--start RUN
--start-part autoencoder --share 0`` leaves it as it is. The first stage adds little noise to codes,
as its prior is to be learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pcgen.recipes.codes import LatentTerm, PriorName, PriorShape
from pcgen.recipes.images import Network
from pcgen.recipes.points import Encoder, Reconstruction

if TYPE_CHECKING:
    from pcgen.models.latent import LatentModel


def points_latent(
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
    pooling: list[Literal["max", "mean", "sum"]] | None = None,
    list_length: int | None = None,
    recentre: bool = True,
    rescale: bool = False,
    prior: PriorName = "flow",
    width: int = 128,
    components: int = 32,
    share: float = 0.6,
    schema: dict[str, Any] | None = None,
) -> LatentModel:
    """Autoencoder of point sets, and a prior that is learnt on its codes, given class and y.

    Args:
        encoder: The networks: epic, pointnet, edgeconv, attention, or the control list.
        latent_dim: Numbers in the code of a cloud.
        hidden: Channels of a point inside the networks.
        layers: Layers of the decoder; the encoder has one less.
        beta: Factor of the latent term, by default 0.01 of gaussian and density-ratio, 1 of mmd and
            sliced.
        latent: What holds the codes together: gaussian (the Kullback-Leibler divergence of a
            normal posterior), none, adversarial (a critic of codes), density-ratio (a posterior of
            any shape), mmd or sliced (of all codes of a batch); see docs/codes.md.
        free_bits: Nats of each number of the code of gaussian that cost nothing.
        prior_shape: Distribution that codes of adversarial, mmd and sliced are to have: normal,
            ring (of ten Gaussians) or roll, in the plane of their first two numbers.
        reconstruction: Distance of sets that is minimised: emd, chamfer, both, full (both, sliced
            and moments; the default), spectral (full, and the spectrum of the weights), or listed
            (squared error down the list; the default of list). Or flow: the decoder is a flow,
            which draws what the code leaves open.
        t_nets: Turn the channels of pointnet by T-Nets.
        neighbours: Nearest neighbours of a point of edgeconv, itself included; 16 by default.
        dynamic: Find the neighbours of edgeconv again in each layer, among its features.
        pooling: Reductions over the points of pointnet, edgeconv or attention.
        list_length: Longest cloud of list, 192 by default.
        recentre: Move each cloud so that its weighted centre is that of a training cloud.
        rescale: Scale each cloud so that its spread (m / p_T of a jet) is that of a training cloud,
            and take the spread as a condition.
        prior: Distribution of the codes: normal (given the condition), mixture (of Gaussians),
            real-nvp, gan or flow; see docs/codes.md.
        width: Width of the hidden layers of a prior that is a network.
        components: Most components of the mixture of a class.
        share: Fraction of the steps that the autoencoder gets; 0 with a trained one to start from.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.

    Raises:
        ArgumentError: an unknown network or choice, an option that it does not have.
    """
    from pcgen.recipes import code_assembly
    from pcgen.recipes.points import points_vae

    codec = points_vae(
        encoder=encoder,
        latent_dim=latent_dim,
        hidden=hidden,
        layers=layers,
        beta=beta,
        latent=latent,
        free_bits=free_bits,
        prior_shape=prior_shape,
        reconstruction=reconstruction,
        t_nets=t_nets,
        neighbours=neighbours,
        dynamic=dynamic,
        pooling=pooling,
        list_length=list_length,
        recentre=recentre,
        rescale=rescale,
        schema=schema,
    )
    return code_assembly.latent_model(codec, prior, width=width, components=components, share=share)


def image_latent(
    network: Network = "dense",
    grid: str | None = None,
    latent_dim: int = 32,
    channels: int = 16,
    beta: float | None = None,
    latent: LatentTerm = "gaussian",
    free_bits: float = 0.0,
    prior_shape: PriorShape = "normal",
    prior: PriorName = "flow",
    width: int = 128,
    components: int = 32,
    share: float = 0.6,
    schema: dict[str, Any] | None = None,
    calorimeter: dict[str, Any] | None = None,
) -> LatentModel:
    """Autoencoder of dense images, and a prior that is learnt on its codes, given class and y.

    Args:
        network: dense, active, observed (all with squared error) or gated (hurdle likelihood).
        grid: Cells, as ``name:low:high:cells`` for each axis; by default those of the data's file
            or its calorimeter, and for jets 32 x 32 within 0.4 of the axis.
        latent_dim: Numbers in the code of an image.
        channels: Channels of the finest level of encoder and decoder.
        beta: Factor of the latent term, by default 1 of gaussian and density-ratio, 100 of mmd and
            sliced.
        latent: What holds the codes together: gaussian (the Kullback-Leibler divergence of a
            normal posterior), none, adversarial (a critic of codes), density-ratio (a posterior of
            any shape), mmd or sliced (of all codes of a batch); see docs/codes.md.
        free_bits: Nats of each number of the code of gaussian that cost nothing.
        prior_shape: Distribution that codes of adversarial, mmd and sliced are to have: normal,
            ring (of ten Gaussians) or roll, in the plane of their first two numbers.
        prior: Distribution of the codes: normal (given the condition), mixture (of Gaussians),
            real-nvp, gan or flow; see docs/codes.md.
        width: Width of the hidden layers of a prior that is a network.
        components: Most components of the mixture of a class.
        share: Fraction of the steps that the autoencoder gets; 0 with a trained one to start from.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.
        calorimeter: The voxels of showers, as ``Calorimeter.to_dict()`` gives them: the cells where
            there is no grid.

    Raises:
        ArgumentError: an unknown network or choice, an option that it does not have.
    """
    from pcgen.recipes import code_assembly
    from pcgen.recipes.images import image_vae

    codec = image_vae(
        network=network,
        grid=grid,
        latent_dim=latent_dim,
        channels=channels,
        beta=beta,
        latent=latent,
        free_bits=free_bits,
        prior_shape=prior_shape,
        schema=schema,
        calorimeter=calorimeter,
    )
    return code_assembly.latent_model(codec, prior, width=width, components=components, share=share)


def sites_latent(
    grid: str | None = None,
    latent_dim: int = 32,
    channels: int = 16,
    beta: float | None = None,
    latent: LatentTerm = "gaussian",
    free_bits: float = 0.0,
    prior_shape: PriorShape = "normal",
    prior: PriorName = "flow",
    width: int = 128,
    components: int = 32,
    share: float = 0.6,
    schema: dict[str, Any] | None = None,
    calorimeter: dict[str, Any] | None = None,
) -> LatentModel:
    """Autoencoder of active sites, and a prior that is learnt on its codes, given class and y.

    Args:
        grid: Cells, as ``name:low:high:cells`` for each axis; by default those of the data's file
            or its calorimeter, and for jets 32 x 32 within 0.4 of the axis.
        latent_dim: Numbers in the code of an event.
        channels: Channels of the finest level of encoder and decoder.
        beta: Factor of the latent term, by default 1 of gaussian and density-ratio, 100 of mmd and
            sliced.
        latent: What holds the codes together: gaussian (the Kullback-Leibler divergence of a
            normal posterior), none, adversarial (a critic of codes), density-ratio (a posterior of
            any shape), mmd or sliced (of all codes of a batch); see docs/codes.md.
        free_bits: Nats of each number of the code of gaussian that cost nothing.
        prior_shape: Distribution that codes of adversarial, mmd and sliced are to have: normal,
            ring (of ten Gaussians) or roll, in the plane of their first two numbers.
        prior: Distribution of the codes: normal (given the condition), mixture (of Gaussians),
            real-nvp, gan or flow; see docs/codes.md.
        width: Width of the hidden layers of a prior that is a network.
        components: Most components of the mixture of a class.
        share: Fraction of the steps that the autoencoder gets; 0 with a trained one to start from.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.
        calorimeter: The voxels of showers, as ``Calorimeter.to_dict()`` gives them: the cells where
            there is no grid.

    Raises:
        ArgumentError: an unknown network or choice, an option that it does not have.
    """
    from pcgen.recipes import code_assembly
    from pcgen.recipes.images import sites_vae

    codec = sites_vae(
        grid=grid,
        latent_dim=latent_dim,
        channels=channels,
        beta=beta,
        latent=latent,
        free_bits=free_bits,
        prior_shape=prior_shape,
        schema=schema,
        calorimeter=calorimeter,
    )
    return code_assembly.latent_model(codec, prior, width=width, components=components, share=share)
