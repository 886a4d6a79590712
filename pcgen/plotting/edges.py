"""Edges of the bins of histograms.

Values that come in steps (numbers of points, centres of cells, layers) would beat with bins of
another width: a bin with no step in it is empty, one with two twice as high. Their edges lie in the
middle between steps and their bins are a whole number of steps wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TAIL = 0.001
"""Share of the real values that may lie beyond each end of the axis."""
_BROAD = 30.0
"""From this ratio of the largest to the median value the axis is logarithmic."""
_FINE = 8
"""Steps of a generator that fit into the range of real values without any, at least."""
_NOISE = 5e-7
"""Values that differ by less than this, relative to the largest, are the same but for rounding."""
_WHOLE = 2.0**53
"""From this number on all values are whole, which means nothing."""
_EXACT = 0.01
"""Share of a step by which values may be beside it."""


@dataclass(frozen=True)
class Steps:
    """Values at ``origin + k * pitch`` for whole numbers k."""

    origin: float
    pitch: float


def choose_edges(values: Floats, bins: int, others: Sequence[Floats] = ()) -> tuple[Floats, bool]:
    """Edges of the bins, and whether they are for a logarithmic axis.

    The range is that of ``values``, or of all where these are all alike. Steps are those of
    ``values``, or of the others where ``values`` have none: a generator that leaves steps out is
    seen to do so.

    Args:
        values: Real values [n].
        bins: Number of bins, at most this where values come in steps.
        others: Values of the generators, each [m].
    """
    others = [each[np.isfinite(each)] for each in others]
    values = values[np.isfinite(values)]
    if not len(values):
        return np.linspace(0.0, 1.0, bins + 1), False
    first, known = steps_of(values), [each for each in map(steps_of, others) if each]
    if values.min() == values.max():
        values = np.concatenate([values, *others])
        first = steps_of(values)
    low, middle, high = np.quantile(values, [_TAIL, 0.5, 1 - _TAIL])
    broad = bool(low > 0 and high > _BROAD * middle)
    if first is None:
        # A generator of few values, all zero say, does not make the bins of the real ones coarse.
        known = [each for each in known if _FINE * each.pitch <= high - low]
    if first or known:
        return _between(values, bins, *_together(first, known), broad=broad)
    few = _distinct(values)
    if 1 < len(few) <= min(bins, len(values) // 2):
        return _around(few), False
    if broad:
        return np.geomspace(low, high, bins + 1), True
    if not high > low:
        low, high = low - 0.5, high + 0.5
    pad = 0.02 * (high - low)
    # Quantities that cannot be negative do not get an axis that reaches below zero.
    bottom = max(low - pad, 0.0) if values.min() >= 0 else low - pad
    return np.linspace(bottom, high + pad, bins + 1), False


def steps_of(values: Floats) -> Steps | None:
    """The steps that values come in; None where there are none.

    Whole numbers always do. Others do where each value is there twice on average and all are
    multiples of one distance apart, but for rounding.
    """
    if not len(values):
        return None
    few = _distinct(values)
    if np.all(values == np.round(values)) and np.abs(few).max() < _WHOLE:
        # The common step of three values may be chance.
        step = np.gcd.reduce(np.diff(few).astype(np.int64)) if len(few) > 3 else 1
        return Steps(float(few[0]), float(step))
    if not 1 < len(few) <= len(values) // 2:
        return None
    gaps = np.diff(few)
    for part in range(1, 7):
        pitch = float(gaps.min()) / part
        number = round((few[-1] - few[0]) / pitch)
        pitch = float(few[-1] - few[0]) / number
        place = (few - few[0]) / pitch
        if number < 20 * len(few) and np.abs(place - np.round(place)).max() < _EXACT:
            return Steps(float(few[0]), pitch)
    return None


def _distinct(values: Floats) -> Floats:
    """Distinct values, in order, those that differ by rounding counted once."""
    few: Floats = np.unique(values)
    same = np.diff(few, prepend=-np.inf) <= _NOISE * np.abs(few).max()
    return few[~same]


def _together(first: Steps | None, known: Sequence[Steps]) -> tuple[float, float]:
    """A place between the steps of all, and the width that bins are a multiple of."""
    wide = first or max(known, key=lambda each: each.pitch)
    finest = wide.pitch
    for each in known:
        ratio, shift = wide.pitch / each.pitch, (wide.origin - each.origin) / each.pitch
        if max(abs(ratio - round(ratio)), abs(shift - round(shift))) < _EXACT:
            finest = min(finest, each.pitch)
    # Half a wide step down, and where a fine one is there half of that further.
    half = math.floor(round(wide.pitch / finest) / 2) + 0.5
    return wide.origin - half * finest, wide.pitch


def _between(
    values: Floats, bins: int, edge: float, pitch: float, *, broad: bool
) -> tuple[Floats, bool]:
    """Edges at multiples of ``pitch`` from ``edge``."""
    low = float(np.quantile(values, _TAIL, method="lower"))
    high = float(np.quantile(values, 1 - _TAIL, method="higher"))
    first, last = (math.floor((end - edge) / pitch) for end in (low, high))
    levels = last - first + 1
    bottom = edge + first * pitch
    if broad and levels > bins and bottom > 0:
        smooth = np.geomspace(bottom, edge + (last + 1) * pitch, bins + 1)
        return edge + pitch * np.unique(np.round((smooth - edge) / pitch)), True
    width = math.ceil(levels / bins)
    number = math.ceil(levels / width)
    edges: Floats = edge + pitch * (first + width * np.arange(number + 1, dtype=np.float64))
    return edges, False


def _around(few: Floats) -> Floats:
    """Edges in the middle between single values, the outer ones as far beyond the ends."""
    middle = (few[1:] + few[:-1]) / 2
    ends = (2 * few[0] - middle[0], 2 * few[-1] - middle[-1])
    return np.concatenate([[ends[0]], middle, [ends[1]]])
