"""A number measured on samples, and what is common to such numbers."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Estimate(NamedTuple):
    """A measured number.

    Attributes:
        value: The number.
        error: Its uncertainty, of one standard deviation.
    """

    value: float
    error: float


def divided_by_real_maximum(real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
    """Features [N, F] and [M, F] over the largest size in the real set; 0 stays as it is.

    The convention of FPD and KPD (Kansal et al., arXiv 2211.10295): one outlying real event is
    enough to shrink a feature to nothing.
    """
    largest = real.abs().amax(0)
    largest = largest.where(largest > 0, 1)
    return real / largest, generated / largest
