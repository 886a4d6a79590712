"""The first row of each segment that attains its largest or least value.

Which row that is decides where the gradient of a maximum goes; it is the same for every method.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pcgen.ops import threads


@torch.library.custom_op("pcgen::first_extreme", mutates_args=())
def first_extreme(value: Tensor, ptr: Tensor, largest: bool) -> Tensor:
    """First row with the largest or least value of each segment and column [B, F]; -1 if empty.

    One opaque op for ``torch.compile``. NaN counts as more extreme than any number.

    Args:
        value: [N, F].
        ptr: [B+1].
        largest: Or least.
    """
    if value.dtype in (torch.float16, torch.bfloat16):
        value = value.float()  # in the same order, and the loop knows it
    if value.device.type == "cpu" and value.dtype in (torch.float32, torch.float64):
        return _by_loop(value, ptr, largest)
    return _by_scatter(value, ptr, largest)


@first_extreme.register_fake
def _(value: Tensor, ptr: Tensor, largest: bool) -> Tensor:
    return ptr.new_empty(len(ptr) - 1, value.shape[1])


def _by_loop(value: Tensor, ptr: Tensor, largest: bool) -> Tensor:
    from pcgen.ops._kernels.extremes_compiled import first_extreme as kernel

    row = np.full((len(ptr) - 1, value.shape[1]), -1, dtype=np.int64)
    array, pointer = value.contiguous().numpy(), ptr.contiguous().numpy()
    sign = array.dtype.type(1 if largest else -1)
    threads.run(
        lambda first, last: kernel(array, pointer, sign, first, last, row),
        np.diff(pointer) * value.shape[1],
    )
    return torch.from_numpy(row)


def _by_scatter(value: Tensor, ptr: Tensor, largest: bool) -> Tensor:
    number, rows = len(ptr) - 1, len(value)
    each = torch.arange(rows, device=value.device)
    owner = torch.searchsorted(ptr, each, right=True) - 1
    index = owner[:, None].expand_as(value)
    best = value.new_zeros(number, value.shape[1])
    reduce = "amax" if largest else "amin"
    best = best.scatter_reduce(0, index, value, reduce, include_self=False)
    attained = (value == best[owner]) | (value != value)  # the latter: NaN
    candidate = torch.where(attained, each[:, None], rows)
    first = torch.full_like(best, rows, dtype=torch.long)
    first = first.scatter_reduce(0, index, candidate, "amin")
    return torch.where(first == rows, -1, first)
