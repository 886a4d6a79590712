r"""Reductions over the clouds of a ragged batch.

N rows belong to B segments; segment b holds the rows ptr[b], ..., ptr[b+1] - 1. Sums, means and
the rest are taken over the rows of each segment:

    sum_b = Σ_{i∈b} v_i        softmax_i = exp(v_i - max_b) / Σ_{j∈b} exp(v_j - max_b)

They are plain torch, or torch-scatter where it is installed and faster
(:mod:`pcgen.ops._kernels.segments_scatter`): values, gradients and second derivatives are the same
either way. The gradient of a maximum or minimum goes to the first row that attains it; torch's own
``scatter_reduce`` splits it among ties, and wrongly where the maximum is exactly 0.

A :class:`~pcgen.ops.padding.Padding` in the place of the pointer stands for padded rows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops._kernels import segments_scatter
from pcgen.ops._kernels.extremes import first_extreme
from pcgen.ops.padding import Padding
from pcgen.ops.ragged import Pointer, check_pointer, check_tensors, lengths, owners

# Columns below which adding element by element is faster than row by row, on the CPU.
NARROW = 16


def segment_sum(value: Tensor, ptr: Pointer, owner: Tensor | None = None) -> Tensor:
    """Sum over each segment; 0 for an empty one.

    Half-precision values are added in float32.

    Args:
        value: [N, ...].
        ptr: [B+1].
        owner: Segment of each row [N], where it is known, from the ``batch`` of clouds say: the
            pointer is then not looked at again.

    Returns:
        [B, ...] of the same dtype.

    >>> segment_sum(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 1, 1, 3])).tolist()
    [1.0, 0.0, 5.0]
    """
    if owner is None:
        _check(value, ptr)
    return _total(wide(value), ptr, owner).to(value.dtype)


def wide(value: Tensor) -> Tensor:
    """The values in the precision in which they are added: float32 where they have less.

    In float16 a sum of ones stops at 2048, in bfloat16 at 256.
    """
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def sum_by(value: Tensor, owner: Tensor, number: int) -> Tensor:
    """Sum over the rows of each owner, which come in any order; 0 for an owner of no row.

    Half-precision values are added in float32.

    Args:
        value: [N, ...].
        owner: Owner of each row [N], 0 to B - 1.
        number: B.

    Returns:
        [B, ...] of the same dtype.
    """
    return _sum(wide(value), owner, number).to(value.dtype)


def mean_by(value: Tensor, owner: Tensor, number: int) -> Tensor:
    """Mean over the rows of each owner [B, ...]; otherwise as :func:`sum_by`."""
    size = torch.bincount(owner, minlength=number)
    return (_sum(wide(value), owner, number) / _divisor(size, value)).to(value.dtype)


def max_by(value: Tensor, owner: Tensor, number: int) -> Tensor:
    """Maximum over the rows of each owner [B, ...]; otherwise as :func:`sum_by`.

    The gradient goes to the first row that attains the maximum.

    >>> max_by(torch.tensor([1.0, 4.0, 3.0]), torch.tensor([2, 0, 2]), 3).tolist()
    [4.0, 0.0, 3.0]
    """
    owner, order = owner.sort(stable=True)
    ptr = torch.searchsorted(owner, torch.arange(number + 1, device=owner.device))
    return segment_max(value[order], ptr)


def segment_mean(value: Tensor, ptr: Pointer) -> Tensor:
    """Mean over each segment [B, ...]; 0 for an empty one. ``value`` [N, ...], ``ptr`` [B+1]."""
    _check_float(value, ptr)
    return _average(wide(value), ptr).to(value.dtype)


def segment_std(value: Tensor, ptr: Pointer) -> Tensor:
    """Standard deviation over each segment [B, ...]: √(mean of (v - mean)²), in two passes.

    0, with gradient 0, for segments of equal values, of one row, and empty ones.
    """
    _check_float(value, ptr)
    owner, exact = owners(ptr, value.shape[0]), wide(value)
    deviation = exact - _average(exact, ptr, owner)[owner]
    variance = _average(deviation * deviation, ptr, owner)
    zero = variance == 0  # NaN is none
    return torch.where(zero, 0, torch.where(zero, 1, variance).sqrt()).to(value.dtype)


def segment_circular_mean(value: Tensor, weight: Tensor, ptr: Pointer, period: float) -> Tensor:
    """Weighted mean of a periodic coordinate over each segment [B], within ±period / 2.

    The mean of the shortest differences from the mean direction: the arithmetic mean, up to whole
    periods, wherever the rows lie within half a period. 0 for a segment without weight; where the
    rows balance (two opposite ones) every direction is as good, and one of them is returned.

    Args:
        value: [N].
        weight: [N], not negative.
        ptr: [B+1].
        period: Length after which the coordinate repeats, > 0.

    >>> phi, ptr = torch.tensor([170.0, -170.0, 20.0]), torch.tensor([0, 2, 3])
    >>> segment_circular_mean(phi, torch.tensor([3.0, 1.0, 1.0]), ptr, 360.0).tolist()
    [175.0, 20.0]
    """
    _check_float(value, ptr)
    owner, radius = owners(ptr, value.shape[0]), period / (2 * math.pi)
    angle, share = value.detach().double() / radius, weight.detach().double()
    rows = torch.stack([share * angle.cos(), share * angle.sin()], 1)
    x, y = _total(rows, ptr, owner).unbind(1)
    # Any start within half a period serves: in float32, as ONNX has no arc tangent of float64.
    length = (x * x + y * y).sqrt()
    some = torch.where(length > 0, length, 1)
    start = (torch.atan2((y / some).float(), (x / some).float()) * radius).to(value.dtype)
    step = value - start[owner]
    step = step - period * (step / period).detach().round()
    total = _total(weight.to(value.dtype), ptr, owner)
    mean = start + _total(weight * step, ptr, owner) / torch.where(total > 0, total, 1)
    return mean - period * (mean / period).detach().round()


def segment_max(value: Tensor, ptr: Pointer, *, empty: float = 0.0) -> Tensor:
    """Maximum over each segment [B, ...]; ``empty`` where there is no row.

    The gradient goes to the first row that attains the maximum. NaN wins.

    >>> segment_max(torch.tensor([1.0, 4.0, 3.0]), torch.tensor([0, 1, 1, 3])).tolist()
    [1.0, 0.0, 4.0]
    """
    return _extreme(value, ptr, True, empty)


def segment_min(value: Tensor, ptr: Pointer, *, empty: float = 0.0) -> Tensor:
    """Minimum over each segment [B, ...]; otherwise as :func:`segment_max`."""
    return _extreme(value, ptr, False, empty)


def segment_logsumexp(value: Tensor, ptr: Pointer) -> Tensor:
    """log Σ exp(v) over each segment [B, ...], without overflow; -inf for an empty one."""
    _check_float(value, ptr)
    owner, exact = owners(ptr, value.shape[0]), wide(value)
    top = _finite_top(exact, ptr)
    total = _total((exact - top[owner]).exp(), ptr, owner)
    some = total > 0
    log = torch.where(some, torch.where(some, total, 1).log() + top, total.log())
    return log.to(value.dtype)


def segment_softmax(value: Tensor, ptr: Pointer) -> Tensor:
    """exp(v) / Σ exp(v) within each segment [N, ...]; rows of a segment sum to 1.

    >>> segment_softmax(torch.zeros(3), torch.tensor([0, 1, 1, 3])).tolist()
    [1.0, 0.5, 0.5]
    """
    _check_float(value, ptr)
    owner, exact = owners(ptr, value.shape[0]), wide(value)
    weight = (exact - _finite_top(exact, ptr)[owner]).exp()
    return (weight / _total(weight, ptr, owner)[owner]).to(value.dtype)


def _check(value: Tensor, ptr: Pointer) -> None:
    check_tensors(value=value, ptr=None if isinstance(ptr, Padding) else ptr)
    if value.dim() == 0 or value.device != ptr.device:
        raise ArgumentError(
            f"value: got shape {tuple(value.shape)} on {value.device}, "
            f"expected [N, ...] on {ptr.device} like ptr"
        )
    if isinstance(ptr, Padding):
        ptr.check(value)
    else:
        check_pointer(ptr, len(value))


def _check_float(value: Tensor, ptr: Pointer) -> None:
    check_tensors(value=value)
    if not value.is_floating_point():
        raise ArgumentError(f"value: got {value.dtype}, expected a float tensor")
    _check(value, ptr)


def _sum(value: Tensor, owner: Tensor, number: int) -> Tensor:
    """Sum in the precision of the values."""
    total = value.new_zeros(number, *value.shape[1:])
    if value.dim() > 1 and math.prod(value.shape[1:]) < NARROW:
        index = owner.view(-1, *[1] * (value.dim() - 1)).expand_as(value)
        return total.scatter_add(0, index, value)
    return total.index_add(0, owner, value)


def _total(value: Tensor, ptr: Pointer, owner: Tensor | None = None) -> Tensor:
    """Sum of each segment in the precision of the values."""
    if isinstance(ptr, Padding):
        return ptr.total(value)
    if segments_scatter.adds(value):
        return segments_scatter.segment_sum(value, ptr)
    return _sum(value, owners(ptr, len(value)) if owner is None else owner, len(ptr) - 1)


def _average(value: Tensor, ptr: Pointer, owner: Tensor | None = None) -> Tensor:
    """Mean of each segment in the precision of the values."""
    return _total(value, ptr, owner) / _divisor(lengths(ptr), value)


def _divisor(size: Tensor, value: Tensor) -> Tensor:
    """Numbers of rows, 1 instead of 0, in the rank of the values [B, 1, ...]."""
    return size.clamp(min=1).view(-1, *[1] * (value.dim() - 1))


def _extreme(value: Tensor, ptr: Pointer, largest: bool, empty: float) -> Tensor:
    """The row is found without gradient, the value gathered from it; float64 of whole numbers."""
    _check(value, ptr)
    value = value if value.is_floating_point() else value.double()
    if isinstance(ptr, Padding):
        return ptr.extreme(value, largest, empty)
    shape = (len(ptr) - 1, *value.shape[1:])
    if value.numel() == 0:
        return value.new_full(shape, empty)
    flat = value.reshape(len(value), -1)
    plain = flat.detach()
    if segments_scatter.compares(plain):
        row = segments_scatter.first_extreme(plain, ptr, largest)
    else:
        row = first_extreme(plain, ptr, largest)
    best = torch.where(row < 0, empty, flat.gather(0, row.clamp(min=0)))
    return best.view(shape)


def _finite_top(value: Tensor, ptr: Pointer) -> Tensor:
    """Maximum of each segment, 0 where it is infinite: exp must not meet ∞ - ∞. No gradient."""
    top = segment_max(value.detach(), ptr)
    return torch.where(top.isfinite(), top, 0)
