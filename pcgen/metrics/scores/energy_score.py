r"""Energy score: how well several answers to one input tell what came out.

Of answers :math:`a_1, \ldots, a_N` to an input whose truth is t,

.. math::
    \mathrm{ES} = \frac1N \sum_j d(a_j, t) - \frac{1}{2 N (N - 1)} \sum_{j \ne k} d(a_j, a_k),

the mean over inputs. It is proper for distances of negative type (Euclidean ones of features, and
in one dimension, where it is the CRPS): no other law has a smaller expected score than that of the
truth, neither one that is too narrow nor one that is too wide. The second sum is without bias in N
(the "fair" score), so a single answer has no spread, and its score is its distance. For distances
of sets, such as the earth mover's in a plane, which is not of negative type, it is a figure to
compare and no more.

References:
    Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 102
    (2007) 359, equations 21 and 22; Ferro, Fair scores for ensemble forecasts, QJRMS 140 (2014)
    1917.
"""

from __future__ import annotations

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
