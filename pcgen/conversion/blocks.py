"""The events of a source, block after block."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import io
from pcgen.clouds import replace, select_points
from pcgen.cluster import Cluster
from pcgen.errors import ArgumentError, DataError
from pcgen.io.source import INCIDENT, check_clouds, check_contexts
from pcgen.periods import beyond_period, reach
from pcgen.schema import Schema
from pcgen.units import factor, known

T = TypeVar("T")

_RESPONSE = 0.003, 3.0
"""Between these is the share of the energy that calorimeters measure, sampling ones too."""

CELLS = 1 << 23
"""Cells of the images of a block, at most: converting them takes some times their memory."""


class Part(NamedTuple):
    """A block of events, as it was read, and what was made of it.

    Attributes:
        made: What a function has returned for it.
        missing: Points without finite coordinates that were left out.
        reach: Largest size of each coordinate of its clouds [D]; None of images.
        heaviest: Largest weight of its points; None of images, and where they have none.
        response: Energy of its points or voxels, and of the incoming particles, both summed over
            the events and in MeV [2]; None where these are not known.
    """

    made: Any
    missing: int
    reach: Tensor | None
    heaviest: float | None = None
    response: Tensor | None = None


@dataclass(frozen=True)
class Opening:
    """A file and how it is read: what a worker of a cluster needs to open it for itself.

    Attributes:
        path: Of the file.
        options: Of :func:`pcgen.io.open_file`.
        raw: Leave images unchecked: :class:`~pcgen.conversion.filling.Filling` knows which cells
            become points.
        drop: Leave out points of clouds that have no finite coordinates.
    """

    path: Path
    options: Mapping[str, Any]
    raw: bool
    drop: bool

    @cached_property
    def source(self) -> io.CloudSource | io.ImageSource:
        """The file, opened once and never sent to another process."""
        return io.open_file(self.path, **self.options)

    def __reduce__(self) -> tuple[Any, ...]:
        return Opening, (self.path.absolute(), self.options, self.raw, self.drop)

    def part(
        self,
        function: Callable[[Batch | io.Images, int], Any],
        first: int,
        stop: int,
        given: Mapping[str, Tensor],
    ) -> Part:
        """Read the events ``first`` to ``stop``, and make something of them.

        Args:
            function: Takes the block and the number of its first event.
            first: Number of that event.
            stop: Number of the event after the last.
            given: Conditions or classes that replace those of the file.
        """
        block, missing = self._read(first, stop)
        sums = response(block, self.source.schema)
        if isinstance(block, io.Images):
            made = function(block._replace(**given), first)
            return Part(made, missing, None, response=sums)
        size, weight = reach(block.pos), block.get("weight")
        heaviest = float(weight.max()) if weight is not None and len(weight) else None
        made = function(replace(block, **given) if given else block, first)
        return Part(made, missing, size, heaviest, sums)

    def _read(self, first: int, stop: int) -> tuple[Batch | io.Images, int]:
        source = self.source
        source.passed_over = ()  # whoever opened it first has named them
        if not isinstance(source, io.CloudSource):
            images = source.read(first, stop, check=not self.raw)
            if self.raw and isinstance(source, io.ShowerSource):
                source.check_incident(images, first)
            return images, 0
        if not self.drop:
            return source.read(first, stop), 0
        clouds = source.read(first, stop, check=False)
        good = clouds.pos.isfinite().all(1)
        check_contexts(clouds, source.context_schema, first=first, where=source.path)
        clouds = select_points(clouds, good)
        clouds = check_clouds(clouds, source.schema, first=first, where=source.path)
        return clouds, int((~good).sum())


@dataclass
class Reading:
    """The requested events, block by block, with a progress bar.

    Attributes:
        opening: The file, and how it is read.
        events: Numbers of the events.
        block: Events of a block, at most.
        bar: Shows how far it is.
        y: Conditions of all events of the file [B, C] that replace its own.
        label: Classes of all events of the file [B] that replace its own.
        cells: Number of cells of the image of an event that is read or written, 1 without images.
        cluster: Whose workers read; None: this process.
        missing: How many points were left out the last time the events were read.
        reach: Largest size of each coordinate of clouds that were read [D].
        heaviest: Largest weight of points that were read; None: there was none.
        response: Energy of what was read, and of the incoming particles, in MeV [2].
    """

    opening: Opening
    events: range
    block: int
    bar: Progress
    y: Tensor | None = None
    label: Tensor | None = None
    cells: int = 1
    cluster: Cluster | None = None
    missing: int = 0
    reach: Tensor | None = None
    heaviest: float | None = None
    response: Tensor | None = None

    @property
    def source(self) -> io.CloudSource | io.ImageSource:
        """The file."""
        return self.opening.source

    def each(
        self, what: str, function: Callable[[Batch | io.Images, int], T]
    ) -> Generator[tuple[int, T], None, None]:
        """Number of the first event of each block, and what a function makes of the block.

        Args:
            what: Is being done, for the progress bar.
            function: Takes a block and the number of its first event, and depends on nothing else;
                it can be pickled.
        """
        self.missing = 0
        task = self.bar.add_task(what, total=len(self.events))
        most = min(self.block, max(CELLS // self.cells, 1))
        ranges = [(k, min(k + most, self.events.stop)) for k in self.events[::most]]
        calls = ((first, stop, self._given(first, stop)) for first, stop in ranges)
        if self.cluster is None:
            parts = (self.opening.part(function, *call) for call in calls)
        else:
            shared = (self.opening, function)
            parts = self.cluster.in_order(Opening.part, calls, shared=shared)
        with closing(parts):
            for (first, stop), part in zip(ranges, parts, strict=True):
                self.missing += part.missing
                if part.reach is not None:
                    known = part.reach if self.reach is None else self.reach
                    self.reach = torch.maximum(known, part.reach)
                if part.heaviest is not None:
                    self.heaviest = max(part.heaviest, self.heaviest or 0.0)
                if part.response is not None:
                    before = 0 if self.response is None else self.response
                    self.response = before + part.response
                yield first, part.made
                self.bar.advance(task, stop - first)

    def _given(self, first: int, stop: int) -> dict[str, Tensor]:
        beside = {"y": self.y, "label": self.label}
        # Copies: a view of all events would be sent with all of them.
        return {name: v[first:stop].clone() for name, v in beside.items() if v is not None}

    def doubts(self) -> tuple[str, ...]:
        """What can hardly be right of the events that were read, a line for each.

        Coordinates beyond the period of their axis, a weight that is 0 everywhere, energies that
        are far from those of the incoming particles.
        """
        schema, path = self.source.schema, str(self.source.path)
        lines = []
        if self.reach is not None and schema is not None:
            lines += beyond_period(self.reach, schema, path)
        if self.heaviest == 0 and schema is not None and schema.weight is not None:
            name = schema.weight.name
            lines.append(f"{path}: {name} of every point is 0: does the file not have it?")
        if self.response is not None and self.heaviest != 0:
            seen, incident = self.response.tolist()
            ratio = seen / incident if incident > 0 else 1.0
            if not _RESPONSE[0] < ratio < _RESPONSE[1]:
                lines.append(
                    f"{path}: the energy of the points is {ratio:.3g} times that of the incoming "
                    "particles: another unit of one of them?"
                )
        return tuple(lines)


def response(block: Batch | io.Images, schema: Schema | None) -> Tensor | None:
    """Energy of points or voxels and of the incoming particles, summed over a block, in MeV [2].

    None where one of them is not known, or in no unit of energy.
    """
    conditions = [] if schema is None else [each.name for each in schema.condition]
    if schema is None or schema.weight is None or INCIDENT not in conditions:
        return None
    seen = block.image if isinstance(block, io.Images) else block.get("weight")
    y = block.y if isinstance(block, io.Images) else block.get("y")
    column = conditions.index(INCIDENT)
    units = (schema.weight.unit, schema.condition[column].unit)
    if seen is None or y is None or not set(units) <= set(known("energy")):
        return None
    sums = [float(values.double().nansum()) for values in (seen, y[:, column])]
    return torch.tensor(
        [total * factor(unit, "MeV") for total, unit in zip(sums, units, strict=True)],
        dtype=torch.float64,
    )


def chosen_events(source: io.CloudSource | io.ImageSource, event: int | None, block: int) -> range:
    """Numbers of the events to convert: one, or all.

    Raises:
        ArgumentError: there is no such event, or a block has none.
        DataError: the source has no events.
    """
    if block < 1:
        raise ArgumentError(f"block: got {block}, expected a positive number of events")
    if not len(source):
        raise DataError(f"{source.path}: holds no events, expected at least one")
    if event is None:
        return range(len(source))
    if not 0 <= event < len(source):
        raise ArgumentError(f"event: got {event}, expected 0 to {len(source) - 1}")
    return range(event, event + 1)


def progress_bar() -> Progress:
    """A bar on a terminal; in a log file it would only be empty lines."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
