"""From the plain values of a recipe to a model: the only place where networks meet models.

The recipes themselves (:mod:`pcgen.recipes.points`, :mod:`pcgen.recipes.images`) are signatures
with their help, which the command line reads without importing torch; what they build is here.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import nn

from pcgen.errors import ArgumentError, at_least
from pcgen.grids import Calorimeter, Grid
from pcgen.io import JETS
from pcgen.models.autoencoder import Autoencoder, Distance
from pcgen.models.chain import Chain
from pcgen.models.gan import GAN
from pcgen.models.hybrid import Hybrid
from pcgen.models.latent import CodeBook, LatentModel, Prior
from pcgen.models.latent_terms import Deterministic, Gaussian, Latent
from pcgen.models.mode_gan import pixel_distance
from pcgen.models.paths import followed
from pcgen.models.priors import AdversarialPrior, Mixture
from pcgen.models.representations import Hits, Images, Points, Sites
from pcgen.models.sequential_vae import SequentialVAE, Transition
from pcgen.models.wake_sleep import HelmholtzMachine
from pcgen.models.whitening import Whitening
from pcgen.nn import (
    MLP,
    GatedImageDecoder,
    GaussianImageDecoder,
    HurdleImageDecoder,
    PointMixture,
)
from pcgen.objectives import terms
from pcgen.objectives.corruption import SetCorruption
from pcgen.objectives.reconstruction import ChamferLoss, EarthMoverLoss, Scaled
from pcgen.recipes import flow_assembly, image_networks, networks
from pcgen.recipes.adversaries import Choice, Kind, rules
from pcgen.recipes.images import GRID
from pcgen.recipes.networks import PointNetwork
from pcgen.schema import Schema
from pcgen.standardize import Standardize

_OF_WEIGHTS = ("spectral", "listed")  # sort points by their weight
PIXELS: dict[str, Distance] = {"pixels": pixel_distance}
_FEATURES = 64  # of an encoder of images, from which mean and variance of the code are read


def points(schema: dict[str, Any] | None, recentre: bool, rescale: bool, **further: Any) -> Points:
    """Point sets of a schema as it is stored; jets of particles by default."""
    return Points(meaning(schema), recentre=recentre, rescale=rescale, **further)


def points_of_codes(
    schema: dict[str, Any] | None, recentre: bool, rescale: bool, reconstruction: str | None
) -> Points:
    """Point sets for an autoencoder, as the distances of sets or as a flow sees them best."""
    if reconstruction != "flow":
        return points(schema, recentre, rescale)
    weighed = meaning(schema).weight is not None
    return points(schema, recentre, rescale, centre=recentre, excess=weighed, squash=0.75)


def images(
    grid: str | None,
    schema: dict[str, Any] | None,
    calorimeter: dict[str, Any] | None = None,
) -> Images:
    """Dense images in cells as the command line or a file has them."""
    known = meaning(schema)
    return Images(known, _cells(grid, known, calorimeter))


def sites(
    grid: str | None,
    schema: dict[str, Any] | None,
    calorimeter: dict[str, Any] | None = None,
) -> Sites:
    """Active ones of cells as the command line or a file has them."""
    known = meaning(schema)
    return Sites(known, _cells(grid, known, calorimeter))


def hits(
    grid: str | None,
    schema: dict[str, Any] | None,
    calorimeter: dict[str, Any] | None = None,
) -> Hits:
    """Hit patterns in cells as the command line or a file has them."""
    known = meaning(schema)
    return Hits(known, _cells(grid, known, calorimeter))


def _cells(
    grid: str | None, schema: Schema, calorimeter: dict[str, Any] | None
) -> Grid | Calorimeter:
    """The grid that is written, or the calorimeter; of jets a grid that holds them."""
    if grid is not None:
        return Grid.parse(grid, schema.axes)
    if calorimeter is not None:
        return Calorimeter.from_dict(calorimeter)
    if [axis.name for axis in schema.axes] == [axis.name for axis in JETS.axes]:
        return Grid.parse(GRID, schema.axes)
    example = ",".join(f"{axis.name}:-1:1:24" for axis in schema.axes)
    raise ArgumentError(
        f"grid: got none, and the file of the clouds has none either, expected the cells along "
        f"each axis, for instance --grid {example}"
    )


def autoencoder(
    representation: Points,
    network: PointNetwork,
    latent: Callable[[int, int], Latent],
    sizes: tuple[int, int, int],
    distances: str | None,
) -> Autoencoder:
    """Autoencoder of points with set distances.

    Args:
        representation: Of the clouds.
        network: Builds encoder and decoder.
        latent: Builds the latent term from columns of features and of the code.
        sizes: Columns of the code, channels inside, layers of the decoder.
        distances: See :func:`reconstruction`; None: full, and listed for a list.
    """
    latent_dim, hidden, layers = sizes
    at_least(1, latent_dim=latent_dim, hidden=hidden, layers=layers)
    encoder = network.encoder(representation, hidden)
    if distances == "flow":
        decoder = flow_assembly.flow_decoder(representation, network, latent_dim, layers)
        return Autoencoder(representation, encoder, latent(hidden, latent_dim), decoder)
    if distances is None:
        distances = "listed" if isinstance(network, networks.SortedList) else "full"
    return Autoencoder(
        representation,
        encoder,
        latent(hidden, latent_dim),
        network.decoder(representation, latent_dim, layers),
        reconstruction(distances, representation.standardize),
    )


def chain(
    representation: Points,
    network: PointNetwork,
    latent: Callable[[int, int], Latent],
    sizes: tuple[int, int, int],
    corruption: SetCorruption | None,
    *,
    walkback: int,
    burn_in: int,
    integration_steps: int,
) -> Chain:
    """A chain whose decoder is a flow, and that of a list the list itself.

    Args:
        representation: Of the clouds.
        network: Builds encoder and decoder.
        latent: Builds the latent term from columns of features and of the code.
        sizes: Columns of the code, channels inside, layers of the decoder.
        corruption: What the encoder takes; None: the event itself.
        walkback: Further steps of the chain in training.
        burn_in: Steps of the chain to a sample.
        integration_steps: Steps of the flow.
    """
    at_least(0, walkback=walkback)
    at_least(1, burn_in=burn_in, integration_steps=integration_steps)
    distances = None if isinstance(network, networks.SortedList) else "flow"
    codec = autoencoder(representation, network, latent, sizes, distances)
    for paths in followed(codec):
        paths.solver = dataclasses.replace(paths.solver, steps=integration_steps)
    return Chain(codec, corruption, walkback=walkback, burn_in=burn_in)


def sequential_vae(
    representation: Points,
    network: PointNetwork,
    sizes: tuple[int, int, int],
    *,
    beta: float,
    steps: int,
    shared: bool,
) -> SequentialVAE:
    """A short chain of decoders, with networks of their own or ``shared`` ones."""
    latent_dim, hidden, layers = sizes
    at_least(1, latent_dim=latent_dim, hidden=hidden, layers=layers, transitions=steps)
    latent = gaussian(beta)

    def transition() -> Transition:
        posterior = latent(hidden, latent_dim)
        assert isinstance(posterior, Gaussian)
        return Transition(
            network.encoder(representation, hidden),
            posterior,
            network.encoder(representation, hidden),
            network.decoder(representation, latent_dim + hidden, layers),
        )

    return SequentialVAE(
        representation,
        [transition() for _ in range(1 if shared else steps)],
        reconstruction(
            "listed" if isinstance(network, networks.SortedList) else "full",
            representation.standardize,
        ),
        steps=steps,
        beta=beta,
    )


def reconstruction(name: str, standardize: Standardize) -> dict[str, Distance]:
    """Distances of sets that an autoencoder minimises, by the name of their choice.

    Raises:
        ArgumentError: an unknown name, or one that needs a weight which the points do not have.
    """
    emd = EarthMoverLoss(standardize=standardize)
    chamfer = ChamferLoss(standardize=standardize)
    both: dict[str, Distance] = {"emd": emd, "chamfer": Scaled(0.3, chamfer)}
    known: dict[str, dict[str, Distance]] = {
        "full": {**both, "sliced": terms.sliced, "shape": terms.shape},
        "spectral": {
            **both,
            "sliced": terms.sliced,
            "shape": terms.shape,
            "spectrum": terms.spectrum,
        },
        "both": both,
        "emd": {"emd": emd},
        "chamfer": {"chamfer": chamfer},
        "listed": {"listed": terms.listed},
    }
    if name not in known:
        raise ArgumentError(f"reconstruction: got {name!r}, expected one of {', '.join(known)}")
    if name in _OF_WEIGHTS and standardize.schema.weight is None:
        others = [each for each in known if each not in _OF_WEIGHTS]
        raise ArgumentError(
            f"reconstruction: got {name!r}, which sorts points by weight, for points without one, "
            f"expected one of {', '.join(others)}"
        )
    return known[name]


def gaussian(beta: float) -> Callable[[int, int], Latent]:
    """Codes with a normal posterior: the VAE."""
    at_least(0, beta=beta)
    return partial(Gaussian, beta=beta)


def smooth(noise: float) -> Callable[[int, int], Latent]:
    """Codes under a prior: those nearby are nearby events where noise is added."""
    at_least(0, noise=noise)
    return gaussian(noise) if noise else Deterministic


def adversarial_prior(
    codec: Autoencoder,
    *,
    latent_dim: int,
    width: int,
    choice: Choice,
) -> AdversarialPrior:
    """Latent GAN of MLPs of three hidden layers.

    Raises:
        ArgumentError: an unknown game, or one that does not go with its remedies.
    """
    at_least(1, width=width)
    play = rules(choice, Kind(5.0))
    conditions = codec.representation.condition_channels
    generator, critic = (
        MLP(latent_dim, [width] * 3, out, condition_channels=conditions) for out in (latent_dim, 1)
    )
    return AdversarialPrior(generator, play.critic(critic), latent_dim, play.adversary)


def mixture(codec: Autoencoder, latent_dim: int, components: int) -> Mixture:
    """Gaussian mixture over the codes and the continuous conditions."""
    schema = codec.schema
    # Condition: y, one-hot class, log n, and the spread where it is kept.
    first = len(schema.condition)
    behind = range(first + len(schema.labels), codec.representation.condition_channels)
    continuous = [*range(first), *behind]
    return Mixture(latent_dim, continuous, classes=len(schema.labels), components=components)


def latent_model(codec: Autoencoder, prior: Prior, latent_dim: int, share: float) -> LatentModel:
    """An autoencoder, and a prior over its codes."""
    conditions = codec.representation.condition_channels
    whitening, book = Whitening(latent_dim, conditions), CodeBook(latent_dim, conditions)
    return LatentModel(codec, prior, whitening, book, share=share)


def points_gan(
    representation: Points, network: PointNetwork, *, latent_dim: int, layers: int, choice: Choice
) -> GAN:
    """GAN on points."""
    at_least(1, latent_dim=latent_dim, layers=layers)
    play = rules(choice, Kind(0.1, sets=True))
    generator = network.generator(representation, latent_dim, layers)
    encoder = partial(network.encoder, representation)
    distances = reconstruction("both", representation.standardize)
    return play.gan(representation, generator, encoder, encoder, latent_dim, distances)


def image_gan(
    network: str, representation: Images, *, latent_dim: int, channels: int, choice: Choice
) -> GAN:
    """GAN on images."""
    at_least(1, latent_dim=latent_dim, channels=channels)
    play = rules(choice, Kind(1.0, cells=network in ("active", "observed")))
    generator = image_networks.image_generator(network, representation, latent_dim, channels)
    opening = network in ("gated", "points")  # cells open and close as the generator learns

    def encoder(out: int, *, continuous: bool = False) -> nn.Module:
        return image_networks.image_encoder(
            network, representation, out, channels, continuous=continuous
        )

    critic = partial(encoder, continuous=opening)
    return play.gan(representation, generator, critic, encoder, latent_dim, PIXELS)


def image_vae(
    network: str,
    representation: Images,
    *,
    latent_dim: int,
    channels: int,
    latent: Callable[[int, int], Latent],
) -> Autoencoder:
    """Autoencoder of images with a likelihood; with the Gaussian latent its loss is a bound."""
    at_least(1, latent_dim=latent_dim, channels=channels)
    trunk = image_networks.image_trunk(representation, latent_dim, channels)
    decoder = HurdleImageDecoder(trunk) if network == "gated" else GaussianImageDecoder(trunk)
    encoder = image_networks.image_encoder(network, representation, _FEATURES, channels)
    return Autoencoder(representation, encoder, latent(_FEATURES, latent_dim), decoder)


def sites_gan(representation: Images, *, latent_dim: int, channels: int, choice: Choice) -> GAN:
    """GAN whose critic convolves at active sites."""
    at_least(1, latent_dim=latent_dim, channels=channels)
    play = rules(choice, Kind(1.0, cells=True))
    generator = GatedImageDecoder(image_networks.image_trunk(representation, latent_dim, channels))

    def encoder(out: int, *, critic: bool = False) -> nn.Module:
        return image_networks.site_encoder(
            representation, out, channels, continuous=critic, coarse=critic
        )

    critic = partial(encoder, critic=True)
    return play.gan(representation, generator, critic, encoder, latent_dim, PIXELS)


def sites_vae(
    representation: Sites,
    *,
    latent_dim: int,
    channels: int,
    latent: Callable[[int, int], Latent],
) -> Autoencoder:
    """Autoencoder of active sites with a likelihood, as :func:`image_vae`."""
    at_least(1, latent_dim=latent_dim, channels=channels)
    encoder = image_networks.site_encoder(representation, _FEATURES, channels)
    decoder = image_networks.sparse_decoder(representation, latent_dim, channels)
    return Autoencoder(representation, encoder, latent(_FEATURES, latent_dim), decoder)


def hybrid(
    representation: Points, *, coupling: float, labelled: float, seed: int, components: int
) -> Hybrid:
    """Two mixtures of points by class, with one start."""
    at_least(1, components=components)
    at_least(0, label_seed=seed)
    generative, discriminative = (
        PointMixture(
            representation.value_channels, len(representation.schema.labels), components=components
        )
        for _ in range(2)
    )
    return Hybrid(
        representation, generative, discriminative, coupling=coupling, labelled=labelled, seed=seed
    )


def helmholtz_machine(
    representation: Hits, *, latent_dim: int, layers: int, codes: int, update: str
) -> HelmholtzMachine:
    """Layers of logistic units: each logit is linear in the layer beside and the condition."""
    at_least(1, latent_dim=latent_dim, layers=layers, importance_samples=codes)
    width = [representation.cells, *[latent_dim] * layers]
    above = [*width[1:], 1]

    def linear(beside: int, out: int) -> MLP:
        return MLP(beside, [], out, condition_channels=representation.condition_channels)

    return HelmholtzMachine(
        representation,
        [linear(*pair) for pair in zip(above, width, strict=True)],
        [linear(*pair) for pair in itertools.pairwise(width)],
        codes=codes,
        update=update,
    )


def check_network(network: str, known: Sequence[str]) -> None:
    """Refuse a network that the recipe does not have.

    Raises:
        ArgumentError: naming those that it has.
    """
    if network not in known:
        raise ArgumentError(f"network: got {network!r}, expected one of {', '.join(known)}")


def meaning(schema: dict[str, Any] | None) -> Schema:
    """A schema as it is stored; that of jets where there is none."""
    return JETS if schema is None else Schema.from_dict(schema)
