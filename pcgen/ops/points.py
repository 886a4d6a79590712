r"""Points in space: what is accepted, whose clouds they are, and the squared distance of two.

    s(x, y) = Σ_a w_a(x_a - y_a)²,    w_a(t) = t - P_a round(t / P_a) on an axis of period P_a,

and w_a(t) = t on a line. Always by direct differences: |x|² + |y|² - 2 x·y, which ``torch.cdist``
computes, has no correct digit left in float32 at an offset of 1000.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.ragged import (
    check_pointer,
    check_pointer_type,
    check_tensors,
    pointer_of,
    wrong_pointer,
)

Period = Sequence[float | None]
"""Per axis: the period, or None for a line."""


def wrap(difference: Tensor, period: float) -> Tensor:
    """Shortest difference on an axis of the given period; 0 means that the axis is a line."""
    if period == 0:
        return difference
    return difference - period * (difference * (1 / period)).detach().round()


def steps(difference: Tensor, period: Sequence[float]) -> Tensor:
    """w_a(t_a) of differences [..., D]: the shortest ones, around the circle on periodic axes."""
    if not any(period):
        return difference
    return torch.stack(
        [wrap(each, p) for each, p in zip(difference.unbind(-1), period, strict=True)], -1
    )


def square(difference: Tensor, period: Sequence[float]) -> Tensor:
    """Σ_a w_a(t_a)² of differences [..., D], taken around the circle on periodic axes [...]."""
    total = torch.zeros_like(difference[..., 0])
    for axis, length in enumerate(period):
        step = wrap(difference[..., axis], length)
        total = total + step * step
    return total


def check_points(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, period: Period | None
) -> list[float]:
    """Refuse what cannot be searched; return the period of each axis, 0 for a line.

    Raises:
        ArgumentError: shapes, dtypes, devices, pointers or periods do not fit.
        DataError: a coordinate is not finite.
    """
    for name, value in (("x", x), ("y", y)):
        if value.dim() != 2 or value.shape[1] == 0 or not value.is_floating_point():
            raise ArgumentError(
                f"{name}: got {value.dtype} {tuple(value.shape)}, expected a float tensor [N, D]"
            )
    if x.shape[1] != y.shape[1] or x.dtype != y.dtype or len(ptr_x) != len(ptr_y):
        raise ArgumentError(
            f"x, y: got {x.dtype} {tuple(x.shape)} in {len(ptr_x) - 1} clouds and {y.dtype} "
            f"{tuple(y.shape)} in {len(ptr_y) - 1}, expected equal dtypes, D and B"
        )
    for name, pointer in (("ptr_x", ptr_x), ("ptr_y", ptr_y)):
        check_pointer_type(pointer, name)
    if len({x.device, y.device, ptr_x.device, ptr_y.device}) > 1:
        raise ArgumentError(
            f"x, y, ptr_x, ptr_y: got {x.device}, {y.device}, {ptr_x.device}, {ptr_y.device}, "
            "expected one device"
        )
    if not torch.compiler.is_compiling():
        _check_values(x, y, ptr_x, ptr_y)
    return period_lengths(period, x.shape[1])


def _check_values(x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor) -> None:
    if x.device.type != "cpu":  # one synchronisation, where all is well
        doubt = wrong_pointer(ptr_x, len(x)) | wrong_pointer(ptr_y, len(y))
        if not bool(doubt | ~(x.detach().sum() + y.detach().sum()).isfinite()):
            return
    check_pointer(ptr_x, len(x), "ptr_x")
    check_pointer(ptr_y, len(y), "ptr_y")
    _check_finite("x", x.detach())
    _check_finite("y", y.detach())


def period_lengths(period: Period | None, dimensions: int) -> list[float]:
    """The period of each axis, 0 for a line.

    Raises:
        ArgumentError: it is not one positive number, or None, for each axis.
    """
    lengths = [0.0] * dimensions if period is None else [p or 0.0 for p in period]
    good = period is None or all(p is None or 0 < p < float("inf") for p in period)
    if len(lengths) != dimensions or not good:
        raise ArgumentError(
            f"period: got {period}, expected a positive number or None for each of "
            f"{dimensions} axes"
        )
    return lengths


def _check_finite(name: str, value: Tensor) -> None:
    # A sum is the cheapest look at all values; it may overflow where each is finite.
    if math.isfinite(float(value.sum())):
        return
    finite = value.isfinite()
    if not bool(finite.all()):
        row = int((~finite).any(1).nonzero()[0])
        raise DataError(f"{name}: row {row} is {value[row].tolist()}, expected finite coordinates")


Side = tuple[str, Tensor | None, Tensor | None, Tensor]
"""Name of the batch in errors, batch, pointer and points."""


def pointers(sides: Sequence[Side], batch_size: int | None) -> list[Tensor]:
    """Pointer [B+1] of each side: its own, that of its batch, or that of one cloud.

    Args:
        sides: Points, with a batch, a pointer or neither.
        batch_size: B; None: the largest of the batches + 1, or that of the pointers.

    Raises:
        ArgumentError: a side has both, or its batch does not fit.
    """
    for name, batch, ptr, points in sides:
        side = "x" if name == "batch" else name.removeprefix("batch_")
        check_tensors(**{side: points, name: batch, name.replace("batch", "ptr"): ptr})
        if batch is not None and ptr is not None:
            raise ArgumentError(f"{name}: got a pointer too, expected one of them")
        if batch is not None and batch.shape != points.shape[:1]:
            raise ArgumentError(
                f"{name}: got the shape {tuple(batch.shape)}, expected a cloud for each of the "
                f"{len(points)} rows"
            )
    if batch_size is None:
        ends = [int(b[-1]) + 1 for _, b, _, _ in sides if b is not None and len(b)]
        batch_size = max([1, *ends, *(len(p) - 1 for _, _, p, _ in sides if p is not None)])
    found = []
    for name, batch, ptr, points in sides:
        if ptr is None and batch is None:
            batch = points.new_zeros(len(points), dtype=torch.long)
        if batch is not None:
            ptr = pointer_of(batch, batch_size, name)
        assert ptr is not None
        found.append(ptr)
    return found


def check_count(name: str, number: int) -> None:
    """Refuse what is not a whole number of at least 1.

    Raises:
        ArgumentError: naming it.
    """
    if not isinstance(number, Integral) or number < 1:
        raise ArgumentError(f"{name}: got {number!r}, expected a whole number of at least 1")
