"""Farthest-point sampling on CUDA: one Triton program for a cloud."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from pcgen.ops._kernels.points_triton import measure, plain, turns


def farthest(
    pos: Tensor, ptr: Tensor, start: Tensor, ptr_out: Tensor, period: Sequence[float]
) -> Tensor:
    """Farthest-point sampling [S]: as :func:`.neighbors_torch.farthest`."""
    chosen = ptr.new_empty(int(ptr_out[-1]))
    if len(ptr) > 1 and len(chosen):
        gap = torch.full((len(pos),), torch.inf, dtype=torch.float64, device=pos.device)
        farthest_kernel[(len(ptr) - 1,)](
            plain(pos), ptr.contiguous(), start.contiguous(), ptr_out.contiguous(), gap, chosen,
            turns(pos, period), D=len(period), POINTS=1024,
        )  # fmt: skip
    return chosen


def _farthest(
    x: tl.tensor,
    ptr: tl.tensor,
    start: tl.tensor,
    ptr_out: tl.tensor,
    gap: tl.tensor,
    chosen: tl.tensor,
    turns: tl.tensor,
    D: tl.constexpr,
    POINTS: tl.constexpr,
) -> None:
    """One program for a cloud; each thread reads back only the gaps that it wrote."""
    cloud = tl.program_id(0)
    begin, end = tl.load(ptr + cloud), tl.load(ptr + cloud + 1)
    current = tl.load(start + cloud)
    step, stop = tl.load(ptr_out + cloud), tl.load(ptr_out + cloud + 1)
    while step < stop:
        tl.store(chosen + step, current)
        widest = tl.full([1, POINTS], -float("inf"), tl.float64)
        place = tl.zeros([1, POINTS], tl.int64)
        middle = tl.zeros([1, 1], tl.int64) + current
        first = begin
        while first < end:
            rows = first + tl.arange(0, POINTS)[None, :]
            live = rows < end
            squared = measure(x, x, rows, live, middle, middle < end, turns, D, True, tl.float64)
            left = tl.minimum(tl.load(gap + rows, mask=live, other=0.0), squared)
            left = tl.where(rows == current, -1.0, left)  # below any distance: chosen once
            tl.store(gap + rows, left, mask=live)
            wider = live & (left > widest)
            place = tl.where(wider, rows, place)
            widest = tl.where(wider, left, widest)
            first += POINTS
        top = tl.max(tl.max(widest, 1), 0)
        current = tl.min(tl.min(tl.where(widest == top, place, end), 1), 0)
        step += 1


farthest_kernel = triton.jit(_farthest)
