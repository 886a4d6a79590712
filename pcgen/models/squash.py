r"""Radial asinh: coordinates in which dense centres and sparse edges have one scale.

Half of the transverse momentum of a quark jet lies within a tenth of the standard deviation of its
points. A network that is wrong by a twentieth of that deviation is then wrong by half of the core.
The map

.. math:: q = \frac{s}{\sigma_q} \operatorname{asinh}(|z| / s) \, \frac{z}{|z|}

keeps directions, is linear for :math:`|z| \ll s` and logarithmic beyond.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.ops.moments import Moments, Scale


class Squash(nn.Module):
    """The radial asinh of standardised coordinates, and its inverse.

    The inverse grows exponentially: it does not go beyond the points that were fitted.

    Args:
        width: s, in units of the coordinates.

    Raises:
        ArgumentError: the width is not positive.
    """

    reach: Tensor

    def __init__(self, width: float) -> None:
        super().__init__()
        if not width > 0:
            raise ArgumentError(f"squash: got {width}, expected a positive width")
        self.width = width
        self.scale = Scale(1)
        self.register_buffer("reach", torch.full((), torch.inf, dtype=torch.float64))

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Find the scale of q and the reach, from coordinates [N, D] batch by batch."""
        moments, reach = Moments(1, self.reach.device), torch.zeros_like(self.reach)
        for z in batches:
            moments.update(self._bent(z).square().mean(1, keepdim=True))
            if len(z):
                reach = torch.maximum(reach, z.detach().to(reach).norm(dim=1).max())
        # Centred: q = 0 is the centre of the asinh, wherever the mean is.
        self.scale.set(torch.zeros_like(moments.mean), moments.mean)
        self.reach.copy_(reach if bool(reach > 0) else torch.full_like(reach, torch.inf))

    def widen(self, batches: Iterable[Tensor]) -> None:
        """Let the reach include coordinates [N, D] batch by batch; the scale stays."""
        for z in batches:
            if len(z):
                self.reach.copy_(self.reach.maximum(z.detach().to(self.reach).norm(dim=1).max()))

    def forward(self, z: Tensor) -> Tensor:
        """q of coordinates z [N, D]."""
        return self.scale(self._bent(z))

    def inverse(self, q: Tensor) -> Tensor:
        """z of q [N, D]."""
        bent = self.scale.inverse(q)
        length = bent.norm(dim=1, keepdim=True) / self.width
        most = torch.asinh(self.reach.to(q) / self.width)
        some = torch.where(length > 0, length, 1.0)  # no derivative of 0 / 0
        return bent * torch.where(length > 0, torch.sinh(some.minimum(most)) / some, 1.0)

    def _bent(self, z: Tensor) -> Tensor:
        length = z.norm(dim=1, keepdim=True) / self.width
        some = torch.where(length > 0, length, 1.0)
        return z * torch.where(length > 0, torch.asinh(some) / some, 1.0)
