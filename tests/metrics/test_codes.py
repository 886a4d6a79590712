"""What codes carry, where the answer is known."""

from __future__ import annotations

import math

import pytest
import torch

from pcgen.errors import ArgumentError
from pcgen.metrics.codes import active_units, blur, hit_count_bias, mutual_information


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_units_that_ignore_the_event_are_not_active() -> None:
    mean = torch.randn(500, 4, generator=draw()) * torch.tensor([1.0, 0.3, 0.03, 0.0])
    assert active_units(mean) == 2
    assert active_units(mean[:1]) == 0


def test_information_is_that_of_a_gaussian_channel() -> None:
    """z = μ + σ ε with μ ~ N(0, 1): I = log(1 + 1/σ²) / 2 for each of the columns."""
    mean = torch.randn(2000, 2, generator=draw(), dtype=torch.float64)
    found = mutual_information(mean, torch.full_like(mean, math.log(0.5)), draw(1))
    assert found == pytest.approx(math.log(3.0), abs=0.06)


def test_information_is_at_most_the_logarithm_of_the_events() -> None:
    mean = 100.0 * torch.arange(50.0)[:, None]
    assert mutual_information(mean, torch.zeros(50, 1), draw()) == pytest.approx(math.log(50))
    with pytest.raises(ArgumentError, match="mutual_information: got"):
        mutual_information(torch.zeros(3, 2), torch.zeros(3, 1))


def test_averages_are_blurred_and_have_too_many_hits() -> None:
    events = torch.randn(20, 3, generator=draw(), dtype=torch.float64)
    apart = torch.cdist(events, events)
    assert blur(apart, apart) == 0.0
    assert blur(apart, 0.2 * apart) == pytest.approx(0.8)
    assert blur(apart, torch.zeros(20, 20)) == 1.0
    assert blur(torch.zeros(20, 20), apart) == 0.0
    image = (torch.rand(50, 64, generator=draw()) < 0.1).float()
    average = image.mean(0).expand(50, 64)
    bias = hit_count_bias((image > 0).sum(1), (average > 0).sum(1))
    assert bias > 5
    assert hit_count_bias(torch.zeros(3), torch.ones(3)) == 0.0
    with pytest.raises(ArgumentError, match="at least two events"):
        blur(torch.zeros(1, 1), torch.zeros(1, 1))
