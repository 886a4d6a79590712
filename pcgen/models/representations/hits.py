"""Hit patterns: which cells of a grid are active, and nothing else."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.images import snap
from pcgen.models.cardinality import Drawn
from pcgen.models.representations.base import Event, Seen
from pcgen.models.representations.cells import Sites


class Hits(Sites):
    """Cells as ones and zeros; what the points of a cell carry is not looked at.

    Clouds without a weight are as good as others. Generated hits are at the centres of their cells;
    where points carry a weight, those of an event share the total that was drawn alike. The
    condition is y and class: the number of hits is part of the pattern, and not prescribed.
    """

    counted = True
    weighed = False

    @property
    def condition_channels(self) -> int:
        """Columns K of the condition, log n not among them."""
        return super().condition_channels - 1

    @property
    def cells(self) -> int:
        """Number of cells."""
        return math.prod(self.grid.shape)

    def condition(self, drawn: Drawn) -> Tensor:
        """See :meth:`Representation.condition`."""
        return super().condition(drawn)[:, :-1]

    def prepared(self, clouds: Batch) -> Batch:
        """See :meth:`Representation.prepared`."""
        kept = snap(clouds, self.grid, outside="drop")
        return kept if self.schema.weight is not None else cl.replace(kept, weight=None)

    def see(self, clouds: Batch) -> Seen:
        """See :meth:`Representation.see`; events are images [B, *grid.shape] of 0 and 1."""
        kept = self.prepared(clouds)
        cell = kept.cell
        if kept.get("layer") is not None:
            cell = torch.cat([kept.layer[:, None], cell], 1)
        image = kept.pos.new_zeros(kept.num_graphs, *self.grid.shape)
        image = image.index_put((kept.batch, *cell.unbind(1)), kept.pos.new_ones(()))
        given = self.standardize.condition(kept.get("y"), kept.get("label"), cl.sizes(kept))
        return Seen(image, given[:, :-1])

    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """See :meth:`Representation.clouds`; a cell above 1/2 is active."""
        active = event > 0.5
        index, sizes = active.nonzero(), active.flatten(1).sum(1)
        cell = index[:, -len(self.grid.axes) :]
        weight = None
        if self.schema.weight is not None:
            share = drawn.total / sizes.clamp(min=1).to(drawn.total)
            weight = share.repeat_interleave(sizes)
        return cl.make(
            self.grid.centres(cell, dtype=drawn.centroid.dtype),
            sizes,
            weight=weight,
            y=drawn.y,
            label=drawn.label,
            cell=cell,
            layer=index[:, 1] if self.grid.layers else None,
        )

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
        """See :meth:`Representation.blank`."""
        return self.cardinality.total.new_zeros(len(sizes), *self.grid.shape)
