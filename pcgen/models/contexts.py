r"""Contexts as networks see them: what an event is generated from, standardised and summarised.

A context is a cloud c with a schema of its own (particles in front of a detector, the filled cells
of an image, the hits that were observed). Networks take its points as
:class:`~pcgen.standardize.Standardize` has them, in which a weight is a share of the total, and
beside them a *summary* s(c) of each: logarithms of its number of points and of its total, its
weighted centre and width along each axis, its largest share, :math:`\sqrt{\sum_i f_i^2}` of the
shares, and of layers and categories the logarithms of their numbers of points.

A schema of layers is *flat* here: the layer of a point is a feature with categories.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import DataError
from pcgen.models.cardinality import wrapped
from pcgen.ops.moments import Moments, Scale
from pcgen.ops.segments import segment_circular_mean, segment_max, segment_sum
from pcgen.schema import Quantity, Schema
from pcgen.standardize import Standardize


def flat_schema(schema: Schema) -> Schema:
    """The schema with the layers as the last feature.

    >>> flat_schema(Schema((Quantity("x"),), layers=("ECAL", "HCAL"))).features[0].categories
    ('ECAL', 'HCAL')
    """
    if not schema.layers:
        return schema
    layer = Quantity("layer", categories=schema.layers)
    return dataclasses.replace(schema, features=(*schema.features, layer), layers=())


def flat(clouds: Batch, schema: Schema) -> Batch:
    """Clouds of a schema with the layer as the last column of ``x``, and without cells.

    Raises:
        DataError: the schema has layers and the points none.
    """
    if not schema.layers:
        return cl.replace(clouds, layer=None, cell=None)
    if clouds.get("layer") is None:
        raise DataError("layer: got contexts without layer, expected the layer of each point")
    layer = clouds.layer[:, None].to(clouds.pos)
    x = layer if clouds.get("x") is None else torch.cat([clouds.x, layer], 1)
    return cl.replace(clouds, x=x, layer=None, cell=None)


def layered(clouds: Batch, schema: Schema) -> Batch:
    """Inverse of :func:`flat`."""
    if not schema.layers:
        return clouds
    x, layer = clouds.x[:, :-1], clouds.x[:, -1].round().long()
    return cl.replace(clouds, x=x if x.shape[1] else None, layer=layer)


def summary(contexts: Batch, schema: Schema) -> Tensor:
    """Summary of each context [B, S], float64, in physical units; zeros of an empty one.

    Args:
        contexts: Flat clouds.
        schema: Flat, of the contexts.
    """
    ptr, number = contexts.ptr, cl.sizes(contexts).double()
    weight, pos = cl.weights(contexts).double(), contexts.pos.double()
    total = segment_sum(weight, ptr)
    share = weight / torch.where(total > 0, total, 1.0)[contexts.batch]
    centre = segment_sum(share[:, None] * pos, ptr)
    for axis, period in enumerate(schema.periods):
        if period is not None:
            centre[:, axis] = segment_circular_mean(pos[:, axis].contiguous(), weight, ptr, period)
    apart = wrapped(pos - centre[contexts.batch], schema)
    columns = [number.log1p(), *centre.unbind(1)]
    columns += segment_sum(share[:, None] * apart.square(), ptr).clamp(min=0).sqrt().unbind(1)
    if schema.weight is not None:
        columns.append(torch.where(total > 0, torch.where(total > 0, total, 1.0).log(), 0.0))
        columns += [segment_sum(share.square(), ptr).sqrt(), segment_max(share, ptr)]
    for column, feature in enumerate(schema.features):
        for kind in range(len(feature.categories)):
            columns.append(segment_sum((contexts.x[:, column] == kind).double(), ptr).log1p())
    return torch.stack(columns, 1)


def summary_channels(schema: Schema) -> int:
    """Columns S of the summary of contexts of a flat schema."""
    kinds = sum(len(feature.categories) for feature in schema.features)
    return 1 + 2 * len(schema.axes) + 3 * (schema.weight is not None) + kinds


class Contexts(nn.Module):
    """Contexts of one schema, from physical units to what networks take.

    Args:
        schema: Of the contexts.

    Attributes:
        schema: As given.
        standardize: Of the flat contexts.
        scale: Of their summaries.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        # Class and condition of an event are those of the event, not of its context.
        self.schema = schema
        self.flat = dataclasses.replace(flat_schema(schema), condition=(), labels=())
        self.standardize = Standardize(self.flat)
        self.scale = Scale(summary_channels(self.flat))

    @property
    def value_channels(self) -> int:
        """Channels of a point."""
        return self.standardize.point_features

    @property
    def condition_channels(self) -> int:
        """Columns of the summary."""
        return len(self.scale.mean)

    def of(self, clouds: Batch) -> Batch:
        """The flat contexts of clouds, without class and condition.

        Raises:
            DataError: the clouds have none.
        """
        found = cl.context(clouds)
        if found is None:
            raise DataError("context: got clouds without one, expected one for each cloud")
        return self.prepared(found)

    def prepared(self, contexts: Batch) -> Batch:
        """Contexts in physical units as flat clouds, without class and condition."""
        return cl.replace(flat(contexts, self.schema), y=None, label=None)

    def fit(self, batches: Iterable[Batch]) -> None:
        """Find the units of points and summaries in one pass over clouds with contexts."""
        moments = Moments(self.condition_channels, self.scale.mean.device)

        def counted() -> Iterator[Batch]:
            for clouds in batches:
                contexts = self.of(clouds)
                moments.update(summary(contexts, self.flat))
                yield contexts

        self.standardize.fit(counted())
        self.scale.set(moments.mean, moments.variance())

    def see(self, contexts: Batch) -> Batch:
        """Flat contexts as networks take them; ``y`` is the standardised summary [B, S]."""
        rows = self.scale(summary(contexts, self.flat)).to(contexts.pos.dtype)
        return cl.replace(self.standardize(contexts), y=rows, weight=None)
