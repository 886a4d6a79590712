"""The scores of the study: how far generated jets are from real ones, both in the cells of a grid.

W1 is given in units of the real σ, but for the response Σ p_T / p_T(jet): real jets conserve it, so
its σ means nothing, and W1 is its absolute error. ``score`` is the mean of the five relative W1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image
from pcgen.metrics import observables
from pcgen.metrics.comparison import (
    Comparison,
    FeatureDistance,
    Measure,
    Together,
)
from pcgen.metrics.jets.kinematics import check_jets, girth, leading_fraction, mass
from pcgen.metrics.jets.prongs import substructure
from pcgen.metrics.protocol import Part, Protocol
from pcgen.metrics.scores import jensen_shannon
from pcgen.metrics.scores.classifier import TwoSample
from pcgen.metrics.scores.neighbours import earth_mover_neighbourhood
from pcgen.metrics.scores.wasserstein import Column, Marginals
from pcgen.schema import Schema

HARDEST = 128
"""Points of each event that distances between events and substructure are computed of, on both
sides alike: a network that floods its image would take all the time there is."""


def protocol(
    schema: Schema, grid: Grid | None, neighbours: int = 150, batches: int = 4
) -> Protocol:
    """The scores of jets in the cells of a grid.

    Args:
        schema: What the numbers mean.
        grid: Its cells are those of occupancy and mean image.
        neighbours: Events on each side of the 1-NN accuracy.
        batches: Random halvings of the real events.

    Raises:
        ArgumentError: there is no grid, or the events are no jets.
    """
    if grid is None:
        raise ArgumentError("grid: got none, expected the cells that the protocol counts")
    cells = grid
    check_jets(schema)

    def facts(clouds: Batch, schema: Schema) -> Together:
        return Together(
            [_totals(clouds, schema, cells), _cells(clouds, cells), _image(clouds, cells)]
        )

    return Protocol(
        "cells",
        (
            Part(_relative, batches=batches),
            Part(facts, batches=batches),
            Part(_neighbours, events=neighbours, batches=2, tested=neighbours),
            Part(_classifier, batches=2),
        ),
        need=20,
    )


class Relative(Comparison):
    """W1 of columns in units of the σ of the first sample, and their mean as ``score``.

    Args:
        columns: Numbers of the events or of their points.
        events: N.
    """

    def __init__(self, columns: Sequence[Column], events: int) -> None:
        self._inner, self._columns = Marginals(columns, events), tuple(columns)
        self.measures = (*self._inner.measures, Measure("score"))
        self.usable = self._inner.usable

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """[K + 1, P] of the samples a [P, n] and b [P, m]."""
        spread = torch.stack([self._spread(column, a) for column in self._columns])
        relative = self._inner.compare(a, b) / spread.clamp(min=1e-12)
        return torch.cat([relative, relative.mean(0, keepdim=True)])

    def _spread(self, column: Column, samples: Tensor) -> Tensor:
        """σ of a column in each sample [P]."""
        values = column.values.double()
        return torch.stack([values[torch.isin(column.owner, sample)].std() for sample in samples])


class Named(Comparison):
    """A comparison whose measures have other names; those without one are left out.

    Args:
        inner: The comparison.
        names: New names by the old ones.
    """

    def __init__(self, inner: Comparison, names: dict[str, str]) -> None:
        self._inner = inner
        self._kept = [k for k, measure in enumerate(inner.measures) if measure.name in names]
        kept = [inner.measures[k] for k in self._kept]
        self.measures = tuple(Measure(names[m.name], "", m.worse, m.need) for m in kept)
        self.usable = inner.usable

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """See :class:`pcgen.metrics.comparison.Comparison`."""
        return self._inner.compare(a, b)[self._kept]

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """See :class:`pcgen.metrics.comparison.Comparison`."""
        return self._inner.p_values(a, b, permutations, generator)[self._kept]


def _relative(clouds: Batch, schema: Schema) -> Relative:
    weight, own = pc.weights(clouds).double(), torch.arange(clouds.num_graphs)
    events = {
        "mass": mass(clouds),
        "girth": girth(clouds),
        "leading": leading_fraction(clouds),
        "multiplicity": pc.sizes(clouds).double(),
    }
    columns = [Column(Measure(f"w1_{name}"), values, own) for name, values in events.items()]
    filled = weight > 0
    points = Column(Measure("w1_log_pt"), weight[filled].log(), clouds.batch[filled])
    return Relative([*columns, points], clouds.num_graphs)


def _totals(clouds: Batch, schema: Schema, grid: Grid) -> Marginals:
    """W1 of Σ p_T over the jet's p_T, where that is known, and of the occupancy."""
    total = pc.total(clouds).double()
    unit = schema.weight.unit if schema.weight else ""
    of_jet = [k for k, quantity in enumerate(schema.condition) if quantity.unit == unit]
    if of_jet and clouds.get("y") is not None:
        total = total / clouds.y[:, of_jet[0]].double()
    occupancy = pc.sizes(clouds).double() / math.prod(grid.shape)
    own = torch.arange(clouds.num_graphs)
    values = {"total_error": total, "w1_occupancy": occupancy}
    columns = [Column(Measure(name), value, own) for name, value in values.items()]
    return Marginals(columns, clouds.num_graphs)


def _cells(clouds: Batch, grid: Grid) -> FeatureDistance:
    """The mean occupancy of either side, and the fraction of the second one that is empty."""
    sizes = pc.sizes(clouds).double()
    features = torch.stack([sizes / math.prod(grid.shape), (sizes == 0).double()], 1)
    names = ("occupancy_real", "occupancy", "empty")

    def means(a: Tensor, b: Tensor) -> list[float]:
        return [a[:, 0].mean().item(), *b.mean(0).tolist()]

    return FeatureDistance(features, [Measure(name) for name in names], means)


def _image(clouds: Batch, grid: Grid) -> FeatureDistance:
    """Jensen-Shannon divergence of the mean images."""
    images = cloud_to_image(clouds, grid, outside="drop").flatten(1).double()
    return FeatureDistance(
        images, [Measure("jsd")], lambda a, b: jensen_shannon(a.sum(0), b.sum(0)).item()
    )


def _neighbours(clouds: Batch, schema: Schema) -> Named:
    hard = pc.heaviest(pc.replace(clouds, cell=None), HARDEST)
    inner = earth_mover_neighbourhood(hard, schema, scores=("1-NNA",))
    return Named(inner, {"1-NNA-EMD": "nn_accuracy"})


def _classifier(clouds: Batch, schema: Schema) -> Named:
    """A classifier on observables and substructure."""
    values = {
        **observables(clouds, schema),
        **substructure(pc.heaviest(clouds, HARDEST), schema),
    }
    features = torch.stack([value.double() for value in values.values()], 1)
    return Named(TwoSample(features), {"AUC": "auc"})
