"""What the compiled distances of small clouds on the CPU share.

A *fast* form takes all pairs in one compiled call each way; the *plain* form in torch serves every
device, size and derivative, refuses what cannot be used, and has the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad

from pcgen.ops.points import Period, period_lengths

Array = NDArray[Any]
Plain = Callable[..., Tensor]
"""The plain form: values [B] from x, y, weight_x and weight_y."""


def suits(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    weight_x: Tensor | None,
    weight_y: Tensor | None,
) -> bool:
    """Whether types and shapes are those of the compiled loops."""
    if torch.compiler.is_compiling() or not x.is_cpu or forward_ad._current_level >= 0:
        return False
    floats = [z for z in (x, y, weight_x, weight_y) if z is not None]
    dtype = x.dtype
    return (
        dtype in (torch.float32, torch.float64)
        and all(z.dtype == dtype and z.is_cpu and z.is_contiguous() for z in floats)
        and all(type(z) in (Tensor, torch.nn.Parameter) for z in (*floats, ptr_x, ptr_y))
        and x.dim() == y.dim() == 2
        and x.shape[1] == y.shape[1] > 0
        and all(p.dtype == torch.long and p.is_cpu and p.dim() == 1 for p in (ptr_x, ptr_y))
        and ptr_x.is_contiguous()
        and ptr_y.is_contiguous()
        and len(ptr_x) == len(ptr_y) > 0
        and (weight_x is None or weight_x.shape == x.shape[:1])
        and (weight_y is None or weight_y.shape == y.shape[:1])
    )


def differentiable(
    plain: Plain, inputs: tuple[Tensor | None, ...], needed: tuple[bool, ...], slope: Tensor
) -> list[Tensor | None]:
    """Gradients that can be differentiated again: those of the plain form at ``inputs``."""
    value = plain(*inputs)
    wanted = [z for z, n in zip(inputs, needed, strict=True) if n and z is not None]
    found = iter(torch.autograd.grad(value, wanted, slope, create_graph=True))
    return [next(found) if n else None for n in needed]


def period_array(period: Period | None, axes: int) -> Array:
    """Period of each axis [D], 0 for a line."""
    return _array(tuple(period_lengths(period, axes)))


@lru_cache(maxsize=16)
def _array(lengths: tuple[float, ...]) -> Array:
    return np.array(lengths)


def weight_array(weight: Tensor | None, like: Tensor) -> Array:
    """Weights [N]; an empty array where there are none."""
    return (like.new_empty(0) if weight is None else weight.detach()).numpy()
