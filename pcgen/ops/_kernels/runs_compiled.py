"""Segments on the CPU: the compiled loops behind ``owners`` and ``take`` of many rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
_compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)


def taken(
    values: Sequence[Tensor], ptr: Tensor, index: Tensor
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Rows of the segments ``index``, their pointer and their owners; as ``ragged.take``.

    All tensors are contiguous and on the CPU.
    """
    before, chosen = ptr.numpy(), index.numpy()
    after = np.empty(len(chosen) + 1, np.int64)
    _lay(before, chosen, after)
    rows, found = int(after[-1]), []
    for value in values:
        out = value.new_empty((rows, *value.shape[1:]))
        flat, width = out.view(-1).numpy(), max(value[:1].numel(), 1)
        _copy(value.detach().view(-1).numpy(), before, chosen, after, width, flat)
        found.append(out)
    pointer = torch.from_numpy(after)
    return found, pointer, numbered(pointer, rows)


def numbered(ptr: Tensor, rows: int) -> Tensor:
    """Segment of each row [rows]; ``ptr`` [B+1] is on the CPU."""
    out = ptr.new_empty(rows)
    _number(ptr.numpy(), out.numpy())
    return out


@_compiled
def _lay(ptr: Array, index: Array, out: Array) -> None:
    out[0] = 0
    for s in range(len(index)):
        out[s + 1] = out[s] + ptr[index[s] + 1] - ptr[index[s]]


@_compiled
def _copy(value: Array, ptr: Array, index: Array, end: Array, width: int, out: Array) -> None:
    for s in range(len(index)):
        first, last = end[s] * width, end[s + 1] * width
        start = ptr[index[s]] * width
        run, place = value[start : start + last - first], out[first:last]
        for i in range(len(place)):  # two arrays of one index are copied by whole registers
            place[i] = run[i]


@_compiled
def _number(ptr: Array, out: Array) -> None:
    for b in range(len(ptr) - 1):
        place = out[ptr[b] : ptr[b + 1]]
        for i in range(len(place)):
            place[i] = b
