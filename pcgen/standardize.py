r"""From clouds in physical units to what networks see, and back.

Fitted once on the training split (floats in float64, one pass, batch by batch), kept in buffers and
so in the checkpoint. For a cloud of n points with weights :math:`w_i` and total :math:`W`:

============== ==================================================================================
pos [N, D]     :math:`(\mathrm{pos} - \mu) / \sigma`, one :math:`\sigma` for all axes unless set
               otherwise, so that distances keep their shape. A periodic axis is scaled but not
               shifted, and taken to the period around 0 in both directions.
weight [N]     fraction :math:`f_i = w_i / W`, which sums to 1 in each cloud that has a point
               (1/n each where the total is 0)
x [N, F'(+1)]  each feature standardised, one with categories as one-hot columns with one scale
               for all (:mod:`pcgen.categories`); then, where points carry a weight,
               :math:`\log f_i` standardised. Fractions below a floor, zero included, have the
               logarithm of the floor: the smallest positive one of the training split, or 5
               standard deviations below the mean logarithm where that is higher (a particle of
               almost no energy must not rule a squared distance).
y [B, K]       condition: ``y`` standardised, ``label`` one-hot, :math:`\log(1 + n)` standardised
============== ==================================================================================

``label``, ``layer`` and ``cell`` are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen import categories
from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.ops.moments import Moments, Scale
from pcgen.ops.ragged import Pointer
from pcgen.ops.segments import segment_softmax
from pcgen.schema import Schema

FLOOR_STDS = 5.0


def channels(clouds: Batch, in_channels: int | None = None) -> Tensor:
    """What networks see of each point: ``pos`` and then ``x`` [N, D + F].

    Args:
        clouds: A batch of clouds, or one.
        in_channels: Channels that a network of batches was made for; None for any.

    Raises:
        ArgumentError: ``pos`` or ``ptr`` is missing, or there are other than ``in_channels``.
    """
    if clouds.get("pos") is None or (in_channels is not None and clouds.get("ptr") is None):
        name = "pos" if clouds.get("pos") is None else "ptr"
        raise ArgumentError(
            f"{name}: got none among the attributes {sorted(clouds.keys())}, expected a batch of "
            "clouds, with pos [N, D] and ptr [B+1] (pcgen.clouds.make)"
        )
    parts = {n: clouds[n] for n in ("pos", "x") if clouds.get(n) is not None}
    found = sum(part.shape[1] for part in parts.values())
    if in_channels is not None and found != in_channels:
        shapes = ", ".join(f"{name} {list(part.shape)}" for name, part in parts.items())
        raise ArgumentError(
            f"{', '.join(parts)}: got {shapes}, which is {found} channels of a point, "
            f"expected {in_channels} (in_channels of the network)"
        )
    return torch.cat(list(parts.values()), 1) if len(parts) > 1 else parts["pos"]


class Standardize(nn.Module):
    """Standardisation of the clouds of one schema; see the module's text.

    Args:
        schema: What the clouds hold. Sizes the buffers, so a checkpoint loads into an unfitted one.
        isotropic: One common standard deviation for all axes (the root of the mean variance), as
            distances between points require. False scales each axis by itself, for axes of
            different kinds such as millimetres and nanoseconds.

    >>> from pcgen.schema import Quantity
    >>> standardize = Standardize(Schema((Quantity("eta"), Quantity("phi")), Quantity("pt", "GeV")))
    >>> clouds = pc.make(torch.tensor([[1.0, 0.0], [3.0, 2.0]]), [2], weight=torch.ones(2))
    >>> seen = standardize.fit(clouds)(clouds)
    >>> seen.pos.tolist(), seen.weight.tolist()
    ([[-1.0, -1.0], [1.0, 1.0]], [0.5, 0.5])
    """

    log_floor: Tensor
    fitted_clouds: Tensor
    _period: Tensor

    def __init__(self, schema: Schema, *, isotropic: bool = True) -> None:
        super().__init__()
        self.schema = schema
        self.isotropic = isotropic
        self.pos = Scale(len(schema.axes))
        self.x = Scale(sum(categories.widths(schema.features)))
        self.log_fraction = Scale(1)
        self.y = Scale(len(schema.condition))
        self.log_size = Scale(1)
        self.register_buffer("log_floor", torch.zeros((), dtype=torch.float64))
        self.register_buffer("fitted_clouds", torch.zeros((), dtype=torch.long))
        period = [axis.period or 0.0 for axis in schema.axes]
        self.register_buffer("_period", torch.tensor(period, dtype=torch.float64), persistent=False)

    @property
    def point_features(self) -> int:
        """Number of channels of a point as networks see it, D + F', plus 1 for the weight."""
        schema = self.schema
        return len(schema.axes) + len(self.x.mean) + (schema.weight is not None)

    @property
    def condition_features(self) -> int:
        """Number K of columns of the condition."""
        return len(self.schema.condition) + len(self.schema.labels) + 1

    @property
    def periods(self) -> tuple[float | None, ...]:
        """Period of each axis in standardised units, None where it is not periodic."""
        stds = self.pos.std.tolist()
        return tuple(p and p / std for p, std in zip(self.schema.periods, stds, strict=True))

    @torch.no_grad()
    def fit(self, clouds: Batch | Iterable[Batch]) -> Standardize:
        """Find means and standard deviations in one pass; a column that does not vary has std 1.

        Args:
            clouds: The training split, whole or batch by batch, in physical units.

        Raises:
            DataError: there is no point at all, an attribute of the schema is missing, or a value
                is not finite.
        """
        moments = {
            name: Moments(len(scale.mean), scale.mean.device) for name, scale in self._scales()
        }
        floor, number = torch.full((), torch.inf, dtype=torch.float64), 0
        for batch in [clouds] if isinstance(clouds, Batch) else clouds:
            self._check(pc.check(batch, len(self.schema.axes)))
            number += batch.num_graphs
            moments["pos"].update(self._wrap(batch.pos))
            moments["log_size"].update(torch.log1p(pc.sizes(batch).double())[:, None])
            if self.schema.features:
                moments["x"].update(categories.relaxed(batch.x, self.schema.features))
            if self.schema.condition:
                moments["y"].update(batch.y)
            if self.schema.weight is not None:
                fraction = _fractions(batch)
                log = fraction[fraction > 0].double().log()
                floor = torch.minimum(floor, log.min().cpu()) if len(log) else floor
                moments["log_fraction"].update(log[:, None])
        if moments["pos"].count == 0:
            raise DataError(f"clouds: got {number} clouds without a point, expected some with one")
        self._store(moments, floor)
        self.fitted_clouds.fill_(number)
        return self

    def _scales(self) -> Iterator[tuple[str, Scale]]:
        return ((name, part) for name, part in self.named_children() if isinstance(part, Scale))

    def _store(self, moments: dict[str, Moments], floor: Tensor) -> None:
        for name, scale in self._scales():
            mean, variance = moments[name].mean, moments[name].variance()
            if name == "x":
                variance = categories.evened(variance, self.schema.features)
            if name == "pos":
                periodic = self._period > 0
                variance = torch.where(periodic, variance + mean.square(), variance)
                mean = torch.where(periodic, 0.0, mean)
                variance = variance.mean().expand_as(variance) if self.isotropic else variance
            scale.set(mean, variance)
        log = self.log_fraction
        lowest = (log.mean - FLOOR_STDS * log.std)[0]
        self.log_floor.copy_(
            torch.where(torch.isfinite(floor), floor.to(lowest).maximum(lowest), 0.0)
        )

    def forward(self, clouds: Batch) -> Batch:
        """Clouds as networks see them, from clouds in physical units.

        Raises:
            DataError: an attribute of the schema is missing.
        """
        self._require_fitted()
        self._check(clouds)
        columns, weight = [], None
        if self.schema.features:
            columns.append(self.x(categories.relaxed(clouds.x, self.schema.features)))
        if self.schema.weight is not None:
            weight = _fractions(clouds)
            above = weight > self.log_floor.exp()
            log = torch.where(above, torch.where(above, weight, 1.0).log(), self.log_floor)
            columns.append(self.log_fraction(log.to(weight)[:, None]))
        y = self.condition(clouds.get("y"), clouds.get("label"), pc.sizes(clouds))
        return pc.replace(
            clouds,
            pos=self.pos(self._wrap(clouds.pos)),
            weight=weight,
            x=torch.cat(columns, 1) if columns else None,
            y=y.to(clouds.pos.dtype),
        )

    def inverse(self, clouds: Batch, total: Tensor | None = None) -> Batch:
        """Clouds in physical units, from what :meth:`forward` or a decoder generated.

        Weights are ``total`` shared out by the fractions: ``weight`` where the clouds have it,
        otherwise :meth:`fractions` of ``x``. The condition is dropped: the caller knows the
        physical ``y``.

        Args:
            clouds: In standardised units.
            total: Total weight of each cloud [B]; needed where the schema has a weight.

        Raises:
            ArgumentError: ``total`` is missing or has the wrong shape.
        """
        self._require_fitted()
        pos = self._wrap(self.pos.inverse(clouds.pos))
        features, weight = len(self.x.mean), None
        if self.schema.weight is not None:
            total = _expect("total", total, (clouds.num_graphs,), "total weight of each cloud")
            fraction = clouds.get("weight")
            if fraction is None:
                fraction = self.fractions(clouds.x, clouds.ptr)
            weight = fraction * total.to(fraction)[clouds.batch]
        x = None
        if features:
            x = categories.decided(self.x.inverse(clouds.x[:, :features]), self.schema.features)
        return pc.replace(clouds, pos=pos, weight=weight, x=x, y=None)

    def fractions(self, x: Tensor | None, ptr: Pointer) -> Tensor:
        """Fraction of the cloud's total that each point carries, from the last column of ``x``.

        The exponential of the de-standardised column, divided by its sum over the cloud.

        Args:
            x: Standardised features [N, F' + 1].
            ptr: [B+1].

        Returns:
            [N], positive, sums to 1 in each cloud that has a point.

        Raises:
            ArgumentError: ``x`` does not have F' + 1 columns.
        """
        rows = 0 if x is None else x.shape[0]
        x = _expect("x", x, (rows, len(self.x.mean) + 1), "log fraction last")
        log = self.log_fraction.inverse(x[:, -1:])
        return segment_softmax(log[:, 0], ptr)

    def condition(self, y: Tensor | None, label: Tensor | None, sizes: Tensor) -> Tensor:
        """The condition of each cloud, an input of networks [B, K].

        Args:
            y: Continuous condition in physical units [B, C].
            label: Class [B].
            sizes: Number of points [B].

        Raises:
            ArgumentError: the schema has conditions or classes that are not given, or a label is
                not one of its classes.
        """
        self._require_fitted()
        dtype = torch.get_default_dtype() if y is None else y.dtype
        columns = []
        if self.schema.condition:
            names = ", ".join(quantity.name for quantity in self.schema.condition)
            y = _expect("y", y, (sizes.shape[0], len(self.schema.condition)), names)
            columns.append(self.y(y))
        if self.schema.labels:
            columns.append(_one_hot(label, self.schema.labels, sizes.shape[0]).to(dtype))
        log = torch.log1p(sizes.to(torch.float64))[:, None]
        columns.append(self.log_size(log).to(dtype))
        return torch.cat(columns, 1)

    def _wrap(self, pos: Tensor) -> Tensor:
        """Periodic coordinates taken to the period around 0."""
        if not any(self.schema.periods):
            return pos
        period = self._period.to(pos)
        turns = torch.round(pos.detach() / torch.where(period > 0, period, 1.0))
        return pos - period * turns

    def _check(self, clouds: Batch) -> None:
        schema = self.schema
        if clouds.pos.shape[1] != len(schema.axes):
            raise DataError(f"pos: got {clouds.pos.shape[1]} axes, expected {len(schema.axes)}")
        for name, quantities in (("x", schema.features), ("y", schema.condition)):
            width = 0 if clouds.get(name) is None else clouds[name].shape[1]
            if quantities and width != len(quantities):
                raise DataError(f"{name}: got {width} columns, expected {len(quantities)}")
        if schema.weight is not None and clouds.get("weight") is None:
            raise DataError(f"weight: got none, expected the {schema.weight.name} of each point")

    def _require_fitted(self) -> None:
        if not int(self.fitted_clouds):
            raise ArgumentError("standardize: got an unfitted one, expected fit(clouds) before use")


def _fractions(clouds: Batch) -> Tensor:
    """Weight of each point over the total of its cloud; 1/n where the total is 0."""
    total = pc.total(clouds)
    share = clouds.weight / torch.where(total > 0, total, 1.0)[clouds.batch]
    uniform = 1.0 / pc.sizes(clouds).to(share)
    return torch.where((total > 0)[clouds.batch], share, uniform[clouds.batch])


def _expect(name: str, value: Tensor | None, shape: tuple[int, ...], meaning: str) -> Tensor:
    if value is None or value.shape != shape:
        given = None if value is None else tuple(value.shape)
        raise ArgumentError(f"{name}: got {given}, expected {shape}: {meaning}")
    return value


def _one_hot(label: Tensor | None, labels: Sequence[str], number: int) -> Tensor:
    label = _expect("label", label, (number,), "a class of each cloud")
    if number and (int(label.min()) < 0 or int(label.max()) >= len(labels)):
        raise ArgumentError(
            f"label: got values from {int(label.min())} to {int(label.max())}, "
            f"expected 0 to {len(labels) - 1} ({', '.join(labels)})"
        )
    return F.one_hot(label, len(labels))
