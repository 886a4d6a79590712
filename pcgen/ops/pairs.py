"""Pairs of weighted clouds: what every transport distance is given, checked once."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.points import Period, check_points
from pcgen.ops.segments import owners, sum_by

Empty = float | Literal["raise", "nan"]
"""What a pair costs of which one cloud is empty: refused, NaN or a value."""


class Pairs(NamedTuple):
    """B pairs of weighted clouds.

    Attributes:
        x, y: Points [N, D], [M, D]; half precision is computed in float32.
        ptr_x, ptr_y: First row of each cloud, and N or M [B+1].
        owner_x, owner_y: Cloud of each row [N], [M].
        weight_x, weight_y: [N], [M], >= 0.
        total_x, total_y: Sum of the weights [B], float64, without gradient.
        period: Period of each axis, 0 for a line.
    """

    x: Tensor
    y: Tensor
    ptr_x: Tensor
    ptr_y: Tensor
    owner_x: Tensor
    owner_y: Tensor
    weight_x: Tensor
    weight_y: Tensor
    total_x: Tensor
    total_y: Tensor
    period: tuple[float, ...]

    @property
    def number(self) -> int:
        """B."""
        return len(self.ptr_x) - 1


def check_pairs(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    weight_x: Tensor | None,
    weight_y: Tensor | None,
    period: Period | None,
) -> Pairs:
    """Both sides, with weights 1/n where they are absent.

    Raises:
        ArgumentError: a shape, dtype, device, pointer or period does not fit.
        DataError: a coordinate is not finite, or a weight is not a finite number >= 0.
    """
    lengths = tuple(check_points(x, y, ptr_x, ptr_y, period))
    if x.dtype in (torch.float16, torch.bfloat16):
        x, y = x.float(), y.float()
    owner_x, owner_y = owners(ptr_x, len(x)), owners(ptr_y, len(y))
    weight_x = _weights("x", weight_x, x, ptr_x, owner_x)
    weight_y = _weights("y", weight_y, y, ptr_y, owner_y)
    number = len(ptr_x) - 1
    total_x = sum_by(weight_x.detach().double(), owner_x, number)
    total_y = sum_by(weight_y.detach().double(), owner_y, number)
    return Pairs(
        x, y, ptr_x, ptr_y, owner_x, owner_y, weight_x, weight_y, total_x, total_y, lengths
    )


def _weights(
    side: str, weight: Tensor | None, points: Tensor, ptr: Tensor, owner: Tensor
) -> Tensor:
    if weight is None:
        return (1.0 / (ptr[1:] - ptr[:-1]).to(points.dtype))[owner]
    shape, device = (len(points),), points.device
    if weight.shape != shape or weight.device != device or not weight.is_floating_point():
        raise ArgumentError(
            f"weight_{side}: got {weight.dtype} {tuple(weight.shape)} on {weight.device}, "
            f"expected a float tensor {shape} on {device}"
        )
    good = (weight >= 0) & weight.isfinite()
    if not bool(good.all()):
        row = int((~good).nonzero()[0])
        raise DataError(
            f"weight_{side}: row {row} is {weight[row].item()}, expected a finite number >= 0"
        )
    return weight.to(points.dtype)


def check_totals(given: Pairs) -> None:
    """Refuse pairs whose totals differ by more than the dtype explains; empty clouds pass.

    Raises:
        DataError: naming the first such pair.
    """
    total_x, total_y = given.total_x, given.total_y
    tolerance = torch.finfo(given.x.dtype).eps ** 0.5 * total_x.maximum(total_y)
    wrong = (total_x > 0) & (total_y > 0) & ((total_x - total_y).abs() > tolerance)
    if bool(wrong.any()):
        b = int(wrong.nonzero()[0])
        raise DataError(
            f"pair {b}: the weights sum to {float(total_x[b]):.9g} and {float(total_y[b]):.9g}, "
            "expected equal totals; normalise them or use an unbalanced distance"
        )


def fill_alone(value: Tensor, given: Pairs, empty: Empty) -> Tensor:
    """``value`` [B] with ``empty`` where one side alone has weight.

    Raises:
        ArgumentError: ``empty`` is a word other than "raise" and "nan".
        DataError: there is such a pair and ``empty`` is "raise".
    """
    if isinstance(empty, str) and empty not in ("raise", "nan"):
        raise ArgumentError(f"empty: got {empty!r}, expected 'raise', 'nan' or a number")
    total_x, total_y = given.total_x, given.total_y
    alone = (total_x > 0) != (total_y > 0)
    if empty == "raise":
        if bool(alone.any()):
            raise DataError(
                f"pair {int(alone.nonzero()[0])}: one cloud is empty and the other is not, "
                "expected points with weight in both; or pass empty='nan' or a value"
            )
        return value
    return torch.where(alone, float(empty), value)
