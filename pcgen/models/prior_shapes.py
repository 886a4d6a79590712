r"""Shapes that codes can be made to have: the normal distribution, a ring of Gaussians, a roll.

A latent term that compares samples (adversarial, MMD, sliced) needs no density of its prior, so any
that can be drawn from will do. The two others lie in the plane of the first two numbers of a code;
the rest is standard normal. Makhzani et al., arXiv 1511.05644, Figures 2 and 4, impose them.

* Ring: ten Gaussians at :math:`1.35\,(\cos \varphi_k, \sin \varphi_k)`, 0.25 wide along the radius
  and 0.1 across.
* Roll: :math:`r(\cos t, \sin t)`, t between 1.5 π and 4.5 π with equal density along the curve,
  :math:`r = 2 t / 4.5 \pi`, and 0.05 around it.

Each coordinate has a variance of about 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops.drawing import normal, uniform

_COMPONENTS = 10
_TURNS = 1.5 * math.pi, 4.5 * math.pi


@dataclass(frozen=True)
class PriorShape:
    """A distribution of codes that can be drawn from.

    Attributes:
        name: As options have it.
        plane: The first two columns, from uniform [B] and normal numbers [B, 2]; None: the standard
            normal distribution.
    """

    name: str
    plane: Callable[[Tensor, Tensor], Tensor] | None = None

    def sample(
        self, number: int, channels: int, like: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Codes [number, channels] of the dtype and device of ``like``.

        Raises:
            ArgumentError: the shape lies in a plane, and codes have one number.
        """
        codes = normal((number, channels), like, generator)
        if self.plane is None:
            return codes
        if channels < 2:
            raise ArgumentError(
                f"latent_dim: got {channels}, expected at least 2 for codes in the shape "
                f"{self.name}, which lies in a plane"
            )
        place = uniform((number,), like, generator)
        return torch.cat([self.plane(place, codes[:, :2]), codes[:, 2:]], 1)


def ring(place: Tensor, noise: Tensor) -> Tensor:
    """Points of ten Gaussians on a circle [B, 2]."""
    angle = (place * _COMPONENTS).floor() * (2 * math.pi / _COMPONENTS)
    along, across = 1.35 + 0.25 * noise[:, 0], 0.1 * noise[:, 1]
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([along * cos - across * sin, along * sin + across * cos], 1)


def roll(place: Tensor, noise: Tensor) -> Tensor:
    """Points of a spiral [B, 2]; its length grows as t², so t is the root of a uniform number."""
    first, last = _TURNS
    turn = (first**2 + place * (last**2 - first**2)).sqrt()
    radius = 2.0 * turn / last
    return radius[:, None] * torch.stack([turn.cos(), turn.sin()], 1) + 0.05 * noise


NORMAL = PriorShape("normal")
RING = PriorShape("ring", ring)
ROLL = PriorShape("roll", roll)
