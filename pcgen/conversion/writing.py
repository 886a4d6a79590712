"""Events into a file of clouds or of images, block after block."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch_geometric.data import Batch

from pcgen import io
from pcgen.clouds import cast, replace, sizes
from pcgen.conversion.blocks import Reading
from pcgen.conversion.file_to_file import Converted
from pcgen.conversion.filling import Filling
from pcgen.conversion.precision import Written, check_precision, in_type
from pcgen.errors import DataError
from pcgen.grids import Grid
from pcgen.images import Outside, cloud_to_image, overflow, project
from pcgen.schema import Schema

if TYPE_CHECKING:
    from pcgen.conversion.pairs import Contexts


class Target(NamedTuple):
    """A file to write.

    Attributes:
        path: Where it will lie.
        format: Of it.
        schema: What its numbers mean.
        attrs: Facts of the source to store, where the format can.
        context_schema: What the numbers of the contexts mean; None: none are written.
    """

    path: str | Path
    format: str
    schema: Schema
    attrs: Mapping[str, Any]
    context_schema: Schema | None = None


def write_images(
    reading: Reading,
    target: Target,
    grid: Grid,
    outside: Outside,
    make: Callable[[Batch | io.Images, int], tuple[io.Images, int, float]] | None = None,
) -> Converted:
    """Write all events that are read as images.

    Args:
        reading: The events.
        target: Where to.
        grid: Its cells.
        outside: What becomes of points outside of them.
        make: A block and the number of its first event to images, and to number and weight of the
            points outside; None: into the cells of the grid.

    Raises:
        DataError: a point is outside the grid and must not be.
    """
    attrs = {
        name: value for name, value in target.attrs.items() if name not in ("grid", "calorimeter")
    }
    path, format, number = target.path, target.format, len(reading.events)
    points, out, lost = 0, 0, 0.0
    source = reading.source
    if make is None:
        columns = grid.columns(source.schema.axes) if isinstance(source, io.CloudSource) else ()
        make = partial(_as_images, grid=grid, columns=columns, outside=outside, path=source.path)
    with io.image_writer(path, number, grid, target.schema, format=format, attrs=attrs) as sink:
        for _, (part, number, weight) in reading.each("convert", make):
            out, lost = out + number, lost + weight
            sink.append(part)
            points += int((part.image > 0).sum())
        check_filled(points, reading)
    return Converted(len(reading.events), points, out, lost, format, missing=reading.missing)


def write_clouds(
    reading: Reading,
    target: Target,
    filling: Filling,
    dtype: str | None,
    particles: int | None,
    contexts: Contexts | None = None,
) -> Converted:
    """Write all events that are read as clouds.

    Args:
        reading: The events.
        target: Where to.
        filling: How images become clouds.
        dtype: Type of all floats; None: float32 where that holds the values, else float64.
        particles: Of a jet in JetNet's layout; None: as many as the largest one has.
        contexts: Of all events of the file, from another one; None: those that the events have.

    Raises:
        DataError: the contexts are of other events.
        PrecisionError: float32 was chosen and does not hold a value of float64.
    """
    attrs, cells = dict(target.attrs), filling.cells
    if cells is not None:
        attrs["grid" if isinstance(cells, Grid) else "calorimeter"] = cells.to_dict()
    if target.format == "jetnet" and particles is None:
        particles = _largest(reading, filling)
    most = 1 if particles is None else particles

    def write(stored: torch.dtype) -> Written:
        sink = io.cloud_writer(
            target.path,
            target.schema,
            format=target.format,
            attrs=attrs,
            particles=most,
            context_schema=target.context_schema,
        )
        return _append_all(reading, sink, filling, stored, contexts)

    written = in_type(write, dtype)
    return Converted(
        len(reading.events),
        written.points,
        format=target.format,
        unobserved=written.unobserved,
        negative=written.negative,
        missing=reading.missing,
        rounded=written.rounded,
        wide=written.wide,
        context=None if target.context_schema is None else written.context,
    )


def _append_all(
    reading: Reading,
    sink: io.CloudSink,
    filling: Filling,
    dtype: torch.dtype,
    contexts: Contexts | None,
) -> Written:
    points, rounded, removed, path = 0, False, Counter[str](), reading.source.path
    of_contexts = 0
    generator = torch.Generator().manual_seed(int(filling.seed))  # NumPy's whole numbers too
    with sink:
        for first, (clouds, without) in reading.each("convert", partial(filling, path=path)):
            removed.update(without)
            clouds = filling.finished(clouds, generator)
            clouds = clouds if contexts is None else contexts.beside(clouds, first)
            if sink.context_schema is None:
                clouds = replace(clouds, context=None)
            if dtype == torch.float32:
                rounded |= check_precision(clouds, first, path)
            sink.append(cast(clouds, dtype))
            points += len(clouds.pos)
            of_contexts += len(clouds.get("context_pos", ()))
        check_filled(points, reading)
    return Written(
        points,
        rounded,
        negative=removed["negative"],
        unobserved=removed["unobserved"],
        context=of_contexts,
    )


def _largest(reading: Reading, filling: Filling) -> int:
    """Points of the largest cloud, at least 1; images are read once more to know it."""
    if isinstance(reading.source, io.CloudSource):
        chosen = reading.source.sizes()[reading.events.start : reading.events.stop]
        most = max([1, *chosen.tolist()])
        return most if filling.max_points is None else min(most, filling.max_points)
    plain = dataclasses.replace(filling, jitter=False)
    largest = partial(_largest_of_block, filling=plain, path=reading.source.path)
    return max([1, *(number for _, number in reading.each("count", largest))])


def _largest_of_block(part: Batch | io.Images, first: int, *, filling: Filling, path: Path) -> int:
    return int(sizes(filling(part, first, path=path)[0]).max())


def check_filled(points: int, reading: Reading) -> None:
    """Refuse a target without a single point: such a file serves nobody and hides a mistake."""
    if points == 0:
        number = len(reading.events)
        raise DataError(
            f"{reading.source.path}: got {number} event{'s' * (number != 1)} without a filled cell "
            "or a point (above the threshold, inside the grid), expected at least one"
        )


def _as_images(
    part: Batch | io.Images,
    first: int,
    *,
    grid: Grid,
    columns: Sequence[int],
    outside: Outside,
    path: Path,
) -> tuple[io.Images, int, float]:
    """A block as images, and number and weight of the points that are outside."""
    if isinstance(part, io.Images):
        return part, 0, 0.0
    clouds = project(part, columns)
    out = overflow(clouds, grid)
    number, weight = int(out.points.sum()), float(out.weight.double().sum())
    if number and outside == "error":
        event = int(out.points.nonzero()[0])
        raise DataError(
            f"{path}: {int(out.points[event])} points of event {first + event} are outside "
            f"the grid {grid}; --outside drop or --outside clip would take them"
        )
    image = cloud_to_image(clouds, grid, outside=outside)
    return io.Images(image, clouds.get("y"), clouds.get("label")), number, weight
