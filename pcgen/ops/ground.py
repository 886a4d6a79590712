r"""The ground cost :math:`c(x, y) = |x - y|^p`, p in {1, 2}, on coordinates that may be periodic.

On a periodic axis of period L a difference d counts as :math:`d - L\,\mathrm{round}(d/L)`, the
shortest way around. Two forms of the same numbers: torch on pairs of rows (differentiable) and a
compiled one that fills a row of the cost matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np
import torch
from torch import Tensor

from pcgen.errors import ArgumentError

Period = Sequence[float | None] | None


def periods(period: Period, dimensions: int) -> tuple[float, ...]:
    """One number per axis, 0 where the axis is not periodic.

    Raises:
        ArgumentError: the number of entries is not ``dimensions``, or one is not positive.
    """
    if period is None:
        return (0.0,) * dimensions
    values = tuple(0.0 if value is None else float(value) for value in period)
    given = [value for value in period if value is not None]
    if len(values) != dimensions or any(not (math.isfinite(v) and v > 0) for v in given):
        raise ArgumentError(
            f"period: got {tuple(period)}, expected {dimensions} entries, each positive or None"
        )
    return values


def difference(x: Tensor, y: Tensor, period: tuple[float, ...]) -> Tensor:
    """x - y by the shortest way around the periodic axes; broadcasts over [..., D]."""
    gap = x - y
    if not any(period):
        return gap
    length = gap.new_tensor(period)
    inverse = gap.new_tensor([1.0 / value if value else 0.0 for value in period])
    return gap - length * torch.round(gap.detach() * inverse)


def cost(x: Tensor, y: Tensor, p: int, period: tuple[float, ...]) -> Tensor:
    """Ground cost of paired rows, [..., D] and [..., D] -> [...].

    The gradient where x = y is 0, a subgradient of |x - y|.

    >>> cost(torch.tensor([3.1]), torch.tensor([-3.1]), 1, (6.3,)).isclose(torch.tensor(0.1))
    tensor(True)
    """
    square = difference(x, y, period).square().sum(-1)
    if p == 2:
        return square
    apart = square > 0
    return torch.where(apart, torch.where(apart, square, 1.0).sqrt(), 0.0)


def _row(
    point: np.ndarray, columns: np.ndarray, p: int, period: np.ndarray, out: np.ndarray
) -> None:
    """Ground cost of one point [D] to all of ``columns`` [D, M], written to ``out`` [M]."""
    out[:] = 0.0
    for k in range(len(point)):
        if period[k] > 0.0:
            for j in range(len(out)):
                gap = point[k] - columns[k, j]
                gap -= period[k] * np.rint(gap / period[k])
                out[j] += gap * gap
        else:
            for j in range(len(out)):
                gap = point[k] - columns[k, j]
                out[j] += gap * gap
    if p == 1:
        for j in range(len(out)):
            out[j] = math.sqrt(out[j])


row = numba.njit(cache=True, nogil=True)(_row)
