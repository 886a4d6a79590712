"""From the plain values of a recipe of showers to its parts, layer by layer."""

from __future__ import annotations

from typing import Any

from pcgen.datasets.calorimeters import detector
from pcgen.errors import at_least
from pcgen.grids import Calorimeter
from pcgen.models.layer_totals import Law
from pcgen.models.representations import Layered
from pcgen.models.representations.layered import given_channels
from pcgen.nn import LayeredEncoder, LayeredField, LayerProfileField
from pcgen.schema import Schema


def layered(
    schema: dict[str, Any] | None,
    calorimeter: dict[str, Any] | None,
    *,
    totals: Law,
    depth: str | None,
    squash: float | None,
    width: int,
) -> Layered:
    """Points in layers of a schema as it is stored; by default in those of the usual cylinder."""
    cells = None if calorimeter is None else Calorimeter.from_dict(calorimeter)
    if schema is None:
        usual = detector("cylinder").calorimeter
        cells, meaning = cells or usual, usual.schema
    else:
        meaning = Schema.from_dict(schema)
    at_least(1, layer_width=width)
    field = LayerProfileField(
        len(meaning.layers), condition_channels=given_channels(meaning), hidden=width
    )
    return Layered(meaning, field, totals=totals, depth=depth, squash=squash, calorimeter=cells)


def encoder(representation: Layered, *, hidden: int, layers: int) -> LayeredEncoder:
    """Features [B, hidden] of points in layers."""
    return LayeredEncoder(
        representation.value_channels,
        hidden,
        representation.layers,
        condition_channels=representation.condition_channels,
        event_channels=representation.condition_channels - 2 * representation.layers,
        hidden=hidden,
        layer_channels=max(hidden // 2, 1),
        depth=layers,
    )


def field(representation: Layered, *, hidden: int, layers: int, further: int = 0) -> LayeredField:
    """The velocity of points in layers."""
    at_least(1, hidden=hidden)
    at_least(0, layers=layers)
    return LayeredField(
        representation.value_channels,
        representation.layers,
        condition_channels=representation.condition_channels + further,
        event_channels=representation.condition_channels - 2 * representation.layers,
        hidden=hidden,
        layer_channels=max(hidden // 2, 1),
        depth=layers,
    )
