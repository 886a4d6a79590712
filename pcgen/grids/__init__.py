r"""Grids: the cells that a detector image is made of.

A :class:`Grid` has, on each of its D axes, edges e_0 < e_1 < ... < e_K, regular or not. Cell k is
[e_k, e_{k+1}); the last cell also holds its upper edge, as in ``numpy.histogram``. On an axis with
a period P (an angle) a point is first brought into [e_0, e_0 + P); where the edges span the full
period, nothing is outside and the upper edge is the lower one.

Detectors with several layers or channels name them in ``layers``; these are the first axis of an
image and the attribute ``layer`` of a cloud, in this order. Images are [B, \*grid.shape].

A :class:`Calorimeter` has layers whose cells differ; its image is a row of voxels. Cells of a layer
that are no grid are a :class:`CellList`.

Edges are compared in the dtype of the points: a float32 point at float32(0.1) is on the edge 0.1.
"""

from __future__ import annotations

from pcgen.grids.calorimeter import Calorimeter, VoxelLocation, Voxels
from pcgen.grids.cell_list import CellList
from pcgen.grids.grid import Grid, Location

__all__ = [
    "Calorimeter",
    "CellList",
    "Grid",
    "Location",
    "VoxelLocation",
    "Voxels",
]
