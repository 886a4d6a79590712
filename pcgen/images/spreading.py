r"""Points of a shower anywhere in their voxels, and not at the centres.

Cells are where an energy was summed, and their centres are a lattice that no generator needs to
learn: spread over the cells, points have a density. In a ring of a cylinder the angle and
:math:`r^2` are uniform.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cloud
from pcgen.grids import Calorimeter
from pcgen.ops.drawing import uniform


def cell_edges(calorimeter: Calorimeter, device: torch.device | str = "cpu") -> Tensor:
    """Lower and upper edges of the V voxels in their layer [V, 2, 2]; of alpha and r, or x and y.

    >>> calorimeter = Calorimeter.planar([(0, 2, 3)], [(0, 1)])
    >>> cell_edges(calorimeter).tolist()
    [[[0.0, 2.0], [0.0, 1.0]], [[2.0, 3.0], [0.0, 1.0]]]
    """
    rows = []
    for grid in calorimeter.layers:
        axes = [torch.tensor(edges, dtype=torch.double) for edges in grid.edges]
        ranges = [torch.stack([edges[:-1], edges[1:]], 1) for edges in axes]
        first, second = (len(each) for each in ranges)
        rows.append(
            torch.stack([ranges[0].repeat_interleave(second, 0), ranges[1].repeat(first, 1)], 1)
        )
    return torch.cat(rows).to(device)


def spread_over_cells(
    clouds: Batch,
    calorimeter: Calorimeter,
    *,
    edges: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Batch:
    """The clouds with x and y of each point uniform over the area of its voxel.

    Points outside the calorimeter stay where they are. Energies and layers do not change, and so
    :func:`~pcgen.images.cloud_to_shower` gives the same shower.

    Args:
        clouds: B clouds of points (x, y, z), with or without ``layer``.
        calorimeter: The V voxels.
        edges: :func:`cell_edges`, where they are known.
        generator: Source of all randomness.

    Raises:
        ArgumentError: the clouds have other coordinates, or an unknown layer.
    """
    cloud.check(clouds, len(calorimeter.schema.axes))
    location = calorimeter.locate(clouds.pos, clouds.get("layer"))
    edges = cell_edges(calorimeter, clouds.pos.device) if edges is None else edges
    low, high = edges.to(clouds.pos)[location.voxel].unbind(2)
    chance = uniform(tuple(low.shape), clouds.pos, generator)
    first, second = (low + chance * (high - low)).unbind(1)
    if calorimeter.cylinder:
        inner, outer = low[:, 1].square(), high[:, 1].square()
        r = (inner + chance[:, 1] * (outer - inner)).sqrt()
        first, second = r * first.cos(), r * first.sin()
    apart = torch.stack([first, second, clouds.pos[:, 2]], 1)
    return cloud.replace(clouds, pos=torch.where(location.inside[:, None], apart, clouds.pos))
