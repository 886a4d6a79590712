"""Recipes of events that are generated from contexts: truth to detector, images to particles.

As in :mod:`pcgen.recipes.points`, torch is imported inside the functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pcgen.recipes.flows import Coupling
from pcgen.recipes.games import Game, Regulariser
from pcgen.recipes.glossary import described
from pcgen.recipes.points import SetEncoder

if TYPE_CHECKING:
    from pcgen.models.context_gan import ContextGAN
    from pcgen.models.flow import FlowMatching
    from pcgen.models.set_generation import SetGeneration


@described
def points_context_flow(
    encoder: SetEncoder = "attention",
    context_encoder: SetEncoder = "attention",
    hidden: int = 64,
    layers: int = 3,
    context_layers: int = 2,
    integration_steps: int = 20,
    coupling: Coupling = "independent",
    shift: float = 1.0,
    squash: float | None = None,
    neighbours: int | None = None,
    schema: dict[str, Any] | None = None,
    context_schema: dict[str, Any] | None = None,
) -> FlowMatching:
    """Flow matching on point sets that are generated from others, by attention across the two.

    The context of each event is a cloud from --context FILE: the particles in front of a detector,
    the filled cells of an image, the hits that were observed. The number of points and their total
    weight are drawn first, given the context (Parnassus, arXiv 2406.01620).

    Args:
        encoder: The velocity field: epic, pointnet (DeepSets), edgeconv or attention.
        layers: Layers of the velocity field.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.recipes import context_assembly

    network, reading = context_assembly.pair(
        (encoder, layers), (context_encoder, context_layers), hidden, neighbours
    )
    return context_assembly.context_flow(
        context_assembly.points(schema, context_schema, squash),
        network,
        reading,
        hidden=hidden,
        steps=integration_steps,
        shift=shift,
        coupling=coupling,
    )


@described
def points_context_gan(
    encoder: SetEncoder = "attention",
    context_encoder: SetEncoder = "attention",
    hidden: int = 64,
    layers: int = 3,
    context_layers: int = 2,
    game: Game = "non-saturating",
    regulariser: Regulariser | None = None,
    penalty: float | None = None,
    annealing: float | None = None,
    instance_noise: float = 0.0,
    critic_steps: int = 1,
    minibatch_statistics: bool = False,
    neighbours: int | None = None,
    schema: dict[str, Any] | None = None,
    context_schema: dict[str, Any] | None = None,
) -> ContextGAN:
    """GAN of point sets that are generated from others, in one step; its critic reads both.

    The context of each event is a cloud from --context FILE. The number of points and their total
    weight are drawn first, given the context. --start may be a run of points-context-flow of the
    same networks, with --start-part generator.field=field.

    Args:
        encoder: Generator and critic: epic, pointnet (DeepSets), edgeconv or attention.
        context_encoder: The networks that read the context: epic, pointnet, edgeconv or attention.
        layers: Layers of generator and critic.
        context_layers: Layers of the networks that read the context.
        regulariser: What keeps the critic from being too good: r1 (the default), r2, r1-r2, roth,
            dragan, clip, spectral or none, but not wgan-gp or wgan-lp; see docs/remedies.md.
        penalty: Strength of the regulariser, 0.1 of r1, r2 and r1-r2 by default, 1 of roth, 10 of
            dragan; of clip the bound of the parameters, 0.1 by default, of spectral the factor of
            the logit, 5 by default.
        instance_noise: Standard deviation of the noise on coordinates and log energies of the
            points that the critic sees, at the start of the run; in standardised units.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.recipes import adversaries, context_assembly

    network, reading = context_assembly.pair(
        (encoder, layers), (context_encoder, context_layers), hidden, neighbours
    )
    return context_assembly.context_gan(
        context_assembly.points(schema, context_schema, None),
        network,
        reading,
        hidden=hidden,
        choice=adversaries.Choice(
            game,
            regulariser,
            penalty,
            annealing,
            instance_noise=instance_noise,
            critic_steps=critic_steps,
            minibatch_statistics=minibatch_statistics,
        ),
    )


@described
def points_set_generation(
    context_encoder: SetEncoder = "attention",
    decoder: Literal["epic", "list"] = "epic",
    answer: Literal["guesses", "code"] = "guesses",
    guesses: int = 2,
    latent_dim: int = 16,
    beta: float = 0.01,
    reconstruction: Literal["emd", "chamfer", "both", "full"] = "emd",
    hidden: int = 64,
    layers: int = 3,
    context_layers: int = 2,
    list_length: int | None = None,
    neighbours: int | None = None,
    schema: dict[str, Any] | None = None,
    context_schema: dict[str, Any] | None = None,
) -> SetGeneration:
    """Point-set generation network: one step from a context and noise to points (arXiv 1612.00603).

    It is trained by the best of several guesses, so that different noise gives different answers,
    or as a conditional VAE. The context of each event is a cloud from --context FILE.

    Args:
        decoder: epic makes any number of points from noise of their own, list is the paper's fully
            connected network to a list of points.
        answer: What the noise learns: the best of several guesses (min of N), or the code of the
            event (a conditional VAE).
        guesses: Guesses of which the best counts; 1 gives the mean answer.
        latent_dim: Numbers of noise that differ from answer to answer.
        beta: Factor of the Kullback-Leibler term of code.
        reconstruction: Distance of sets that is minimised: emd, chamfer, both, or full (both,
            sliced and moments).
        layers: Layers of the decoder.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.recipes import context_assembly, networks

    return context_assembly.set_generation(
        context_assembly.points(schema, context_schema, None),
        networks.of_points(context_encoder, hidden, context_layers, neighbours=neighbours),
        networks.of_points(decoder, hidden, context_layers, list_length=list_length),
        answer=answer,
        guesses=guesses,
        latent_dim=latent_dim,
        beta=beta,
        distances=reconstruction,
        hidden=hidden,
        layers=layers,
    )
