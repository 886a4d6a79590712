"""Separation power: the formula over NumPy's histograms, bounds, and the CaloChallenge's bins."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fabricated_showers import CELLS, RINGS, fabricated_showers
from hypothesis import given
from hypothesis import strategies as st

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.scores import separation_power, shower_separation
from pcgen.metrics.showers import CALOCHALLENGE, Showers, shower_features

EDGES = [-1.0, -0.5, 0.0, 1.5, 2.0]
samples = st.lists(st.integers(-8, 12).map(lambda n: n / 4), min_size=1, max_size=40).map(
    lambda values: torch.tensor(values, dtype=torch.double)
)


def by_numpy(a, b, edges):
    """As the CaloChallenge's code does it: densities, times the widths of the bins."""
    p, q = (np.histogram(x.numpy(), bins=edges, density=True)[0] * np.diff(edges) for x in (a, b))
    return 0.5 * ((p - q) ** 2 / (p + q + 1e-16)).sum()


@given(samples, samples)
def test_is_the_formula_over_numpy_s_histograms(a, b):
    inside = [x[(x >= -1) & (x <= 2)] for x in (a, b)]
    if all(len(x) for x in inside):
        assert separation_power(a, b, EDGES) == pytest.approx(by_numpy(a, b, EDGES), abs=1e-12)
    else:
        assert separation_power(a, b, EDGES) == float(any(len(x) for x in inside))
    assert separation_power(a, b, EDGES) == separation_power(*inside, EDGES)


@given(samples, samples)
def test_counting_the_outside_adds_a_bin_below_and_one_above(a, b):
    wide = [-100.0, *EDGES[:-1], np.nextafter(2.0, 3.0), 100.0]
    counted = separation_power(a, b, EDGES, outside="count")
    assert counted == pytest.approx(by_numpy(a, b, np.array(wide)), abs=1e-12)


@given(samples, samples)
def test_is_symmetric_and_between_0_and_1(a, b):
    value = separation_power(a, b, EDGES)
    assert 0 <= value <= 1 + 1e-12
    assert value == pytest.approx(separation_power(b, a, EDGES))
    assert separation_power(a, a, EDGES) == 0


def test_samples_in_different_bins_are_separated():
    assert separation_power(torch.tensor([0.1]), torch.tensor([0.9]), [0, 0.5, 1]) == 1


def test_halves_of_one_sample_are_at_the_floor():
    """S of two samples of n events in K filled bins is (K - 1) / 2n on average."""
    n, edges = 4000, np.linspace(0, 1, 21).tolist()
    values = [
        separation_power(torch.rand(n), torch.rand(n), edges, outside="count") for _ in range(50)
    ]
    assert np.mean(values) == pytest.approx(19 / (2 * n), abs=4 * np.std(values) / math.sqrt(50))


def test_what_cannot_be_used_is_refused():
    values = torch.tensor([0.5, torch.nan])
    with pytest.raises(DataError, match=r"generated\[1\]: got nan"):
        separation_power(values[:1], values, EDGES)
    with pytest.raises(ArgumentError, match=r"edges: got \[1, 0\]"):
        separation_power(values[:1], values[:1], [1, 0])
    with pytest.raises(ArgumentError, match="outside: got 'keep'"):
        separation_power(values, values, EDGES, outside="keep")


@pytest.mark.parametrize("name", ["1-photons", "2"])
def test_the_histograms_of_the_challenge(name):
    """Bin by bin as its code has them: edges are counted, the reference sets the upper ends."""
    data, low = CALOCHALLENGE[name], CALOCHALLENGE[name].threshold
    real, generated = (
        fabricated_showers(RINGS, 60, seed=s, threshold=low, radius=r)
        for s, r in ((1, 6.0), (2, 7.0))
    )
    scores = shower_separation(real, generated, RINGS, data)
    pair = [shower_features(showers, RINGS) for showers in (real, generated)]
    expected = {}
    ratio = [showers.voxels.sum(1) / showers.incident for showers in (real, generated)]
    expected["total energy"] = by_numpy(*ratio, np.linspace(0.5, 1.5, 101))
    for power in range(8, 23) if name == "1-photons" else ():
        limits = (0.4, 1.4) if power < 12 else (0.9, 1.1)
        rows = [showers.incident.log2().floor() == power for showers in (real, generated)]
        if any(row.any() for row in rows):
            here = [value[row] for value, row in zip(ratio, rows, strict=True)]
            key = f"energy response, {2**power:g} MeV"
            edges = np.linspace(*limits, 21)
            filled = [((v >= limits[0]) & (v <= limits[1])).any() for v in here]
            expected[key] = by_numpy(*here, edges) if all(filled) else float(any(filled))
    for layer, number in enumerate(RINGS.numbers):
        energy = [each.energy[:, layer] for each in pair]
        edges = np.logspace(np.log10(low), np.log10(energy[0].max().item()), 40)
        expected[f"energy, layer {number}"] = by_numpy(*energy, edges)
        filled = [1 - each.sparsity[:, layer] for each in pair]
        expected[f"sparsity, layer {number}"] = by_numpy(*filled, np.linspace(0, 1, 20))
        if number == 0:
            continue
        centre, width = {"2": (30, 30), "1-photons": (100, 100)}[name]
        if name == "1-photons" and number == 12:
            centre, width = 500, 400
        for text, axis in (("eta", "x"), ("phi", "y")):
            values = [getattr(each, f"centre_{axis}")[:, layer] for each in pair]
            edges = np.linspace(-centre, centre, 101)
            expected[f"centre {text}, layer {number}"] = by_numpy(*values, edges)
            values = [getattr(each, f"width_{axis}")[:, layer] for each in pair]
            edges = np.linspace(0, width, 101)
            expected[f"width {text}, layer {number}"] = by_numpy(*values, edges)
    voxels = [showers.voxels.flatten() for showers in (real, generated)]
    edges = np.logspace(np.log10(low), np.log10(voxels[0].max().item()), 50)
    expected["voxels"] = by_numpy(*voxels, edges)
    assert scores == pytest.approx(expected, abs=1e-12)


def test_wider_showers_are_separated_by_width_and_not_by_response():
    data = replace(CALOCHALLENGE["2"], width=20.0)
    real, twin, wide = (
        fabricated_showers(CELLS, 2000, seed=s, radius=r) for s, r in ((1, 6.0), (2, 6.0), (3, 9.0))
    )
    floor, scores = (shower_separation(real, other, CELLS, data) for other in (twin, wide))
    assert scores["width eta, layer 0"] > 10 * floor["width eta, layer 0"]
    assert scores["total energy"] < 3 * floor["total energy"]


def test_layers_without_energy():
    """Nothing in either is no separation; something in the generated alone is all of it."""
    voxels = torch.zeros(3, RINGS.voxels)
    voxels[:, 0] = 50.0
    real = Showers(voxels, torch.full((3,), 50.0))
    scores = shower_separation(real, real, RINGS, CALOCHALLENGE["2"])
    assert set(scores.values()) == {0.0}
    more = voxels.clone()
    more[:, -1] = 50.0
    scores = shower_separation(real, Showers(more, real.incident), RINGS, CALOCHALLENGE["2"])
    assert (scores["energy, layer 12"], scores["energy, layer 2"]) == (1.0, 0.0)


def test_voxels_below_the_threshold_do_not_count():
    real = fabricated_showers(RINGS, 30, seed=1)
    noisy = Showers(real.voxels + 0.9 * (real.voxels == 0), real.incident)
    scores = shower_separation(real, noisy, RINGS, CALOCHALLENGE["1-photons"])
    assert set(scores.values()) == {0.0}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_same_on_a_gpu():
    real, generated = (fabricated_showers(RINGS, 60, seed=s) for s in (1, 2))
    moved = [Showers(*(each.cuda() for each in side)) for side in (real, generated)]
    for data in (CALOCHALLENGE["1-photons"], CALOCHALLENGE["2"]):
        expected = shower_separation(real, generated, RINGS, data)
        # Rounding can move a value that lies on an edge.
        assert shower_separation(*moved, RINGS, data) == pytest.approx(expected, abs=0.05)
