"""Showers into a file: clouds into the voxels of a calorimeter, block after block.

A calorimeter whose layers are alike has images too, the layers being their first axis.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import io
from pcgen.conversion.blocks import Reading
from pcgen.conversion.file_to_file import Converted
from pcgen.conversion.writing import Target, check_filled, write_images
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter
from pcgen.images import Outside, cloud_to_shower, in_calorimeter, shower_overflow
from pcgen.images.multi_hit import MultiHit
from pcgen.images.showers import INCIDENT
from pcgen.schema import Schema
from pcgen.units import factor


class Placing(NamedTuple):
    """How points become voxels.

    Attributes:
        outside: What becomes of points outside of them.
        multi_hit: Where points go that share a voxel.
        seed: Of its randomness.
    """

    outside: Outside
    multi_hit: MultiHit
    seed: int


def write_showers(
    reading: Reading, target: Target, calorimeter: Calorimeter, placing: Placing
) -> Converted:
    """Write all events that are read as showers.

    Args:
        reading: The events: showers of this calorimeter, or clouds.
        target: Where to; its schema is that of the events.
        calorimeter: The voxels.
        placing: How points become voxels.

    Raises:
        ArgumentError: the clouds have no energies, or no incident energy, or other coordinates.
        DataError: a point is outside the calorimeter and must not be.
    """
    path, format = target.path, target.format
    attrs = {n: value for n, value in target.attrs.items() if n not in ("grid", "calorimeter")}
    points, out, lost = 0, 0, 0.0
    generator = torch.Generator().manual_seed(placing.seed)
    make = partial(
        _as_showers,
        schema=target.schema,
        calorimeter=calorimeter,
        placing=placing,
        path=reading.source.path,
    )
    with io.shower_writer(path, calorimeter, format=format, attrs=attrs) as sink:
        for _, (part, number, weight) in reading.each("convert", make):
            out, lost = out + number, lost + weight
            if not isinstance(part, io.Images):  # random numbers go on from block to block
                part = _placed(part, calorimeter, placing, generator)
            sink.append(part)
            points += int((part.image > 0).sum())
        check_filled(points, reading)
    number = len(reading.events)
    return Converted(number, points, out, lost, format, missing=reading.missing)


def write_layers(
    reading: Reading, target: Target, calorimeter: Calorimeter, placing: Placing
) -> Converted:
    """Write all events as images of the layers of a calorimeter, which has a grid.

    Raises:
        ArgumentError: the clouds have no energies, or other coordinates.
        DataError: a point is outside the calorimeter and must not be.
    """
    grid = calorimeter.grid
    assert grid is not None
    make = partial(
        _as_layers,
        schema=target.schema,
        calorimeter=calorimeter,
        placing=placing,
        path=reading.source.path,
    )
    schema = dataclasses.replace(
        target.schema,
        axes=grid.axes,
        layers=grid.layers,
        weight=calorimeter.schema.weight,
        features=(),
    )
    return write_images(reading, target._replace(schema=schema), grid, placing.outside, make)


def _as_layers(
    part: Batch | io.Images, first: int, *, calorimeter: Calorimeter, **options: Any
) -> tuple[io.Images, int, float]:
    """A block as images, with its own conditions and classes."""
    showers, number, weight = _as_showers(part, first, calorimeter=calorimeter, **options)
    assert isinstance(showers, io.Images)
    image = showers.image.view(-1, *calorimeter.shape)
    if isinstance(part, io.Images):
        return part._replace(image=image), number, weight
    return io.Images(image, part.get("y"), part.get("label")), number, weight


def _as_showers(
    part: Batch | io.Images,
    first: int,
    *,
    schema: Schema,
    calorimeter: Calorimeter,
    placing: Placing,
    path: Path,
) -> tuple[Batch | io.Images, int, float]:
    """A block as showers, and number and weight of the points that are outside.

    Where random numbers place the points it stays clouds.
    """
    if isinstance(part, io.Images):
        unit = "" if schema.weight is None else schema.weight.unit
        image = part.image.flatten(1) * factor(unit, "MeV", "weight")
        return io.Images(image, _incident(part.y, schema)), 0, 0.0
    clouds = in_calorimeter(part, schema, calorimeter)
    over = shower_overflow(clouds, calorimeter)
    number = int(over.points.sum())
    if number and placing.outside == "error":
        event = int(over.points.nonzero()[0])
        raise DataError(
            f"{path}: {int(over.points[event])} points of event {first + event} are outside the "
            "calorimeter; --outside drop or --outside clip would take them"
        )
    weight = float(over.weight.double().sum())
    if placing.multi_hit != "sum":
        return clouds, number, weight
    return _placed(clouds, calorimeter, placing, None), number, weight


def _placed(
    clouds: Batch, calorimeter: Calorimeter, placing: Placing, generator: torch.Generator | None
) -> io.Images:
    image = cloud_to_shower(
        clouds,
        calorimeter,
        outside=placing.outside,
        multi_hit=placing.multi_hit,
        generator=generator,
    )
    return io.Images(image, clouds.get("y"))


def _incident(y: Tensor | None, schema: Schema) -> Tensor | None:
    """Of all conditions the one that files of showers store, [B, 1] in MeV."""
    if y is None or INCIDENT not in [each.name for each in schema.condition]:
        return None
    column = [each.name for each in schema.condition].index(INCIDENT)
    return y[:, column : column + 1] * factor(schema.condition[column].unit, "MeV", INCIDENT)


def check_incident(schema: Schema, path: object) -> None:
    """Refuse events without the energy of the incoming particle.

    Raises:
        ArgumentError: naming the conditions that they have.
    """
    known = [each.name for each in schema.condition]
    if INCIDENT not in known:
        raise ArgumentError(
            f"condition: got {', '.join(known) or 'none'} in {path}, expected {INCIDENT}, which "
            f"files of showers store; for instance --condition '{INCIDENT} [GeV]=energy.npy'"
        )
