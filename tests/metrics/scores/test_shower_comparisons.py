"""Separation powers of samples of a pool: those of the samples alone, and honest p-values."""

from __future__ import annotations

import pytest
import torch
from fabricated_showers import RINGS, fabricated_showers

from pcgen.grids import Calorimeter
from pcgen.metrics.scores import separation_power, shower_separation
from pcgen.metrics.scores.separation import (
    ShowerSeparation,
    _counts_per_event,
    challenge_histograms,
    separation_of_counts,
)
from pcgen.metrics.showers import CALOCHALLENGE, Showers

DATA = CALOCHALLENGE["2"]


def pool(*sets: Showers) -> Showers:
    return Showers(*(torch.cat(parts) for parts in zip(*sets, strict=True)))


def test_scores_are_the_means_over_layers_of_the_samples_alone():
    showers = pool(*(fabricated_showers(RINGS, 30, seed=s, radius=5 + s) for s in (1, 2)))
    comparison = ShowerSeparation(showers, RINGS, DATA)
    a, b = torch.arange(20)[None], torch.arange(25, 60)[None]
    found = comparison.compare(torch.cat([a, a]), torch.cat([b, a.repeat(1, 2)[:, :35]]))
    expected = shower_separation(showers.select(a[0]), showers.select(b[0]), RINGS, DATA)
    for measure, value in zip(comparison.measures, found[:, 0].tolist(), strict=True):
        kind = measure.name.removeprefix("separation ")
        values = [v for name, v in expected.items() if name.split(",")[0] == kind]
        assert value == pytest.approx(sum(values) / len(values))
    assert {m.name for m in comparison.measures} >= {"separation voxels", "separation width eta"}


def test_counts_of_events_add_up_to_the_histogram_of_their_sample():
    showers = fabricated_showers(RINGS, 40, seed=3)
    half = torch.arange(40) < 15
    for histogram in challenge_histograms([showers], RINGS, CALOCHALLENGE["1-photons"]):
        counts = _counts_per_event(histogram)
        power = separation_of_counts(counts[half].sum(0), counts[~half].sum(0)).item()
        values = histogram.values[0]
        direct = separation_power(values[half], values[~half], histogram.edges)
        assert power == pytest.approx(direct, abs=1e-12)


def test_wider_showers_are_distinguished_by_width_and_equal_ones_by_nothing():
    real, twin, wide = (
        fabricated_showers(RINGS, 150, seed=s, radius=r) for s, r in ((1, 6.0), (2, 6.0), (3, 9.0))
    )
    comparison = ShowerSeparation(pool(real, twin, wide), RINGS, DATA)
    names = [m.name for m in comparison.measures]
    generator = torch.Generator().manual_seed(0)
    a, b, c = torch.arange(450).split(150)
    width = names.index("separation width eta")
    assert comparison.p_values(a, c, 199, generator)[width].item() == 1 / 200
    p = [
        comparison.p_values(*torch.cat([a, b])[torch.randperm(300)].split(150), 39, generator)
        for _ in range(25)
    ]
    # Of 25 uniform p-values, a fraction of at most 0.2 is below 0.2, within three deviations.
    rejected = (torch.stack(p) < 0.2).double().mean(0)
    assert bool((rejected < 0.2 + 3 * 0.08).all())


def test_bad_showers_are_not_usable_and_do_no_harm():
    showers = fabricated_showers(RINGS, 12, seed=4)
    voxels = showers.voxels.clone()
    voxels[3, 0], voxels[7, 1] = torch.nan, -1.0
    comparison = ShowerSeparation(Showers(voxels, showers.incident), RINGS, DATA)
    assert (~comparison.usable).nonzero().flatten().tolist() == [3, 7]
    good = comparison.usable.nonzero().flatten()
    value = comparison.compare(good[None, :5], good[None, 5:])
    assert bool(value.isfinite().all())


def test_an_energy_that_no_shower_has_is_nan():
    calorimeter = Calorimeter.cylindrical([(0, 1, 2)], [2])
    incident = torch.tensor([300.0, 300.0, 5e7, 5e7])
    showers = Showers(torch.full((4, 4), 50.0), incident)
    comparison = ShowerSeparation(showers, calorimeter, CALOCHALLENGE["1-photons"])
    response = [m.name for m in comparison.measures].index("separation energy response")
    found = comparison.compare(torch.tensor([[0], [2]]), torch.tensor([[1], [3]]))
    assert found[response, 0].item() == 0
    assert found[response].isnan().tolist() == [False, True]
