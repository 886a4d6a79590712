r"""Flow matching: regress the velocity that carries noise to data along straight lines.

With noise :math:`x_0 \sim N(0, 1)`, data :math:`x_1` and a time t in [0, 1],

.. math:: x_t = (1 - t) x_0 + t x_1, \qquad L = E |v(x_t, t) - (x_1 - x_0)|^2,

whose minimiser is the velocity of a flow from noise to data (Lipman et al., arXiv 2210.02747,
eq. 9 and 22 with σ_min = 0; Liu et al., arXiv 2209.03003, eq. 1). Samples are the ends of the
trajectories dx/dt = v(x, t) (:mod:`pcgen.ops.ode`).
"""

from __future__ import annotations

from torch import Tensor

from pcgen.errors import ArgumentError


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
