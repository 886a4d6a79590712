"""Recipes that sample by a Markov chain: its kernel is learnt, and repeated (docs/chains.md).

As in :mod:`pcgen.recipes.points`, torch is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pcgen.errors import at_least
from pcgen.recipes.glossary import described
from pcgen.recipes.points import Encoder

if TYPE_CHECKING:
    from pcgen.models.autoencoder import Autoencoder
    from pcgen.models.chain import Chain
    from pcgen.models.latent_terms import Latent
    from pcgen.models.sequential_vae import SequentialVAE


@described
def points_gsn(
    encoder: Encoder = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    drop: float = 0.2,
    add: float = 0.2,
    jitter: float = 0.5,
    walkback: int = 1,
    burn_in: int = 20,
    integration_steps: int = 6,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> Chain:
    """Generative stochastic network: a chain that corrupts a set of points and denoises it.

    Args:
        encoder: The networks: epic, pointnet, edgeconv, attention, or the control list. The decoder
            is a flow, of list the list itself.
        latent_dim: Numbers in the code of a corrupted cloud.
        drop: Probability that a point is dropped by the corruption.
        add: Probability, for each point, that a point of noise is added.
        jitter: Standard deviation by which points are moved, in units of that of the data.
        walkback: Further steps of the chain from each training event, from which it is to be found
            again too; each takes the time of a sample.
        burn_in: Steps of the chain to a sample, from noise.
        integration_steps: Steps of the decoder's flow in each step of the chain.

    Raises:
        ArgumentError: an unknown network, or a number out of range.
    """
    from pcgen.models.chain import Chain
    from pcgen.models.latent_terms import Deterministic
    from pcgen.objectives.corruption import SetCorruption

    sizes = latent_dim, hidden, layers
    codec = _codec(
        encoder, sizes, Deterministic, integration_steps, schema, recentre=recentre, rescale=rescale
    )
    corruption = SetCorruption(drop, add, jitter)
    return Chain(codec, corruption, walkback=walkback, burn_in=burn_in)


@described
def points_chain(
    encoder: Encoder = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    burn_in: int = 20,
    integration_steps: int = 6,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> Chain:
    """Unregularised autoencoder of point sets, sampled by the chain of its encoder and decoder.

    Args:
        encoder: The networks: epic, pointnet, edgeconv, attention, or the control list. The decoder
            is a flow, of list the list itself.
        latent_dim: Numbers in the code of a cloud, which the encoder draws.
        burn_in: Steps of the chain to a sample, from noise.
        integration_steps: Steps of the decoder's flow in each step of the chain.

    Raises:
        ArgumentError: an unknown network, or a number out of range.
    """
    from pcgen.models.chain import Chain
    from pcgen.models.latent_terms import Gaussian

    sizes, term = (latent_dim, hidden, layers), partial(Gaussian, beta=0.0)
    codec = _codec(
        encoder, sizes, term, integration_steps, schema, recentre=recentre, rescale=rescale
    )
    return Chain(codec, burn_in=burn_in)


@described
def points_sequential_vae(
    encoder: Encoder = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    transitions: int = 4,
    shared: bool = False,
    beta: float = 0.01,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> SequentialVAE:
    """Sequential VAE of point sets: a short chain of decoders, each given the cloud before.

    Args:
        latent_dim: Numbers in the code of each step.
        layers: Layers of each decoder; encoders have one less.
        transitions: Steps of the chain.
        shared: Take one network for all steps: a homogeneous chain.
        beta: Factor of the Kullback-Leibler divergences of the codes once it has risen; that of the
            distances of sets is 1.

    Raises:
        ArgumentError: an unknown network, or a number out of range.
    """
    from pcgen.models.latent_terms import Gaussian
    from pcgen.models.sequential_vae import SequentialVAE, Transition
    from pcgen.recipes import assembly, networks

    at_least(0, beta=beta)
    at_least(1, latent_dim=latent_dim, hidden=hidden, layers=layers, transitions=transitions)
    points = assembly.points(schema, recentre, rescale)
    network = networks.of_points(encoder, hidden, max(layers - 1, 1))

    def transition() -> Transition:
        posterior = Gaussian(hidden, latent_dim, beta=beta)
        return Transition(
            network.encoder(points, hidden),
            posterior,
            network.encoder(points, hidden),
            network.decoder(points, latent_dim + hidden, layers),
        )

    steps = [transition() for _ in range(1 if shared else transitions)]
    distances = "listed" if encoder == "list" else "full"
    return SequentialVAE(
        points,
        steps,
        assembly.reconstruction(distances, points.standardize),
        steps=transitions,
        beta=beta,
    )


def _codec(
    encoder: str,
    sizes: tuple[int, int, int],
    term: Callable[[int, int], Latent],
    steps: int,
    schema: dict[str, Any] | None,
    *,
    recentre: bool,
    rescale: bool,
) -> Autoencoder:
    """An autoencoder whose decoder is a flow, and that of a list the list itself.

    Args:
        encoder: Name of the networks.
        sizes: Columns of the code, channels inside, layers of the decoder.
        term: Builds the latent term from columns of features and of the code.
        steps: Of the flow.
        schema: As of the recipes.
        recentre: The same.
        rescale: The same.
    """
    from pcgen.models.paths import followed
    from pcgen.recipes import assembly, networks

    at_least(1, integration_steps=steps)
    reconstruction = None if encoder == "list" else "flow"
    points = assembly.points_of_codes(schema, recentre, rescale, reconstruction)
    network = networks.of_points(encoder, sizes[1], max(sizes[2] - 1, 1))
    codec = assembly.autoencoder(points, network, term, sizes, reconstruction)
    for paths in followed(codec):
        paths.solver = replace(paths.solver, steps=steps)
    return codec
