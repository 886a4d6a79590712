"""Which search finds the neighbours: chosen by device and size; all find the same rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcgen.ops import neighbors_torch


@torch.library.custom_op("pcgen::search", mutates_args=())
def search(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]
) -> Tensor:
    """Rows of the k nearest y in the same cloud [N, k], nearest first, -1 where there are fewer.

    One opaque op for ``torch.compile``. Arguments are checked by the caller and have no gradient;
    period 0 is a line.
    """
    return neighbors_torch.search(x, y, ptr_x, ptr_y, k, period)


@search.register_fake
def _(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]
) -> Tensor:
    return ptr_x.new_empty(len(x), k)


def within(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, r: float, period: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Pairs at a distance of at most r: rows of x and rows of y, both ascending [E], [E]."""
    return neighbors_torch.within(x, y, ptr_x, ptr_y, r, period)


def farthest(
    pos: Tensor, ptr: Tensor, start: Tensor, ptr_out: Tensor, period: Sequence[float]
) -> Tensor:
    """Rows of farthest-point sampling [S] from the rows ``start`` [B]."""
    return neighbors_torch.farthest(pos, ptr, start, ptr_out, period)
