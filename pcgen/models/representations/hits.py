"""Hit patterns: which cells of a grid are active, and nothing else."""

from __future__ import annotations

import math

from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
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
        return math.prod(self.shape)

    def condition(self, drawn: Drawn) -> Tensor:
        """See :meth:`Representation.condition`."""
        return super().condition(drawn)[:, :-1]

    def prepared(self, clouds: Batch) -> Batch:
        """See :meth:`Representation.prepared`."""
        return self._weighed(self.lattice.active(clouds).clouds)

    def see(self, clouds: Batch) -> Seen:
        """See :meth:`Representation.see`; events are images [B, *shape] of 0 and 1."""
        kept, cell = self.lattice.active(clouds)
        kept = self._weighed(kept)
        image = kept.pos.new_zeros(kept.num_graphs, *self.shape)
        image = image.index_put((kept.batch, *cell.unbind(1)), kept.pos.new_ones(()))
        given = self.standardize.condition(kept.get("y"), kept.get("label"), cl.sizes(kept))
        return Seen(image, given[:, :-1])

    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """See :meth:`Representation.clouds`; a cell above 1/2 is active."""
        active = event > 0.5
        index, sizes = active.nonzero(), active.flatten(1).sum(1)
        weight = None
        if self.schema.weight is not None:
            share = drawn.total / sizes.clamp(min=1).to(drawn.total)
            weight = share.repeat_interleave(sizes)
        points = self.lattice.points(index[:, 1:], sizes, drawn.centroid.dtype)
        return cl.replace(points, weight=weight, y=drawn.y, label=drawn.label)

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
        return self.cardinality.total.new_zeros(len(sizes), *self.shape)

    def _weighed(self, clouds: Batch) -> Batch:
        """The clouds, without weights where the schema has none."""
        return clouds if self.schema.weight is not None else cl.replace(clouds, weight=None)
