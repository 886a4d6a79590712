"""Several comparisons of one pool as one: they share the samples, and what they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from pcgen.metrics.comparisons.comparison import Comparison, Measure


class Together:
    """The scores of several comparisons, one after the other.

    Args:
        parts: Comparisons of the same pool; an event is usable if all of them can use it.
    """

    def __init__(self, parts: Sequence[Comparison]) -> None:
        self._parts = tuple(parts)
        self.measures: tuple[Measure, ...] = sum((p.measures for p in self._parts), ())
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
