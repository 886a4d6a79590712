r"""Padded batches as segments: B clouds of at most n points in B·n rows, some of them absent.

A pointer of B + 1 numbers gives the rows, of N, of each cloud. Where all lengths must be known
beforehand, as in an ONNX graph, each cloud has n rows instead, and a mask shows where a point is:

    ragged    a a b b b d      pointer [0, 2, 5, 5, 6]
    padded    a a . b b b . . . d . .      present [[1, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0]]

A :class:`Padding` takes the place of the pointer in the reductions of :mod:`pcgen.ops.segments`. So
networks that are written on rows and a pointer work on padded rows too, without a second copy of
them. What a network finds for absent rows means nothing and reaches no other row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError


class Padding:
    """Which of B·n rows hold a point of their cloud.

    Args:
        present: True where a point is [B, n], n at least 1.

    Attributes:
        present: As given.
        owner: Cloud of each row [B·n], absent rows included.
        place: Place of each row in its cloud [B·n], from 0.
        lengths: Number of points of each cloud [B].
    """

    def __init__(self, present: Tensor) -> None:
        self.present = present
        # From cumulative sums, so that an exported graph has no constant of the batch's size.
        ones = torch.ones_like(present, dtype=torch.long)
        self.owner = (ones[:, :1].cumsum(0) - 1).expand_as(ones).flatten()
        self.place = (ones.cumsum(1) - 1).flatten()
        self.lengths = present.sum(1)

    @property
    def device(self) -> torch.device:
        """Where the mask is."""
        return self.present.device

    def check(self, value: Tensor) -> None:
        """Refuse other than B·n rows.

        Raises:
            ArgumentError: naming how many there are.
        """
        number, longest = self.present.shape
        if value.shape[0] != number * longest:
            raise ArgumentError(
                f"value: got {value.shape[0]} rows, expected {number} clouds of {longest}, padded"
            )

    def dense(self, value: Tensor, fill: float = 0.0) -> Tensor:
        """Rows [B·n, ...] as [B, n, ...], with ``fill`` where no point is.

        >>> Padding(torch.tensor([[True, False]])).dense(torch.tensor([1.0, 2.0])).tolist()
        [[1.0, 0.0]]
        """
        rows = value.reshape(*self.present.shape, *value.shape[1:])
        present = self.present.reshape(*self.present.shape, *[1] * (value.dim() - 1))
        return torch.where(present, rows, fill)

    def total(self, value: Tensor) -> Tensor:
        """Sum over the points of each cloud [B, ...] of rows [B·n, ...]; 0 for an empty one.

        >>> Padding(torch.tensor([[True, False]])).total(torch.tensor([1.0, 2.0])).tolist()
        [1.0]
        """
        return self.dense(value).sum(1)

    def extreme(self, value: Tensor, largest: bool, empty: float) -> Tensor:
        """Largest or least value over the points of each cloud [B, ...]; NaN wins.

        ``empty`` where there is no point. The gradient is shared by rows that attain it.
        """
        lost = float("-inf" if largest else "inf")
        dense = self.dense(value, lost)
        best = dense.amax(1) if largest else dense.amin(1)
        some = (self.lengths > 0).reshape(-1, *[1] * (value.dim() - 1))
        return torch.where(some, best, empty)
