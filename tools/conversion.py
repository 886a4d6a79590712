"""Block after block from a source of events to a file of clouds or of images."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from rich.progress import Progress
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import io
from pcgen.clouds import replace, sizes
from pcgen.errors import DataError
from pcgen.grids import Calorimeter, Grid
from pcgen.images import (
    Outside,
    cloud_to_image,
    image_to_cloud,
    overflow,
    project,
    shower_to_cloud,
)
from pcgen.io.image_source import check_images


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


Nan = Literal["error", "unobserved"]


@dataclass(frozen=True)
class Reading:
    """The events that are asked for, block by block, with a progress bar.

    Attributes:
        source: The file.
        events: Numbers of the events.
        block: Events of a block.
        bar: Shows how far it is.
        y: Conditions of all events of the file [B, C] that replace its own.
        label: Classes of all events of the file [B] that replace its own.
        raw: Leave images unchecked: :class:`Filling` knows which cells become points.
    """

    source: io.CloudSource | io.ImageSource
    events: range
    block: int
    bar: Progress
    y: Tensor | None = None
    label: Tensor | None = None
    raw: bool = False

    def blocks(self, what: str) -> Iterator[tuple[int, Batch | io.Images]]:
        """Number of the first event of each block, and the block."""
        task = self.bar.add_task(what, total=len(self.events))
        for first in self.events[:: self.block]:
            stop = min(first + self.block, self.events.stop)
            part = self.source.read(first, stop, check=not self.raw)
            beside = {"y": self.y, "label": self.label}
            given = {name: v[first:stop] for name, v in beside.items() if v is not None}
            yield first, self._replaced(part, given)
            self.bar.advance(task, stop - first)

    @staticmethod
    def _replaced(part: Batch | io.Images, given: dict[str, Tensor]) -> Batch | io.Images:
        if isinstance(part, io.Images):
            return part._replace(**given)
        return replace(part, **given) if given else part


@dataclass(frozen=True)
class Filling:
    """How the cells of an image become points.

    Attributes:
        threshold: Only cells with more than this do.
        jitter: Put each point at random within its cell.
        generator: Source of that randomness.
        nan: Cells that are NaN are refused, or channels that were not observed and give no point.
        cells: Where the cells are: a grid, a calorimeter, or nothing where clouds stay clouds.
        removed: How many cells were negative, or unobserved; counted as blocks pass.
    """

    threshold: float
    jitter: bool
    generator: torch.Generator
    nan: Nan
    cells: Grid | Calorimeter | None
    removed: Counter[str] = field(default_factory=Counter)

    def __call__(self, part: Batch | io.Images, first: int, path: Path) -> Batch:
        """Clouds pass as they are.

        Args:
            part: A block of events.
            first: Number of its first event, for messages.
            path: Of its file, for messages.
        """
        if not isinstance(part, io.Images) or self.cells is None:
            return part
        image = self._checked(part, first, path)
        if isinstance(self.cells, Calorimeter):
            return shower_to_cloud(
                image, self.cells, threshold=self.threshold, y=part.y, label=part.label
            )
        return image_to_cloud(
            image,
            self.cells,
            threshold=self.threshold,
            jitter=self.jitter,
            y=part.y,
            label=part.label,
            generator=self.generator,
        )

    def _checked(self, part: io.Images, first: int, path: Path) -> Tensor:
        """The image without its unobserved cells, if all others can be cut at the threshold."""
        image, dead = part.image, part.image.isnan()
        if self.nan == "unobserved":
            image = image.masked_fill(dead, 0)
            self.removed["unobserved"] += int(dead.sum())
        try:
            check_images(
                part._replace(image=image), first=first, where=path, threshold=self.threshold
            )
        except DataError as error:
            raise DataError(f"{error}{self._way(image)}") from error
        self.removed["negative"] += int((image < 0).sum())
        return image

    def _way(self, image: Tensor) -> str:
        """The option that would take such cells, where there is one."""
        if bool(image.isnan().any()):
            return "; --nan unobserved takes NaN as channels that were not observed"
        if bool((image < 0).any()) and self.threshold <= 0:
            return "; a --threshold above 0 takes negative cells as empty"
        return ""


def write_clouds(reading: Reading, sink: io.CloudSink, filling: Filling) -> Converted:
    """Write all events that are read as clouds."""
    points = 0
    with sink:
        for first, part in reading.blocks("convert"):
            clouds = filling(part, first, reading.source.path)
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


def largest(reading: Reading, filling: Filling) -> int:
    """Points of the largest cloud, at least 1; images are read once more to know it."""
    if isinstance(reading.source, io.CloudSource):
        chosen = reading.source.sizes()[reading.events.start : reading.events.stop]
        return max([1, *chosen.tolist()])
    plain = dataclasses.replace(filling, jitter=False, removed=Counter())
    numbers = [
        int(sizes(plain(part, first, reading.source.path)).max())
        for first, part in reading.blocks("count")
    ]
    return max([1, *numbers])


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
