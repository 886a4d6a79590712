"""Jets of Pythia: exact kinematics, the requested windows, a pure function of the seed."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from pcgen.datasets import pythia
from pcgen.datasets.pythia import PROCESSES, Jets, JetSettings, generate
from pcgen.errors import ArgumentError, MissingExtraError

pytest.importorskip("pythia8mc")


@pytest.fixture(scope="module", params=list(PROCESSES))
def jets(request: pytest.FixtureRequest) -> Jets:
    return generate(request.param, 40, 7, JetSettings())


def momenta(jets: Jets) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Massless four-momenta (E, px, py, pz) of the jets in their own φ, and the jet of each row."""
    jet = np.repeat(np.arange(len(jets.sizes)), jets.sizes)
    pt = jets.weight.astype(float)
    eta = jets.pos[:, 0].astype(float) + jets.eta.astype(float)[jet]
    phi = jets.pos[:, 1].astype(float)
    rows = (pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
    return np.stack([np.bincount(jet, row) for row in rows]), jet


def test_particles_add_up_to_the_jet_exactly(jets: Jets) -> None:
    (_, px, py, pz), _ = momenta(jets)
    # Momenta, unlike energies, do not depend on the particles' masses: float32 is all that is lost.
    assert np.hypot(px, py) == pytest.approx(jets.pt, rel=3e-7)
    assert np.arctan2(py, px) == pytest.approx(np.zeros(len(px)), abs=1e-7)
    assert np.arcsinh(pz / np.hypot(px, py)) == pytest.approx(jets.eta, abs=5e-7)


def test_masses_exceed_those_of_massless_particles_a_little(jets: Jets) -> None:
    (energy, px, py, pz), _ = momenta(jets)
    massless = np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))
    lost = jets.mass - massless
    assert (lost > -0.1).all()
    assert np.median(lost) < 15


def test_particles_with_their_masses_have_the_mass_of_the_jet(jets: Jets) -> None:
    (_, px, py, pz), jet = momenta(jets)
    pt, rest = jets.weight.astype(float), jets.rest.astype(float)
    eta = jets.pos[:, 0].astype(float) + jets.eta.astype(float)[jet]
    energy = np.bincount(jet, np.sqrt((pt * np.cosh(eta)) ** 2 + rest**2))
    mass = np.sqrt(energy**2 - px**2 - py**2 - pz**2)
    assert mass == pytest.approx(jets.mass, rel=2e-3, abs=0.1)


def test_kinds_charges_and_masses_belong_together(jets: Jets) -> None:
    kind = np.abs(jets.kind)
    assert not np.isin(kind, (12, 14, 16)).any()  # no neutrinos
    for number, mass in ((22, 0.0), (211, 0.13957), (130, 0.49761), (2212, 0.93827)):
        assert jets.rest[kind == number] == pytest.approx(mass, abs=1e-5)
    charged = np.isin(kind, (211, 321, 2212))
    assert np.array_equal(jets.charge[charged], np.sign(jets.kind[charged]))
    assert not jets.charge[np.isin(kind, (22, 130, 2112))].any()


def test_jets_are_in_the_window_and_complete(jets: Jets) -> None:
    assert len(jets.sizes) == len(jets.pt) == len(jets.eta) == len(jets.mass) == 40
    assert jets.sizes.sum() == len(jets.pos) == len(jets.weight)
    assert ((jets.pt > 800) & (jets.pt < 1600)).all()
    assert np.abs(jets.eta).max() < 2.6  # |y| < 2.5
    assert (jets.weight > 0).all()
    assert np.abs(jets.pos[:, 1]).max() < 0.6
    assert {array.dtype for array in (jets.pos, jets.weight, jets.pt)} == {np.dtype(np.float32)}


def test_particles_are_sorted_and_collisions_counted(jets: Jets) -> None:
    _, jet = momenta(jets)
    same = jet[1:] == jet[:-1]
    assert (np.diff(jets.weight)[same] <= 0).all()
    assert (np.diff(jets.event) >= 0).all()
    assert np.unique(jets.event, return_counts=True)[1].max() <= 2


class Momentum(NamedTuple):
    """Stands for a particle, a parton and a jet of Pythia."""

    pdg: int
    transverse: float
    rapidity: float
    azimuth: float

    def id(self) -> int:
        return self.pdg

    def idAbs(self) -> int:
        return abs(self.pdg)

    def charge(self) -> float:
        return 0.0

    def m(self) -> float:
        return 0.0

    def pT(self) -> float:
        return self.transverse

    def y(self) -> float:
        return self.rapidity

    eta = y

    def phi(self) -> float:
        return self.azimuth


class Collision:
    """Stands for Pythia's event record and SlowJet: two partons, jets of one particle each."""

    def __init__(self, partons: list[Momentum], jets: list[Momentum]) -> None:
        self.partons, self.found = partons, jets

    def __getitem__(self, entry: int) -> Any:
        if entry == 3:
            return SimpleNamespace(daughterList=lambda: [5, 6])
        if entry in (5, 6):  # as produced; 15 and 16 are the last copies, after radiation
            pdg = self.partons[entry - 5].pdg
            return SimpleNamespace(idAbs=lambda: abs(pdg), iBotCopyId=lambda: entry + 10)
        return self.partons[entry - 15] if entry in (15, 16) else self.found[entry - 100]

    def analyze(self, event: Collision) -> None:
        assert event is self

    def sizeJet(self) -> int:
        return len(self.found)

    def constituents(self, jet: int) -> list[int]:
        return [100 + jet]

    def p(self, jet: int) -> Momentum:
        return self.found[jet]

    def y(self, jet: int) -> float:
        return self.found[jet].rapidity

    def phi(self, jet: int) -> float:
        return self.found[jet].azimuth

    def pT(self, jet: int) -> float:
        return self.found[jet].transverse

    def m(self, jet: int) -> float:
        return 1.0


TOPS = [Momentum(6, 1000, 0.5, 3.1), Momentum(-6, 1000, -2.45, 0.0)]


@pytest.mark.parametrize(
    ("partons", "jets", "kept"),
    [
        (TOPS, [Momentum(0, 900, 0.5, 3.1), Momentum(0, 900, -2.45, 0.0)], [0, 1]),
        (TOPS, [Momentum(0, 900, 0.5, -3.1), Momentum(0, 900, -2.45, 0.19)], [0, 1]),  # φ wraps
        (TOPS, [Momentum(0, 900, 0.71, 3.1), Momentum(0, 900, -2.45, 0.21)], []),  # ΔR > R/2
        (TOPS, [Momentum(0, 900, 0.65, 2.95), Momentum(0, 900, -2.51, 0.0)], []),  # ΔR, |y|
        (TOPS, [Momentum(0, 799, 0.5, 3.1), Momentum(0, 1601, -2.45, 0.0)], []),  # window
        (TOPS, [Momentum(0, 1100, 2, 1), Momentum(0, 999, 0, 1), Momentum(0, 900, 0.5, 3.1)], []),
        ([Momentum(21, 1000, 0.5, 3.1), TOPS[1]], [Momentum(0, 900, 0.5, 3.1)], []),  # a gluon
        (TOPS, [], []),
    ],
)
def test_jets_are_matched_to_partons_of_their_class(
    partons: list[Momentum], jets: list[Momentum], kept: list[int]
) -> None:
    collision = Collision(partons, jets)
    found = list(pythia._jets(collision, collision, (6,), JetSettings(), 7))
    assert [jet.pt for jet in found] == [jets[i].transverse for i in kept]
    assert [jet.phi for jet in found] == [jets[i].azimuth for i in kept]
    assert all(jet.event == 7 and len(jet.particles) == 1 for jet in found)


def test_the_same_seed_gives_the_same_jets_and_a_prefix() -> None:
    first, again = (generate("q", number, 3, JetSettings()) for number in (12, 8))
    points = int(first.sizes[:8].sum())
    assert np.array_equal(first.sizes[:8], again.sizes)
    assert np.array_equal(first.pos[:points], again.pos)
    assert np.array_equal(first.weight[:points], again.weight)
    other = generate("q", 8, 4, JetSettings())
    assert not np.array_equal(other.pt, again.pt)


def test_radius_and_windows_do_what_they_say() -> None:
    settings = JetSettings(0.8, 380.0, 450.0, 390.0, 410.0)
    wide = generate("g", 30, 1, settings)
    assert ((wide.pt > 380) & (wide.pt < 450)).all()
    assert np.abs(wide.pos[:, 1]).max() > 0.6  # particles that R = 0.4 cannot hold


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, "radius: got 0.0, expected more than 0"),
        ({"radius": math.nan}, "radius: got nan"),
        ({"pt_min": 900.0, "pt_max": 800.0}, "pt_min, pt_max: got 900 and 800 GeV"),
        ({"pt_min": -1.0}, "pt_min, pt_max: got -1 and 1600 GeV"),
        ({"pt_max": math.inf}, "pt_min, pt_max: got 800 and inf GeV"),
        ({"parton_pt_min": 2000.0}, "parton_pt_min, parton_pt_max: got 2000 and 1010"),
        ({"parton_pt_min": 7000.0, "parton_pt_max": 8000.0}, "energy of a beam, 6500 GeV"),
        ({"pt_min": 400.0, "pt_max": 600.0}, "overlaps that of the jets, 400 to 600 GeV"),
    ],
)
def test_windows_that_give_no_jets_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        JetSettings(**arguments)


def test_a_window_without_jets_does_not_run_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythia, "_PATIENCE", 20)
    narrow = JetSettings(pt_min=1009.999, pt_max=1009.9991)
    with pytest.raises(ArgumentError, match="class 't': 20 collisions in a row gave no jet"):
        generate("t", 1, 1, narrow)


def test_a_line_that_pythia_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythia, "_COMMON", ("Print:quiet = on", "Tune:none = 3"))
    with pytest.raises(ArgumentError, match="Pythia: got 'Tune:none = 3'"):
        generate("g", 1, 1, JetSettings())


def test_without_pythia_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pythia8mc==[\d.]+' \(pcgen's extra"):
        generate("g", 1, 1, JetSettings())
