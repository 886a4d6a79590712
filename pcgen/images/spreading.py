r"""Points of a shower anywhere in their voxels, and not at the centres.

Cells are where an energy was summed, and their centres are a lattice that no generator needs to
learn: spread over the cells, points have a density. In a ring of a cylinder the angle and
:math:`r^2` are uniform.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cloud
from pcgen.grids import Calorimeter, CellList
from pcgen.ops.drawing import uniform


def cell_edges(calorimeter: Calorimeter, device: torch.device | str = "cpu") -> Tensor:
    """Between what the points of the V voxels lie in their layer [V, 3, 2].

    Lower and upper edges of alpha and r, or of x and y; and the centre about which they turn, which
    is 0 but for listed cells, whose points lie in a disc.

    >>> calorimeter = Calorimeter.planar([(0, 2, 3)], [(0, 1)])
    >>> cell_edges(calorimeter).tolist()
    [[[0.0, 2.0], [0.0, 1.0], [0.0, 0.0]], [[2.0, 3.0], [0.0, 1.0], [0.0, 0.0]]]
    """
    rows = []
    for layer in calorimeter.layers:
        if isinstance(layer, CellList):
            centre, reach = layer.centres, layer.reach
            around = torch.tensor([-math.pi, math.pi], dtype=torch.double).expand(len(reach), 2)
            ring = torch.stack([torch.zeros_like(reach), reach], 1)
            rows.append(torch.stack([around, ring, centre], 1))
            continue
        axes = [torch.tensor(edges, dtype=torch.double) for edges in layer.edges]
        ranges = [torch.stack([edges[:-1], edges[1:]], 1) for edges in axes]
        first, second = (len(each) for each in ranges)
        pairs = [ranges[0].repeat_interleave(second, 0), ranges[1].repeat(first, 1)]
        rows.append(torch.stack([*pairs, torch.zeros_like(pairs[0])], 1))
    return torch.cat(rows).to(device)


def spread_over_cells(
    clouds: Batch,
    calorimeter: Calorimeter,
    *,
    edges: Tensor | None = None,
    depth: bool = False,
    generator: torch.Generator | None = None,
) -> Batch:
    """The clouds with x and y of each point uniform over the area of its voxel.

    Points outside the calorimeter stay where they are. Energies and layers do not change, and so
    :func:`~pcgen.images.cloud_to_shower` gives the same shower. Of listed cells the area is a disc,
    in which no other centre is nearer.

    Args:
        clouds: B clouds of points (x, y, z), with or without ``layer``.
        calorimeter: The V voxels.
        edges: :func:`cell_edges`, where they are known.
        depth: z too is uniform over the depth of the layer.
        generator: Source of all randomness.

    Raises:
        ArgumentError: the clouds have other coordinates, or an unknown layer.
    """
    cloud.check(clouds, len(calorimeter.schema.axes))
    location = calorimeter.locate(clouds.pos, clouds.get("layer"))
    edges = cell_edges(calorimeter, clouds.pos.device) if edges is None else edges
    low, high = edges.to(clouds.pos)[location.voxel, :2].unbind(2)
    chance = uniform((len(low), 3 if depth else 2), clouds.pos, generator)
    plane, z = low + chance[:, :2] * (high - low), clouds.pos[:, 2]
    if calorimeter.kind != "planar":
        inner, outer = low[:, 1].square(), high[:, 1].square()
        r = (inner + chance[:, 1] * (outer - inner)).sqrt()
        plane = torch.stack([r * plane[:, 0].cos(), r * plane[:, 0].sin()], 1)
        plane = plane + edges.to(clouds.pos)[location.voxel, 2]
    if depth:
        layer = calorimeter.layer_of(location.voxel)
        ends = torch.tensor(calorimeter.depth_edges, device=z.device).to(z)
        z = ends[layer] + chance[:, 2] * (ends[layer + 1] - ends[layer])
    apart = torch.cat([plane, z[:, None]], 1)
    return cloud.replace(clouds, pos=torch.where(location.inside[:, None], apart, clouds.pos))
