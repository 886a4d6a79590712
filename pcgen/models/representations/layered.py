r"""Points of detector layers, whose numbers and energies are drawn layer by layer before them.

What a layer has, :math:`n_l` points and the energy :math:`E_l`, comes from a
:class:`~pcgen.models.layer_totals.LayerTotals`. What is left to a network is how the points of a
layer share it, so its values are of a point i in layer l

============== ===================================================================================
pos [N, D']    the coordinates that the layer does not fix, standardised
x [N, F + 1]   features, then :math:`\log(w_i n_l / E_l)`, standardised
============== ===================================================================================

and weights are :math:`w_i = E_l \, \mathrm{softmax}_l(\log w_i)`: the energy of a layer is exact by
construction. Beside class, y and log n the condition of an event has :math:`\log(1 + n_l)` and
:math:`\log(E_l / n_l)` of each of its layers, and an energy in y is seen as its logarithm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter
from pcgen.grids.grid import columns_of
from pcgen.images.spreading import cell_edges, spread_over_cells
from pcgen.models.base import Phase, kept
from pcgen.models.cardinality import CAPACITY, Drawn, LayerSums
from pcgen.models.layer_totals import Law, LayerTotals, resized
from pcgen.models.representations.base import Event, Loss, Representation, Seen
from pcgen.models.request import Request
from pcgen.models.squash import Squash
from pcgen.ops.moments import Moments, Scale
from pcgen.ops.ragged import pointer_of
from pcgen.ops.segments import segment_softmax, sum_by
from pcgen.schema import Quantity, Schema
from pcgen.standardize import Standardize, channels

ENERGIES = ("eV", "keV", "MeV", "GeV", "TeV")
"""Units of conditions that networks take as logarithms."""
FLAT = 1e-4
"""Most that the coordinate of a layer may vary in it, over that of all layers."""


class Layered(Representation):
    """Point sets in layers: as many points as are drawn for each layer, in any order in it.

    Rows of events are sorted by layer.

    Args:
        schema: Of the clouds, with layers and a weight.
        field: See :class:`~pcgen.models.layer_totals.LayerTotals`, whose condition has
            ``given_channels(schema)`` columns.
        totals: The law of what layers have, see :class:`~pcgen.models.layer_totals.LayerTotals`.
        depth: Name of the axis along which layers lie, with one value each, that is not generated;
            None, or a name that is not there: all axes are generated.
        squash: Width s of :class:`~pcgen.models.squash.Squash` of the coordinates that are left, in
            units of their standard deviation; None for none.
        calorimeter: The voxels that points are the centres of, and over which they are spread,
            anew each time they are seen; None where points are not those of cells.
        capacity: Most training clouds that the cardinality keeps.

    Raises:
        ArgumentError: the schema has no layers, no weight, or no axis but the depth.
    """

    def __init__(
        self,
        schema: Schema,
        field: nn.Module,
        *,
        totals: Law = "flow",
        depth: str | None = "z",
        squash: float | None = None,
        calorimeter: Calorimeter | None = None,
        capacity: int = CAPACITY,
    ) -> None:
        if not schema.layers or schema.weight is None:
            got = "no layers" if schema.weight is not None else "no weight"
            raise ArgumentError(f"schema: got {got}, expected points of layers that carry a weight")
        super().__init__(schema, capacity=capacity)
        names = [axis.name for axis in schema.axes]
        self.depth = names.index(depth) if depth in names else None
        self.free = [number for number in range(len(names)) if number != self.depth]
        if not self.free:
            raise ArgumentError(f"depth: got {depth!r}, the only axis, expected another")
        self.logarithmic = [quantity.unit in ENERGIES for quantity in schema.condition]
        self.standardize = Standardize(self._inner(schema))
        self.totals = LayerTotals(len(schema.layers), given_channels(schema), field, law=totals)
        self.log_layers = Scale(2)
        self.squash = None if squash is None else Squash(squash)
        if calorimeter is not None:
            # z may count layers in one of the two: the layer of a point decides over it.
            x_and_y = columns_of(calorimeter.schema.axes[:2], schema.axes)
            if x_and_y != (0, 1) or len(names) != len(calorimeter.schema.axes):
                got = ", ".join(names)
                raise ArgumentError(f"calorimeter: got points with {got}, expected x, y and z")
        self.calorimeter = calorimeter
        self._edges: Tensor | None = None  # of the cells, where they were needed last
        self.place: Tensor
        self.register_buffer("place", torch.zeros(len(schema.layers)))

    @property
    def layers(self) -> int:
        """Number L of layers."""
        return len(self.schema.layers)

    @property
    def condition_channels(self) -> int:
        """Columns K of the condition: those of the event, and then 2 of each layer."""
        return super().condition_channels + 2 * self.layers

    def draw(self, request: Request, generator: torch.Generator | None = None) -> Drawn:
        """See :meth:`Representation.draw`: points and energies of the layers come first."""
        drawn = self.cardinality.draw(request, generator)
        sums = self.totals.draw(self._given(drawn.y, drawn.label, drawn.sizes), generator)
        if request.sizes is not None:
            sums = resized(sums, request.sizes)
        return drawn._replace(sizes=sums.number.sum(1), total=sums.weight.sum(1), layers=sums)

    def describe(self, clouds: Batch) -> Drawn:
        """See :meth:`Representation.describe`."""
        return super().describe(clouds)._replace(layers=self._sums(self.prepared(clouds)))

    def condition(self, drawn: Drawn) -> Tensor:
        """See :meth:`Representation.condition`."""
        if drawn.layers is None:
            raise ArgumentError("layers: got none, expected the points and weight of each layer")
        return self._condition(drawn.y, drawn.label, drawn.sizes, drawn.layers)

    def prepared(self, clouds: Batch) -> Batch:
        """See :meth:`Representation.prepared`: points with a weight, sorted by layer."""
        self._check(clouds)
        if bool((clouds.weight <= 0).any()):
            clouds = cl.select_points(clouds, clouds.weight > 0)
        group = self._group(clouds)
        if bool((group[1:] >= group[:-1]).all()):
            return clouds
        order = group.argsort(stable=True)
        rows = {name: value[order] for name, value in cl.attributes(clouds).items()
                if name in cl.POINT_ATTRIBUTES}  # fmt: skip
        return cl.replace(clouds, **rows)

    def see(self, clouds: Batch) -> Seen:
        """See :meth:`Representation.see`."""
        clouds = self.prepared(clouds)
        sums = self._sums(clouds)
        event = self.standardize(self._shared(clouds, sums))
        pos = event.pos if self.squash is None else self.squash(event.pos)
        columns = [event.y, self._of_layers(sums).to(event.y)]
        condition = torch.cat(columns, 1)
        return Seen(cl.replace(event, pos=pos, y=condition), condition)

    def clouds(self, event: Event, drawn: Drawn) -> Batch:
        """See :meth:`Representation.clouds`; exactly the points and energies of the layers."""
        assert drawn.layers is not None
        pos = event.pos if self.squash is None else self.squash.inverse(event.pos)
        plain = self.standardize.inverse(cl.replace(event, pos=pos, y=None))
        group, features = self._group(event), len(self.schema.features)
        share = segment_softmax(plain.x[:, -1], self.exchangeable(event))
        columns = list(plain.pos.unbind(1))
        if self.depth is not None:
            columns.insert(self.depth, self.place.to(plain.pos)[event.layer])
        return cl.like(
            event,
            torch.stack(columns, 1),
            weight=share * drawn.layers.weight.to(share).flatten()[group],
            x=plain.x[:, :features] if features else None,
            layer=event.layer,
            y=drawn.y,
            label=drawn.label,
        )

    def values(self, event: Event) -> Tensor:
        """See :meth:`Representation.values`."""
        return channels(event)

    def with_values(self, event: Event, values: Tensor) -> Batch:
        """See :meth:`Representation.with_values`."""
        axes = len(self.free)
        return cl.like(event, values[:, :axes], x=values[:, axes:], layer=event.layer)

    def blank(self, sizes: Tensor) -> Batch:
        """Numbers of points do not say their layers: refused, but where there is no event."""
        if not len(sizes):
            number = torch.zeros(0, self.layers, dtype=torch.long)
            return self._blank(number.to(self.place.device))
        raise ArgumentError("layers: got sizes of events alone, expected those of their layers")

    def unfilled(self, drawn: Drawn) -> Batch:
        """See :meth:`Representation.unfilled`."""
        if drawn.layers is None:
            raise ArgumentError("layers: got none, expected the points and weight of each layer")
        return self._blank(drawn.layers.number)

    def exchangeable(self, event: Event) -> Tensor:
        """See :meth:`Representation.exchangeable`: points of one layer [B L + 1]."""
        return pointer_of(self._group(event), event.num_graphs * self.layers)

    def loss_of(self, clouds: Batch) -> Loss:
        """See :meth:`Representation.loss_of`: points without weight."""
        return Loss(float((clouds.weight <= 0).double().mean()) if len(clouds.pos) else 0.0, 0.0)

    def phases(self) -> tuple[Phase, ...]:
        """See :meth:`Representation.phases`; the totals of layers are learnt."""
        return (
            *super().phases(),
            Phase("places", (), None, prepare=self._fit_places, adapt=kept),
            Phase("sums", (), None, prepare=self._fit_totals, adapt=kept),
            Phase("layers", (self.totals.field,), self.layers_loss),
        )

    def layers_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Loss of the model of points and energies of layers."""
        sums = self._sums(clouds)
        given = self._given(clouds.get("y"), clouds.get("label"), cl.sizes(clouds))
        return self.totals.loss(sums, given)

    def _fit_standardize(self, batches: Iterable[Batch]) -> None:
        moments = Moments(2, self.place.device)

        def shared() -> Iterator[Batch]:
            for clouds in batches:
                ready = self.prepared(clouds)
                sums = self._sums(ready)
                moments.update(_log_layers(sums)[sums.number > 0])
                yield self._shared(ready, sums)

        self.standardize.fit(shared())
        self.log_layers.set(moments.mean, moments.variance())

    def _fit_totals(self, batches: Iterable[Batch]) -> None:
        def events() -> Iterator[tuple[LayerSums, Tensor]]:
            for clouds in batches:
                given = self._given(clouds.get("y"), clouds.get("label"), cl.sizes(clouds))
                yield self._sums(self.prepared(clouds)), given

        self.totals.prepare(events())

    def _fit_places(self, batches: Iterable[Batch]) -> None:
        """Where the layers are along the depth, and how far the squash reaches."""
        low = torch.full((self.layers,), torch.inf, dtype=torch.double, device=self.place.device)
        high = -low

        def positions() -> Iterator[Tensor]:
            for clouds in batches:
                if self.depth is not None:
                    value = clouds.pos[:, self.depth].to(low)
                    low.scatter_reduce_(0, clouds.layer, value, "amin")
                    high.scatter_reduce_(0, clouds.layer, value, "amax")
                ready = self.prepared(clouds)
                yield self.standardize(self._shared(ready, self._sums(ready))).pos

        if self.squash is None:
            for _ in positions():
                pass
        else:
            self.squash.fit(positions())
        if self.depth is not None:
            self._set_places(low, high)

    def _set_places(self, low: Tensor, high: Tensor) -> None:
        seen = low.isfinite()
        width = float((high - low)[seen].max()) if bool(seen.any()) else 0.0
        length = float(high[seen].max() - low[seen].min()) if bool(seen.any()) else 0.0
        if width > FLAT * length:
            assert self.depth is not None
            name = self.schema.axes[self.depth].name
            layer = int(torch.where(seen, high - low, -1.0).argmax())
            raise DataError(
                f"{name}: got values from {float(low[layer]):g} to {float(high[layer]):g} in layer "
                f"{self.schema.layers[layer]}, expected one value of each layer, or another depth"
            )
        place = torch.where(seen, 0.5 * (low + high), torch.nan)
        self.place.copy_(_filled_in(place))

    def _inner(self, schema: Schema) -> Schema:
        """What networks standardise: free axes, features and log ratio, energies as logarithms."""
        condition = tuple(
            dataclasses.replace(quantity, name=f"log {quantity.name}", unit="") if log else quantity
            for quantity, log in zip(schema.condition, self.logarithmic, strict=True)
        )
        return Schema(
            tuple(schema.axes[number] for number in self.free),
            features=(*schema.features, Quantity("log ratio")),
            condition=condition,
            labels=schema.labels,
            layers=schema.layers,
        )

    def _shared(self, clouds: Batch, sums: LayerSums) -> Batch:
        """Sorted clouds as the schema of :meth:`_inner` has them."""
        number, weight = sums.number.flatten(), sums.weight.flatten()
        mean = (weight / number.clamp(min=1).to(weight))[self._group(clouds)]
        ratio = (clouds.weight / mean).clamp(min=torch.finfo(mean.dtype).tiny).log()[:, None]
        x = ratio if clouds.get("x") is None else torch.cat([clouds.x, ratio], 1)
        if self.calorimeter is not None:
            clouds = self._spread(clouds, self.calorimeter)
        pos, y = clouds.pos[:, self.free], self._logs(clouds.get("y"))
        return cl.replace(clouds, pos=pos, weight=None, x=x, y=y)

    def _spread(self, clouds: Batch, calorimeter: Calorimeter) -> Batch:
        device = clouds.pos.device
        if self._edges is None or self._edges.device != device:
            self._edges = cell_edges(calorimeter, device)
        return spread_over_cells(clouds, calorimeter, edges=self._edges)

    def _logs(self, y: Tensor | None) -> Tensor | None:
        """Conditions [B, C] with the logarithms of energies."""
        if y is None or not any(self.logarithmic):
            return y
        log = torch.tensor(self.logarithmic, device=y.device)
        return torch.where(log, torch.where(log, y, 1.0).log(), y)

    def _given(self, y: Tensor | None, label: Tensor | None, sizes: Tensor) -> Tensor:
        """The condition without numbers of points, which are still to be drawn [B, K']."""
        return self.standardize.condition(self._logs(y), label, sizes)[:, :-1].to(self.place)

    def _condition(
        self, y: Tensor | None, label: Tensor | None, sizes: Tensor, sums: LayerSums
    ) -> Tensor:
        own = self.standardize.condition(self._logs(y), label, sizes)
        return torch.cat([own, self._of_layers(sums).to(own)], 1)

    def _of_layers(self, sums: LayerSums) -> Tensor:
        """Standardised log(1 + n_l), and then log(E_l / n_l) of each layer [B, 2 L]."""
        logs = self.log_layers(_log_layers(sums))
        logs = torch.where((sums.number > 0)[..., None], logs, logs.new_tensor([1.0, 0.0]) * logs)
        return logs.transpose(1, 2).flatten(1)

    def _sums(self, clouds: Batch) -> LayerSums:
        shape, group = (clouds.num_graphs, self.layers), self._group(clouds)
        number = torch.bincount(group, minlength=shape[0] * shape[1]).view(shape)
        weight = sum_by(clouds.weight.double(), group, shape[0] * shape[1]).view(shape)
        return LayerSums(number, weight.to(clouds.weight))

    def _group(self, clouds: Batch) -> Tensor:
        """(event, layer) of each point as one number [N]."""
        group: Tensor = clouds.batch * self.layers + clouds.layer
        return group

    def _check(self, clouds: Batch) -> None:
        if clouds.get("layer") is None:
            raise DataError("layer: got none, expected the layer of each point")
        if not len(clouds.layer):
            return
        low, high = (int(value) for value in clouds.layer.aminmax())
        if low < 0 or high >= self.layers:
            raise DataError(f"layer: got {low} to {high}, expected 0 to {self.layers - 1}")

    def _blank(self, number: Tensor) -> Batch:
        sizes = number.sum(1)
        layer = torch.arange(self.layers, device=number.device).repeat(len(number))
        layer = layer.repeat_interleave(number.flatten())
        values = self.place.new_zeros(len(layer), self.value_channels)
        axes = len(self.free)
        return cl.make(values[:, :axes], sizes, x=values[:, axes:], layer=layer)


def given_channels(schema: Schema) -> int:
    """Columns of the condition before anything is drawn: y and the one-hot class."""
    return len(schema.condition) + len(schema.labels)


def _log_layers(sums: LayerSums) -> Tensor:
    """log(1 + n_l) and log(E_l / n_l) of each layer, 0 where there is none [B, L, 2]."""
    number = sums.number.double()
    mean = sums.weight.double() / number.clamp(min=1)
    log = torch.where(mean > 0, torch.where(mean > 0, mean, 1.0).log(), 0.0)
    return torch.stack([number.log1p(), log], 2)


def _filled_in(place: Tensor) -> Tensor:
    """Places [L] of layers that no training event has (NaN), on the line of the others."""
    seen = place.isfinite()
    if bool(seen.all()):
        return place
    number = torch.arange(len(place)).to(place)
    some = int(seen.sum())
    if some < 2:
        return torch.where(seen, place, place[seen][0] if some else 0.0)
    rows = torch.stack([torch.ones_like(number[seen]), number[seen]], 1)
    line = torch.linalg.lstsq(rows, place[seen][:, None]).solution[:, 0]
    return torch.where(seen, place, line[0] + line[1] * number)
