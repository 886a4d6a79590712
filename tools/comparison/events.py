"""The same events for all rows, and the footing on which they are judged."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.datasets.batches import Batches
from pcgen.datasets.loading import open_clouds
from pcgen.errors import DataError
from pcgen.grids import Grid
from pcgen.images import snap
from pcgen.metrics.jets.kinematics import is_jet
from pcgen.schema import Schema
from pcgen.tools.comparison.study import Study


@dataclass(frozen=True)
class Events:
    """Jets in memory, only particles inside the grid: the input of networks of all kinds.

    Attributes:
        train: The training split.
        validation: Events of the points of a learning curve.
        test: Events that a row is judged by; their particles, not their cells.
        schema: What the numbers mean.
        grid: The cells of the row's resolution.
    """

    train: Batch
    validation: Batch
    test: Batch
    schema: Schema
    grid: Grid

    def on_grid(self, clouds: Batch) -> Batch:
        """The footing of all: energy in cells; what lies outside the grid is lost."""
        return snap(clouds, self.grid, outside="drop")

    def batches(self, batch_size: int, seed: int) -> Batches:
        """Random batches of the training split."""
        return Batches(_InMemory(self.train), batch_size, seed)


def load(study: Study, resolution: int) -> Events:
    """Read the jets of a study.

    Raises:
        DataError: the clouds are no jets.
        FileError: a file is missing or damaged.
    """
    opened = {split: open_clouds(study.data, split) for split in ("train", "validation", "test")}
    schema = opened["train"].schema
    if not is_jet(schema) or len(schema.axes) != 2:
        names = ", ".join(axis.name for axis in schema.axes)
        raise DataError(f"{study.data[0]}: got axes {names}, expected jets: eta_rel, phi_rel")
    grid = Grid.parse(study.grid(resolution), schema.axes)
    parts = {}
    for split, dataset in opened.items():
        clouds = dataset.load()
        clouds = pc.select_points(clouds, grid.locate(clouds.pos).inside)
        parts[split] = clouds if study.max_points is None else pc.heaviest(clouds, study.max_points)
    validation = spread(parts["validation"], study.validate_events)
    return Events(parts["train"], validation, parts["test"], schema, grid)


def spread(clouds: Batch, number: int) -> Batch:
    """At most so many clouds from all over a batch, which may be sorted."""
    last = clouds.num_graphs - 1
    where = torch.linspace(0, last, min(number, last + 1), dtype=torch.float64)
    return pc.select(clouds, where.round().long())


class _InMemory:
    """Clouds as a data set that batches can be drawn of."""

    def __init__(self, clouds: Batch) -> None:
        self._clouds = clouds

    def __len__(self) -> int:
        return int(self._clouds.num_graphs)

    def sizes(self) -> Tensor:
        return pc.sizes(self._clouds)

    @property
    def in_memory(self) -> bool:
        """True."""
        return True

    def gather(self, items: Tensor) -> Batch:
        return pc.select(self._clouds, items)
