"""From cell centres to points anywhere in the cell, and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cloud
from pcgen.grids import Grid
from pcgen.images.placing import Outside, filled_cells, locate, rows_of


def jitter(
    clouds: Batch,
    grid: Grid,
    *,
    outside: Outside = "error",
    generator: torch.Generator | None = None,
) -> Batch:
    """Put each point uniformly within its cell; :func:`snap` is the inverse.

    Raises:
        ArgumentError: the grid does not fit the clouds.
        DataError: a value is not finite or a weight negative, or points are outside.
    """
    location = locate(clouds, grid, outside)
    cell = location.cell
    if outside == "drop":
        clouds, cell = cloud.select_points(clouds, location.inside), cell[location.inside]
    return scatter_within(clouds, grid, cell, generator)


def snap(clouds: Batch, grid: Grid, *, outside: Outside = "error") -> Batch:
    """Move points to the centres of their cells and merge those that share one.

    The same as ``image_to_cloud(cloud_to_image(clouds))`` without the dense image: cells of no
    weight give no point, and ``x``, which cannot be added up, is not kept.

    Raises:
        ArgumentError: the grid does not fit the clouds.
        DataError: a value is not finite or a weight negative, or points are outside.
    """
    location = locate(clouds, grid, outside)
    rows, weight = rows_of(clouds, grid, location.cell), cloud.weights(clouds)
    if outside == "drop":
        rows, weight = rows[location.inside], weight[location.inside]
    filled = filled_cells(rows, weight, clouds.num_graphs, math.prod(grid.shape))
    index = torch.stack(torch.unravel_index(filled.cell, grid.shape), 1)
    cell = index[:, -len(grid.axes) :]
    return cloud.make(
        grid.centres(cell, dtype=clouds.pos.dtype),
        filled.sizes,
        weight=filled.weight,
        cell=cell,
        layer=index[:, 0] if grid.layers else None,
        y=clouds.get("y"),
        label=clouds.get("label"),
    )


def scatter_within(
    clouds: Batch, grid: Grid, cell: Tensor, generator: torch.Generator | None
) -> Batch:
    """The clouds with each point uniformly within its cell [N, D]."""
    pos = clouds.pos
    device = pos.device if generator is None else generator.device
    fraction = torch.rand(pos.shape, generator=generator, dtype=pos.dtype, device=device)
    return cloud.replace(
        clouds, pos=grid.place(cell, fraction.to(pos.device), dtype=pos.dtype), cell=cell
    )
