"""Sums and extremes of segments by torch-scatter or pyg-lib, where one of them is installed.

They hold the same kernels under the same names. Only the forward kernels are used: their backward
passes have no second derivative, and their extremes overlook NaN and infinities. Here the
derivative of a sum is a gather and that of a gather a sum, any number of times; extremes give rows,
from which values are gathered with their gradient.

They are used where they were measured to be faster than plain torch (``pcgen bench --which
segments``), on the CPU and for few columns. A GPU was not at hand to measure on, nor was pyg-lib,
which is not on PyPI.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad

SUM_COLUMNS = 16
"""Columns from which sums are left to torch.

Below, 256 segments of 150 rows take a third to nine tenths of the time of ``scatter_add``, which
goes element by element; from 16 on ``index_add`` goes row by row and is 1.5 to 3 times as fast.
"""

SUM_NUMBERS = 2**15
"""Numbers below which sums are left to torch: Python's part of the derivative takes 50 µs."""

EXTREME_COLUMNS = 4
"""Columns from which extremes are left to the compiled loop of :mod:`.extremes`.

Below, it takes 1.1 to 1.4 times as long with its gradient; at 4 columns the two are equal, and at
64 it is 3 times as fast.
"""

LIBRARIES = {"torch_scatter": "torch_scatter", "pyg_lib": "pyg"}
"""Modules in the order of preference, and the names under which torch has their operators."""


def adds(value: Tensor) -> bool:
    """Whether :func:`segment_sum` is the faster way to sum the rows of ``value``."""
    return value.numel() >= SUM_NUMBERS and _serves(value, SUM_COLUMNS)


def compares(value: Tensor) -> bool:
    """Whether :func:`first_extreme` is the faster way, and right: all values are finite.

    The kernels begin with the least number, and take NaN for no number.
    """
    if not _serves(value, EXTREME_COLUMNS):
        return False
    least, most = value.aminmax()  # NaN if there is any
    limit = torch.finfo(value.dtype).max
    return bool(least > -limit) and bool(most < limit)


def segment_sum(value: Tensor, ptr: Tensor) -> Tensor:
    """Sum over each segment [B, ...] in the precision of the values [N, ...]."""
    if value.requires_grad:
        return _Sum.apply(value, ptr)
    return _kernels().segment_sum_csr(value, ptr, None)


def _gather(value: Tensor, ptr: Tensor) -> Tensor:
    """Values of segments [B, ...] to their rows [N, ...]."""
    if value.requires_grad:
        return _Gather.apply(value, ptr)
    return _kernels().gather_csr(value, ptr, None)


def first_extreme(value: Tensor, ptr: Tensor, largest: bool) -> Tensor:
    """First row with the largest or least value of each segment and column; -1 if empty."""
    kernel = _kernels().segment_max_csr if largest else _kernels().segment_min_csr
    row = kernel(value, ptr, None)[1]
    return row.masked_fill(row == len(value), -1)


class _Sum(Function):
    """Rows of values [N, ...] to sums [B, ...]."""

    @staticmethod
    def forward(value: Tensor, ptr: Tensor) -> Tensor:
        return _kernels().segment_sum_csr(value, ptr, None)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _gather(grad, *ctx.saved_tensors), None


class _Gather(Function):
    """Values of segments [B, ...] to their rows [N, ...]."""

    @staticmethod
    def forward(value: Tensor, ptr: Tensor) -> Tensor:
        return _kernels().gather_csr(value, ptr, None)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return segment_sum(grad, *ctx.saved_tensors), None


def _serves(value: Tensor, columns: int) -> bool:
    return (
        value.device.type == "cpu"
        and value.dtype in (torch.float32, torch.float64)
        and 0 < value.numel() < columns * len(value)
        and not torch.compiler.is_compiling()
        and forward_ad._current_level < 0  # forward derivatives go through plain torch
        and _kernels() is not None
    )


@lru_cache
def _kernels() -> Any:
    """The operators of the first library that is installed and has them; None if there is none."""
    for module, name in LIBRARIES.items():
        if importlib.util.find_spec(module) is None:
            continue
        try:
            importlib.import_module(module)
        except (ImportError, OSError):  # built for another torch
            continue
        operators = getattr(torch.ops, name)
        if all(hasattr(operators, kernel) for kernel in ("segment_sum_csr", "gather_csr")):
            return operators
    return None
