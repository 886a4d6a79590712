r"""Wasserstein-1 distances of single numbers: observables of events, features of their points.

A sample of events is a row of counts c over the pool, so that all samples share one sorting:

    W1 = Σ_k |F_a(t_k) - F_b(t_k)| (t_{k+1} - t_k),
    F(t_k) = Σ_{j ≤ k} c_{owner(j)} / Σ_j c_{owner(j)}

with the values t of the pool in rising order and owner(j) the event that value j belongs to. Values
of a periodic quantity lie on a circle (:mod:`pcgen.metrics.wasserstein`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen.metrics.comparisons.comparison import Measure, permutation_p_values
from pcgen.metrics.observables import layer_weights, observables, point_features
from pcgen.metrics.wasserstein import around_circle
from pcgen.ops.points import wrap
from pcgen.schema import Quantity, Schema

# Numbers held at once while cumulative distributions are made.
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


class Marginals:
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

    @property
    def measures(self) -> tuple[Measure, ...]:
        """A W1 for each name of a column."""
        return tuple(dict.fromkeys(column.measure for column in self._columns))

    @property
    def usable(self) -> Tensor:
        """Every event."""
        return torch.ones(self._events, dtype=torch.bool)

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

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """Permutation test of each W1 [K]."""
        return permutation_p_values(self, a, b, permutations, generator)


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


def marginals(clouds: Batch, schema: Schema) -> Marginals:
    """W1 of observables of the events, of their weight in each layer and of their points."""
    events = {**observables(clouds, schema), **layer_weights(clouds, schema)}
    return Marginals([*event_columns(events), *point_columns(clouds, schema)], clouds.num_graphs)


def event_columns(values: dict[Quantity, Tensor], name: str = "W1 {}") -> list[Column]:
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


def point_columns(clouds: Batch, schema: Schema, name: str = "W1 point {}") -> list[Column]:
    """Columns of the features of all points."""
    return [
        Column(Measure(name.format(q.name), q.unit), values, clouds.batch, q.period)
        for q, values in point_features(clouds, schema).items()
    ]
