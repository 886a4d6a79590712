r"""Cardinality: how many points, how much energy, and under which condition.

An empirical law p(y, label, n, total, centroid), kept as a uniform random sample of the training
clouds. To draw given (y, label) is to pick one stored cloud among the k nearest in y of the same
class, and to correct its total for the remaining difference in y by the response that was fitted:

    total = total_j m(y) / m(y_j),        m(y) = a + b · y, one least-squares line per class.

So n keeps its spread and its dependence on y and class, total energy and its response to the
condition are those of the training split, and n and total stay correlated. Ties in y (beams of one
energy, no condition at all) all count as neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import DataError, at_least
from pcgen.models.request import Request
from pcgen.models.stored import Stored, reservoir, spread_of
from pcgen.ops.drawing import uniform
from pcgen.ops.segments import segment_circular_mean, segment_sum
from pcgen.schema import Schema

CAPACITY = 2**17
"""Most training clouds that are kept by default."""


class Drawn(NamedTuple):
    """What is known of clouds before they have points.

    Attributes:
        sizes: Number of points [B].
        total: Sum of the weights [B].
        centroid: Weighted mean of the coordinates [B, D], the circular one on periodic axes.
        y: Continuous condition [B, C], None where the schema has none.
        label: Class [B], None where the schema has none.
        spread: Root of the weighted mean squared distance from the centroid [B]; None where it is
            not kept.
        layers: Points and weight of each layer; None where they are not prescribed.
        context: What the clouds are generated from, in physical units; None for nothing.
    """

    sizes: Tensor
    total: Tensor
    centroid: Tensor
    y: Tensor | None
    label: Tensor | None
    spread: Tensor | None = None
    layers: LayerSums | None = None
    context: Batch | None = None


class LayerSums(NamedTuple):
    """Points and weight of each detector layer of clouds.

    Attributes:
        number: [B, L], integer.
        weight: Sum of the weights [B, L]; 0 where there is no point.
    """

    number: Tensor
    weight: Tensor


def describe(clouds: Batch, schema: Schema) -> Drawn:
    """What clouds that have points say of themselves.

    Raises:
        DataError: they lack ``y`` or ``label`` that the schema names.
    """
    conditions = ", ".join(quantity.name for quantity in schema.condition)
    for name, expected in (("y", conditions), ("label", ", ".join(schema.labels))):
        if expected and clouds.get(name) is None:
            kind = "a value of each of" if name == "y" else "one of"
            raise DataError(f"{name}: got clouds without {name}, expected {kind} {expected}")
    # Squares of coordinates, and products with weights, may be beyond what float32 holds.
    pos, weight = clouds.pos.double(), cl.weights(clouds).double()
    total = segment_sum(weight, clouds.ptr)
    some = torch.where(total > 0, total, 1.0)
    moment = segment_sum(weight[:, None] * pos, clouds.ptr)
    columns = list((moment / some[:, None]).unbind(1))
    for axis, period in enumerate(schema.periods):
        if period is not None:
            values = (pos[:, axis], weight, clouds.ptr)
            columns[axis] = segment_circular_mean(*values, period)
    centroid = torch.stack(columns, 1)
    apart = wrapped(pos - centroid[clouds.batch], schema).square().sum(1)
    square = segment_sum(weight * apart, clouds.ptr) / some
    # The centroid of one point is rounded, and so not always the point.
    square = torch.where(cl.sizes(clouds) > 1, square, 0.0)
    return Drawn(
        cl.sizes(clouds),
        cl.total(clouds),
        centroid.to(clouds.pos),
        clouds.y if schema.condition else None,
        clouds.label if schema.labels else None,
        square.sqrt().to(clouds.pos),
    )


def wrapped(pos: Tensor, schema: Schema) -> Tensor:
    """Coordinates [N, D] with those of periodic axes taken to the period around 0."""
    columns = [
        x if period is None else x - period * torch.round(x / period)
        for x, period in zip(pos.unbind(1), schema.periods, strict=True)
    ]
    return torch.stack(columns, 1)


def recentred(clouds: Batch, centroid: Tensor, schema: Schema) -> Batch:
    """The clouds moved so that their weighted centres are ``centroid`` [B, D]."""
    shift = centroid - describe(clouds, schema).centroid
    return cl.replace(clouds, pos=wrapped(clouds.pos + shift[clouds.batch], schema))


def rescaled(clouds: Batch, spread: Tensor, schema: Schema) -> Batch:
    """The clouds scaled about their weighted centres so that their spreads are ``spread`` [B].

    A cloud whose points all lie in one place stays as it is.
    """
    now = describe(clouds, schema)
    assert now.spread is not None
    # Points in one place are apart by rounding, which must not be blown up.
    apart_at_all = now.spread > 1e-5 * spread
    factor = torch.where(apart_at_all, spread / torch.where(apart_at_all, now.spread, 1.0), 1.0)
    centre = now.centroid[clouds.batch]
    apart = wrapped(clouds.pos - centre, schema)
    return cl.replace(clouds, pos=wrapped(centre + factor[clouds.batch][:, None] * apart, schema))


class Cardinality(Stored):
    """Empirical p(y, label) and p(n, total, centroid | y, label) of a training split.

    The buffers have a row for each cloud that is kept, none before something is fitted.

    Args:
        schema: States whether clouds have ``y`` and ``label``, and how many columns and classes.
        capacity: Most clouds that are kept: a uniform random sample where there are more.
        neighbours: How many stored clouds stand for one value of y.
        seed: Of the choice of the clouds that are kept.
        spread: Keep the spread of the clouds too.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        capacity: int = CAPACITY,
        neighbours: int = 16,
        seed: int = 0,
        spread: bool = False,
    ) -> None:
        super().__init__(schema)
        at_least(1, capacity=capacity, neighbours=neighbours)
        self.neighbours, self.seed, self.capacity = neighbours, seed, capacity
        classes, conditions = len(schema.labels), len(schema.condition)
        self.centroid: Tensor
        self.spread: Tensor | None
        self.line: Tensor
        self.register_buffer("centroid", torch.zeros(0, len(schema.axes)))
        self.register_buffer("spread", torch.zeros(0) if spread else None)
        self.register_buffer("line", torch.zeros(max(classes, 1), 1 + conditions))

    @torch.no_grad()
    def fit(self, batches: Iterable[Batch]) -> Cardinality:
        """Keep a uniform random sample of the clouds of ``batches`` and fit the response.

        Raises:
            DataError: there are no clouds, or they lack ``y`` or ``label`` that the schema names.
        """
        kept = reservoir(map(self._rows, batches), self.capacity, self.seed)
        if not kept or not len(kept[0]):
            raise DataError("batches: got no clouds, expected at least one to fit")
        self.keep(kept)
        self._fit_response()
        return self

    def all_stored(self) -> Drawn:
        """The stored clouds, whose number is :attr:`stored`."""
        rows = slice(0, int(self.stored))
        return Drawn(
            self.sizes[rows],
            self.total[rows],
            self.centroid[rows],
            self.y[rows] if self.schema.condition else None,
            self.label[rows] if self.schema.labels else None,
            None if self.spread is None else self.spread[rows],
        )

    def draw(self, request: Request, generator: torch.Generator | None = None) -> Drawn:
        """Draw what is not given, given what is.

        Args:
            request: Tensors on the device of the buffers.
            generator: Source of all randomness.

        Raises:
            ArgumentError: nothing was fitted, or a class has no cloud in the training split.
        """
        self.check_fitted(request.label)
        return self.of_rows(self._pick(request, generator), request)

    def of_rows(self, row: Tensor, request: Request) -> Drawn:
        """What the stored clouds of these rows [B] say of the requested ones."""
        sizes, y, label = request.sizes, request.y, request.label
        given = y if y is not None else self.y[row]
        kind = label if label is not None else self.label[row]
        total = self.total[row] * self._ratio(given, row, kind)
        points = sizes if sizes is not None else self.sizes[row]
        return Drawn(
            points,
            torch.where(points > 0, total, 0.0),
            self.centroid[row],
            given if self.schema.condition else None,
            kind if self.schema.labels else None,
            None if self.spread is None else self.spread[row],
        )

    @property
    def growing(self) -> tuple[str, ...]:
        """Names of the buffers with a row for each cloud."""
        own = ("sizes", "total", "centroid", "y", "label")
        return own if self.spread is None else (*own, "spread")

    def _rows(self, clouds: Batch) -> list[Tensor]:
        sizes, total, centroid, y, label, spread, *_ = describe(clouds, self.schema)
        y = centroid.new_zeros(len(sizes), 0) if y is None else y
        label = sizes.new_zeros(len(sizes)) if label is None else label
        rows = [sizes, total, centroid, y, label]
        return rows if self.spread is None or spread is None else [*rows, spread]

    def _fit_response(self) -> None:
        stored = int(self.stored)
        for kind in range(len(self.line)):
            # An empty cloud has no response; by relative errors it would outweigh all others.
            of_class = (self.label[:stored] == kind) & (self.total[:stored] > 0)
            y, total = self.y[:stored][of_class].double(), self.total[:stored][of_class].double()
            line = self.line.new_zeros(self.line.shape[1], dtype=torch.float64)
            line[0] = 1.0
            if len(y) and y.shape[1]:
                # Relative errors count, so that 1 GeV is described as well as 1 TeV.
                weight = 1.0 / (total + 0.01 * total.mean()).clamp(min=1e-30)
                scale = y.abs().mean(0).clamp(min=1e-30)
                design = torch.cat([torch.ones_like(y[:, :1]), y / scale], 1) * weight[:, None]
                line = torch.linalg.pinv(design, rtol=1e-6) @ (total * weight)
                line[1:] /= scale
            self.line[kind] = line.to(self.line)

    def response(self, y: Tensor | None, label: Tensor | None, number: int) -> Tensor:
        """The total that is expected under a condition and a class, m(y) of the class [B]."""
        line = self.line[label] if label is not None else self.line[:1].expand(number, -1)
        return line[:, 0] if y is None else line[:, 0] + (line[:, 1:] * y).sum(1)

    def _ratio(self, y: Tensor, row: Tensor, label: Tensor) -> Tensor:
        """m(y) / m(y_j), and 1 where the line makes no sense (not positive)."""
        here = self.response(y, label, row.shape[0])
        there = self.response(self.y[row], label, row.shape[0])
        sensible = (here > 0) & (there > 0)
        return torch.where(sensible, here / torch.where(sensible, there, 1.0), 1.0)

    def _pick(self, request: Request, generator: torch.Generator | None) -> Tensor:
        """Row of one stored cloud that fits what is given, for each requested cloud [B]."""
        stored, number = int(self.stored), request.number
        sizes, y = request.sizes, request.y
        ask, have = self.y.new_zeros(number, 0), self.y.new_zeros(stored, 0)
        if y is not None:
            ask, have = torch.cat([ask, y], 1), torch.cat([have, self.y[:stored]], 1)
        if sizes is not None:
            ask = torch.cat([ask, sizes.to(ask).log1p()[:, None]], 1)
            have = torch.cat([have, self.sizes[:stored].to(have).log1p()[:, None]], 1)
        chance = uniform((number,), have, generator)
        scale = spread_of(have)
        return self.nearest(ask / scale, have / scale, request.label, chance, self.neighbours)
