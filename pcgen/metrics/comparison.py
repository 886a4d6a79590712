"""What every score has in common: two samples of one pool of events in, numbers out.

The events of both sides stand in one pool whose features are computed once. A *comparison* is then
asked about samples of that pool, given by the numbers of their events. Scores, floors and
permutation tests all ask the same question: real against generated, real against real, and
the pool cut at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from pcgen.errors import ArgumentError


@dataclass(frozen=True)
class Measure:
    """What one number of a comparison is.

    Attributes:
        name: ``"W1 mass"`` say.
        unit: Its unit; empty for a pure number.
        worse: Direction in which two samples are told apart more clearly.
    """

    name: str
    unit: str = ""
    worse: Literal["higher", "lower"] = "higher"


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

    Under the null hypothesis the events of a and b are exchangeable, so that the p-value is uniform
    on its steps; where scores tie it is too large, never too small.

    References:
        Phipson and Smyth, Permutation p-values should never be zero, 2010, arXiv:1603.05766, eq. 2.

    Raises:
        ArgumentError: ``permutations`` is not positive.
    """
    if permutations < 1:
        raise ArgumentError(f"permutations: got {permutations}, expected a positive number")
    union, first = torch.cat([a, b]), len(a)
    cuts = [torch.arange(len(union))]
    cuts += [torch.randperm(len(union), generator=generator) for _ in range(permutations)]
    rows = union[torch.stack(cuts)]
    values = comparison.compare(rows[:, :first], rows[:, first:])
    sign = values.new_tensor([1.0 if m.worse == "higher" else -1.0 for m in comparison.measures])
    values = sign[:, None] * values
    p = (values >= values[:, :1]).double().mean(1)
    return torch.where(values.isfinite().all(1), p, torch.nan)
