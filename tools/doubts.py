"""Numbers that can hardly mean what their names say: a line for each, none where all is well."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.escaping import one_line
from pcgen.metrics.scores.wasserstein import wasserstein1
from pcgen.periods import beyond_period, reach
from pcgen.schema import Quantity, Schema

FACTOR = 300.0
"""Means further apart are those of other units: MeV and GeV, mm and m."""
POINTS = 10_000
"""Most points of a side whose axes are compared, at least :data:`FEWEST`."""
FEWEST = 50


def doubts(real: Batch, generated: Batch, schema: Schema) -> list[str]:
    """What two sets of events have in common by name, but hardly in meaning.

    Args:
        real: Real events.
        generated: Events that mean the same, by their schema.
        schema: Of both.
    """
    return [
        *beyond_period(reach(real.pos), schema, "real events"),
        *beyond_period(reach(generated.pos), schema, "generated events"),
        *_other_units(real, generated, schema),
        *_swapped(real.pos, generated.pos, schema.axes),
    ]


def _other_units(real: Batch, generated: Batch, schema: Schema) -> list[str]:
    """Quantities whose mean size differs by about a factor of a thousand."""
    sides = [_columns(clouds, schema) for clouds in (real, generated)]
    lines = []
    for what, column in sides[0].items():
        if what not in sides[1]:
            continue
        here, there = (float(_mean_size(side)) for side in (column, sides[1][what]))
        if min(here, there) > 0 and not 1 / FACTOR < there / here < FACTOR:
            lines.append(
                f"generated events: {what} is {there:.4g} in the mean, {there / here:.3g} times "
                f"that of the real events ({here:.4g}): another unit?"
            )
    return lines


def _columns(clouds: Batch, schema: Schema) -> dict[str, Tensor]:
    """Values of the axes, the weight, the features and the conditions by what they are."""
    found = {}
    groups = (
        ("axis", schema.axes, clouds.pos),
        ("feature", schema.features, clouds.get("x")),
        ("condition", schema.condition, clouds.get("y")),
    )
    for kind, quantities, values in groups:
        if values is not None:
            for quantity, column in zip(quantities, values.unbind(1), strict=False):
                if quantity.categories:
                    continue
                found[f"{kind} {_name(quantity)}"] = column
    if schema.weight is not None and clouds.get("weight") is not None:
        found[f"weight {_name(schema.weight)}"] = pc.weights(clouds)
    return found


def _mean_size(values: Tensor) -> Tensor:
    values = values.detach().double().abs()
    values = values[values.isfinite()]
    return values.mean() if len(values) else values.new_zeros(())


def _swapped(real: Tensor, generated: Tensor, axes: Sequence[Quantity]) -> list[str]:
    """Pairs of axes each of which is far more like the other one of the real events."""
    some = [_some(pos) for pos in (real, generated)]
    if min(map(len, some)) < FEWEST:
        return []
    widths = some[0].std(0)
    lines = []
    for i, j in itertools.combinations(range(len(axes)), 2):
        if not bool(widths[i] > 0) or not bool(widths[j] > 0):
            continue
        straight = _apart(some, i, i, widths) + _apart(some, j, j, widths)
        crossed = _apart(some, i, j, widths) + _apart(some, j, i, widths)
        if straight > 0.3 and crossed < straight / 4:
            lines.append(
                f"generated events: {_name(axes[i])} and {_name(axes[j])} look swapped, each is "
                "more like the other one of the real events"
            )
    return lines


def _some(pos: Tensor) -> Tensor:
    """Points from all over the events, in float64."""
    pos = pos.detach()[pos.isfinite().all(1)]
    chosen = torch.linspace(0, max(len(pos) - 1, 0), min(len(pos), POINTS), dtype=torch.double)
    return pos[chosen.round().long()].double()


def _apart(sides: Sequence[Tensor], i: int, j: int, widths: Tensor) -> float:
    """Distance of real axis i from generated axis j, in widths of the real one."""
    return float(wasserstein1(sides[0][:, i], sides[1][:, j]) / widths[i])


def _name(quantity: Quantity) -> str:
    unit = f" [{quantity.unit}]" if quantity.unit else ""
    return one_line(quantity.name + unit)
