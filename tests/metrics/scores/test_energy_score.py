"""The energy score against its integral in one dimension, and that it is proper."""

from __future__ import annotations

import pytest
import torch

from pcgen.errors import ArgumentError
from pcgen.metrics.scores import energy_score, energy_score_of_distances


def test_in_one_dimension_it_is_the_integral_of_the_crps() -> None:
    draw = torch.Generator().manual_seed(0)
    truth = torch.randn(6, generator=draw, dtype=torch.float64)
    answers = torch.randn(6, 5, generator=draw, dtype=torch.float64)
    grid = torch.linspace(-6, 6, 200_001, dtype=torch.float64)
    share = (answers[:, :, None] <= grid).double().mean(1)
    integral = torch.trapezoid((share - (truth[:, None] <= grid).double()).square(), grid)
    # The plain score divides by N², the fair one by N (N - 1).
    spread = (answers[:, :, None] - answers[:, None]).abs().sum((1, 2))
    fair = integral + spread * (1 / 50 - 1 / 40)
    found = energy_score(truth[:, None], answers[..., None])
    torch.testing.assert_close(found, fair, rtol=0, atol=1e-4)


@pytest.mark.parametrize("width", [0.3, 0.7, 1.5, 3.0])
def test_no_other_width_scores_better_than_that_of_the_truth(width) -> None:
    draw = torch.Generator().manual_seed(1)
    truth, noise = torch.randn(20_000, 2, generator=draw), torch.randn(20_000, 6, 2, generator=draw)
    right, other = (energy_score(truth, scale * noise).mean() for scale in (1.0, width))
    assert right < other


def test_it_does_not_depend_on_the_number_of_answers() -> None:
    draw = torch.Generator().manual_seed(2)
    truth, answers = (
        torch.randn(40_000, 1, generator=draw),
        torch.randn(40_000, 8, 1, generator=draw),
    )
    few, many = energy_score(truth, answers[:, :2]), energy_score(truth, answers)
    # E|a - t| - E|a - a'| / 2 of normal ones is 1 / √π.
    for found in (few, many):
        assert found.mean().item() == pytest.approx(torch.pi**-0.5, abs=0.01)


def test_a_single_answer_scores_its_distance_and_the_truth_nothing() -> None:
    truth = torch.tensor([[1.0, 2.0]])
    assert energy_score(truth, truth[:, None] + torch.tensor([3.0, 4.0])).tolist() == [5.0]
    assert energy_score(truth, truth[:, None].expand(-1, 4, -1)).tolist() == [0.0]


def test_shapes_are_checked() -> None:
    with pytest.raises(ArgumentError, match=r"expected \[B, F\] and \[B, N, F\]"):
        energy_score(torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(ArgumentError, match="among: got"):
        energy_score_of_distances(torch.zeros(3, 2), torch.zeros(3, 2, 3))
