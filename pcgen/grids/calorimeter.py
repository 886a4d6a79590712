r"""A calorimeter: layers one behind the other, each with cells of its own.

The cells of a layer are those of a :class:`~pcgen.grids.Grid`, either with the axes (alpha, r),
rings cut into equal angles, or (x, y); or a :class:`~pcgen.grids.CellList`. A shower is a row of V
voxel energies: layer after layer, each in the row-major order of its grid (r runs fastest, then
alpha; or y, then x) or that of the list. This is the order of the CaloChallenge, where x =
r cos(alpha) lies in the direction of η and y = r sin(alpha) in that of φ.

In space a voxel is at (x, y, z), z being depth. Where no depths are given, z counts layers.

A calorimeter travels with a file of showers or of their clouds, with a run and with what is sampled
from it, as the plain dictionary of :meth:`Calorimeter.to_dict`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.grids.binning import read_binning
from pcgen.grids.cell_list import CellList
from pcgen.grids.describing import CELLS, entries_of, packed, unusable
from pcgen.grids.grid import Grid, columns_of
from pcgen.schema import Quantity, Schema

ALPHA, R = Quantity("alpha", "rad", 2 * math.pi, r"$\alpha$"), Quantity("r", "mm")
X, Y = Quantity("x", "mm"), Quantity("y", "mm")


class Voxels(NamedTuple):
    """Where the V voxels are, in their order; float64.

    Attributes:
        layer: Layer of each voxel, 0 to L-1 [V].
        centre: (x, y, z) of its centre [V, 3]; of a voxel of rings, middle radius and middle angle.
        r: Distance of the centre from the axis x = y = 0 [V].
        alpha: Angle of the centre about it, -π to π [V].
        volume: Area times depth [V].
    """

    layer: Tensor
    centre: Tensor
    r: Tensor
    alpha: Tensor
    volume: Tensor


class VoxelLocation(NamedTuple):
    """In which voxels points are.

    Attributes:
        voxel: Number of the voxel [N]; of a point outside, that of the nearest cell.
        inside: Whether the point is inside the calorimeter [N].
    """

    voxel: Tensor
    inside: Tensor


@dataclass(frozen=True)
class Calorimeter:
    """L layers of cells.

    Attributes:
        layers: The cells of each layer: grids, all with the axes (alpha, r) or all with (x, y), or
            lists of cells.
        numbers: What the layers are called, rising; 0, 1, ... where empty.
        depth: Edges of the layers along z in mm [L+1]; where empty, z counts layers.

    Raises:
        ArgumentError: the layers, numbers or depths do not make a calorimeter.

    >>> calorimeter = Calorimeter.cylindrical([(0, 1, 2), (0, 5)], [4, 1])
    >>> calorimeter.voxels, calorimeter.boundaries
    (9, (0, 8, 9))
    """

    layers: tuple[Grid | CellList, ...]
    numbers: tuple[int, ...] = ()
    depth: tuple[float, ...] = ()
    _z: Grid = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        layers, count = tuple(self.layers), len(self.layers)
        kinds = {_kind(layer) for layer in layers}
        if len(kinds) != 1 or not kinds <= {*CELLS}:
            raise ArgumentError(
                f"layers: got {count} ({', '.join(sorted(kinds)) or 'none'}), expected at least "
                "one, all with the same axes, alpha and r or x and y, or all lists of cells"
            )
        numbers = tuple(self.numbers) or tuple(range(count))
        if len(numbers) != count or list(numbers) != sorted(set(numbers)):
            raise ArgumentError(f"numbers: got {numbers}, expected {count} rising integers")
        if len(self.depth) not in (0, count + 1):
            raise ArgumentError(f"depth: got {len(self.depth)} edges, expected {count + 1}")
        depth = tuple(map(float, self.depth))
        for name, value in (("layers", layers), ("numbers", numbers), ("depth", depth)):
            object.__setattr__(self, name, value)
        # A layer's depth is a cell along z.
        z = (
            Grid((Quantity("z", "mm"),), (depth,))
            if depth
            else Grid.regular({"z": (0, count, count)})
        )
        object.__setattr__(self, "_z", z)

    @classmethod
    def cylindrical(
        cls,
        r_edges: Sequence[Sequence[float]],
        sectors: Sequence[int | Sequence[float]],
        *,
        numbers: Sequence[int] = (),
        depth: Sequence[float] = (),
    ) -> Calorimeter:
        """Rings about the axis, for each layer: radii in mm, and number of equal angles (from -π).

        In place of the number there may be the edges of the angles.
        """
        pairs = zip(r_edges, sectors, strict=True)
        grids = tuple(Grid((ALPHA, R), (_angles(each), tuple(edges))) for edges, each in pairs)
        return cls(grids, tuple(numbers), tuple(depth))

    @classmethod
    def planar(
        cls,
        x_edges: Sequence[Sequence[float]],
        y_edges: Sequence[Sequence[float]],
        *,
        numbers: Sequence[int] = (),
        depth: Sequence[float] = (),
    ) -> Calorimeter:
        """Rectangular cells: edges in mm along x and along y, for each layer."""
        edges = zip(x_edges, y_edges, strict=True)
        grids = tuple(Grid((X, Y), (tuple(x), tuple(y))) for x, y in edges)
        return cls(grids, tuple(numbers), tuple(depth))

    @classmethod
    def cells(
        cls,
        x: Sequence[Sequence[float]],
        y: Sequence[Sequence[float]],
        size: Sequence[Sequence[float]],
        *,
        numbers: Sequence[int] = (),
        depth: Sequence[float] = (),
    ) -> Calorimeter:
        """Lists of cells, for each layer: centres in mm and distances between opposite sides."""
        layers = tuple(CellList(*map(tuple, each)) for each in zip(x, y, size, strict=True))
        return cls(layers, tuple(numbers), tuple(depth))

    @classmethod
    def from_xml(
        cls, path: str | Path, particle: str | None = None, *, depth: Sequence[float] = ()
    ) -> Calorimeter:
        """The calorimeter that a file of the CaloChallenge describes (:func:`read_binning`).

        Args:
            path: File.
            particle: ``"photon"``, ``"pion"`` or ``"electron"``; None: the only one of the file.
            depth: Edges of its layers along z, which the file does not say, in mm.

        Raises:
            FileError: the file is missing, is no such XML or holds no such particle.
        """
        rings = read_binning(path, particle)
        return cls.cylindrical(
            [layer.edges for layer in rings],
            [layer.sectors for layer in rings],
            numbers=[layer.number for layer in rings],
            depth=depth,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of strings, numbers and lists, ready for JSON; nothing is rounded.

        ``kind`` is the name of the constructor, the other entries are its arguments; those of
        listed cells are packed (:mod:`pcgen.grids.describing`).
        """
        common = {"numbers": list(map(int, self.numbers)), "depth": list(self.depth)}
        lists = [each for each in self.layers if isinstance(each, CellList)]
        if lists:
            own = {n: packed([getattr(each, n) for each in lists]) for n in CELLS["cells"]}
            counts = [len(each.x) for each in lists]
            return {"kind": "cells", "counts": counts, **own, **common}
        grids = [each for each in self.layers if isinstance(each, Grid)]
        first, second = ([list(grid.edges[axis]) for grid in grids] for axis in (0, 1))
        if not self.cylinder:
            return {"kind": "planar", "x_edges": first, "y_edges": second, **common}
        sectors = [len(e) - 1 if _angles(len(e) - 1) == tuple(e) else e for e in first]
        return {"kind": "cylindrical", "r_edges": second, "sectors": sectors, **common}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calorimeter:
        """Inverse of :meth:`to_dict`.

        Raises:
            DataError: an entry is missing, unknown or of the wrong kind, or there are more voxels
                than :data:`pcgen.bounds.VOXELS`.

        >>> calorimeter = Calorimeter.cylindrical([(0, 1, 2), (0, 5)], [4, 1], numbers=(0, 12))
        >>> Calorimeter.from_dict(calorimeter.to_dict()) == calorimeter
        True
        """
        kind, fields = entries_of(data)
        try:
            calorimeter: Calorimeter = getattr(cls, kind)(**fields)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise unusable(data, error) from error
        return calorimeter

    @property
    def kind(self) -> str:
        """``"cylindrical"``, ``"planar"`` or ``"cells"``, as the constructors are called."""
        return _kind(self.layers[0])

    @property
    def cylinder(self) -> bool:
        """Whether the cells are those of rings, neither rectangles nor lists."""
        return self.kind == "cylindrical"

    @cached_property
    def boundaries(self) -> tuple[int, ...]:
        """First voxel of each layer, and V [L+1]."""
        return tuple(accumulate((math.prod(grid.cells) for grid in self.layers), initial=0))

    @property
    def depth_edges(self) -> tuple[float, ...]:
        """Edges of the layers along z [L+1], in mm; 0, 1, ... where no depths are known."""
        return self._z.edges[0]

    def layer_of(self, voxel: Tensor) -> Tensor:
        """Layer of each voxel [N], 0 to L-1."""
        first = torch.tensor(self.boundaries, device=voxel.device)
        return torch.searchsorted(first, voxel, right=True) - 1

    @property
    def voxels(self) -> int:
        """Number of voxels V."""
        return self.boundaries[-1]

    @property
    def grid(self) -> Grid | None:
        """The grid of all layers, with their names, where their cells are the same."""
        first = self.layers[0]
        if not isinstance(first, Grid) or len({*self.layers}) > 1:
            return None
        return Grid(first.axes, first.edges, tuple(map(str, self.numbers)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a shower as a dense array: the layers, and the cells of each where all have as
        many along both axes; otherwise the V voxels one after the other.

        >>> Calorimeter.cylindrical([(0, 1, 2), (0, 5, 9)], [4, 4]).shape
        (2, 4, 2)
        """
        cells, *others = {layer.cells for layer in self.layers}
        return (self.voxels,) if others else (len(self.layers), *cells)

    @property
    def schema(self) -> Schema:
        """Meaning of a cloud of voxels in this calorimeter."""
        return Schema(
            axes=(X, Y, *self._z.axes),
            weight=Quantity("energy", "MeV"),
            condition=(Quantity("incident_energy", "MeV"),),
            layers=tuple(map(str, self.numbers)),
            description="energies in the voxels of a calorimeter",
        )

    def columns(self, axes: Sequence[Quantity]) -> tuple[int, ...]:
        """Columns of ``pos`` that are x, y and z, among ``axes`` (those of a schema).

        Raises:
            ArgumentError: an axis is missing there, or has another unit or period.
        """
        return columns_of(self.schema.axes, axes)

    def geometry(self, device: torch.device | str = "cpu") -> Voxels:
        """Where the voxels are."""
        parts = [self._plane(grid) for grid in self.layers]
        x, y, r, alpha, area = (torch.cat(column) for column in zip(*parts, strict=True))
        sizes = torch.tensor([len(part[0]) for part in parts])
        layer = torch.repeat_interleave(torch.arange(len(parts)), sizes)
        z = torch.tensor(self._z.edges[0], dtype=torch.double)
        middle, thickness = 0.5 * (z[:-1] + z[1:])[layer], z.diff()[layer]
        values = (layer, torch.stack([x, y, middle], 1), r, alpha, area * thickness)
        return Voxels(*(value.to(device) for value in values))

    def locate(self, pos: Tensor, layer: Tensor | None = None) -> VoxelLocation:
        """Voxels of the points ``pos`` [N, 3]; ``layer`` [N] gives their layers, otherwise z does.

        Raises:
            ArgumentError: shapes do not fit, or a layer is unknown.
        """
        if pos.dim() != 2 or pos.shape[1] != 3 or not pos.is_floating_point():
            raise ArgumentError(
                f"pos: got {pos.dtype} {tuple(pos.shape)}, expected a float tensor [N, 3]"
            )
        layer, inside = self._layer(pos, layer)
        x, y = pos[:, 0], pos[:, 1]
        plane = torch.stack([torch.atan2(y, x), torch.hypot(x, y)] if self.cylinder else [x, y], 1)
        voxel = torch.empty_like(layer)
        for grid, members in self._alike.items():
            here = torch.isin(layer, torch.tensor(members, device=layer.device))
            cell, within = grid.locate(plane[here])
            # The cells of a grid have two numbers, row-major; those of a list have one.
            wide = grid.cells[1] if isinstance(grid, Grid) else 1
            voxel[here] = cell[:, 0] * wide + (cell[:, 1] if cell.shape[1] > 1 else 0)
            inside[here] &= within
        first = torch.tensor(self.boundaries, device=layer.device)
        return VoxelLocation(first[layer] + voxel, inside)

    @cached_property
    def _alike(self) -> dict[Grid | CellList, list[int]]:
        """Layers of equal cells, located at once."""
        alike: dict[Grid | CellList, list[int]] = {}
        for number, grid in enumerate(self.layers):
            alike.setdefault(grid, []).append(number)
        return alike

    def _layer(self, pos: Tensor, layer: Tensor | None) -> tuple[Tensor, Tensor]:
        """Layer of each point, and whether it is in one [N]."""
        if layer is None:
            cell, inside = self._z.locate(pos[:, 2:])
            return cell[:, 0], inside
        if layer.shape != pos.shape[:1] or layer.is_floating_point():
            raise ArgumentError(
                f"layer: got {layer.dtype} {tuple(layer.shape)}, expected integers [{len(pos)}]"
            )
        unknown = (layer < 0) | (layer >= len(self.layers))
        if bool(unknown.any()):
            row = int(unknown.nonzero()[0])
            raise ArgumentError(
                f"layer of point {row}: got {int(layer[row])}, expected 0 to {len(self.layers) - 1}"
            )
        return layer, torch.ones_like(layer, dtype=torch.bool)

    def _plane(self, grid: Grid | CellList) -> tuple[Tensor, ...]:
        """x, y, r, alpha and area of the cells of a layer, in the order of its voxels."""
        if isinstance(grid, CellList):
            x, y = grid.centres.unbind(1)
            return x, y, torch.hypot(x, y), torch.atan2(y, x), grid.areas
        edges = [torch.tensor(each, dtype=torch.double) for each in grid.edges]
        middles = [0.5 * (each[:-1] + each[1:]) for each in edges]
        first, second = (each.flatten() for each in torch.meshgrid(*middles, indexing="ij"))
        if self.cylinder:
            # The area of a sector of a ring is (r1² - r0²) / 2 times its angle.
            area = torch.outer(edges[0].diff(), 0.5 * edges[1].square().diff()).flatten()
            return second * first.cos(), second * first.sin(), second, first, area
        area = torch.outer(edges[0].diff(), edges[1].diff()).flatten()
        return first, second, torch.hypot(first, second), torch.atan2(second, first), area


def _kind(layer: Grid | CellList) -> str:
    """Kind of the cells of a layer; their axes where it is none."""
    if isinstance(layer, CellList):
        return "cells"
    names = " and ".join(axis.label for axis in layer.axes)
    if layer.layers:
        return f"{names} in layers"
    known: dict[tuple[Quantity, ...], str] = {(ALPHA, R): "cylindrical", (X, Y): "planar"}
    return known.get(layer.axes, names)


def _angles(sectors: int | Sequence[float]) -> tuple[float, ...]:
    """Edges of so many equal angles, or those that are given."""
    if isinstance(sectors, Sequence | np.ndarray):
        return tuple(map(float, sectors))
    return Grid.regular({ALPHA: (-math.pi, math.pi, sectors)}).edges[0]
