"""Two sets of clouds that face each other: weights, nearest neighbours, what to do with empties.

What the losses of :mod:`pcgen.ops.chamfer` share. Both sets are told as one of 2 B clouds, x before
y, each of which looks for neighbours in its counterpart: half as many operations to record and to
differentiate, which is what small batches spend their time on.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.floats import length, watched
from pcgen.ops.points import Period, check_points, steps
from pcgen.ops.search import search, search_both
from pcgen.ops.segments import owners, sum_by

Reduction = Literal["mean", "sum"]
Sides = Literal["both", "x", "y"]
Empty = float | Literal["raise", "nan"]


class Match(NamedTuple):
    """Points, and their nearest ones in the counterpart of their cloud.

    Where the counterpart is empty, distance and row mean nothing: the value is replaced in the end.

    Attributes:
        step: Difference to its nearest point, around the circle on periodic axes [R, D].
        squared: Its squared length [R].
        row: Row of its nearest point among both sets [R].
        owner: Its cloud among both sets [R].
        weight: Its weight [R], None for 1.
    """

    step: Tensor
    squared: Tensor
    row: Tensor
    owner: Tensor
    weight: Tensor | None

    @property
    def distance(self) -> Tensor:
        """Distance of each point [R]; its gradient at 0 is 0."""
        return length(self.step, self.squared)


class Pair(NamedTuple):
    """Both sets, checked.

    Attributes:
        points: Coordinates of x, then of y [N + M, D], in float32 at least.
        rows: N, the number of points of x.
        ptr: Pointers of x and y [B+1] each.
        owner: Cloud of each point: those of x count from 0, those of y from B [N + M].
        weight: Weight of each point [N + M], None for 1.
        total: Sum of the weights of each cloud [2 B].
        period: Of each axis, 0 for a line.
    """

    points: Tensor
    rows: int
    ptr: tuple[Tensor, Tensor]
    owner: Tensor
    weight: Tensor | None
    total: Tensor
    period: list[float]

    @property
    def number(self) -> int:
        """B, the number of pairs of clouds."""
        return len(self.ptr[0]) - 1

    @property
    def occupied(self) -> Tensor:
        """Which clouds have weight, x and y [2, B]."""
        return (self.total > 0).view(2, self.number)

    def match(self, sides: Sides = "both") -> Match:
        """The nearest neighbours of the points of x, of y, or of both."""
        x, y = self.points.detach().split([self.rows, len(self.points) - self.rows])
        part = slice(0, None)
        if sides == "both":
            to_y, to_x = search_both(x, y, *self.ptr, self.period)
            row = torch.cat((_shifted(to_y, self.rows), _shifted(to_x, 0)))
        elif sides == "x":
            part = slice(0, self.rows)
            row = _shifted(search(x, y, *self.ptr, 1, self.period).squeeze(1), self.rows)
        else:
            part = slice(self.rows, None)
            row = _shifted(search(y, x, *self.ptr[::-1], 1, self.period).squeeze(1), 0)
        source = self.points if sides == "both" else self.points[part]
        step = steps(source - self.points.index_select(0, row), self.period)
        weight = None if self.weight is None else self.weight[part]
        return Match(step, (step * step).sum(1), row, self.owner[part], weight)

    def reduce(self, value: Tensor, match: Match, reduction: Reduction) -> Tensor:
        """Weighted mean or sum over the points of each cloud [2, B]; 0 for an empty one."""
        result = self._reduce(value, match.weight, match.owner, self.total, reduction)
        if not watched(result) or _finite(result, self.total):
            return result
        # A sum was beyond the type: sums of parts of values and weights may not be.
        part = 2.0**-64 if value.dtype == torch.float32 else 2.0**-512
        weight = torch.ones_like(value) if match.weight is None else match.weight
        total = sum_by(self.weights() * part, self.owner, 2 * self.number)
        result = self._reduce(value * part, weight * part, match.owner, total, reduction)
        return result / part if reduction == "mean" else result / part / part

    def weights(self) -> Tensor:
        """Weight of each point [N + M]."""
        return self.points.new_ones(len(self.points)) if self.weight is None else self.weight

    def _reduce(
        self,
        value: Tensor,
        weight: Tensor | None,
        owner: Tensor,
        total: Tensor,
        reduction: Reduction,
    ) -> Tensor:
        result = sum_by(value if weight is None else value * weight, owner, 2 * self.number)
        if reduction == "mean":
            result = result / torch.where(total > 0, total, 1)
        return result.view(2, self.number)

    def settle(self, value: Tensor, empty: Empty, *, neither: float = 0.0) -> Tensor:
        """``value`` where both clouds have weight, ``neither`` where none has, else ``empty`` [B].

        Raises:
            ArgumentError: ``empty`` is not "raise", "nan" or a number.
            DataError: only one cloud of a pair has weight and ``empty`` is "raise".
        """
        if not isinstance(empty, (int, float)) and empty not in ("raise", "nan"):
            raise ArgumentError(f"empty: got {empty!r}, expected 'raise', 'nan' or a number")
        occupied = self.occupied
        both = occupied.all(0)
        if value.device.type == "cpu" and not torch.compiler.is_compiling() and bool(both.all()):
            return value  # nothing to replace; not asked of a GPU, which would have to wait
        alone = occupied[0] != occupied[1]
        instead = torch.where(alone, _instead(alone, empty), neither).to(value.dtype)
        return torch.where(both, value, instead)


def face(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    *,
    weight_x: Tensor | None = None,
    weight_y: Tensor | None = None,
    period: Period | None = None,
) -> Pair:
    """Check two sets of clouds and put them face to face.

    Raises:
        ArgumentError: shapes, dtypes, devices, pointers or periods do not fit.
        DataError: a coordinate or weight is not finite, or a weight is negative.
    """
    lengths = check_points(x, y, ptr_x, ptr_y, period)
    points = torch.cat((x, y))
    if points.dtype in (torch.float16, torch.bfloat16):
        points = points.float()
    ptr = torch.cat((ptr_x, ptr_y[1:] + len(x)))
    owner = owners(ptr, len(points))
    if weight_x is None and weight_y is None:
        weight, total = None, (ptr[1:] - ptr[:-1]).to(points.dtype)
    else:
        weights = _weight("x", weight_x, x, points), _weight("y", weight_y, y, points)
        weight = torch.cat(weights)
        total = sum_by(weight, owner, len(ptr) - 1)
    return Pair(points, len(x), (ptr_x, ptr_y), owner, weight, total, lengths)


def _finite(*values: Tensor) -> bool:
    # A sum is the cheapest look at all values; where it alone overflows nothing is lost.
    return all(math.isfinite(float(value.detach().sum())) for value in values)


def _shifted(row: Tensor, by: int) -> Tensor:
    """Rows among both sets; 0 instead of none."""
    return torch.where(row < 0, 0, row + by)


def _instead(alone: Tensor, empty: Empty) -> float:
    if isinstance(empty, (int, float)):
        return float(empty)
    if empty == "raise" and not torch.compiler.is_compiling() and bool(alone.any()):
        raise DataError(
            f"pair {int(alone.nonzero()[0])}: one cloud is empty and the other is not, "
            "expected points (and weight) in both; or pass empty='nan' or a value"
        )
    return float("nan")


def _weight(name: str, weight: Tensor | None, side: Tensor, points: Tensor) -> Tensor:
    """Weights of one side in the dtype of the points; 1 where there are none."""
    if weight is None:
        return points.new_ones(len(side))
    shape, device = (len(side),), points.device
    if weight.shape != shape or weight.device != device or not weight.is_floating_point():
        raise ArgumentError(
            f"weight_{name}: got {weight.dtype} {tuple(weight.shape)} on {weight.device}, "
            f"expected a float tensor {shape} on {device}"
        )
    if not torch.compiler.is_compiling():
        bad = ~((weight >= 0) & weight.isfinite())
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise DataError(
                f"weight_{name}: row {row} is {weight[row].item()}, expected a finite number >= 0"
            )
    return weight.to(points.dtype)
