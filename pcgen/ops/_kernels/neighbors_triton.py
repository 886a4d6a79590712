r"""Neighbour search on CUDA: one Triton launch for all clouds, and for both directions.

A program serves a block of queries of one cloud. Program p of ``ptr`` finds its cloud by bisection:
cloud b begins at block ⌊ptr[b] / Q⌋ + b, which leaves it ⌈n_b / Q⌉ blocks or more, so that the grid
is known without waiting for the GPU. The targets go by in tiles of 32, twice as on the CPU
(:mod:`.neighbors_numba`): first the least squared distance of each tile in float32, with
the best tile and the runner-up; then the best tile in float64, as :mod:`pcgen.ops.points` defines
the distance. If the runner-up is within the roundings of float32, the block goes through all tiles
in float64. Ties go to the lowest row. Float64 or periodic coordinates are float64 from the start,
in tiles of 16. One loop serves both looks in float64, and both directions run the same code: what
is compiled once takes few registers and little time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from pcgen.ops._kernels.points_triton import measure, plain, turns

# Targets of a tile in float32 and in float64: their distances fit into the registers of a thread.
ROUGH = tl.constexpr(32)
FINE = tl.constexpr(16)
# Larger than any row of a cloud.
NOWHERE = tl.constexpr(2**31 - 1)


def search(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]
) -> Tensor:
    """Rows of the k nearest [N, k]: as :func:`.neighbors_torch.search`."""
    if k == 1:
        return _nearest(x, y, ptr_x, ptr_y, period, both=False)[0][:, None]
    found = ptr_x.new_full((len(x), k), -1)
    queries = _queries(x, ptr_x)
    if len(x) and len(y):
        several_kernel[(_programs(x, ptr_x, queries),)](
            plain(x), plain(y), ptr_x.contiguous(), ptr_y.contiguous(), found,
            turns(x, period), len(ptr_x) - 1, k,
            D=len(period), QUERIES=queries, num_warps=queries // 32,
        )  # fmt: skip
    return found


def both(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, period: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Nearest y of each x [N] and nearest x of each y [M], -1 where there is none."""
    return _nearest(x, y, ptr_x, ptr_y, period, both=True)


def _nearest(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, period: Sequence[float], *, both: bool
) -> tuple[Tensor, Tensor]:
    found = ptr_x.new_full((len(x),), -1), ptr_x.new_full((len(y) if both else 0,), -1)
    if len(x) == 0 or len(y) == 0:
        return found
    queries = _queries(x, ptr_x)
    first = _programs(x, ptr_x, queries)
    second = _programs(y, ptr_y, queries) if both else 0
    one_kernel[(first + second,)](
        plain(x), plain(y), ptr_x.contiguous(), ptr_y.contiguous(), *found,
        turns(x, period), len(ptr_x) - 1, first,
        D=len(period), QUERIES=queries, num_warps=queries // 32,
        WIDE=x.dtype == torch.float64 or any(period), PERIODIC=any(period),
    )  # fmt: skip
    return found


def _queries(x: Tensor, ptr: Tensor) -> int:
    """Queries of a program: about the size of a cloud, 64 or 128.

    A thread has one of them: minima over a tile need no shuffles, and a tile of float64 distances
    fits into its registers; with two queries a thread it would spill.
    """
    return 64 if len(x) <= 64 * (len(ptr) - 1) else 128


def _programs(x: Tensor, ptr: Tensor, queries: int) -> int:
    return len(x) // queries + len(ptr) - 1


def _locate(
    ptr: tl.tensor, program: tl.tensor, clouds: tl.tensor, QUERIES: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Cloud of a program by bisection, the first of its queries and the end of the cloud."""
    low = program * 0
    high = low + clouds - 1
    while low < high:
        middle = (low + high + 1) // 2
        here = tl.load(ptr + middle) // QUERIES + middle <= program
        low = tl.where(here, middle, low)
        high = tl.where(here, high, middle - 1)
    begin = tl.load(ptr + low)
    first = begin + (program - begin // QUERIES - low) * QUERIES
    return low, first, tl.load(ptr + low + 1)


locate = triton.jit(_locate)


def _after(
    q: tl.tensor,
    t: tl.tensor,
    rows: tl.tensor,
    live: tl.tensor,
    first: tl.tensor,
    tiles: tl.tensor,
    begin: tl.tensor,
    end: tl.tensor,
    turns: tl.tensor,
    last: tl.tensor,
    at: tl.tensor,
    D: tl.constexpr,
    QUERIES: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """In float64: the least distance [Q] and its place [Q] that come after ``last`` and ``at``.

    Of ``tiles`` tiles from the row ``first``, one for all queries or one for each [1, Q].
    """
    least = tl.full([QUERIES], float("inf"), tl.float64)
    place = tl.full([QUERIES], NOWHERE, tl.int32)
    columns = first + tl.arange(0, FINE)[:, None]
    while tiles > 0:
        there = columns < end
        squared = measure(q, t, rows, live, columns, there, turns, D, True, tl.float64)
        where = (columns - begin).to(tl.int32)
        later = (squared > last[None, :]) | ((squared == last[None, :]) & (where > at[None, :]))
        squared = tl.where(later, squared, float("inf"))
        low = tl.min(squared, 0)
        candidate = tl.min(tl.where(squared == low[None, :], where, NOWHERE), 0)
        place = tl.where(low < least, candidate, place)
        least = tl.minimum(least, low)
        columns += FINE
        tiles -= 1
    return least, place


after = triton.jit(_after)


def _improve(
    best: tl.tensor, second: tl.tensor, home: tl.tensor, rough: tl.tensor, first: tl.tensor
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Least distance over tiles so far, the runner-up, and the first row of the best tile [Q]."""
    low = tl.min(rough, 0)
    second = tl.minimum(second, tl.maximum(best, low))
    home = tl.where(low < best, first, home)
    return tl.minimum(best, low), second, home


improve = triton.jit(_improve)


def _sweep(
    q: tl.tensor,
    t: tl.tensor,
    ptr_q: tl.tensor,
    ptr_t: tl.tensor,
    found: tl.tensor,
    turns: tl.tensor,
    program: tl.tensor,
    clouds: tl.tensor,
    D: tl.constexpr,
    QUERIES: tl.constexpr,
    WIDE: tl.constexpr,
    PERIODIC: tl.constexpr,
) -> None:
    """Nearest target of a block of queries."""
    TILE: tl.constexpr = FINE if WIDE else ROUGH
    TYPE: tl.constexpr = tl.float64 if WIDE else tl.float32
    SLACK: tl.constexpr = 1e-12 if WIDE else 1e-5
    TINY: tl.constexpr = 1e-300 if WIDE else 1e-36
    cloud, start, stop = locate(ptr_q, program, clouds, QUERIES)
    rows = start + tl.arange(0, QUERIES)[None, :]
    live = rows < stop
    begin, end = tl.load(ptr_t + cloud), tl.load(ptr_t + cloud + 1)
    lane = tl.arange(0, TILE)[:, None]
    best = tl.full([QUERIES], float("inf"), TYPE)
    second = best
    home = tl.zeros([QUERIES], tl.int64) + begin
    first = begin
    while first + TILE <= end:  # range() of a tensor breaks Triton's interpreter under NumPy 2.4
        # A pointer and constant offsets, and no mask: the address and the mask of each pair show.
        rough = measure(q, t + first * D, rows, live, lane, lane < TILE, turns, D, PERIODIC, TYPE)
        best, second, home = improve(best, second, home, rough, first)
        first += TILE
    if first < end:
        there = first + lane < end
        rough = measure(q, t + first * D, rows, live, lane, there, turns, D, PERIODIC, TYPE)
        best, second, home = improve(best, second, home, rough, first)
    # Where the runner-up may be the nearest, or as near, the whole block looks again.
    close = (second <= best * (1 + SLACK) + TINY) & (second < float("inf"))
    again = tl.max(close.to(tl.int32), 0) > 0
    home = tl.where(again, begin, home)
    tiles = tl.where(again, (end - begin + FINE - 1) // FINE, TILE // FINE)
    before = tl.full([QUERIES], -1.0, tl.float64)
    nowhere = tl.full([QUERIES], -1, tl.int32)
    least, place = after(
        q, t, rows, live, home[None, :], tiles, begin, end, turns, before, nowhere, D, QUERIES
    )
    row = tl.where(least < float("inf"), begin + place, -1)
    tl.store(found + rows, row[None, :], mask=live)


sweep = triton.jit(_sweep)


def _one(
    x: tl.tensor,
    y: tl.tensor,
    ptr_x: tl.tensor,
    ptr_y: tl.tensor,
    found_x: tl.tensor,
    found_y: tl.tensor,
    turns: tl.tensor,
    clouds: tl.tensor,
    first: tl.tensor,
    D: tl.constexpr,
    QUERIES: tl.constexpr,
    WIDE: tl.constexpr,
    PERIODIC: tl.constexpr,
) -> None:
    """The first programs take x to y, the others y to x."""
    p = tl.program_id(0)
    if p >= first:
        p -= first
        x, y = y, x
        ptr_x, ptr_y = ptr_y, ptr_x
        found_x = found_y
    sweep(x, y, ptr_x, ptr_y, found_x, turns, p, clouds, D, QUERIES, WIDE, PERIODIC)


one_kernel = triton.jit(_one)


def _several(
    x: tl.tensor,
    y: tl.tensor,
    ptr_x: tl.tensor,
    ptr_y: tl.tensor,
    found: tl.tensor,
    turns: tl.tensor,
    clouds: tl.tensor,
    k: tl.tensor,
    D: tl.constexpr,
    QUERIES: tl.constexpr,
) -> None:
    """The k nearest in float64, one after the other: each the first that comes after the last."""
    cloud, start, stop = locate(ptr_x, tl.program_id(0), clouds, QUERIES)
    rows = start + tl.arange(0, QUERIES)[None, :]
    live = rows < stop
    begin, end = tl.load(ptr_y + cloud), tl.load(ptr_y + cloud + 1)
    tiles = (end - begin + FINE - 1) // FINE
    last = tl.full([QUERIES], -1.0, tl.float64)
    at = tl.full([QUERIES], -1, tl.int32)
    number = clouds * 0
    while number < k:
        least, place = after(
            x, y, rows, live, begin, tiles, begin, end, turns, last, at, D, QUERIES
        )
        row = tl.where(least < float("inf"), begin + place, -1)
        tl.store(found + rows * k + number, row[None, :], mask=live)
        last, at = least, place
        number += 1


several_kernel = triton.jit(_several)
