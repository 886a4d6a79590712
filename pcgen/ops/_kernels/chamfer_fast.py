"""Chamfer distances of small clouds on the CPU: one compiled call forward and one backward.

Checks, search and value of 32 clouds of 30 points take less than the many small torch calls of the
plain form, which stays for everything else: a GPU, ``torch.compile``, large clouds, half precision,
derivatives of higher order or in forward mode, errors, and numbers at the ends of a float's range.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pcgen.ops._kernels.fast import (
    Array,
    Plain,
    differentiable,
    period_array,
    suits,
    weight_array,
)
from pcgen.ops.points import Period

PAIRS = 2**20
"""Pairs of points above which searches on several threads, by blocks or trees, are used."""


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
    if not suits(x, y, ptr_x, ptr_y, weight_x, weight_y):
        return None
    axes = period_array(period, x.shape[1])
    return _Chamfer.apply(x, y, weight_x, weight_y, ptr_x, ptr_y, axes, options, plain)


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
        period: Array,
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
            return *differentiable(
                ctx.plain, ctx.saved_tensors[:4], ctx.needs_input_grad[:4], slopes[0]
            ), *[None] * 5
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
    return *points, ptr_x.numpy(), ptr_y.numpy(), *(weight_array(w, x) for w in weights)
