"""Recipes on point sets with a critic: a GAN of points, and one of an autoencoder's codes.

Games and remedies are options (:mod:`pcgen.recipes.games`); networks are those of
:mod:`pcgen.recipes.points`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pcgen.errors import at_least
from pcgen.recipes.games import Game, LatentGame, Modes, Regulariser
from pcgen.recipes.glossary import described
from pcgen.recipes.points import Encoder, Pooling, Reconstruction

if TYPE_CHECKING:
    from pcgen.models.gan import GAN
    from pcgen.models.latent import LatentModel


@described
def points_latent_gan(
    encoder: Encoder = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    width: int = 128,
    share: float = 0.5,
    game: LatentGame = "non-saturating",
    regulariser: Regulariser | None = None,
    penalty: float | None = None,
    annealing: float | None = None,
    penalty_in_spreads: bool = False,
    instance_noise: float = 0.0,
    adaptive_noise: float | None = None,
    label_smoothing: float = 0.0,
    label_flipping: float = 0.0,
    critic_steps: int = 1,
    noise: float = 0.0,
    reconstruction: Reconstruction | None = None,
    t_nets: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    pooling: Pooling | None = None,
    list_length: int | None = None,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> LatentModel:
    """Latent GAN: a GAN on the codes of an autoencoder of point sets, given class and y.

    Args:
        width: Width of the three hidden layers of generator and critic.
        game: What critic and generator play: non-saturating, saturating, maximum-likelihood,
            wasserstein, hinge, least-squares or relativistic; and two
            former names, r1 (non-saturating with r1) and wgan-gp (wasserstein with wgan-gp).
        penalty: Strength of the regulariser, 5 of r1, r2 and r1-r2 by default, 1 of roth, 10 of
            wgan-gp, wgan-lp and dragan; of clip the bound of the parameters, 0.1 by default, of
            spectral the factor of the logit, 5 by default.
        instance_noise: Standard deviation of the noise on the codes that the critic sees, at the
            start of the run; in units of whitened codes.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.recipes import adversaries, assembly, networks

    network = networks.of_points(
        encoder, hidden, max(layers - 1, 1), t_nets, neighbours, dynamic, pooling, list_length
    )
    codec = assembly.autoencoder(
        assembly.points_of_codes(schema, recentre, rescale, reconstruction),
        network,
        assembly.smooth(noise),
        (latent_dim, hidden, layers),
        reconstruction,
    )
    choice = adversaries.Choice(
        game, regulariser, penalty, annealing, penalty_in_spreads, instance_noise,
        label_smoothing, label_flipping, critic_steps, adaptive_noise,
    )  # fmt: skip
    prior = assembly.adversarial_prior(codec, latent_dim=latent_dim, width=width, choice=choice)
    return assembly.latent_model(codec, prior, latent_dim, share)


@described
def points_gan(
    encoder: Encoder = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 3,
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
    t_nets: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    pooling: Pooling | None = None,
    list_length: int | None = None,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """GAN of point sets, by default the non-saturating game with R1, conditional on class and y.

    Args:
        encoder: The critic: epic, pointnet, edgeconv, attention, or the control list.
        latent_dim: Numbers of noise of a cloud.
        layers: Layers of the generator; the critic has one less.
        regulariser: What keeps the critic from being too good: r1 (the default), r2, r1-r2, roth,
            dragan, clip, spectral or none, but not wgan-gp or wgan-lp; see docs/remedies.md.
        penalty: Strength of the regulariser, 0.1 of r1, r2 and r1-r2 by default, 1 of roth, 10 of
            wgan-gp, wgan-lp and dragan; of clip the bound of the parameters, 0.1 by default, of
            spectral the factor of the logit, 5 by default.
        instance_noise: Standard deviation of the noise on coordinates and log energies of the
            points that the critic sees, at the start of the run; in standardised units.

    Raises:
        ArgumentError: an unknown network or choice, or an option that the network does not have.
    """
    from pcgen.recipes import adversaries, assembly, networks

    network = networks.of_points(
        encoder, hidden, max(layers - 1, 0), t_nets, neighbours, dynamic, pooling, list_length
    )
    points = assembly.points(schema, recentre, rescale)
    at_least(1, latent_dim=latent_dim, layers=layers)
    choice = adversaries.Choice(
        game, regulariser, penalty, annealing, penalty_in_spreads, instance_noise,
        label_smoothing, label_flipping, critic_steps, adaptive_noise, minibatch_statistics,
        feature_matching, modes, mode_strength,
    )  # fmt: skip
    play = adversaries.rules(choice, adversaries.Kind(0.1, sets=True))
    generator = network.generator(points, latent_dim, layers)
    critic = partial(network.encoder, points)
    distances = assembly.reconstruction("both", points.standardize)
    return play.gan(points, generator, critic, critic, latent_dim, distances)
