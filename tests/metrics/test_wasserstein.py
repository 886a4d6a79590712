from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics import wasserstein1

samples = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40).map(
    lambda values: torch.tensor(values, dtype=torch.double)
)


@given(samples, samples)
def test_agrees_with_scipy_for_any_sizes(a, b):
    expected = wasserstein_distance(a.numpy(), b.numpy())
    assert wasserstein1(a, b).item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(samples, samples, samples)
def test_is_a_metric(a, b, c):
    assert wasserstein1(a, a).item() == 0
    assert wasserstein1(a, b).item() == pytest.approx(wasserstein1(b, a).item(), rel=1e-12)
    direct = wasserstein1(a, c).item()
    assert direct <= (wasserstein1(a, b) + wasserstein1(b, c)).item() * (1 + 1e-9) + 1e-9


@given(samples, st.floats(-1e3, 1e3))
def test_translation_by_t_costs_t(a, shift):
    assert wasserstein1(a, a + shift).item() == pytest.approx(abs(shift), rel=1e-6, abs=1e-6)


def test_replicating_a_sample_changes_nothing():
    a, b = torch.randn(7, dtype=torch.double), torch.randn(5, dtype=torch.double)
    assert wasserstein1(a.repeat(3), b).item() == pytest.approx(wasserstein1(a, b).item())


def test_bad_samples_are_refused():
    good = torch.zeros(2)
    with pytest.raises(ArgumentError, match=r"b: got shape \(0,\)"):
        wasserstein1(good, good[:0])
    with pytest.raises(DataError, match=r"a\[1\]: got nan"):
        wasserstein1(torch.tensor([0.0, torch.nan]), good)


def circle_cost(a, b, period):
    """The least mean arc between matched values, by trying all matchings' costs exactly."""
    arc = (a[:, None] - b).abs() % period
    arc = torch.minimum(arc, period - arc).numpy()
    return arc[linear_sum_assignment(arc)].mean()


@given(st.integers(1, 8), st.integers(1, 3), st.integers(0, 10**6), st.sampled_from([0.1, 1.0, 3]))
def test_on_a_circle_it_is_the_best_matching_of_arcs(n, repeat, seed, spread):
    generator = torch.Generator().manual_seed(seed)
    a, b = (spread * torch.randn(n, generator=generator, dtype=torch.double) for _ in range(2))
    expected = circle_cost(a, b + 1, 5.0)
    # Unequal sizes: repeating a sample changes nothing.
    found = wasserstein1(a.repeat(repeat), b + 1, period=5.0).item()
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(samples, samples, st.floats(-3, 3))
def test_on_a_circle_a_common_turn_changes_nothing(a, b, turn):
    a, b = a / 1e6, b / 1e6
    still = wasserstein1(a, b, period=3.0).item()
    assert still <= wasserstein1(a, b).item() * (1 + 1e-9)
    turned = wasserstein1(a + turn, b + turn, period=3.0).item()
    assert turned == pytest.approx(still, rel=1e-9, abs=1e-9)
