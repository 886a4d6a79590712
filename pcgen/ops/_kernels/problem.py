r"""What every transport solver is given and what it gives back.

A batch of B problems: move the mass a on the points x of cloud b to the mass a' on the points y of
cloud b. Each side may have one *slack particle* of mass s >= 0 at one ground cost S from every
point (0 from the other slack particle): it takes what has no partner. With it both totals agree,

.. math:: \sum_i a_i + s_x = \sum_j a'_j + s_y .

A solver returns a feasible plan, which bounds the optimum from above, and feasible dual prices
:math:`u_i + v_j \le c_{ij}`, which bound it from below: :math:`\sum u a + \sum v a' \le` optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.ops._kernels import ground
from pcgen.ops.ragged import owners
from pcgen.ops.segments import sum_by
from pcgen.ops.sides import Sides


class Problems(NamedTuple):
    """B transport problems; no tensor here carries a gradient.

    Attributes:
        sides: Points and masses, float64.
        slack_x, slack_y: Mass of the slack particles [B] float64, >= 0.
        slack_cost: Ground cost between a slack particle and a point.
        p: Power of the distance, 1 or 2.
    """

    sides: Sides
    slack_x: Tensor
    slack_y: Tensor
    slack_cost: float
    p: int

    @property
    def number(self) -> int:
        """B."""
        return self.sides.number


class Flow(NamedTuple):
    """A ragged sparse plan: ``mass[k]`` goes from row ``source[k]`` of x to row ``target[k]`` of y.

    Entries of cloud b are ``ptr[b]:ptr[b + 1]``. Mass that takes part in no entry stays unmatched.

    Attributes:
        source, target: Rows of x and of y [K], int64.
        mass: [K], > 0.
        ptr: [B+1], int64.
    """

    source: Tensor
    target: Tensor
    mass: Tensor
    ptr: Tensor


class Solution(NamedTuple):
    """A feasible plan and feasible prices of :class:`Problems`, in the units of its ground cost.

    Attributes:
        flow: The plan, entries of the slack particles left out.
        price_x, price_y: Dual prices of the points [N], [M].
        price_slack_x, price_slack_y: Dual prices of the slack particles [B].
        bound: Lower bound of the optimum [B]; -inf where the solver gave up and there is no plan.
    """

    flow: Flow
    price_x: Tensor
    price_y: Tensor
    price_slack_x: Tensor
    price_slack_y: Tensor
    bound: Tensor


def primal(problems: Problems, flow: Flow) -> Tensor:
    """Cost of a plan [B], slack particles included: what has no partner pays the slack cost."""
    sides = problems.sides
    x, y, owner = sides.x[flow.source], sides.y[flow.target], sides.owner_x[flow.source]
    pair_cost = ground.cost(x, y, problems.p, sides.period)
    moved = sum_by(flow.mass * pair_cost, owner, problems.number)
    if problems.slack_cost == 0.0:
        return moved
    both = sum_by(problems.sides.weight_x, problems.sides.owner_x, problems.number)
    both += sum_by(problems.sides.weight_y, problems.sides.owner_y, problems.number)
    unmatched = both - 2.0 * sum_by(flow.mass, owner, problems.number)
    return moved + problems.slack_cost * unmatched.clamp(min=0.0)


def is_assignment(problems: Problems) -> Tensor:
    """Which problems have equally many points of one mass on both sides and no slack [B]."""
    size_x, size_y = problems.sides.ptr_x.diff(), problems.sides.ptr_y.diff()
    alike = (problems.slack_x == 0) & (problems.slack_y == 0) & (size_x == size_y) & (size_x > 0)
    if not bool(alike.any()):
        return alike
    for mass, ptr, owner in (
        (problems.sides.weight_x, problems.sides.ptr_x, problems.sides.owner_x),
        (problems.sides.weight_y, problems.sides.ptr_y, problems.sides.owner_y),
    ):
        other = (mass != mass[ptr[:-1].clamp(max=len(mass) - 1)][owner]) | (mass <= 0)
        alike = alike & (sum_by(other.double(), owner, problems.number) == 0)
    return alike


def select(problems: Problems, index: Tensor) -> Problems:
    """The problems at ``index`` [B'] (integers)."""
    rows_x, owner_x, ptr_x = rows(problems.sides.ptr_x, index)
    rows_y, owner_y, ptr_y = rows(problems.sides.ptr_y, index)
    sides = problems.sides._replace(
        x=problems.sides.x[rows_x],
        y=problems.sides.y[rows_y],
        ptr_x=ptr_x,
        ptr_y=ptr_y,
        owner_x=owner_x,
        owner_y=owner_y,
        weight_x=problems.sides.weight_x[rows_x],
        weight_y=problems.sides.weight_y[rows_y],
    )
    slack_x, slack_y = problems.slack_x[index], problems.slack_y[index]
    return problems._replace(sides=sides, slack_x=slack_x, slack_y=slack_y)


def merge(problems: Problems, parts: Sequence[tuple[Tensor, Solution]]) -> Solution:
    """Solution of ``problems`` from those of selections that cover it; later ones overrule.

    Args:
        problems: All problems.
        parts: Index [B'] of a selection and its solution.
    """
    sides = problems.sides
    price_x, price_y = torch.zeros_like(sides.weight_x), torch.zeros_like(sides.weight_y)
    per_cloud = [torch.zeros_like(problems.slack_x) for _ in range(3)]
    last = torch.zeros_like(sides.ptr_x[1:])
    for k, (index, _) in enumerate(parts):
        last[index] = k
    flows = []
    for k, (index, part) in enumerate(parts):
        rows_x, rows_y = rows(sides.ptr_x, index)[0], rows(sides.ptr_y, index)[0]
        price_x[rows_x], price_y[rows_y] = part.price_x, part.price_y
        for out, value in zip(per_cloud, part[3:], strict=True):
            out[index] = value
        source, target, mass = rows_x[part.flow.source], rows_y[part.flow.target], part.flow.mass
        owner = sides.owner_x[source]
        keep = last[owner] == k
        flows.append((owner[keep], source[keep], target[keep], mass[keep]))
    owner, source, target, mass = (torch.cat(column) for column in zip(*flows, strict=True))
    order = torch.argsort(owner, stable=True)
    ptr = pointer(torch.bincount(owner, minlength=problems.number))
    flow = Flow(source[order], target[order], mass[order], ptr)
    return Solution(flow, price_x, price_y, *per_cloud)


def pointer(sizes: Tensor) -> Tensor:
    """First row of each cloud and the number of rows [B+1], from sizes [B]."""
    return torch.nn.functional.pad(sizes.cumsum(0), (1, 0))


def rows(ptr: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the clouds at ``index`` [B'], the cloud of each, and their own pointer [B'+1]."""
    new = pointer(ptr.diff()[index])
    owner = owners(new, int(new[-1]))
    step = (ptr[:-1][index] - new[:-1])[owner]
    return torch.arange(len(owner), device=ptr.device) + step, owner, new
