"""The compiled loops behind :mod:`pcgen.ops.rulebooks` and :mod:`pcgen.ops.rules`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
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


@_compiled
def collect(found: Array) -> tuple[Array, Array, Array]:
    """The R rules of a table of :func:`find` [H, N] and, before them, their mirror images.

    Returns:
        Sources and targets [2 R], and the number of rules of each row of the table [H].
    """
    counts = np.zeros(len(found), dtype=np.int64)
    for h in range(len(found)):
        for i in range(found.shape[1]):
            counts[h] += found[h, i] >= 0
    source = np.empty(2 * counts.sum(), dtype=np.int64)
    target = np.empty_like(source)
    middle = len(source) // 2
    early, late = 0, middle
    for h in range(len(found)):
        for i in range(found.shape[1]):
            if found[h, i] >= 0:
                source[late], target[late] = found[h, i], i
                late += 1
    for h in range(len(found) - 1, -1, -1):
        for i in range(found.shape[1]):
            if found[h, i] >= 0:
                source[early], target[early] = i, found[h, i]
                early += 1
    return source, target, counts


@_compiled
def lay_out(
    source: Array, target: Array, counts: Array, begins: Array, first: int,
    rows: Array, others: Array, spare: Array, order: Array, ptr: Array,
) -> None:  # fmt: skip
    """What :func:`pcgen.ops.rules.lay_out` returns, into the last five arrays."""
    ptr[:] = 0
    for rule in range(len(target)):
        ptr[target[rule] - first + 1] += 1
    for site in range(1, len(ptr)):
        ptr[site] += ptr[site - 1]
    following = ptr[:-1].copy()
    rule = unused = 0
    for tap in range(len(counts)):
        for row in range(begins[tap], begins[tap] + counts[tap]):
            rows[row], others[row] = source[rule], target[rule]
            site = target[rule] - first
            order[following[site]] = row
            following[site] += 1
            rule += 1
        for row in range(begins[tap] + counts[tap], begins[tap + 1]):
            rows[row], others[row], spare[unused] = 0, first, row
            unused += 1
