from __future__ import annotations

from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics.jets import energyflow
from pcgen.metrics.jets.energyflow import (
    efp_graphs,
    energy_flow_polynomials,
    vertices,
    w1efp_graphs,
)
from pcgen.testing import random_clouds

# energyflow 1.4.0, NumPy 1.23.5, in an environment of its own:
#   EFPSet("d<=4", measure="hadr", beta=BETA, normed=None, coords="ptyphim").compute(jet)
# with jet the columns (pt, eta, phi) of formula_jet(0, 7) for beta 1, and of formula_jet(1, 4) with
# phi times 10 for beta 1/2.
RECORDED = {
    1.0: """
        2.5928571428571425 2.599391469799671 1.4447845515533322 0.8598775385824313
        0.5381449802629285 2.7170715654895714 1.5323342054064535 0.926744212548633
        0.8720116753995749 0.9430813727385206 0.5188519501312442 2.9608594239849717
        1.6943306957092712 2.811733280702927 1.5813422568208697 1.6120210540755413
        1.0273960468519552 1.2463812124378042 3.357877703664729 3.0363922060148196
        2.919338141803027 6.756836013267294 3.7555606390060747 2.2351583388635095
        2.0874024004071634 7.06273265016883 3.925583023284161 3.983136462415792
        2.4514376756234744 17.56366189572222 7.696432729982503 7.308795505211032
        7.38247789199195 9.762172289347792 18.35880700432448 45.65483291018585""",
    0.5: """
        1.2833333333333332 1.3663093173864507 1.6546046245334785 2.0707646167502443
        2.648308990633361 1.4712936598605224 1.780088542395104 2.2279695001862225
        2.15393691314068 0.9588616257089035 1.1013079176395486 1.6017924694566255
        1.936182492760648 1.577892198480952 1.9095133527661698 1.9083073503898444
        1.0481886267968479 1.4977950383101195 1.7620516810439515 1.7113997638317926
        1.69527239668975 1.8668011507770288 2.2607017150908013 2.8293049899800415
        2.737716463527573 2.0102422360790433 2.434409293652007 2.4321515612472964
        1.3101015732903944 2.5506278060144028 2.188543975538039 2.1558888126159155
        2.1647050335457707 3.0888178171600913 2.7466126973585694 3.484946536542439""",
}


def formula_jet(b, n):
    i = torch.arange(n, dtype=torch.double)
    pos = torch.stack([0.4 * (1.3 * i + b).sin(), 0.3 * (2.1 * i * i + b).cos()], 1)
    return pos, 1 / (1 + i + b)


random_jets = partial(random_clouds, spread=0.3, dtype=torch.double)


def by_brute_force(pos, z, graph, beta=1.0):
    theta = torch.cdist(pos, pos) ** beta
    total = 0.0
    for tuple_ in product(range(len(z)), repeat=vertices(graph)):
        term = 1.0
        for i in tuple_:
            term *= z[i].item()
        for u, v in graph:
            term *= theta[tuple_[u], tuple_[v]].item()
        total += term
    return total


def test_agrees_with_energyflow():
    pos, z = formula_jet(0, 7)
    ours = energy_flow_polynomials(pc.make(pos, [7], weight=z))[0]
    theirs = torch.tensor([float(v) for v in RECORDED[1.0].split()], dtype=torch.double)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=0)


def test_agrees_with_energyflow_for_another_beta_and_around_the_circle():
    pos, z = formula_jet(1, 4)
    pos[:, 1] *= 10
    ours = energy_flow_polynomials(pc.make(pos, [4], weight=z), beta=0.5)[0]
    theirs = torch.tensor([float(v) for v in RECORDED[0.5].split()], dtype=torch.double)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=0)


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_every_graph_agrees_with_the_sum_over_tuples(beta):
    # Two vertices too many cost 3^8 terms at most.
    jets = random_jets([3, 2])
    values = energy_flow_polynomials(jets, beta=beta, period=None)
    for b in range(2):
        for k, graph in enumerate(efp_graphs()):
            expected = by_brute_force(jets[b].pos, jets[b].weight, graph, beta)
            assert values[b, k].item() == pytest.approx(expected, rel=1e-12)


def test_graphs_of_five_edges_agree_with_the_sum_over_tuples():
    jets = random_jets([3])
    graphs = [g for g in efp_graphs(5) if len(g) == 5 and vertices(g) <= 6]
    values = energy_flow_polynomials(jets, graphs)[0]
    for value, graph in zip(values.tolist(), graphs, strict=True):
        expected = by_brute_force(jets.pos, jets.weight, graph)
        assert value == pytest.approx(expected, rel=1e-12)


def test_the_five_of_w1efp_are_matrix_products():
    # With M = θ diag(z): star Σ z d2 d1², paths, triangle with a pendant, tr M⁴.
    jets = random_jets([9])
    theta, z = torch.cdist(jets.pos, jets.pos), jets.weight
    m = theta * z
    d1, d2, cube = m.sum(1), theta**2 @ z, (m @ m @ m).diagonal()
    expected = [
        (z * d2 * d1**2).sum(),
        (z * d2 * (m @ d1)).sum(),
        torch.einsum("i,j,ij,i,j->", z, z, theta**2, d1, d1),
        (z * cube / z * d1).sum(),
        (m @ m @ m @ m).trace(),
    ]
    values = energy_flow_polynomials(jets, w1efp_graphs())[0]
    torch.testing.assert_close(values, torch.stack(expected), rtol=1e-12, atol=0)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.integers(0, 10**6))
def test_blocks_do_not_matter(sizes, seed):
    jets = random_jets(sizes, seed=seed)
    values = energy_flow_polynomials(jets)
    for b, one in enumerate(jets.to_data_list()):
        alone = pc.make(one.pos, [one.num_nodes], weight=one.weight)
        torch.testing.assert_close(values[b : b + 1], energy_flow_polynomials(alone))


@pytest.mark.parametrize("entries", [1, 200])
def test_small_blocks_give_the_same(monkeypatch, entries):
    jets = random_jets([5, 30, 0, 7, 1, 30])
    expected = energy_flow_polynomials(jets)
    monkeypatch.setattr(energyflow, "_CPU_ENTRIES", entries)
    torch.testing.assert_close(energy_flow_polynomials(jets), expected, rtol=1e-12, atol=0)


def test_order_of_particles_translation_and_turn_by_a_circle_do_not_matter():
    jets = random_jets([11])
    values = energy_flow_polynomials(jets)
    order = torch.randperm(11)
    moved = jets.pos[order] + torch.tensor([0.7, 2.9], dtype=torch.double)
    moved[:, 1] = torch.remainder(moved[:, 1] + torch.pi, 2 * torch.pi) - torch.pi
    other = energy_flow_polynomials(pc.make(moved, [11], weight=jets.weight[order]))
    torch.testing.assert_close(other, values, rtol=1e-10, atol=0)


def test_scales_as_weight_to_the_vertices_and_angle_to_the_edges():
    jets = random_jets([6, 4])
    graphs = efp_graphs()
    scaled = pc.replace(jets, weight=3 * jets.weight, pos=0.5 * jets.pos)
    factor = torch.tensor([3.0 ** vertices(g) * 0.5 ** len(g) for g in graphs], dtype=torch.double)
    torch.testing.assert_close(
        energy_flow_polynomials(scaled), factor * energy_flow_polynomials(jets)
    )


def test_soft_and_collinear_splittings_change_nothing():
    jets = random_jets([6])
    share = torch.tensor([0.3, 0.7], dtype=torch.double)
    pos = torch.cat([jets.pos, jets.pos[:1], jets.pos[1:2] + 0.2])
    weight = torch.cat([share[:1] * jets.weight[:1], jets.weight[1:], share[1:] * jets.weight[:1]])
    weight = torch.cat([weight, torch.zeros(1, dtype=torch.double)])
    split = pc.make(pos, [8], weight=weight)
    torch.testing.assert_close(energy_flow_polynomials(split), energy_flow_polynomials(jets))


def test_empty_and_one_particle_jets():
    jets = pc.make(torch.tensor([[0.2, -0.1]]), [0, 1, 0], weight=torch.tensor([2.5]))
    values = energy_flow_polynomials(jets)
    assert values.shape == (3, 36)
    assert values.abs().sum(1).tolist() == [0.0, 2.5, 0.0]
    assert values[1, 0] == 2.5
    assert energy_flow_polynomials(random_jets([])).shape == (0, 36)


def test_a_bad_event_spoils_no_other():
    jets = random_jets([4, 4, 4])
    pos = jets.pos.clone()
    pos[5] = torch.nan
    values = energy_flow_polynomials(pc.replace(jets, pos=pos))
    assert torch.isnan(values[1, 1])
    torch.testing.assert_close(values[[0, 2]], energy_flow_polynomials(jets)[[0, 2]])


def test_bad_arguments_are_refused():
    jets = random_jets([3])
    with pytest.raises(ArgumentError, match="beta: got 0"):
        energy_flow_polynomials(jets, beta=0)
    everyone = tuple((u, v) for v in range(4) for u in range(v))
    with pytest.raises(ArgumentError, match="two neighbours"):
        energy_flow_polynomials(jets, [everyone])
    with pytest.raises(ArgumentError, match="1 axes"):
        energy_flow_polynomials(pc.make(torch.zeros(2, 1), [2]))
