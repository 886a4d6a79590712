"""What is to be seen: points in a box with three axes, before anything draws them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError
from pcgen.escaping import mathtext, one_line, symbol
from pcgen.grids import Calorimeter
from pcgen.schema import Quantity, Schema
from pcgen.viewing.layers import outlines, widened

Floats = NDArray[np.float64]

COLOURS = "viridis"
_TAIL, _FAR = 0.001, 2.0
_DECADES = 1e-4
_LARGEST, _ALIKE = 0.055, 0.015
"""Radius of the heaviest point, and that of points that only count; the box is 1 long."""
_SMALLEST = 0.004, 0.14
"""No radius is below this, nor below this share of the largest, or it could not be seen."""
_ROW = 60
"""Letters of a row of a title."""
_SPARSE = 300
"""From this number of points on the spheres shrink, so that they do not fill the box."""
_BY_WEIGHT = "height: $\\log"
"""How the note begins where the third coordinate is the logarithm of the weight."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The box that all scenes of a view share.

    Attributes:
        axes: The three axes.
        low: Lower ends of the axes, in their units [3].
        high: Upper ends [3].
        size: Lengths of the box in the scene [3], the longest 1; to scale where all units agree,
            but none is shorter than a third.
        ticks: Place and text of the ticks of each axis, for matplotlib as all texts here.
        weight: What the points carry; None where they only count, or carry 0 all.
        shade: What the colours say: the weight, or the third coordinate where there is none.
        scale: Its scale.
        largest: Radius of the heaviest point.
        lift: How the clouds got their third coordinate; empty where it is their own.
        rims: Outlines of the layers of a calorimeter, in the units of the axes, each [n, 3].
    """

    axes: tuple[Quantity, Quantity, Quantity]
    low: Floats
    high: Floats
    size: Floats
    ticks: tuple[tuple[tuple[float, str], ...], ...]
    weight: Quantity | None
    shade: Quantity
    scale: Normalize
    largest: float
    lift: str
    rims: tuple[Floats, ...] = ()

    @property
    def note(self) -> str:
        """What size and height say."""
        area = f"area of a sphere: {symbol(self.weight)}" if self.weight else ""
        return "; ".join(text for text in (area, self.lift) if text)

    def place(self, values: Floats) -> Floats:
        """From the units of the axes to places in the box [n, 3]."""
        return (values - self.low) / (self.high - self.low) * self.size


@dataclass(frozen=True, eq=False)
class Scene:
    """One event.

    Attributes:
        title: Origin, number, class, multiplicity and sum of weights, in rows for matplotlib.
        values: Coordinates in the units of the axes [n, 3].
        points: Places in the box [n, 3].
        weight: [n].
        radii: [n].
        colours: Red, green, blue of 0 to 1 [n, 3].
    """

    title: str
    values: Floats
    points: Floats
    weight: Floats
    radii: Floats
    colours: Floats


def frame_of(
    samples: Mapping[str, Batch],
    schema: Schema,
    events: Sequence[int],
    calorimeter: Calorimeter | None = None,
) -> Frame:
    """Axes and scales that fit the ``events`` of all samples.

    Lone points far away, of the last thousandth at an end, do not count. Where these events have no
    points, the axes fit all events.

    Args:
        samples: Clouds by the name of their origin.
        schema: What the numbers mean.
        events: Which events are to be seen.
        calorimeter: Its depth is seen as a whole, with rims of its layers.

    Raises:
        ArgumentError: a sample lacks an event, or has not the axes of the schema; or these are not
            those of the calorimeter.
    """
    shown = [_select(name, batch, schema, events) for name, batch in samples.items()]
    if not shown:
        raise ArgumentError("samples: got none, expected at least one")
    axes, lift = _axes(shown[0], schema)
    values = np.concatenate([coordinates(batch) for batch in shown])
    weight = np.concatenate([weights(batch) for batch in shown])
    layers = schema.layers if axes[2].name == "layer" else ()
    carried = _carried(shown, schema, weight)
    scale = _scale(weight)
    if carried and lift.startswith(_BY_WEIGHT):
        # Heights end where the colours do: one point of 1e-14 would press the others together.
        values[:, 2] = np.maximum(values[:, 2], np.log10(scale.vmin or 1.0))
    extent = values  # of all events, where those that are seen have no points
    if not len(values) and not lift:
        extent = np.concatenate([coordinates(batch.detach().cpu()) for batch in samples.values()])
    limits = [_limits(extent[:, axis], axis == 2 and bool(lift)) for axis in range(3)]
    low, high = np.array(limits).T
    if layers:
        low[2], high[2] = -0.5, len(layers) - 0.5
    rims: tuple[Floats, ...] = ()
    if calorimeter is not None:
        if calorimeter.columns(schema.axes) != (0, 1, 2):
            raise ArgumentError("calorimeter: got axes in another order, expected x, y and z")
        low, high = widened(low, high, calorimeter, whole=not len(values))
        rims = outlines(low, high, calorimeter)
    size = _size(axes, high - low, bool(lift))
    most = max(int(convention.sizes(batch).max()) for batch in shown)
    crowd = float(size.prod()) * min(1.0, _SPARSE / max(most, 1))
    return Frame(
        axes=axes,
        low=low,
        high=high,
        size=size,
        ticks=tuple(_ticks(low[k], high[k], size[k], layers if k == 2 else ()) for k in range(3)),
        weight=carried,
        shade=carried or axes[2],
        scale=scale if carried else Normalize(low[2], high[2]),
        largest=(_LARGEST if carried else _ALIKE) * crowd ** (1 / 4),
        lift=lift,
        rims=rims,
    )


def scene_of(name: str, batch: Batch, schema: Schema, frame: Frame, event: int) -> Scene:
    """One event in a frame; points outside the frame are left out and counted in the title.

    Raises:
        ArgumentError: there is no such event.
    """
    one = _select(name, batch, schema, [event])
    values, weight = coordinates(one), weights(one)
    if frame.lift.startswith(_BY_WEIGHT):
        # What has no logarithm, or a far smaller one, lies on the floor.
        values[:, 2] = np.maximum(values[:, 2], frame.low[2])
    inside = ((values >= frame.low) & (values <= frame.high)).all(1)
    order = np.flatnonzero(inside)[np.argsort(-weight[inside], kind="stable")]
    values, weight = values[order], weight[order]
    low, top = frame.scale.vmin or 0.0, frame.scale.vmax or 1.0
    shade = np.maximum(weight, low) if frame.weight else values[:, 2]
    share = weight / top if frame.weight else np.ones(len(weight))
    colours = matplotlib.colormaps[COLOURS](frame.scale(shade))
    return Scene(
        title=_title(name, one, schema, event, int((~inside).sum())),
        values=values,
        points=frame.place(values),
        weight=weight,
        radii=np.maximum(frame.largest * np.maximum(np.sqrt(share), _SMALLEST[1]), _SMALLEST[0]),
        colours=np.asarray(colours)[:, :3],
    )


def _select(name: str, batch: Batch, schema: Schema, events: Sequence[int]) -> Batch:
    if batch.pos.shape[1] != len(schema.axes):
        raise ArgumentError(
            f"clouds of {name!r}: got {batch.pos.shape[1]} coordinates, "
            f"expected the {len(schema.axes)} of the schema"
        )
    wrong = [event for event in events if not 0 <= event < batch.num_graphs]
    if wrong or not len(events):
        raise ArgumentError(
            f"events of {name!r}: got {wrong[0] if wrong else 'none'}, "
            f"expected numbers from 0 to {batch.num_graphs - 1}"
        )
    return convention.select(batch, list(events)).detach().cpu()


def _axes(batch: Batch, schema: Schema) -> tuple[tuple[Quantity, Quantity, Quantity], str]:
    """The three axes, and how the third came about."""
    axes = [*schema.axes[:3]]
    if len(axes) == 3:
        return (axes[0], axes[1], axes[2]), ""
    second = axes[1] if len(axes) == 2 else Quantity("nothing", symbol="")
    if batch.get("layer") is not None:
        return (axes[0], second, Quantity("layer")), "height: layer"
    if batch.get("weight") is None or schema.weight is None:
        return (axes[0], second, Quantity("nothing")), "height: none"
    weight, unit = schema.weight, f"/{schema.weight.unit}" if schema.weight.unit else ""
    text = f"$\\log_{{10}}$({symbol(weight)}{mathtext(unit)})"
    height = Quantity(f"log10({weight.name}{unit})", symbol=text)
    return (axes[0], second, height), f"height: {text}"


def _carried(shown: Sequence[Batch], schema: Schema, weight: Floats) -> Quantity | None:
    """What the points carry; None where they have no weight, or where all weights are 0."""
    known = all(batch.get("weight") is not None for batch in shown)
    return schema.weight if known and (not len(weight) or (weight > 0).any()) else None


def coordinates(batch: Batch) -> Floats:
    """Three coordinates of each point [N, 3], lifted where there are fewer."""
    pos: Floats = batch.pos.double().numpy()
    if pos.shape[1] >= 3:
        return pos[:, :3]
    flat = np.zeros((len(pos), 3))
    flat[:, : pos.shape[1]] = pos
    if batch.get("layer") is not None:
        flat[:, 2] = batch.layer.numpy()
    elif batch.get("weight") is not None:
        with np.errstate(divide="ignore"):
            flat[:, 2] = np.log10(weights(batch))
    return flat


def weights(batch: Batch) -> Floats:
    """What each point carries [N]."""
    weight: Floats = convention.weights(batch).double().numpy()
    return weight


def _limits(values: Floats, lifted: bool) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return -1.0, 1.0
    low, high = known.min(), known.max()
    inner = np.quantile(known, [_TAIL, 1 - _TAIL], method="closest_observation")
    if high - low > _FAR * (inner[1] - inner[0]) > 0:
        low, high = inner
    # The floor of a lifted cloud is a little below its lowest point, whose stem is then seen.
    pad = 0.04 * (high - low) or 0.5
    return float(low - (2 if lifted else 1) * pad), float(high + pad)


def _size(axes: Sequence[Quantity], span: Floats, lifted: bool) -> Floats:
    if lifted:
        return np.array([1.0, 1.0, 0.75])
    if len({axis.unit for axis in axes}) == 1:
        return np.maximum(span / span.max(), 1 / 3)
    return np.ones(3)


def _ticks(
    low: float, high: float, size: float, names: Sequence[str]
) -> tuple[tuple[float, str], ...]:
    if names:
        return tuple((float(place), mathtext(name)) for place, name in enumerate(names))
    places: Any = MaxNLocator(max(round(5 * size), 2), steps=[1, 2, 2.5, 5, 10]).tick_values(
        low, high
    )
    step = places[1] - places[0]
    # Rounding noise around zero would be printed as 1e-17.
    return tuple((float(p), f"{round(p / step) * step:.4g}") for p in places if low <= p <= high)


def _scale(weight: Floats) -> LogNorm:
    positive = weight[weight > 0]
    high = float(positive.max()) if len(positive) else 1.0
    low = max(float(positive.min()), _DECADES * high) if len(positive) else 0.1
    return LogNorm(low if low < high else high / 10, high, clip=True)


def _title(name: str, one: Batch, schema: Schema, event: int, outside: int) -> str:
    label, kind = one.get("label"), ""
    if label is not None and 0 <= int(label[0]) < len(schema.labels):
        kind = f" ({schema.labels[int(label[0])]})"
    text = f"{len(one.pos)} point{'s' * (len(one.pos) != 1)}"
    if schema.weight is not None:
        text += f", sum {float(convention.total(one)[0]):.4g} {schema.weight.unit}".rstrip()
    text += f", {outside} outside the frame" if outside else ""
    rows = [*textwrap.wrap(one_line(f"{name}, event {event}{kind}"), _ROW), text]
    return "\n".join(map(mathtext, rows))
