"""Contexts: the clouds that others are generated from, event by event, from files of their own.

A file of clouds and the file of their contexts hold the same events in the same order, as
``pcgen simulate jets --detector`` writes them. That it is so is checked where it can be: as many
events, the same classes, and the same value of every condition that both state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.datasets.voxel_clouds import open_events
from pcgen.errors import DataError, FileError
from pcgen.grids import Grid
from pcgen.images import image_to_cloud
from pcgen.io import CloudFile, CloudSource, ImageSource, open_file
from pcgen.io.hits import HitSource
from pcgen.schema import Quantity, Schema


class CellClouds(HitSource):
    """The images of a file as clouds of their active cells; made by :func:`open_contexts`.

    Args:
        source: Open.
        grid: Its cells.
    """

    def __init__(self, source: ImageSource, grid: Grid) -> None:
        self.path, self.source, self._grid = source.path, source, grid
        schema = source.schema or Schema(axes=())
        self.schema = dataclasses.replace(
            schema,
            axes=grid.axes,
            layers=grid.layers,
            features=(),
            weight=schema.weight or Quantity("weight"),
        )
        self.attrs: dict[str, Any] = {**source.attrs, "grid": grid.to_dict()}

    def __reduce__(self) -> tuple[type[CellClouds], tuple[ImageSource, Grid]]:
        return CellClouds, (self.source, self._grid)

    def __len__(self) -> int:
        return len(self.source)

    def close(self) -> None:
        self.source.close()

    def _read(self, start: int, stop: int) -> Batch:
        images = self.source.read(start, stop)
        clouds = image_to_cloud(images.image, self._grid, y=images.y, label=images.label)
        return convention.replace(clouds, cell=None)


def open_contexts(path: str | Path) -> CloudSource:
    """Open a file of clouds, showers or images, whose active cells are the points.

    Of a file of pairs it is the contexts that are opened, not the events.

    Raises:
        ArgumentError: the ending is unknown.
        FileError: the file is missing, truncated, or holds images on unknown cells.
    """
    source = open_file(path)
    if isinstance(source, CloudSource) and source.context_schema is not None:
        source.close()
        pairs: CloudSource = CloudFile(path, part="context")
        return pairs
    if isinstance(source, CloudSource) or source.kind != "images":
        source.close()
        return open_events(path)
    if source.grid is None:
        source.close()
        raise FileError(
            f"{path}: holds images on unknown cells, expected a grid: pcgen convert --grid makes "
            "clouds of them, or images that know their cells"
        )
    return CellClouds(source, source.grid)


def check_pairs(
    files: Sequence[CloudSource | ImageSource], contexts: Sequence[CloudSource]
) -> None:
    """Refuse files of contexts that do not hold as many events as those of the clouds.

    Raises:
        DataError: naming the files and both numbers.
    """
    if len(files) != len(contexts):
        raise DataError(
            f"context: got {len(contexts)} files, expected one for each of the {len(files)} files "
            "of data"
        )
    for file, other in zip(files, contexts, strict=True):
        if len(file) != len(other):
            raise DataError(
                f"{other.path}: got {len(other)} events, expected the {len(file)} of {file.path}: "
                "contexts are the same events in the same order"
            )


class Agreement:
    """Whether clouds and contexts state the same of their events, as far as both state it.

    Args:
        schema: Of the clouds.
        context: Of the contexts.
        where: File of the contexts, for messages.
    """

    def __init__(self, schema: Schema, context: Schema, where: str | Path) -> None:
        self._where = where
        self._labels = schema.labels if schema.labels == context.labels else ()
        self._columns = [
            (mine, theirs, quantity)
            for mine, quantity in enumerate(schema.condition)
            for theirs, other in enumerate(context.condition)
            if (quantity.name, quantity.unit) == (other.name, other.unit)
        ]

    def check(self, clouds: Batch, contexts: Batch, *, first: int | None = None) -> None:
        """Refuse pairs of other events.

        Args:
            clouds: Some events.
            contexts: What is said to be their contexts.
            first: Number of the first event in the file, for messages; None: they are any events.

        Raises:
            DataError: naming the first pair, and what differs.
        """
        if self._labels and clouds.get("label") is not None and contexts.get("label") is not None:
            for row in (clouds.label != contexts.label).nonzero().flatten()[:1].tolist():
                got, expected = (self._labels[int(c.label[row])] for c in (contexts, clouds))
                self._refuse("class", row, first, got, expected)
        if clouds.get("y") is None or contexts.get("y") is None:
            return
        for mine, theirs, quantity in self._columns:
            one, other = clouds.y[:, mine], contexts.y[:, theirs]
            apart = ~torch.isclose(one, other.to(one), rtol=1e-4, atol=0.0, equal_nan=True)
            for row in apart.nonzero().flatten()[:1].tolist():
                got, expected = (f"{float(v[row]):g} {quantity.unit}".strip() for v in (other, one))
                self._refuse(quantity.name, row, first, got, expected)

    def _refuse(self, what: str, row: int, first: int | None, got: str, expected: str) -> None:
        place = f"pair {row} of those that were read" if first is None else f"event {first + row}"
        raise DataError(
            f"{self._where}: got {what} {got} in {place}, expected {expected} as in the data: "
            "contexts are the same events in the same order"
        )
