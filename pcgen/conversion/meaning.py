"""What the numbers of a target mean: its cells, its schema, and what it has no place for."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from pcgen import io
from pcgen.conversion.own_columns import quantity
from pcgen.errors import ArgumentError
from pcgen.formats import FORMATS, Kind
from pcgen.grids import Calorimeter, Grid
from pcgen.images.showers import INCIDENT
from pcgen.io.hgcal import HgcalFile
from pcgen.io.showerdata import DIRECTION, TIME
from pcgen.io.showerdata import INCIDENT as INCIDENT_ENERGY
from pcgen.schema import Quantity, Schema


def calorimeter_of(
    source: io.CloudSource | io.ImageSource,
    wanted: Kind,
    given: Calorimeter | None,
    grid: str | None,
) -> Calorimeter | None:
    """The voxels of showers that are read or written: those that were given, or of the source.

    Args:
        source: File of the events.
        wanted: What is written.
        given: The voxels, if they were given.
        grid: A grid as text, if one was given for images.

    Returns:
        None where neither the source nor the target has voxels.

    Raises:
        ArgumentError: there is none, and one of the two needs it; or images have other cells.
        FileError: what the source states of its voxels makes no calorimeter.
    """
    own = source.calorimeter if isinstance(source, io.CloudSource | io.ShowerSource) else None
    if "showers" not in (source.kind, wanted):
        drawn = wanted == "images" and grid is None and "grid" not in source.attrs
        if own is None or not drawn:
            return None
        _check_array(source, own)
        return own
    if given is None and own is None:
        example = "--geometry cells.npz, a list of its cells"
        if not isinstance(source, HgcalFile):
            example = "--geometry binning_dataset_2.xml of the CaloChallenge (and --particle NAME "
            example += "where it has several)"
        raise ArgumentError(
            f"geometry: got none and {source.path} does not know the voxels of its calorimeter, "
            f"expected a file that describes them, for instance {example}"
        )
    cells = given or own
    if "images" in (source.kind, wanted) and cells is not None:
        _check_array(source, cells)
    return cells


def _check_array(source: io.CloudSource | io.ImageSource, cells: Calorimeter) -> None:
    """Refuse images of a calorimeter whose layers differ, or that have another shape."""
    if cells.grid is None and source.kind == "clouds":
        raise ArgumentError(
            f"grid: got none and the layers of the calorimeter of {source.path} have different "
            "cells, expected for instance --grid x:-50:50:20,y:-50:50:20"
        )
    if cells.grid is None:
        raise ArgumentError(
            f"{source.path}: got {source.kind}, expected clouds: showers and images become each "
            "other where all layers of the calorimeter have the same cells"
        )
    if isinstance(source, io.ImageSource) and source.shape not in ((cells.voxels,), cells.shape):
        raise ArgumentError(
            f"{source.path}: got images of shape {source.shape}, expected the {cells.shape} of the "
            "calorimeter"
        )


def number_of_cells(source: io.CloudSource | io.ImageSource, grid: Grid | None) -> int:
    """Of the image of an event that is read or written; 1 where there is none."""
    if isinstance(source, io.ImageSource):
        return math.prod(source.shape)
    return 1 if grid is None else math.prod(grid.shape)


def grid_of(source: io.CloudSource | io.ImageSource, wanted: Kind, text: str | None) -> Grid | None:
    """Cells of the images that are read or written: those that were given, or of the source.

    Args:
        source: File of the events.
        wanted: What is written.
        text: A grid as text, where one was given.

    Returns:
        None where clouds stay clouds, or a calorimeter has the cells.

    Raises:
        ArgumentError: there is none, or it does not fit the source.
    """
    if "images" not in (source.kind, wanted) or "showers" in (source.kind, wanted):
        return None
    schema = source.schema or Schema(axes=())
    if text is None and source.grid is not None:
        return source.grid
    if text is None:
        raise ArgumentError(
            f"grid: got none and {source.path} does not know its cells, expected for instance "
            f"--grid eta_rel:-0.4:0.4:25,phi_rel:-0.4:0.4:25:rad:2pi"
        )
    grid = Grid.parse(text, schema.axes)
    names = {axis.name: axis for axis in schema.axes}
    for axis in grid.axes:
        _check_same("grid", axis, names.get(axis.name), source.path)
    if isinstance(source, io.ImageSource):
        if grid.shape != source.shape:
            raise ArgumentError(
                f"grid: got {grid} of shape {grid.shape}, "
                f"expected the shape {source.shape} of the images in {source.path}"
                f"{_of_channels(grid, source.shape)}"
            )
        return grid
    if grid.layers and schema.layers and grid.layers != schema.layers:
        raise ArgumentError(
            f"grid: got the layers {', '.join(grid.layers)}, "
            f"expected {', '.join(schema.layers)} in this order as in {source.path}"
        )
    return dataclasses.replace(grid, layers=grid.layers or schema.layers)


def _of_channels(grid: Grid, shape: tuple[int, ...]) -> str:
    """What to add to the grid where images have an axis of channels in front; else nothing."""
    if grid.layers or grid.shape != shape[1:]:
        return ""
    names = "/".join(f"c{number}" for number in range(min(shape[0], 3)))
    more = "/..." if shape[0] > 3 else ""
    return f"; the {shape[0]} of an axis in front of these are named by layers={names}{more},..."


def meaning(
    source: io.CloudSource | io.ImageSource, grid: Grid | None, weight: str | None
) -> Schema:
    """What the numbers of the target mean; ``grid`` where there is one between the two.

    Raises:
        ArgumentError: ``weight`` is no quantity, or another one than that of the source.
    """
    schema = source.schema or Schema(axes=())
    carried = schema.weight
    if weight is not None:
        carried = quantity("weight", weight)
        if source.kind == "clouds" and schema.weight is None and grid is None:
            known = ", ".join(each.name for each in schema.features) or "none"
            raise ArgumentError(
                f"weight: got {weight!r}, but the points of {source.path} carry no weight (further "
                f"columns: {known}); expected a column that the file calls weight or energy"
            )
        _check_same("weight", carried, schema.weight, source.path)
    if grid is None:
        return dataclasses.replace(schema, weight=carried)
    return dataclasses.replace(
        schema,
        axes=grid.axes,
        layers=grid.layers,
        features=(),
        weight=carried or Quantity("weight"),
    )


def _check_same(option: str, given: Quantity, known: Quantity | None, path: Path) -> None:
    """Refuse to call a file's numbers something else: no number would change with the name.

    Raises:
        ArgumentError: the file has a unit or period and the option another, or another name; what
            has no unit may be given one.
    """
    if known is None:
        return
    period = known.period is None or given.period == known.period
    unit = not known.unit or (given.name, given.unit) == (known.name, known.unit)
    if not unit or not period:
        words = [_words(each) for each in (given, known)]
        raise ArgumentError(
            f"{option}: got {words[0]}, expected {words[1]} as in {path}, whose numbers an option "
            "does not convert; leave it out"
        )


def _words(quantity: Quantity) -> str:
    unit = f" [{quantity.unit}]" if quantity.unit else ""
    return f"{quantity.name}{unit}" + (f" with period {quantity.period}" if quantity.period else "")


def lost(source: io.CloudSource | io.ImageSource, format: str) -> tuple[str, ...]:
    """What the source has and the target cannot keep, by name.

    Images have no features (.npy is the numbers alone), showers the incident energy alone, and
    ShowerData has columns for what it knows.
    """
    paired = isinstance(source, io.CloudSource) and source.context_schema is not None
    if paired and format != "clouds":
        return ("the contexts", *_lost_of_events(source, format))
    return _lost_of_events(source, format)


def _lost_of_events(source: io.CloudSource | io.ImageSource, format: str) -> tuple[str, ...]:
    kind = FORMATS[format].kind
    if source.schema is None or (kind == "clouds" and format != "showerdata"):
        return ()
    if format == "showerdata":
        both = (*source.schema.features, *source.schema.condition)
        known = {each.name for each in (TIME, INCIDENT_ENERGY, *DIRECTION)}
        names = [each.name for each in both if each.name not in known]
        stored = isinstance(source, io.CloudSource | io.ShowerSource) and source.calorimeter
        return (*names, "calorimeter") if stored else tuple(names)
    names = [feature.name for feature in source.schema.features]
    if format == "npy" or kind == "showers":
        kept = INCIDENT if kind == "showers" else None
        names += [each.name for each in source.schema.condition if each.name != kept]
        names += ["classes"] if source.schema.labels else []
    return tuple(names)
