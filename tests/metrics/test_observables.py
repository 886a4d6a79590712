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
from pcgen.metrics.observables import (
    four_momentum,
    girth,
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
