r"""Places within the voxels of a calorimeter, from three fractions u, v, w of 0 to 1 each.

With u, v and w uniform the places are uniform in the volume of the voxel:

    rectangles    x = x_0 + u (x_1 - x_0),   y = y_0 + v (y_1 - y_0)
    rings         alpha = alpha_0 + u (alpha_1 - alpha_0),   r² = r_0² + v (r_1² - r_0²)
    lists         a disc about the centre, in which no other centre is nearer

and z = z_0 + w (z_1 - z_0) in each.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pcgen.grids.calorimeter import Calorimeter
from pcgen.grids.cell_list import CellList
from pcgen.grids.grid import Grid


def place_in_voxels(calorimeter: Calorimeter, voxel: Tensor, fraction: Tensor) -> Tensor:
    """Places (x, y, z) [N, 3], float64, within the voxels [N] at the fractions [N, 3].

    >>> rings = Calorimeter.cylindrical([(0, 2)], [1])
    >>> place_in_voxels(rings, torch.tensor([0]), torch.tensor([[0.5, 0.25, 0.5]])).tolist()
    [[1.0, 0.0, 0.5]]
    """
    first = torch.tensor(calorimeter.boundaries, device=voxel.device)
    layer = torch.searchsorted(first, voxel, right=True) - 1
    u, v, w = fraction.double().unbind(1)
    edges = torch.tensor(calorimeter.depth_edges, dtype=torch.double, device=voxel.device)
    z = edges[layer] + w * (edges[layer + 1] - edges[layer])
    x, y = torch.empty_like(z), torch.empty_like(z)
    for number in layer.unique().tolist():
        here = layer == number
        cell = voxel[here] - calorimeter.boundaries[number]
        x[here], y[here] = _plane(calorimeter, number, cell, u[here], v[here])
    return torch.stack([x, y, z], 1)


def _plane(
    calorimeter: Calorimeter, layer: int, cell: Tensor, u: Tensor, v: Tensor
) -> tuple[Tensor, Tensor]:
    """x and y within the cells of a layer."""
    cells = calorimeter.layers[layer]
    if isinstance(cells, CellList):
        radius = cells.reach.to(cell.device)[cell] * v.sqrt()
        angle = 2 * math.pi * u
        x, y = cells.centres.to(cell.device)[cell].unbind(1)
        return x + radius * angle.cos(), y + radius * angle.sin()
    rows = torch.div(cell, cells.cells[1], rounding_mode="floor")
    first, second = _between(cells, 0, rows, u), (cell % cells.cells[1], v)
    if not calorimeter.cylinder:
        return first, _between(cells, 1, *second)
    r = _between(cells, 1, *second, squared=True)
    return r * first.cos(), r * first.sin()


def _between(
    grid: Grid, axis: int, cell: Tensor, fraction: Tensor, *, squared: bool = False
) -> Tensor:
    """Numbers between the edges of cells along an axis, evenly (or their squares evenly)."""
    edges = torch.tensor(grid.edges[axis], dtype=torch.double, device=cell.device)
    low, high = edges[cell], edges[cell + 1]
    if squared:
        return (low.square() + fraction * (high.square() - low.square())).sqrt()
    return low + fraction * (high - low)
