r"""The ground cost of transport, :math:`c(x, y) = |x - y|^p` with p in {1, 2}.

Two forms of the same numbers: torch on pairs of rows (differentiable) and a compiled one that
fills a row of the cost matrix. Periodic axes are measured around the circle, as everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np
from torch import Tensor

from pcgen.ops.floats import length
from pcgen.ops.points import square, steps


def cost(x: Tensor, y: Tensor, p: int, period: Sequence[float]) -> Tensor:
    """Ground cost of paired points, [..., D] and [..., D] -> [...]; period 0 means a line.

    The gradient where x = y is 0, a subgradient of |x - y|.

    >>> import torch
    >>> cost(torch.tensor([0.0, 3.0]), torch.tensor([4.0, 0.0]), 1, (0.0, 0.0))
    tensor(5.)
    """
    difference = x - y
    squared = square(difference, period)
    return squared if p == 2 else length(steps(difference, period), squared)


def _row(
    point: np.ndarray, columns: np.ndarray, p: int, period: np.ndarray, out: np.ndarray
) -> None:
    """Ground cost of one point [D] to all of ``columns`` [D, M], written to ``out`` [M]."""
    out[:] = 0.0
    for k in range(len(point)):
        if period[k] > 0.0:
            for j in range(len(out)):
                step = point[k] - columns[k, j]
                step -= period[k] * np.rint(step / period[k])
                out[j] += step * step
        else:
            for j in range(len(out)):
                step = point[k] - columns[k, j]
                out[j] += step * step
    if p == 1:
        for j in range(len(out)):
            out[j] = math.sqrt(out[j])


row = numba.njit(cache=True, nogil=True)(_row)
