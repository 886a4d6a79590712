"""Farthest-point sampling on the CPU: the compiled loop behind :mod:`.neighbors_numba`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@_compiled
def farthest(
    points: Array, ptr: Array, ptr_out: Array, start: Array, period: Array, inverse: Array,
    first: int, last: int, chosen: Array,
) -> None:  # fmt: skip
    """Choose points of clouds first, ..., last - 1, from rows ``start`` [B] on: ``chosen`` [S].

    ``points`` [N, A] are float64; ``inverse`` is 1 / period, 0 for a line.
    """
    for b in range(first, last):
        axes = points[ptr[b] : ptr[b + 1]].T.copy()
        number, current = axes.shape[1], start[b] - ptr[b]
        gap, squared = np.full(number, np.inf), np.empty(number)
        for step in range(ptr_out[b], ptr_out[b + 1]):
            chosen[step] = ptr[b] + current
            squared[:] = 0.0
            for a in range(axes.shape[0]):
                for i in range(number):
                    length = axes[a, i] - axes[a, current]
                    length -= period[a] * np.rint(length * inverse[a])
                    squared[i] += length * length
            squared[current] = -1.0  # below any distance: a row is chosen once
            widest = -np.inf
            for i in range(number):
                gap[i] = min(gap[i], squared[i])
                if gap[i] > widest:
                    widest, current = gap[i], i
