r"""Whitening given a condition: what a regression explains is taken off, the rest has covariance 1.

With the condition c and the codes z of the training split,

    z = A [1, c] + L e,        E[e] = 0,  Cov[e] = 1,

A by least squares and L from the eigenvectors of the covariance of the residuals. A model that
learns e has the right mean and covariance before it has learnt anything.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError, DataError


class Whitening(nn.Module):
    """The map z -> e and back, fitted in one pass and kept in buffers.

    Args:
        code_channels: Columns Z of the codes.
        condition_channels: Columns K of the condition.

    >>> z = torch.tensor([[1.0], [3.0], [5.0], [7.0]])
    >>> c = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    >>> e = Whitening(1, 1).fit([(z, c)])(z, c)
    >>> e.abs().flatten().tolist(), e.sum().item()
    ([1.0, 1.0, 1.0, 1.0], 0.0)
    """

    def __init__(self, code_channels: int, condition_channels: int) -> None:
        super().__init__()
        self.regression: Tensor
        self.spread: Tensor
        self.whiten: Tensor
        self.register_buffer("regression", torch.zeros(1 + condition_channels, code_channels))
        self.register_buffer("spread", torch.eye(code_channels))
        self.register_buffer("whiten", torch.eye(code_channels))

    @torch.no_grad()
    def fit(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> Whitening:
        """Find A and L from codes [B, Z] and conditions [B, K], batch by batch.

        Raises:
            DataError: there are no codes, or they are not finite.
        """
        columns = len(self.regression)
        size = columns + self.regression.shape[1]
        moments = self.spread.new_zeros(size, size, dtype=torch.float64)
        number = 0
        for code, condition in pairs:
            rows = torch.cat([_with_one(condition), code], 1).double()
            moments += rows.T @ rows
            number += len(rows)
        if not number or not bool(moments.isfinite().all()):
            raise DataError(f"pairs: got {number} codes, expected some, all finite")
        moments = moments / number
        of_condition, mixed = moments[:columns, :columns], moments[:columns, columns:]
        regression = torch.linalg.pinv(of_condition, rtol=1e-9, hermitian=True) @ mixed
        residual = moments[columns:, columns:] - mixed.T @ regression
        variance, axes = torch.linalg.eigh(0.5 * (residual + residual.T))
        # A direction in which the codes do not vary is left alone, not blown up.
        floor = (1e-6 * variance.max()).clamp(min=1e-12)
        deviation = variance.maximum(floor).sqrt()
        self.regression.copy_(regression)
        self.spread.copy_((axes * deviation).T)
        self.whiten.copy_(axes / deviation)
        return self

    def forward(self, code: Tensor, condition: Tensor) -> Tensor:
        """e [B, Z] of codes [B, Z] and conditions [B, K]."""
        self._check(code, condition)
        return (code - _with_one(condition) @ self.regression) @ self.whiten

    def inverse(self, white: Tensor, condition: Tensor) -> Tensor:
        """z [B, Z] of e [B, Z] and conditions [B, K]."""
        self._check(white, condition)
        return white @ self.spread + _with_one(condition) @ self.regression

    @property
    def code_channels(self) -> int:
        """Columns Z of the codes."""
        return self.regression.shape[1]

    def _check(self, code: Tensor, condition: Tensor) -> None:
        rows, columns = self.regression.shape
        expected = (code.shape[0], columns), (code.shape[0], rows - 1)
        if (tuple(code.shape), tuple(condition.shape)) != expected:
            raise ArgumentError(
                f"code, condition: got {tuple(code.shape)} and {tuple(condition.shape)}, "
                f"expected {expected[0]} and {expected[1]}"
            )


def _with_one(condition: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(condition[:, :1]), condition], 1)
