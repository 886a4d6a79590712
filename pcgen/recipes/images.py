"""Recipes on the cells of a grid: GANs, VAEs and flows, on dense images and on active sites.

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

and ``sites_*`` convolve at active sites only: the critic of a gated generator (which also reads the
sums over windows, so that cells far from all filled ones learn), the encoder and the coarse-to-fine
decoder of a VAE, and the field of a flow whose sites are drawn coarse to fine.

As in :mod:`pcgen.recipes.points`, torch is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pcgen.errors import ArgumentError, at_least
from pcgen.recipes.codes import LatentTerm, PriorShape
from pcgen.recipes.games import Game, Modes, Regulariser
from pcgen.recipes.glossary import described

if TYPE_CHECKING:
    from pcgen.models.autoencoder import Autoencoder
    from pcgen.models.density import ImageDensity
    from pcgen.models.flow import FlowMatching
    from pcgen.models.gan import GAN

Network = Literal["dense", "active", "observed", "gated"]
GameNetwork = Literal["dense", "active", "observed", "gated", "points"]
NETWORKS = ("dense", "active", "observed", "gated")
GAME_NETWORKS = (*NETWORKS, "points")
GRID = "eta_rel:-0.4:0.4:32,phi_rel:-0.4:0.4:32"
FEATURES = 64
"""Columns of the features of an encoder, from which mean and variance of the code are read."""


@described
def image_gan(
    network: GameNetwork = "dense",
    grid: str | None = None,
    latent_dim: int = 32,
    channels: int = 16,
    game: Game = "non-saturating",
    regulariser: Regulariser | None = None,
    penalty: float | None = None,
    annealing: float | None = None,
    penalty_in_spreads: bool = False,
    instance_noise: float = 0.0,
    adaptive_noise: float | None = None,
    label_smoothing: float = 0.0,
    label_flipping: float = 0.0,
    critic_steps: int = 1,
    minibatch_statistics: bool = False,
    feature_matching: bool = False,
    modes: Modes = "none",
    mode_strength: float | None = None,
    schema: dict[str, Any] | None = None,
    calorimeter: dict[str, Any] | None = None,
) -> GAN:
    """GAN of dense images, by default the non-saturating game with R1, given class and y.

    Args:
        network: dense, active, observed, gated or points; see docs/sparsity.md.
        latent_dim: Numbers of noise of an image.
        channels: Channels of the finest level of generator and critic.
        penalty: Strength of the regulariser, 1 of r1, r2 and r1-r2 by default, 1 of roth, 10 of
            wgan-gp, wgan-lp and dragan; of clip the bound of the parameters, 0.1 by default, of
            spectral the factor of the logit, 5 by default.
        instance_noise: Standard deviation of the noise on all pixels that the critic sees, at the
            start of the run; refused with networks that ask which cells are active.

    Raises:
        ArgumentError: an unknown network, or no grid of the schema's axes.
    """
    from pcgen.models.mode_gan import pixel_distance
    from pcgen.recipes import adversaries, assembly, image_networks

    _check_network(network, GAME_NETWORKS)
    images = assembly.images(grid, schema, calorimeter)
    at_least(1, latent_dim=latent_dim, channels=channels)
    choice = adversaries.Choice(
        game, regulariser, penalty, annealing, penalty_in_spreads, instance_noise,
        label_smoothing, label_flipping, critic_steps, adaptive_noise, minibatch_statistics,
        feature_matching, modes, mode_strength,
    )  # fmt: skip
    play = adversaries.rules(choice, adversaries.Kind(1.0, cells=network in ("active", "observed")))
    encoder = partial(image_networks.image_encoder, network, images, channels=channels)
    return play.gan(
        images,
        image_networks.image_generator(network, images, latent_dim, channels),
        # Cells open and close as the generator of these networks learns.
        partial(encoder, continuous=network in ("gated", "points")),
        encoder,
        latent_dim,
        {"pixels": pixel_distance},
    )


@described
def image_vae(
    network: Network = "dense",
    grid: str | None = None,
    latent_dim: int = 32,
    channels: int = 16,
    beta: float | None = None,
    latent: LatentTerm = "gaussian",
    free_bits: float = 0.0,
    prior_shape: PriorShape = "normal",
    schema: dict[str, Any] | None = None,
    calorimeter: dict[str, Any] | None = None,
) -> Autoencoder:
    """VAE of dense images, conditional on class and y.

    Args:
        network: dense, active, observed (all with squared error) or gated (hurdle likelihood).
        latent_dim: Numbers in the code of an image.
        channels: Channels of the finest level of encoder and decoder.
        beta: Factor of the latent term, by default 1 of gaussian and density-ratio, 100 of mmd and
            sliced.

    Raises:
        ArgumentError: an unknown network, or no grid of the schema's axes.
    """
    from pcgen.models.autoencoder import Autoencoder
    from pcgen.nn import GaussianImageDecoder, HurdleImageDecoder
    from pcgen.recipes import assembly, code_assembly, image_networks

    _check_network(network, NETWORKS)
    images = assembly.images(grid, schema, calorimeter)
    choice = code_assembly.TermChoice(latent, beta, free_bits, prior_shape)
    term = code_assembly.term(choice, kl=1.0, divergence=100.0)
    at_least(1, latent_dim=latent_dim, channels=channels)
    trunk = image_networks.image_trunk(images, latent_dim, channels)
    decoder = HurdleImageDecoder(trunk) if network == "gated" else GaussianImageDecoder(trunk)
    encoder = image_networks.image_encoder(network, images, FEATURES, channels)
    return Autoencoder(images, encoder, term(FEATURES, latent_dim), decoder)


@described
def image_flow(
    grid: str | None = None,
    channels: int = 16,
    integration_steps: int = 20,
    schema: dict[str, Any] | None = None,
    calorimeter: dict[str, Any] | None = None,
) -> FlowMatching:
    """Flow matching on all cells of dense images, with a convolutional U-Net.

    Args:
        channels: Channels of the finest level of the network.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    from pcgen.models.flow import FlowMatching
    from pcgen.recipes import assembly, image_networks

    images = assembly.images(grid, schema, calorimeter)
    at_least(1, channels=channels, integration_steps=integration_steps)
    field = image_networks.image_field(images, channels)
    return FlowMatching(images, field, steps=integration_steps)


@described
def image_real_nvp(
    grid: str | None = None,
    channels: int = 32,
    noise: float = 0.05,
    schema: dict[str, Any] | None = None,
    calorimeter: dict[str, Any] | None = None,
) -> ImageDensity:
    """Real NVP of dense images on several scales, by maximum likelihood (arXiv 1605.08803).

    Args:
        channels: Channels of the networks of the couplings.
        noise: Standard deviation of the noise on active cells in training, in standardised log
            fractions; without it the likelihood has no bound, and is refused.

    Raises:
        ArgumentError: no grid of the schema's axes, or no noise.
    """
    from pcgen.models.density import ImageDensity
    from pcgen.nn import ImageRealNVP
    from pcgen.recipes import assembly

    images = assembly.images(grid, schema, calorimeter)
    at_least(1, channels=channels)
    at_least(0.0, noise=noise)
    flow = ImageRealNVP(images.shape, condition_channels=images.condition_channels, hidden=channels)
    return ImageDensity(images, flow, noise=noise)


@described
def sites_gan(
    grid: str | None = None,
    latent_dim: int = 32,
    channels: int = 16,
    game: Game = "non-saturating",
    regulariser: Regulariser | None = None,
    penalty: float | None = None,
    annealing: float | None = None,
    penalty_in_spreads: bool = False,
    instance_noise: float = 0.0,
    adaptive_noise: float | None = None,
    label_smoothing: float = 0.0,
    label_flipping: float = 0.0,
    critic_steps: int = 1,
    minibatch_statistics: bool = False,
    feature_matching: bool = False,
    modes: Modes = "none",
    mode_strength: float | None = None,
    schema: dict[str, Any] | None = None,
    calorimeter: dict[str, Any] | None = None,
) -> GAN:
    """GAN whose critic convolves at active sites; its generator gates the cells of an image.

    Args:
        latent_dim: Numbers of noise of an image.
        channels: Channels of the finest level of generator and critic.
        penalty: Strength of the regulariser, 1 of r1, r2 and r1-r2 by default, 1 of roth, 10 of
            wgan-gp, wgan-lp and dragan; of clip the bound of the parameters, 0.1 by default, of
            spectral the factor of the logit, 5 by default.
        instance_noise: 0: noise on pixels would make all cells active, and is refused.
        adaptive_noise: None, as there is no noise.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    from pcgen.models.mode_gan import pixel_distance
    from pcgen.nn import GatedImageDecoder
    from pcgen.recipes import adversaries, assembly, image_networks

    images = assembly.images(grid, schema, calorimeter)
    at_least(1, latent_dim=latent_dim, channels=channels)
    choice = adversaries.Choice(
        game, regulariser, penalty, annealing, penalty_in_spreads, instance_noise,
        label_smoothing, label_flipping, critic_steps, adaptive_noise, minibatch_statistics,
        feature_matching, modes, mode_strength,
    )  # fmt: skip
    play = adversaries.rules(choice, adversaries.Kind(1.0, cells=True))
    encoder = partial(image_networks.site_encoder, images, channels=channels)
    return play.gan(
        images,
        GatedImageDecoder(image_networks.image_trunk(images, latent_dim, channels)),
        partial(encoder, continuous=True, coarse=True),
        encoder,
        latent_dim,
        {"pixels": pixel_distance},
    )


@described
def sites_vae(
    grid: str | None = None,
    latent_dim: int = 32,
    channels: int = 16,
    beta: float | None = None,
    latent: LatentTerm = "gaussian",
    free_bits: float = 0.0,
    prior_shape: PriorShape = "normal",
    schema: dict[str, Any] | None = None,
    calorimeter: dict[str, Any] | None = None,
) -> Autoencoder:
    """VAE that encodes active sites and decodes them coarse to fine, cell by cell.

    Args:
        latent_dim: Numbers in the code of an event.
        channels: Channels of the finest level of encoder and decoder.
        beta: Factor of the latent term, by default 1 of gaussian and density-ratio, 100 of mmd and
            sliced.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    from pcgen.models.autoencoder import Autoencoder
    from pcgen.recipes import assembly, code_assembly, image_networks

    sites = assembly.sites(grid, schema, calorimeter)
    choice = code_assembly.TermChoice(latent, beta, free_bits, prior_shape)
    term = code_assembly.term(choice, kl=1.0, divergence=100.0)
    at_least(1, latent_dim=latent_dim, channels=channels)
    encoder = image_networks.site_encoder(sites, FEATURES, channels)
    decoder = image_networks.sparse_decoder(sites, latent_dim, channels)
    return Autoencoder(sites, encoder, term(FEATURES, latent_dim), decoder)


@described
def sites_flow(
    grid: str | None = None,
    channels: int = 16,
    integration_steps: int = 20,
    schema: dict[str, Any] | None = None,
    calorimeter: dict[str, Any] | None = None,
) -> FlowMatching:
    """Flow matching at active sites, which are drawn first, coarse to fine.

    Args:
        channels: Channels of the finest level of the networks.

    Raises:
        ArgumentError: no grid of the schema's axes.
    """
    from pcgen.models.flow import FlowMatching
    from pcgen.recipes import assembly, image_networks

    sites = assembly.sites(grid, schema, calorimeter)
    at_least(1, channels=channels, integration_steps=integration_steps)
    field = image_networks.site_field(sites, channels)
    support = image_networks.sparse_decoder(sites, 0, channels)
    return FlowMatching(sites, field, support=support, steps=integration_steps)


def _check_network(network: str, known: Sequence[str]) -> None:
    if network not in known:
        raise ArgumentError(f"network: got {network!r}, expected one of {', '.join(known)}")
