r"""Trajectories dx/dt = v(x, t) from t = 0 to 1, by rules of fixed or of chosen steps.

========== ====== ================= ============================================================
rule       order  evaluations       step from t to t + h, k = v(x, t)
========== ====== ================= ============================================================
euler      1      1 a step          x + h k
midpoint   2      2 a step          x + h v(x + h k / 2, t + h / 2)
heun       2      2 a step          x + h (k + v(x + h k, t + h)) / 2
adaptive   3      3 a step tried    Bogacki and Shampine, Appl. Math. Lett. 2 (1989) 321, whose
                                    embedded rule of second order estimates the error
========== ====== ================= ============================================================

The last step of ``heun`` and ``adaptive`` evaluates v at t = 1, those of the others before it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError

Velocity = Callable[[Tensor, float], Tensor]
Rule = Literal["euler", "midpoint", "heun", "adaptive"]

_SAFETY, _SLOWEST, _FASTEST = 0.9, 0.2, 5.0  # by which the next step differs from the last
_TINY = 1e-9
_MOST = 10_000  # steps tried, then the velocity is no function that can be followed


@dataclass(frozen=True)
class Integrator:
    """How trajectories are followed from t = 0 to 1.

    Attributes:
        rule: ``"euler"``, ``"midpoint"``, ``"heun"`` or ``"adaptive"``.
        steps: Steps; ``"adaptive"`` chooses its own and begins with the width 1 / steps.
        tolerance: Of ``"adaptive"``: error allowed in a step, relative to 1 + abs(x), as the root
            mean square over all numbers of x.
        pace: How much denser fixed steps are at t = 1 than at t = 0, the root of the ratio of
            their lengths: 1 for equal steps, less where the beginning is harder.

    Raises:
        ArgumentError: an unknown rule, or a number that is not positive.

    >>> Integrator("heun", 100)(lambda x, t: torch.full_like(x, 3 * t**2), torch.zeros(1))
    tensor([1.0001])
    """

    rule: Rule = "midpoint"
    steps: int = 20
    tolerance: float = 1e-3
    pace: float = 1.0

    def __post_init__(self) -> None:
        if self.rule not in ("euler", "midpoint", "heun", "adaptive"):
            raise ArgumentError(
                f"solver: got {self.rule!r}, expected euler, midpoint, heun or adaptive"
            )
        if self.steps < 1 or not 0 < self.tolerance < 1:
            raise ArgumentError(
                f"steps, tolerance: got {self.steps}, {self.tolerance}, expected steps >= 1 and "
                "0 < tolerance < 1"
            )
        if not 0 < self.pace < math.inf:
            raise ArgumentError(f"pace: got {self.pace}, expected a positive number")

    def times(self) -> list[float]:
        """Where the fixed steps begin and end: a τ / (1 + (a - 1) τ) for a pace a and equal τ.

        >>> [round(time, 2) for time in Integrator(steps=2, pace=4.0).times()]
        [0.0, 0.8, 1.0]
        """
        equal = [step / self.steps for step in range(self.steps + 1)]
        return [self.pace * each / (1 - each + self.pace * each) for each in equal]

    def __call__(self, velocity: Velocity, start: Tensor) -> Tensor:
        """Where the trajectories are at t = 1.

        Args:
            velocity: ``(x, t)`` -> a tensor of the shape of x.
            start: x at t = 0.

        Raises:
            DataError: the adaptive rule finds no step that is small enough.
        """
        if self.rule == "adaptive":
            return self._adaptive(velocity, start)
        x = start
        for time, then in itertools.pairwise(self.times()):
            x = self.step(velocity, x, time, then)
        return x

    def step(self, velocity: Velocity, x: Tensor, time: float, then: float) -> Tensor:
        """One step of a fixed rule: x at ``then`` of the trajectory that is at ``x`` at ``time``.

        >>> heun = Integrator("heun")
        >>> heun.step(lambda x, t: torch.full_like(x, 2 * t), torch.zeros(1), 0.0, 0.5)
        tensor([0.2500])
        """
        width = then - time
        slope = velocity(x, time)
        if self.rule == "midpoint":
            return x + width * velocity(x + 0.5 * width * slope, time + 0.5 * width)
        if self.rule == "heun":
            return x + 0.5 * width * (slope + velocity(x + width * slope, time + width))
        return x + width * slope

    def _adaptive(self, velocity: Velocity, start: Tensor) -> Tensor:
        x, time, width = start, 0.0, 1.0 / self.steps
        slope = velocity(x, time)
        for _ in range(_MOST):
            second = velocity(x + 0.5 * width * slope, time + 0.5 * width)
            third = velocity(x + 0.75 * width * second, time + 0.75 * width)
            found = x + width / 9 * (2 * slope + 3 * second + 4 * third)
            last = velocity(found, min(time + width, 1.0))
            off = width / 72 * (-5 * slope + 6 * second + 8 * third - 9 * last)
            error = self._size(off, x, found)
            if error <= 1:
                x, time, slope = found, time + width, last
                if time >= 1.0 - 1e-9:
                    return x
            factor = _SAFETY * max(error, _TINY) ** (-1 / 3) if math.isfinite(error) else _SLOWEST
            width = min(width * min(max(factor, _SLOWEST), _FASTEST), 1.0 - time)
            if width < _TINY:
                break
        raise DataError(
            f"adaptive: got no end of a trajectory (at t = {time:.3g} in at most {_MOST} steps), "
            "expected a velocity that can be followed, or a larger tolerance"
        )

    def _size(self, off: Tensor, before: Tensor, after: Tensor) -> float:
        """Root mean square of the error, in units of what is allowed; 0 where there is nothing."""
        if not off.numel():
            return 0.0
        allowed = self.tolerance * (1.0 + torch.maximum(before.abs(), after.abs()))
        return float((off / allowed).square().mean().sqrt())
