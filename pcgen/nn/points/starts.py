"""What the points of a set decoder start from: noise of their own, or their place in the list."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen.ops.ragged import Pointer, lengths, owners
from pcgen.ops.ragged import places as places_of

_SCALES = (0.5, 2.0, 8.0, 32.0)
_TURNS = (1, 2, 3)
_GOLDEN = math.pi * (3.0 - math.sqrt(5.0))
CHANNELS = 2 + len(_SCALES) + 2 * len(_TURNS)
"""Numbers that describe the place of a point."""


class Start(Protocol):
    """What a point starts from."""

    @property
    def channels(self) -> int:
        """Numbers of a point that the decoder takes as input."""

    @property
    def noise_channels(self) -> int:
        """Standard normal numbers that are drawn for a point."""

    def rows(self, clouds: Batch, dtype: torch.dtype) -> Tensor:
        """Input of the decoder [N, channels], for clouds whose ``pos`` is that noise."""


@dataclass(frozen=True)
class Noise:
    """Standard normal numbers of each point: the points are exchangeable.

    All points are alike until they have exchanged information, and the few that carry most of the
    energy come out blurred.

    Attributes:
        channels: How many.
        std: Their standard deviation.
    """

    channels: int = 8
    std: float = 1.0

    @property
    def noise_channels(self) -> int:
        """All of the channels."""
        return self.channels

    def rows(self, clouds: Batch, dtype: torch.dtype) -> Tensor:
        """The noise itself, scaled."""
        noise: Tensor = clouds.pos
        return noise if self.std == 1.0 else self.std * noise


@dataclass(frozen=True)
class Ranks:
    """The place of each point in the list, see :func:`places`; there is no noise.

    The first point learns to be the hardest: on jets the distance between the leading fractions of
    real and reconstructed ones is seven times smaller after as many steps than with noise. Any
    number of points can be generated, and a cloud is a function of code, size and condition.
    """

    @property
    def channels(self) -> int:
        """Numbers that describe a place."""
        return CHANNELS

    @property
    def noise_channels(self) -> int:
        """None."""
        return 0

    def rows(self, clouds: Batch, dtype: torch.dtype) -> Tensor:
        """The places of the points."""
        return places(clouds.ptr, clouds.batch.shape[0], dtype)


def places(ptr: Pointer, rows: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The place i of n of each point as smooth numbers [N, CHANNELS].

    The fraction of the list 2 (i + 1/2) / n - 1, the logarithm of i + 1, exp(-i / s) for some
    scales s, which separate the first few points, and cosine and sine of the multiples of i times
    the golden angle, which spread the points evenly around the axis (phyllotaxis).

    >>> places(torch.tensor([0, 1, 3]), 3)[:, 0].tolist()
    [0.0, -0.5, 0.5]
    """
    place = places_of(ptr, rows).to(dtype)
    number = lengths(ptr)[owners(ptr, rows)]
    columns = [2 * (place + 0.5) / number - 1, place.log1p() - 1.5]
    columns += [torch.exp(-place / scale) for scale in _SCALES]
    for turn in _TURNS:
        angle = turn * _GOLDEN * place
        columns += [angle.cos(), angle.sin()]
    return torch.stack(columns, 1)
