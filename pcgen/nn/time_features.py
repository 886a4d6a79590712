r"""Features of time: how a network that is asked at any time between 0 and 1 is told which."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pcgen.errors import ArgumentError


def time_features(time: Tensor, channels: int = 16) -> Tensor:
    r"""Cosines of time, :math:`\cos(\pi k t)` for k = 1, 2, ... [B, channels].

    They are orthogonal on [0, 1], where the first alone tells all times apart and the last sees
    differences of 1 / channels. After the cosine features of EPiC-FM: Buhmann et al., "EPiC-ly
    fast particle cloud generation with flow-matching and diffusion", arXiv 2310.00049.

    Args:
        time: In units of the path, 0 to 1 [B].
        channels: Number of features.

    Raises:
        ArgumentError: ``time`` is not [B] numbers, or no channels are asked for.

    >>> time_features(torch.tensor([0.0, 0.5, 1.0]), 2).round(decimals=3).abs().tolist()
    [[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
    """
    if time.dim() != 1 or not time.is_floating_point():
        raise ArgumentError(f"time: got {time.dtype} {tuple(time.shape)}, expected floats [B]")
    if channels < 1:
        raise ArgumentError(f"channels: got {channels}, expected a number >= 1")
    order = torch.arange(1, channels + 1, device=time.device, dtype=time.dtype)
    return torch.cos(math.pi * order * time[:, None])
