r"""Flow maps: where a trajectory of a flow will be, in one evaluation.

The mean velocity between two times t and s >= t is

.. math:: u(x_t, t, s) = \frac{1}{s - t} \int_t^s v(x_r, r)\,dr, \qquad
          x_s = x_t + (s - t)\,u(x_t, t, s), \qquad u(x, t, t) = v(x, t).

A step to l = t + r (s - t) on the way does not change where the trajectory ends, so that

.. math:: u(x_t, t, s) = r\,v + (1 - r)\,u(x_l, l, s), \qquad x_l = x_t + r (s - t)\,v,

up to terms of order r². The right-hand side without its gradient is the target of the left, with
the velocity of the pair of noise and data as v: no derivative of the network is needed, and no
trained flow (SoFlow, Luo et al., arXiv 2512.15657; with the derivative, for r -> 0, it is the mean
flow of Geng et al., arXiv 2505.13447).
"""

from __future__ import annotations

import math

from torch import Tensor

SHORTEST, LONGEST = 0.02, 0.3
"""Range of r. SoFlow goes from 0.1 to 0.002 during the training; here r is random throughout."""
_CALM = 0.1


def fractions(chance: Tensor) -> Tensor:
    """r between :data:`SHORTEST` and :data:`LONGEST`, uniform in log r, of uniform numbers [B]."""
    return SHORTEST * (math.log(LONGEST / SHORTEST) * chance).exp()


def jump(found: Tensor, velocity: Tensor, beyond: Tensor, fraction: Tensor) -> Tensor:
    """By how much the end of a trajectory changes on the way, per unit of time, without gradient.

    It moves u by itself in the training: where r is small the difference is, too, and is divided by
    r.

    Args:
        found: u(x_t, t, s) [...].
        velocity: v at t, of the same shape.
        beyond: u(x_l, l, s), of the same shape.
        fraction: r, in a shape that broadcasts.
    """
    return ((found - fraction * velocity - (1 - fraction) * beyond) / fraction).detach()


def calmed(square: Tensor) -> Tensor:
    """Weights of events with mean squared jumps ``square`` [B]: few large ones do not decide."""
    return (square.detach() + _CALM).rsqrt()
