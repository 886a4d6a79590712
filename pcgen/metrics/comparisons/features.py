"""Any distance between two sets of feature rows as a score of samples of one pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pcgen.metrics.comparisons.comparison import (
    Measure,
    p_of_values,
    permutation_p_values,
    permuted_samples,
)

OfSamples = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Distances [P] of P pairs of samples, from the features of a pool and the samples' events."""


class FeatureDistance:
    """Scores of two sets of events that are rows of features.

    Events whose features are not finite are not usable.

    Args:
        features: [N, F].
        measures: What the K numbers are.
        distance: Takes features [n, F] of the first and [m, F] of the second sample and returns one
            number, or K.
        of_samples: A quicker way to the same or a kindred distance, for permutation tests: takes
            the features of a pool and samples [P, n] and [P, m] of it, and returns [P].
    """

    def __init__(
        self,
        features: Tensor,
        measures: Sequence[Measure],
        distance: Callable[[Tensor, Tensor], float | Sequence[float]],
        *,
        of_samples: OfSamples | None = None,
    ) -> None:
        self._features, self._distance, self._of_samples = features, distance, of_samples
        self.measures = tuple(measures)
        self.usable = torch.isfinite(features).all(1).cpu()

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """The scores [K, P] of the samples a [P, n] and b [P, m]."""
        device = self._features.device
        rows = []
        for first, second in zip(a.to(device), b.to(device), strict=True):
            found = self._distance(self._features[first], self._features[second])
            rows.append([found] if isinstance(found, float) else list(found))
        return torch.tensor(rows, dtype=torch.double).T

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """Permutation test of each score [K]."""
        if self._of_samples is None:
            return permutation_p_values(self, a, b, permutations, generator)
        pooled = self._features[torch.cat([a, b]).to(self._features.device)]
        sides = permuted_samples(len(a), len(b), permutations, generator)
        values = self._of_samples(pooled, *(side.to(pooled.device) for side in sides))
        return p_of_values(self.measures, values.cpu()[None], generator)
