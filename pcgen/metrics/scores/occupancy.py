r"""Where points are at all, over all events of a set: occupancies of shapes, mean images.

**Occupancy.** How often each node of a grid is the nearest one to a point, over all clouds of a
set, is compared (Achlioptas et al., arXiv 1707.02392):

    JSD(P, Q) = H((P + Q) / 2) - (H(P) + H(Q)) / 2,    H in bits,

on the nodes of a 28³ grid over [-1/2, 1/2]³ that lie within the sphere of radius 1/2. It is 0 for
equal and 1 for disjoint occupancies, and does not depend on single clouds.

**Mean images**, which are dense, where single images are sparse. The mean image of a set of events
is :math:`\bar I_c = E[w_c]`, w_c the weight in cell c of a grid. Two sets are compared by

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
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid
from pcgen.metrics.comparison import Comparison, Measure, Together
from pcgen.metrics.scores.wasserstein import Marginals, event_columns, point_columns
from pcgen.ops import nearest
from pcgen.ops.points import Period, wrap
from pcgen.schema import Quantity, Schema

RADIUS = 0.5
# How far outside the sphere a point may lie before it is outside (the published code's 10e-4).
MARGIN = 1e-3

MOST = 0.5
"""Of more points outside than this share clouds were not normalised at all."""

Outside = Literal["raise", "nearest", "few"]


def grid_nodes(resolution: int = 28, dimensions: int = 3) -> Tensor:
    """Nodes within radius 1/2 of a grid that spans [-1/2, 1/2] along each axis [C, D], float64.

    >>> len(grid_nodes()), grid_nodes(3, 1).flatten().tolist()
    (10144, [-0.5, 0.0, 0.5])
    """
    if resolution < 2 or dimensions < 1:
        raise ArgumentError(
            f"resolution, dimensions: got {resolution}, {dimensions}, expected at least 2 and 1"
        )
    axis = torch.linspace(-RADIUS, RADIUS, resolution, dtype=torch.float64)
    nodes = torch.cartesian_prod(*[axis] * dimensions).view(-1, dimensions)
    return nodes[nodes.norm(dim=1) <= RADIUS]


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence in bits of histograms [..., C]; NaN where one is empty.

    >>> jensen_shannon(torch.tensor([3.0, 0.0]), torch.tensor([0.0, 5.0])).item()
    1.0
    """
    p, q = (h.double() / h.double().sum(-1, keepdim=True) for h in (p, q))
    mean = (p + q) / 2
    # xlogy has 0 log 0 = 0; the mean vanishes only where both do.
    nats = sum((torch.xlogy(h, h) - torch.xlogy(h, mean) for h in (p, q)), torch.zeros_like(p))
    return (nats.sum(-1) / (2 * math.log(2))).clamp(min=0.0)


class Occupancy(Comparison):
    """JSD of the occupancies of samples of a pool of N clouds.

    Args:
        clouds: N clouds of points within the sphere of radius 1/2.
        resolution: Nodes along each axis.
        outside: What happens to clouds with a point outside that sphere: "raise" refuses them,
            "nearest" counts the point at the nearest node, as the published code does after a
            warning (DPM's boxes of side 2 put most points there), "few" does the same, since
            generators leave points there, and refuses where more than half of all points are.
        periods: Period of each axis, None where it is not periodic; no axis is by default.

    Raises:
        DataError: clouds reach outside the sphere; naming them.

    Attributes:
        outside: Clouds with a point outside the sphere.
    """

    def __init__(
        self,
        clouds: Batch,
        *,
        resolution: int = 28,
        outside: Outside = "raise",
        periods: Period | None = None,
    ) -> None:
        periods = [None] * clouds.pos.shape[1] if periods is None else periods
        steps = zip(clouds.pos.double().unbind(1), periods, strict=True)
        pos = torch.stack([wrap(step, period or 0.0) for step, period in steps], 1)
        far = pos.norm(dim=1) > RADIUS + MARGIN
        events = clouds.batch[far].unique().tolist()
        refused = outside == "raise" or (outside == "few" and float(far.double().mean()) > MOST)
        if events and refused:
            listed = ", ".join(map(str, events[:10])) + (", ..." if len(events) > 10 else "")
            raise DataError(
                f"pos: got points farther than {RADIUS} from the origin in {len(events)} of "
                f"{clouds.num_graphs} events ({listed}), expected normalised clouds: shapes "
                "centred and scaled into that sphere (other events have no such score)"
            )
        self.outside = len(events)
        nodes = grid_nodes(resolution, clouds.pos.shape[1]).to(clouds.pos.device)
        node = nearest(pos, nodes, period=periods).cpu()
        self._node, self._owner, self._nodes = node, clouds.batch.cpu(), len(nodes)
        self._events = clouds.num_graphs
        self.measures = (Measure("JSD", "bit"),)
        self.usable = torch.ones(self._events, dtype=torch.bool)

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """JSD [1, P] between the samples a [P, n] and b [P, m]; NaN where one has no point."""
        pairs = (map(self.counts, pair) for pair in zip(a, b, strict=True))
        return torch.stack([jensen_shannon(*pair) for pair in pairs])[None]

    def counts(self, sample: Tensor) -> Tensor:
        """Points of a sample [n] nearest to each node [C]; a cloud drawn twice counts twice."""
        often = torch.bincount(sample.cpu(), minlength=self._events).double()
        return torch.bincount(self._node, often[self._owner], minlength=self._nodes)


def occupancy_jsd(
    real: Batch, generated: Batch, *, resolution: int = 28, outside: Outside = "raise"
) -> float:
    """JSD in bits between the occupancies of two sets of clouds; see :class:`Occupancy`."""
    pool = Occupancy(pc.concat([real, generated]), resolution=resolution, outside=outside)
    number = torch.arange(real.num_graphs + generated.num_graphs)[None]
    return pool.compare(number[:, : real.num_graphs], number[:, real.num_graphs :]).item()


def occupancy(
    clouds: Batch, schema: Schema, *, resolution: int = 28, outside: Outside = "raise"
) -> Occupancy:
    """JSD of the positions of the points; see :class:`Occupancy`."""
    periods = schema.periods
    return Occupancy(clouds, resolution=resolution, outside=outside, periods=periods)


class MeanImage(Comparison):
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
        self.usable = torch.ones(self._events, dtype=torch.bool)

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
