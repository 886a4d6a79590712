"""Event displays: the points of single events in two coordinates, by their weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError
from pcgen.escaping import label, mathtext
from pcgen.plotting.figures import COLOURS, SCALE, new, tidy, wrapped
from pcgen.schema import Quantity, Schema

Floats = NDArray[np.float64]

_LARGEST, _ALIKE = 160.0, 14.0
"""Area of the heaviest point, and of points that only count, in square points of typography."""


def event_displays(
    samples: Mapping[str, Batch],
    schema: Schema,
    *,
    number: int = 4,
    first: int = 0,
    axes: tuple[int, int] = (0, 1),
    title: str = "",
) -> Figure:
    """Single events, one row per sample (real, generated, ...) and one column per event.

    The area of a point is proportional to its weight, its colour gives the weight on a logarithmic
    scale, and all panels share limits and scales. Points that only count are all alike. Clouds of
    one coordinate are drawn as weight over coordinate.

    Args:
        samples: Clouds by the name of their origin.
        schema: What the numbers mean.
        number: Events of each sample.
        first: Index of the first event.
        axes: Which two coordinates.
        title: Title of the picture; no formulae.

    Raises:
        ArgumentError: a sample has no event ``first``, or the axes are not two of the schema's.
    """
    pair = _axes(schema, axes)
    shown = {name: _take(name, batch, first, number) for name, batch in samples.items()}
    columns = max(batch.num_graphs for batch in shown.values())
    figure = new(2.6 * columns + 1.2, 2.7 * len(shown) + 0.4)
    panels = figure.subplots(len(shown), columns, squeeze=False, sharex=True, sharey=True)
    values = {name: _columns(batch, pair) for name, batch in shown.items()}
    carried = any(batch.get("weight") is not None for batch in shown.values())
    scale = _scale(np.concatenate([each[2] for each in values.values()])) if carried else None
    marks = None
    for row, (name, batch) in zip(panels, shown.items(), strict=True):
        for panel in row[batch.num_graphs :]:
            panel.set_visible(False)
        for event, panel in enumerate(row[: batch.num_graphs]):
            rows = slice(int(batch.ptr[event]), int(batch.ptr[event + 1]))
            x, y, weight = (column[rows] for column in values[name])
            marks = _event(panel, x, y, weight, scale)
            panel.set_title(_caption(name, batch, schema, event, first), fontsize=9)
    _decorate(figure, panels, schema, pair, marks if carried else None)
    if title:
        figure.suptitle(mathtext(title))
    return figure


def _axes(schema: Schema, axes: tuple[int, int]) -> tuple[int, ...]:
    if len(schema.axes) == 1:
        return (0,)
    if len(axes) != 2 or axes[0] == axes[1] or not all(0 <= a < len(schema.axes) for a in axes):
        raise ArgumentError(
            f"axes: got {axes}, expected two different numbers from 0 to {len(schema.axes) - 1}"
        )
    return tuple(axes)


def _take(name: str, batch: Batch, first: int, number: int) -> Batch:
    if not 0 <= first < batch.num_graphs or number < 1:
        raise ArgumentError(
            f"events of {name!r}: got {number} from {first} on, "
            f"expected at least one, the first below {batch.num_graphs}"
        )
    return convention.select(batch, slice(first, first + number)).detach().cpu()


def _columns(batch: Batch, pair: tuple[int, ...]) -> tuple[Floats, Floats, Floats]:
    weight: Floats = convention.weights(batch).double().numpy()
    pos: Floats = batch.pos.double().numpy()
    return pos[:, pair[0]], pos[:, pair[1]] if len(pair) > 1 else weight, weight


def _scale(weight: Floats) -> LogNorm:
    """Colours from the smallest to the largest weight, at most four decades."""
    positive = weight[weight > 0]
    high = float(positive.max()) if len(positive) else 1.0
    low = float(positive.min()) if len(positive) else 0.1
    low = max(low, high * 1e-4)
    return LogNorm(low, high if high > low else 10 * low, clip=True)


def _event(
    panel: Axes, x: Floats, y: Floats, weight: Floats, scale: LogNorm | None
) -> PathCollection:
    order = np.argsort(-weight)
    style: dict[str, Any] = {"s": _ALIKE, "color": COLOURS[0]}
    if scale is not None:
        area = _LARGEST * weight / (scale.vmax or 1.0)
        style = {
            # A point that carries something is never too small to be seen.
            "s": np.maximum(area, 2.0)[order],
            "c": np.maximum(weight, scale.vmin or 0.0)[order],
            "norm": scale,
            "cmap": SCALE,
        }
    return panel.scatter(x[order], y[order], alpha=0.85, linewidths=0.0, **style)


def _caption(name: str, batch: Batch, schema: Schema, event: int, first: int) -> str:
    classes = batch.get("label")
    kind = ""
    if classes is not None and 0 <= int(classes[event]) < len(schema.labels):
        kind = f" ({schema.labels[int(classes[event])]})"
    points = int(convention.sizes(batch)[event])
    numbers = f"{points} points"
    if schema.weight is not None:
        total, unit = float(convention.total(batch)[event]), schema.weight.unit
        numbers = f"{numbers}, sum {total:.4g} {unit}".rstrip()
    return "\n".join(
        wrapped(text, 34) for text in (f"{name}, event {first + event}{kind}", numbers)
    )


def _decorate(
    figure: Figure,
    panels: NDArray[Any],
    schema: Schema,
    pair: tuple[int, ...],
    marks: PathCollection | None,
) -> None:
    weight = schema.weight or Quantity("weight (1/n)")
    vertical = schema.axes[pair[1]] if len(pair) > 1 else weight
    for panel in panels.flat:
        tidy(panel)
        panel.set_axisbelow(True)
        panel.grid(color="0.92", linewidth=0.6)
    for panel in panels[-1]:
        panel.set_xlabel(label(schema.axes[pair[0]]))
    for panel in panels[:, 0]:
        panel.set_ylabel(label(vertical))
    if marks is not None:
        bar = figure.colorbar(marks, ax=panels.ravel().tolist(), aspect=35, pad=0.01)
        bar.set_label(label(weight))
