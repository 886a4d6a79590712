from __future__ import annotations

import math

import pytest
import torch

from pcgen.errors import ArgumentError
from pcgen.metrics.scores import neighbour_scores_of_distances


def euclidean(a, b):
    return (a[:, None] - b[None]).norm(dim=-1)


def accuracy(real, fake):
    matrices = euclidean(real, fake), euclidean(real, real), euclidean(fake, fake)
    return neighbour_scores_of_distances(*matrices).accuracy


def test_hand_made_matrix():
    # Generated 0 and 1 both sit at real 0; real 2 is nearest to nobody.
    between = torch.tensor([[0.1, 0.2, 3.0], [2.0, 2.0, 1.0], [5.0, 5.0, 4.0]])
    scores = neighbour_scores_of_distances(between)
    assert scores.coverage == pytest.approx(2 / 3)
    assert scores.mmd == pytest.approx((0.1 + 1.0 + 4.0) / 3)
    assert math.isnan(scores.accuracy)


def test_collapse_on_one_event_covers_one_event():
    real = torch.randn(50, 3)
    between = euclidean(real, real[:1].repeat(50, 1))
    assert neighbour_scores_of_distances(between).coverage == pytest.approx(1 / 50)


def test_identical_sets_are_covered_at_no_distance():
    real = torch.randn(30, 3)
    scores = neighbour_scores_of_distances(euclidean(real, real))
    assert scores.coverage == 1
    assert scores.mmd == 0


def test_nearest_neighbours_distinguish_disjoint_sets():
    real, fake = torch.randn(40, 3), torch.randn(40, 3) + 100
    assert accuracy(real, fake) == 1.0


def test_nearest_neighbours_cannot_distinguish_halves_of_one_set():
    # Each of 2n events is right with probability 1/2: sigma = 1 / sqrt(8 n) or a little more.
    n = 500
    real, fake = torch.randn(n, 3), torch.randn(n, 3)
    assert abs(accuracy(real, fake) - 0.5) < 3 / (8 * n) ** 0.5


def test_bad_matrices_are_refused():
    with pytest.raises(ArgumentError, match="1 NaN"):
        neighbour_scores_of_distances(torch.tensor([[torch.nan]]))
    with pytest.raises(ArgumentError, match=r"expected \(2, 2\) and \(3, 3\)"):
        neighbour_scores_of_distances(torch.zeros(2, 3), torch.zeros(2, 2), torch.zeros(2, 2))
