r"""The ground cost of transport, :math:`c(x, y) = |x - y|^p` with p in {1, 2}.

Periodic axes are measured around the circle, as everywhere. The compiled loops have the same
numbers by :func:`.workspace.row`.
"""

from __future__ import annotations

from collections.abc import Sequence

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
