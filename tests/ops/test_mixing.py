"""Autocorrelations: closed forms of an autoregressive chain, and direct sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcgen.errors import ArgumentError
from pcgen.ops.mixing import autocorrelation, autocorrelation_time


def autoregressive(coefficient: float, steps: int, chains: int = 32) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    noise = torch.randn(steps, chains, generator=draw, dtype=torch.double)
    value, states = noise[0] / math.sqrt(1 - coefficient**2), []
    for each in noise:
        value = coefficient * value + each
        states.append(value)
    return torch.stack(states)


def test_autocorrelations_are_those_of_a_direct_sum() -> None:
    series = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    value = (series - series.mean(0)).numpy()
    covariance = np.array([(value[: 40 - t] * value[t:]).mean() for t in range(40)])
    np.testing.assert_allclose(autocorrelation(series), covariance / covariance[0], atol=1e-12)


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.8, -0.4])
def test_time_of_an_autoregressive_chain(coefficient: float) -> None:
    expected = (1 + coefficient) / (1 - coefficient)
    found = autocorrelation_time(autoregressive(coefficient, 2000))
    assert found == pytest.approx(expected, rel=0.06)
    # Units and origin of the observable do not matter, nor that each chain has a mean of its own.
    series = 3 - 7 * autoregressive(coefficient, 2000) + 50 * torch.arange(32)
    assert autocorrelation_time(series) == pytest.approx(found)


def test_a_chain_that_is_too_short_or_stands_still_has_no_time() -> None:
    assert autocorrelation_time(autoregressive(0.9, 100)) == math.inf
    assert autocorrelation_time(torch.full((200, 4), 0.1)) == math.inf
    assert autocorrelation(torch.full((5, 2), 0.1)).tolist() == [1.0] * 5
    assert autocorrelation_time(torch.randn(1, 4)) == math.inf


@pytest.mark.parametrize(
    "series", [torch.zeros(3), torch.zeros(0, 2), torch.full((3, 2), math.nan)]
)
def test_what_is_no_series_is_refused(series: torch.Tensor) -> None:
    with pytest.raises(ArgumentError, match="series: got"):
        autocorrelation(series)
