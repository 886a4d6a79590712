"""Ranks are uniform where answers are of the law of the truth, ties and single answers included."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pcgen.errors import ArgumentError
from pcgen.metrics.scores import coverage, miscalibration, ranks

B = 4000


def draws(number: int, kind: str, scale: float = 1.0, shift: float = 0.0):
    draw = torch.Generator().manual_seed(3)
    centre = torch.randn(B, 1, generator=draw, dtype=torch.float64)
    noise = torch.randn(B, number + 1, generator=draw, dtype=torch.float64)
    truth = centre[:, 0] + noise[:, 0]
    answers = centre + shift + scale * noise[:, 1:]
    if kind == "whole":
        truth, answers = truth.round(), answers.round()
    return truth, answers, draw


@pytest.mark.parametrize("kind", ["real", "whole"])
@pytest.mark.parametrize("number", [1, 2, 7])
def test_ranks_of_answers_that_are_right_are_uniform(kind, number) -> None:
    truth, answers, draw = draws(number, kind)
    rank = ranks(truth, answers, draw)
    assert stats.kstest(rank.numpy(), "uniform").pvalue > 0.01
    assert miscalibration(rank) < 0.02
    for level in (0.2, 0.68, 0.95):
        assert coverage(rank, level).double().mean().item() == pytest.approx(level, abs=0.03)


def test_too_narrow_too_wide_and_off() -> None:
    found = {}
    for name, options in {
        "narrow": {"scale": 0.01}, "wide": {"scale": 100.0}, "off": {"shift": 50.0}
    }.items():  # fmt: skip
        truth, answers, draw = draws(300, "real", **options)
        rank = ranks(truth, answers, draw)
        found[name] = (miscalibration(rank), coverage(rank, 0.68).double().mean().item())
    assert found["narrow"][0] == pytest.approx(0.25, abs=0.02)
    assert found["wide"][0] == pytest.approx(0.25, abs=0.03)
    assert found["off"][0] == pytest.approx(0.5, abs=0.02)
    assert found["narrow"][1] < 0.05
    assert found["wide"][1] > 0.95


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_miscalibration_is_a_wasserstein_distance(values) -> None:
    rank = torch.tensor(values, dtype=torch.float64)
    steps = (torch.arange(len(rank)) + 0.5) / len(rank)
    expected = stats.wasserstein_distance(rank.numpy(), steps.numpy())
    assert miscalibration(rank) == pytest.approx(expected, abs=1e-7)


def test_shapes_are_checked() -> None:
    with pytest.raises(ArgumentError, match=r"expected \[B\] and \[B, N\]"):
        ranks(torch.zeros(3), torch.zeros(2, 4))
