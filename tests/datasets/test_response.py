"""The response of detectors: helices, granularity, resolution, thresholds, efficiency."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from pcgen.datasets.cards import Card, read_card
from pcgen.datasets.helix import wrapped
from pcgen.datasets.response import (
    LAYERS,
    Particles,
    Signals,
    at_surface,
    respond,
    tower_sigma,
)

Array = np.ndarray[Any, Any]
CMS, ATLAS = read_card("cms"), read_card("atlas")
MASS = {22: 0.0, 11: 0.000511, 13: 0.10566, 211: 0.13957, 310: 0.49761, 130: 0.49761}


def particles(
    kind: int, pt: Any, eta: Any, phi: Any = 0.0, charge: float = 0.0, jet: Any = None
) -> Particles:
    """Particles of one kind, each in a jet of its own unless ``jet`` is given."""
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, float)) for v in (pt, eta, phi)))
    n = len(columns[0])
    jets = np.arange(n) if jet is None else np.asarray(jet)
    return Particles(jets, *columns, np.full(n, MASS[kind]), np.full(n, charge), np.full(n, kind))


def energies(signals: Signals, layer: str) -> Array:
    """Energy of the signals of a layer."""
    here = signals.layer == LAYERS.index(layer)
    return signals.pt[here] * np.cosh(signals.eta[here])


def integrated(pt: float, eta: float, phi: float, charge: float, card: Card) -> tuple[float, float]:
    """η and φ at the calorimeter, from the Lorentz force by SciPy."""
    momentum = pt * math.cosh(eta)
    start = [
        0,
        0,
        0,
        math.cos(phi) / math.cosh(eta),
        math.sin(phi) / math.cosh(eta),
        math.tanh(eta),
    ]

    def force(_: float, state: Array) -> Array:
        bend = 0.299792458 * charge * np.cross(state[3:], [0, 0, card.field]) / momentum
        return np.concatenate([state[3:], bend])

    def leave(_: float, state: Array) -> float:
        return max(math.hypot(*state[:2]) / card.radius, abs(state[2]) / card.half_length) - 1

    leave.terminal = True  # type: ignore[attr-defined]
    path = integrate.solve_ivp(force, (0, 100), start, events=leave, rtol=1e-9, atol=1e-10)
    x, y, z = path.y[:3, -1]
    return math.asinh(z / math.hypot(x, y)), math.atan2(y, x)


@pytest.mark.parametrize(
    ("pt", "eta", "phi", "charge"),
    [
        (5.0, 0.3, 1.0, 1.0),
        (2.0, -1.1, 3.0, -1.0),
        (0.8, 0.5, -2.0, 1.0),  # just reaches the barrel
        (0.6, 1.0, 0.5, 1.0),  # curls, and leaves through the endcap
        (0.5, 0.9, 0.5, -1.0),  # more than half a turn
        (3.0, 2.4, -3.0, 1.0),
        (1.0, -2.0, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("card", [CMS, ATLAS], ids=["cms", "atlas"])
def test_helices_are_those_of_the_lorentz_force(
    pt: float, eta: float, phi: float, charge: float, card: Card
) -> None:
    found = at_surface(particles(211, pt, eta, phi, charge), card)
    expected = integrated(pt, eta, phi, charge, card)
    assert found[0][0] == pytest.approx(expected[0], abs=1e-6)
    assert wrapped(found[1] - expected[1])[0] == pytest.approx(0, abs=1e-6)


def test_the_deflection_is_that_of_the_circle() -> None:
    radius = 10 / (0.299792458 * 3.8)  # m, of 10 GeV
    for charge in (1.0, -1.0):
        eta, phi = at_surface(particles(211, 10.0, 0.0, 0.0, charge), CMS)
        assert phi[0] == pytest.approx(-charge * math.asin(1.29 / (2 * radius)))
        assert eta[0] == 0
    assert at_surface(particles(22, 10.0, 1.0, 2.0), CMS) == (pytest.approx(1), pytest.approx(2))


def test_a_particle_that_never_arrives_leaves_a_track_of_no_tower() -> None:
    lost = particles(211, [0.5], [0.0], 0.0, 1.0)  # circles across the beam for ever
    assert np.isnan(at_surface(lost, CMS)[0]).all()
    assert len(respond(lost, CMS, np.random.default_rng(0)).jet) == 0


def test_towers_are_the_cells_of_the_card() -> None:
    random = np.random.default_rng(1)
    eta, phi = random.uniform(-1.4, 1.4, 500), random.uniform(-math.pi, math.pi, 500)
    photons = respond(particles(22, 50.0, eta, phi), CMS, random)
    assert photons.jet.tolist() == list(range(500))
    assert set(photons.layer) == {1}
    cell = photons.eta / 0.0174 - 0.5
    assert cell == pytest.approx(np.round(cell), abs=1e-6)
    sector = np.degrees(photons.phi) - 0.5
    assert sector == pytest.approx(np.round(sector), abs=1e-6)
    assert np.abs(photons.eta - eta).max() <= 0.0087 + 1e-9
    assert np.abs(wrapped(photons.phi - phi)).max() <= math.radians(0.5) + 1e-9
    hadrons = respond(particles(130, 50.0, eta, phi), CMS, random)
    assert set(hadrons.layer) == {2}
    assert np.abs(hadrons.eta - eta[hadrons.jet]).max() <= 0.0435 + 1e-9
    assert np.abs(wrapped(hadrons.phi - phi[hadrons.jet])).max() <= math.radians(2.5) + 1e-9


def test_particles_of_one_jet_share_towers_and_those_of_two_do_not() -> None:
    pair = particles(22, [20.0, 30.0], [0.01, 0.012], [0.001, 0.002], jet=[0, 0])
    both = respond(pair, CMS, np.random.default_rng(0))
    assert len(both.jet) == 1
    assert energies(both, "ECAL")[0] == pytest.approx(50, rel=0.1)
    apart = respond(pair._replace(jet=np.array([0, 1])), CMS, np.random.default_rng(0))
    assert apart.jet.tolist() == [0, 1]


def crystals(energy: float) -> float:
    return math.hypot(0.008 * energy, 0.11 * energy**0.5, 0.40)


@pytest.mark.parametrize(
    ("kind", "layer", "energy", "eta", "sigma"),
    [
        (22, "ECAL", 50.0, 0.7, lambda e, h: (1 + 0.64 * h**2) * crystals(e)),
        (22, "ECAL", 200.0, 2.2, lambda e, h: (2.16 + 5.6 * (h - 2) ** 2) * crystals(e)),
        (130, "HCAL", 80.0, 0.3, lambda e, h: math.hypot(0.05 * e, 1.5 * e**0.5)),
        (130, "HCAL", 300.0, 3.4, lambda e, h: math.hypot(0.13 * e, 2.7 * e**0.5)),
    ],
)
def test_energies_have_the_resolution_of_the_card(
    kind: int, layer: str, energy: float, eta: float, sigma: Any
) -> None:
    number = 4000
    momentum = math.sqrt(energy**2 - MASS[kind] ** 2)
    given = particles(kind, np.full(number, momentum / math.cosh(eta)), eta)
    signals = respond(given, CMS, np.random.default_rng(3))
    measured, width = energies(signals, layer), sigma(energy, float(signals.eta[0]))
    assert len(measured) == number
    assert measured.mean() == pytest.approx(energy, abs=4 * width / math.sqrt(number))
    assert measured.std() == pytest.approx(width, rel=0.08)
    assert (measured > 0).all()


def test_thresholds_and_significance_keep_the_expected_share() -> None:
    """The probability of log-normal energies above the root of E' = k σ(E'), by SciPy."""
    number, grid = 4000, np.geomspace(0.05, 60, 20_000)
    for card, kind, layer, law in (
        (CMS, 22, "ECAL", CMS.ecal),
        (CMS, 130, "HCAL", CMS.hcal),
        (ATLAS, 130, "HCAL", ATLAS.hcal),
    ):
        centre = np.full_like(grid, 0.5 * law.edges[1])
        width = tower_sigma(law, centre, grid)
        kept = grid >= np.maximum(law.threshold, law.significance * width)
        for energy in (1.0, 3.0):
            given = particles(kind, np.full(number, math.sqrt(energy**2 - MASS[kind] ** 2)), 0.0)
            signals = respond(given, card, np.random.default_rng(0))
            variance = math.log1p((np.interp(energy, grid, width) / energy) ** 2)
            law_of = stats.lognorm(variance**0.5, scale=energy * math.exp(-variance / 2))
            expected = float(integrate.trapezoid(law_of.pdf(grid) * kept, grid))
            found = len(energies(signals, layer)) / number
            error = math.sqrt(max(expected * (1 - expected), 1e-3) / number)
            assert found == pytest.approx(expected, abs=4.5 * error), (card.name, layer, energy)
            assert energies(signals, layer).min(initial=9) >= law.threshold


@pytest.mark.parametrize(
    ("kind", "pt", "eta", "efficiency", "width"),
    [
        (211, 5.0, 0.3, 0.95, math.hypot(0.06, 1.3e-3 * 5)),
        (211, 0.5, 0.3, 0.70, None),
        (211, 20.0, 2.0, 0.85, math.hypot(0.25, 3.1e-3 * 20)),
        (211, 0.08, 2.0, 0.0, None),
        (211, 20.0, 2.7, 0.0, None),
        (11, 200.0, 1.0, 0.99, math.hypot(0.05, 1.7e-3 * 200)),
        (13, 30.0, 1.0, 0.99, math.hypot(0.015, 1.5e-4 * 30)),
    ],
)
def test_tracks_are_found_and_measured_as_the_card_has_it(
    kind: int, pt: float, eta: float, efficiency: float, width: float | None
) -> None:
    number = 3000
    given = particles(kind, np.full(number, pt), eta, 1.0, -1.0)
    # Where a band of efficiency is tested, in ATLAS, whose field lets slow particles arrive.
    signals = respond(given, ATLAS if width is None else CMS, np.random.default_rng(2))
    tracks = signals.pt[signals.layer == 0]
    error = math.sqrt(max(efficiency * (1 - efficiency), 1e-9) / number)
    assert len(tracks) / number == pytest.approx(efficiency, abs=4.5 * error)
    if width is not None:
        assert tracks.mean() == pytest.approx(pt, rel=4 * width / math.sqrt(number))
        assert tracks.std() == pytest.approx(pt * width, rel=0.12)
        here = signals.layer == 0
        assert signals.eta[here] == pytest.approx(eta)
        assert signals.phi[here] == pytest.approx(1.0)


def test_kinds_of_particles_deposit_where_they_should() -> None:
    n = 400
    for kind, charge, ecal, hcal in (
        (22, 0.0, 1.0, 0.0),
        (11, 1.0, 1.0, 0.0),
        (13, 1.0, 0.0, 0.0),
        (211, 1.0, 0.0, 1.0),
        (310, 0.0, 0.3, 0.7),
    ):
        signals = respond(
            particles(kind, np.full(n, 500.0), 0.2, 0.5, charge), CMS, np.random.default_rng(4)
        )
        total = n * 500 * math.cosh(0.2)
        assert energies(signals, "ECAL").sum() / total == pytest.approx(ecal, abs=0.01)
        assert energies(signals, "HCAL").sum() / total == pytest.approx(hcal, abs=0.02)


def test_signals_come_jet_after_jet_and_fall() -> None:
    random = np.random.default_rng(5)
    n = 300
    given = particles(
        211, random.exponential(8, n), random.normal(0, 0.4, n), random.normal(0, 0.4, n), 1.0,
        jet=np.sort(random.integers(0, 5, n)),
    )  # fmt: skip
    signals = respond(given, CMS, random)
    assert (np.diff(signals.jet) >= 0).all()
    assert (np.diff(signals.pt)[np.diff(signals.jet) == 0] <= 0).all()
    again = respond(given, CMS, np.random.default_rng(7))
    same = respond(given, CMS, np.random.default_rng(7))
    assert all(np.array_equal(a, b) for a, b in zip(again, same, strict=True))
