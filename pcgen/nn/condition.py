r"""Conditioning inputs of networks: the condition of an event, and the time of a flow."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.nn.network import Network


def with_condition(x: Tensor, y: Tensor | None, condition_channels: int) -> Tensor:
    """Concatenate the condition [B, K] to rows [B, C]; a net of K = 0 ignores ``y``.

    Raises:
        ArgumentError: ``y`` is missing or does not have K columns.
    """
    if not condition_channels:
        return x
    return torch.cat([x, expect_condition(y, x.shape[0], condition_channels).to(x.dtype)], 1)


def expect_condition(y: Tensor | None, rows: int, condition_channels: int) -> Tensor:
    """The condition, which must be there and be [rows, condition_channels].

    Raises:
        ArgumentError: it is not.
    """
    if y is None or y.shape != (rows, condition_channels):
        given = None if y is None else tuple(y.shape)
        raise ArgumentError(f"condition: got {given}, expected ({rows}, {condition_channels})")
    return y


def time_features(time: Tensor, channels: int = 16) -> Tensor:
    r"""Cosines of time, :math:`\cos(\pi k t)` for k = 1, 2, ... [B, channels].

    They are orthogonal on [0, 1], where the first alone differs between all times and the last
    resolves differences of 1 / channels. After the cosine features of EPiC-FM: Buhmann et al.,
    "EPiC-ly fast particle cloud generation with flow-matching and diffusion", arXiv 2310.00049.

    Args:
        time: In units of the path, 0 to 1 [B].
        channels: Number of features.

    Raises:
        ArgumentError: ``time`` is not [B] numbers, or ``channels`` is not positive.

    >>> time_features(torch.tensor([0.0, 0.5, 1.0]), 2).round(decimals=3).abs().tolist()
    [[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
    """
    if time.dim() != 1 or not time.is_floating_point():
        raise ArgumentError(f"time: got {time.dtype} {tuple(time.shape)}, expected floats [B]")
    if channels < 1:
        raise ArgumentError(f"channels: got {channels}, expected a number >= 1")
    order = torch.arange(1, channels + 1, device=time.device, dtype=time.dtype)
    return torch.cos(math.pi * order * time[:, None])


class Context(Network):
    """Context of a velocity field: features of time of each cloud, and behind them the condition.

    Args:
        time_channels: Number of features of time.
        condition_channels: Columns K of the condition; 0 ignores it.
    """

    shown = ("time_channels", "condition_channels")

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
