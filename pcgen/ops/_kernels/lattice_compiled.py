"""The compiled loop behind :mod:`pcgen.ops.lattice`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numpy.typing import NDArray

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


@_compiled
def number(cell: Array, ptr: Array, shape: Array, width: Array, owner: Array, key: Array) -> bool:
    """What :func:`pcgen.ops.lattice.number` returns, the first two into the last two arrays."""
    fine = True
    for event in range(len(ptr) - 1):
        for row in range(ptr[event], ptr[event + 1]):
            value = event
            for axis in range(len(shape)):
                place = cell[row, axis]
                fine &= 0 <= place < shape[axis]
                value = value * width[axis] + place
            if row > 0 and value <= key[row - 1]:
                fine = False
            owner[row], key[row] = event, value
    return fine
