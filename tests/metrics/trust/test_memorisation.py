"""Memorisation: copies are found and named, fresh events are not accused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import kstest, mannwhitneyu

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.trust.memorisation import (
    memorisation,
    memorisation_of_features,
    nearest_distances,
    standardised,
)


def normal(number, columns=4):
    return torch.randn(number, columns).double()


def test_fresh_events_are_not_accused():
    """C_T of fresh events is a unit normal, up to the training set that both sides share."""
    training = normal(300)
    scores, near, suspicious = [], [], 0
    for _ in range(60):
        found = memorisation_of_features(training, normal(200), normal(200))
        scores.append(found.score)
        near.append(found.near)
        suspicious += len(found.suspicious)
        assert found.copies == ()
        assert found.chance == pytest.approx(200 / 201)
    assert kstest(scores, "norm").pvalue > 0.01
    assert abs(np.mean(near) - 0.01) < 4 * 0.01 / 60**0.5
    assert suspicious < 60 + 4 * 110**0.5


def test_copies_are_found_and_named():
    training, generated = normal(500), normal(200)
    generated[[3, 50, 120]] = training[[7, 8, 400]]
    generated[51] = training[9] + 1e-4
    found = memorisation_of_features(training, normal(300), generated)
    assert found.copies == (3, 50, 120)
    assert found.suspicious[:4] == (3, 50, 120, 51)
    assert abs(found.score) < 3


def test_a_generator_that_repeats_its_training_set():
    training = normal(500)
    exact = memorisation_of_features(training, normal(300), training[:200])
    blurred = training[:200] + 0.05 * normal(200)
    near = memorisation_of_features(training, normal(300), blurred)
    for found in (exact, near):
        assert found.score < -10
        assert found.p < 1e-20
        assert found.near > 0.9
    assert len(exact.copies) == 200
    assert near.copies == ()
    assert len(near.suspicious) > 100


def test_a_generator_that_does_not_reach_the_data():
    found = memorisation_of_features(normal(500), normal(300), 3 + normal(300))
    assert found.score > 10
    assert found.near < 0.01
    assert found.p > 0.999


def test_events_at_no_distance_are_no_news_where_real_ones_are_too():
    """Empty events, say: they are copies, but test events have them as well."""
    found = memorisation(torch.tensor([0.0, 0, 1, 2]), torch.tensor([0.0, 0, 1, 2]))
    assert found.copies == (0, 1)
    assert found.suspicious == ()
    assert found.score == 0


def test_score_against_scipy():
    test, generated = torch.rand(50).double(), torch.rand(70).double() ** 2
    found = memorisation(test, generated)
    expected = mannwhitneyu(
        generated.numpy(), test.numpy(), alternative="less", use_continuity=False
    )
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    mean, spread = 50 * 70 / 2, (50 * 70 * 121 / 12) ** 0.5
    assert found.score == pytest.approx((expected.statistic - mean) / spread)


def test_cells_by_their_definition():
    """Two cells with enough events and one without, weighted by their test events."""
    test, generated = torch.rand(100).double(), torch.rand(90).double()
    owner, other = torch.arange(100) // 55, torch.arange(90) // 30
    generated[other == 0] /= 10
    owner[99] = 2
    found = memorisation(test, generated, cells=(owner, other))
    parts = [memorisation(test[owner == k], generated[other == k]).score for k in (0, 1)]
    assert found.score == pytest.approx((55 * parts[0] + 44 * parts[1]) / 99)
    whole = memorisation(test, generated, cells=(owner * 0, other * 0))
    assert whole == memorisation(test, generated)


def test_cells_distinguish_a_dense_region_from_copies():
    """A generator of the dense core alone is nearer to the training set without copying it."""

    # Two clusters of equal weight, one 20 times narrower; the generator prefers that one.
    def two(number, fraction):
        narrow = (torch.rand(number, 1) < fraction).double()
        return narrow * 0.05 * normal(number, 2) + (1 - narrow) * (8 + normal(number, 2))

    training, test, generated = two(600, 0.5), two(400, 0.5), two(400, 0.9)
    assert memorisation_of_features(training, test, generated).score < -5
    assert abs(memorisation_of_features(training, test, generated, cells=2).score) < 3


def test_nearest_distances_against_scipy():
    x, y = normal(30) + 1e3, normal(40) + 1e3
    expected = cdist(x.numpy(), y.numpy()).min(1)
    np.testing.assert_allclose(nearest_distances(x, y).numpy(), expected, rtol=1e-9)
    assert nearest_distances(x, x).max() == 0


def test_features_have_no_unit():
    training, test, generated = normal(100), normal(80), normal(80) * 0.8
    plain = memorisation_of_features(training, test, generated)
    units = torch.tensor([1e-9, 1.0, 1e6, -3.0]).double()
    assert memorisation_of_features(
        training * units, test * units, generated * units
    ).score == pytest.approx(plain.score, abs=1e-9)
    constant = torch.full((3, 1), 0.1).double()
    assert standardised(constant, constant)[0].abs().max() < 1e-12


def test_what_cannot_be_compared_is_refused():
    good = torch.ones(3)
    with pytest.raises(DataError, match=r"generated: .* in 1 of 2 events \(1\)"):
        memorisation(good, torch.tensor([0.0, torch.nan]))
    with pytest.raises(ArgumentError, match="quantile: got 1"):
        memorisation(good, good, quantile=1.0)
    with pytest.raises(ArgumentError, match=r"cells: got \(2,\) and \(3,\)"):
        memorisation(good, good, cells=(torch.zeros(2), torch.zeros(3)))
    with pytest.raises(ArgumentError, match="cells: got none with 20"):
        memorisation(good, good, cells=(torch.zeros(3), torch.zeros(3)))
    with pytest.raises(ArgumentError, match="cells: got 0"):
        memorisation_of_features(normal(3), normal(3), normal(3), cells=0)
