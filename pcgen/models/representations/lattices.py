"""The dense array that networks see an event in: cells of a grid, or the voxels of a calorimeter.

============ ===================================================================================
cells        shape of the array
============ ===================================================================================
Grid         that of its images: its layers where it has some, then the cells of each axis
Calorimeter  layers, then the cells of each, where all layers have as many: (45, 16, 9) of data
             set 2 of the CaloChallenge; otherwise one axis, on which the voxels follow each other
============ ===================================================================================

What is beside what along an axis is all that convolutions know of where cells are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter, Grid, VoxelLocation
from pcgen.grids.grid import columns_of
from pcgen.images import Overflow, overflow, snap
from pcgen.images.placing import filled_cells
from pcgen.ops.segments import sum_by
from pcgen.schema import Schema


class Active(NamedTuple):
    """Events in the array.

    Attributes:
        clouds: A point at the centre of each active cell, with what the cell holds.
        cell: Its place in the array [N, axes].
    """

    clouds: Batch
    cell: Tensor


class Lattice(ABC):
    """An array of cells with places in space.

    Attributes:
        shape: Of the array.
        name: What it is, for messages.
    """

    shape: tuple[int, ...]
    name: str

    @abstractmethod
    def active(self, clouds: Batch) -> Active:
        """The active cells of clouds; points that share a cell are one, those outside are lost."""

    @abstractmethod
    def lost(self, clouds: Batch) -> Overflow:
        """What of clouds is outside."""

    @abstractmethod
    def points(self, cell: Tensor, sizes: Tensor, dtype: torch.dtype) -> Batch:
        """Clouds of points at the centres of cells [N, axes], without anything that they carry."""


class GridLattice(Lattice):
    """The cells of a grid.

    Args:
        grid: Its axes are those of the schema, in any order: ``self.grid`` has them in its order.
        schema: Of the clouds.

    Raises:
        ArgumentError: the grid has other axes, units, periods or layers than the schema.
    """

    def __init__(self, grid: Grid, schema: Schema) -> None:
        self.grid = grid.matched(schema)
        self.shape, self.name = self.grid.shape, f"grid {self.grid}"

    def active(self, clouds: Batch) -> Active:
        """See :meth:`Lattice.active`."""
        kept = snap(clouds, self.grid, outside="drop")
        layer = kept.get("layer")
        return Active(
            kept, kept.cell if layer is None else torch.cat([layer[:, None], kept.cell], 1)
        )

    def lost(self, clouds: Batch) -> Overflow:
        """See :meth:`Lattice.lost`."""
        return overflow(clouds, self.grid)

    def points(self, cell: Tensor, sizes: Tensor, dtype: torch.dtype) -> Batch:
        """See :meth:`Lattice.points`."""
        own = cell[:, -len(self.grid.axes) :]
        layer = cell[:, 0] if self.grid.layers else None
        return cl.make(self.grid.centres(own, dtype=dtype), sizes, cell=own, layer=layer)


class VoxelLattice(Lattice):
    """The voxels of a calorimeter.

    Args:
        calorimeter: The voxels.
        schema: Of the clouds, with the axes x, y and z in any order. Their layers, where they have
            some, are those of the calorimeter, and then z may count them.

    Raises:
        ArgumentError: the schema has other axes, units or layers.
    """

    def __init__(self, calorimeter: Calorimeter, schema: Schema) -> None:
        self.calorimeter, self.shape = calorimeter, calorimeter.shape
        self.name = f"calorimeter of {calorimeter.voxels} voxels"
        own, names = calorimeter.schema, [axis.name for axis in schema.axes]
        if sorted(names) != ["x", "y", "z"]:
            raise ArgumentError(f"axes: got {', '.join(names)}, expected x, y and z of voxels")
        if schema.layers not in ((), own.layers):
            raise ArgumentError(
                f"layers: got {', '.join(schema.layers)}, expected those of the calorimeter, "
                f"{', '.join(own.layers)}"
            )
        self._counts = bool(schema.layers) and not schema.axes[names.index("z")].unit
        columns_of(own.axes[:2] if self._counts else own.axes, schema.axes)
        self._columns = [names.index(name) for name in "xyz"]
        self._layered = bool(schema.layers)

    def active(self, clouds: Batch) -> Active:
        """See :meth:`Lattice.active`."""
        voxel, inside = self._located(clouds)
        rows = (clouds.batch * self.calorimeter.voxels + voxel)[inside]
        weight, number = cl.weights(clouds)[inside], clouds.num_graphs
        filled = filled_cells(rows, weight, number, self.calorimeter.voxels)
        cell = torch.stack(torch.unravel_index(filled.cell, self.shape), 1)
        points = self.points(cell, filled.sizes, clouds.pos.dtype)
        kept = cl.replace(
            points, weight=filled.weight, y=clouds.get("y"), label=clouds.get("label")
        )
        return Active(kept, cell)

    def lost(self, clouds: Batch) -> Overflow:
        """See :meth:`Lattice.lost`."""
        out = ~self._located(clouds).inside
        number = torch.zeros_like(cl.sizes(clouds)).index_add(0, clouds.batch, out.long())
        return Overflow(number, sum_by(cl.weights(clouds) * out, clouds.batch, len(number)))

    def points(self, cell: Tensor, sizes: Tensor, dtype: torch.dtype) -> Batch:
        """See :meth:`Lattice.points`."""
        voxel = torch.zeros_like(cell[:, 0])
        for axis, number in enumerate(self.shape):
            voxel = voxel * number + cell[:, axis]
        centre = self._centres.to(device=cell.device, dtype=dtype)
        layer = self.calorimeter.layer_of(voxel) if self._layered else None
        return cl.make(centre[voxel], sizes, layer=layer)

    @cached_property
    def _centres(self) -> Tensor:
        """Centres of the voxels [V, 3] in the order of the schema's axes."""
        geometry = self.calorimeter.geometry()
        centre = geometry.centre
        if self._counts:
            centre[:, 2] = geometry.layer + 0.5
        return centre[:, [*map(self._columns.index, range(3))]]

    def _located(self, clouds: Batch) -> VoxelLocation:
        cl.check(clouds, 3)
        return self.calorimeter.locate(clouds.pos[:, self._columns], clouds.get("layer"))


def lattice(cells: Grid | Calorimeter, schema: Schema) -> Lattice:
    """The array of these cells.

    Raises:
        ArgumentError: clouds of the schema do not lie in them.
    """
    if isinstance(cells, Grid):
        return GridLattice(cells, schema)
    return VoxelLattice(cells, schema)
