from __future__ import annotations

import math
from functools import partial
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics.jets import substructure
from pcgen.metrics.jets.kinematics import ptd, width
from pcgen.metrics.jets.prongs import c2, d2, energy_correlations
from pcgen.schema import Quantity, Schema
from pcgen.testing import random_clouds

JETS = Schema((Quantity("eta_rel"), Quantity("phi_rel", "rad", 2 * math.pi)), Quantity("pt", "GeV"))


random_jets = partial(random_clouds, spread=0.3, dtype=torch.double)


@given(st.lists(st.integers(1, 8), min_size=1, max_size=4), st.sampled_from([0.5, 1.0, 2.0]))
def test_energy_correlations_agree_with_the_sums(sizes, beta):
    jets = random_jets(sizes, seed=len(sizes))
    e2, e3 = energy_correlations(jets, beta=beta)
    for b, one in enumerate(jets.to_data_list()):
        z = one.weight / one.weight.sum()
        theta = torch.cdist(one.pos, one.pos) ** beta
        n = range(len(z))
        pairs = sum((z[i] * z[j] * theta[i, j]).item() for i, j in combinations(n, 2))
        triples = sum(
            (z[i] * z[j] * z[k] * theta[i, j] * theta[i, k] * theta[j, k]).item()
            for i, j, k in combinations(n, 3)
        )
        assert e2[b].item() == pytest.approx(pairs, rel=1e-9, abs=1e-15)
        assert e3[b].item() == pytest.approx(triples, rel=1e-9, abs=1e-15)


def test_prongs_are_the_closed_form():
    # Three equal prongs at equal distances θ: e2 = 3 θ/9, e3 = θ³/27, so C2 = θ/3 and D2 = 1.
    side = 0.3
    pos = torch.tensor([[0, 0], [side, 0], [side / 2, side * 3**0.5 / 2]], dtype=torch.double)
    three = pc.make(pos, [3], weight=torch.full((3,), 40.0, dtype=torch.double))
    assert c2(three).item() == pytest.approx(side / 3)
    assert d2(three).item() == pytest.approx(1.0)
    two = pc.make(pos[:2], [2], weight=torch.tensor([3.0, 1.0], dtype=torch.double))
    assert energy_correlations(two)[0].item() == pytest.approx(3 / 16 * side)
    assert (c2(two).item(), d2(two).item()) == (0, 0)


def test_width_and_ptd_by_hand():
    jet = pc.make(torch.tensor([[0.3, 0.4], [0.0, 0.1]]), [2, 0], weight=torch.tensor([1.0, 3.0]))
    assert width(jet).tolist() == pytest.approx([(0.25 + 3 * 0.01) / 4, 0.0])
    assert ptd(jet).tolist() == pytest.approx([10**0.5 / 4, 0.0])
    one = pc.make(torch.tensor([[0.0, 0.0]]), [1], weight=torch.tensor([7.0]))
    assert ptd(one).item() == pytest.approx(1)


def test_every_number_is_finite_and_of_no_unit():
    values = substructure(random_jets([0, 1, 2, 3, 20]), JETS)
    names = {q.name for q in values}
    assert names == {"tau1", "tau2", "tau3", "tau21", "tau32", "c2", "d2"}
    assert all(v.shape == (5,) and bool(v.isfinite().all()) for v in values.values())
    assert all(q.unit == "" for q in values)


def test_ratios_are_ratios_and_weights_and_angles_scale_out():
    jets = random_jets([20, 15])
    value = {q.name: v for q, v in substructure(jets, JETS).items()}
    torch.testing.assert_close(value["tau21"], value["tau2"] / value["tau1"])
    torch.testing.assert_close(value["tau32"], value["tau3"] / value["tau2"])
    scaled = pc.replace(jets, weight=500 * jets.weight, pos=0.5 * jets.pos)
    other = {q.name: v for q, v in substructure(scaled, JETS).items()}
    for name in ("tau21", "tau32", "d2"):
        torch.testing.assert_close(other[name], value[name])
    torch.testing.assert_close(other["c2"], value["c2"] / 2)


def test_soft_and_collinear_splittings_change_nothing():
    jets = random_jets([9])
    pos = torch.cat([jets.pos, jets.pos[:1], torch.tensor([[0.5, -0.5]])])
    weight = torch.cat([jets.weight, jets.weight[:1] * 0.4, torch.full((1,), 1e-14)])
    weight[0] *= 0.6
    split = pc.make(pos, [11], weight=weight)
    values, others = substructure(jets, JETS), substructure(split, JETS)
    for quantity, value in values.items():
        torch.testing.assert_close(others[quantity], value, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(width(split), width(jets))
    assert ptd(split).item() < ptd(jets).item()  # not collinear safe


def test_two_tight_prongs_are_distinguished_from_a_broad_jet():
    generator = torch.Generator().manual_seed(1)
    cloud = torch.randn(40, 2, generator=generator, dtype=torch.double)
    prongs = 0.02 * cloud + torch.tensor([[0.4, 0.0], [-0.4, 0.0]]).double().repeat(20, 1)
    weight = torch.ones(40, dtype=torch.double)
    both = pc.make(torch.cat([prongs, 0.3 * cloud]), [40, 40], weight=weight.repeat(2))
    value = {q.name: v for q, v in substructure(both, JETS).items()}
    assert value["tau21"][0] < 0.2 < value["tau21"][1]
    assert value["d2"][0] < value["d2"][1]


def test_clouds_that_are_not_jets_are_refused():
    with pytest.raises(ArgumentError, match="expected jets"):
        substructure(random_jets([2]), Schema((Quantity("x"), Quantity("y"))))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.floats(-3, 3), st.floats(-7, 7))
def test_substructure_does_not_depend_on_where_a_jet_is(sizes, boost, turn):
    absolute = Schema((Quantity("eta"), Quantity("phi", "rad", 2 * math.pi)), Quantity("pt", "GeV"))
    jets = random_jets(sizes, seed=3)
    moved = pc.replace(jets, pos=jets.pos + torch.tensor([boost, turn], dtype=torch.double))
    still, there = substructure(jets, JETS), substructure(moved, absolute)
    for quantity, value in still.items():
        torch.testing.assert_close(there[quantity], value, rtol=1e-6, atol=1e-9)
