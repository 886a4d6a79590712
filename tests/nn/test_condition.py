"""Features of time: an orthogonal basis that distinguishes times."""

from __future__ import annotations

import pytest
import torch

from pcgen.errors import ArgumentError
from pcgen.nn import time_features


def test_they_are_orthogonal_on_the_unit_interval() -> None:
    middles = (torch.arange(64).double() + 0.5) / 64
    features = time_features(middles, 16)
    gram = features.T @ features / len(middles)
    torch.testing.assert_close(gram, 0.5 * torch.eye(16).double(), rtol=0, atol=1e-12)


def test_they_start_alike_and_alternate_at_the_end() -> None:
    start, end = time_features(torch.tensor([0.0, 1.0]).double(), 5)
    assert start.tolist() == [1.0] * 5
    torch.testing.assert_close(end, torch.tensor([-1.0, 1.0, -1.0, 1.0, -1.0]).double())


def test_the_first_falls_so_that_no_two_times_are_alike() -> None:
    first = time_features(torch.linspace(0, 1, 1001).double(), 1)[:, 0]
    assert bool((first.diff() < 0).all())


def test_batches_of_none_and_gradients() -> None:
    assert time_features(torch.zeros(0)).shape == (0, 16)
    time = torch.rand(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: time_features(t, 4), (time,))


@pytest.mark.parametrize("time", [torch.zeros(3, 1), torch.zeros(3, dtype=torch.long)])
def test_what_is_not_one_number_for_each_event_is_refused(time: torch.Tensor) -> None:
    with pytest.raises(ArgumentError, match="time: got"):
        time_features(time)


def test_no_channels_are_refused() -> None:
    with pytest.raises(ArgumentError, match="channels: got 0"):
        time_features(torch.zeros(3), 0)
