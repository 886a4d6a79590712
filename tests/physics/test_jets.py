"""Physics of the simulated jets: masses show W, Z and top; multiplicities are those of the field.

Reference: 2000 jets of each class with the same process, tune, radius and window, simulated before
and apart from this code (Pythia 8.317, anti-kT R = 0.4), as mean and standard deviation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from pcgen import clouds as convention
from pcgen.datasets.jets import sample_jets, to_clouds
from pcgen.datasets.pythia import Jets, JetSettings, generate

MULTIPLICITY = {"g": (69, 22), "q": (40, 16), "t": (65, 17), "w": (42, 12), "z": (45, 14)}
MOMENTUM = {"g": (978, 97), "q": (989, 74), "t": (954, 77), "w": (998, 63), "z": (993, 65)}
MASS = {"t": 173, "w": 81, "z": 91}
Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def simulated() -> dict[str, Jets]:
    pytest.importorskip("pythia8mc")
    numbers = {"g": 100, "q": 100, "t": 250, "w": 250, "z": 250}
    return {name: generate(name, number, 11, JetSettings()) for name, number in numbers.items()}


@pytest.fixture(scope="module")
def shipped() -> dict[str, tuple[Array, Array]]:
    """Multiplicity and transverse momentum of the shipped jets, per class."""
    loaded = {name: sample_jets("all", classes=(name,)).load() for name in "gqt"}
    return {
        name: (convention.sizes(clouds).numpy(), clouds.y[:, 0].numpy())
        for name, clouds in loaded.items()
    }


def massless(pos: Array, weight: Array, jet: Array) -> Array:
    """Mass of massless particles in GeV; it does not change if all η move together."""
    eta, phi = pos.astype(float).T
    pt = weight.astype(float)
    rows = (pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
    energy, px, py, pz = (np.bincount(jet, row) for row in rows)
    return np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))


def mode(mass: Array, width: float = 4.0) -> float:
    """Centre of the most populated window of the given width, stepped by 1 GeV."""
    starts = np.arange(0, 400)
    counts = [((mass >= start) & (mass < start + width)).sum() for start in starts]
    best = np.flatnonzero(np.array(counts) == max(counts))
    return float(starts[best].mean() + width / 2)


def agrees(sample: Array, mean: float, deviation: float) -> bool:
    """Within 4 standard errors of both samples; √2 since jets of a collision come in pairs."""
    error = deviation * math.sqrt(2 / len(sample) + 2 / 2000) + 0.5  # the table is rounded to 1
    return abs(float(sample.mean()) - mean) < 4 * error


@pytest.mark.parametrize("name", "gqt")
def test_shipped_jets_have_the_multiplicity_and_momentum_of_the_table(
    shipped: dict[str, tuple[Array, Array]], name: str
) -> None:
    sizes, pt = shipped[name]
    assert agrees(sizes, *MULTIPLICITY[name])
    assert agrees(pt, *MOMENTUM[name])
    assert sizes.std() == pytest.approx(MULTIPLICITY[name][1], rel=0.1)
    assert pt.std() == pytest.approx(MOMENTUM[name][1], rel=0.15)


@pytest.mark.parametrize("name", "gqtwz")
def test_simulated_jets_have_the_multiplicity_and_momentum_of_the_table(
    simulated: dict[str, Jets], name: str
) -> None:
    assert agrees(simulated[name].sizes, *MULTIPLICITY[name])
    assert agrees(simulated[name].pt, *MOMENTUM[name])


@pytest.mark.parametrize("name", "twz")
def test_the_mass_peaks_at_the_particle(simulated: dict[str, Jets], name: str) -> None:
    assert mode(simulated[name].mass) == pytest.approx(MASS[name], abs=4)


@pytest.mark.parametrize("name", "twz")
def test_the_mass_of_the_cloud_peaks_a_little_below(simulated: dict[str, Jets], name: str) -> None:
    clouds = to_clouds(simulated[name], name)
    mass = massless(clouds.pos.numpy(), clouds.weight.numpy(), clouds.batch.numpy())
    assert MASS[name] - 8 < mode(mass) < MASS[name] + 2
    near = np.abs(mass - mode(mass)) < 10
    assert near.mean() > (0.25 if name == "t" else 0.5)


def test_w_and_z_are_distinguished_by_their_mass(simulated: dict[str, Jets]) -> None:
    assert mode(simulated["z"].mass) - mode(simulated["w"].mass) == pytest.approx(10, abs=4)


def test_shipped_tops_weigh_173_gev() -> None:
    clouds = sample_jets("all", classes=("t",)).load()
    mass = massless(clouds.pos.numpy(), clouds.weight.numpy(), clouds.batch.numpy())
    assert mode(mass) == pytest.approx(170, abs=4)  # 173 less what particle masses add
    background = sample_jets("all", classes=("q",)).load()
    light = massless(background.pos.numpy(), background.weight.numpy(), background.batch.numpy())
    assert np.median(light) == pytest.approx(41, abs=3)


def test_gluons_radiate_more_than_quarks(shipped: dict[str, tuple[Array, Array]]) -> None:
    # The ratio would be C_A / C_F = 9/4 asymptotically; 1.5 to 1.9 is seen at 1 TeV.
    assert 1.5 < shipped["g"][0].mean() / shipped["q"][0].mean() < 1.9


def test_the_soft_forward_tail_is_small_and_there() -> None:
    clouds = sample_jets("all").load()
    outside = (clouds.pos[:, 0].abs() > 0.4).double().mean()
    assert 0.001 < float(outside) < 0.02
    assert float(clouds.pos[:, 1].abs().max()) < math.pi / 4
    carried = clouds.weight[clouds.pos[:, 0].abs() > 0.6].double().sum() / clouds.weight.sum()
    assert float(carried) < 2e-3


def test_a_wider_jet_holds_more() -> None:
    pytest.importorskip("pythia8mc")
    wide = generate("t", 200, 3, JetSettings(radius=0.8))
    assert agrees(wide.sizes, 89, 23)
    assert float(np.median(wide.mass)) == pytest.approx(185, abs=5)
    assert torch.isfinite(to_clouds(wide, "t").pos).all()
