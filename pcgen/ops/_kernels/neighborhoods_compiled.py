"""The compiled loops behind :mod:`pcgen.ops.neighborhoods`; each fills its last array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)
# Sums in any order, so that they are vectorised; NaN and infinities keep their meaning.
_sums: Callable[..., Any] = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})


@_sums
def dot(u: Array, v: Array, index: Array, out: Array, first: int, last: int) -> None:
    """Σ_c u_ic v_jc [N, k] of rows first, ..., last - 1."""
    for i in range(first, last):
        for s in range(index.shape[1]):
            j = index[i, s]
            if j >= 0:
                total = u.dtype.type(0)
                for c in range(u.shape[1]):
                    total += u[i, c] * v[j, c]
                out[i, s] = total


@_sums
def square(u: Array, v: Array, index: Array, out: Array, first: int, last: int) -> None:
    """Σ_c (u_ic + v_jc)² [N, k] of rows first, ..., last - 1."""
    for i in range(first, last):
        for s in range(index.shape[1]):
            j = index[i, s]
            if j >= 0:
                total = u.dtype.type(0)
                for c in range(u.shape[1]):
                    step = u[i, c] + v[j, c]
                    total += step * step
                out[i, s] = total


@_compiled
def gather(weight: Array, v: Array, index: Array, out: Array, first: int, last: int) -> None:
    """Σ_j w_ij v_jc [N, C] of rows first, ..., last - 1."""
    for i in range(first, last):
        for s in range(index.shape[1]):
            j, w = index[i, s], weight[i, s]
            if j >= 0:
                for c in range(v.shape[1]):
                    out[i, c] += w * v[j, c]


@_compiled
def spread(weight: Array, u: Array, index: Array, out: Array) -> None:
    """Σ_i w_ij u_ic [M, C]."""
    for i in range(len(index)):
        for s in range(index.shape[1]):
            j, w = index[i, s], weight[i, s]
            if j >= 0:
                for c in range(u.shape[1]):
                    out[j, c] += w * u[i, c]


@_compiled
def first_largest(
    u: Array, v: Array, rate: Array, gain: Array, index: Array, of_v: Array, of_rate: Array,
    first: int, last: int,
) -> None:  # fmt: skip
    """Where v_jc and rate_ij of the largest gain_c rate_ij (u_ic + v_jc) are, flattened [N, C]."""
    best, slot = np.empty(u.shape[1], u.dtype), np.empty(u.shape[1], np.int32)
    for i in range(first, last):
        best[:], slot[:] = -np.inf, 0
        for s in range(index.shape[1]):
            j, r = index[i, s], rate[i, s]
            if j >= 0:
                for c in range(u.shape[1]):
                    key = (u[i, c] + v[j, c]) * r * gain[c]
                    # True for NaN too, unless there has been one.
                    more = (not key <= best[c]) & (best[c] == best[c])
                    best[c] = key if more else best[c]
                    slot[c] = np.int32(s) if more else slot[c]
        for c in range(u.shape[1]):
            of_v[i, c] = index[i, slot[c]] * v.shape[1] + c
            of_rate[i, c] = i * index.shape[1] + slot[c]
