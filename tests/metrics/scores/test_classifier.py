"""The classifier test: right about Gaussians whose best classifier is known, and about halves."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import binom, kstest, norm

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.scores.classifier import classifier_test, events_needed
from pcgen.metrics.scores.learners import (
    BoostedTrees,
    Learned,
    Perceptron,
    accuracy,
    calochallenge_classifier,
    likelihood,
)

QUICK = BoostedTrees(trees=30)
NET = Perceptron(hidden=(16,), epochs=20, rate=1e-2, batch=64)


class Oracle:
    """A learner that learns nothing: its log-odds are the first feature times a slope."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def fit(self, training, validation, seed):
        return Learned(lambda x: self.slope * x[:, 0], 1, 1)


def shifted(n: int, distance: float, columns: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Two unit normals that far apart along the first axis."""
    real, fake = torch.randn(n, columns).double(), torch.randn(n, columns).double()
    fake[:, 0] += distance
    return real, fake


@pytest.mark.parametrize("learner", [BoostedTrees(), NET])
def test_the_best_possible_auc_is_nearly_reached(learner):
    real, fake = shifted(4000, 1.5)
    result = classifier_test(real, fake, learner=learner)
    best = norm.cdf(1.5 / 2**0.5)
    assert best - 0.03 < result.auc < best + 3 * 0.009
    assert result.low < result.auc < result.high
    assert result.p < 1e-6
    assert result.events == (800, 800)
    assert abs(result.calibrated_auc - result.auc) < 0.02


def test_divergence_of_two_gaussians():
    """With the exact odds the bound is the divergence itself, here by numerical integration."""

    def integrand(x):
        p, q = norm.pdf(x), norm.pdf(x - 1.5)
        return 0.5 * (p * np.log2(2 * p / (p + q)) + q * np.log2(2 * q / (p + q)))

    expected, _ = quad(integrand, -10, 12)
    real, fake = shifted(50_000, 1.5)
    result = classifier_test(real - 0.75, fake - 0.75, learner=Oracle(1.5))
    assert result.jsd == pytest.approx(expected, abs=0.02)
    # Calibration undoes any monotone distortion of the scores.
    skewed = classifier_test(real - 0.75, fake - 0.75, learner=Oracle(0.01))
    assert skewed.jsd == pytest.approx(result.jsd, abs=1e-9)
    assert skewed.auc == result.auc


@pytest.mark.parametrize(("least", "events"), [(20, 34), (5, 10), (1, 10), (30, 50)])
def test_trees_that_cannot_grow_have_no_figures(least, events):
    """A constant classifier has an AUC of 1/2 and a divergence of 0, whatever the sets."""
    learner = BoostedTrees(trees=5, least=least)
    assert events_needed(learner) == events
    real, fake = shifted(events, 50.0)
    assert classifier_test(real, fake, learner=learner).auc == 1.0
    if events > 10:
        few = classifier_test(real[:-1], fake[:-1], learner=learner)
        figures = [few.auc, few.low, few.high, few.p, few.calibrated_auc, few.jsd]
        assert all(map(math.isnan, figures))
        assert few.events[0] == few.events[1] > 0
    assert events_needed(NET) == events_needed(Oracle(1.0)) == 10


@pytest.mark.parametrize("learner", [QUICK, NET])
def test_disjoint_sets_are_distinguished_at_once(learner):
    real, fake = shifted(100, 50.0)
    result = classifier_test(real, fake, learner=learner)
    assert result.auc == result.calibrated_auc == result.high == 1.0
    assert result.low == pytest.approx(0.025 ** (1 / 20))
    assert result.jsd > 0.95


def test_the_margin_limits_what_can_be_claimed():
    """Separated by trees, every calibrated probability is as near to 0 or 1 as it may be."""
    real, fake = shifted(100, 50.0)
    for margin, expected in ((1e-6, 1e-6), (0.1, 0.1), (None, 1 / 42)):
        jsd = classifier_test(real, fake, learner=QUICK, margin=margin).jsd
        assert jsd == pytest.approx(1 + np.log2(1 - expected))


def test_halves_of_one_set_are_not_distinguished():
    """The interval holds 1/2 as often as it claims, and the p-values are uniform."""
    tests = []
    for seed in range(40):
        x = torch.randn(240, 4, generator=torch.Generator().manual_seed(seed)).double()
        tests.append(classifier_test(x[:100], x[100:], learner=QUICK, seed=seed))
    covered = sum(t.low <= 0.5 <= t.high for t in tests)
    assert binom.cdf(covered, 40, 0.95) > 0.01
    assert kstest([t.p for t in tests], "uniform").pvalue > 0.01
    assert tests[0].events == (20, 28)


def test_a_difference_of_correlation_alone_is_found():
    real = torch.randn(3000, 2).double()
    fake = torch.randn(3000, 2).double()
    fake[:, 1] = 0.8 * fake[:, 0] + 0.6 * fake[:, 1]
    assert classifier_test(real, fake).p < 1e-6


@pytest.mark.parametrize("learner", [QUICK, NET])
def test_same_seed_same_result(learner):
    real, fake = shifted(200, 0.5)
    state = torch.get_rng_state()
    first = classifier_test(real, fake, learner=learner, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert classifier_test(real, fake, learner=learner, seed=5) == first
    assert classifier_test(real, fake, learner=learner, seed=6) != first
    assert json.loads(json.dumps(asdict(first)))["auc"] == first.auc


def test_trees_ignore_monotone_changes_of_scale():
    real, fake = shifted(200, 0.5)
    plain = classifier_test(real, fake, learner=QUICK)
    assert classifier_test(1e6 * real, 1e6 * fake, learner=QUICK).auc == pytest.approx(
        plain.auc, abs=0.02
    )


def test_the_perceptron_does_not_see_units_or_constants():
    real, fake = shifted(300, 1.0)
    units = torch.tensor([1e-6, 1.0, 1e6]).double()
    pair = [torch.cat([units * x + 5 * units, torch.ones(300, 1)], 1) for x in (real, fake)]
    result = classifier_test(*pair, learner=NET)
    assert result.auc == pytest.approx(classifier_test(real, fake, learner=NET).auc, abs=0.05)


def parts(n: int = 100):
    """Pure noise, so that more trees only learn the training part by heart."""
    x, label = torch.randn(2 * n, 3).double(), torch.rand(2 * n) < 0.5
    return (x[:n], label[:n]), (x[n:], label[n:])


def test_the_number_of_trees_is_the_best_on_the_validation_part():
    training, (x, label) = parts()
    learned = BoostedTrees(trees=12).fit(training, (x, label), 0)
    values = []
    for trees in range(1, 13):
        # If it chooses on the events of its training, it takes all its trees.
        grown = BoostedTrees(trees=trees).fit(training, training, 0)
        assert grown.epoch == trees
        values.append(likelihood(grown.logit(x), label))
    assert learned.epoch == max(range(12), key=values.__getitem__) + 1 < 12
    assert likelihood(learned.logit(x), label) == pytest.approx(max(values))


def test_the_perceptron_keeps_the_weights_of_its_best_epoch():
    training, validation = parts()
    planned = iter([0.1, 0.5, 0.5, 0.3])
    learner = replace(NET, epochs=4, criterion=lambda logit, label: next(planned))
    learned = learner.fit(training, validation, 3)
    assert (learned.epoch, learned.epochs) == (2, 4)
    rising = iter([1.0, 2.0])
    short = replace(NET, epochs=2, criterion=lambda logit, label: next(rising))
    expected = short.fit(training, validation, 3)
    torch.testing.assert_close(learned.logit(validation[0]), expected.logit(validation[0]))


def test_criteria():
    logit, label = torch.tensor([1.0, -1.0, 2.0, 0.5]), torch.tensor([True, False, False, True])
    assert accuracy(logit, label) == 0.75
    p = torch.sigmoid(logit)
    assert likelihood(logit, label) == pytest.approx(
        torch.where(label, p, 1 - p).log().mean().item()
    )


def test_settings_of_the_calochallenge():
    """Those of its evaluation code: layers as counted from its DNN class with num_layer = 2."""
    learner = calochallenge_classifier()
    assert learner.hidden == (2048, 2048, 2048)
    assert (learner.epochs, learner.rate, learner.batch, learner.slope) == (50, 2e-4, 1000, 0.01)
    assert learner.dtype == torch.float64
    assert not learner.standardise
    small = replace(learner, hidden=(8, 8, 8), epochs=3, batch=100)
    assert classifier_test(*shifted(200, 3.0), learner=replace(small, rate=0.01)).auc > 0.9


def test_bad_events_are_named():
    real, fake = shifted(20, 0.0)
    fake[[3, 7], 1] = torch.nan
    with pytest.raises(DataError, match=r"generated: .* in 2 of 20 events \(3, 7\)"):
        classifier_test(real, fake)
    with pytest.raises(ArgumentError, match=r"generated: got shape \(20, 2\), expected \[N, 3\]"):
        classifier_test(real, fake[:, :2])
    with pytest.raises(ArgumentError, match="N ≥ 10"):
        classifier_test(real[:5], fake)
