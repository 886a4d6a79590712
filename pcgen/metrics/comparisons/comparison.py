"""What every score has in common: two samples of one pool of events in, numbers out.

The events of both sides stand in one pool whose features are computed once. A *comparison* is then
asked about samples of that pool, given by the numbers of their events. Scores, floors and
permutation tests all ask the same question: real against generated, real against real, and
the pool cut at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from pcgen.metrics.permutation import against_null, permuted_labels


@dataclass(frozen=True)
class Measure:
    """What one number of a comparison is.

    Attributes:
        name: ``"W1 mass"`` say.
        unit: Its unit; empty for a pure number.
        worse: Direction in which two samples are told apart more clearly.
        need: Events on each side; of fewer the number is not defined, and NaN.
    """

    name: str
    unit: str = ""
    worse: Literal["higher", "lower"] = "higher"
    need: int = 0


class Comparison(Protocol):
    """K scores of pairs of samples of one pool of N events."""

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What the K numbers are."""

    @property
    def usable(self) -> Tensor:
        """Which events of the pool can be compared [N], bool."""

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

        Args:
            a: Events of the first sample [n], each once.
            b: Events of the second sample [m].
            permutations: Random cuts of their union.
            generator: Where the cuts come from.
        """


def permutation_p_values(
    comparison: Comparison, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
) -> Tensor:
    """Permutation test of every score of a comparison [K]: (1 + #{as bad or worse}) / (1 + P).

    Where scores tie it is too large, never too small (:mod:`pcgen.metrics.permutation`).
    """
    union = torch.cat([a, b])
    first, second = permuted_samples(len(a), len(b), permutations, generator)
    return p_of_values(
        comparison.measures, comparison.compare(union[first], union[second]), generator
    )


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
