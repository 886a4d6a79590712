"""Features of showers: closed forms, symmetries, the definition written out, empty showers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fabricated_showers import CELLS, RINGS, fabricated_showers
from hypothesis import given
from hypothesis import strategies as st

from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter
from pcgen.images import shower_to_cloud
from pcgen.metrics.showers import (
    Showers,
    high_level_features,
    high_level_names,
    log_voxels,
    low_level_features,
    shower_features,
    showers_of,
)

both = pytest.mark.parametrize("calorimeter", [RINGS, CELLS], ids=["rings", "cells"])


def features(voxels, calorimeter):
    return shower_features(Showers(voxels, torch.ones(len(voxels))), calorimeter)


@both
def test_features_are_their_definitions_summed_voxel_by_voxel(calorimeter):
    showers = fabricated_showers(calorimeter, 5, seed=1)
    found, geometry = shower_features(showers, calorimeter), calorimeter.geometry()
    for event, row in enumerate(showers.voxels.tolist()):
        for layer in range(len(calorimeter.layers)):
            start, stop = calorimeter.boundaries[layer : layer + 2]
            energy = row[start:stop]
            total = math.fsum(energy)
            assert found.energy[event, layer].item() == pytest.approx(total)
            empty = sum(e == 0 for e in energy) / len(energy)
            assert found.sparsity[event, layer].item() == pytest.approx(empty)
            for name, place in zip("xyr", (*geometry.centre.T[:2], geometry.r), strict=True):
                at = place[start:stop].tolist()
                mean = math.fsum(e * p for e, p in zip(energy, at, strict=True)) / total
                spread = math.fsum(e * (p - mean) ** 2 for e, p in zip(energy, at, strict=True))
                centre = getattr(found, f"centre_{name}")[event, layer].item()
                width = getattr(found, f"width_{name}")[event, layer].item()
                assert centre == pytest.approx(mean, abs=1e-9)
                assert width == pytest.approx(math.sqrt(spread / total), abs=1e-6)


@given(st.sampled_from([RINGS, CELLS]), st.integers(0, 10**6), st.floats(1e-3, 1e6))
def test_a_single_voxel_is_a_centre_without_width(calorimeter, number, energy):
    voxel = number % calorimeter.voxels
    voxels = torch.zeros(1, calorimeter.voxels, dtype=torch.double)
    voxels[0, voxel] = energy
    found, geometry = features(voxels, calorimeter), calorimeter.geometry()
    layer = int(geometry.layer[voxel])
    assert found.energy.tolist() == [
        [energy * (k == layer) for k in range(len(calorimeter.layers))]
    ]
    here = [found.centre_x, found.centre_y, found.centre_r]
    expected = [*geometry.centre[voxel, :2].tolist(), geometry.r[voxel].item()]
    assert [each[0, layer].item() for each in here] == pytest.approx(expected)
    for width in (found.width_x, found.width_y, found.width_r):
        assert width[0, layer].item() == pytest.approx(0, abs=1e-5)
    cells = math.prod(calorimeter.layers[layer].cells)
    assert found.sparsity[0, layer].item() == pytest.approx(1 - 1 / cells)


def test_two_opposite_voxels_have_the_width_of_their_distance():
    calorimeter = Calorimeter.cylindrical([(2, 4)], [6])
    found = features(torch.tensor([[1.0, 0, 0, 1, 0, 0]]), calorimeter)
    angle = -math.pi + math.pi / 6
    assert found.centre_x.item() == pytest.approx(0, abs=1e-12)
    assert found.centre_y.item() == pytest.approx(0, abs=1e-12)
    assert found.width_x.item() == pytest.approx(3 * abs(math.cos(angle)))
    assert found.width_y.item() == pytest.approx(3 * abs(math.sin(angle)))
    assert (found.centre_r.item(), found.width_r.item()) == pytest.approx((3, 0), abs=1e-6)


@given(st.integers(2, 30))
def test_a_uniform_ring_is_centred_and_as_wide_in_x_as_in_y(sectors):
    calorimeter = Calorimeter.cylindrical([(1, 5)], [sectors])
    found = features(torch.ones(1, sectors, dtype=torch.double), calorimeter)
    assert found.centre_x.item() == pytest.approx(0, abs=1e-12)
    assert found.centre_y.item() == pytest.approx(0, abs=1e-12)
    if sectors > 2:
        # The mean of cos² over equal angles is one half.
        assert found.width_x.item() == pytest.approx(3 / math.sqrt(2))
        assert found.width_y.item() == pytest.approx(3 / math.sqrt(2))


@given(st.integers(1, 7), st.integers(0, 99))
def test_turning_the_shower_turns_its_centre(steps, seed):
    edges, sectors = (0, 1, 3, 4), 8
    calorimeter = Calorimeter.cylindrical([edges], [sectors])
    generator = torch.Generator().manual_seed(seed)
    energy = torch.rand(1, sectors, 3, dtype=torch.double, generator=generator)
    before = features(energy.flatten(1), calorimeter)
    after = features(energy.roll(steps, 1).flatten(1), calorimeter)
    angle = 2 * math.pi * steps / sectors
    turned = complex(before.centre_x.item(), before.centre_y.item()) * complex(
        math.cos(angle), math.sin(angle)
    )
    assert after.centre_x.item() == pytest.approx(turned.real, abs=1e-9)
    assert after.centre_y.item() == pytest.approx(turned.imag, abs=1e-9)
    for name in ("energy", "centre_r", "width_r", "sparsity"):
        torch.testing.assert_close(getattr(after, name), getattr(before, name))
    # The sum of the variances does not know the axes.
    variance = [each.width_x**2 + each.width_y**2 for each in (before, after)]
    torch.testing.assert_close(*variance)


@given(st.integers(0, 99), st.floats(1e-3, 1e3))
def test_places_do_not_depend_on_the_unit_of_energy(seed, factor):
    showers = fabricated_showers(RINGS, 3, seed=seed)
    one, other = features(showers.voxels, RINGS), features(showers.voxels * factor, RINGS)
    torch.testing.assert_close(other.energy, one.energy * factor)
    for a, b in zip(one[1:], other[1:], strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-9)


@both
def test_empty_showers_have_finite_features(calorimeter):
    empty = Showers(torch.zeros(2, calorimeter.voxels), torch.tensor([1e3, 1e6]))
    found = shower_features(empty, calorimeter)
    assert bool((found.sparsity == 1).all())
    assert not any(bool(each.any()) for each in found[:-1])
    matrix = dict(
        zip(high_level_names(calorimeter), high_level_features(empty, calorimeter).T, strict=True)
    )
    assert matrix["log incident energy"].tolist() == pytest.approx([3, 6])
    assert matrix["log total energy"].tolist() == [-8, -8]
    assert bool(low_level_features(empty, calorimeter)[:, 1:].eq(0).all())
    assert bool(log_voxels(empty.voxels).eq(-1).all())


def test_high_level_features_are_in_the_challenge_s_order_and_scale():
    showers = fabricated_showers(RINGS, 6, seed=2)
    found = shower_features(showers, RINGS)
    blocks = [
        np.log10(showers.incident.numpy())[:, None],
        np.log10(found.energy.numpy() + 1e-8),
        # The first layer is not cut into angles.
        *(each.numpy()[:, 1:] / 1e2 for each in (found.centre_x, found.centre_y)),
        *(each.numpy()[:, 1:] / 1e2 for each in (found.width_x, found.width_y)),
        np.log10(showers.voxels.numpy().sum(1, keepdims=True) + 1e-8),
        found.sparsity.numpy(),
        found.centre_r.numpy() / 1e2,
        found.width_r.numpy() / 1e2,
    ]
    matrix = high_level_features(showers, RINGS)
    assert matrix.dtype == torch.double
    np.testing.assert_allclose(matrix.numpy(), np.concatenate(blocks, 1), rtol=1e-12)
    names = high_level_names(RINGS)
    assert len(names) == len(set(names)) == matrix.shape[1]
    assert names[5:8] == ["centre eta, layer 1", "centre eta, layer 2", "centre eta, layer 12"]


def test_the_numbers_of_features_are_those_of_the_challenge():
    two = Calorimeter.cylindrical([[4.65 * k for k in range(10)]] * 45, [16] * 45)
    assert len(high_level_names(two)) == 362
    photons = Calorimeter.cylindrical([(0, 1)] * 5, [1, 10, 10, 1, 1])
    assert len(high_level_names(photons)) == 1 + 5 + 4 * 2 + 1 + 3 * 5


@both
def test_low_level_features_sum_to_the_response(calorimeter):
    showers = fabricated_showers(calorimeter, 6, seed=3)
    matrix = low_level_features(showers, calorimeter)
    assert matrix.shape == (6, 1 + calorimeter.voxels)
    torch.testing.assert_close(10 ** matrix[:, 0], showers.incident)
    torch.testing.assert_close(matrix[:, 1:].sum(1), showers.voxels.sum(1) / showers.incident)


@both
def test_clouds_have_the_features_of_their_voxels(calorimeter):
    showers = fabricated_showers(calorimeter, 6, seed=4)
    clouds = shower_to_cloud(showers.voxels, calorimeter, y=showers.incident[:, None])
    again = showers_of(clouds, calorimeter)
    assert torch.equal(
        high_level_features(again, calorimeter), high_level_features(showers, calorimeter)
    )


def test_float32_showers_are_computed_in_float64():
    showers = fabricated_showers(RINGS, 6, seed=5)
    single = Showers(showers.voxels.float(), showers.incident.float())
    double = Showers(single.voxels.double(), single.incident.double())
    assert torch.equal(high_level_features(single, RINGS), high_level_features(double, RINGS))


def test_emptying_below_the_threshold_keeps_what_is_on_it():
    showers = Showers(torch.tensor([[0.5, 1.0, 1.5]]), torch.ones(1))
    assert showers.above(1.0).voxels.tolist() == [[0.0, 1.0, 1.5]]


@pytest.mark.parametrize("bad", [-0.5, torch.nan, torch.inf])
def test_bad_energies_survive_a_threshold_and_are_not_usable(bad):
    voxels = torch.full((4, RINGS.voxels), 2.0)
    voxels[2, 3] = bad
    showers = Showers(voxels, torch.tensor([1.0, torch.nan, 1.0, 0.0])).above(1.0)
    assert showers.usable.tolist() == [True, False, False, False]
    with pytest.raises(DataError, match="of event 2: got"):
        shower_features(showers, RINGS)
    assert shower_features(showers.select(showers.usable), RINGS).energy.shape == (1, 4)


@both
def test_no_events_have_no_features(calorimeter):
    none = Showers(torch.zeros(0, calorimeter.voxels), torch.zeros(0))
    assert high_level_features(none, calorimeter).shape == (0, len(high_level_names(calorimeter)))


def test_bad_showers_are_refused_by_event():
    showers = fabricated_showers(RINGS, 4, seed=6)
    voxels = showers.voxels.clone()
    voxels[2, 0] = torch.nan
    with pytest.raises(DataError, match=r"voxel 0 \(layer 0\) of event 2: got nan"):
        shower_features(Showers(voxels, showers.incident), RINGS)
    with pytest.raises(DataError, match=r"incident energy of event 1: got 0\.0"):
        low_level_features(Showers(showers.voxels, torch.tensor([1.0, 0, 1, 1])), RINGS)
    with pytest.raises(ArgumentError, match=r"incident: got \(3,\), expected \[4\]"):
        high_level_features(Showers(showers.voxels, showers.incident[:3]), RINGS)
    with pytest.raises(ArgumentError, match="clouds: got no y"):
        showers_of(shower_to_cloud(showers.voxels, RINGS), RINGS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@both
def test_the_same_on_a_gpu(calorimeter):
    showers = fabricated_showers(calorimeter, 20, seed=7)
    moved = Showers(showers.voxels.cuda(), showers.incident.cuda())
    clouds = shower_to_cloud(moved.voxels, calorimeter, y=moved.incident[:, None])
    for function in (high_level_features, low_level_features):
        expected = function(showers, calorimeter)
        for side in (moved, showers_of(clouds, calorimeter)):
            torch.testing.assert_close(function(side, calorimeter).cpu(), expected)
