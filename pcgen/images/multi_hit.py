r"""Where points go that share a voxel: a generator of points does not know of the cells.

Two simulated energies in one cell are one entry of the shower, so showers have as many points as
filled cells. Two generated points may share a cell. The sum of both is then one filled cell too
few, the more often the denser the shower. The policies keep the energy of each layer exactly:

============ =====================================================================================
``sum``      points of a cell add up
``shift``    the hottest keeps the cell, each other one goes to the nearest free cell of its layer
             (after caloutils, which tries single steps along an axis)
``distinct`` the hottest keeps the cell, each other one goes to a random free cell of its ring, so
             that radii stay as they are (after CaloPointFlow II, Schnake et al., arXiv 2403.15782,
             which draws the angles of a ring without replacement)
============ =====================================================================================

Where no cell is free, in the layer or the ring, points add up in the one that they have.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter
from pcgen.ops.drawing import uniform

MultiHit = Literal["sum", "shift", "distinct"]
_PAIRS = 2**22  # points times cells that are compared at a time: bounds the memory


def check_policy(policy: str, calorimeter: Calorimeter) -> None:
    """Refuse an unknown policy, and ``distinct`` for cells that are not in rings.

    Raises:
        ArgumentError: naming those that there are.
    """
    known = get_args(MultiHit)
    if policy not in known:
        raise ArgumentError(f"multi_hit: got {policy!r}, expected one of {', '.join(known)}")
    if policy == "distinct" and not calorimeter.cylinder:
        raise ArgumentError(
            "multi_hit: got 'distinct' for cells that are in no rings, expected sum or shift"
        )


def settled(
    voxel: Tensor,
    event: Tensor,
    weight: Tensor,
    pos: Tensor,
    calorimeter: Calorimeter,
    policy: MultiHit,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Voxels [N] of points, at most one in each while there is a free one.

    Args:
        voxel: In which each point lies [N].
        event: Of each point [N].
        weight: The hottest of a voxel keeps it; of equal ones the first [N].
        pos: Coordinates (x, y, ...) [N, D].
        calorimeter: The V voxels.
        policy: See above.
        generator: Source of the randomness of ``distinct``.

    >>> calorimeter = Calorimeter.planar([(0, 1, 2, 3)], [(0, 1)])
    >>> pos, weight = torch.tensor([[1.4, 0.5], [1.6, 0.5]]), torch.tensor([2.0, 1.0])
    >>> voxel, event = torch.tensor([1, 1]), torch.tensor([0, 0])
    >>> settled(voxel, event, weight, pos, calorimeter, "shift").tolist()
    [1, 2]
    """
    check_policy(policy, calorimeter)
    if policy == "sum" or not len(voxel):
        return voxel
    _, event = event.unique(return_inverse=True)
    events = int(event.max()) + 1
    taken = torch.zeros(events * calorimeter.voxels, dtype=torch.bool, device=voxel.device)
    key = event * calorimeter.voxels + voxel
    first = _hottest(key, weight)
    taken[key[first]] = True
    rows = (~first).nonzero().flatten()
    cells = _Cells(calorimeter, policy, voxel.device)
    found = voxel.clone()
    # Points of one event stay together: they see what the others take.
    for some in _blocks(rows, event, max(_PAIRS // cells.most, 1)):
        cost = cells.cost(voxel[some], pos[some], generator)
        found[some] = _free(cost, cells.first(voxel[some]), voxel, event, weight, some, taken)
    return found


class _Cells:
    """The cells of a layer as what a point that must move may choose from."""

    def __init__(self, calorimeter: Calorimeter, policy: str, device: torch.device) -> None:
        geometry = calorimeter.geometry(device)
        boundaries = torch.tensor(calorimeter.boundaries, device=device)
        self.layer, self.boundaries, self.policy = geometry.layer, boundaries, policy
        self.centre = geometry.centre[:, :2]
        self.most = int(boundaries.diff().max())
        width = torch.tensor([grid.cells[-1] for grid in calorimeter.layers], device=device)
        # r runs fastest: the ring of a cell is its place modulo the number of rings.
        place = torch.arange(calorimeter.voxels, device=device) - boundaries[self.layer]
        self.ring = place % width[self.layer]

    def first(self, voxel: Tensor) -> Tensor:
        """First voxel of the layer of each [M]."""
        return self.boundaries[self.layer[voxel]]

    def cost(self, voxel: Tensor, pos: Tensor, generator: torch.Generator | None) -> Tensor:
        """Of moving a point to each cell of its layer [M, C]; infinite where it may not go."""
        candidate = self.first(voxel)[:, None] + torch.arange(self.most, device=voxel.device)
        inside = candidate < self.boundaries[self.layer[voxel] + 1][:, None]
        candidate = candidate.clamp(max=len(self.layer) - 1)
        if self.policy == "shift":
            apart = self.centre[candidate] - pos[:, None, :2].to(self.centre)
            cost = apart.square().sum(2)
        else:
            cost = uniform(tuple(candidate.shape), self.centre, generator)
            inside = inside & (self.ring[candidate] == self.ring[voxel][:, None])
        return torch.where(inside, cost, torch.inf)


def _free(
    cost: Tensor,
    first: Tensor,
    voxel: Tensor,
    event: Tensor,
    weight: Tensor,
    rows: Tensor,
    taken: Tensor,
) -> Tensor:
    """Voxels of the points ``rows`` [M] by their cost [M, C]; ``taken`` is brought up to date.

    In rounds: each chooses its cheapest free cell, the hottest of those that chose the same gets
    it, the others choose again.
    """
    voxels = len(taken) // (int(event.max()) + 1)
    found, left = voxel[rows].clone(), torch.arange(len(rows), device=rows.device)
    start = event[rows] * voxels + first
    while len(left):
        key = start[left, None] + torch.arange(cost.shape[1], device=rows.device)
        open_cost = cost[left].masked_fill(taken[key.clamp(max=len(taken) - 1)], torch.inf)
        best, choice = open_cost.min(1)
        left, choice = left[best.isfinite()], choice[best.isfinite()]
        wanted = start[left] + choice
        won = _hottest(wanted, weight[rows[left]])
        taken[wanted[won]] = True
        found[left[won]] = first[left[won]] + choice[won]
        left = left[~won]
    return found


def _hottest(key: Tensor, weight: Tensor) -> Tensor:
    """Whether a row is the one of largest weight among those of its key [N]; ties: the first."""
    order = weight.argsort(descending=True, stable=True)
    order = order[key[order].argsort(stable=True)]
    leads = torch.ones(len(key), dtype=torch.bool, device=key.device)
    leads[1:] = key[order][1:] != key[order][:-1]
    return torch.zeros_like(leads).index_put((order,), leads)


def _blocks(rows: Tensor, event: Tensor, most: int) -> list[Tensor]:
    """Rows in parts of about so many, without dividing an event."""
    if not len(rows):
        return []
    rows = rows[event[rows].argsort(stable=True)]
    block = torch.arange(len(rows), device=rows.device) // most
    starts = torch.ones_like(block, dtype=torch.bool)
    starts[1:] = event[rows][1:] != event[rows][:-1]
    # A row belongs to the block in which its event begins.
    begin = torch.where(starts, block, -1).cummax(0).values
    return list(rows.split(begin.unique_consecutive(return_counts=True)[1].tolist()))
