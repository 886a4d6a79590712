"""Any distance between two sets of feature rows as a score of samples of one pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pcgen.metrics.comparisons.comparison import Measure, p_of_values, permutation_p_values
from pcgen.metrics.permutation import permuted_labels


class FeatureDistance:
    """Scores of two sets of events that are rows of features.

    Events whose features are not finite are not usable.

    Args:
        features: [N, F].
        measures: What the K numbers are.
        distance: Takes features [n, F] of the first and [m, F] of the second sample and returns one
            number, or K.
        relabelled: A quicker way to the same or a kindred statistic for permutation tests: takes
            pooled features [E, F] and labels [L, E], true for the first sample, and returns [L].
    """

    def __init__(
        self,
        features: Tensor,
        measures: Sequence[Measure],
        distance: Callable[[Tensor, Tensor], float | Sequence[float]],
        *,
        relabelled: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self._features, self._distance, self._relabelled = features, distance, relabelled
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
        if self._relabelled is None:
            return permutation_p_values(self, a, b, permutations, generator)
        labels = permuted_labels(len(a), len(b), permutations=permutations, generator=generator)
        pooled = self._features[torch.cat([a, b]).to(self._features.device)]
        values = self._relabelled(pooled, labels).cpu()[None]
        return p_of_values(self.measures, values, generator)
