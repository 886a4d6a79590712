r"""The ground cost of transport, computed inside Triton kernels where it is needed."""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor


def axis_lengths(period: Sequence[float], like: Tensor) -> tuple[Tensor, Tensor]:
    """Period of each axis and its inverse [D], both 0 for a line; dtype and device of ``like``."""
    inverse = [1.0 / length if length else 0.0 for length in period]
    return like.new_tensor(period), like.new_tensor(inverse)


def _tile_cost(
    x: tl.tensor,
    i: tl.tensor,
    in_x: tl.tensor,
    y: tl.tensor,
    j: tl.tensor,
    in_y: tl.tensor,
    length: tl.tensor,
    inverse: tl.tensor,
    D: tl.constexpr,
    P: tl.constexpr,
) -> tl.tensor:
    """Ground cost of rows i of x [R] to rows j of y [T], in the precision of x: [R, T]."""
    square = tl.zeros((i.shape[0], j.shape[0]), x.dtype.element_ty)
    for k in tl.static_range(D):
        at_x = tl.load(x + i * D + k, mask=in_x, other=0.0)
        at_y = tl.load(y + j * D + k, mask=in_y, other=0.0)
        step = at_x[:, None] - at_y[None, :]
        step -= tl.floor(step * tl.load(inverse + k) + 0.5) * tl.load(length + k)
        square += step * step
    if P == 1:
        square = tl.sqrt(square)
    return square


tile_cost = triton.jit(_tile_cost)
