"""The differentiable image: points shared linearly among the nearest cells."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cloud
from pcgen.grids import Grid
from pcgen.images.placing import Outside, dense_cells, locate, rows_of
from pcgen.ops.segments import wide


def splat(clouds: Batch, grid: Grid, *, outside: Outside = "error") -> Tensor:
    """Share each point among the 2^D nearest cell centres, linearly (cloud in cell).

    The image is a continuous, piecewise smooth function of positions and weights, with gradients
    to both, and holds the same total weight. A point at a cell's centre fills that cell alone; one
    beyond the outermost centres fills the outermost cells. Periodic axes whose edges span the
    period share across the seam.

    Args:
        clouds: B clouds; with ``layer`` if, and only if, the grid has layers.
        grid: The cells.
        outside: As in :func:`cloud_to_image`; the gradient to a clipped coordinate is 0.

    Returns:
        Images [B, *grid.shape] in the dtype of the weights.

    Raises:
        ArgumentError: the grid does not fit the clouds.
        DataError: a value is not finite or a weight negative, or points are outside.

    References:
        Hockney and Eastwood, Computer Simulation Using Particles (1988), section 5-3.
    """
    location = locate(clouds, grid, outside)
    lower, upper, fraction = _neighbours(clouds.pos, grid, location.cell)
    weight = cloud.weights(clouds)
    weight = weight * location.inside if outside == "drop" else weight
    exact = wide(weight)
    image = exact.new_zeros(dense_cells(clouds, grid))
    for corner in product((False, True), repeat=len(grid.axes)):
        up = torch.tensor(corner, device=weight.device)
        share = torch.where(up, fraction, 1 - fraction).prod(1)
        rows = rows_of(clouds, grid, torch.where(up, upper, lower))
        image = image.index_add(0, rows, exact * share.to(exact.dtype))
    return image.view(clouds.num_graphs, *grid.shape).to(weight.dtype)


def _neighbours(pos: Tensor, grid: Grid, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The cells whose centres are below and above each point, and how far between them it is.

    All [N, D]; the fraction is differentiable in ``pos``.
    """
    pos = grid.wrap(pos)
    steps = torch.arange(max(grid.cells), device=pos.device)[:, None]
    last = torch.tensor(grid.cells, device=pos.device) - 1
    centres = grid.centres(torch.minimum(steps, last), dtype=pos.dtype)
    columns = [
        _axis_neighbours(pos[:, d], cell[:, d], centres[: grid.cells[d], d], grid, d)
        for d in range(len(grid.axes))
    ]
    lower, upper, fraction = (torch.stack(each, 1) for each in zip(*columns, strict=True))
    return lower, upper, fraction


def _axis_neighbours(
    value: Tensor, cell: Tensor, centres: Tensor, grid: Grid, axis: int
) -> tuple[Tensor, Tensor, Tensor]:
    cells, period = grid.cells[axis], grid.axes[axis].period
    first, *_, last = grid.edges[axis]
    # A point outside on this axis has been given the nearest cell.
    value = torch.where((value < first) | (value > last), centres[cell], value)
    below = torch.where(value >= centres[cell], cell, cell - 1)
    above = below + 1
    if grid.closed[axis] and period is not None:
        low = centres[below % cells] - period * (below < 0).to(value.dtype)
        high = centres[above % cells] + period * (above >= cells).to(value.dtype)
        below, above = below % cells, above % cells
    else:
        below, above = below.clamp(min=0), above.clamp(max=cells - 1)
        low, high = centres[below], centres[above]
    gap = torch.where(high > low, high - low, 1)
    return below, above, ((value - low) / gap).clamp(0, 1)
