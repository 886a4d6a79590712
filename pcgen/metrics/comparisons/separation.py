"""The CaloChallenge's separation powers as scores of samples of one pool of showers."""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.grids import Calorimeter
from pcgen.metrics.calochallenge import ChallengeData
from pcgen.metrics.comparisons.comparison import Measure, p_of_values
from pcgen.metrics.permutation import permuted_labels
from pcgen.metrics.profiles import bin_of
from pcgen.metrics.separation import (
    Histogram,
    challenge_histograms,
    separation_of_counts,
    shower_separation,
)
from pcgen.metrics.showers import Showers


class ShowerSeparation:
    """Separation power of each kind of histogram, averaged over its layers (or energies).

    Showers that are not finite or have negative energies are not usable.

    Args:
        showers: The pool.
        calorimeter: Of them all.
        data: Threshold and limits of the histograms.
    """

    def __init__(self, showers: Showers, calorimeter: Calorimeter, data: ChallengeData) -> None:
        self._showers, self._calorimeter, self._data = showers, calorimeter, data
        self.usable = showers.usable.cpu()
        first = showers.select(showers.usable)
        names = [each.name for each in challenge_histograms([first], calorimeter, data)]
        self._kinds = list(dict.fromkeys(map(_kind, names)))
        self.measures = tuple(Measure(f"separation {kind}") for kind in self._kinds)

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """The scores [K, P] of the samples a [P, n] and b [P, m], as published: a is the reference.

        NaN for an energy that none of the showers has.
        """
        columns = []
        for pair in zip(a, b, strict=True):
            real, generated = (self._taken(events) for events in pair)
            found = shower_separation(real, generated, self._calorimeter, self._data)
            values = {name: torch.tensor([value]).double() for name, value in found.items()}
            columns.append(self._averaged(values))
        return torch.cat(columns, 1)

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """Permutation test of each score [K].

        Logarithmic bins end at the largest value of both samples, so that no cut is preferred.
        """
        labels = permuted_labels(len(a), len(b), permutations=permutations, generator=generator)
        union = self._taken(torch.cat([a, b]))
        first = labels.to(union.voxels.device).double()
        found = {}
        for each in challenge_histograms([union], self._calorimeter, self._data):
            counts = _counts_per_event(each)
            real = first @ counts
            # Whole numbers are exact: what is not real is generated.
            found[each.name] = separation_of_counts(real, counts.sum(0) - real).cpu()
        return p_of_values(self.measures, self._averaged(found), generator)

    def _taken(self, events: Tensor) -> Showers:
        return self._showers.select(events.to(self._showers.voxels.device))

    def _averaged(self, scores: dict[str, Tensor]) -> Tensor:
        """Mean of the scores [P] of each kind [K, P]."""
        members = [[v for name, v in scores.items() if _kind(name) == k] for k in self._kinds]
        width = len(next(iter(scores.values())))
        missing = torch.full((width,), torch.nan, dtype=torch.double)
        return torch.stack([torch.stack(m).mean(0) if m else missing for m in members])


def _kind(name: str) -> str:
    """What a histogram shows, without where."""
    return name.split(",")[0]


def _counts_per_event(histogram: Histogram) -> Tensor:
    """Values of each event in each bin [E, K], float64."""
    (values,) = histogram.values
    bins = bin_of(values, histogram.edges).reshape(len(values), -1)
    counts = bins.new_zeros(len(bins), len(histogram.edges), dtype=torch.double)
    # What is in no bin is counted in a last one, and left out.
    last = len(histogram.edges) - 1
    counts.scatter_add_(1, bins.where(bins >= 0, last), torch.ones_like(bins, dtype=torch.double))
    return counts[:, :-1]
