"""Recipes that sample by a Markov chain: its kernel is learnt, and repeated (docs/chains.md).

As in :mod:`pcgen.recipes.points`, torch is imported inside the functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pcgen.recipes.glossary import described
from pcgen.recipes.points import Encoder

if TYPE_CHECKING:
    from pcgen.models.chain import Chain
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
    from pcgen.objectives.corruption import SetCorruption
    from pcgen.recipes import assembly, networks

    distances = None if encoder == "list" else "flow"
    return assembly.chain(
        assembly.points_of_codes(schema, recentre, rescale, distances),
        networks.of_points(encoder, hidden, max(layers - 1, 1)),
        assembly.smooth(0.0),
        (latent_dim, hidden, layers),
        SetCorruption(drop, add, jitter),
        walkback=walkback,
        burn_in=burn_in,
        integration_steps=integration_steps,
    )


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
    from pcgen.recipes import assembly, networks

    distances = None if encoder == "list" else "flow"
    return assembly.chain(
        assembly.points_of_codes(schema, recentre, rescale, distances),
        networks.of_points(encoder, hidden, max(layers - 1, 1)),
        assembly.gaussian(0.0),
        (latent_dim, hidden, layers),
        None,
        walkback=0,
        burn_in=burn_in,
        integration_steps=integration_steps,
    )


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
    from pcgen.recipes import assembly, networks

    return assembly.sequential_vae(
        assembly.points(schema, recentre, rescale),
        networks.of_points(encoder, hidden, max(layers - 1, 1)),
        (latent_dim, hidden, layers),
        beta=beta,
        steps=transitions,
        shared=shared,
    )
