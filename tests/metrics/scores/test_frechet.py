from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.scores import frechet as module
from pcgen.metrics.scores import frechet_distance, frechet_physics_distance
from pcgen.metrics.scores.frechet import Gaussian, frechet, frechet_of_samples


def formula_features(n, seed):
    """Six features, two of them products of others; also used to record jetnet's values."""
    i = np.arange(n)[:, None]
    x = np.modf((i + 1) * np.sqrt(np.array([2, 3, 5, 7])) + seed * 0.3)[0]
    columns = [x, x[:, :1] * x[:, 1:2] * 5, x[:, :1] ** 2 * 0.01]
    return torch.from_numpy(np.concatenate(columns, 1) * (1 + 0.1 * seed))


def random_set(n, width, seed):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=generator, dtype=torch.double)
    shift = torch.randn(width, generator=generator, dtype=torch.double)
    return torch.randn(n, width, generator=generator, dtype=torch.double) @ mix + shift


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 5), st.floats(0, 5))
def test_one_dimension_is_the_closed_form(mean1, mean2, sigma1, sigma2):
    one, two = (
        Gaussian(
            torch.full((1,), mean, dtype=torch.double),
            torch.full((1, 1), sigma**2, dtype=torch.double),
        )
        for mean, sigma in ((mean1, sigma1), (mean2, sigma2))
    )
    expected = (mean1 - mean2) ** 2 + (sigma1 - sigma2) ** 2
    assert frechet(one, two).item() == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_covariances_that_commute_are_the_closed_form():
    # Equal eigenvectors: Σ (√λ1 - √λ2)².
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.double))[0]
    one, two = torch.rand(5, dtype=torch.double), torch.rand(5, dtype=torch.double)
    zero = torch.zeros(5, dtype=torch.double)
    value = frechet(Gaussian(zero, turn * one @ turn.T), Gaussian(zero, turn * two @ turn.T))
    assert value.item() == pytest.approx((one.sqrt() - two.sqrt()).square().sum().item(), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_matrix_square_root_of_scipy(seed):
    x, y = random_set(50, 6, seed), random_set(40, 6, seed + 100)
    s1, s2 = np.cov(x.numpy(), rowvar=False), np.cov(y.numpy(), rowvar=False)
    shift = np.square(x.numpy().mean(0) - y.numpy().mean(0)).sum()
    expected = shift + np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real)
    assert frechet_distance(x, y).item() == pytest.approx(expected, rel=1e-9)


def test_equal_sets_are_at_zero_and_the_order_of_arguments_does_not_matter():
    x, y = random_set(30, 4, 0), random_set(30, 4, 1)
    assert frechet_distance(x, x).item() == pytest.approx(0, abs=1e-12)
    assert frechet_distance(x, y).item() == pytest.approx(frechet_distance(y, x).item())


def test_a_shift_costs_its_square_and_a_rotation_of_both_sets_nothing():
    x, y = random_set(30, 4, 0), random_set(25, 4, 1)
    shift = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.double)
    assert frechet_distance(x, x + shift).item() == pytest.approx(5.25)
    turn = torch.linalg.qr(random_set(4, 4, 2))[0]
    turned = frechet_distance(x @ turn, y @ turn)
    assert turned.item() == pytest.approx(frechet_distance(x, y).item())


def test_features_that_depend_on_each_other_do_no_harm():
    # Two numbers seen as five features, then fewer events than features.
    x, y = random_set(40, 2, 4), random_set(40, 2, 5)
    isometry = torch.linalg.qr(random_set(5, 2, 3))[0].T
    expected = frechet_distance(x, y).item()
    assert frechet_distance(x @ isometry, y @ isometry).item() == pytest.approx(expected, rel=1e-6)
    few = random_set(3, 8, 6)
    assert frechet_distance(few, few + 1).item() == pytest.approx(8.0)


def test_samples_of_a_pool_are_the_sets_themselves(monkeypatch):
    pool = random_set(60, 5, 0) * 1e-3 + 1e3
    generator = torch.Generator().manual_seed(1)
    a = torch.randint(60, (7, 20), generator=generator)
    b = torch.randint(60, (7, 33), generator=generator)
    expected = torch.stack([frechet_distance(pool[i], pool[j]) for i, j in zip(a, b, strict=True)])
    monkeypatch.setattr(module, "_PRODUCTS", 100)
    monkeypatch.setattr(module, "_COUNTS", 150)
    torch.testing.assert_close(frechet_of_samples(pool, a, b), expected, rtol=1e-8, atol=0)


def test_fpd_agrees_with_jetnet():
    # jetnet 0.2.5, NumPy 1.23.5, SciPy 1.14.1, in an environment of its own:
    #   fpd(formula_features(3000, 0), formula_features(2500, 1), min_samples=500, max_samples=2000)
    # Its matrix square root leaves an error of 1e-9 here.
    real, generated = formula_features(3000, 0), formula_features(2500, 1)
    value, error = frechet_physics_distance(real, generated, smallest=500, largest=2000)
    assert value == pytest.approx(0.016658039172572744, abs=5e-9)
    assert error == pytest.approx(0.0011069275904163898, rel=1e-6)


def test_the_intercept_is_that_of_a_line():
    x = np.array([0.1, 0.2, 0.3, 0.5])
    value, error = module._intercept(x, 2 + 3 * x, True)
    assert (value, error) == (pytest.approx(2), pytest.approx(0, abs=1e-12))
    assert module._intercept(x, -2 + 3 * x, False).value == pytest.approx(-2)
    assert module._intercept(x, -2 + 3 * x, True).value == 0


def test_the_unbounded_intercept_of_equal_distributions_scatters_about_zero():
    pool = random_set(3000, 3, 7)
    sizes = {"smallest": 200, "largest": 1000, "draws": 5}
    free, bounded = (
        np.array(
            [
                frechet_physics_distance(pool, pool, bounded=b, seed=seed, **sizes).value
                for seed in range(20)
            ]
        )
        for b in (False, True)
    )
    assert free.min() < 0 < free.max()
    assert abs(free.mean()) < 4 * free.std() / 20**0.5
    np.testing.assert_allclose(bounded, free.clip(0), atol=1e-12)


def test_fpd_does_not_depend_on_the_scale_of_a_feature_and_repeats_itself():
    real, generated = formula_features(900, 0), formula_features(700, 1)
    kwargs = {"smallest": 100, "largest": 400, "sizes": 4, "draws": 3}
    value = frechet_physics_distance(real, generated, **kwargs)
    assert value == frechet_physics_distance(real, generated, **kwargs)
    scale = torch.tensor([1e-6, 1.0, 3.0, 1e4, 10.0, 0.1], dtype=torch.double)
    scaled = frechet_physics_distance(real * scale, generated * scale, **kwargs)
    assert scaled.value == pytest.approx(value.value, rel=1e-9)
    constant = (
        torch.cat([real, torch.zeros(900, 1)], 1),
        torch.cat([generated, torch.zeros(700, 1)], 1),
    )
    assert frechet_physics_distance(*constant, **kwargs).value == pytest.approx(value.value)


def test_bad_arguments_are_refused():
    x = random_set(10, 3, 0)
    with pytest.raises(ArgumentError, match="y: got shape"):
        frechet_distance(x, x[:, :2])
    with pytest.raises(ArgumentError, match="x: got shape"):
        frechet_distance(x[:1], x)
    bad = x.clone()
    bad[4, 1] = math.inf
    with pytest.raises(DataError, match=r"generated: got values .* in 1 of 10 events \(4\)"):
        frechet_physics_distance(x, bad)
    with pytest.raises(ArgumentError, match="smallest < largest"):
        frechet_physics_distance(x, x, smallest=5, largest=5)
    with pytest.raises(ArgumentError, match="b: got events 0 to 10"):
        frechet_of_samples(x, torch.tensor([[0, 1]]), torch.tensor([[0, 10]]))


@given(st.integers(-140, 140), st.integers(0, 10**6))
def test_scales_with_the_square(power, seed):
    x, y = random_set(9, 3, seed), random_set(7, 3, seed + 1)
    scale = 10.0**power
    expected = frechet_distance(x, y).item()
    assert frechet_distance(x * scale, y * scale).item() / scale / scale == pytest.approx(expected)
    a, b = torch.arange(6)[None], torch.arange(3, 9)[None]
    expected = frechet_of_samples(x, a, b)
    found = frechet_of_samples(x * scale, a, b) / scale / scale
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_float32_is_right_at_both_ends(scale):
    x, y = random_set(20, 3, 0), random_set(20, 3, 1)
    found = frechet_distance((x * scale).float(), (y * scale).float()).item() / scale**2
    assert found == pytest.approx(frechet_distance(x, y).item(), rel=1e-5)


@pytest.mark.parametrize("scale", [1e160, 1e-170])
def test_values_beyond_float64_are_refused(scale):
    x, y = random_set(9, 3, 0) * scale, random_set(7, 3, 1) * scale
    with pytest.raises(DataError, match="Fréchet distance: got a value that float64 does not hold"):
        frechet_distance(x, y)
    with pytest.raises(DataError, match="Fréchet distance: got"):
        frechet_physics_distance(x, y, smallest=4, largest=9, sizes=3, draws=2, scale=False)
    assert frechet_distance(x, x).item() == 0 or scale > 1


def test_gaussians_that_are_not_finite_are_refused():
    wide = Gaussian(torch.zeros(1), torch.full((1, 1), math.inf))
    with pytest.raises(DataError, match="got means or covariances beyond float64"):
        frechet(wide, wide)
