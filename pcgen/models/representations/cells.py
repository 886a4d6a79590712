"""The cells of a grid or calorimeter: active ones alone, or all of them as an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter, Grid
from pcgen.models.cardinality import CAPACITY, Drawn
from pcgen.models.representations.base import Event, Loss, Representation, Seen
from pcgen.models.representations.lattices import GridLattice, lattice
from pcgen.schema import Schema


class Sites(Representation):
    """The active cells; points that share a cell are one, and those outside are lost.

    ``cell`` has a column for each axis of ``shape``, the layer first where there are layers.

    Args:
        schema: Of the clouds; points must carry a weight and have no further features, since a
            cell adds its points up.
        cells: A grid of the axes of the schema, in any order, or the calorimeter whose voxels
            points are in (:mod:`pcgen.models.representations.lattices`).
        capacity: Most training events that the cardinality keeps.

    Raises:
        ArgumentError: points carry no weight, or features that a cell cannot hold, or the cells
            have other axes, units, periods or layers than the schema.
    """

    counted = False
    weighed = True
    """Whether points must carry a weight."""

    def __init__(
        self, schema: Schema, cells: Grid | Calorimeter, *, capacity: int = CAPACITY
    ) -> None:
        if (schema.weight is None and self.weighed) or schema.features:
            got = ", ".join(quantity.name for quantity in schema.features) or "no weight"
            raise ArgumentError(
                f"schema: got points with {got}, expected a weight and nothing else in cells"
            )
        super().__init__(schema, capacity=capacity)
        self.lattice = lattice(cells, schema)

    @property
    def grid(self) -> Grid | None:
        """The grid, with its axes in the order of the schema's; None for a calorimeter."""
        return self.lattice.grid if isinstance(self.lattice, GridLattice) else None

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return self.lattice.shape

    def prepared(self, clouds: Batch) -> Batch:
        """See :meth:`Representation.prepared`."""
        return self.lattice.active(clouds).clouds

    def loss_of(self, clouds: Batch) -> Loss:
        """See :meth:`Representation.loss_of`: the points outside."""
        out, total = self.lattice.lost(clouds), float(cl.total(clouds).double().sum())
        return Loss(
            int(out.points.sum()) / max(len(clouds.pos), 1),
            float(out.weight.double().sum()) / total if total > 0 else 0.0,
        )

    def _fit_standardize(self, batches: Iterable[Batch]) -> None:
        self.standardize.fit(self._inside(batches))

    def _inside(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The prepared clouds; refused at their end where no cell holds anything."""
        points, left, weight = 0, 0, 0.0
        for clouds in batches:
            kept = self.prepared(clouds)
            points, left = points + len(clouds.pos), left + len(kept.pos)
            weight += float(cl.total(clouds).double().sum())
            yield kept
        if points and not weight and self.schema.weight is not None:
            raise DataError(
                f"{self.schema.weight.name}: got {points} points, all of 0, expected some with "
                "more, as a cell is empty otherwise"
            )
        if points and not left:
            raise DataError(
                f"{self.lattice.name}: got {points} points, all of them outside, expected cells "
                f"that hold some along {', '.join(axis.name for axis in self.schema.axes)}"
            )

    def see(self, clouds: Batch) -> Seen:
        """See :meth:`Representation.see`."""
        kept, cell = self.lattice.active(clouds)
        seen = self.standardize(kept)
        return Seen(self._event(cell, cl.sizes(seen), seen.x), seen.y)

    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """See :meth:`Representation.clouds`; points at the centres of the cells."""
        weight = self.standardize.fractions(event.x, event.ptr) * drawn.total[event.batch]
        points = self.lattice.points(event.cell, cl.sizes(event), weight.dtype)
        return cl.replace(points, weight=weight, y=drawn.y, label=drawn.label)

    def values(self, event: Event) -> Tensor:
        """See :meth:`Representation.values`."""
        return event.x

    def with_values(self, event: Event, values: Tensor) -> Batch:
        """See :meth:`Representation.with_values`."""
        return self._event(event.cell, cl.sizes(event), values)

    def blank(self, sizes: Tensor) -> Batch:
        """Active cells are no function of their number: refused."""
        raise ArgumentError(
            "support: got none, expected a model of which cells are active, as their number does "
            "not say it"
        )

    def _event(self, cell: Tensor, sizes: Tensor, x: Tensor) -> Batch:
        return cl.make(cell.to(x.dtype) + 0.5, sizes, x=x, cell=cell)


class Images(Sites):
    """Dense images of the same cells; all of them are values.

    The gap between 0 and the smallest active value makes the two kinds of cell distinct: a network
    that is no better than half a unit still separates them. A generated cell is active above 1/2.
    """

    counted = True

    def see(self, clouds: Batch) -> Seen:
        """See :meth:`Representation.see`."""
        event, condition = super().see(clouds)
        image = event.x.new_zeros(event.num_graphs, 1, *self.shape)
        index = (event.batch, torch.zeros_like(event.batch), *event.cell.unbind(1))
        return Seen(image.index_put(index, event.x[:, 0] + self._lift(event.x)), condition)

    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """See :meth:`Representation.clouds`; of a cell that is not active nothing is kept."""
        image = event[:, 0]
        active = ~(image <= 0.5)  # NaN counts as active, so that it is found
        x = image[active] - self._lift(image)
        sizes = active.flatten(1).sum(1)
        return super().clouds(self._event(active.nonzero()[:, 1:], sizes, x[:, None]), drawn)

    def values(self, event: Event) -> Tensor:
        """See :meth:`Representation.values`."""
        return event

    def with_values(self, event: Event, values: Tensor) -> Tensor:
        """See :meth:`Representation.with_values`."""
        return values

    def sizes(self, event: Event) -> Tensor:
        """See :meth:`Representation.sizes`."""
        return (event > 0.5).flatten(1).sum(1)

    def blank(self, sizes: Tensor) -> Tensor:
        """See :meth:`Representation.blank`; the number of active cells is not prescribed."""
        return self.cardinality.total.new_zeros(len(sizes), 1, *self.shape)

    def _lift(self, like: Tensor) -> Tensor:
        """What is added to the standardised log fraction, so that the smallest becomes 1."""
        floor = self.standardize.log_fraction(self.standardize.log_floor.reshape(1, 1))
        return 1.0 - floor.reshape(()).to(like)
