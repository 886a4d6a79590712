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
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import nn

from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.io import JETS
from pcgen.models.autoencoder import Gaussian
from pcgen.models.flow_matching import FlowMatching
from pcgen.models.gan import GAN
from pcgen.models.representations import Images, Sites
from pcgen.models.vae import VAE
from pcgen.nn import (
    ConvEncoder,
    ConvUNet,
    GatedImageDecoder,
    GaussianImageDecoder,
    HurdleImageDecoder,
    ImageTrunk,
    ObservedEncoder,
    RasterisedDecoder,
    ReLUImageDecoder,
    SetDecoder,
    SiteEncoder,
    SiteUNet,
    SparseDecoder,
)
from pcgen.recipes.jets import GLOBAL
from pcgen.schema import Schema

Network = Literal["dense", "active", "observed", "gated"]
GameNetwork = Literal["dense", "active", "observed", "gated", "points"]
NETWORKS = ("dense", "active", "observed", "gated")
GAME_NETWORKS = (*NETWORKS, "points")
GRID = "eta_rel:-0.4:0.4:32,phi_rel:-0.4:0.4:32"
_FEATURES = 64  # of an encoder, from which mean and variance of the code are read


def image_gan(
    network: GameNetwork = "dense",
    grid: str = GRID,
    latent_dim: int = 32,
    channels: int = 16,
    penalty: float = 1.0,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """GAN of dense images with the non-saturating game and R1, conditional on class and y.

    Args:
        network: dense, active, observed, gated or points; see docs/sparsity.md.
        grid: Cells, as ``name:low:high:cells`` for each axis.
        latent_dim: Numbers of noise of an image.
        channels: Channels of the finest level of generator and critic.
        penalty: Factor of R1.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.

    Raises:
        ArgumentError: an unknown network, or no grid of the schema's axes.
    """
    _check(network, GAME_NETWORKS)
    representation = _images(grid, schema)
    generator = _generator(network, representation, latent_dim, channels)
    cells_open = network in ("gated", "points")
    critic = _encoder(network, representation, 1, channels, continuous=cells_open)
    return GAN(representation, generator, critic, latent_dim, strength=penalty)


def image_vae(
    network: Network = "dense",
    grid: str = GRID,
    latent_dim: int = 32,
    channels: int = 16,
    beta: float = 1.0,
    schema: dict[str, Any] | None = None,
) -> VAE:
    """VAE of dense images, conditional on class and y.

    Args:
        network: dense, active, observed (all with squared error) or gated (hurdle likelihood).
        grid: Cells, as ``name:low:high:cells`` for each axis.
        latent_dim: Numbers in the code of an image.
        channels: Channels of the finest level of encoder and decoder.
        beta: Factor of the Kullback-Leibler divergence; 1 for a bound on the likelihood.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.

    Raises:
        ArgumentError: an unknown network, or no grid of the schema's axes.
    """
    _check(network, NETWORKS)
    representation = _images(grid, schema)
    trunk = _trunk(representation, latent_dim, channels)
    decoder = HurdleImageDecoder(trunk) if network == "gated" else GaussianImageDecoder(trunk)
    encoder = _encoder(network, representation, _FEATURES, channels)
    return VAE(representation, encoder, Gaussian(_FEATURES, latent_dim, beta=beta), decoder)


def image_flow(
    grid: str = GRID,
    channels: int = 16,
    steps: int = 20,
    schema: dict[str, Any] | None = None,
) -> FlowMatching:
    """Flow matching on all cells of dense images, with a convolutional U-Net.

    Args:
        grid: Cells, as ``name:low:high:cells`` for each axis.
        channels: Channels of the finest level of the network.
        steps: Steps of the midpoint rule when sampling, of two evaluations each.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    representation = _images(grid, schema)
    field = ConvUNet(
        representation.grid.shape,
        channels=channels,
        condition_channels=representation.condition_channels,
    )
    return FlowMatching(representation, field, steps=steps)


def sites_gan(
    grid: str = GRID,
    latent_dim: int = 32,
    channels: int = 16,
    penalty: float = 1.0,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """GAN whose critic convolves at active sites; its generator gates the cells of an image.

    Args:
        grid: Cells, as ``name:low:high:cells`` for each axis.
        latent_dim: Numbers of noise of an image.
        channels: Channels of the finest level of generator and critic.
        penalty: Factor of R1.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    representation = _images(grid, schema)
    critic = SiteEncoder(
        representation.grid.shape,
        1,
        channels=channels,
        condition_channels=representation.condition_channels,
        continuous=True,
    )
    generator = GatedImageDecoder(_trunk(representation, latent_dim, channels))
    return GAN(representation, generator, critic, latent_dim, strength=penalty)


def sites_vae(
    grid: str = GRID,
    latent_dim: int = 32,
    channels: int = 16,
    beta: float = 1.0,
    schema: dict[str, Any] | None = None,
) -> VAE:
    """VAE that encodes active sites and decodes them coarse to fine, cell by cell.

    Args:
        grid: Cells, as ``name:low:high:cells`` for each axis.
        latent_dim: Numbers in the code of an event.
        channels: Channels of the finest level of encoder and decoder.
        beta: Factor of the Kullback-Leibler divergence; 1 for a bound on the likelihood.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    representation = _sites(grid, schema)
    encoder = SiteEncoder(
        representation.grid.shape,
        _FEATURES,
        channels=channels,
        condition_channels=representation.condition_channels,
    )
    decoder = _sparse_decoder(representation, latent_dim, channels)
    return VAE(representation, encoder, Gaussian(_FEATURES, latent_dim, beta=beta), decoder)


def sites_flow(
    grid: str = GRID,
    channels: int = 16,
    steps: int = 20,
    schema: dict[str, Any] | None = None,
) -> FlowMatching:
    """Flow matching at active sites, which are drawn first, coarse to fine.

    Args:
        grid: Cells, as ``name:low:high:cells`` for each axis.
        channels: Channels of the finest level of the networks.
        steps: Steps of the midpoint rule when sampling, of two evaluations each.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    representation = _sites(grid, schema)
    field = SiteUNet(
        representation.grid.shape,
        channels=channels,
        condition_channels=representation.condition_channels,
    )
    support = _sparse_decoder(representation, 0, channels)
    return FlowMatching(representation, field, support=support, steps=steps)


def _images(grid: str, schema: dict[str, Any] | None) -> Images:
    meaning = JETS if schema is None else Schema.from_dict(schema)
    return Images(meaning, Grid.parse(grid, meaning.axes))


def _sites(grid: str, schema: dict[str, Any] | None) -> Sites:
    meaning = JETS if schema is None else Schema.from_dict(schema)
    return Sites(meaning, Grid.parse(grid, meaning.axes))


def _generator(network: str, representation: Images, latent_dim: int, channels: int) -> nn.Module:
    if network == "points":
        standardize = representation.standardize
        axes = len(standardize.schema.axes)
        decoder = SetDecoder(
            latent_dim,
            axes,
            standardize.point_features - axes,
            condition_channels=representation.condition_channels,
            hidden=4 * channels,
            global_channels=GLOBAL,
            layers=3,
        )
        return RasterisedDecoder(decoder, standardize, representation.grid)
    trunk = _trunk(representation, latent_dim, channels)
    return GatedImageDecoder(trunk) if network == "gated" else ReLUImageDecoder(trunk)


def _check(network: str, known: Sequence[str]) -> None:
    if network not in known:
        raise ArgumentError(f"network: got {network!r}, expected one of {', '.join(known)}")


def _trunk(representation: Images, latent_dim: int, channels: int) -> ImageTrunk:
    shape = representation.grid.shape
    return ImageTrunk(
        latent_dim,
        channels,
        shape=shape,
        condition_channels=representation.condition_channels,
    )


def _sparse_decoder(representation: Sites, latent_dim: int, channels: int) -> SparseDecoder:
    return SparseDecoder(
        latent_dim,
        channels,
        shape=representation.grid.shape,
        condition_channels=representation.condition_channels,
    )


def _encoder(
    network: str, representation: Images, out: int, channels: int, *, continuous: bool = False
) -> nn.Module:
    shape, told = representation.grid.shape, representation.condition_channels
    if network == "observed":
        # As the literature applies the layer to sparse images: the comparison shows what it costs.
        return ObservedEncoder(
            shape, out, channels=channels, condition_channels=told, empty="missing"
        )
    return ConvEncoder(
        shape,
        out,
        channels=channels,
        condition_channels=told,
        active_channel=network == "active",
        continuous=continuous,
    )
