from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics import observables, point_features
from pcgen.metrics.features import event_features
from pcgen.metrics.jets.kinematics import (
    about_axis,
    four_momentum,
    girth,
    is_jet,
    leading_fraction,
    mass,
    transverse_momentum,
)
from pcgen.schema import Quantity, Schema

JETS = Schema((Quantity("eta_rel"), Quantity("phi_rel", "rad", 2 * math.pi)), Quantity("pt", "GeV"))
HITS = Schema((Quantity("x", "mm"), Quantity("y", "mm"), Quantity("z", "mm")), Quantity("E", "MeV"))


def random_jets(sizes, dimensions=2):
    n = sum(sizes)
    return pc.make(torch.randn(n, dimensions) * 0.3, sizes, weight=torch.rand(n) * 100)


def numpy_mass(eta, phi, pt):
    p = np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])
    e, px, py, pz = p.sum(1)
    return math.sqrt(max(e * e - px * px - py * py - pz * pz, 0.0))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6))
def test_mass_agrees_with_four_vectors_summed_by_hand(sizes):
    jets = random_jets(sizes)
    for b, value in enumerate(mass(jets).tolist()):
        one = jets[b]
        eta, phi = one.pos.double().numpy().T
        assert value == pytest.approx(numpy_mass(eta, phi, one.weight.double().numpy()), abs=1e-6)


def test_mass_of_two_particles_is_the_closed_form():
    # m² = 2 pT1 pT2 (cosh Δη - cos Δφ)
    pair = pc.make(
        torch.tensor([[0.3, -0.1], [-0.2, 0.25]], dtype=torch.double),
        [2],
        weight=torch.tensor([500.0, 300.0], dtype=torch.double),
    )
    expected = math.sqrt(2 * 500 * 300 * (math.cosh(0.5) - math.cos(0.35)))
    assert mass(pair).item() == pytest.approx(expected, rel=1e-12)


def test_mass_and_pt_do_not_change_under_boost_along_the_beam_and_rotation():
    jets = random_jets([5, 9])
    moved = pc.replace(jets, pos=jets.pos.double() + torch.tensor([1.7, -2.4]))
    moved = pc.replace(moved, weight=jets.weight.double())
    torch.testing.assert_close(mass(moved), mass(jets), rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(transverse_momentum(moved), transverse_momentum(jets))


def test_narrow_energetic_jets_keep_their_mass_in_float32():
    jet = pc.make(torch.tensor([[0.0, 0.0], [1e-4, 0.0]]), [2], weight=torch.tensor([5e3, 5e3]))
    assert mass(jet).item() == pytest.approx(5e3 * 1e-4, rel=1e-3)


def test_girth_and_leading_fraction_by_hand():
    jet = pc.make(torch.tensor([[0.3, 0.4], [0.0, 0.1]]), [2, 0], weight=torch.tensor([1.0, 3.0]))
    assert girth(jet).tolist() == pytest.approx([(0.5 + 0.3) / 4, 0.0])
    assert leading_fraction(jet).tolist() == pytest.approx([0.75, 0.0])


def test_empty_events_have_no_energy_and_no_mass():
    jets = random_jets([0, 3, 0])
    assert four_momentum(jets)[[0, 2]].abs().sum() == 0
    assert mass(jets)[0] == 0


def test_observables_scale_with_energy():
    jets = random_jets([6, 2])
    double = pc.replace(jets, weight=2 * jets.weight)
    torch.testing.assert_close(mass(double), 2 * mass(jets))
    torch.testing.assert_close(girth(double), girth(jets))


def test_every_observable_states_its_unit():
    values = observables(random_jets([3, 0, 1]), JETS)
    assert {q.name: q.unit for q in values} == {
        "multiplicity": "",
        "mass": "GeV",
        "pt": "GeV",
        "girth": "",
        "width": "",
        "ptd": "",
        "leading": "",
    }
    hits = observables(random_jets([3, 0, 1], 3), HITS)
    assert {q.name for q in hits} >= {"multiplicity", "total_E", "centre_x", "width_z", "leading"}
    assert all(bool(torch.isfinite(v).all()) and v.shape == (3,) for v in hits.values())


def test_centre_and_width_follow_the_definition():
    cloud = pc.make(torch.tensor([[0.0, 0, 0], [4.0, 0, 0]]), [2], weight=torch.tensor([3.0, 1.0]))
    values = {q.name: v.item() for q, v in observables(cloud, HITS).items()}
    assert values["centre_x"] == pytest.approx(1.0)
    assert values["width_x"] == pytest.approx(math.sqrt(3 / 4 * 1 + 1 / 4 * 9))


def test_point_features_pool_all_points():
    jets = random_jets([3, 0, 2])
    features = point_features(jets, JETS)
    assert {q.name for q in features} == {"eta_rel", "phi_rel", "pt"}
    assert all(len(v) == 5 for v in features.values())


def test_a_schema_of_another_dimension_is_refused():
    with pytest.raises(ArgumentError, match="got 3 axes, expected the 2"):
        observables(random_jets([2]), HITS)


PHI = Quantity("phi", "rad", 2 * math.pi)
ABSOLUTE = Schema((Quantity("eta"), PHI), Quantity("pt", "GeV"))
BARREL = Schema((Quantity("z", "mm"), PHI), Quantity("energy", "GeV"))


def by_name(clouds, schema):
    return {q.name: v for q, v in observables(clouds, schema).items()}


def test_centre_and_width_of_a_cloud_at_the_seam():
    weight = torch.tensor([3.0, 1.0], dtype=torch.double)
    pos = torch.tensor([[2.0, 3.1], [4.0, -3.1]], dtype=torch.double)
    values = by_name(pc.make(pos, [2], weight=weight), BARREL)
    step = 2 * math.pi - 6.2
    assert values["centre_phi"].item() == pytest.approx(3.1 + step / 4)
    assert values["width_phi"].item() == pytest.approx(math.sqrt(3) / 4 * step)
    assert values["centre_z"].item() == pytest.approx(2.5)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.floats(-7, 7), st.integers(0, 99))
def test_a_turn_moves_centres_and_leaves_widths(sizes, turn, seed):
    generator = torch.Generator().manual_seed(seed)
    pos = 0.5 * torch.randn(sum(sizes), 2, generator=generator, dtype=torch.double)
    clouds = pc.make(pos, sizes, weight=torch.rand(sum(sizes), generator=generator) + 0.1)
    turned = pc.replace(clouds, pos=pos + torch.tensor([0.0, turn], dtype=torch.double))
    still, moved = by_name(clouds, BARREL), by_name(turned, BARREL)
    for name in ("width_phi", "centre_z", "width_z"):
        torch.testing.assert_close(moved[name], still[name])
    filled = torch.tensor(sizes) > 0
    away = ((moved["centre_phi"] - still["centre_phi"] - turn) / (2 * math.pi))[filled]
    torch.testing.assert_close(away, away.round())


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.floats(-3, 3), st.floats(-7, 7))
def test_absolute_jets_have_the_girth_about_their_own_axis(sizes, boost, turn):
    jets = random_jets(sizes)
    jets = pc.replace(jets, pos=jets.pos.double(), weight=jets.weight.double() + 0.1)
    moved = pc.replace(jets, pos=jets.pos + torch.tensor([boost, turn], dtype=torch.double))
    still, there = by_name(jets, ABSOLUTE), by_name(moved, ABSOLUTE)
    for name in still:
        torch.testing.assert_close(there[name], still[name], rtol=1e-6, atol=1e-6)
    own = about_axis(moved, ABSOLUTE)
    momentum = four_momentum(own)
    torch.testing.assert_close(
        momentum[:, 2:], torch.zeros_like(momentum[:, 2:]), atol=1e-8, rtol=0
    )
    torch.testing.assert_close(mass(own), mass(jets), rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(there["girth"], girth(own))


def test_two_particles_have_their_axis_in_the_middle():
    pos = torch.tensor([[2.0, 3.1], [2.1, -3.1]], dtype=torch.double)
    jets = pc.make(pos, [2], weight=torch.tensor([50.0, 50.0]))
    half = math.hypot(0.05, math.pi - 3.1)
    assert by_name(jets, ABSOLUTE)["girth"].item() == pytest.approx(half)
    assert by_name(jets, ABSOLUTE)["width"].item() == pytest.approx(half**2)


def test_relative_axes_are_taken_as_they_are():
    jets = random_jets([4, 0, 2])
    assert about_axis(jets, JETS) is jets
    assert torch.equal(by_name(jets, JETS)["girth"], girth(jets))


def test_azimuths_in_degrees_are_no_jets():
    degrees = Schema((Quantity("eta"), Quantity("phi", "deg", 360.0)), Quantity("pt", "GeV"))
    pair = pc.make(torch.tensor([[0.0, 179.0], [0.0, -179.0]]), [2], weight=torch.ones(2))
    assert not is_jet(degrees)
    assert by_name(pair, degrees)["width_phi"].item() == pytest.approx(1.0)


def test_features_of_events_are_near_where_the_events_are():
    phi = torch.tensor([3.1, -3.1], dtype=torch.double)
    centres = {Quantity("a"): torch.tensor([1.0, 2.0]), PHI: phi}
    rows = event_features(centres)
    assert rows[:, 0].tolist() == [1.0, 2.0]
    step = (rows[0, 1:] - rows[1, 1:]).norm().item()
    assert step == pytest.approx(2 * math.sin(math.pi - 3.1))


def test_points_at_both_ends_of_the_period_are_the_same():
    pos = torch.tensor([[0.0, 3.5], [0.0, 3.5 - 2 * math.pi], [0.0, 0.5]], dtype=torch.double)
    phi = point_features(pc.make(pos, [3], weight=torch.ones(3)), BARREL)[PHI]
    assert phi[0].item() == pytest.approx(phi[1].item())
    assert phi[2].item() == 0.5
