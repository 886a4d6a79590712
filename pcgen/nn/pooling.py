"""From points to clouds: reductions of ragged rows, side by side.

A reduction is any function of rows [N, C] and a pointer [B+1] to [B, C]: those of
:mod:`pcgen.ops.segments`. An empty cloud pools to zeros. The maximum alone does not see how often
a point occurs and cannot represent a sum such as the mass of a jet; mean and sum can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pcgen.ops.ragged import Pointer, lengths
from pcgen.ops.segments import segment_sum

Reduction = Callable[[Tensor, Pointer], Tensor]


def pool(value: Tensor, ptr: Pointer, reductions: Sequence[Reduction]) -> Tensor:
    """The reductions of rows [N, C], one after the other [B, len(reductions) * C].

    >>> from pcgen.ops.segments import segment_max, segment_mean
    >>> value, ptr = torch.tensor([[1.0], [3.0]]), torch.tensor([0, 2, 2])
    >>> pool(value, ptr, (segment_max, segment_mean)).tolist()
    [[3.0, 2.0], [0.0, 0.0]]
    """
    return torch.cat([reduce(value, ptr) for reduce in reductions], 1)


def scaled_sum(scale: float) -> Reduction:
    """The sum times a constant, which keeps the pooled numbers of large clouds of order 1."""

    def reduce(value: Tensor, ptr: Pointer) -> Tensor:
        return scale * segment_sum(value, ptr)

    return reduce


def pool_mean_sum(x: Tensor, ptr: Pointer, sum_scale: float, batch: Tensor | None = None) -> Tensor:
    """Mean and scaled sum of the points of each cloud [B, 2 C]; zeros for an empty one.

    Args:
        x: [N, C].
        ptr: [B+1].
        sum_scale: Factor of the sum.
        batch: Cloud of each point [N], where it is known to be that of the pointer.
    """
    total = segment_sum(x, ptr, batch)
    number = lengths(ptr).clamp(min=1)[:, None]
    return torch.cat([total / number, sum_scale * total], 1)
