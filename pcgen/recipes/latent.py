"""Recipes of two stages: an autoencoder of points, images or sites, and a prior over its codes.

The autoencoders are those of points-vae, image-vae and sites-vae with the same options, so a run of
one of them, or of another recipe with the same networks, can be the first stage: ``--start RUN
--start-part autoencoder --share 0`` leaves it as it is. The first stage adds little noise to codes,
as its prior is to be learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pcgen.recipes.codes import LatentTerm, PriorName, PriorShape
from pcgen.recipes.glossary import described
from pcgen.recipes.images import Network
from pcgen.recipes.points import Encoder, Pooling, Reconstruction

if TYPE_CHECKING:
    from pcgen.models.latent import LatentModel


@described
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
    pooling: Pooling | None = None,
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
        beta: Factor of the latent term, by default 0.01 of gaussian and density-ratio, 1 of mmd and
            sliced.
        share: Fraction of the steps that the autoencoder gets; 0 with a trained one to start from.

    Raises:
        ArgumentError: an unknown network or choice, an option that it does not have.
    """
    from pcgen.recipes import code_assembly
    from pcgen.recipes.points import points_vae

    codec = points_vae(
        encoder, latent_dim, hidden, layers, beta, latent, free_bits, prior_shape, reconstruction,
        t_nets, neighbours, dynamic, pooling, list_length, recentre, rescale, schema,
    )  # fmt: skip
    return code_assembly.latent_model(codec, prior, width=width, components=components, share=share)


@described
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
        latent_dim: Numbers in the code of an image.
        channels: Channels of the finest level of encoder and decoder.
        beta: Factor of the latent term, by default 1 of gaussian and density-ratio, 100 of mmd and
            sliced.
        share: Fraction of the steps that the autoencoder gets; 0 with a trained one to start from.

    Raises:
        ArgumentError: an unknown network or choice, an option that it does not have.
    """
    from pcgen.recipes import code_assembly
    from pcgen.recipes.images import image_vae

    codec = image_vae(
        network,
        grid,
        latent_dim,
        channels,
        beta,
        latent,
        free_bits,
        prior_shape,
        schema,
        calorimeter,
    )
    return code_assembly.latent_model(codec, prior, width=width, components=components, share=share)


@described
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
        latent_dim: Numbers in the code of an event.
        channels: Channels of the finest level of encoder and decoder.
        beta: Factor of the latent term, by default 1 of gaussian and density-ratio, 100 of mmd and
            sliced.
        share: Fraction of the steps that the autoencoder gets; 0 with a trained one to start from.

    Raises:
        ArgumentError: an unknown network or choice, an option that it does not have.
    """
    from pcgen.recipes import code_assembly
    from pcgen.recipes.images import sites_vae

    codec = sites_vae(
        grid, latent_dim, channels, beta, latent, free_bits, prior_shape, schema, calorimeter
    )
    return code_assembly.latent_model(codec, prior, width=width, components=components, share=share)
