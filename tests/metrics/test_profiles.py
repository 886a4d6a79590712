"""Profiles of showers: conservation, the definition, standard errors; scores by incident energy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fabricated_showers import CELLS, RINGS, fabricated_showers

from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter
from pcgen.metrics.profiles import longitudinal_profile, per_energy, radial_profile, voxel_spectrum
from pcgen.metrics.showers import Showers, shower_features

both = pytest.mark.parametrize("calorimeter", [RINGS, CELLS], ids=["rings", "cells"])


@both
def test_the_longitudinal_profile_is_the_mean_energy_of_the_layers(calorimeter):
    showers = fabricated_showers(calorimeter, 9, seed=1)
    profile = longitudinal_profile(showers.voxels, calorimeter)
    energy = shower_features(showers, calorimeter).energy.numpy()
    np.testing.assert_allclose(profile.mean, energy.mean(0))
    np.testing.assert_allclose(profile.error, energy.std(0, ddof=1) / 3)
    layers = len(calorimeter.layers)
    assert profile.edges.tolist() == [*(calorimeter.depth or range(layers + 1))]


@both
def test_the_radial_profile_is_a_weighted_histogram_of_radii(calorimeter):
    showers, edges = fabricated_showers(calorimeter, 9, seed=2), [0, 2.5, 7, 15]
    profile = radial_profile(showers.voxels, calorimeter, edges)
    radius = calorimeter.geometry().r.numpy()
    rows = np.array([np.histogram(radius, edges, weights=row)[0] for row in showers.voxels.numpy()])
    np.testing.assert_allclose(profile.mean, rows.mean(0))
    np.testing.assert_allclose(profile.error, rows.std(0, ddof=1) / 3)


@both
def test_profiles_conserve_energy(calorimeter):
    showers = fabricated_showers(calorimeter, 9, seed=3)
    total = showers.voxels.sum(1).mean()
    torch.testing.assert_close(longitudinal_profile(showers.voxels, calorimeter).mean.sum(), total)
    torch.testing.assert_close(
        radial_profile(showers.voxels, calorimeter, [0, 50]).mean.sum(), total
    )


@both
def test_the_voxel_spectrum_is_the_mean_of_histograms(calorimeter):
    showers, edges = fabricated_showers(calorimeter, 9, seed=3), [1, 10, 100, 1000]
    spectrum = voxel_spectrum(showers.voxels, calorimeter, edges)
    rows = np.array([np.histogram(row, edges)[0] for row in showers.voxels.numpy()])
    np.testing.assert_allclose(spectrum.mean, rows.mean(0))
    np.testing.assert_allclose(spectrum.error, rows.std(0, ddof=1) / 3)


def test_common_rings_are_the_bins_of_the_radial_profile():
    calorimeter = Calorimeter.cylindrical([(0, 1, 4)] * 2, [2, 3])
    voxels = torch.arange(10.0)[None]
    profile = radial_profile(voxels, calorimeter)
    assert profile.edges.tolist() == [0, 1, 4]
    assert profile.mean.tolist() == [0 + 2 + 4 + 6 + 8, 1 + 3 + 5 + 7 + 9]
    assert profile.error.tolist() == [math.inf, math.inf]


def test_a_wider_shower_has_a_wider_profile():
    edges = [0, 2, 4, 8, 20]
    narrow, wide = (
        radial_profile(fabricated_showers(RINGS, 50, seed=4, radius=r).voxels, RINGS, edges).mean
        for r in (3.0, 9.0)
    )
    inner = [mean.cumsum(0) / mean.sum() for mean in (narrow, wide)]
    assert bool((inner[0][:-1] > inner[1][:-1] + 0.05).all())


def test_a_score_by_energy_is_the_score_of_the_events_of_each_bin():
    edges = [1e3, 1e4, 1e5, 1e6]
    real, generated = (fabricated_showers(RINGS, 40, seed=s) for s in (5, 6))
    seen = per_energy(lambda a, b: (a, b), edges, real, generated)
    for number, pair in enumerate(seen):
        for part, whole in zip(pair, (real, generated), strict=True):
            here = (whole.incident >= edges[number]) & (whole.incident < edges[number + 1])
            assert torch.equal(part.voxels, whole.voxels[here])
            assert torch.equal(part.incident, whole.incident[here])


def test_bins_hold_their_lower_edge_and_the_last_one_both():
    energies = torch.tensor([1.0, 2.0, 4.0, 0.5, 4.5])
    showers = Showers(torch.zeros(5, 1), energies)
    found = per_energy(lambda each: each.incident.tolist(), [1, 2, 4], showers)
    assert found == [[1.0], [2.0, 4.0]]


def test_what_cannot_be_used_is_refused():
    voxels = torch.ones(3, RINGS.voxels)
    with pytest.raises(ArgumentError, match="the layers have no common rings"):
        radial_profile(voxels, RINGS)
    with pytest.raises(ArgumentError, match="the layers have no common rings"):
        radial_profile(torch.ones(3, CELLS.voxels), CELLS)
    with pytest.raises(ArgumentError, match=r"edges: got \[0, 2, 2\], expected at least two"):
        radial_profile(voxels, RINGS, [0, 2, 2])
    with pytest.raises(ArgumentError, match="got no shower"):
        longitudinal_profile(voxels[:0], RINGS)
    voxels[1, 4] = -1
    with pytest.raises(DataError, match="of event 1: got -1"):
        longitudinal_profile(voxels, RINGS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@both
def test_the_same_on_a_gpu(calorimeter):
    voxels, edges = fabricated_showers(calorimeter, 9, seed=8).voxels, [0, 5, 10, 50]
    for function in (radial_profile, voxel_spectrum):
        expected = function(voxels, calorimeter, edges)
        for one, other in zip(function(voxels.cuda(), calorimeter, edges), expected, strict=True):
            torch.testing.assert_close(one.cpu(), other)
