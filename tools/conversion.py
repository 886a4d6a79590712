"""Block after block from a source of events to a file of clouds or of images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from rich.progress import Progress
from torch_geometric.data import Batch

from pcgen import io
from pcgen.clouds import sizes
from pcgen.errors import DataError
from pcgen.grids import Grid
from pcgen.images import Outside, cloud_to_image, image_to_cloud, overflow, project


class Converted(NamedTuple):
    """What a conversion did.

    Attributes:
        events: Number of events written.
        points: Number of points, or filled cells, written.
        outside: Number of points that were outside the grid, and were dropped or clipped.
        outside_weight: Their weight.
    """

    events: int
    points: int
    outside: int
    outside_weight: float


@dataclass(frozen=True)
class Reading:
    """The events that are asked for, block by block, with a progress bar."""

    source: io.CloudSource | io.ImageSource
    events: range
    block: int
    bar: Progress

    def blocks(self, what: str) -> Iterator[tuple[int, Batch | io.Images]]:
        """Number of the first event of each block, and the block."""
        task = self.bar.add_task(what, total=len(self.events))
        for first in self.events[:: self.block]:
            stop = min(first + self.block, self.events.stop)
            yield first, self.source.read(first, stop)
            self.bar.advance(task, stop - first)


@dataclass(frozen=True)
class Filling:
    """How the cells of an image become points."""

    threshold: float
    jitter: bool
    generator: torch.Generator

    def __call__(self, part: Batch | io.Images, grid: Grid | None) -> Batch:
        """Clouds pass as they are."""
        if not isinstance(part, io.Images) or grid is None:
            return part
        return image_to_cloud(
            part.image,
            grid,
            threshold=self.threshold,
            jitter=self.jitter,
            y=part.y,
            label=part.label,
            generator=self.generator,
        )


def write_clouds(
    reading: Reading, sink: io.CloudSink, filling: Filling, grid: Grid | None
) -> Converted:
    """Write all events that are read as clouds."""
    points = 0
    with sink:
        for _, part in reading.blocks("convert"):
            clouds = filling(part, grid)
            sink.append(clouds)
            points += len(clouds.pos)
        _check_filled(points, reading)
    return Converted(len(reading.events), points, 0, 0.0)


def write_images(reading: Reading, sink: io.ImageSink, grid: Grid, outside: Outside) -> Converted:
    """Write all events that are read as images."""
    points, out, lost = 0, 0, 0.0
    with sink:
        for first, part in reading.blocks("convert"):
            if not isinstance(part, io.Images):
                part, number, weight = _fill(part, reading.source, grid, first, outside)
                out, lost = out + number, lost + weight
            sink.append(part)
            points += int((part.image > 0).sum())
        _check_filled(points, reading)
    return Converted(len(reading.events), points, out, lost)


def largest(reading: Reading, filling: Filling, grid: Grid | None) -> int:
    """Points of the largest cloud, at least 1; images are read once more to know it."""
    if isinstance(reading.source, io.CloudSource):
        chosen = reading.source.sizes()[reading.events.start : reading.events.stop]
        return max([1, *chosen.tolist()])
    plain = dataclasses.replace(filling, jitter=False)
    return max([1, *(int(sizes(plain(p, grid)).max()) for _, p in reading.blocks("count"))])


def _check_filled(points: int, reading: Reading) -> None:
    """Refuse a target without a single point: such a file serves nobody and hides a mistake."""
    if points == 0:
        number = len(reading.events)
        raise DataError(
            f"{reading.source.path}: got {number} event{'s' * (number != 1)} without a filled cell "
            "or a point (above the threshold, inside the grid), expected at least one"
        )


def _fill(
    clouds: Batch, source: io.CloudSource | io.ImageSource, grid: Grid, first: int, outside: Outside
) -> tuple[io.Images, int, float]:
    """Images of a block of clouds, and number and weight of the points that are outside."""
    axes = source.schema.axes if source.schema else ()
    clouds = project(clouds, grid.columns(axes))
    out = overflow(clouds, grid)
    number, weight = int(out.points.sum()), float(out.weight.double().sum())
    if number and outside == "error":
        event = int(out.points.nonzero()[0])
        raise DataError(
            f"{source.path}: {int(out.points[event])} points of event {first + event} are outside "
            f"the grid {grid}; --outside drop or --outside clip would take them"
        )
    image = cloud_to_image(clouds, grid, outside=outside)
    return io.Images(image, clouds.get("y"), clouds.get("label")), number, weight
