"""From the plain values of recipes to the parts that several of them build.

A recipe itself is read by the command line without importing torch: what it shares with others is
here, and imported by its function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pcgen.errors import ArgumentError, at_least
from pcgen.grids import Calorimeter, Grid
from pcgen.io import JETS
from pcgen.models.autoencoder import Autoencoder, Distance
from pcgen.models.latent import CodeBook, LatentModel, Prior
from pcgen.models.latent_terms import Deterministic, Gaussian, Latent
from pcgen.models.priors import AdversarialPrior, Mixture
from pcgen.models.representations import Hits, Images, Points, Sites
from pcgen.models.whitening import Whitening
from pcgen.nn import MLP
from pcgen.objectives import terms
from pcgen.objectives.reconstruction import ChamferLoss, EarthMoverLoss, Scaled
from pcgen.recipes import flow_assembly, networks
from pcgen.recipes.adversaries import Choice, Kind, rules
from pcgen.recipes.images import GRID
from pcgen.recipes.networks import PointNetwork
from pcgen.schema import Schema
from pcgen.standardize import Standardize

_OF_WEIGHTS = ("spectral", "listed")  # sort points by their weight


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


Described = dict[str, Any] | None
"""A schema or a calorimeter as it is stored."""


def images(
    grid: str | None, schema: Described, calorimeter: Described = None, *, of_jets: str = GRID
) -> Images:
    """Dense images in cells as the command line or a file has them."""
    known = meaning(schema)
    return Images(known, _cells(grid, known, calorimeter, of_jets))


def sites(grid: str | None, schema: Described, calorimeter: Described = None) -> Sites:
    """Active ones of cells as the command line or a file has them."""
    known = meaning(schema)
    return Sites(known, _cells(grid, known, calorimeter))


def hits(grid: str | None, schema: Described, calorimeter: Described = None) -> Hits:
    """Hit patterns in cells as the command line or a file has them."""
    known = meaning(schema)
    return Hits(known, _cells(grid, known, calorimeter))


def _cells(
    grid: str | None, schema: Schema, calorimeter: Described, of_jets: str = GRID
) -> Grid | Calorimeter:
    """The grid that is written, or the calorimeter; of jets a grid that holds them."""
    if grid is not None:
        return Grid.parse(grid, schema.axes)
    if calorimeter is not None:
        return Calorimeter.from_dict(calorimeter)
    if [axis.name for axis in schema.axes] == [axis.name for axis in JETS.axes]:
        return Grid.parse(of_jets, schema.axes)
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


def meaning(schema: dict[str, Any] | None) -> Schema:
    """A schema as it is stored; that of jets where there is none."""
    return JETS if schema is None else Schema.from_dict(schema)
