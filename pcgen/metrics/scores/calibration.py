r"""Calibration: whether the truth is among the answers as often as it should be.

If the truth t of an input and its answers :math:`a_1, \ldots, a_N` are of one law, the rank of t
among them is uniform: with ties broken at random,

.. math::
    u = \frac{\#\{a_j < t\} + U\,(1 + \#\{a_j = t\})}{N + 1}, \qquad
    U \sim \text{uniform on } [0, 1],

is uniform on [0, 1] over the inputs (the probability integral transform of a finite ensemble). The
*miscalibration* is the mean distance of its distribution from that,
:math:`\int_0^1 |F_u(q) - q| dq`: 0 if calibrated, 1/4 where all truths lie in the middle of the
answers (too wide) or all outside of them, half on each side (too narrow), 1/2 where all are on one
side (biased). The *coverage* of the central interval of level c is the share of inputs with
:math:`|u - 1/2| \le c / 2`, which is c if calibrated, for any N.

References:
    Hamill, Interpretation of rank histograms for verifying ensemble forecasts, Mon. Wea. Rev. 129
    (2001) 550; Gneiting, Balabdaoui and Raftery, JRSS B 69 (2007) 243.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError


def ranks(truth: Tensor, answers: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Rank of the truth among its answers, uniform if they are of one law: [B], each in 0 to 1.

    Args:
        truth: [B].
        answers: [B, N].
        generator: Of the random numbers.

    Raises:
        ArgumentError: the shapes do not fit.

    >>> u = ranks(torch.tensor([5.0]), torch.tensor([[1.0, 2.0, 3.0]]))
    >>> bool(0.75 <= u <= 1)
    True
    """
    if truth.dim() != 1 or answers.dim() != 2 or len(truth) != len(answers):
        raise ArgumentError(
            f"truth, answers: got {tuple(truth.shape)} and {tuple(answers.shape)}, "
            "expected [B] and [B, N]"
        )
    below = (answers < truth[:, None]).sum(1)
    equal = (answers == truth[:, None]).sum(1)
    chance = torch.rand(len(truth), generator=generator, dtype=torch.float64)
    return (below + chance * (1 + equal)) / (answers.shape[1] + 1)


def miscalibration(rank: Tensor) -> float:
    """Mean distance of the distribution of ranks [B] from the uniform one.

    It is the Wasserstein-1 distance: ranks in ascending order against the middles of B equal steps.

    >>> miscalibration(torch.tensor([0.25, 0.75])), miscalibration(torch.tensor([1.0, 1.0]))
    (0.0, 0.5)
    """
    step = (torch.arange(len(rank), dtype=torch.float64) + 0.5) / max(len(rank), 1)
    return float((rank.double().sort().values - step).abs().mean())


def coverage(rank: Tensor, level: float) -> Tensor:
    """Whether each truth lies in the central interval of this level of its answers [B], bool."""
    return (rank - 0.5).abs() <= 0.5 * level
