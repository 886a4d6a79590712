r"""Mean images, which are dense, and single images, which are sparse.

The mean image of a set of events is :math:`\bar I_c = E[w_c]`, w_c the weight in cell c of a grid.
Two sets are compared by

.. math::
    \mathrm{JSD}\big(\bar I^a / |\bar I^a|,\ \bar I^b / |\bar I^b|\big), \qquad
    \big|\, \#\{c: \bar I^a_c > 0\} - \#\{c: \bar I^b_c > 0\} \big| \,/\, C

the second being the filled share of the mean image: a generator without variety fills fewer cells.
A generator of blurred images has the right mean and wrong events: beside these belong W1 of the
number of cells of an event and of what a cell holds (de Oliveira, Paganini and Nachman,
arXiv 1701.05927, figures 4 to 8).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.metrics.comparison import Measure, Together, permutation_p_values
from pcgen.metrics.scores.occupancy import jensen_shannon
from pcgen.metrics.scores.wasserstein import Marginals, event_columns, point_columns
from pcgen.schema import Quantity, Schema


class MeanImage:
    """Mean images of samples of a pool of N events.

    Args:
        clouds: N events of weighted points in cells: ``cell`` of the grid, ``layer`` where it has
            some, each cell at most once in an event.
        grid: The cells.
    """

    measures = (Measure("JSD mean image", "bit"), Measure("filled share of the mean image"))

    def __init__(self, clouds: Batch, grid: Grid) -> None:
        cell = clouds.cell
        if grid.layers:
            cell = torch.cat([clouds.layer[:, None], cell], 1)
        number = torch.zeros_like(clouds.batch)
        for column, cells in zip(cell.unbind(1), grid.shape, strict=True):
            number = number * cells + column
        self._cell, self._owner = number.cpu(), clouds.batch.cpu()
        self._weight = pc.weights(clouds).double().cpu()
        self._cells, self._events = math.prod(grid.shape), clouds.num_graphs

    @property
    def usable(self) -> Tensor:
        """Every event; an empty one has an empty image."""
        return torch.ones(self._events, dtype=torch.bool)

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """JSD and difference of the filled shares [2, P] of the samples a [P, n] and b [P, m]."""
        first, second = (torch.stack([self.mean(s) for s in side]) for side in (a, b))
        filled = [(side > 0).double().mean(1) for side in (first, second)]
        return torch.stack([jensen_shannon(first, second), (filled[0] - filled[1]).abs()])

    def mean(self, sample: Tensor) -> Tensor:
        """Mean image of a sample [n], as a row [C]; an event drawn twice counts twice."""
        often = torch.bincount(sample.cpu(), minlength=self._events).double() / len(sample)
        weight = often[self._owner] * self._weight
        return torch.bincount(self._cell, weight, minlength=self._cells)

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """Permutation test of both [2]."""
        return permutation_p_values(self, a, b, permutations, generator)


def images(clouds: Batch, schema: Schema, grid: Grid) -> Together:
    """Mean image, number of cells of an event, and what a cell holds.

    Args:
        clouds: Events of weighted points in cells of the grid.
        schema: What the numbers mean.
        grid: The cells.

    Raises:
        ArgumentError: points carry no weight.
    """
    check_weighed(schema)
    assert schema.weight is not None
    cells = {Quantity("cells of an event"): pc.sizes(clouds).double()}
    held = {Quantity(f"log10 {schema.weight.name} of a cell"): clouds.weight.double().log10()}
    columns = [
        *event_columns(cells, "W1 {}"),
        *point_columns(held, clouds.batch, "W1 {}"),
    ]
    return Together([MeanImage(clouds, grid), Marginals(columns, clouds.num_graphs)])


def check_weighed(schema: Schema) -> None:
    """Refuse events whose cells would hold nothing.

    Raises:
        ArgumentError: points carry no weight.
    """
    if schema.weight is None:
        raise ArgumentError("schema: got points without a weight, expected one for cells to hold")
