"""What every score has in common: two samples of one pool of events in, numbers out.

The events of both sides stand in one pool whose features are computed once. A *comparison* takes
samples of that pool, given by the numbers of their events. Scores, floors and permutation tests are
the same computation: real against generated, real against real, and the pool divided at random.

:class:`FeatureDistance` makes a comparison of any distance between two sets of feature rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

from pcgen.metrics.significance import against_null, permuted_labels


@dataclass(frozen=True)
class Measure:
    """What one number of a comparison is.

    Attributes:
        name: For example ``"W1 mass"``.
        unit: Its unit; empty for a pure number.
        worse: Direction in which two samples differ more.
        need: Events on each side; of fewer the number is not defined, and NaN.
    """

    name: str
    unit: str = ""
    worse: Literal["higher", "lower"] = "higher"
    need: int = 0


class Comparison(ABC):
    """K scores of pairs of samples of one pool of N events.

    Attributes:
        measures: What the K numbers are.
        usable: Which events of the pool can be compared [N], bool.
    """

    measures: tuple[Measure, ...]
    usable: Tensor

    @abstractmethod
    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """Scores [K, P], float64, of P pairs of samples.

        Args:
            a: Events of the first samples [P, n]; an event may occur more than once.
            b: Events of the second samples [P, m].
        """

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """Probability [K] of such scores, or worse ones, if a and b were of one distribution.

        By a permutation test, (1 + #{as bad or worse}) / (1 + P). Where scores tie it is too large,
        never too small (:mod:`pcgen.metrics.significance`).

        Args:
            a: Events of the first sample [n], each once.
            b: Events of the second sample [m].
            permutations: Random cuts P of their union.
            generator: Where the cuts come from.
        """
        union = torch.cat([a, b])
        first, second = permuted_samples(len(a), len(b), permutations, generator)
        return p_of_values(self.measures, self.compare(union[first], union[second]), generator)


def permuted_samples(
    n: int, m: int, permutations: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Numbers of n + m events, [1 + P, n] and [1 + P, m]: as they are, then cut at random."""
    labels = permuted_labels(n, m, permutations=permutations, generator=generator)
    first, second = (side.nonzero()[:, 1].view(len(labels), -1) for side in (labels, ~labels))
    return first, second


def p_of_values(measures: Sequence[Measure], values: Tensor, generator: torch.Generator) -> Tensor:
    """P-values [K] from the scores [K, 1 + P] of the samples themselves, then of random cuts.

    NaN where a cut has no score.
    """
    p = []
    for measure, row in zip(measures, values, strict=True):
        sign = 1.0 if measure.worse == "higher" else -1.0
        known = bool(row.isfinite().all())
        p.append(against_null(sign * row, generator=generator).p if known else torch.nan)
    return torch.tensor(p, dtype=torch.double)


OfSamples = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Distances [P] of P pairs of samples, from the features of a pool and the samples' events."""


class FeatureDistance(Comparison):
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
            return super().p_values(a, b, permutations, generator)
        pooled = self._features[torch.cat([a, b]).to(self._features.device)]
        sides = permuted_samples(len(a), len(b), permutations, generator)
        values = self._of_samples(pooled, *(side.to(pooled.device) for side in sides))
        return p_of_values(self.measures, values.cpu()[None], generator)


class Together(Comparison):
    """The scores of several comparisons, one after the other.

    Args:
        parts: Comparisons of the same pool; an event is usable if all of them can use it.
    """

    def __init__(self, parts: Sequence[Comparison]) -> None:
        self._parts = tuple(parts)
        self.measures = sum((p.measures for p in self._parts), ())
        self.usable = reduce(torch.logical_and, (part.usable for part in self._parts))

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """All scores [K, P] of the samples a [P, n] and b [P, m]."""
        return torch.cat([part.compare(a, b) for part in self._parts])

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """The p-value of each score [K]."""
        parts = [part.p_values(a, b, permutations, generator) for part in self._parts]
        return torch.cat(parts)
