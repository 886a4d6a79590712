"""GANs of papers, with the networks, games, optimisers and hyper-parameters of their authors.

They have the names of their papers. The page docs/paper-gans.md has what was taken over, from
where, and what differs. Learning rates and the like belong to the phases ``critic`` and
``generator``, so ``--phases`` changes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pcgen.recipes.glossary import described

if TYPE_CHECKING:
    from pcgen.models.gan import GAN


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
    from pcgen.recipes import assembly, paper_assembly

    points = assembly.points(schema, recentre, rescale=False)
    return paper_assembly.epic_gan(points, latent_dim=latent_dim, hidden=hidden, layers=layers)


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
    from pcgen.recipes import assembly, paper_assembly

    points = assembly.points(schema, recentre, rescale=False)
    return paper_assembly.mpgan(
        points, hidden=hidden, layers=layers, distance=distance, dropout=dropout
    )


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
    from pcgen.recipes import assembly, paper_assembly

    points = assembly.points(schema, recentre, rescale=False)
    return paper_assembly.gapt(points, hidden=hidden, layers=layers, induced=induced)


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
    from pcgen.recipes import paper_assembly

    return paper_assembly.lagan(
        paper_assembly.jet_images(grid, schema),
        latent_dim=latent_dim,
        channels=channels,
        label_flipping=label_flipping,
    )


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
    from pcgen.recipes import paper_assembly

    return paper_assembly.smearing_gan(
        schema,
        latent_dim=latent_dim,
        hidden=hidden,
        layers=layers,
        critic_steps=critic_steps,
        penalty=penalty,
    )
