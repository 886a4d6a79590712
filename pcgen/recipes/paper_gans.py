"""GANs of papers, with the networks, games, optimisers and hyper-parameters of their authors.

They have the names of their papers. The page docs/paper-gans.md has what was taken over, from
where, and what differs. Learning rates and the like belong to the phases ``critic`` and
``generator``, so ``--phases`` changes them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pcgen.errors import ArgumentError, at_least
from pcgen.recipes.glossary import described

if TYPE_CHECKING:
    from pcgen.models.gan import GAN, Adversary
    from pcgen.models.representations import Points

LAGAN_GRID = "eta_rel:-0.4:0.4:25,phi_rel:-0.4:0.4:25"
LAGAN_FLIPPED = 0.09 / 0.05
"""Wrong classes in the loss of LAGAN's generator over those in the loss of its critic."""
RMSPROP = (0.0, 0.99)
"""With these betas Adam is RMSprop as torch has it, but for the correction of its first steps."""


@described
def epic_gan(
    latent_dim: int = 10,
    hidden: int = 128,
    layers: int = 6,
    recentre: bool = True,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """EPiC-GAN (arXiv:2301.08128): EPiC layers with weight normalisation play least squares.

    Its authors train in batches of 128.

    Args:
        latent_dim: Numbers of noise of a cloud, and channels of its vector; points have 3 each.
        layers: Layers of the generator; the critic has half as many.

    Raises:
        ArgumentError: a number is out of range.
    """
    from pcgen.models.gan import GAN
    from pcgen.nn import EPiCEncoder, Noise, SetDecoder, weight_normed
    from pcgen.recipes import assembly

    at_least(1, latent_dim=latent_dim, hidden=hidden, layers=layers)
    points = assembly.points(schema, recentre, rescale=False)
    common: dict[str, Any] = {
        "hidden": hidden,
        "global_channels": latent_dim,
        "linear": weight_normed,
        "sum_scale": 1.0,
        "condition_channels": points.condition_channels,
    }
    generator = SetDecoder(
        latent_dim, *_channels(points), start=Noise(3), layers=layers, skips=True, **common
    )
    half = max(layers // 2, 1)
    critic = EPiCEncoder(points.value_channels, 1, layers=half, deep_head=True, **common)
    return GAN(points, generator, critic, latent_dim, _least_squares(1e-4, 1e-4, (0.9, 0.999)))


@described
def mpgan(
    hidden: int = 32,
    layers: int = 2,
    distance: bool = True,
    dropout: float = 0.5,
    recentre: bool = True,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """MPGAN (arXiv:2106.11535): message passing between all points plays least squares.

    A cloud of n points has n² messages. Its authors train in batches of 256.

    Args:
        hidden: Channels of a point between the layers, and numbers of noise of a point.
        layers: Layers of generator and of critic.
        distance: Whether messages depend on the distance of the two points.
        dropout: Share of the critic's numbers that is set to 0 while training.

    Raises:
        ArgumentError: a number is out of range.
    """
    from pcgen.models.gan import GAN
    from pcgen.nn import MessagePassingDecoder, MessagePassingEncoder, Noise
    from pcgen.recipes import assembly

    at_least(1, hidden=hidden, layers=layers)
    at_least(0, dropout=dropout)
    if not dropout < 1:
        raise ArgumentError(f"dropout: got {dropout}, expected < 1")
    points = assembly.points(schema, recentre, rescale=False)
    common: dict[str, Any] = {
        "hidden": hidden,
        "layers": layers,
        "distance": distance,
        "condition_channels": points.condition_channels,
    }
    # All noise is that of the points.
    generator = MessagePassingDecoder(0, *_channels(points), start=Noise(hidden, 0.2), **common)
    critic = MessagePassingEncoder(points.value_channels, 1, dropout=dropout, **common)
    return GAN(points, generator, critic, 0, _least_squares(3e-5, 1e-5, RMSPROP))


@described
def gapt(
    hidden: int = 64,
    layers: int = 4,
    induced: int | None = None,
    recentre: bool = True,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """GAPT (arXiv:2211.10295): attention, and a critic that pools by attention, play least squares.

    Its authors train in batches of 512.

    Args:
        hidden: Channels of a point inside the networks, of four heads.
        layers: Attention blocks of the generator; the critic has half as many.
        induced: Learnt seeds through which points attend to each other, 10 say, as in iGAPT
            (arXiv:2312.04757), whose cost is linear in the number of points; by default all pairs.

    Raises:
        ArgumentError: a number is out of range.
    """
    from pcgen.models.gan import GAN
    from pcgen.nn import AttentionDecoder, AttentionEncoder, Noise
    from pcgen.recipes import assembly

    at_least(1, hidden=hidden, layers=layers, induced=induced)
    points = assembly.points(schema, recentre, rescale=False)
    common: dict[str, Any] = {
        "hidden": hidden,
        "heads": next(number for number in (4, 2, 1) if hidden % number == 0),
        "induced": induced,
        "condition_channels": points.condition_channels,
    }
    # With induced attention clouds have noise of their own.
    code, half = 0 if induced is None else 8, max(layers // 2, 1)
    generator = AttentionDecoder(code, *_channels(points), layers=layers, start=Noise(8), **common)
    critic = AttentionEncoder(points.value_channels, 1, layers=half, seeds=1, pooling=(), **common)
    return GAN(points, generator, critic, code, _least_squares(1.5e-4, 0.5e-4, RMSPROP))


@described
def lagan(
    grid: str | None = None,
    latent_dim: int = 200,
    channels: int = 128,
    label_flipping: float = 0.05,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """LAGAN (arXiv:1701.05927): jet images by locally connected layers.

    The critic also names the class; the generator is conditional on the class alone. Its authors
    train in batches of 100.

    Args:
        grid: Cells, as ``name:low:high:cells`` for each axis; by default those of the data's file,
            and for jets 25 x 25 within 0.4 of the axis.
        latent_dim: Numbers of noise of an image.
        channels: Channels of the coarsest map of the generator.
        label_flipping: Probability of a wrong label, and of a wrong class of a generated image.

    Raises:
        ArgumentError: no grid of the schema's axes, not two axes, or a number is out of range.
    """
    from pcgen.models.auxiliary_gan import Auxiliary, AuxiliaryGAN
    from pcgen.models.gan import GAN, Adversary
    from pcgen.nn import LAGANCritic, LAGANGenerator
    from pcgen.objectives.adversarial import NON_SATURATING
    from pcgen.recipes import assembly

    images = assembly.images(grid, schema, of_jets=LAGAN_GRID)
    at_least(1, latent_dim=latent_dim, channels=channels)
    if not 0 <= label_flipping < 0.5:
        raise ArgumentError(f"label_flipping: got {label_flipping}, expected a share in [0, 1/2)")
    first, number = len(images.schema.condition), len(images.schema.labels)
    classes = range(first, first + number) if number > 1 else range(0)
    generator = LAGANGenerator(latent_dim, images.shape, classes, channels=channels)
    critic = LAGANCritic(images.shape, len(classes))
    game = replace(NON_SATURATING, flipping=label_flipping)
    adversary = Adversary(game, None, optimiser={"lr": 2e-4, "betas": (0.5, 0.999)})
    if not classes:
        return GAN(images, generator, critic, latent_dim, adversary)
    flipped = min(LAGAN_FLIPPED * label_flipping, 0.49)
    auxiliary = Auxiliary(number, flipping=label_flipping, generator_flipping=flipped)
    return AuxiliaryGAN(images, generator, critic, latent_dim, adversary, auxiliary)


@described
def smearing_gan(
    latent_dim: int | None = None,
    hidden: int = 256,
    layers: int = 2,
    critic_steps: int = 10,
    penalty: float = 60.0,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """Response of a detector to one particle: a Wasserstein GAN of clouds of at most one point.

    The condition is the truth, the point what is measured of it. Whether it is measured at all is
    taken from training events of nearby conditions. After a study of electrons (S. Sivarajah and
    C. Lester's report, 2017; code: malbergo/MPhilProjects), in batches of 512.

    Args:
        latent_dim: Numbers of noise of an event; by default as many as the point has.
        hidden: Width of the layers of generator and critic.
        layers: Hidden layers of each.
        penalty: Strength of the gradient penalty of WGAN-GP (arXiv:1704.00028).
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; by default the response to
            electrons, as ``pcgen simulate electrons`` writes it.

    Raises:
        ArgumentError: points carry a weight, or a number is out of range.
    """
    from torch.nn import ReLU

    from pcgen.datasets.electrons import ELECTRONS
    from pcgen.models.gan import GAN, Adversary
    from pcgen.models.representations import Singles
    from pcgen.nn import MLP, RowGenerator
    from pcgen.objectives.adversarial import WASSERSTEIN
    from pcgen.objectives.penalties import wgan_gp
    from pcgen.schema import Schema

    at_least(1, latent_dim=latent_dim, hidden=hidden, layers=layers, critic_steps=critic_steps)
    at_least(0, penalty=penalty)
    singles = Singles(ELECTRONS if schema is None else Schema.from_dict(schema))
    rows = singles.value_channels
    code = rows if latent_dim is None else latent_dim
    common: dict[str, Any] = {
        "hidden": [hidden] * layers,
        "condition_channels": singles.condition_channels,
        "activation": ReLU,
    }
    adversary = Adversary(
        WASSERSTEIN,
        wgan_gp,
        strength=penalty,
        steps=critic_steps,
        optimiser={"lr": 1e-3, "betas": (0.0, 0.9)},
    )
    generator = RowGenerator(code, out_channels=rows, **common)
    critic = MLP(rows, out_channels=1, **common)
    return GAN(singles, generator, critic, code, adversary)


def _least_squares(critic: float, generator: float, betas: tuple[float, float]) -> Adversary:
    """Least squares without a penalty, and the learning rates of the two."""
    from pcgen.models.gan import Adversary
    from pcgen.objectives.adversarial import LEAST_SQUARES

    return Adversary(
        LEAST_SQUARES,
        None,
        optimiser={"lr": critic, "betas": betas},
        generator_optimiser={"lr": generator},
    )


def _channels(points: Points) -> tuple[int, int]:
    """Coordinates of a point, and what it has beside them."""
    axes = len(points.schema.axes)
    return axes, points.value_channels - axes
