"""Recipes on the cells of a grid: a GAN, a VAE and a flow, on dense images and on active sites.

Points that share a cell are one, and those outside the grid are lost. What differs between the
networks is what they make of the empty cells (docs/sparsity.md):

========= ============================== =========================== ===========================
network   critic or encoder              generator                   likelihood of the VAE
========= ============================== =========================== ===========================
dense     convolutions                   ReLU output (LAGAN)         squared error
active    and a channel: which are full  the same                    the same
observed  empty cells taken as missing   the same                    the same
gated     convolutions                   occupancy gate x intensity  hurdle
points    convolutions                   points, then rasterised     (none)
========= ============================== =========================== ===========================

and ``sites_*`` convolve at active sites only: the critic of a gated generator, the encoder and the
coarse-to-fine decoder of a VAE, and the field of a flow whose sites are drawn coarse to fine.

As in :mod:`pcgen.recipes.points`, torch is imported inside the functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pcgen.models.autoencoder import Autoencoder
    from pcgen.models.flow import FlowMatching
    from pcgen.models.gan import GAN

Network = Literal["dense", "active", "observed", "gated"]
GameNetwork = Literal["dense", "active", "observed", "gated", "points"]
NETWORKS = ("dense", "active", "observed", "gated")
GAME_NETWORKS = (*NETWORKS, "points")
GRID = "eta_rel:-0.4:0.4:32,phi_rel:-0.4:0.4:32"


def image_gan(
    network: GameNetwork = "dense",
    grid: str | None = None,
    latent_dim: int = 32,
    channels: int = 16,
    penalty: float = 1.0,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """GAN of dense images with the non-saturating game and R1, conditional on class and y.

    Args:
        network: dense, active, observed, gated or points; see docs/sparsity.md.
        grid: Cells, as ``name:low:high:cells`` for each axis; by default those of the data's file,
            and for jets 32 x 32 within 0.4 of the axis.
        latent_dim: Numbers of noise of an image.
        channels: Channels of the finest level of generator and critic.
        penalty: Factor of R1.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.

    Raises:
        ArgumentError: an unknown network, or no grid of the schema's axes.
    """
    from pcgen.recipes import assembly

    assembly.check_network(network, GAME_NETWORKS)
    return assembly.image_gan(
        network,
        assembly.images(grid, schema),
        latent_dim=latent_dim,
        channels=channels,
        penalty=penalty,
    )


def image_vae(
    network: Network = "dense",
    grid: str | None = None,
    latent_dim: int = 32,
    channels: int = 16,
    beta: float = 1.0,
    schema: dict[str, Any] | None = None,
) -> Autoencoder:
    """VAE of dense images, conditional on class and y.

    Args:
        network: dense, active, observed (all with squared error) or gated (hurdle likelihood).
        grid: Cells, as ``name:low:high:cells`` for each axis; by default those of the data's file,
            and for jets 32 x 32 within 0.4 of the axis.
        latent_dim: Numbers in the code of an image.
        channels: Channels of the finest level of encoder and decoder.
        beta: Factor of the Kullback-Leibler divergence; 1 for a bound on the likelihood.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.

    Raises:
        ArgumentError: an unknown network, or no grid of the schema's axes.
    """
    from pcgen.recipes import assembly

    assembly.check_network(network, NETWORKS)
    return assembly.image_vae(
        network,
        assembly.images(grid, schema),
        latent_dim=latent_dim,
        channels=channels,
        beta=beta,
    )


def image_flow(
    grid: str | None = None,
    channels: int = 16,
    integration_steps: int = 20,
    schema: dict[str, Any] | None = None,
) -> FlowMatching:
    """Flow matching on all cells of dense images, with a convolutional U-Net.

    Args:
        grid: Cells, as ``name:low:high:cells`` for each axis; by default those of the data's file,
            and for jets 32 x 32 within 0.4 of the axis.
        channels: Channels of the finest level of the network.
        integration_steps: Steps of the midpoint rule when sampling, of two evaluations each.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    from pcgen.recipes import assembly, flow_assembly

    return flow_assembly.image_flow(assembly.images(grid, schema), channels, integration_steps)


def sites_gan(
    grid: str | None = None,
    latent_dim: int = 32,
    channels: int = 16,
    penalty: float = 1.0,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """GAN whose critic convolves at active sites; its generator gates the cells of an image.

    Args:
        grid: Cells, as ``name:low:high:cells`` for each axis; by default those of the data's file,
            and for jets 32 x 32 within 0.4 of the axis.
        latent_dim: Numbers of noise of an image.
        channels: Channels of the finest level of generator and critic.
        penalty: Factor of R1.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    from pcgen.recipes import assembly

    representation = assembly.images(grid, schema)
    return assembly.sites_gan(
        representation, latent_dim=latent_dim, channels=channels, penalty=penalty
    )


def sites_vae(
    grid: str | None = None,
    latent_dim: int = 32,
    channels: int = 16,
    beta: float = 1.0,
    schema: dict[str, Any] | None = None,
) -> Autoencoder:
    """VAE that encodes active sites and decodes them coarse to fine, cell by cell.

    Args:
        grid: Cells, as ``name:low:high:cells`` for each axis; by default those of the data's file,
            and for jets 32 x 32 within 0.4 of the axis.
        latent_dim: Numbers in the code of an event.
        channels: Channels of the finest level of encoder and decoder.
        beta: Factor of the Kullback-Leibler divergence; 1 for a bound on the likelihood.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    from pcgen.recipes import assembly

    representation = assembly.sites(grid, schema)
    return assembly.sites_vae(representation, latent_dim=latent_dim, channels=channels, beta=beta)


def sites_flow(
    grid: str | None = None,
    channels: int = 16,
    integration_steps: int = 20,
    schema: dict[str, Any] | None = None,
) -> FlowMatching:
    """Flow matching at active sites, which are drawn first, coarse to fine.

    Args:
        grid: Cells, as ``name:low:high:cells`` for each axis; by default those of the data's file,
            and for jets 32 x 32 within 0.4 of the axis.
        channels: Channels of the finest level of the networks.
        integration_steps: Steps of the midpoint rule when sampling, of two evaluations each.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    from pcgen.recipes import assembly, flow_assembly

    return flow_assembly.sites_flow(assembly.sites(grid, schema), channels, integration_steps)
