"""Chamfer distances of small clouds on the CPU: one compiled call forward and one backward.

Checks, search and value of 32 clouds of 30 points take less than the many small torch calls of the
plain form, which stays for everything else: a GPU, ``torch.compile``, large clouds, half precision,
derivatives of higher order or in forward mode, errors, and numbers at the ends of a float's range.
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

PAIRS = 2**20
"""Pairs of points above which searches on several threads, by blocks or trees, are used."""

Plain = Callable[..., Tensor]
"""The plain form: distances [B] from x, y, weight_x and weight_y."""


def fast(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor,
    ptr_y: Tensor,
    weight_x: Tensor | None,
    weight_y: Tensor | None,
    period: Period | None,
    options: tuple[bool, bool, tuple[bool, bool]],
    plain: Plain,
) -> Tensor | None:
    """Distances [B]; None where the plain form is to take over.

    Args:
        x, y, ptr_x, ptr_y, weight_x, weight_y, period: Of :func:`pcgen.ops.chamfer`, as rows.
        options: Squared or not; mean or sum; whether x, and y, is taken to the other side.
        plain: Takes over where the derivative is to be differentiated.
    """
    if not _suits(x, y, ptr_x, ptr_y, weight_x, weight_y):
        return None
    lengths = period_lengths(period, x.shape[1])
    return _Chamfer.apply(
        x, y, weight_x, weight_y, ptr_x, ptr_y, _array(tuple(lengths)), options, plain
    )


def _suits(
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


@lru_cache(maxsize=16)
def _array(lengths: tuple[float, ...]) -> NDArray[Any]:
    return np.array(lengths)


@lru_cache(maxsize=4)
def _nothing(dtype: type) -> NDArray[Any]:
    return np.empty(0, dtype)


class _Chamfer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        weight_x: Tensor | None,
        weight_y: Tensor | None,
        ptr_x: Tensor,
        ptr_y: Tensor,
        period: NDArray[Any],
        options: tuple[bool, bool, tuple[bool, bool]],
        plain: Plain,
    ) -> Tensor | None:
        from pcgen.ops._kernels import chamfer_compiled

        arrays = _arrays(x, y, ptr_x, ptr_y, weight_x, weight_y)
        number, kind = len(ptr_x) - 1, arrays[0].dtype
        value = np.empty(number, kind)
        found = (
            np.empty((2, number), kind),
            np.empty((2, number), kind),
            np.empty(len(x), np.int64),
            np.empty(len(y), np.int64),
        )
        if not chamfer_compiled.forward(*arrays, period, PAIRS, *options, value, *found):
            return None
        ctx.save_for_backward(x, y, weight_x, weight_y, ptr_x, ptr_y)
        ctx.found, ctx.period, ctx.options, ctx.plain = found, period, options, plain
        return torch.from_numpy(value)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, y, weight_x, weight_y, ptr_x, ptr_y = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody differentiates again
            return *_differentiable(ctx, slopes[0]), *[None] * 5
        from pcgen.ops._kernels import chamfer_compiled

        arrays = _arrays(x, y, ptr_x, ptr_y, weight_x, weight_y)
        out = [np.zeros(z.shape, z.dtype) for z in arrays[:2]]
        for weight, needed in zip(arrays[4:], ctx.needs_input_grad[2:4], strict=True):
            out.append(np.zeros(len(weight) if needed else 0, weight.dtype))
        slope = slopes[0].contiguous().numpy()
        chamfer_compiled.backward(slope, *arrays, ctx.period, *ctx.options, *ctx.found, *out)
        needed = ctx.needs_input_grad[:4]
        gradients = [torch.from_numpy(z) if n else None for z, n in zip(out, needed, strict=True)]
        return *gradients, *[None] * 5


def _arrays(x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, *weights: Tensor | None) -> Any:
    points = [z.detach().numpy() for z in (x, y)]
    kind = points[0].dtype.type
    ends = [_nothing(kind) if w is None else w.detach().numpy() for w in weights]
    return *points, ptr_x.numpy(), ptr_y.numpy(), *ends


def _differentiable(ctx: Any, slope: Tensor) -> list[Tensor | None]:
    """Gradients that can be differentiated again: those of the plain form."""
    inputs, needed = ctx.saved_tensors[:4], ctx.needs_input_grad[:4]
    value = ctx.plain(*inputs)
    wanted = [z for z, n in zip(inputs, needed, strict=True) if n]
    found = iter(torch.autograd.grad(value, wanted, slope, create_graph=True))
    return [next(found) if n else None for n in needed]
