r"""Scores of answers to inputs: energy score, calibration, and response in bins of the input.

**Energy score.** Of answers :math:`a_1, \ldots, a_N` to an input whose truth is t,

.. math::
    \mathrm{ES} = \frac1N \sum_j d(a_j, t) - \frac{1}{2 N (N - 1)} \sum_{j \ne k} d(a_j, a_k),

the mean over inputs. It is proper for distances of negative type (Euclidean ones of features, and
in one dimension, where it is the CRPS): no other law has a smaller expected score than that of the
truth, neither one that is too narrow nor one that is too wide. The second sum is without bias in N
(the "fair" score), so a single answer has no spread, and its score is its distance. For distances
of sets, such as the earth mover's in a plane, which is not of negative type, it is a figure to
compare and no more.

**Calibration.** If truth and answers are of one law, the rank of t among them is uniform: with ties
broken at random,

.. math::
    u = \frac{\#\{a_j < t\} + U\,(1 + \#\{a_j = t\})}{N + 1}, \qquad
    U \sim \text{uniform on } [0, 1],

is uniform on [0, 1] over the inputs (the probability integral transform of a finite ensemble). The
*miscalibration* is the mean distance of its distribution from that,
:math:`\int_0^1 |F_u(q) - q| dq`: 0 if calibrated, 1/4 where all truths lie in the middle of the
answers (too wide) or all outside of them, half on each side (too narrow), 1/2 where all are on one
side (biased). The *coverage* of the central interval of level c is the share of inputs with
:math:`|u - 1/2| \le c / 2`, which is c if calibrated, for any N.

**Response.** For a quantity with the value g of an input and r of an answer, the response is the
mean of r / g over the inputs of a bin of g, and the resolution the standard deviation of r / g:
what a detector makes of the quantity, on average and in spread. Bins hold equally many inputs.

References:
    Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 102
    (2007) 359, equations 21 and 22; Ferro, Fair scores for ensemble forecasts, QJRMS 140 (2014)
    1917; Hamill, Interpretation of rank histograms for verifying ensemble forecasts, Mon. Wea. Rev.
    129 (2001) 550; Gneiting, Balabdaoui and Raftery, JRSS B 69 (2007) 243.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError


def energy_score(truth: Tensor, answers: Tensor) -> Tensor:
    """Energy score of each input [B] by Euclidean distances of features.

    Args:
        truth: [B, F].
        answers: [B, N, F].

    Raises:
        ArgumentError: the shapes do not fit.

    >>> truth, answers = torch.tensor([[0.0]]), torch.tensor([[[-1.0], [1.0]]])
    >>> energy_score(truth, answers).tolist()  # 1 - 2 / 2
    [0.0]
    """
    if answers.dim() != 3 or truth.shape != answers[:, 0].shape:
        raise ArgumentError(
            f"truth, answers: got {tuple(truth.shape)} and {tuple(answers.shape)}, "
            "expected [B, F] and [B, N, F]"
        )
    to_truth = (answers - truth[:, None]).norm(dim=2)
    return energy_score_of_distances(to_truth, torch.cdist(answers, answers))


def energy_score_of_distances(to_truth: Tensor, among: Tensor) -> Tensor:
    """Energy score of each input [B].

    Args:
        to_truth: Distance of each answer to the truth [B, N].
        among: Distances of the answers to each other [B, N, N], 0 from one to itself.

    Raises:
        ArgumentError: the shapes do not fit.
    """
    inputs, number = to_truth.shape
    if among.shape != (inputs, number, number):
        raise ArgumentError(f"among: got {tuple(among.shape)}, expected {(inputs, number, number)}")
    pairs = max(number * (number - 1), 1)
    return to_truth.mean(1) - among.sum((1, 2)) / (2 * pairs)


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


class Ratios(NamedTuple):
    """Mean and spread of ratios in bins, with their standard errors, each [K].

    Attributes:
        mean: Of r / g.
        mean_error: Its error.
        spread: Standard deviation of r / g.
        spread_error: Its error, from the fourth moment.
    """

    mean: Tensor
    mean_error: Tensor
    spread: Tensor
    spread_error: Tensor


def bin_edges(reference: Tensor, bins: int) -> Tensor:
    """Edges [K + 1] of bins with equally many of the positive reference values [B]; K ≤ ``bins``.

    Raises:
        ArgumentError: there is no positive value, or no bin.
    """
    some = reference[reference > 0].double()
    if bins < 1 or not len(some):
        raise ArgumentError(f"bins: got {bins} of {len(some)} positive values, expected some")
    steps = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    edges = torch.quantile(some, steps).unique()
    return edges if len(edges) > 1 else torch.stack([edges[0], edges[0]])


def ratios(reference: Tensor, values: Tensor, edges: Tensor) -> Ratios:
    """Response and resolution in bins of the reference.

    Args:
        reference: g of each input [B].
        values: r of each answer [B, N].
        edges: Of the bins [K + 1]; the last one holds its upper edge.

    >>> found = ratios(torch.tensor([1.0, 1.0]), torch.tensor([[1.0], [3.0]]), torch.ones(2))
    >>> found.mean.tolist(), found.spread.tolist()
    ([2.0], [1.0])
    """
    reference = reference.double()
    ratio = values.double() / torch.where(reference > 0, reference, torch.nan)[:, None]
    place = torch.searchsorted(edges[1:-1].contiguous(), reference, right=True)
    inside = (reference > 0) & (reference >= edges[0]) & (reference <= edges[-1])
    rows = []
    for k in range(len(edges) - 1):
        some = ratio[inside & (place == k)].flatten()
        number = max(int((inside & (place == k)).sum()), 1)  # answers to one input are not counted
        mean = some.mean() if len(some) else torch.tensor(torch.nan, dtype=torch.float64)
        square = (some - mean).square()
        variance = square.mean()
        of_variance = (square - variance).square().mean() / number
        spread = variance.sqrt()
        rows.append(
            torch.stack(
                [mean, spread / number**0.5, spread, of_variance.sqrt() / (2 * spread + 1e-300)]
            )
        )
    return Ratios(*torch.stack(rows, 1))
