"""Squared distances inside Triton kernels: what :mod:`pcgen.ops.points` defines, tile by tile."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor


def plain(value: Tensor) -> Tensor:
    """Contiguous, float32 or float64."""
    return (value if value.dtype == torch.float64 else value.float()).contiguous()


def turns(x: Tensor, period: Sequence[float]) -> Tensor:
    """Periods and their inverses, 0 for a line, in float64 [2, D]."""
    inverse = [1 / length if length else 0.0 for length in period]
    return torch.tensor([list(period), inverse], dtype=torch.float64, device=x.device)


def _measure(
    q: tl.tensor,
    t: tl.tensor,
    rows: tl.tensor,
    live: tl.tensor,
    columns: tl.tensor,
    there: tl.tensor,
    turns: tl.tensor,
    D: tl.constexpr,
    PERIODIC: tl.constexpr,
    TYPE: tl.constexpr,
) -> tl.tensor:
    """Squared distances of queries [1, Q] to columns [T, 1] or [T, Q]; infinite where not there."""
    total = tl.zeros([columns.shape[0], rows.shape[1]], TYPE)
    for a in tl.static_range(D):
        here = tl.load(q + rows * D + a, mask=live, other=0.0).to(TYPE)
        step = here - tl.load(t + columns * D + a, mask=there, other=0.0).to(TYPE)
        if PERIODIC:
            step -= tl.load(turns + a) * tl.floor(step * tl.load(turns + D + a) + 0.5)
        total += step * step
    return tl.where(there, total, float("inf"))


measure = triton.jit(_measure)
