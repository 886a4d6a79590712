"""Precision, recall, density and coverage of features as scores of samples of one pool."""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.metrics.comparisons.comparison import Measure, p_of_values
from pcgen.metrics.permutation import permuted_labels
from pcgen.metrics.prdc import PRDC, prdc, prdc_of_distances


class Fidelity:
    """Precision, recall, density and coverage of rows of features.

    Events whose features are not finite are not usable. Density may exceed 1, where generated
    points crowd among the real ones; only less is counted as worse.

    Args:
        features: [N, F]; of showers, those of :func:`~pcgen.metrics.log_voxels`.
        k: Which neighbour a ball reaches to.
    """

    def __init__(self, features: Tensor, *, k: int = 5) -> None:
        self._features, self._k = features, k
        self.measures = tuple(Measure(name, worse="lower") for name in PRDC._fields)
        self.usable = torch.isfinite(features).all(1).cpu()

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """The scores [4, P] of the samples a [P, n] and b [P, m]; a are the real ones."""
        rows = [
            prdc(self._taken(real), self._taken(generated), k=self._k)
            for real, generated in zip(a, b, strict=True)
        ]
        return torch.tensor(rows, dtype=torch.double).T

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """Permutation test of each score [4]; all permutations share one table of distances."""
        labels = permuted_labels(len(a), len(b), permutations=permutations, generator=generator)
        union = self._taken(torch.cat([a, b])).double()
        table = torch.cdist(union, union).fill_diagonal_(0)
        rows = []
        for first in labels.to(table.device):
            real, generated = table[first], table[~first]
            parts = (real[:, first], generated[:, ~first], real[:, ~first])
            rows.append(prdc_of_distances(*parts, k=self._k))
        return p_of_values(self.measures, torch.tensor(rows, dtype=torch.double).T, generator)

    def _taken(self, events: Tensor) -> Tensor:
        return self._features[events.to(self._features.device)]
