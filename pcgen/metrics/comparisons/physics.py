"""FPD and KPD as scores of samples of one pool, tested by their plain distances."""

from __future__ import annotations

from torch import Tensor

from pcgen.metrics.comparisons.comparison import Measure
from pcgen.metrics.comparisons.features import FeatureDistance, OfSamples
from pcgen.metrics.frechet import frechet_of_samples, frechet_physics_distance
from pcgen.metrics.kernel import kernel_of_samples, kernel_physics_distance


def frechet_physics(
    features: Tensor, *, smallest: int | None = None, largest: int | None = None
) -> FeatureDistance:
    """FPD of features [N, F]; its permutation test takes the Fréchet distance itself.

    Args:
        features: Of jets, the 36 energy-flow polynomials.
        smallest: Events of the smallest sets of the extrapolation; None: 2/5 of the sample.
        largest: Events of the largest sets; None: as many as the sample has.
    """

    def distance(a: Tensor, b: Tensor) -> float:
        low, high = smallest or 2 * len(a) // 5, largest or len(a)
        return frechet_physics_distance(a, b, smallest=low, largest=high).value

    return FeatureDistance(
        features, [Measure("FPD")], distance, of_samples=_scaled(frechet_of_samples)
    )


def kernel_physics(features: Tensor, *, batch: int | None = None) -> FeatureDistance:
    """KPD of features [N, F]; its permutation test takes the MMD² of whole samples.

    Args:
        features: Of jets, the 36 energy-flow polynomials.
        batch: Events of each side of its batches; None: a tenth of the sample.
    """

    def distance(a: Tensor, b: Tensor) -> float:
        size = batch or max(len(a) // 10, 2)
        return kernel_physics_distance(a, b, batch=size).value

    return FeatureDistance(
        features, [Measure("KPD")], distance, of_samples=_scaled(kernel_of_samples)
    )


def _scaled(of_samples: OfSamples) -> OfSamples:
    """With each feature over its largest size in the pool: the null knows no real side."""

    def scaled(features: Tensor, a: Tensor, b: Tensor) -> Tensor:
        largest = features.abs().amax(0)
        return of_samples(features / largest.where(largest > 0, 1), a, b)

    return scaled
