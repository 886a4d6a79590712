"""Clouds of at most one point, as rows: what an object is measured as, if it is found at all."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, DataError
from pcgen.models.cardinality import CAPACITY, Drawn
from pcgen.models.representations.base import Event, Seen
from pcgen.models.representations.points import Points
from pcgen.schema import Schema


class Singles(Points):
    """The points of clouds of one point, as rows [M, C] with the conditions of their clouds.

    Whether a cloud has its point, an efficiency, is left to the cardinality. Rows can be mixed, so
    that a penalty in between real and generated ones has a meaning.

    Args:
        schema: Of the clouds; without a weight, as one point carries all of it.
        capacity: Most training clouds that the cardinality keeps.

    Raises:
        ArgumentError: points carry a weight.
    """

    def __init__(self, schema: Schema, *, capacity: int = CAPACITY) -> None:
        if schema.weight is not None:
            raise ArgumentError(
                f"schema: got points with the weight {schema.weight.name}, expected coordinates "
                "and features alone, as one point carries all of its cloud's weight"
            )
        super().__init__(schema, capacity=capacity)

    def prepared(self, clouds: Batch) -> Batch:
        """The clouds themselves.

        Raises:
            DataError: one has more points, naming it.
        """
        sizes = cl.sizes(clouds)
        if bool((sizes > 1).any()):
            event = int((sizes > 1).nonzero()[0])
            raise DataError(
                f"event {event}: got {int(sizes[event])} points, expected at most one in each event"
            )
        return clouds

    def see(self, clouds: Batch) -> Seen:
        """Rows [M, C] of the clouds that have a point, and their conditions [M, K].

        Raises:
            DataError: no cloud has one, or one has more.
        """
        event, condition = super().see(self.prepared(clouds))
        if not len(event.pos):
            raise DataError(
                f"events: got {event.num_graphs} without a point in a batch, expected some with one"
            )
        return Seen(super().values(event), condition[event.batch])

    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """Rows [B, C] as clouds in physical units; those that are drawn empty are empty.

        Raises:
            ArgumentError: a cloud of more than one point was requested.
        """
        sizes = drawn.sizes
        if len(sizes) and int(sizes.max()) > 1:
            raise ArgumentError(f"sizes: got {int(sizes.max())}, expected 0 or 1 of this model")
        rows, axes = event[sizes > 0], len(self.schema.axes)
        points = cl.make(rows[:, :axes], sizes, x=rows[:, axes:] if self._featured else None)
        return super().clouds(points, drawn)

    def values(self, event: Event) -> Tensor:
        """The rows."""
        rows: Tensor = event
        return rows

    def with_values(self, event: Event, values: Tensor) -> Tensor:
        """The values."""
        return values

    def sizes(self, event: Event) -> Tensor:
        """One for each row [M]."""
        return torch.ones(len(event), dtype=torch.long, device=event.device)

    def blank(self, sizes: Tensor) -> Tensor:
        """Rows of 0."""
        return self.cardinality.total.new_zeros(len(sizes), self.value_channels)

    @property
    def _featured(self) -> bool:
        return self.value_channels > len(self.schema.axes)
