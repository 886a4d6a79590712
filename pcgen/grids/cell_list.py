r"""Cells of a layer as a list: hexagons, tiles of several sizes, whatever is no grid.

Cell c has its centre (x_c, y_c) and a size s_c, the distance between its opposite sides. A point
belongs to the cell of the nearest centre: for hexagons of one size side by side that is the hexagon
around it. It is inside if it is no farther from there than the corner of a hexagon, s_c / √3; the
area of a cell is that of a hexagon, s_c² √3 / 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pcgen.bounds import EDGES
from pcgen.errors import ArgumentError
from pcgen.grids.grid import Location

_AREA = math.sqrt(3) / 2
_CORNER = 1 / math.sqrt(3)


@dataclass(frozen=True)
class CellList:
    """Cells of a layer, n of them.

    Attributes:
        x: Centres in mm [n].
        y: Centres in mm [n].
        size: Distances between opposite sides in mm [n].

    Raises:
        ArgumentError: there is no cell, or numbers are missing, not finite or not positive sizes.

    >>> cells = CellList((0, 10, 20), (0, 0, 0), (10, 10, 10))
    >>> cells.locate(torch.tensor([[1.0, 2.0], [13.0, 0.0], [99.0, 0.0]]))
    Location(cell=tensor([[0],
            [1],
            [2]]), inside=tensor([ True,  True, False]))
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    size: tuple[float, ...]

    def __post_init__(self) -> None:
        # Arrays and lists become what can be compared and hashed.
        for name in ("x", "y", "size"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        lengths = {len(self.x), len(self.y), len(self.size)}
        if len(lengths) > 1 or not self.x:
            raise ArgumentError(
                f"cells: got {len(self.x)} x, {len(self.y)} y and {len(self.size)} sizes, "
                "expected as many of each, at least one"
            )
        EDGES.check(len(self.x), "cells", ArgumentError)
        good = all(map(math.isfinite, (*self.x, *self.y))) and all(
            0 < size < math.inf for size in self.size
        )
        if not good:
            raise ArgumentError("cells: got NaN, infinity or a size that is not positive")

    @property
    def cells(self) -> tuple[int]:
        """Number of cells, as that of a grid."""
        return (len(self.x),)

    @property
    def centres(self) -> Tensor:
        """Centres [n, 2], float64."""
        return torch.tensor([self.x, self.y], dtype=torch.double).T.contiguous()

    @property
    def areas(self) -> Tensor:
        """Areas [n] in mm², float64."""
        return _AREA * torch.tensor(self.size, dtype=torch.double).square()

    @property
    def reach(self) -> Tensor:
        """Radius about each centre in which no other one is nearer, at most size / 2 [n]."""
        half = 0.5 * torch.tensor(self.size, dtype=torch.double)
        if len(self.x) == 1:
            return half
        from pcgen.ops.neighbors import nearest_neighbors

        near = nearest_neighbors(self.centres, self.centres, 2).squared[:, 1].sqrt()
        return torch.minimum(half, 0.5 * near)

    def locate(self, pos: Tensor) -> Location:
        """Cells [N, 1] of points [N, 2], and whether the points are inside of them [N]."""
        from pcgen.ops.neighbors import nearest_neighbors  # not needed for any other kind of cells

        points, centres = pos.detach().double(), self.centres.to(pos.device)
        found = nearest_neighbors(points, centres)
        corner = _CORNER * torch.tensor(self.size, dtype=torch.double, device=pos.device)
        inside = found.squared <= (corner.square() * (1 + 1e-9))[found.row]
        return Location(found.row, inside.squeeze(1))
