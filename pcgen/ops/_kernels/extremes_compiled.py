"""The compiled loop behind :mod:`.extremes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numpy.typing import NDArray

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@_compiled
def first_extreme(value: Array, ptr: Array, sign: float, first: int, last: int, row: Array) -> None:
    """First row of the largest ``sign * value`` [N, F] in segments first, ..., last - 1 [B, F]."""
    for b in range(first, last):
        if ptr[b] < ptr[b + 1]:
            best = sign * value[ptr[b]]
            row[b] = ptr[b]
            for i in range(ptr[b] + 1, ptr[b + 1]):
                for f in range(value.shape[1]):
                    key = sign * value[i, f]
                    # True for NaN too, unless there has been one.
                    if not key <= best[f] and best[f] == best[f]:
                        best[f], row[b, f] = key, i
