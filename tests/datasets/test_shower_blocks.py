"""Showers in voxels: energy is conserved, a shower is a function of seed and number alone."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcgen.datasets.calorimeters import GEOMETRIES, Detector, detector
from pcgen.datasets.electromagnetic import Spots
from pcgen.datasets.shower_blocks import (
    PARTICLES,
    Showers,
    ShowerSettings,
    deposited,
    generate_showers,
)
from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter

XML = """<Bins><Bin pid="22" name="photon">
<Layer id="0" r_edges="0,5,10,30" n_bin_alpha="8"/><Layer id="1" r_edges="0"  n_bin_alpha="1"/>
<Layer id="2" r_edges="0,10,50" n_bin_alpha="4"/></Bin></Bins>"""


def settings(
    particle: str = "electron", geometry: str = "cylinder", **given: Any
) -> ShowerSettings:
    return ShowerSettings(particle, detector(geometry), **{"energy": (1.0, 20.0), **given})


def assert_equal(one: Showers, other: Showers) -> None:
    for name, value in one._asdict().items():
        assert np.array_equal(value, getattr(other, name)), name


@pytest.mark.parametrize("particle", list(PARTICLES))
def test_a_shower_depends_on_seed_and_number_alone(particle: str) -> None:
    given = settings(particle)
    whole = generate_showers(3, 0, 7, given)
    parts = [generate_showers(3, first, n, given) for first, n in ((0, 2), (2, 1), (3, 4))]
    assert_equal(whole, Showers(*map(np.concatenate, zip(*parts, strict=True))))
    assert_equal(whole, generate_showers(3, 0, 7, given))
    other = generate_showers(4, 0, 7, given)
    assert not set(whole.incident.tolist()) & set(other.incident.tolist())


def test_particles_of_one_seed_have_different_energies() -> None:
    found = [generate_showers(0, 0, 3, settings(particle)).incident for particle in PARTICLES]
    assert len({float(energy) for each in found for energy in each}) == 9


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_energy_is_in_voxels_beside_them_or_lost(geometry: str) -> None:
    given = settings(geometry=geometry, threshold=5.0)
    made = generate_showers(1, 0, 30, given)
    event = np.repeat(np.arange(30), made.sizes)
    seen = np.bincount(event, made.energy, 30) + made.beside + made.lost
    c = given.detector.filling.resolution
    pull = (seen / made.incident - 1) / (c / np.sqrt(made.incident / 1e3))
    assert abs(pull.mean()) < 4 / math.sqrt(30)
    assert 0.5 < pull.std() < 1.5
    assert made.energy.min() > 5
    assert min(made.lost.min(), made.beside.min()) > 0
    voxels = given.detector.calorimeter.voxels
    assert made.voxel.max() < voxels
    rising = np.diff(made.voxel) > 0
    assert rising[np.diff(event) == 0].all()


def test_spots_are_summed_in_the_voxels_that_they_lie_in() -> None:
    calorimeter = Calorimeter.cylindrical(
        [(0, 2, 5), (1, 4)], [4, 2], numbers=(0, 12), depth=(0, 10, 40)
    )
    random = np.random.default_rng(0)
    layer = random.integers(0, 2, 500)
    x, y = random.normal(0, 2.5, (2, 500))
    energy = random.exponential(1.0, 500)
    found, beside = deposited(Spots(x, y, layer, energy), calorimeter)
    expected, out = np.zeros(10), 0.0
    for px, py, pl, pe in zip(x, y, layer, energy, strict=True):
        edges, sectors, first = (((0, 2, 5), 4, 0), ((1, 4), 2, 8))[pl]
        r, turn = math.hypot(px, py), (math.atan2(py, px) + math.pi) / (2 * math.pi)
        if edges[0] <= r <= edges[-1]:
            ring = sum(r >= edge for edge in edges[1:-1])
            expected[first + int(turn * sectors) * (len(edges) - 1) + ring] += pe
        else:
            out += pe
    assert found == pytest.approx(expected)
    assert beside == pytest.approx(out)


def test_energies_are_log_uniform_and_one_energy_is_possible() -> None:
    given = ShowerSettings("pion", detector("stack"), (10.0, 1000.0))
    incident = generate_showers(0, 0, 200, given).incident / 1e3
    share = np.log(incident / 10) / math.log(100)
    assert 0 <= share.min() < share.max() <= 1
    assert share.mean() == pytest.approx(0.5, abs=4 / math.sqrt(12 * 200))
    assert (incident < 100).mean() == pytest.approx(0.5, abs=0.15)
    fixed = generate_showers(0, 0, 2, ShowerSettings("electron", detector("stack"), (7.0, 7.0)))
    assert fixed.incident == pytest.approx([7000, 7000])


def test_settings_travel_to_other_processes() -> None:
    given = settings()
    assert pickle.loads(pickle.dumps(given)) == given


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"particle": "muon"}, "particle: got 'muon', expected one of electron, photon, pion"),
        ({"energy": (5.0, 1.0)}, "energy: got 5 to 1 GeV, expected 0.1 to 10000 GeV"),
        ({"particle": "pion", "energy": (0.5, 9.0)}, "expected 1 to 10000 GeV for pions"),
        ({"energy": (1.0, math.nan)}, "energy: got 1 to nan GeV"),
        ({"threshold": -1.0}, "threshold: got -1.0, expected a number ≥ 0 of MeV"),
        (
            {"detector": Detector(Calorimeter.planar([(0, 1)], [(0, 1)]), "lead-tungstate")},
            "detector: got a calorimeter without depths",
        ),
    ],
)
def test_bad_settings_are_named(arguments: dict[str, Any], message: str) -> None:
    given = {"particle": "electron", "detector": detector("stack"), **arguments}
    with pytest.raises(ArgumentError, match=message):
        ShowerSettings(**given)


# --- calorimeters by name -------------------------------------------------------------------------


def test_the_cylinder_is_data_set_2_of_the_calochallenge() -> None:
    calorimeter, medium = detector("cylinder")
    assert [grid.cells for grid in calorimeter.layers] == [(16, 9)] * 45
    assert calorimeter.layers[0].edges[1][-1] == pytest.approx(41.85)
    assert calorimeter.depth[-1] == pytest.approx(153)
    assert (calorimeter.voxels, medium) == (6480, "tungsten-silicon")


def test_layers_of_the_stack_differ() -> None:
    calorimeter, medium = detector("stack")
    cells = [grid.cells for grid in calorimeter.layers]
    assert cells == [(24, 24)] * 4 + [(12, 12)] * 4 + [(6, 6)] * 4 + [(3, 3)] * 2
    assert np.diff(calorimeter.depth).tolist() == [12.0] * 4 + [24.0] * 4 + [48.0] * 4 + [96.0] * 2
    assert medium == "lead-scintillator"


def test_medium_and_thickness_can_be_chosen(tmp_path: Path) -> None:
    calorimeter, medium = detector("stack", medium="iron-scintillator", thickness=[100])
    assert (calorimeter.depth[-1], medium) == (1400, "iron-scintillator")
    (tmp_path / "a.xml").write_text(XML)
    calorimeter, _ = detector(tmp_path / "a.xml", medium="lead-tungstate", thickness=[10, 200])
    assert (calorimeter.depth, calorimeter.numbers) == ((0, 10, 210), (0, 2))
    assert calorimeter.voxels == 24 + 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"geometry": "sphere"}, "geometry: got 'sphere', expected cylinder, stack or a file .xml"),
        ({"medium": "water"}, "medium: got 'water', expected one of tungsten-silicon, lead-"),
        ({"thickness": [1, 2]}, "thickness: got 1 2, expected one positive number of mm, or 45"),
        ({"thickness": [-1]}, "thickness: got -1, expected"),
        ({"geometry": "a.xml"}, "medium: got none for a.xml, expected one of"),
        ({"geometry": "a.xml", "medium": "lead-tungstate"}, "thickness: got none for a.xml"),
    ],
)
def test_bad_calorimeters_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        detector(**{"geometry": "cylinder", **arguments})
