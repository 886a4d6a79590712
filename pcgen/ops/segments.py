r"""Reductions over the clouds of a ragged batch.

N rows belong to B segments; segment b holds the rows ptr[b], ..., ptr[b+1] - 1. Sums, means and
the rest are taken over the rows of each segment:

    sum_b = Σ_{i∈b} v_i        softmax_i = exp(v_i - max_b) / Σ_{j∈b} exp(v_j - max_b)

They are plain torch, so that values, gradients and second derivatives are the same whatever is
installed. The gradient of a maximum or minimum goes to the first row that attains it; torch's own
``scatter_reduce`` splits it among ties, and wrongly where the maximum is exactly 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError


def check_pointer(ptr: Tensor, rows: int, name: str = "ptr") -> None:
    """Refuse a pointer that does not tell ``rows`` rows apart.

    Under ``torch.compile`` the values cannot be looked at; the shape and dtype still are.

    Raises:
        ArgumentError: ``ptr`` is not int64 [B+1] or does not ascend from 0 to ``rows``.
    """
    if ptr.dtype != torch.long or ptr.dim() != 1 or len(ptr) == 0:
        raise ArgumentError(f"{name}: got {ptr.dtype} {tuple(ptr.shape)}, expected int64 [B+1]")
    if torch.compiler.is_compiling():
        return
    wrong = (ptr[1:] < ptr[:-1]).any() | (ptr[0] != 0) | (ptr[-1] != rows)
    if bool(wrong):
        raise ArgumentError(
            f"{name}: got a pointer from {int(ptr[0])} to {int(ptr[-1])}, "
            f"expected one that ascends from 0 to the {rows} rows"
        )


def owners(ptr: Tensor, rows: int) -> Tensor:
    """Segment of each row [N].

    >>> owners(torch.tensor([0, 1, 1, 3]), 3).tolist()
    [0, 2, 2]
    """
    each = torch.arange(len(ptr) - 1, device=ptr.device)
    return torch.repeat_interleave(each, ptr[1:] - ptr[:-1], output_size=rows)


def segment_sum(value: Tensor, ptr: Tensor) -> Tensor:
    """Sum over each segment; 0 for an empty one.

    Half-precision values are added in float32.

    Args:
        value: [N, ...].
        ptr: [B+1].

    Returns:
        [B, ...] of the same dtype.

    >>> segment_sum(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 1, 1, 3])).tolist()
    [1.0, 0.0, 5.0]
    """
    _check(value, ptr)
    return _sum(value, ptr, owners(ptr, len(value)))


def segment_mean(value: Tensor, ptr: Tensor) -> Tensor:
    """Mean over each segment [B, ...]; 0 for an empty one. ``value`` [N, ...], ``ptr`` [B+1]."""
    _check_float(value, ptr)
    return _mean(value, ptr, owners(ptr, len(value)))


def segment_std(value: Tensor, ptr: Tensor) -> Tensor:
    """Standard deviation over each segment [B, ...]: √(mean of (v - mean)²), in two passes.

    0, with gradient 0, for segments of equal values, of one row, and empty ones.
    """
    _check_float(value, ptr)
    owner = owners(ptr, len(value))
    deviation = value - _mean(value, ptr, owner)[owner]
    variance = _mean(deviation * deviation, ptr, owner)
    positive = variance > 0
    return torch.where(positive, torch.where(positive, variance, 1).sqrt(), 0)


def segment_max(value: Tensor, ptr: Tensor, *, empty: float = 0.0) -> Tensor:
    """Maximum over each segment [B, ...]; ``empty`` where there is no row.

    The gradient goes to the first row that attains the maximum. NaN wins.

    >>> segment_max(torch.tensor([1.0, 4.0, 3.0]), torch.tensor([0, 1, 1, 3])).tolist()
    [1.0, 0.0, 4.0]
    """
    return _extreme(value, ptr, "amax", empty)


def segment_min(value: Tensor, ptr: Tensor, *, empty: float = 0.0) -> Tensor:
    """Minimum over each segment [B, ...]; otherwise as :func:`segment_max`."""
    return _extreme(value, ptr, "amin", empty)


def segment_logsumexp(value: Tensor, ptr: Tensor) -> Tensor:
    """log Σ exp(v) over each segment [B, ...], without overflow; -inf for an empty one."""
    _check_float(value, ptr)
    owner = owners(ptr, len(value))
    top = _finite_top(value, ptr)
    total = _sum((value - top[owner]).exp(), ptr, owner)
    some = total > 0
    return torch.where(some, torch.where(some, total, 1).log() + top, total.log())


def segment_softmax(value: Tensor, ptr: Tensor) -> Tensor:
    """exp(v) / Σ exp(v) within each segment [N, ...]; rows of a segment sum to 1.

    >>> segment_softmax(torch.zeros(3), torch.tensor([0, 1, 1, 3])).tolist()
    [1.0, 0.5, 0.5]
    """
    _check_float(value, ptr)
    owner = owners(ptr, len(value))
    weight = (value - _finite_top(value, ptr)[owner]).exp()
    return weight / _sum(weight, ptr, owner)[owner]


def _check(value: Tensor, ptr: Tensor) -> None:
    if value.dim() == 0 or value.device != ptr.device:
        raise ArgumentError(
            f"value: got shape {tuple(value.shape)} on {value.device}, "
            f"expected [N, ...] on {ptr.device} like ptr"
        )
    check_pointer(ptr, len(value))


def _check_float(value: Tensor, ptr: Tensor) -> None:
    if not value.is_floating_point():
        raise ArgumentError(f"value: got {value.dtype}, expected a float tensor")
    _check(value, ptr)


def _sum(value: Tensor, ptr: Tensor, owner: Tensor) -> Tensor:
    half = value.dtype in (torch.float16, torch.bfloat16)
    wide = value.float() if half else value
    total = wide.new_zeros(len(ptr) - 1, *value.shape[1:]).index_add(0, owner, wide)
    return total.to(value.dtype)


def _mean(value: Tensor, ptr: Tensor, owner: Tensor) -> Tensor:
    size = (ptr[1:] - ptr[:-1]).clamp(min=1)
    return _sum(value, ptr, owner) / size.view(-1, *[1] * (value.dim() - 1))


def _extreme(value: Tensor, ptr: Tensor, reduce: str, empty: float) -> Tensor:
    """The extreme value is found without autograd, then gathered from the first row with it."""
    _check(value, ptr)
    number = len(ptr) - 1
    if len(value) == 0:
        return value.new_full((number, *value.shape[1:]), empty)
    owner = owners(ptr, len(value))
    with torch.no_grad():
        shape = (-1, *[1] * (value.dim() - 1))
        index = owner.view(shape).expand_as(value)
        best = value.new_zeros(number, *value.shape[1:])
        best = best.scatter_reduce(0, index, value, reduce, include_self=False)
        attained = (value == best[owner]) | (value != value)  # the latter: NaN
        rows = torch.arange(len(value), device=value.device).view(shape).expand_as(value)
        rows = torch.where(attained, rows, len(value))
        first = torch.full_like(best, len(value), dtype=torch.long)
        first = first.scatter_reduce(0, index, rows, "amin")
    occupied = (ptr[1:] > ptr[:-1]).view(shape)
    return torch.where(occupied, value.gather(0, first.clamp(max=len(value) - 1)), empty)


def _finite_top(value: Tensor, ptr: Tensor) -> Tensor:
    """Maximum of each segment, 0 where it is infinite: exp must not meet ∞ - ∞. No gradient."""
    top = segment_max(value.detach(), ptr)
    return torch.where(top.isfinite(), top, 0)
