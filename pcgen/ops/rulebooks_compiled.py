"""The compiled loop behind :mod:`pcgen.ops.rulebooks`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numpy.typing import NDArray

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@_compiled
def find(key: Array, shift: Array, first: int, last: int, found: Array) -> None:
    """Row of ``key[i] + shift[h]`` in the ascending keys, -1 where it is none.

    For rows i = first, ..., last - 1 and all shifts, into ``found`` [H, N]: both sides ascend, so
    the second never goes back.
    """
    for h in range(len(shift)):
        at = 0
        if first < last:
            low, at = 0, len(key)  # bisection, once
            while low < at:
                middle = (low + at) // 2
                if key[middle] < key[first] + shift[h]:
                    low = middle + 1
                else:
                    at = middle
        for i in range(first, last):
            wanted = key[i] + shift[h]
            while at < len(key) and key[at] < wanted:
                at += 1
            found[h, i] = at if at < len(key) and key[at] == wanted else -1
