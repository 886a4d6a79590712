r"""Separation power of histograms: 0 where they are equal, 1 where they share no bin.

.. math:: S(p, q) = \frac12 \sum_k \frac{(p_k - q_k)^2}{p_k + q_k}, \qquad
          \sum_k p_k = \sum_k q_k = 1

(triangular discrimination; Diefenbacher et al., arXiv:2009.03796, eq. 15). Of two samples of n
events of the same distribution it is about K / 2n in K well filled bins: compare it with its floor.

The histograms of the CaloChallenge (arXiv:2410.21611) are as its evaluation code has them, which
counts edges where it speaks of bins: 40 logarithmic edges of the energies of layers, 50 of those
of voxels, 20 of occupancies. What lies outside is dropped before a histogram is normalised.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter
from pcgen.metrics.comparison import Comparison, Measure, p_of_values
from pcgen.metrics.profiles import bin_of
from pcgen.metrics.showers import ChallengeData, Showers, angular_layers, shower_features
from pcgen.metrics.significance import permuted_labels

_BLOCK = 1 << 22  # values histogrammed at once


def separation_power(
    real: Tensor,
    generated: Tensor,
    edges: Sequence[float],
    *,
    outside: Literal["drop", "count"] = "drop",
) -> float:
    """Separation power of two samples in the bins between ``edges``.

    A bin holds its lower edge, the last one both. If one sample has no value in any bin, it is 1;
    if neither has, 0.

    Args:
        real: Values [n], any shape.
        generated: Values [m], any shape.
        edges: Rising; the last may be infinite.
        outside: Values outside are dropped before normalising, as the CaloChallenge does, or
            counted in two more bins, below and above.

    Raises:
        ArgumentError: the edges do not rise.
        DataError: a value is not a number, naming its index.

    >>> values = torch.tensor([0.1, 0.2, 0.7, 5.0])
    >>> separation_power(values, values[:2], [0, 0.5, 1])
    0.2
    """
    if outside not in ("drop", "count"):
        raise ArgumentError(f"outside: got {outside!r}, expected 'drop' or 'count'")
    counts = [
        _counts(name, values, edges, outside == "count")
        for name, values in (("real", real), ("generated", generated))
    ]
    return separation_of_counts(*counts).item()


def separation_of_counts(real: Tensor, generated: Tensor) -> Tensor:
    """Separation power of histograms [..., K]: 1 where one of the two is empty, 0 where both are.

    >>> separation_of_counts(torch.tensor([3.0, 0.0]), torch.tensor([0.0, 5.0])).item()
    1.0
    """
    sums = [counts.sum(-1, keepdim=True).double() for counts in (real, generated)]
    p, q = (c / n.clamp(min=1) for c, n in zip((real, generated), sums, strict=True))
    # The smallest number keeps empty bins, whose numerator is 0, from dividing by it.
    power = 0.5 * ((p - q).square() / (p + q).clamp(min=torch.finfo(torch.double).tiny)).sum(-1)
    alone = (sums[0] > 0) ^ (sums[1] > 0)
    return power.masked_fill(alone.squeeze(-1), 1.0)


def shower_separation(
    real: Showers, generated: Showers, calorimeter: Calorimeter, data: ChallengeData
) -> dict[str, float]:
    """Separation power of each histogram of the CaloChallenge, by its name.

    Voxels below the threshold are emptied first. Where no real shower has energy in a layer (or
    voxel), its separation is 1 if a generated one has, and 0 otherwise.

    Args:
        real: They also give the upper ends of the logarithmic bins.
        generated: Showers in the same calorimeter.
        calorimeter: Its layers are named by their numbers.
        data: Threshold and limits of the histograms:
            :data:`~pcgen.metrics.showers.CALOCHALLENGE`.

    Raises:
        ArgumentError: shapes do not fit.
        DataError: an energy is negative or not finite; names the event.
    """
    histograms = challenge_histograms([real, generated], calorimeter, data)
    return {name: separation_power(a, b, edges) for name, (a, b), edges in histograms}


class Histogram(NamedTuple):
    """One histogram of the CaloChallenge, before values are counted.

    Attributes:
        name: What and where: ``"centre eta, layer 3"``.
        values: Of each set of showers: [B], or all voxels [B, V].
        edges: Of the bins; what lies outside is dropped.
    """

    name: str
    values: list[Tensor]
    edges: list[float]


def challenge_histograms(
    sets: Sequence[Showers], calorimeter: Calorimeter, data: ChallengeData
) -> Iterator[Histogram]:
    """The histograms of some sets of showers, one after the other.

    Args:
        sets: The first gives the upper ends of the logarithmic bins.
        calorimeter: Its layers are named by their numbers.
        data: Threshold and limits.

    Raises:
        ArgumentError: shapes do not fit.
        DataError: an energy is negative or not finite; names the event.
    """
    sides = [showers.above(data.threshold) for showers in sets]
    features = [shower_features(showers, calorimeter) for showers in sides]
    incident = [showers.incident for showers in sides]
    response = [f.energy.sum(1) / energy for f, energy in zip(features, incident, strict=True)]
    yield Histogram("total energy", response, _even(0.5, 1.5, 101))
    yield from _responses(response, incident, data)
    for layer, number in enumerate(calorimeter.numbers):
        energy = [each.energy[:, layer] for each in features]
        edges = _logarithmic(data.threshold, energy[0], 40)
        yield Histogram(f"energy, layer {number}", energy, edges)
        filled = [1 - each.sparsity[:, layer] for each in features]
        yield Histogram(f"sparsity, layer {number}", filled, _even(0, 1, 20))
    for layer in angular_layers(calorimeter):
        number = calorimeter.numbers[layer]
        centre, width = data.centre_limit(number), data.width_limit(number)
        for name, attribute, low, high in (
            ("centre eta", "centre_x", -centre, centre),
            ("centre phi", "centre_y", -centre, centre),
            ("width eta", "width_x", 0.0, width),
            ("width phi", "width_y", 0.0, width),
        ):
            values = [getattr(each, attribute)[:, layer] for each in features]
            yield Histogram(f"{name}, layer {number}", values, _even(low, high, 101))
    voxels = [showers.voxels for showers in sides]
    yield Histogram("voxels", voxels, _logarithmic(data.threshold, voxels[0], 50))


def _responses(
    response: list[Tensor], incident: list[Tensor], data: ChallengeData
) -> Iterator[Histogram]:
    """Total over incident energy at each energy that showers have."""
    bins = list(pairwise(data.energies)) if data.responses else []
    for (least, most), (low, high) in zip(bins, data.responses, strict=True):
        rows = [(energy >= least) & (energy < most) for energy in incident]
        if any(bool(row.any()) for row in rows):
            # What is of another energy lies outside the histogram.
            values = [v.where(row, -math.inf) for v, row in zip(response, rows, strict=True)]
            yield Histogram(f"energy response, {least:g} MeV", values, _even(low, high, 21))


def _even(low: float, high: float, number: int) -> list[float]:
    """Edges, as NumPy rounds them."""
    edges: list[float] = np.linspace(low, high, number).tolist()
    return edges


def _logarithmic(low: float, real: Tensor, number: int) -> list[float]:
    """Edges from the threshold to the largest real value; one bin for all where there is none."""
    high = float(real.max()) if real.numel() else 0.0
    if high <= low:
        return [low, math.inf]
    edges: list[float] = np.logspace(np.log10(low), np.log10(high), number).tolist()
    return edges


def _counts(name: str, values: Tensor, edges: Sequence[float], tails: bool) -> Tensor:
    """Values in each bin, and below and above where ``tails`` are wanted; float64."""
    bins, flat = len(edges) - 1, values.detach().flatten()
    counts = flat.new_zeros(bins + 2, dtype=torch.double)
    for start in range(0, len(flat), _BLOCK):
        part = flat[start : start + _BLOCK].double()
        below, above = part < edges[0], part > edges[-1]
        # Most voxels are empty: what lies outside is not searched for its bin. NaN stays.
        part = part[~(below | above)]
        if bool(part.isnan().any()):
            index = int(flat.isnan().nonzero()[0])
            raise DataError(f"{name}[{index}]: got nan, expected a number")
        counts[0] += below.sum()
        counts[1:-1] += torch.bincount(bin_of(part, edges), minlength=bins)
        counts[-1] += above.sum()
    return counts if tails else counts[1:-1]


class ShowerSeparation(Comparison):
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
