"""The recipe that generates and classifies (docs/chains.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pcgen.errors import at_least
from pcgen.recipes.glossary import described

if TYPE_CHECKING:
    from pcgen.models.hybrid import Hybrid


@described
def points_hybrid(
    coupling: float = 0.5,
    labelled_fraction: float = 1.0,
    label_seed: int = 0,
    components: int = 8,
    recentre: bool = True,
    rescale: bool = False,
    schema: dict[str, Any] | None = None,
) -> Hybrid:
    """Hybrid of a generative model and a classifier of points, for few labelled events.

    Both are mixtures of normal distributions of the points of each class. The log of the run has
    the accuracy of the classifier on the validation split.

    Args:
        coupling: α, from 0 (both are one generative model) to 1 (a classifier of the labelled
            events, beside a model of all).
        labelled_fraction: Share of the training events whose class is looked at; 0.01 is as if the
            others had none.
        label_seed: Of which events these are.
        components: Components of the mixture of a class.
        rescale: Scale each cloud so that its spread (m / p_T of a jet) is that of a training cloud.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default. It must
            have classes.

    Raises:
        ArgumentError: a number out of range, or clouds without classes.
    """
    from pcgen.models.hybrid import Hybrid
    from pcgen.nn import PointMixture
    from pcgen.recipes import assembly

    at_least(1, components=components)
    at_least(0, label_seed=label_seed)
    points = assembly.points(schema, recentre, rescale)
    generative, discriminative = (
        PointMixture(points.value_channels, len(points.schema.labels), components=components)
        for _ in range(2)
    )
    return Hybrid(
        points,
        generative,
        discriminative,
        coupling=coupling,
        labelled=labelled_fraction,
        seed=label_seed,
    )
