"""Wasserstein-1 distance between two samples of one number, and of many samples of one pool.

    W1(P, Q) = ∫ |F_P(t) - F_Q(t)| dt,

F the empirical distribution functions. For two samples of equal size it is the mean absolute
difference of the sorted values; the integral serves unequal sizes. On a circle mass may go either
way round, and

    W1(P, Q) = min_c ∫ |F_P(t) - F_Q(t) - c| dt

over one turn, with F from any cut on; the best c is the median of the difference (Rabin, Delon and
Gousseau, "Transportation distances on the circle", J. Math. Imaging Vis. 41 (2011) 147).

A sample of a pool of events is a row of counts c, so that all samples share one sorting:

    W1 = Σ_k |F_a(t_k) - F_b(t_k)| (t_{k+1} - t_k),
    F(t_k) = Σ_{j ≤ k} c_{owner(j)} / Σ_j c_{owner(j)}

with the values t of the pool in rising order and owner(j) the event that value j belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.comparison import Comparison, Measure
from pcgen.ops.points import wrap
from pcgen.schema import Quantity


def wasserstein1(a: Tensor, b: Tensor, *, period: float | None = None) -> Tensor:
    """W1 between two samples of the real line or of a circle, unweighted; the sizes may differ.

    Args:
        a: [n], n ≥ 1.
        b: [m], m ≥ 1.
        period: Circumference of the circle; None for the line.

    Returns:
        A scalar in the unit of the values.

    Raises:
        ArgumentError: a sample is empty or not one-dimensional, or the period not positive.
        DataError: a value is not finite, naming its index, or the distance is beyond the type.

    >>> wasserstein1(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 2.0])).item()
    2.0
    >>> wasserstein1(torch.tensor([179.0]), torch.tensor([-179.0]), period=360.0).item()
    2.0
    """
    for name, sample in (("a", a), ("b", b)):
        if sample.dim() != 1 or not len(sample):
            raise ArgumentError(f"{name}: got shape {tuple(sample.shape)}, expected [n] with n ≥ 1")
        if not bool(torch.isfinite(sample).all()):
            index = int((~torch.isfinite(sample)).nonzero()[0])
            raise DataError(f"{name}[{index}]: got {sample[index].item()}, expected a finite value")
    if period is not None and not 0 < period < math.inf:
        raise ArgumentError(f"period: got {period}, expected a positive number or None")
    value = _distance(a, b, period)
    if not bool(value.detach().isfinite()):
        value = _of_parts(a, b, period)
    return value


def _of_parts(a: Tensor, b: Tensor, period: float | None) -> Tensor:
    """The distance where a sum of differences, or a difference, is beyond the type."""
    part = 2.0**-64 if a.dtype == torch.float32 else 2.0**-512
    part = 2.0**-10 if a.dtype == torch.float16 else part
    unit = None if period is None else period * part
    value = _distance(a * part, b * part, unit) / part
    if not bool(value.detach().isfinite()):
        name = str(value.dtype).removeprefix("torch.")
        raise DataError(
            f"a, b: their distance is beyond the largest {name} "
            f"({torch.finfo(value.dtype).max:.2g}), expected values in other units"
        )
    return value


def _distance(a: Tensor, b: Tensor, period: float | None) -> Tensor:
    if period is not None:
        a, b = (wrap(sample, period) for sample in (a, b))
    a, b = a.sort().values, b.sort().values
    if len(a) == len(b) and period is None:
        return (a - b).abs().mean()
    grid = torch.cat([a, b]).sort().values
    below_a = torch.searchsorted(a, grid[:-1], right=True).to(grid.dtype) / len(a)
    below_b = torch.searchsorted(b, grid[:-1], right=True).to(grid.dtype) / len(b)
    difference, gaps = below_a - below_b, grid.diff()
    if period is not None:
        return around_circle(difference[None], gaps, period)[0]
    return (difference.abs() * gaps).sum()


def around_circle(difference: Tensor, gaps: Tensor, period: float) -> Tensor:
    """min_c ∫ |F_P - F_Q - c| [P] over a circle that is cut where no value is.

    Args:
        difference: F_P - F_Q between neighbouring values [P, M - 1]; it is 0 beyond the last one.
        gaps: From each value to the next [M - 1], ≥ 0 and together at most ``period``.
        period: Circumference.
    """
    distance = difference.abs() @ gaps
    # Where less than half the circle is above 0, and below, the median is 0.
    sides = torch.stack([(difference > 0).to(gaps) @ gaps, (difference < 0).to(gaps) @ gaps])
    rows = (sides > period / 2).any(0).nonzero().flatten()
    if not len(rows):
        return distance
    chosen = torch.nn.functional.pad(difference[rows], (0, 1))
    length = torch.cat([gaps, (period - gaps.sum()).clamp(min=0)[None]])
    ordered, order = chosen.sort(1)
    middle = (length[order].cumsum(1) >= length.sum() / 2).int().argmax(1, keepdim=True)
    return distance.index_copy(0, rows, (chosen - ordered.gather(1, middle)).abs() @ length)


# Numbers held at once while cumulative distributions are computed.
BLOCK = 1 << 24


@dataclass(frozen=True)
class Column:
    """One number, of the events or of their points.

    Attributes:
        measure: The score it enters; columns of one measure are averaged.
        values: [M].
        owner: Event of the pool that each value belongs to [M].
        period: Length after which the values repeat, None where they do not.
    """

    measure: Measure
    values: Tensor
    owner: Tensor
    period: float | None = None


class Marginals(Comparison):
    """W1 of each column between samples of a pool of N events.

    Args:
        columns: Numbers of the events or of their points.
        events: N.

    >>> column = Column(Measure("W1 x"), torch.tensor([0.0, 1.0, 3.0]), torch.arange(3))
    >>> Marginals([column], 3).compare(torch.tensor([[0, 1]]), torch.tensor([[2, 2]]))
    tensor([[2.5000]], dtype=torch.float64)
    """

    def __init__(self, columns: Iterable[Column], events: int) -> None:
        self._columns = []
        for column in columns:
            values, order = wrap(column.values.double(), column.period or 0.0).sort()
            self._columns.append(replace(column, values=values, owner=column.owner[order]))
        self._events = events
        self.measures = tuple(dict.fromkeys(column.measure for column in self._columns))
        self.usable = torch.ones(events, dtype=torch.bool)

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """W1 [K, P] between the samples a [P, n] and b [P, m]; NaN where one has no values."""
        counts = [_counts(sample, self._events) for sample in (a, b)]
        present = (counts[0].any(0) | counts[1].any(0)).nonzero().flatten()
        place = torch.full((self._events,), -1).index_put((present,), torch.arange(len(present)))
        counts = [count[:, present] for count in counts]
        sums: dict[Measure, list[Tensor]] = {}
        for column in self._columns:
            row = place.to(column.owner.device)[column.owner]
            kept = row >= 0
            value = _wasserstein1(column.values[kept], row[kept], counts, column.period)
            sums.setdefault(column.measure, []).append(value.cpu())
        return torch.stack([torch.stack(values).mean(0) for values in sums.values()])


def _counts(sample: Tensor, events: int) -> Tensor:
    """How often each event is in each sample [P, N]."""
    ones = torch.ones_like(sample, dtype=torch.double)
    return torch.zeros(len(sample), events, dtype=torch.double).scatter_add_(1, sample, ones)


def _wasserstein1(
    values: Tensor, owner: Tensor, counts: Sequence[Tensor], period: float | None
) -> Tensor:
    """W1 [P] between samples with the given counts [P, N] of the owners of sorted values [M]."""
    gaps = values.diff()
    parts = []
    rows = max(BLOCK // max(len(values), 1), 1)
    for first, second in zip(*(count.split(rows) for count in counts), strict=True):
        below = [_cumulative(count.to(values.device)[:, owner]) for count in (first, second)]
        difference = (below[0] - below[1])[:, :-1]
        if period is None:
            parts.append(difference.abs() @ gaps)
        else:
            parts.append(around_circle(difference, gaps, period))
    return torch.cat(parts)


def _cumulative(count: Tensor) -> Tensor:
    """Distribution functions [P, M] of counts [P, M]; NaN where nothing is counted."""
    rising = count.cumsum_(1)
    return rising.div_(rising[:, -1:].clone()) if rising.shape[1] else rising


def event_columns(values: Mapping[Quantity, Tensor], name: str = "W1 {}") -> list[Column]:
    """Columns of numbers that each event has one of.

    Args:
        values: [N] for each quantity.
        name: Name of the measure, with {} for that of the quantity.
    """
    return [
        Column(
            Measure(name.format(q.name), q.unit), v, torch.arange(len(v), device=v.device), q.period
        )
        for q, v in values.items()
    ]


def point_columns(
    values: Mapping[Quantity, Tensor], owner: Tensor, name: str = "W1 point {}"
) -> list[Column]:
    """Columns of numbers of all points.

    Args:
        values: [M] for each quantity.
        owner: Event that each point belongs to [M].
        name: Name of the measure, with {} for that of the quantity.
    """
    return [
        Column(Measure(name.format(q.name), q.unit), v, owner, q.period) for q, v in values.items()
    ]
