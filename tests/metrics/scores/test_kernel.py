from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.scores import kernel as module
from pcgen.metrics.scores import kernel_distance, kernel_physics_distance
from pcgen.metrics.scores.kernel import kernel_of_samples


def formula_features(n, seed):
    """Six features, two of them products of others; also used to record jetnet's values."""
    i = np.arange(n)[:, None]
    x = np.modf((i + 1) * np.sqrt(np.array([2, 3, 5, 7])) + seed * 0.3)[0]
    columns = [x, x[:, :1] * x[:, 1:2] * 5, x[:, :1] ** 2 * 0.01]
    return torch.from_numpy(np.concatenate(columns, 1) * (1 + 0.1 * seed))


def random_set(n, width, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=generator, dtype=torch.double)


def by_brute_force(x, y):
    def k(a, b):
        return (np.dot(a, b) / len(a) + 1) ** 4

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
    xy = sum(k(a, b) for a in x for b in y)
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 4), st.integers(0, 10**6))
def test_agrees_with_the_double_sum(n, m, width, seed):
    x, y = random_set(n, width, seed), random_set(m, width, seed + 1)
    value = kernel_distance(x, y).item()
    assert value == pytest.approx(by_brute_force(x.numpy(), y.numpy()), rel=1e-9, abs=1e-9)


def test_tiles_do_not_matter(monkeypatch):
    x, y = random_set(50, 3, 0), random_set(41, 3, 1)
    expected = kernel_distance(x, y)
    monkeypatch.setattr(module, "_TILE", 7)
    torch.testing.assert_close(kernel_distance(x, y), expected)


def test_is_zero_on_average_for_one_distribution_and_the_closed_form_for_two():
    # Two coins: x = 0 or 1, y = 1 always. E k = 1, 1, 1, 16 over 4 for xx, 16 for yy, (1 + 16)/2.
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(2, (400, 30, 1), generator=generator).double()
    same = torch.stack([kernel_distance(a, b) for a, b in zip(x[:200], x[200:], strict=True)])
    assert abs(same.mean()) < 4 * same.std() / 200**0.5
    other = torch.stack([kernel_distance(a, torch.ones(30, 1)) for a in x])
    expected = 19 / 4 + 16 - 17
    assert abs(other.mean() - expected) < 4 * other.std() / 400**0.5


def test_samples_of_a_pool_are_the_sets_themselves(monkeypatch):
    pool = random_set(40, 5, 0)
    generator = torch.Generator().manual_seed(1)
    a = torch.randint(40, (6, 12), generator=generator)
    b = torch.randint(40, (6, 17), generator=generator)
    expected = torch.stack([kernel_distance(pool[i], pool[j]) for i, j in zip(a, b, strict=True)])
    monkeypatch.setattr(module, "_TILE", 9)
    torch.testing.assert_close(kernel_of_samples(pool, a, b), expected, rtol=1e-9, atol=1e-12)


def test_kpd_agrees_with_jetnet():
    # jetnet 0.2.5, NumPy 1.23.5, in an environment of its own:
    #   kpd(formula_features(3000, 0), formula_features(2500, 1), batch_size=400)
    real, generated = formula_features(3000, 0), formula_features(2500, 1)
    value, error = kernel_physics_distance(real, generated, batch=400)
    assert value == pytest.approx(0.02325901708085043, rel=1e-9)
    assert error == pytest.approx(0.004680810230486493, rel=1e-9)


def test_kpd_may_be_negative_for_equal_distributions():
    # As above with the real events in reverse order as generated ones: jetnet gives the same.
    real = formula_features(3000, 0)
    generated = formula_features(3500, 0).flip(0)
    value, error = kernel_physics_distance(real, generated, batch=400)
    assert value == pytest.approx(-0.0003590458078086556, rel=1e-7)
    assert error == pytest.approx(0.001770929697744333, rel=1e-7)


def test_bad_arguments_are_refused():
    x = random_set(10, 3, 0)
    with pytest.raises(ArgumentError, match="x: got shape"):
        kernel_distance(x[:1], x)
    with pytest.raises(ArgumentError, match="batch, batches: got 1 and 10"):
        kernel_physics_distance(x, x, batch=1)
    bad = x.clone()
    bad[7, 1] = torch.nan
    with pytest.raises(DataError, match=r"real: got values .* in 1 of 10 events \(7\)"):
        kernel_physics_distance(bad, x)
    with pytest.raises(ArgumentError, match="a, b: got shapes"):
        kernel_of_samples(x, torch.zeros(2, 3).long(), torch.zeros(3, 3).long())


def exactly(x, y):
    """MMD² by fractions, which neither round nor overflow."""
    x, y = ([[Fraction(v) for v in row] for row in z.tolist()] for z in (x, y))

    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 4

    n, m = len(x), len(y)
    xx = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j)
    yy = sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j)
    xy = sum(k(a, b) for a in x for b in y)
    return float(xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m))


@pytest.mark.parametrize(
    ("scale", "offset"),
    [(1, 0), (1, 1e4), (1e-3, 30), (1, -1e4), (1e-30, 0), (1e30, 0), (1e-20, 1e-20), (1e-9, 1)],
)
def test_is_exact_far_from_the_origin_and_near_it(scale, offset):
    x, y = (random_set(6, 2, seed) * scale + offset for seed in (0, 1))
    y = y + scale
    assert kernel_distance(x, y).item() == pytest.approx(exactly(x, y), rel=1e-8)
    pool, a, b = torch.cat([x, y]), torch.tensor([[0, 1, 1, 5]]), torch.tensor([[6, 7, 11, 9]])
    expected = exactly(pool[a[0]], pool[b[0]])
    assert kernel_of_samples(pool, a, b).item() == pytest.approx(expected, rel=1e-8)


@given(st.floats(-1e4, 1e4), st.integers(0, 10**6))
def test_has_digits_at_any_offset(offset, seed):
    x, y = (random_set(5, 2, seed + k).float() + offset for k in (0, 1))
    terms = (offset**2 + 1) ** 3  # size of the terms that the kernel's own noise is made of
    value = kernel_distance(x, y).item()
    assert value == pytest.approx(exactly(x.double(), y.double()), rel=1e-8, abs=1e-9 * terms)


def test_values_beyond_float64_are_refused():
    x, y = random_set(5, 2, 0) * 1e160, random_set(5, 2, 1) * 1e160
    with pytest.raises(DataError, match="kernel distance: got a value beyond float64"):
        kernel_distance(x, y)
    samples = torch.tensor([[0, 1, 2]])
    with pytest.raises(DataError, match="kernel distance: got a value beyond float64"):
        kernel_of_samples(x, samples, samples)
