r"""Flow matching: regress the velocity that carries noise to data along straight lines.

With noise :math:`x_0 \sim N(0, 1)`, data :math:`x_1` and a time t in [0, 1],

.. math:: x_t = (1 - t) x_0 + t x_1, \qquad L = E |v(x_t, t) - (x_1 - x_0)|^2,

whose minimiser is the velocity of a flow from noise to data (Lipman et al., arXiv 2210.02747,
eq. 9 and 22 with σ_min = 0; Liu et al., arXiv 2209.03003, eq. 1). Samples are the ends of the
trajectories dx/dt = v(x, t) (:mod:`pcgen.ops.ode`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from pcgen.errors import ArgumentError

_Time = TypeVar("_Time", float, Tensor)


@dataclass(frozen=True)
class Clock:
    r"""A time that passes more slowly near the data, by which times are drawn and steps are made.

    .. math:: t = \frac{a \tau}{1 + (a - 1) \tau}

    For a times uniform in :math:`\tau` the ratio of signal to noise is a times as large: noise on
    data of unit scale then acts like noise on data of scale a, as EPiC-FM has them (arXiv
    2310.00049, a = 5).

    Attributes:
        shift: a; 1 leaves the time as it is.

    Raises:
        ArgumentError: the shift is not positive.

    >>> clock = Clock(5.0)
    >>> clock.time(0.5), clock.reading(clock.time(0.5))
    (0.833..., 0.5...)
    """

    shift: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.shift < float("inf"):
            raise ArgumentError(f"shift: got {self.shift}, expected a positive number")

    def time(self, reading: _Time) -> _Time:
        """t at a reading of the clock, both from 0 to 1."""
        return self.shift * reading / (1.0 + (self.shift - 1.0) * reading)

    def reading(self, time: _Time) -> _Time:
        """The reading of the clock at t."""
        return time / (self.shift - (self.shift - 1.0) * time)


def straight_path(noise: Tensor, data: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Where the straight line from noise to data is at ``time``, and its velocity.

    Args:
        noise: x_0 [...].
        data: x_1, of the same shape.
        time: t, of a shape that broadcasts.

    Returns:
        x_t and x_1 - x_0.

    Raises:
        ArgumentError: the shapes of noise and data differ.
    """
    if noise.shape != data.shape:
        raise ArgumentError(f"noise: got {tuple(noise.shape)}, expected {tuple(data.shape)}")
    velocity = data - noise
    return noise + time * velocity, velocity
