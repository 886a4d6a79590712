"""Which search finds the neighbours: chosen by device and size; all find the same rows.

On the CPU, compiled brute force beats trees up to some thousand points a cloud in 2 to 4
dimensions, and beyond in more; the sizes below are where they were measured to cross. On CUDA one
Triton launch serves all clouds. Elsewhere chunks in plain torch do.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcgen.ops.floats import exponent

TREE_DIMENSIONS = 4
# Smallest clouds for which a tree is faster: for the nearest neighbour, and for several.
TREE_POINTS = (8192, 4096)


@torch.library.custom_op("pcgen::search", mutates_args=())
def search(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]
) -> Tensor:
    """Rows of the k nearest y in the same cloud [N, k], nearest first, -1 where there are fewer.

    One opaque op for ``torch.compile``. Arguments are checked by the caller and have no gradient;
    period 0 is a line.
    """
    x, y, period, _ = _in_range(x, y, period)
    return _search(x, y, ptr_x, ptr_y, k, period)


@search.register_fake
def _(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]
) -> Tensor:
    return ptr_x.new_empty(len(x), k)


@torch.library.custom_op("pcgen::search_both", mutates_args=())
def search_both(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, period: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Row of the nearest y of each x [N] and of the nearest x of each y [M], -1 for none."""
    x, y, period, _ = _in_range(x, y, period)
    if _has_triton(x):
        return _module("neighbors_triton").both(x, y, ptr_x, ptr_y, period)
    if x.device.type == "cpu" and not _large(ptr_x, ptr_y, 1, period).any():
        return _module("neighbors_numba").both(x, y, ptr_x, ptr_y, period)
    to_y = _search(x, y, ptr_x, ptr_y, 1, period)
    return to_y.squeeze(1), _search(y, x, ptr_y, ptr_x, 1, period).squeeze(1)


@search_both.register_fake
def _(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, period: Sequence[float]
) -> tuple[Tensor, Tensor]:
    return ptr_x.new_empty(len(x)), ptr_x.new_empty(len(y))


def within(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, r: float, period: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Pairs at a distance of at most r: rows of x and rows of y, both ascending [E], [E]."""
    method = "numba" if x.device.type == "cpu" else "torch"
    x, y, period, scale = _in_range(x, y, period)
    return _module(f"neighbors_{method}").within(x, y, ptr_x, ptr_y, r * scale, period)


def farthest(
    pos: Tensor, ptr: Tensor, start: Tensor, ptr_out: Tensor, period: Sequence[float]
) -> Tensor:
    """Rows of farthest-point sampling [S] from the rows ``start`` [B]."""
    method = "neighbors_numba" if pos.device.type == "cpu" else "neighbors_torch"
    pos, _, period, _ = _in_range(pos, pos, period)
    if _has_triton(pos):
        method = "farthest_triton"
    return _module(method).farthest(pos, ptr, start, ptr_out, period)


def _in_range(
    x: Tensor, y: Tensor, period: Sequence[float]
) -> tuple[Tensor, Tensor, Sequence[float], float]:
    """Coordinates whose squares are in range, and by what they and the periods were multiplied.

    Looked at on the CPU only: a GPU would have to wait.
    """
    if x.device.type != "cpu" or not len(x) or not len(y):
        return x, y, period, 1.0
    largest = max(float(torch.linalg.vector_norm(z, torch.inf)) for z in (x, y))
    if x.dtype != torch.float64:  # squares are taken in float64, but for a sweep in float32
        return (x, y, period, 1.0) if largest < 1e18 else (x.double(), y.double(), period, 1.0)
    scale = 2.0 ** exponent(largest, x.dtype)
    if scale == 1.0:
        return x, y, period, 1.0
    return x * scale, y * scale, [p * scale for p in period], scale


def _search(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]
) -> Tensor:
    if x.device.type == "cpu":
        return _search_cpu(x, y, ptr_x, ptr_y, k, period)
    if _has_triton(x):
        return _module("neighbors_triton").search(x, y, ptr_x, ptr_y, k, period)
    # torch-cluster's kernels keep at most 100 neighbours, and know no periods.
    clustered = x.is_cuda and k < 100 and not any(period)
    method = "cluster" if clustered and _installed("torch_cluster") else "torch"
    return _module(f"neighbors_{method}").search(x, y, ptr_x, ptr_y, k, period)


def _search_cpu(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]
) -> Tensor:
    """Trees for the large clouds, brute force for the others."""
    large = _large(ptr_x, ptr_y, k, period)
    if not large.any():
        return _module("neighbors_numba").search(x, y, ptr_x, ptr_y, k, period)
    found = []
    borders = [0, *(np.flatnonzero(np.diff(large)) + 1).tolist(), len(large)]
    for first, last in pairwise(borders):
        rows = slice(ptr_x[first], ptr_x[last]), slice(ptr_y[first], ptr_y[last])
        pointers = [p[first : last + 1] - p[first] for p in (ptr_x, ptr_y)]
        method = _module("neighbors_tree" if large[first] else "neighbors_numba")
        part = method.search(x[rows[0]], y[rows[1]], *pointers, k, period)
        found.append(torch.where(part < 0, -1, part + ptr_y[first]))
    return torch.cat(found)


def _large(ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]) -> NDArray[np.bool_]:
    """For which clouds a tree is faster [B]."""
    sizes = np.minimum(np.diff(ptr_x.numpy()), np.diff(ptr_y.numpy()))
    return (sizes >= TREE_POINTS[k > 1]) & (len(period) <= TREE_DIMENSIONS) & (sizes > k)


def _has_triton(x: Tensor) -> bool:
    return x.is_cuda and _installed("triton")


@lru_cache
def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@lru_cache
def _module(name: str) -> ModuleType:
    """A search, imported when it is first needed: compilers and SciPy take their time."""
    return importlib.import_module(f"pcgen.ops._kernels.{name}")
