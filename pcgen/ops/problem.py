r"""What every transport solver is given and what it gives back.

A batch of B problems: move the mass a on the points x of cloud b to the mass a' on the points y of
cloud b. Each side may have one *slack particle* of mass s >= 0 at the same ground cost S from
every point (0 from the other slack): it takes what has no partner. With it both totals agree,

.. math:: \sum_i a_i + s_x = \sum_j a'_j + s_y .

A solver returns a feasible plan, which bounds the optimum from above, and feasible dual prices
:math:`u_i + v_j \le c_{ij}`, which bound it from below: :math:`\sum u a + \sum v a' \le` optimum.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Problems(NamedTuple):
    """B transport problems; no tensor here carries a gradient.

    Attributes:
        x, y: Points [N, D], [M, D], float64.
        ptr_x, ptr_y: First row of each cloud and the number of rows [B+1].
        mass_x, mass_y: [N], [M] float64, >= 0.
        slack_x, slack_y: Mass of the slack particles [B] float64, >= 0.
        slack_cost: Ground cost between a slack particle and a point.
        p: Power of the distance, 1 or 2.
        period: Period of each axis, 0 where there is none.
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

    def __len__(self) -> int:
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

    @property
    def batch(self) -> Tensor:
        """Cloud of each entry [K]."""
        index = torch.arange(len(self.ptr) - 1, device=self.ptr.device)
        return torch.repeat_interleave(index, self.ptr[1:] - self.ptr[:-1])


class Solution(NamedTuple):
    """A feasible plan and feasible prices of :class:`Problems`, in the units of its ground cost.

    Attributes:
        flow: The plan, entries of the slack particles left out.
        price_x, price_y: Dual prices of the points [N], [M].
        price_slack_x, price_slack_y: Dual prices of the slack particles [B].
        bound: Lower bound of the optimum [B].
    """

    flow: Flow
    price_x: Tensor
    price_y: Tensor
    price_slack_x: Tensor
    price_slack_y: Tensor
    bound: Tensor
