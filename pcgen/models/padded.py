"""The padded twin of a trained model of points: from noise to points, with no length but its own.

What a simulation chain hands over is fixed: noise [B, n, P], sizes [B], conditions [B, ...]. All
that follows is one function of tensors, which can be traced and written as a graph: the model's own
:meth:`~pcgen.models.base.FromNoise.from_noise` on clouds whose rows are padded
(:func:`pcgen.clouds.padded`), so that there is no second copy of any network.

What comes first, the law of size, total and centroid, is a second such function of uniform
numbers, :class:`DrawFromUniform`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pcgen import clouds as cl
from pcgen.models.base import FromNoise, GenerativeModel
from pcgen.models.cardinality import Cardinality, Drawn
from pcgen.models.request import Request
from pcgen.models.stored import pick_near, spread_of


class PaddedPoints(NamedTuple):
    """Generated clouds with rows of zeros behind their points.

    Attributes:
        pos: Coordinates in physical units [B, n, D].
        weight: [B, n]; None where points have none.
        x: Further features [B, n, F]; None where points have none.
        mask: Whether a row is a point [B, n].
    """

    pos: Tensor
    weight: Tensor | None
    x: Tensor | None
    mask: Tensor


class PaddedGenerator(nn.Module):
    """A model that implements :class:`~pcgen.models.base.FromNoise`, as a function of tensors.

    Args:
        model: Trained, of points.
    """

    def __init__(self, model: GenerativeModel) -> None:
        super().__init__()
        self.model = model.eval()

    def forward(
        self,
        noise: Tensor,
        size: Tensor,
        code: Tensor | None = None,
        total: Tensor | None = None,
        centroid: Tensor | None = None,
        y: Tensor | None = None,
        label: Tensor | None = None,
        spread: Tensor | None = None,
    ) -> PaddedPoints:
        """Clouds of noise, with what :class:`~pcgen.models.cardinality.Drawn` holds of them.

        Args:
            noise: Standard normal numbers of the points [B, n, P]; P may be 0, n may not.
            size: Number of points [B], at most n.
            code: Standard normal numbers of the clouds [B, Z]; None where Z is 0.
            total: Sum of the weights [B]; None where points have none.
            centroid: Weighted mean of the coordinates [B, D]; None where clouds are not recentred.
            y: Condition in physical units [B, C].
            label: Class [B].
            spread: See :class:`~pcgen.models.cardinality.Drawn` [B].
        """
        assert isinstance(self.model, FromNoise)
        start = cl.padded(noise, size)
        blank = noise.new_zeros(noise.shape[0], 0)
        # What the model does not use must still be there.
        drawn = Drawn(
            size,
            blank.sum(1) if total is None else total,
            blank if centroid is None else centroid,
            y,
            label,
            spread,
        )
        clouds = self.model.from_noise(start, blank if code is None else code, drawn)
        weight, x = clouds.get("weight"), clouds.get("x")
        dense = clouds.ptr.dense
        return PaddedPoints(
            dense(clouds.pos),
            None if weight is None else dense(weight),
            None if x is None else dense(x),
            clouds.ptr.present,
        )


class BeforePoints(NamedTuple):
    """What is known of clouds before they have points, without what was given.

    Attributes:
        size: Number of points [B].
        total: Sum of the weights [B].
        centroid: Weighted mean of the coordinates [B, D].
        spread: Root of the weighted mean squared distance from it [B]; None where it is not kept.
    """

    size: Tensor
    total: Tensor
    centroid: Tensor
    spread: Tensor | None


class DrawFromUniform(nn.Module):
    """:meth:`Cardinality.draw` for given y and class, as a function of a uniform number.

    Args:
        cardinality: Fitted.
    """

    have: Tensor
    scale: Tensor
    kind: Tensor

    def __init__(self, cardinality: Cardinality) -> None:
        super().__init__()
        self.cardinality = cardinality
        stored = cardinality.all_stored()
        have = cardinality.y[: len(stored.sizes)]
        self.register_buffer("scale", spread_of(have))
        self.register_buffer("have", have / self.scale)
        self.register_buffer("kind", cardinality.label[: len(stored.sizes)])

    def forward(
        self, chance: Tensor, y: Tensor | None = None, label: Tensor | None = None
    ) -> BeforePoints:
        """What is known of as many clouds as there are uniform numbers.

        Args:
            chance: Uniform in [0, 1) [B].
            y: Condition in physical units [B, C], where the schema has one.
            label: Class [B], where the schema has classes.
        """
        stored = self.have.shape[0]
        if y is None and label is None:
            row = (chance * stored).long().clamp(max=stored - 1)
        else:
            row = pick_near(self._distance(y, label), chance, self.cardinality.neighbours)
        drawn = self.cardinality.of_rows(row, Request(0, None, y, label))
        return BeforePoints(drawn.sizes, drawn.total, drawn.centroid, drawn.spread)

    def _distance(self, y: Tensor | None, label: Tensor | None) -> Tensor:
        """To each stored cloud [B, S], infinite to those of other classes."""
        if y is None:
            assert label is not None
            apart = torch.zeros_like(label, dtype=self.have.dtype)[:, None]
        else:
            apart = ((y / self.scale)[:, None] - self.have).square().sum(2).sqrt()
        if label is None:
            return apart
        return torch.where(label[:, None] != self.kind, torch.inf, apart)
