r"""Networks of points that recipes choose by name: values that build encoder, decoder and field.

Each choice is written once. A network of points builds any of the three parts, so that any of them
goes with any method:

========= ================================== ================================ ==================
name      encoder or critic                  decoder or generator             velocity field
========= ================================== ================================ ==================
epic      EPiC layers                        EPiC layers on points            EPiC layers
pointnet  PointNet, T-Nets on request        the same                         DeepSets
edgeconv  EdgeConv on k nearest neighbours   the same                         EdgeConv
attention Set Transformer                    the same                         attention
list      MLP on the sorted, padded list     MLP to a list                    MLP on the list
========= ================================== ================================ ==================

"list" is the control that does not treat a cloud as a set. Networks of images are in
:mod:`pcgen.recipes.image_networks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from torch import nn

from pcgen.errors import ArgumentError, at_least
from pcgen.nn import (
    DGCNN,
    AttentionEncoder,
    AttentionField,
    DeepSetField,
    EdgeConvField,
    EPiCEncoder,
    EPiCField,
    ListEncoder,
    ListField,
    MLPDecoder,
    Noise,
    PointNet,
    Ranks,
    SetDecoder,
)
from pcgen.nn.points.starts import Start
from pcgen.nn.pooling import Reduction, scaled_sum
from pcgen.ops.segments import segment_max, segment_mean
from pcgen.schema import Schema

GLOBAL = 16  # channels of the cloud's own vector in EPiC layers
LIST_LENGTH = 192  # longest cloud of the control network, by default
_POOLING: dict[str, Reduction] = {
    "max": segment_max,
    "mean": segment_mean,
    "sum": scaled_sum(0.01),
}


class Channels(Protocol):
    """What a network of points is made for: a representation, contexts, or a :class:`Wide`."""

    @property
    def schema(self) -> Schema:
        """Of the clouds."""
        ...

    @property
    def value_channels(self) -> int:
        """Of a point."""
        ...

    @property
    def condition_channels(self) -> int:
        """Columns of the condition."""
        ...


@dataclass(frozen=True)
class Wide:
    """Channels of points and columns of a condition, as numbers."""

    schema: Schema
    value_channels: int
    condition_channels: int


class PointNetwork(Protocol):
    """One choice of networks on points; ``out`` and ``code`` are columns of rows per cloud."""

    def encoder(self, points: Channels, out: int, further: int = 0) -> nn.Module:
        """``(clouds, condition) -> [B, out]``; with ``out=1`` a critic.

        Args:
            points: Of the clouds.
            out: Columns of the result.
            further: Channels of a point behind those of the points.
        """
        ...

    def decoder(self, points: Channels, code: int, layers: int) -> nn.Module:
        """``(code, sizes, condition, generator) -> clouds``, a function of the code."""
        ...

    def generator(self, points: Channels, code: int, layers: int) -> nn.Module:
        """As a decoder, with noise of each point beside the code."""
        ...

    def field(self, points: Channels, further: int = 0, layers: int | None = None) -> nn.Module:
        """``(clouds, time, condition) -> velocity`` of each point.

        Args:
            points: Of the clouds.
            further: Columns of the condition behind those of the points.
            layers: Of the field; None: as many as the encoder.
        """
        ...


@dataclass(frozen=True)
class _Sets:
    """What all networks of sets have in common: decoder and generator of EPiC layers.

    Attributes:
        hidden: Channels of a point inside.
        layers: Layers of the encoder or field.
    """

    hidden: int
    layers: int

    def decoder(self, points: Channels, code: int, layers: int) -> nn.Module:
        """See :class:`PointNetwork`."""
        return self._set_decoder(points, code, layers, Ranks())

    def generator(self, points: Channels, code: int, layers: int) -> nn.Module:
        """See :class:`PointNetwork`."""
        return self._set_decoder(points, code, layers, Noise())

    def _set_decoder(self, points: Channels, code: int, layers: int, start: Start) -> SetDecoder:
        axes = len(points.schema.axes)
        return SetDecoder(
            code,
            axes,
            points.value_channels - axes,
            condition_channels=points.condition_channels,
            hidden=self.hidden,
            global_channels=GLOBAL,
            start=start,
            layers=layers,
        )


@dataclass(frozen=True)
class EPiC(_Sets):
    """EPiC layers (arXiv 2301.08128).

    Attributes:
        global_channels: Channels of the cloud's own vector.
        identity: Identity skips of the field (:mod:`pcgen.nn.points.epic`).
    """

    global_channels: int = GLOBAL
    identity: bool = False

    def encoder(self, points: Channels, out: int, further: int = 0) -> nn.Module:
        """See :class:`PointNetwork`."""
        return EPiCEncoder(
            points.value_channels + further,
            out,
            hidden=self.hidden,
            global_channels=self.global_channels,
            layers=self.layers,
            condition_channels=points.condition_channels,
        )

    def field(self, points: Channels, further: int = 0, layers: int | None = None) -> nn.Module:
        """See :class:`PointNetwork`."""
        return EPiCField(
            points.value_channels,
            condition_channels=points.condition_channels + further,
            hidden=self.hidden,
            global_channels=self.global_channels,
            layers=self.layers if layers is None else layers,
            identity=self.identity,
        )


@dataclass(frozen=True)
class PointNetMLP(_Sets):
    """PointNet (arXiv 1612.00593).

    Attributes:
        t_nets: Turn input channels and features by T-Nets.
        pooling: Reductions over the points. The maximum alone carries no sums, and so no mass.
    """

    t_nets: bool = False
    pooling: tuple[str, ...] = ("max", "mean")

    def encoder(self, points: Channels, out: int, further: int = 0) -> nn.Module:
        """See :class:`PointNetwork`."""
        return PointNet(
            points.value_channels + further,
            out,
            hidden=(self.hidden, 2 * self.hidden, 2 * self.hidden),
            head=(2 * self.hidden,),
            condition_channels=points.condition_channels,
            pooling=_reductions(self.pooling),
            transform=self.t_nets,
            norm=None,
        )

    def field(self, points: Channels, further: int = 0, layers: int | None = None) -> nn.Module:
        """See :class:`PointNetwork`; pooled by mean, sum and maximum."""
        return DeepSetField(
            points.value_channels,
            condition_channels=points.condition_channels + further,
            hidden=(self.hidden, self.hidden),
        )


@dataclass(frozen=True)
class EdgeConv(_Sets):
    """EdgeConv on the k nearest neighbours (arXiv 1801.07829).

    Attributes:
        neighbours: k, the point itself included.
        dynamic: Find neighbours again before each layer, among the features of the layer before.
        pooling: Reductions over the points.
    """

    neighbours: int = 16
    dynamic: bool = False
    pooling: tuple[str, ...] = ("max", "mean")

    def encoder(self, points: Channels, out: int, further: int = 0) -> nn.Module:
        """See :class:`PointNetwork`."""
        return DGCNN(
            points.value_channels + further,
            out,
            k=self.neighbours,
            dynamic=self.dynamic,
            hidden=(self.hidden,) * max(self.layers, 1),
            embedding=2 * self.hidden,
            head=(2 * self.hidden,),
            condition_channels=points.condition_channels,
            pooling=_reductions(self.pooling),
            norm=None,
        )

    def field(self, points: Channels, further: int = 0, layers: int | None = None) -> nn.Module:
        """See :class:`PointNetwork`."""
        return EdgeConvField(
            points.value_channels,
            condition_channels=points.condition_channels + further,
            k=self.neighbours,
            dynamic=self.dynamic,
            hidden=self.hidden,
            layers=self.layers if layers is None else layers,
        )


@dataclass(frozen=True)
class Attention(_Sets):
    """Set Transformer (arXiv 1810.00825).

    Attributes:
        pooling: Reductions over the points, beside a learnt seed.
    """

    pooling: tuple[str, ...] = ("mean", "sum")

    def encoder(self, points: Channels, out: int, further: int = 0) -> nn.Module:
        """See :class:`PointNetwork`."""
        return AttentionEncoder(
            points.value_channels + further,
            out,
            hidden=self.hidden,
            layers=self.layers,
            condition_channels=points.condition_channels,
            pooling=_reductions(self.pooling),
        )

    def field(self, points: Channels, further: int = 0, layers: int | None = None) -> nn.Module:
        """See :class:`PointNetwork`."""
        return AttentionField(
            points.value_channels,
            condition_channels=points.condition_channels + further,
            hidden=self.hidden,
            layers=self.layers if layers is None else layers,
        )


@dataclass(frozen=True)
class SortedList:
    """The control: an MLP on the points, hardest first, padded to a list.

    Attributes:
        list_length: Longest cloud.
    """

    list_length: int = LIST_LENGTH

    def encoder(self, points: Channels, out: int, further: int = 0) -> nn.Module:
        """See :class:`PointNetwork`."""
        if points.schema.weight is None:
            raise ArgumentError(
                "encoder: got 'list', which sorts points by weight, for points without one, "
                "expected epic, pointnet, edgeconv or attention"
            )
        return ListEncoder(
            points.value_channels + further,
            out,
            max_points=self.list_length,
            condition_channels=points.condition_channels,
        )

    def decoder(self, points: Channels, code: int, layers: int) -> nn.Module:
        """See :class:`PointNetwork`; ``layers`` is not used."""
        axes = len(points.schema.axes)
        return MLPDecoder(
            code,
            axes,
            points.value_channels - axes,
            max_points=self.list_length,
            condition_channels=points.condition_channels,
        )

    def generator(self, points: Channels, code: int, layers: int) -> nn.Module:
        """See :class:`PointNetwork`; the code is all its noise."""
        return self.decoder(points, code, layers)

    def field(self, points: Channels, further: int = 0, layers: int | None = None) -> nn.Module:
        """See :class:`PointNetwork`."""
        return ListField(
            points.value_channels,
            max_points=self.list_length,
            condition_channels=points.condition_channels + further,
        )


def of_points(
    name: str,
    hidden: int,
    layers: int,
    t_nets: bool | None = None,
    neighbours: int | None = None,
    dynamic: bool | None = None,
    pooling: Sequence[str] | None = None,
    list_length: int | None = None,
    global_channels: int | None = None,
    identity: bool | None = None,
) -> PointNetwork:
    """The network of this name; options that are None have the defaults of the network.

    Raises:
        ArgumentError: an unknown network, an option that it does not have, or one out of range.
    """
    at_least(1, hidden=hidden, neighbours=neighbours, list_length=list_length)
    at_least(1, global_channels=global_channels)
    at_least(0, layers=layers)
    known: dict[str, Any] = {
        "epic": EPiC,
        "pointnet": PointNetMLP,
        "edgeconv": EdgeConv,
        "attention": Attention,
        "list": SortedList,
    }
    if name not in known:
        raise ArgumentError(f"encoder: got {name!r}, expected one of {', '.join(known)}")
    given: dict[str, Any] = {
        "t_nets": t_nets,
        "neighbours": neighbours,
        "dynamic": dynamic,
        "pooling": None if pooling is None else tuple(pooling),
        "list_length": list_length,
        "global_channels": global_channels,
        "identity": identity,
    }
    takes = [field.name for field in fields(known[name])]
    options = {key: value for key, value in given.items() if value is not None}
    for key, value in options.items():
        if key not in takes:
            raise ArgumentError(f"{key}: got {value!r}, expected none with {name}")
    sizes = () if name == "list" else (hidden, layers)
    network: PointNetwork = known[name](*sizes, **options)
    return network


def _reductions(names: Sequence[str]) -> tuple[Reduction, ...]:
    unknown = [name for name in names if name not in _POOLING]
    if unknown or not names:
        got = ", ".join(unknown) or "none"
        raise ArgumentError(f"pooling: got {got}, expected some of {', '.join(_POOLING)}")
    return tuple(_POOLING[name] for name in names)
