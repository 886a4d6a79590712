r"""Images from points: a set decoder makes points, and a grid counts what falls into its cells.

The image of fractions is exact, :math:`f_c = \sum_{i: p_i \in c} f_i`, and passed backwards as if
each point were shared among the nearest cells (:func:`pcgen.images.splat`):

.. math:: \tilde f = \mathrm{stop}(f) + s - \mathrm{stop}(s), \qquad s = \mathrm{splat}(p, f),

so that a critic of images can move the points (straight-through). An active cell holds
:math:`1 + x - x_{floor}`, with x the standardised logarithm of its fraction, as events of
:class:`~pcgen.models.representations.Images` do. It is as sparse as its points are few.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcgen import clouds as pc
from pcgen.grids import Grid
from pcgen.images import cloud_to_image, splat
from pcgen.standardize import Standardize


class RasterisedDecoder(nn.Module):
    """A generator of images whose active cells are those that hold a point.

    Args:
        decoder: ``(code, sizes, condition, generator)`` -> standardised clouds whose last column of
            ``x`` is the logarithm of the fraction.
        standardize: Of the clouds of active cells of the grid; it is read, not owned.
        grid: The cells. Points outside are in no cell.
    """

    def __init__(self, decoder: nn.Module, standardize: Standardize, grid: Grid) -> None:
        super().__init__()
        self.decoder, self.grid = decoder, grid
        self._standardize = [standardize]  # no submodule: it is the representation's

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Images [B, 1, \*grid.shape] of ``sizes`` [B] points each, from codes [B, Z]."""
        (standardize,) = self._standardize
        made = self.decoder(code, sizes, condition, generator)
        weight = standardize.fractions(made.x, made.ptr)
        points = pc.make(standardize.pos.inverse(made.pos), sizes, weight=weight)
        soft = splat(points, self.grid, outside="drop")
        hard = cloud_to_image(points, self.grid, outside="drop").detach()
        fraction = hard + (soft - soft.detach())  # a difference that is exactly 0
        active = fraction > 0
        # Of the logarithm of an empty cell neither the value nor the slope is wanted.
        log = torch.where(active, fraction, 1.0).log()
        scale, floor = standardize.log_fraction, standardize.log_floor
        lift = (log - floor.to(log)) / scale.std.to(log)
        return torch.where(active, 1.0 + lift.clamp(min=0.0), 0.0)[:, None]
