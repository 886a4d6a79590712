"""The events of a source, block after block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import io
from pcgen.clouds import replace, select_points
from pcgen.errors import ArgumentError, DataError
from pcgen.io.source import check_clouds
from pcgen.periods import beyond_period, reach

_CELLS = 1 << 23
"""Cells of the images of a block, at most: converting them takes some times their memory."""


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

    def doubts(self) -> tuple[str, ...]:
        """Axes of the clouds that were read, where coordinates exceed the period."""
        if self.reach is None or self.source.schema is None:
            return ()
        return tuple(beyond_period(self.reach, self.source.schema, str(self.source.path)))

    @staticmethod
    def _replaced(part: Batch | io.Images, given: dict[str, Tensor]) -> Batch | io.Images:
        if isinstance(part, io.Images):
            return part._replace(**given)
        return replace(part, **given) if given else part


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
