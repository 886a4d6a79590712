from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.scores import wasserstein1

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


@given(samples, samples, st.integers(-30, 30))
def test_scales_with_the_values(a, b, power):
    scale = 10.0**power
    expected = wasserstein1(a, b).item() * scale
    assert wasserstein1(a * scale, b * scale).item() == pytest.approx(expected, rel=1e-9)
    single = wasserstein1(a.float() * scale, b.float() * scale).item()
    assert single == pytest.approx(expected, rel=1e-3, abs=1e-3 * scale)


@pytest.mark.parametrize("size", [1e-30, 1e30, 1e37])
@pytest.mark.parametrize("sizes", [(50, 50), (50, 61)])
def test_float32_is_right_at_both_ends(size, sizes):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(n, generator=generator) * size for n in sizes)
    expected = wasserstein_distance(a.double(), b.double())
    assert wasserstein1(a, b).item() == pytest.approx(expected, rel=1e-5)
    circle = 5.0 * size
    expected = wasserstein1(a.double(), b.double(), period=circle).item()
    assert wasserstein1(a, b, period=circle).item() == pytest.approx(expected, rel=1e-4)


def test_gradients_and_means_where_sums_overflow():
    a = torch.full((9,), 3e38, requires_grad=True)
    value = wasserstein1(a, torch.full((9,), 1e38))
    assert value.item() == pytest.approx(2e38, rel=1e-6)
    value.backward()
    torch.testing.assert_close(a.grad, torch.full((9,), 1 / 9))


def test_a_distance_beyond_float32_is_refused():
    with pytest.raises(DataError, match="distance is beyond the largest float32"):
        wasserstein1(torch.tensor([3e38]), torch.tensor([-3e38]))


@pytest.mark.parametrize("period", [0.0, -1.0, float("nan"), float("inf")])
def test_a_period_is_positive(period):
    with pytest.raises(ArgumentError, match="expected a positive number or None"):
        wasserstein1(torch.zeros(2), torch.zeros(2), period=period)
