r"""Flow matching: regress the velocity that carries noise to data along straight lines.

With noise :math:`x_0 \sim N(0, 1)`, data :math:`x_1` and a time t in [0, 1],

.. math:: x_t = (1 - t) x_0 + t x_1, \qquad L = E |v(x_t, t) - (x_1 - x_0)|^2,

whose minimiser is the velocity of a flow from noise to data (Lipman et al., arXiv 2210.02747,
eq. 9 and 22 with σ_min = 0; Liu et al., arXiv 2209.03003, eq. 1). Samples are the ends of the
trajectories dx/dt = v(x, t).
"""

from __future__ import annotations

from collections.abc import Callable

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


def integrate(velocity: Callable[[Tensor, float], Tensor], start: Tensor, steps: int) -> Tensor:
    """End of the trajectory dx/dt = velocity(x, t) from t = 0 to 1, by the midpoint rule.

    Two evaluations a step; the error falls with the square of the number of steps.

    Args:
        velocity: ``(x, t)`` -> a tensor of the shape of x.
        start: x at t = 0.
        steps: Number of steps.

    Raises:
        ArgumentError: the number of steps is not positive.

    >>> import torch
    >>> integrate(lambda x, t: torch.full_like(x, 3 * t**2), torch.zeros(1), 100)
    tensor([1.0000])
    """
    if steps < 1:
        raise ArgumentError(f"steps: got {steps}, expected >= 1")
    x, width = start, 1.0 / steps
    for step in range(steps):
        time = step * width
        middle = x + 0.5 * width * velocity(x, time)
        x = x + width * velocity(middle, time + 0.5 * width)
    return x
