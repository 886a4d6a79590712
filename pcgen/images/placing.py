"""Where the points of clouds lie on a grid: shared by all that goes between the two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cloud
from pcgen.bounds import CELLS
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid, Location
from pcgen.ops.segments import sum_by

Outside = Literal["error", "drop", "clip"]


class Overflow(NamedTuple):
    """What lies outside a grid.

    Attributes:
        points: Number of points outside, of each cloud [B].
        weight: Their weight [B].
    """

    points: Tensor
    weight: Tensor


class FilledCells(NamedTuple):
    """The cells of images that hold anything, image after image.

    Attributes:
        sizes: Number of filled cells of each image [B].
        cell: Their numbers in the flattened image, rising [N].
        weight: What they hold, above 0 [N].
    """

    sizes: Tensor
    cell: Tensor
    weight: Tensor


def overflow(clouds: Batch, grid: Grid) -> Overflow:
    """Number and weight of the points of each cloud that are outside ``grid``.

    >>> clouds = cloud.make(torch.tensor([[0.5], [7.0]]), [2], weight=torch.tensor([1.0, 2.0]))
    >>> overflow(clouds, Grid.regular({"x": (0, 1, 10)}))
    Overflow(points=tensor([1]), weight=tensor([2.]))
    """
    out = ~grid.locate(clouds.pos, layer_of(clouds, grid)).inside
    points = torch.zeros_like(cloud.sizes(clouds)).index_add(0, clouds.batch, out.long())
    weight = cloud.weights(clouds) * out
    return Overflow(points, sum_by(weight, clouds.batch, len(points)))


def project(clouds: Batch, axes: Sequence[int]) -> Batch:
    """Keep the columns ``axes`` of ``pos`` (and ``cell``): a view of each cloud along the others.

    Raises:
        ArgumentError: a column is missing or given twice.
    """
    columns, dimensions = list(axes), clouds.pos.shape[1]
    if not columns or len(set(columns)) != len(columns) or not set(columns) <= {*range(dimensions)}:
        raise ArgumentError(
            f"axes: got {columns}, expected different columns of 0 to {dimensions - 1}"
        )
    cell = clouds.get("cell")
    return cloud.replace(
        clouds, pos=clouds.pos[:, columns], cell=None if cell is None else cell[:, columns]
    )


def locate(clouds: Batch, grid: Grid, outside: str) -> Location:
    """Cells of all points, outside ones treated as requested.

    Raises:
        ArgumentError: the grid does not fit the clouds.
        DataError: a value is not finite or a weight negative, or points are outside.
    """
    if outside not in ("error", "drop", "clip"):
        raise ArgumentError(f"outside: got {outside!r}, expected 'error', 'drop' or 'clip'")
    cloud.check(clouds, len(grid.axes))
    location = grid.locate(clouds.pos, layer_of(clouds, grid))
    if outside == "error" and not bool(location.inside.all()):
        out = (~location.inside).nonzero().flatten()
        events = clouds.batch[out].unique()
        raise DataError(
            f"clouds: got {len(out)} of {len(clouds.pos)} points outside the grid {grid} in "
            f"{len(events)} of {clouds.num_graphs} events (first: event {int(events[0])}, "
            f"{clouds.pos[out[0]].tolist()}); outside='drop' or 'clip' would take them"
        )
    return location


def rows_of(clouds: Batch, grid: Grid, cell: Tensor) -> Tensor:
    """Row of each point in the flattened images [N]."""
    rows = clouds.batch
    if grid.layers:
        rows = rows * len(grid.layers) + clouds.layer
    for axis, number in enumerate(grid.cells):
        rows = rows * number + cell[:, axis]
    return rows


def filled_cells(rows: Tensor, weight: Tensor, number: int, cells: int) -> FilledCells:
    """What points fill whose rows in the flattened images are known, without the images.

    Args:
        rows: Image times ``cells``, plus cell, of each point [N'].
        weight: Of each point [N'].
        number: Images B.
        cells: Of each image.
    """
    rows, place = torch.unique(rows, return_inverse=True)
    weight = sum_by(weight, place, len(rows))
    rows, weight = rows[weight > 0], weight[weight > 0]
    image = torch.div(rows, cells, rounding_mode="floor")
    return FilledCells(torch.bincount(image, minlength=number), rows - image * cells, weight)


def dense_cells(clouds: Batch, grid: Grid) -> int:
    """Number of cells of the dense images of all clouds together.

    Raises:
        ArgumentError: one image has more cells than fit into memory.
    """
    cells = math.prod(grid.shape)
    CELLS.check(cells, f"grid of {' x '.join(map(str, grid.shape))} cells", ArgumentError)
    return clouds.num_graphs * cells


def layer_of(clouds: Batch, grid: Grid) -> Tensor | None:
    """Layers of the points; the clouds and the grid either both have some, or neither."""
    layer = clouds.get("layer")
    if (layer is None) == bool(grid.layers):
        raise ArgumentError(
            f"clouds: got {'no layer' if layer is None else 'layer'}, expected the layers of the "
            f"grid, which are {grid.layers or 'none'}"
        )
    return layer
