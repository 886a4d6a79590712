"""A grid as one word of a command line, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from pcgen.bounds import EDGES
from pcgen.errors import ArgumentError
from pcgen.schema import Quantity
from pcgen.units import angle, typed

Edges = tuple[float, ...]


def parse(
    text: str, axes: Sequence[Quantity]
) -> tuple[tuple[Quantity, ...], tuple[Edges, ...], tuple[str, ...]]:
    """Axes, edges and layers that ``text`` gives (see :meth:`pcgen.grids.Grid.parse`)."""
    known = {axis.name: axis for axis in axes}
    words = [word.strip() for word in text.split(",")]
    layers: tuple[str, ...] = ()
    if words[0].startswith("layers="):
        layers = tuple(words.pop(0).removeprefix("layers=").split("/"))
    parsed = [_parse_axis(word, known) for word in words]
    return tuple(axis for axis, _ in parsed), tuple(edges for _, edges in parsed), layers


def write(axes: Sequence[Quantity], edges: Sequence[Edges], layers: Sequence[str]) -> str:
    """The text that :func:`parse` reads back (symbols are not part of it)."""
    words = [f"layers={'/'.join(layers)}"] if layers else []
    for axis, values in zip(axes, edges, strict=True):
        cells = len(values) - 1
        if values == regular(axis.name, values[0], values[-1], cells):
            span = f"{typed(values[0])}:{typed(values[-1])}:{cells}"
        else:
            span = "/".join(map(typed, values))
        tail = f":{axis.unit}:{typed(axis.period)}" if axis.period else f":{axis.unit}"
        words.append(f"{axis.name}:{span}{tail if axis.unit or axis.period else ''}")
    return ",".join(words)


def regular(name: str, low: float, high: float, cells: int) -> Edges:
    """Edges of ``cells`` cells of equal width from ``low`` to ``high``."""
    if cells < 1 or cells != int(cells) or not low < high:
        raise ArgumentError(
            f"axis {name!r}: got {cells} cells from {low} to {high}, "
            "expected at least one, the lower end first"
        )
    cells = int(cells)
    EDGES.check(cells, f"axis {name!r}", ArgumentError)
    inner = (low + (high - low) * number / cells for number in range(1, cells))
    return (float(low), *inner, float(high))


def _parse_axis(text: str, known: Mapping[str, Quantity]) -> tuple[Quantity, Edges]:
    try:
        name, first, *rest = text.split(":")
        if "/" in first:
            edges = tuple(angle(edge) for edge in first.split("/"))
        else:
            low, high, cells, *rest = (first, *rest)
            edges = regular(name, angle(low), angle(high), int(cells))
        if not name or len(rest) > 2:
            raise ValueError("a field too many or too few")
        axis = known.get(name, Quantity(name))
        if rest and rest[0]:
            axis = dataclasses.replace(axis, unit=rest[0])
        if len(rest) == 2:
            axis = dataclasses.replace(axis, period=angle(rest[1]))
    except ArgumentError:
        raise
    except ValueError as error:
        raise ArgumentError(
            f"axis of grid: got {text!r}, expected name:low:high:cells[:unit[:period]] "
            f"or name:edge/edge/...[:unit[:period]] ({error})"
        ) from error
    return axis, edges
