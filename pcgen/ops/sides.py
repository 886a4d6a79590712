"""Two sets of clouds that face each other: weights, nearest neighbours, what to do with empties.

What the losses of :mod:`pcgen.ops.chamfer` share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.points import Period, check_points, square
from pcgen.ops.search import search, search_both
from pcgen.ops.segments import owners, segment_sum

Reduction = Literal["mean", "sum"]
Sides = Literal["both", "x", "y"]
Empty = float | Literal["raise", "nan"]


class Side(NamedTuple):
    """One set of clouds: points [N, D], the cloud of each, weights [N], and sums of weights [B]."""

    points: Tensor
    ptr: Tensor
    owner: Tensor
    weight: Tensor | None
    total: Tensor

    @property
    def occupied(self) -> Tensor:
        """Which clouds have weight [B]."""
        return self.total > 0

    def reduce(self, value: Tensor, reduction: Reduction) -> Tensor:
        """Weighted mean or sum over the points of each cloud [B]; 0 for an empty one."""
        total = segment_sum(value if self.weight is None else value * self.weight, self.ptr)
        return total if reduction == "sum" else total / torch.where(self.occupied, self.total, 1)


class Match(NamedTuple):
    """The points of ``source`` and their nearest ones of ``target``.

    Where a cloud has no target, distance [N] and row [N] are 0 and mean nothing: its value is
    replaced in the end.
    """

    source: Side
    target: Side
    squared: Tensor
    row: Tensor


class Pair(NamedTuple):
    """Both sides, checked."""

    x: Side
    y: Side
    period: list[float]

    @classmethod
    def of(
        cls,
        x: Tensor,
        y: Tensor,
        ptr_x: Tensor,
        ptr_y: Tensor,
        weight_x: Tensor | None,
        weight_y: Tensor | None,
        period: Period | None,
    ) -> Pair:
        """Check everything; coordinates in float32 at least.

        Raises:
            ArgumentError: shapes, dtypes, devices, pointers or periods do not fit.
            DataError: a coordinate or weight is not finite, or a weight is negative.
        """
        lengths = check_points(x, y, ptr_x, ptr_y, period)
        return cls(_side("x", x, ptr_x, weight_x), _side("y", y, ptr_y, weight_y), lengths)

    def matches(self, sides: Sides = "both") -> list[Match]:
        """The nearest neighbours of the points of x, of y, or of both, in this order."""
        x, y = self.x, self.y
        x_points, y_points = x.points.detach(), y.points.detach()
        if sides == "both":
            rows = search_both(x_points, y_points, x.ptr, y.ptr, self.period)
            return [_match(x, y, rows[0], self.period), _match(y, x, rows[1], self.period)]
        if sides == "y":
            x, y, x_points, y_points = y, x, y_points, x_points
        row = search(x_points, y_points, x.ptr, y.ptr, 1, self.period).squeeze(1)
        return [_match(x, y, row, self.period)]

    def settle(self, value: Tensor, empty: Empty, *, neither: float = 0.0) -> Tensor:
        """``value`` where both clouds have weight, ``neither`` where none has, else ``empty`` [B].

        Raises:
            DataError: only one cloud of a pair has weight and ``empty`` is "raise".
        """
        alone = self.x.occupied != self.y.occupied
        instead = torch.where(alone, _instead(alone, empty), neither).to(value.dtype)
        return torch.where(self.x.occupied & self.y.occupied, value, instead)


def _side(name: str, points: Tensor, ptr: Tensor, weight: Tensor | None) -> Side:
    half = points.dtype in (torch.float16, torch.bfloat16)
    points = points.float() if half else points
    if weight is None:
        total = (ptr[1:] - ptr[:-1]).to(points.dtype)
    else:
        weight = _check_weight(name, weight, points)
        total = segment_sum(weight, ptr)
    return Side(points, ptr, owners(ptr, len(points)), weight, total)


def _match(source: Side, target: Side, row: Tensor, period: Sequence[float]) -> Match:
    points, others = source.points, target.points
    if len(others) == 0:
        return Match(source, target, points.sum(1) * 0, torch.zeros_like(source.owner))
    row = row.clamp(min=0)
    return Match(source, target, square(points - others.index_select(0, row), period), row)


def _instead(alone: Tensor, empty: Empty) -> float:
    if isinstance(empty, (int, float)):
        return float(empty)
    if empty not in ("raise", "nan"):
        raise ArgumentError(f"empty: got {empty!r}, expected 'raise', 'nan' or a number")
    if empty == "raise" and not torch.compiler.is_compiling() and bool(alone.any()):
        raise DataError(
            f"pair {int(alone.nonzero()[0])}: one cloud is empty and the other is not, "
            "expected points (and weight) in both; or pass empty='nan' or a value"
        )
    return float("nan")


def _check_weight(name: str, weight: Tensor, points: Tensor) -> Tensor:
    shape, device = (len(points),), points.device
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
