r"""Wasserstein-1 distance between two samples of one number.

    W1(P, Q) = ∫ |F_P(t) - F_Q(t)| dt,

F the empirical distribution functions. For two samples of equal size it is the mean absolute
difference of the sorted values; the integral serves unequal sizes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError


def wasserstein1(a: Tensor, b: Tensor) -> Tensor:
    """W1 between two samples of the real line, unweighted; the sizes may differ.

    Args:
        a: [n], n ≥ 1.
        b: [m], m ≥ 1.

    Returns:
        A scalar in the unit of the values.

    Raises:
        ArgumentError: a sample is empty or not one-dimensional.
        DataError: a value is not finite, naming its index.

    >>> wasserstein1(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 2.0])).item()
    2.0
    """
    for name, sample in (("a", a), ("b", b)):
        if sample.dim() != 1 or not len(sample):
            raise ArgumentError(f"{name}: got shape {tuple(sample.shape)}, expected [n] with n ≥ 1")
        if not bool(torch.isfinite(sample).all()):
            index = int((~torch.isfinite(sample)).nonzero()[0])
            raise DataError(f"{name}[{index}]: got {sample[index].item()}, expected a finite value")
    a, b = a.sort().values, b.sort().values
    if len(a) == len(b):
        return (a - b).abs().mean()
    grid = torch.cat([a, b]).sort().values
    below_a = torch.searchsorted(a, grid[:-1], right=True).to(grid.dtype) / len(a)
    below_b = torch.searchsorted(b, grid[:-1], right=True).to(grid.dtype) / len(b)
    return ((below_a - below_b).abs() * grid.diff()).sum()
