r"""Neighbour search on the CPU: compiled brute force, twice.

Looking at every pair is hard to beat up to some ten thousand points, if a processor does it 8 or 16
pairs at a time. For that the points of a cloud are packed axis by axis into blocks of 32, and each
query makes two passes:

1. the least squared distance in each block, in float32, fused and vectorised: fast, and within a
   few roundings of the truth;
2. the blocks that may hold a neighbour, given those roundings, again in float64 and as
   :mod:`pcgen.ops.points` defines the distance: exact, ties to the lowest row.

The loops (:mod:`.neighbors_compiled`) are compiled by Numba at first use and kept on disk.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pcgen.ops import threads
from pcgen.ops._kernels import farthest_compiled
from pcgen.ops._kernels import neighbors_compiled as compiled
from pcgen.ops._kernels.neighbors_compiled import BLOCK, Array, Width

WIDTHS = (2, 3, 4, 8)
"""Axes for which the loops are compiled; others are filled up, more than 8 to a multiple of 8."""


Points = tuple[Array, Array]
Pointers = tuple[Array, Array, int]
Space = tuple[Array, Array, bool, bool, Width]


def search(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]
) -> Tensor:
    """Rows of the k nearest [N, k]: as :func:`.neighbors_torch.search`."""
    return _nearest(*_arrays(x, y, ptr_x, ptr_y, period), k)


def both(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, period: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Nearest y of each x [N] and nearest x of each y [M], -1 where there is none."""
    points, pointers, space = _arrays(x, y, ptr_x, ptr_y, period)
    back = pointers[1], pointers[0], pointers[2]
    to_y, to_x = _nearest(points, pointers, space, 1), _nearest(points[::-1], back, space, 1)
    return to_y.squeeze(1), to_x.squeeze(1)


def within(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, r: float, period: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Pairs at most r apart [E], [E]: as :func:`.neighbors_torch.within`."""
    arrays, unused = _arrays(x, y, ptr_x, ptr_y, period), np.empty((0, 1), dtype=np.int64)
    work, limit = _work(arrays[1]), float(r) * float(r)

    def sweep(place: Array, near: Array) -> None:
        threads.run(lambda i, j: compiled.search(*arrays, i, j, unused, limit, place, near), work)

    count = np.zeros(len(x), dtype=np.int64)
    sweep(count, unused[:, 0])
    near = np.empty(int(count.sum()), dtype=np.int64)
    if len(near):
        sweep(np.cumsum(count) - count, near)
    rows = np.repeat(np.arange(len(x)), count)
    return torch.from_numpy(rows), torch.from_numpy(near)


def farthest(
    pos: Tensor, ptr: Tensor, start: Tensor, ptr_out: Tensor, period: Sequence[float]
) -> Tensor:
    """Farthest-point sampling [S]: as :func:`.neighbors_torch.farthest`."""
    (points, _), (ptr_in, ptr_to, _), space = _arrays(pos, pos, ptr, ptr_out, period)
    arrays = points, ptr_in, ptr_to, start.contiguous().numpy(), space[0], space[1]
    chosen = np.empty(int(ptr_out[-1]), dtype=np.int64)
    work = np.diff(ptr_in) * np.diff(ptr_to)
    threads.run(lambda i, j: farthest_compiled.farthest(*arrays, i, j, chosen), work)
    return torch.from_numpy(chosen)


def _nearest(points: Points, pointers: Pointers, space: Space, k: int) -> Tensor:
    found = np.full((len(points[0]), k), -1, dtype=np.int64)
    unused = np.empty(0, dtype=np.int64)
    arrays = points, pointers, space

    def sweep(first: int, last: int) -> None:
        compiled.search(*arrays, first, last, found, -1.0, unused, unused)

    threads.run(sweep, _work(pointers))
    return torch.from_numpy(found)


def _arrays(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, period: Sequence[float]
) -> tuple[Points, Pointers, Space]:
    """Points, pointers (and the longest cloud) and space of :mod:`.neighbors_compiled`.

    Where no difference is longer than half a period the circle is a line: a jet is not a barrel.
    """
    width = next((w for w in WIDTHS if w >= len(period)), WIDTHS[-1])
    missing = max(width - len(period), -len(period) % width)
    points = _wide(x, missing)
    others = points if x is y else _wide(y, missing)
    lengths = np.array([*period, *[0.0] * missing])
    if lengths.any() and len(points) and len(others):
        low = np.minimum(points.min(0), others.min(0))
        high = np.maximum(points.max(0), others.max(0))
        lengths[high - low <= lengths / 2] = 0.0
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    line = not lengths.any()
    single = line and x.dtype != torch.float64
    pointers = ptr_x.contiguous().numpy(), ptr_y.contiguous().numpy()
    longest = max(int(np.diff(pointer).max(initial=1)) for pointer in pointers)
    return (points, others), (*pointers, longest), (lengths, inverse, line, single, (0,) * width)


def _wide(x: Tensor, missing: int) -> Array:
    """Float64 with axes of zeros; by NumPy: waking torch's threads costs more than it saves."""
    half = x.dtype in (torch.float16, torch.bfloat16)
    value = np.zeros((len(x), x.shape[1] + missing))
    value[:, : x.shape[1]] = (x.float() if half else x).numpy()
    return value


def _work(pointers: Pointers) -> Array:
    """Cost of each query [N]: the points it looks at, and some blocks' worth for the rest."""
    sizes = [np.diff(pointer) for pointer in pointers[:2]]
    return np.repeat(sizes[1] + 8 * BLOCK, sizes[0])
