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
from pcgen.clouds import (
    POINT_ATTRIBUTES,
    attributes,
    cast,
    heaviest,
    replace,
    select_points,
    sizes,
)
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
from pcgen.io.source import check_clouds
from pcgen.ops.segments import segment_max, segment_min
from pcgen.tools.doubts import reach


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


_CELLS = 1 << 23
"""Cells of the images of a block, at most: converting them takes some times their memory."""


class PrecisionError(DataError):
    """Values that float32 does not hold."""


@dataclass
class Reading:
    """The requested events, block by block, with a progress bar.

    Attributes:
        source: The file.
        events: Numbers of the events.
        block: Events of a block, at most.
        bar: Shows how far it is.
        y: Conditions of all events of the file [B, C] that replace its own.
        label: Classes of all events of the file [B] that replace its own.
        raw: Leave images unchecked: :class:`Filling` knows which cells become points.
        drop: Leave out points of clouds that have no finite coordinates.
        cells: Number of cells of the image of an event that is read or written, 1 without images.
        missing: How many were left out the last time the events were read.
        reach: Largest size of each coordinate of clouds that were read [D].
    """

    source: io.CloudSource | io.ImageSource
    events: range
    block: int
    bar: Progress
    y: Tensor | None = None
    label: Tensor | None = None
    raw: bool = False
    drop: bool = False
    cells: int = 1
    missing: int = 0
    reach: Tensor | None = None

    def blocks(self, what: str) -> Iterator[tuple[int, Batch | io.Images]]:
        """Number of the first event of each block, and the block."""
        self.missing = 0
        task = self.bar.add_task(what, total=len(self.events))
        most = min(self.block, max(_CELLS // self.cells, 1))
        for first in self.events[::most]:
            stop = min(first + most, self.events.stop)
            part = self._read(first, stop)
            if not isinstance(part, io.Images):
                size = reach(part.pos)
                self.reach = size if self.reach is None else torch.maximum(self.reach, size)
            beside = {"y": self.y, "label": self.label}
            given = {name: v[first:stop] for name, v in beside.items() if v is not None}
            yield first, self._replaced(part, given)
            self.bar.advance(task, stop - first)

    def _read(self, first: int, stop: int) -> Batch | io.Images:
        if not (self.drop and isinstance(self.source, io.CloudSource)):
            return self.source.read(first, stop, check=not self.raw)
        clouds = self.source.read(first, stop, check=False)
        good = clouds.pos.isfinite().all(1)
        self.missing += int((~good).sum())
        clouds = select_points(clouds, good)
        return check_clouds(clouds, self.source.schema, first=first, where=self.source.path)

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
        max_points: Keep so many points of each cloud, the heaviest; None keeps all.
        removed: How many cells were negative, or unobserved; counted as blocks pass.
    """

    threshold: float
    jitter: bool
    generator: torch.Generator
    nan: Nan
    cells: Grid | Calorimeter | None
    max_points: int | None = None
    removed: Counter[str] = field(default_factory=Counter)

    def __call__(self, part: Batch | io.Images, first: int, path: Path) -> Batch:
        """Clouds pass as they are, but for the number of their points.

        Args:
            part: A block of events.
            first: Number of its first event, for messages.
            path: Of its file, for messages.
        """
        clouds = self._filled(part, first, path)
        return clouds if self.max_points is None else heaviest(clouds, self.max_points)

    def _filled(self, part: Batch | io.Images, first: int, path: Path) -> Batch:
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


def write_clouds(
    reading: Reading,
    sink: io.CloudSink,
    filling: Filling,
    dtype: torch.dtype,
) -> tuple[Converted, bool]:
    """Write all events that are read as clouds; also returns whether their values were rounded.

    Args:
        reading: The events.
        sink: Where to.
        filling: How images become clouds.
        dtype: Type of all floats.

    Raises:
        PrecisionError: float32 does not hold a value of float64.
    """
    points, rounded = 0, False
    with sink:
        for first, part in reading.blocks("convert"):
            clouds = filling(part, first, reading.source.path)
            if dtype == torch.float32:
                rounded |= check_precision(clouds, first, reading.source.path)
            sink.append(cast(clouds, dtype))
            points += len(clouds.pos)
        _check_filled(points, reading)
    return Converted(len(reading.events), points, 0, 0.0), rounded


def check_precision(clouds: Batch, first: int, where: Path) -> bool:
    """Refuse clouds whose values mean something else once they are rounded to float32.

    That are whole numbers beyond 2^24 that change, values beyond float32's range at either end, and
    coordinates that float32 resolves in steps of more than a thousandth of their event's extent.

    Args:
        clouds: A block of events.
        first: Number of its first event, for the message.
        where: File, for the message.

    Returns:
        Whether float32 changes a value at all.

    Raises:
        PrecisionError: naming file, attribute and event.
    """
    rounded = False
    limits = torch.finfo(torch.float32)
    for name, value in attributes(clouds).items():
        if value.dtype != torch.float64:
            continue
        size, changed = value.abs(), value.float().double() != value
        rounded |= bool(changed.any())
        bad = (size > limits.max) | ((size < limits.tiny) & (size > 0))
        bad |= (value == value.round()) & (size < 2**53) & changed
        rows = bad.any(1) if bad.dim() == 2 else bad
        if name == "pos":
            rows |= changed.any(1) & _coarse(clouds)[clouds.batch]
        if rows.any():
            row = int(rows.nonzero()[0])
            event = int(clouds.batch[row]) if name in POINT_ATTRIBUTES else row
            raise PrecisionError(
                f"{where}: {name} of event {first + event} is {value[row].tolist()}, "
                f"expected values that float32 holds, or --dtype float64"
            )
    return rounded


def _coarse(clouds: Batch) -> Tensor:
    """Whether a step of float32 is more than a thousandth of the extent of an event [B]."""
    low, high = segment_min(clouds.pos, clouds.ptr), segment_max(clouds.pos, clouds.ptr)
    step = torch.maximum(low.abs(), high.abs()).amax(1) * torch.finfo(torch.float32).eps
    extent = (high - low).amax(1)
    return (extent > 0) & (step > extent / 1000)


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
        most = max([1, *chosen.tolist()])
        return most if filling.max_points is None else min(most, filling.max_points)
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
