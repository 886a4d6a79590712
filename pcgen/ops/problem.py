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

from pcgen.ops import ground
from pcgen.ops.segments import owners, segment_sum


class Problems(NamedTuple):
    """B transport problems; no tensor here carries a gradient.

    Attributes:
        x, y: Points [N, D], [M, D], float64.
        ptr_x, ptr_y: First row of each cloud and the number of rows [B+1].
        mass_x, mass_y: [N], [M] float64, >= 0.
        slack_x, slack_y: Mass of the slack particles [B] float64, >= 0.
        slack_cost: Ground cost between a slack particle and a point.
        p: Power of the distance, 1 or 2.
        period: Period of each axis, 0 for a line.
    """

    x: Tensor
    y: Tensor
    ptr_x: Tensor
    ptr_y: Tensor
    mass_x: Tensor
    mass_y: Tensor
    slack_x: Tensor
    slack_y: Tensor
    slack_cost: float
    p: int
    period: tuple[float, ...]

    @property
    def number(self) -> int:
        """B."""
        return len(self.ptr_x) - 1


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
    x, y = problems.x[flow.source], problems.y[flow.target]
    moved = segment_sum(flow.mass * ground.cost(x, y, problems.p, problems.period), flow.ptr)
    if problems.slack_cost == 0.0:
        return moved
    both = segment_sum(problems.mass_x, problems.ptr_x) + segment_sum(
        problems.mass_y, problems.ptr_y
    )
    unmatched = (both - 2.0 * segment_sum(flow.mass, flow.ptr)).clamp(min=0.0)
    return moved + problems.slack_cost * unmatched


def is_assignment(problems: Problems) -> Tensor:
    """Which problems have equally many points of one mass on both sides and no slack [B]."""
    size_x, size_y = problems.ptr_x.diff(), problems.ptr_y.diff()
    alike = (problems.slack_x == 0) & (problems.slack_y == 0) & (size_x == size_y) & (size_x > 0)
    for mass, ptr in ((problems.mass_x, problems.ptr_x), (problems.mass_y, problems.ptr_y)):
        first = mass[ptr[:-1].clamp(max=max(len(mass) - 1, 0))] if len(mass) else mass.new_zeros(1)
        other = (mass != first[owners(ptr, len(mass))]) | (mass <= 0)
        alike = alike & (segment_sum(other.double(), ptr) == 0)
    return alike


def select(problems: Problems, index: Tensor) -> Problems:
    """The problems at ``index`` [B'] (integers)."""
    rows_x, ptr_x = rows(problems.ptr_x, index)
    rows_y, ptr_y = rows(problems.ptr_y, index)
    return problems._replace(
        x=problems.x[rows_x],
        y=problems.y[rows_y],
        ptr_x=ptr_x,
        ptr_y=ptr_y,
        mass_x=problems.mass_x[rows_x],
        mass_y=problems.mass_y[rows_y],
        slack_x=problems.slack_x[index],
        slack_y=problems.slack_y[index],
    )


def merge(problems: Problems, parts: Sequence[tuple[Tensor, Solution]]) -> Solution:
    """Solution of ``problems`` from those of selections that cover it; later ones overrule.

    Args:
        problems: All problems.
        parts: Index [B'] of a selection and its solution.
    """
    price_x, price_y = torch.zeros_like(problems.mass_x), torch.zeros_like(problems.mass_y)
    per_cloud = [torch.zeros_like(problems.slack_x) for _ in range(3)]
    last = torch.zeros_like(problems.ptr_x[1:])
    for k, (index, _) in enumerate(parts):
        last[index] = k
    flows = []
    for k, (index, part) in enumerate(parts):
        rows_x, rows_y = rows(problems.ptr_x, index)[0], rows(problems.ptr_y, index)[0]
        price_x[rows_x], price_y[rows_y] = part.price_x, part.price_y
        for out, value in zip(per_cloud, part[3:], strict=True):
            out[index] = value
        source, target, mass, ptr = part.flow
        owner = index[owners(ptr, len(mass))]
        keep = last[owner] == k
        flows.append((owner[keep], rows_x[source[keep]], rows_y[target[keep]], mass[keep]))
    owner, source, target, mass = (torch.cat(column) for column in zip(*flows, strict=True))
    order = torch.argsort(owner, stable=True)
    ptr = pointer(torch.bincount(owner, minlength=problems.number))
    flow = Flow(source[order], target[order], mass[order], ptr)
    return Solution(flow, price_x, price_y, *per_cloud)


def pointer(sizes: Tensor) -> Tensor:
    """First row of each cloud and the number of rows [B+1], from sizes [B]."""
    return torch.nn.functional.pad(sizes.cumsum(0), (1, 0))


def rows(ptr: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the clouds at ``index`` [B'], and their own pointer [B'+1]."""
    sizes = ptr.diff()[index]
    new = pointer(sizes)
    owner = owners(new, int(new[-1]))
    return torch.arange(len(owner), device=ptr.device) + (ptr[index] - new[:-1])[owner], new
