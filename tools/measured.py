"""Measurements as they are typed, and the events or values that a file holds of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pcgen.bounds import CELLS, whole_number
from pcgen.errors import ArgumentError, DataError
from pcgen.tools.meaning import check_meaning

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from torch import Tensor

    from pcgen.grids import Grid
    from pcgen.images.measurements import Measurement
    from pcgen.models.base import GenerativeModel
    from pcgen.models.noise_to_image import Given
    from pcgen.schema import Schema

KINDS = "pooled:CELLS, dead:FILE.npy or dead:FRACTION, project:AXIS,AXIS or random:NUMBER"


class Measured(NamedTuple):
    """What was measured of B events.

    Attributes:
        y: Measurements [B, m].
        truth: Images [B, \\*shape]; None where the file holds measurements alone.
        given: Conditions and classes, as far as the file has them.
    """

    y: Tensor
    truth: Tensor | None
    given: Given


def kind_of(text: str) -> tuple[str, str]:
    """What is measured, and the number, file or axes of it.

    Raises:
        ArgumentError: it is none of :data:`KINDS`.
    """
    kind, _, rest = text.partition(":")
    number = whole_number(rest)
    known = {"pooled": number, "random": number, "project": rest, "dead": rest}
    if not known.get(kind):
        raise ArgumentError(f"measure: got {text!r}, expected {KINDS}")
    return kind, rest


def measurement_of(text: str, grid: Grid, seed: int) -> Measurement:
    """The operator that ``--measure`` names.

    Args:
        text: Kind and numbers.
        grid: Cells of the images.
        seed: Of dead cells and factors that are drawn.

    Raises:
        ArgumentError: it is no such operator, or does not fit the grid.
        FileError: the file of dead cells cannot be read.
    """
    import torch

    from pcgen.images.measurements import Alive, Mixed, pooled_grid, profiles_of_grid

    kind, rest = kind_of(text)
    if kind == "pooled":
        return pooled_grid(grid, int(rest))
    if kind == "random":
        CELLS.check(int(rest) * math.prod(grid.shape), "measure", ArgumentError)
        return Mixed.random(grid.shape, int(rest), seed=seed)
    if kind == "project":
        return profiles_of_grid(grid, rest.split(","))
    try:
        fraction = float(rest)
    except ValueError:
        return Alive(~_dead(Path(rest), grid))
    if not 0 <= fraction < 1:
        raise ArgumentError(f"measure: got {text!r}, expected a fraction from 0 and below 1")
    draw = torch.Generator().manual_seed(seed)
    return Alive(torch.rand(grid.shape, generator=draw) >= fraction)


def _dead(path: Path, grid: Grid) -> Tensor:
    """Which cells are dead [\\*shape]."""
    import torch

    from pcgen.io.columns import read_array
    from pcgen.io.source import existing_file

    with existing_file(path).open("rb") as file:
        array = read_array(file, str(path))
    if array.shape != grid.shape or array.dtype.kind not in "biu":
        raise DataError(
            f"{path}: got {array.dtype} {array.shape}, expected booleans {grid.shape}, true where "
            "a cell is dead"
        )
    return torch.from_numpy(array != 0)


def grid_of(model: GenerativeModel, path: str, text: str | None) -> Grid:
    """The cells of the images: those that are given, of the model, or of the file.

    Raises:
        ArgumentError: none of them is known, or they differ from the model's own.
    """
    from pcgen.grids import Grid
    from pcgen.io import ImageSource, open_file

    own: Grid | None = getattr(model.representation, "grid", None)
    if own is not None:
        if text is not None and Grid.parse(text, model.schema.axes).matched(model.schema) != own:
            raise ArgumentError(f"grid: got {text!r}, expected none: that of the model is {own}")
        return own
    if text is not None:
        return Grid.parse(text, model.schema.axes).matched(model.schema)
    with open_file(path) as source:
        if isinstance(source, ImageSource) and source.grid is not None:
            return source.grid.matched(model.schema)
    axis = model.schema.axes[0].name
    raise ArgumentError(
        f"grid: got none, and neither {path} nor the model has one, expected the cells that are "
        f"measured, {axis}:-0.4:0.4:20,... say"
    )


def read(
    path: str, split: str, number: int | None, schema: Schema, grid: Grid, measurement: Measurement
) -> Measured:
    """Events of a file as images and what is measured of them, or measurements.

    Args:
        path: Clouds, or images on the grid; or images of as many cells as there are measurements,
            which are these.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``.
        number: Of the first so many events; None: of all.
        schema: Of the model.
        grid: Cells of the images.
        measurement: The operator.

    Raises:
        DataError: the events are not those of the model, or of other cells.
        FileError: the file cannot be read.
    """
    from pcgen.datasets.splits import split_index
    from pcgen.io import ImageSource, open_file
    from pcgen.models.noise_to_image import Given

    with open_file(path) as source:
        if not isinstance(source, ImageSource):
            return _of_clouds(path, split, number, schema, grid, measurement)
        rows = split_index(len(source), split)[:number]
        found = source.read()
    image = found.image[rows].float()
    named = source.schema
    y = found.y[rows].float() if found.y is not None and schema.condition else None
    label = found.label[rows] if found.label is not None and schema.labels else None
    if named is not None and (
        (y is not None and named.condition != schema.condition)
        or (label is not None and named.labels != schema.labels)
    ):
        raise DataError(f"{path}: got other conditions or classes, expected those of the model")
    given = Given(y, label)
    if tuple(image.shape[1:]) == grid.shape:
        return Measured(measurement(image), image, given)
    if math.prod(image.shape[1:]) == measurement.number:
        return Measured(image.flatten(1), None, given)
    raise DataError(
        f"{path}: got images of {tuple(image.shape[1:])} cells, expected {grid.shape} as in the "
        f"grid, or the {measurement.number} values that are measured"
    )


def _of_clouds(
    path: str, split: str, number: int | None, schema: Schema, grid: Grid, measurement: Measurement
) -> Measured:
    from pcgen.datasets.loading import open_clouds
    from pcgen.images import cloud_to_image
    from pcgen.models.noise_to_image import Given

    events = open_clouds(path, split)
    check_meaning(schema, events.schema, path, "the model was trained for")
    clouds = events.read(0, len(events) if number is None else min(number, len(events)))
    image = cloud_to_image(clouds, grid, outside="drop").float()
    y = clouds.get("y") if schema.condition else None
    label = clouds.get("label") if schema.labels else None
    return Measured(measurement(image), image, Given(y, label))
