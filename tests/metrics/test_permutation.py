"""Permutation tests: p-values are exact, and uniform where nothing differs."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from scipy.stats import permutation_test as scipy_permutation_test

from pcgen.errors import ArgumentError
from pcgen.metrics.significance import against_null, permutation_test, permuted_labels

sizes = st.tuples(st.integers(2, 9), st.integers(2, 9))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def labels_of(n, m, permutations=5):
    return permuted_labels(n, m, permutations=permutations, generator=seeded())


def difference_of_means(x, a, b):
    return abs(x[a].mean() - x[b].mean()).item()


@given(sizes, st.integers(1, 30))
def test_labels_keep_the_sizes(sizes, permutations):
    n, m = sizes
    labels = permuted_labels(n, m, permutations=permutations, generator=seeded())
    assert labels.shape == (permutations + 1, n + m)
    assert labels.sum(1).tolist() == [n] * (permutations + 1)
    assert labels[0].tolist() == [True] * n + [False] * m


def test_labels_are_drawn_evenly():
    """All 6 labellings of 2 + 2 events come equally often."""
    labels = labels_of(2, 2, 6000)[1:]
    _, counts = (labels.long() * torch.tensor([8, 4, 2, 1])).sum(1).unique(return_counts=True)
    assert len(counts) == 6
    assert (counts - 1000).abs().max() < 5 * 29


def test_the_p_value_is_that_of_all_labellings():
    x = torch.tensor([0.3, -1.0, 0.2, 2.0, 1.5, 0.9, 2.2]).double()
    statistic = partial(difference_of_means, x)
    result = permutation_test(statistic, 3, 4, permutations=20000, generator=seeded())
    exact = scipy_permutation_test(
        (x[:3].numpy(), x[3:].numpy()), lambda a, b: abs(a.mean() - b.mean())
    )
    assert exact.null_distribution.size == 35
    # scipy doubles nothing for a one-sided view: count the null at or above the value.
    expected = (exact.null_distribution >= exact.statistic - 1e-12).mean()
    sigma = (expected * (1 - expected) / 20000) ** 0.5
    assert abs(result.p - expected) < 4 * sigma
    assert result.value == pytest.approx(exact.statistic)


@pytest.mark.parametrize("values", [2, 10**9])
def test_p_values_are_uniform_under_the_null(values):
    """With values = 2 nearly every labelling ties: conservative p, and exact random p."""
    p, p_random = [], []
    for seed in range(300):
        generator = seeded(seed)
        x = torch.randint(values, (20,), generator=generator).double()
        statistic = partial(difference_of_means, x)
        test = permutation_test(statistic, 8, 12, permutations=39, generator=generator)
        p.append(test.p)
        p_random.append(test.p_random)
    for level in (0.05, 0.1, 0.25, 0.5, 0.9):
        below = sum(value <= level + 1e-9 for value in p)
        assert below < 300 * level + 4 * (300 * level * (1 - level)) ** 0.5
    # p_random is uniform on k/40: spread it over the step below to compare with the continuum.
    spread = torch.tensor(p_random) - torch.rand(300) / 40
    assert kstest(spread.numpy(), "uniform").pvalue > 0.01
    assert (p == p_random) == (values > 2)


def test_a_difference_is_found_with_the_least_p_value():
    x = torch.cat([torch.zeros(30), torch.ones(30)])
    result = permutation_test(partial(difference_of_means, x), 30, 30, generator=seeded())
    assert result.value == 1.0
    assert result.p == result.p_random == 1 / 201
    assert result.permutations == 200
    assert result.quantiles[-1][1] < 1.0
    assert result.mean < 0.3


def test_same_seed_same_result():
    x = torch.randn(40)
    runs = [
        permutation_test(partial(difference_of_means, x), 20, 20, generator=seeded(3))
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(ArgumentError, match="n, m, permutations: got 0, 3, 5"):
        permuted_labels(0, 3, permutations=5, generator=seeded())
    with pytest.raises(ArgumentError, match="with 1 NaN"):
        against_null(torch.tensor([1.0, torch.nan]), generator=seeded())
