r"""What it costs to leave mass unmatched: penalties of unbalanced transport.

The plan f need not carry all of the masses a and a'. With marginals :math:`f_i = \sum_j f_{ij}` and
:math:`f'_j = \sum_i f_{ij}` the problem is

.. math:: \min_{f \ge 0} \sum_{ij} f_{ij} c_{ij} + P(f, a, a') .

Each class here is one P.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pcgen.errors import ArgumentError


@dataclass(frozen=True)
class EnergyDifference:
    r"""Energy mover's distance: all that can be matched is, the rest costs 1 per unit of weight.

    .. math:: \min_f \sum_{ij} f_{ij} (|x_i - y_j| / R)^p + \Big|\sum_i a_i - \sum_j a'_j\Big|,
              \quad \sum_{ij} f_{ij} = \min\Big(\sum_i a_i, \sum_j a'_j\Big)

    EnergyFlow's ``emd(R=radius, beta=p)``; a metric for p = 1 where R is at least half of the
    largest distance. The cost is in units of weight.

    References:
        Komiske, Metodiev, Thaler, Metric space of collider events, arXiv:1902.02346, eq. 1.

    Attributes:
        radius: R > 0, in the units of the coordinates.
    """

    radius: float

    def __post_init__(self) -> None:
        _check_positive("EnergyDifference.radius", self.radius)


@dataclass(frozen=True)
class TotalVariation:
    r"""Partial transport: unmatched mass costs ``penalty`` per unit, on either side.

    .. math:: P = \lambda \sum_i (a_i - f_i) + \lambda \sum_j (a'_j - f'_j),
              \quad f_i \le a_i,\ f'_j \le a'_j

    Points further apart than :math:`c = 2 \lambda` are never matched.

    References:
        Caffarelli, McCann, Free boundaries in optimal transport, 2010.

    Attributes:
        penalty: lambda > 0, in the units of the ground cost.
    """

    penalty: float

    def __post_init__(self) -> None:
        _check_positive("TotalVariation.penalty", self.penalty)


@dataclass(frozen=True)
class KullbackLeibler:
    r"""Soft marginals, each at a price that grows with the distance from the mass given.

    .. math:: P = \lambda\,\mathrm{KL}(f | a) + \lambda\,\mathrm{KL}(f' | a'),
              \quad \mathrm{KL}(f | a) = \sum_i f_i \log (f_i / a_i) - f_i + a_i

    There is no exact solver: the result is certified, to the tolerance where that can be reached.

    References:
        Liero, Mielke, Savare, Optimal entropy-transport problems, arXiv:1508.07941.

    Attributes:
        penalty: lambda > 0, in the units of the ground cost.
    """

    penalty: float

    def __post_init__(self) -> None:
        _check_positive("KullbackLeibler.penalty", self.penalty)


Penalty = EnergyDifference | TotalVariation | KullbackLeibler


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ArgumentError(f"{name}: got {value}, expected a number > 0")


def as_penalty(value: float | Penalty | None) -> Penalty | None:
    """A number R is ``EnergyDifference(R)``; penalties and None are themselves.

    Raises:
        ArgumentError: ``value`` is something else.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return EnergyDifference(float(value))
    if value is None or isinstance(value, Penalty):
        return value
    raise ArgumentError(f"unbalanced: got {value!r}, expected a number, a penalty or None")
