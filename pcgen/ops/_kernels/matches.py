"""Each point and its nearest neighbour on the other side, in plain torch, on any device.

What Chamfer distances share. The rows of both sides stand in one list, x before y, those of cloud b
of y belonging to cloud B + b: half as many operations to record and to differentiate.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pcgen.ops._kernels.search import search, search_both
from pcgen.ops.floats import length, watched
from pcgen.ops.points import steps
from pcgen.ops.segments import sum_by
from pcgen.ops.sides import Sides

Reduction = Literal["mean", "sum"]
"""Over the points of a side: Σ w d / Σ w, or Σ w d."""
Direction = Literal["both", "x", "y"]
"""From the points of x to their nearest y, the reverse, or the sum of the two."""


class Match(NamedTuple):
    """R points, and their nearest ones in the opposite cloud.

    Where that is empty, distance and row mean nothing: the caller replaces the value.

    Attributes:
        step: Difference to its nearest point, around the circle on periodic axes [R, D].
        squared: Its squared length [R].
        row: Row of its nearest point in the list of both sides [R].
        owner: Its cloud, 0 to 2 B - 1 [R].
        weight: Its weight [R].
        number: B.
    """

    step: Tensor
    squared: Tensor
    row: Tensor
    owner: Tensor
    weight: Tensor
    number: int

    @property
    def distance(self) -> Tensor:
        """Distance of each point [R]; its gradient at 0 is 0."""
        return length(self.step, self.squared)

    def total(self) -> Tensor:
        """Sum of the weights of each cloud [2 B]."""
        return sum_by(self.weight, self.owner, 2 * self.number)

    def reduce(self, value: Tensor, reduction: Reduction) -> Tensor:
        """Weighted mean or sum of values [R] over the points of each cloud [2, B]; 0 if empty."""
        total = self.total()
        result = self._reduce(value, self.weight, total, reduction)
        if not watched(result) or _finite(result, total):
            return result
        # A sum was beyond the type: sums of parts of values and weights may not be.
        part = 2.0**-64 if value.dtype == torch.float32 else 2.0**-512
        total = sum_by(self.weight * part, self.owner, 2 * self.number)
        result = self._reduce(value * part, self.weight * part, total, reduction)
        return result / part if reduction == "mean" else result / part / part

    def _reduce(self, value: Tensor, weight: Tensor, total: Tensor, reduction: Reduction) -> Tensor:
        result = sum_by(value * weight, self.owner, 2 * self.number)
        if reduction == "mean":
            result = result / torch.where(total > 0, total, 1)
        return result.view(2, self.number)


def match(given: Sides, direction: Direction = "both") -> Match:
    """The nearest neighbours of the points of x, of y, or of both."""
    points = torch.cat((given.x, given.y))
    owner = torch.cat((given.owner_x, given.owner_y + given.number))
    weight = torch.cat((given.weight_x, given.weight_y))
    x, y, rows, period = given.x.detach(), given.y.detach(), len(given.x), given.period
    part = slice(0, None)
    if direction == "both":
        to_y, to_x = search_both(x, y, given.ptr_x, given.ptr_y, period)
        row = torch.cat((_shifted(to_y, rows), _shifted(to_x, 0)))
    elif direction == "x":
        part = slice(0, rows)
        row = _shifted(search(x, y, given.ptr_x, given.ptr_y, 1, period).squeeze(1), rows)
    else:
        part = slice(rows, None)
        row = _shifted(search(y, x, given.ptr_y, given.ptr_x, 1, period).squeeze(1), 0)
    step = steps(points[part] - points.index_select(0, row), period)
    return Match(step, (step * step).sum(1), row, owner[part], weight[part], given.number)


def _finite(*values: Tensor) -> bool:
    # A sum is the cheapest look at all values; where it alone overflows nothing is lost.
    return all(math.isfinite(float(value.detach().sum())) for value in values)


def _shifted(row: Tensor, by: int) -> Tensor:
    """Rows in the list of both sides; 0 instead of none."""
    return torch.where(row < 0, 0, row + by)
