"""The input of every distance between two ragged sets of weighted points, checked once."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError

Empty = Literal["raise", "nan"] | float


class Pairs(NamedTuple):
    """B pairs of clouds with their weights.

    Attributes:
        x, y: Points [N, D], [M, D] of one float dtype and device.
        ptr_x, ptr_y: First row of each cloud, and N or M [B+1], int64.
        weight_x, weight_y: [N], [M], >= 0.
    """

    x: Tensor
    y: Tensor
    ptr_x: Tensor
    ptr_y: Tensor
    weight_x: Tensor
    weight_y: Tensor

    def __len__(self) -> int:
        return len(self.ptr_x) - 1


def pairs(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    weight_x: Tensor | None,
    weight_y: Tensor | None,
) -> Pairs:
    """Both sides, with 1/n for weights that are absent.

    Raises:
        ArgumentError: a shape, dtype, device or value cannot be used.
    """
    for side, points, ptr in (("x", x, ptr_x), ("y", y, ptr_y)):
        _check_points(side, points)
        _check_pointer(side, ptr, points)
    if x.shape[1] != y.shape[1] or x.dtype != y.dtype or x.device != y.device:
        raise ArgumentError(
            f"y: got {y.dtype} [M, {y.shape[1]}] on {y.device}, "
            f"expected {x.dtype} [M, {x.shape[1]}] on {x.device} as x"
        )
    if len(ptr_x) != len(ptr_y):
        raise ArgumentError(f"ptr_y: got {len(ptr_y) - 1} clouds, expected {len(ptr_x) - 1} as x")
    ptr_x, ptr_y = ptr_x.long(), ptr_y.long()
    weight_x, weight_y = _weights("x", x, ptr_x, weight_x), _weights("y", y, ptr_y, weight_y)
    return Pairs(x, y, ptr_x, ptr_y, weight_x, weight_y)


def _check_points(side: str, points: Tensor) -> None:
    if points.dim() != 2 or not points.is_floating_point():
        raise ArgumentError(
            f"{side}: got {points.dtype} {tuple(points.shape)}, expected a float tensor [N, D]"
        )
    finite = points.isfinite()
    if not bool(finite.all()):
        row = int((~finite).any(1).nonzero()[0])
        raise ArgumentError(f"{side}: got {points[row].tolist()} in row {row}, expected finite")


def _check_pointer(side: str, ptr: Tensor, points: Tensor) -> None:
    integer = not ptr.is_floating_point() and not ptr.is_complex() and ptr.dtype != torch.bool
    if ptr.dim() != 1 or not len(ptr) or not integer or ptr.device != points.device:
        raise ArgumentError(
            f"ptr_{side}: got {ptr.dtype} {tuple(ptr.shape)} on {ptr.device}, "
            f"expected integers [B+1] on {points.device}"
        )
    rising = bool((ptr[1:] >= ptr[:-1]).all())
    if not rising or int(ptr[0]) != 0 or int(ptr[-1]) != len(points):
        raise ArgumentError(
            f"ptr_{side}: got {'rising' if rising else 'falling'} row numbers from {int(ptr[0])} "
            f"to {int(ptr[-1])}, expected rising ones from 0 to the {len(points)} rows of {side}"
        )


def _weights(side: str, points: Tensor, ptr: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        sizes = ptr[1:] - ptr[:-1]
        return torch.repeat_interleave(1.0 / sizes.to(points.dtype), sizes)
    if weight.shape != points.shape[:1] or weight.device != points.device:
        raise ArgumentError(
            f"weight_{side}: got {tuple(weight.shape)} on {weight.device}, "
            f"expected {(len(points),)} on {points.device}"
        )
    good = weight.isfinite() & (weight >= 0)
    if not weight.is_floating_point() or not bool(good.all()):
        row = int((~good).nonzero()[0]) if not bool(good.all()) else 0
        raise ArgumentError(
            f"weight_{side}: got {weight.dtype} {weight[row].item()} in row {row}, "
            "expected finite floats >= 0"
        )
    return weight


def alone(weight_x: Tensor, weight_y: Tensor, empty: Empty) -> Tensor:
    """Where one side alone has any weight [B], from the totals [B] of both.

    Raises:
        ArgumentError: there is such a pair and ``empty`` is ``"raise"``.
    """
    one = (weight_x > 0) != (weight_y > 0)
    if empty == "raise" and bool(one.any()):
        raise ArgumentError(
            f"empty: cloud {int(one.nonzero()[0])} has points with weight on one side only; "
            "expected both or none, or give empty='nan' or a value"
        )
    return one


def fill(empty: Empty) -> float:
    """What a pair with one empty side costs.

    Raises:
        ArgumentError: ``empty`` is a word other than "raise" and "nan".
    """
    if isinstance(empty, str) and empty not in ("raise", "nan"):
        raise ArgumentError(f"empty: got {empty!r}, expected 'raise', 'nan' or a value")
    return 0.0 if empty == "raise" else float(empty)


def total(value: Tensor, ptr: Tensor) -> Tensor:
    """Sum of ``value`` [N] over each cloud [B]."""
    number = len(ptr) - 1
    return value.new_zeros(number).index_add(
        0, each(torch.arange(number, device=ptr.device), ptr), value
    )


def each(value: Tensor, ptr: Tensor) -> Tensor:
    """Value of its cloud [B] for each row [N]."""
    return torch.repeat_interleave(value, ptr[1:] - ptr[:-1])
