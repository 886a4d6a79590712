from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics.jets import lund_declusterings, lund_density, n_subjettiness
from pcgen.testing import random_clouds

random_jets = partial(random_clouds, spread=0.3, dtype=torch.double)


def angle(a, b):
    return math.hypot(a[0] - b[0], (a[1] - b[1] + math.pi) % (2 * math.pi) - math.pi)


def pairs(clusters):
    return [(i, j) for j in range(len(clusters)) for i in range(j)]


def subjettiness_by_hand(particles, number):
    """All pairs again after each step; clusters are (eta, phi, pt)."""
    clusters = [tuple(p) for p in particles]
    while len(clusters) > number:
        i, j = min(
            pairs(clusters),
            key=lambda ij: (
                min(clusters[ij[0]][2], clusters[ij[1]][2]) ** 2
                * angle(clusters[ij[0]], clusters[ij[1]]) ** 2
            ),
        )
        b, a = clusters.pop(j), clusters.pop(i)
        winner = a if a[2] >= b[2] else b
        clusters.append((winner[0], winner[1], a[2] + b[2]))
    total = sum(p[2] for p in particles)
    return sum(p[2] * min(angle(p, axis) for axis in clusters) for p in particles) / total


def coordinates(p):
    return 0.5 * math.log((p[0] + p[3]) / (p[0] - p[3])), math.atan2(p[2], p[1])


def lund_by_hand(particles):
    """(Δ, soft, hard) down the harder branch; clusters are (four-momentum, history)."""
    clusters = []
    for eta, phi, pt in particles:
        p = (pt * math.cosh(eta), pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta))
        clusters.append((np.array(p), []))
    while len(clusters) > 1:
        i, j = min(
            pairs(clusters),
            key=lambda ij: angle(coordinates(clusters[ij[0]][0]), coordinates(clusters[ij[1]][0])),
        )
        two = [clusters.pop(j), clusters.pop(i)]
        soft, hard = sorted(two, key=lambda c: math.hypot(c[0][1], c[0][2]))
        delta = angle(coordinates(soft[0]), coordinates(hard[0]))
        pts = [math.hypot(c[0][1], c[0][2]) for c in (soft, hard)]
        clusters.append((soft[0] + hard[0], [(delta, *pts), *hard[1]]))
    return clusters[0][1] if clusters else []


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.integers(0, 10**6))
def test_n_subjettiness_agrees_with_clustering_by_hand(sizes, seed):
    jets = random_jets(sizes, seed=seed)
    tau = n_subjettiness(jets, 4)
    for b, one in enumerate(jets.to_data_list()):
        particles = torch.cat([one.pos, one.weight[:, None]], 1).tolist()
        for n in range(1, 5):
            expected = subjettiness_by_hand(particles, n) if len(particles) > n else 0.0
            assert tau[b, n - 1].item() == pytest.approx(expected, rel=1e-10, abs=1e-15)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.integers(0, 10**6))
def test_declusterings_agree_with_clustering_by_hand(sizes, seed):
    jets = random_jets(sizes, seed=seed)
    plane = lund_declusterings(jets)
    for b, one in enumerate(jets.to_data_list()):
        particles = torch.cat([one.pos, one.weight[:, None]], 1).tolist()
        expected = lund_by_hand(particles)
        rows = slice(int(plane.ptr[b]), int(plane.ptr[b + 1]))
        delta, soft, hard = np.array(expected).reshape(-1, 3).T
        np.testing.assert_allclose(plane.delta[rows], delta, rtol=1e-8)
        np.testing.assert_allclose(plane.kt[rows], soft * delta, rtol=1e-8)
        np.testing.assert_allclose(plane.z[rows], soft / (soft + hard), rtol=1e-8)


def test_declusterings_agree_with_pythia():
    pythia8mc = pytest.importorskip("pythia8mc")
    pythia = pythia8mc.Pythia("", False)
    for seed in range(5):
        jet = random_jets([15], seed=seed)
        event = pythia.event
        event.reset()
        for (eta, phi), pt in zip(jet.pos.tolist(), jet.weight.tolist(), strict=True):
            x, y, z, e = math.cos(phi), math.sin(phi), math.sinh(eta), math.cosh(eta)
            event.append(22, 1, 0, 0, pt * x, pt * y, pt * z, pt * e, 0.0)
        # Cambridge/Aachen with a radius that all is within, step by step, massless particles.
        clustering = pythia8mc.SlowJet(0, 10.0, 0.0, 25.0, 1, 0, None, False)
        assert clustering.setup(event)
        branches, root = {}, None
        for _ in range(14):
            two = [clustering.p(k) for k in (clustering.iNext(), clustering.jNext())]
            soft, hard = sorted(p.pT() for p in two)
            root = round((two[0] + two[1]).pT(), 9)
            branches[root] = (math.sqrt(clustering.dNext()) * 10, soft, hard)
            clustering.doStep()
        expected = []
        while root in branches:
            expected.append(branches[root])
            root = round(branches[root][2], 9)
        plane = lund_declusterings(jet)
        delta, soft, hard = np.array(expected).T
        np.testing.assert_allclose(plane.delta, delta, rtol=1e-7)
        np.testing.assert_allclose(plane.kt, soft * delta, rtol=1e-7)
        np.testing.assert_allclose(plane.z, soft / (soft + hard), rtol=1e-7)


def test_prongs_are_the_closed_form():
    pos = torch.tensor([[0.0, 0.0], [0.4, 0.0], [0.0, 0.3]], dtype=torch.double)
    weight = torch.tensor([0.5, 0.3, 0.2], dtype=torch.double)
    three = n_subjettiness(pc.make(pos, [3], weight=weight))
    # kT joins the first and the third (0.2² 0.3² < 0.3² 0.4²); the hardest is the axis.
    assert three[0].tolist() == pytest.approx([0.3 * 0.4 + 0.2 * 0.3, 0.2 * 0.3, 0.0])
    two = pc.make(pos[:2], [2], weight=weight[:2])
    assert n_subjettiness(two)[0].tolist() == pytest.approx([0.3 * 0.4 / 0.8, 0.0, 0.0])
    plane = lund_declusterings(two)
    assert plane.ptr.tolist() == [0, 1]
    assert (plane.delta.item(), plane.kt.item(), plane.z.item()) == (
        pytest.approx(0.4),
        pytest.approx(0.12),
        pytest.approx(0.375),
    )


def test_empty_one_particle_and_weightless_jets_have_no_structure():
    jets = pc.make(torch.rand(4, 2), [0, 1, 3, 0], weight=torch.tensor([2.0, 1.0, 0.0, 0.0]))
    assert n_subjettiness(jets).abs().sum() == 0
    assert lund_declusterings(jets).ptr.tolist() == [0] * 5
    nothing = n_subjettiness(pc.make(torch.zeros(0, 2), []))
    assert nothing.shape == (0, 3)


def test_boost_along_the_beam_and_turn_do_not_matter():
    jets = random_jets([14, 9])
    moved = jets.pos + torch.tensor([1.1, 2.9], dtype=torch.double)
    moved[:, 1] = torch.remainder(moved[:, 1] + math.pi, 2 * math.pi) - math.pi
    moved = pc.replace(jets, pos=moved)
    torch.testing.assert_close(n_subjettiness(moved), n_subjettiness(jets), rtol=1e-9, atol=0)
    for here, there in zip(lund_declusterings(jets), lund_declusterings(moved), strict=True):
        torch.testing.assert_close(here, there, rtol=1e-6, atol=1e-9)


def test_soft_and_collinear_splittings_change_nothing():
    jets = random_jets([10])
    soft = torch.tensor([[0.05, -0.6]], dtype=torch.double)
    pos = torch.cat([jets.pos, jets.pos[:1], soft])
    weight = torch.cat([jets.weight, jets.weight[:1] * 0.4, torch.full((1,), 1e-12)])
    weight[0] *= 0.6
    split = pc.make(pos, [12], weight=weight)
    torch.testing.assert_close(n_subjettiness(split), n_subjettiness(jets), rtol=1e-9, atol=1e-11)
    planes = [lund_declusterings(j) for j in (jets, split)]
    kept = [plane.kt[plane.kt > 1e-9] for plane in planes]
    torch.testing.assert_close(kept[0], kept[1], rtol=1e-6, atol=0)


def test_density_integrates_to_the_mean_number_of_declusterings():
    jets = random_jets([12, 5, 1, 0, 20])
    edges = torch.linspace(-3, 12, 31), torch.tensor([-20.0, -6, -4, -3, -2, 0, 5])
    density = lund_density(jets, *edges)
    area = edges[0].diff()[:, None] * edges[1].diff()
    number = len(lund_declusterings(jets).kt)
    assert (density * area).sum().item() == pytest.approx(number / 5)
    half = lund_density(jets, edges[0], edges[1][:4])
    torch.testing.assert_close(half, density[:, :3])


def test_bad_arguments_are_refused():
    jets = random_jets([3])
    with pytest.raises(ArgumentError, match="number: got 0"):
        n_subjettiness(jets, 0)
    with pytest.raises(ArgumentError, match="y_edges: got"):
        lund_density(jets, torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))
    with pytest.raises(ArgumentError, match="1 axes"):
        lund_declusterings(pc.make(torch.zeros(2, 1), [2]))
    with pytest.raises(ArgumentError, match="no jets"):
        lund_density(random_jets([]), torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
