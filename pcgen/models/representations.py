r"""Representations: how one event looks to networks, as points, as active cells or as an image.

A jet of particles (or a shower) has three representations, and every model that is built on one
can be trained on each of them:

========== ============================================ ========================================
class      event                                        values, where noise and gradients act
========== ============================================ ========================================
`Points`   clouds in standardised units                 ``pos`` and ``x`` of the points [N, D + F]
`Sites`    clouds of the active cells of a grid         ``x``: standardised log fraction [N, 1]
`Images`   [B, 1, \*grid.shape]: 0 where inactive,      all cells
           :math:`1 + x - x_{floor} \ge 1` where active
========== ============================================ ========================================

An *active* cell is one in which the detector saw energy. Networks take the same condition [B, K]
as input whatever the representation: y, one-hot class and log n of the points or active cells. The
total energy and n come from a :class:`~pcgen.models.cardinality.Cardinality`; the values say how
the total is shared out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid
from pcgen.images import overflow, snap
from pcgen.models.base import Phase
from pcgen.models.cardinality import Cardinality, Drawn, describe, recentred, rescaled
from pcgen.ops.moments import Moments, Scale
from pcgen.schema import Schema
from pcgen.standardize import Standardize, channels

Event = Any
"""B events: a ``Batch`` of points or of active cells, or a dense image [B, 1, \\*grid.shape]."""


class Seen(NamedTuple):
    """Events as networks see them, and the condition [B, K]."""

    event: Event
    condition: Tensor


class Loss(NamedTuple):
    """Fractions of the points and of their weight that are lost, 0 to 1."""

    points: float
    weight: float


class Representation(nn.Module, ABC):
    """From clouds in physical units to what networks see, and back; fitted on the training split.

    Attributes:
        schema: Of the clouds.
        standardize: Physical to standardised units.
        cardinality: p(n, total | y, label).
        counted: Whether the number of points or cells says where the values are.
    """

    counted = True

    def __init__(self, schema: Schema, *, capacity: int = 8192, spread: bool = False) -> None:
        super().__init__()
        self.schema = schema
        self.standardize = Standardize(schema)
        self.cardinality = Cardinality(schema, capacity=capacity, spread=spread)

    def phases(self) -> tuple[Phase, ...]:
        """What is found before anything is learnt; the first phases of every model."""
        return (
            Phase("standardize", (self.standardize,), None, prepare=self._fit_standardize),
            Phase("cardinality", (self.cardinality,), None, prepare=self._fit_cardinality),
        )

    @property
    def condition_channels(self) -> int:
        """Columns K of the condition."""
        return self.standardize.condition_features

    def condition(self, drawn: Drawn) -> Tensor:
        """The condition of events that do not exist yet [B, K]."""
        return self.standardize.condition(drawn.y, drawn.label, drawn.sizes)

    @abstractmethod
    def prepared(self, clouds: Batch) -> Batch:
        """The clouds, in physical units, that this representation can hold."""

    @abstractmethod
    def see(self, clouds: Batch) -> Seen:
        """Clouds in physical units as networks see them."""

    @abstractmethod
    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """Events as clouds in physical units, with the total, y and label that were drawn."""

    def complete(self, event: Event) -> Event:
        """A decoder's event with what follows from its values, as :meth:`see` has it."""
        return event

    @abstractmethod
    def values(self, event: Event) -> Tensor:
        """What a network may change about an event."""

    @abstractmethod
    def with_values(self, event: Event, values: Tensor) -> Event:
        """The same points or cells with other values."""

    def sizes(self, event: Event) -> Tensor:
        """Points or active cells of each event [B]."""
        return cl.sizes(event)

    @abstractmethod
    def blank(self, sizes: Tensor) -> Event:
        """Events of so many points or cells [B] whose values are 0.

        Raises:
            ArgumentError: the representation does not say where its values are.
        """

    def loss_of(self, clouds: Batch) -> Loss:
        """What of these clouds the representation cannot hold."""
        return Loss(0.0, 0.0)

    def _fit_standardize(self, batches: Iterable[Batch]) -> None:
        self.standardize.fit(self.prepared(clouds) for clouds in batches)

    def _fit_cardinality(self, batches: Iterable[Batch]) -> None:
        self.cardinality.fit(self.prepared(clouds) for clouds in batches)


class Points(Representation):
    """Point sets: as many points as are drawn, in any order.

    Args:
        schema: Of the clouds.
        listed: Show the points of each cloud hardest first, to networks that look at their place.
        recentre: Move each generated cloud so that its weighted centre is that of a training
            cloud. For clouds whose centre is a convention of the data, such as constituents
            relative to the jet axis, and not a property of the event.
        rescale: Scale each generated cloud about its centre so that its spread, the root of the
            weighted mean squared distance, is that of a training cloud of the same condition. The
            spread is then part of the condition, behind log n. For a narrow jet
            m ≈ p_T · spread, so the law of the mass is that of the training split.
        capacity: Most training clouds that the cardinality keeps.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        listed: bool = False,
        recentre: bool = False,
        rescale: bool = False,
        capacity: int = 8192,
    ) -> None:
        super().__init__(schema, capacity=capacity, spread=rescale)
        self.listed, self.recentre = listed, recentre
        self.log_spread = Scale(1) if rescale else None

    @property
    def value_channels(self) -> int:
        """Columns of the values."""
        return self.standardize.point_features

    @property
    def condition_channels(self) -> int:
        """Columns K of the condition, the spread among them where it is kept."""
        return super().condition_channels + (self.log_spread is not None)

    def condition(self, drawn: Drawn) -> Tensor:
        """See :meth:`Representation.condition`."""
        return self._with_spread(super().condition(drawn), drawn.spread)

    def prepared(self, clouds: Batch) -> Batch:
        """See :meth:`Representation.prepared`."""
        return clouds

    def see(self, clouds: Batch) -> Seen:
        """See :meth:`Representation.see`."""
        event = self.standardize(clouds)
        event = cl.heaviest_first(event) if self.listed else event
        if self.log_spread is None:
            return Seen(event, event.y)
        condition = self._with_spread(event.y, describe(clouds, self.schema).spread)
        return Seen(cl.replace(event, y=condition), condition)

    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """See :meth:`Representation.clouds`; exactly the points of the event."""
        plain = cl.replace(event, weight=None)
        total = None if self.schema.weight is None else drawn.total
        clouds = self.standardize.inverse(plain, total)
        clouds = cl.replace(clouds, y=drawn.y, label=drawn.label)
        clouds = recentred(clouds, drawn.centroid, self.schema) if self.recentre else clouds
        if self.log_spread is None or drawn.spread is None:
            return clouds
        return rescaled(clouds, drawn.spread, self.schema)

    def complete(self, event: Event) -> Event:
        """See :meth:`Representation.complete`; the fraction is the weight of a point."""
        if self.schema.weight is None:
            return event
        return cl.replace(event, weight=self.standardize.fractions(event.x, event.ptr))

    def values(self, event: Event) -> Tensor:
        """See :meth:`Representation.values`."""
        return channels(event)

    def with_values(self, event: Event, values: Tensor) -> Batch:
        """See :meth:`Representation.with_values`."""
        axes = len(self.schema.axes)
        x = values[:, axes:] if values.shape[1] > axes else None
        return cl.make(values[:, :axes], cl.sizes(event), x=x)

    def blank(self, sizes: Tensor) -> Batch:
        """See :meth:`Representation.blank`."""
        like = self.cardinality.total
        values = like.new_zeros(int(sizes.sum()), self.value_channels)
        axes = len(self.schema.axes)
        x = values[:, axes:] if self.value_channels > axes else None
        return cl.make(values[:, :axes], sizes, x=x)

    def _with_spread(self, condition: Tensor, spread: Tensor | None) -> Tensor:
        """The condition [B, K] and, where it is kept, the standardised log of the spread [B]."""
        if self.log_spread is None or spread is None:
            return condition
        column = self.log_spread(self._log(spread)[:, None]).to(condition)
        return torch.cat([condition, column], 1)

    def _log(self, spread: Tensor) -> Tensor:
        """log(1 + s / s₀) with s₀ a hundredth of the scale of the axes: defined for one point."""
        return (100.0 * spread.double() / self.standardize.pos.std[0]).log1p()

    def _fit_cardinality(self, batches: Iterable[Batch]) -> None:
        super()._fit_cardinality(batches)
        if self.log_spread is not None and self.cardinality.spread is not None:
            moments = Moments(1, self.log_spread.mean.device)
            stored = self.cardinality.spread[: int(self.cardinality.stored)]
            moments.update(self._log(stored)[:, None])
            self.log_spread.set(moments.mean, moments.variance())


class Sites(Representation):
    """The active cells of a grid; points that share a cell are one, and those outside are lost.

    ``cell`` has a column for each axis of ``grid.shape``, the layer first where there are layers.

    Args:
        schema: Of the clouds; points must carry a weight and have no further features, since a
            cell adds its points up.
        grid: The cells. Its axes are those of the schema, in any order: ``self.grid`` has them in
            the order of the schema.
        capacity: Most training events that the cardinality keeps.

    Raises:
        ArgumentError: points carry no weight, or features that a cell cannot hold, or the grid has
            other axes, units, periods or layers than the schema.
    """

    counted = False

    def __init__(self, schema: Schema, grid: Grid, *, capacity: int = 8192) -> None:
        if schema.weight is None or schema.features:
            got = ", ".join(quantity.name for quantity in schema.features) or "no weight"
            raise ArgumentError(
                f"schema: got points with {got}, expected a weight and nothing else on a grid"
            )
        super().__init__(schema, capacity=capacity)
        self.grid = grid.matched(schema)

    def prepared(self, clouds: Batch) -> Batch:
        """See :meth:`Representation.prepared`."""
        return snap(clouds, self.grid, outside="drop")

    def loss_of(self, clouds: Batch) -> Loss:
        """See :meth:`Representation.loss_of`: the points outside the grid."""
        out, total = overflow(clouds, self.grid), float(cl.total(clouds).double().sum())
        return Loss(
            int(out.points.sum()) / max(len(clouds.pos), 1),
            float(out.weight.double().sum()) / total if total > 0 else 0.0,
        )

    def _fit_standardize(self, batches: Iterable[Batch]) -> None:
        self.standardize.fit(self._inside(batches))

    def _inside(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The prepared clouds; refused at their end where all points were outside the grid."""
        points, left = 0, 0
        for clouds in batches:
            kept = self.prepared(clouds)
            points, left = points + len(clouds.pos), left + len(kept.pos)
            yield kept
        if points and not left:
            raise DataError(
                f"grid {self.grid}: got {points} points, all of them outside, expected a grid that "
                f"holds some along {', '.join(axis.name for axis in self.schema.axes)}"
            )

    def see(self, clouds: Batch) -> Seen:
        """See :meth:`Representation.see`."""
        seen = self.standardize(self.prepared(clouds))
        cell = seen.cell
        if seen.get("layer") is not None:
            cell = torch.cat([seen.layer[:, None], cell], 1)
        return Seen(self._event(cell, cl.sizes(seen), seen.x), seen.y)

    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """See :meth:`Representation.clouds`; points at the centres of the cells."""
        weight = self.standardize.fractions(event.x, event.ptr) * drawn.total[event.batch]
        cell = event.cell[:, -len(self.grid.axes) :]
        return cl.make(
            self.grid.centres(cell, dtype=weight.dtype),
            cl.sizes(event),
            weight=weight,
            y=drawn.y,
            label=drawn.label,
            cell=cell,
            layer=event.cell[:, 0] if self.grid.layers else None,
        )

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
        image = event.x.new_zeros(event.num_graphs, 1, *self.grid.shape)
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
        return self.cardinality.total.new_zeros(len(sizes), 1, *self.grid.shape)

    def _lift(self, like: Tensor) -> Tensor:
        """What is added to the standardised log fraction, so that the smallest becomes 1."""
        floor = self.standardize.log_fraction(self.standardize.log_floor.reshape(1, 1))
        return 1.0 - floor.reshape(()).to(like)
