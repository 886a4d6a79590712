"""Conditioning inputs of point-cloud networks: condition and flow time."""

from __future__ import annotations

from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn.mlp import with_condition
from pcgen.nn.time_features import time_features


def conditioned(clouds: Batch, condition: Tensor | None) -> Batch:
    """The clouds with the condition [B, K] as their ``y``; as they are where none is given."""
    return clouds if condition is None else pc.replace(clouds, y=condition)


class Context(nn.Module):
    """Context of a velocity field: features of time of each cloud, and behind them the condition.

    Args:
        time_channels: Number of features of time.
        condition_channels: Columns K of the condition; 0 ignores it.
    """

    def __init__(self, time_channels: int, condition_channels: int) -> None:
        super().__init__()
        self.time_channels, self.condition_channels = time_channels, condition_channels
        self.channels = time_channels + condition_channels

    def forward(self, clouds: Batch, time: Tensor, condition: Tensor | None) -> Tensor:
        """Times [B] and conditions [B, K] of the clouds -> [B, time_channels + K].

        Raises:
            ArgumentError: time or condition have the wrong shape.
        """
        if time.shape != (clouds.num_graphs,):
            raise ArgumentError(f"time: got {tuple(time.shape)}, expected ({clouds.num_graphs},)")
        features = time_features(time.to(clouds.pos.dtype), self.time_channels)
        return with_condition(features, condition, self.condition_channels)
