"""Pairs of noise and data within events: optimal, and a permutation whatever the sizes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from pcgen.errors import ArgumentError
from pcgen.objectives.coupling import EXACT_UP_TO, optimal_pairs


def events(sizes, seed=0, columns=3):
    generator = torch.Generator().manual_seed(seed)
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    noise, data = torch.randn(2, int(ptr[-1]), columns, generator=generator).unbind(0)
    return noise, data, ptr


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 80), max_size=6), st.integers(0, 1000))
def test_pairs_are_a_permutation_within_each_event(sizes, seed):
    noise, data, ptr = events(sizes, seed)
    rows = optimal_pairs(noise, data, ptr)
    for first, stop in zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True):
        assert sorted(rows[first:stop].tolist()) == list(range(first, stop))


def test_small_events_are_paired_as_scipy_pairs_them():
    noise, data, ptr = events([1, 2, 30, 0, EXACT_UP_TO])
    rows = optimal_pairs(noise, data, ptr)
    for first, stop in zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True):
        cost = torch.cdist(data[first:stop].double(), noise[first:stop].double()).square().numpy()
        of_data, of_noise = linear_sum_assignment(cost)
        found = (data[first:stop] - noise[rows[first:stop]]).square().sum()
        assert float(found) == pytest.approx(cost[of_data, of_noise].sum(), rel=1e-5)


def test_large_events_are_paired_by_the_rank_of_the_last_column():
    noise, data, ptr = events([EXACT_UP_TO + 1, 3, 200])
    rows = optimal_pairs(noise, data, ptr)
    for first, stop in ((0, EXACT_UP_TO + 1), (EXACT_UP_TO + 4, len(data))):
        order = data[first:stop, -1].argsort()
        assert bool((noise[rows[first:stop]][order, -1].diff() >= 0).all())


def test_points_in_one_place():
    noise, _, ptr = events([5, 70])
    rows = optimal_pairs(noise, torch.zeros_like(noise), ptr)
    assert sorted(rows.tolist()) == list(range(75))
    with pytest.raises(ArgumentError, match="noise: got"):
        optimal_pairs(noise[:3], noise, ptr)


def test_paths_become_short():
    """From 6 per point, the variance of noise and data of three columns."""
    noise, data, ptr = events([20] * 300)
    rows = optimal_pairs(noise, data, ptr)
    independent = float((data - noise).square().sum(1).mean())
    optimal = float((data - noise[rows]).square().sum(1).mean())
    assert independent == pytest.approx(6.0, rel=0.05)
    assert optimal < 0.4 * independent
