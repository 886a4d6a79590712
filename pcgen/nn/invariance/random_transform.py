"""Transformation-invariant networks by random transformations of feature maps (TICNN).

Shen, Tian, He, Sun and Tao, "Transform-invariant convolutional neural networks for image
classification and search", ACM Multimedia 2016, arXiv:1912.01447: while training, the maps in front
of a layer are moved by a random affine transformation, one for all of a pass; otherwise they are
left alone. It has no parameters. The network becomes less sensitive, not invariant: measure it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from pcgen.nn.invariance.transformations import Affine, Signal


@dataclass(frozen=True)
class RandomAffine:
    """Uniform distributions of what a random affine transformation of a plane is made of.

    Attributes:
        angle: Largest angle to either side, radian.
        scale: Largest factor s; its logarithm is uniform from -log s to log s.
        shift: Largest shift along each axis to either side: cells on images, the unit of ``pos`` on
            clouds.
        flip: Reflect the second axis in half of the draws.
    """

    angle: float = math.pi
    scale: float = 1.0
    shift: float = 0.0
    flip: bool = False

    def draw(self, generator: torch.Generator | None = None) -> Affine:
        """One transformation of the first two axes."""
        draw = (2 * torch.rand(5, generator=generator, dtype=torch.float64) - 1).tolist()
        angle, scale = self.angle * draw[0], self.scale ** draw[1]
        sign = -1 if self.flip and draw[4] < 0 else 1
        cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
        matrix = ((cosine, -sign * sine), (sine, sign * cosine))
        return Affine(matrix, (self.shift * draw[2], self.shift * draw[3]))


class RandomTransform(nn.Module):
    """One random transformation of all signals of a pass while training; otherwise nothing.

    Args:
        distribution: What is drawn, by default from torch's random state of the CPU.
    """

    def __init__(self, distribution: RandomAffine) -> None:
        super().__init__()
        self.distribution = distribution

    def forward(self, signal: Signal, generator: torch.Generator | None = None) -> Signal:
        """Images (or feature maps) [B, C, *shape] or clouds, to the same kind."""
        return self.distribution.draw(generator)(signal) if self.training else signal
