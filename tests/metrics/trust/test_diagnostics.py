"""Each diagnostic fires where its failure is planted, and is silent on the truth."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
import torch
from scipy.stats import kstest

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.trust.diagnosis import (
    density_misspecification,
    diagnose,
    dimensional_misspecification,
    overfitting,
    overfitting_of_neighbours,
)
from pcgen.metrics.trust.memorisation import memorisation_of_features


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ring(number, noise=0.02):
    """A circle in three dimensions, a little blurred."""
    angle = 2 * math.pi * torch.rand(number).double()
    circle = torch.stack([angle.cos(), angle.sin(), 0.5 * angle.cos()], 1)
    return circle + noise * torch.randn(number, 3)


def normal(number, columns=4):
    return torch.randn(number, columns).double()


@pytest.mark.parametrize("draw", [ring, normal])
def test_the_truth_is_not_accused(draw):
    found = diagnose(draw(600), draw(600), draw(600))
    assert [d.found for d in found] == [False] * 3
    assert [d.failure for d in found] == [
        "overfitting",
        "density misspecification",
        "dimensional misspecification",
    ]
    for d in found:
        assert d.p > 0.01
        assert d.verdict.startswith(f"No sign of {d.failure}: ")
        assert json.loads(json.dumps(asdict(d)))["value"] == d.value


@pytest.mark.parametrize("draw", [ring, normal])
def test_repeated_training_events_are_overfitting_alone(draw):
    training = draw(1000)
    generated = training[:600] + 0.005 * training.std() * torch.randn(600, training.shape[1])
    fit, density, _ = diagnose(training, draw(1000), generated)
    assert fit.found
    assert fit.value > 0.7
    assert fit.reference == 0.5
    assert fit.p == 0.001
    assert fit.verdict.startswith("Signs of overfitting: ")
    assert not density.found


def test_a_wrong_density_is_no_overfitting_and_no_wrong_dimension():
    """Two clusters with the wrong weights; nearest training distances alone mistake the narrow
    one, which the generator prefers, for copies."""

    def two(number, fraction):
        narrow = (torch.rand(number, 1) < fraction).double()
        return narrow * 0.05 * normal(number, 3) + (1 - narrow) * (8 + normal(number, 3))

    training, test, generated = two(800, 0.5), two(800, 0.5), two(800, 0.9)
    fit, density, dimension = diagnose(training, test, generated)
    assert [fit.found, density.found, dimension.found] == [False, True, False]
    assert density.value > 0.65
    assert memorisation_of_features(training, test, generated).p < 1e-6


def test_a_generator_off_the_manifold():
    fit, density, dimension = diagnose(ring(800), ring(800), ring(800, noise=0.15))
    assert [fit.found, density.found, dimension.found] == [False, True, True]
    assert dimension.value > dimension.reference + 0.3
    assert "dimensions where the real events have" in dimension.verdict


def test_a_generator_on_too_thin_a_manifold():
    """Every marginal is right and so is the plane: only one direction of it is missing."""

    def spiral(number, noise):
        t = 6 * math.pi * torch.rand(number).sqrt().double()
        plane = torch.stack([t * t.cos(), t * t.sin()], 1) / (6 * math.pi)
        return torch.cat([plane + noise * torch.randn(number, 2), plane[:, :1] * plane[:, 1:]], 1)

    found = dimensional_misspecification(spiral(500, 0.15), spiral(500, 0.0), generator=seeded())
    assert found.found
    assert found.value < found.reference - 0.2


def test_a_density_that_no_classifier_can_learn_is_undecided():
    found = density_misspecification(normal(33), 5 + normal(33))
    assert not found.found
    assert math.isnan(found.p)
    assert math.isnan(found.value)
    assert found.verdict == (
        "Density misspecification is undecided: too few events, 34 a side needed."
    )
    assert density_misspecification(normal(34), 5 + normal(34)).value == 1.0


def test_p_values_of_overfitting_are_uniform_for_any_density():
    """Whatever the generator's density, as long as training events did not shape it."""
    p = []
    for seed in range(100):
        source = seeded(seed)
        training, test = normal(40), normal(80)
        found = overfitting(
            training, test, 0.3 * normal(60) + 0.5, permutations=199, generator=source
        )
        assert found.reference == pytest.approx(1 / 3)
        p.append(found.p)
    assert kstest((torch.tensor(p) - torch.rand(100) / 200).numpy(), "uniform").pvalue > 0.01


def test_p_values_of_the_dimension_are_uniform_on_the_truth():
    p = []
    for seed in range(40):
        found = dimensional_misspecification(
            ring(60, 0.1), ring(90, 0.1), permutations=39, generator=seeded(seed)
        )
        p.append(found.p)
    assert kstest((torch.tensor(p) - torch.rand(40) / 40).numpy(), "uniform").pvalue > 0.01


def test_equal_distances_accuse_nobody():
    """All events at three places: training and test events are equally near."""

    def places(number):
        return torch.randint(3, (number, 1)).double()

    p = [
        overfitting(places(50), places(50), places(50), permutations=99, generator=seeded(s)).p
        for s in range(60)
    ]
    assert sum(value <= 0.2 for value in p) < 60 * 0.2 + 4 * (60 * 0.16) ** 0.5


def test_neighbours_under_another_distance():
    """The largest difference of any feature, from the matrix of all distances."""
    training, test, generated = normal(60), normal(40), normal(50)
    generated[:10] = training[:10] + 0.01
    distance = (generated[:, None] - torch.cat([training, test])[None]).abs().amax(2)
    found = overfitting_of_neighbours(distance.argmin(1), 60, 40, generator=seeded())
    assert found.value == (distance.argmin(1) < 60).double().mean().item()
    assert found.reference == 0.6
    # The labels drawn at random, one by one.
    often = torch.bincount(distance.argmin(1), minlength=100).double()
    null = torch.stack([often[torch.randperm(100)[:60]].sum() / 50 for _ in range(4000)])
    expected = (null >= found.value - 1e-9).double().mean().item()
    # Both are counted: of 999 and of 4,000 draws; p counts the labels themselves too.
    spread = (expected * (1 - expected) * (1 / 999 + 1 / 4000)) ** 0.5
    assert abs(found.p - expected) < 5 * spread + 0.001
    assert 0.01 < expected < 0.5
    with pytest.raises(ArgumentError, match=r"expected \[G\] numbers from 0 to 99"):
        overfitting_of_neighbours(torch.tensor([100]), 60, 40, generator=seeded())


def test_same_seed_same_diagnosis():
    sets = normal(100), normal(100), 1.3 * normal(100)
    assert diagnose(*sets, seed=4) == diagnose(*sets, seed=4)


def test_what_cannot_be_diagnosed_is_refused():
    with pytest.raises(ArgumentError, match="expected more than 12 of each"):
        dimensional_misspecification(normal(20), normal(12), generator=seeded())
    broken = normal(20)
    broken[5] = torch.nan
    with pytest.raises(DataError, match=r"generated: .* in 1 of 20 events \(5\)"):
        diagnose(normal(20), normal(20), broken)
    with pytest.raises(ArgumentError, match="N ≥ 10"):
        density_misspecification(normal(20), normal(5))
