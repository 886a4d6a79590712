"""Velocity fields on codes: rows of numbers that are one event each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcgen.nn.mlp import LEAKY, MLP, Activation
from pcgen.nn.time_features import time_features


class CodeField(nn.Module):
    """An MLP that sees code, time and condition.

    Args:
        code_channels: Columns Z of the codes.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Width of each hidden layer.
        time_channels: Number of features of time.
        activation: Makes the non-linearity.
    """

    def __init__(
        self,
        code_channels: int,
        *,
        condition_channels: int = 0,
        hidden: Sequence[int] = (256, 256, 256),
        time_channels: int = 16,
        activation: Activation = LEAKY,
    ) -> None:
        super().__init__()
        self.time_channels, self.condition_channels = time_channels, condition_channels
        self.mlp = MLP(
            code_channels + time_channels,
            hidden,
            code_channels,
            condition_channels=condition_channels,
            activation=activation,
        )

    def forward(self, code: Tensor, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """Velocities [B, Z] of codes [B, Z] at times [B] under conditions [B, K]."""
        return self.mlp(torch.cat([code, time_features(time, self.time_channels)], 1), condition)
