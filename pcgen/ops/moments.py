"""Mean and standard deviation of columns: found batch by batch in float64, and applied."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Moments:
    """Number, mean and sum of squared deviations of each column, merged batch by batch.

    Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983), eq. 2.1: never
    the difference of two large numbers.

    Args:
        columns: Number of columns C.
        device: Where the sums are kept; values are taken there.

    >>> moments = Moments(1)
    >>> moments.update(torch.tensor([[1.0], [2.0]]))
    >>> moments.update(torch.tensor([[6.0]]))
    >>> moments.count, moments.mean.tolist(), moments.variance().tolist()
    (3, [3.0], [4.666...])
    """

    def __init__(self, columns: int, device: torch.device | None = None) -> None:
        self.count = 0
        self.mean = torch.zeros(columns, dtype=torch.float64, device=device)
        self.square = torch.zeros_like(self.mean)

    def update(self, value: Tensor) -> None:
        """Take in more rows [n, C]; n may be 0."""
        number = len(value)
        if not number:
            return
        value = value.detach().to(self.mean)
        mean, count = value.mean(0), self.count + number
        shift = mean - self.mean
        self.square += (value - mean).square().sum(0) + shift.square() * self.count * number / count
        self.mean = self.mean + shift * number / count
        self.count = count

    def variance(self) -> Tensor:
        """Variance of each column (divided by n) [C]; exactly 0 where it does not vary.

        Rounding leaves a spread of about 1e-16 of the mean to a constant column.
        """
        variance = self.square / max(self.count, 1)
        return torch.where(variance.sqrt() <= 1e-12 * self.mean.abs(), 0.0, variance)


class Scale(nn.Module):
    """A shift and a scale of each column, in float64 buffers.

    Args:
        columns: Number of columns C.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns, dtype=torch.float64))
        self.register_buffer("std", torch.ones(columns, dtype=torch.float64))

    def set(self, mean: Tensor, variance: Tensor) -> None:
        """Mean and variance [C]; a column that does not vary is shifted and not scaled."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(variance > 0, variance.sqrt(), 1.0))

    def forward(self, value: Tensor) -> Tensor:
        """(value - mean) / std of rows [N, C]."""
        return (value - self.mean.to(value)) / self.std.to(value)

    def inverse(self, value: Tensor) -> Tensor:
        """value * std + mean of rows [N, C]."""
        return value * self.std.to(value) + self.mean.to(value)
