"""Published protocols of jets: their sizes, their cuts, their scores by SciPy and POT."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import ot
import pytest
import torch
from scipy.stats import wasserstein_distance

from pcgen import clouds as pc
from pcgen.datasets import sample_jets
from pcgen.errors import DataError
from pcgen.io import JETS
from pcgen.metrics import evaluate, protocols
from pcgen.metrics.jets import jetnet
from pcgen.metrics.jets.kinematics import mass, relative
from pcgen.metrics.scores.neighbours import energy_movers_neighbourhood
from pcgen.schema import Quantity

NEEDS = {
    protocols.mpgan2021: 10_000,
    protocols.jetnet: 50_000,
    protocols.fpcd: 50_000,
    protocols.epic: 1_000,
}


@pytest.fixture(scope="module")
def jets():
    return sample_jets("all").read(0, 240)


@pytest.mark.parametrize("protocol", NEEDS)
def test_too_small_sets_are_refused_naming_the_need(protocol, jets):
    need = NEEDS[protocol]
    with pytest.raises(DataError, match=rf"{2 * need} and {need} for .* pcgen simulate jets"):
        evaluate(jets, jets, JETS, protocol=protocol())


def small(protocol, events):
    """The same protocol with all its sizes cut down, to try the rest of it."""
    parts = [
        dataclasses.replace(part, events=part.events and min(part.events, events), tested=events)
        for part in protocol.parts
        if part.build is not protocols._jetnet_physics
    ]
    return dataclasses.replace(protocol, parts=tuple(parts), need=2)


@pytest.mark.parametrize("protocol", [protocols.mpgan2021, protocols.fpcd, protocols.epic])
def test_quark_gluon_and_top_jets_score_their_floor(protocol, jets):
    result = evaluate(
        pc.select(jets, slice(0, 160)),
        pc.select(jets, slice(160, 240)),
        JETS,
        protocol=small(protocol(), 30),
        permutations=99,
    )
    assert [s.name for s in result.scores] == ["W1M", "W1P", "W1EFP", "COV-EMD", "MMD-EMD"]
    for score in result.scores:
        assert abs(score.z) < 6, score
        assert score.p > 0.01, score


def test_w1m_and_w1p_are_those_of_relative_jets(jets):
    pool = relative(jets, JETS)
    a, b = torch.arange(0, 60), torch.arange(60, 120)
    masses = mass(pool).numpy()
    found = jetnet.compare_masses(pool, JETS).compare(a[None], b[None])
    assert found.item() == pytest.approx(wasserstein_distance(masses[a], masses[b]), rel=1e-9)
    sides = [pc.select(pool, side) for side in (a, b)]
    rows = [torch.cat([s.pos, s.weight[:, None]], 1).double().numpy() for s in sides]
    mean = np.mean([wasserstein_distance(rows[0][:, k], rows[1][:, k]) for k in range(3)])
    found = jetnet.compare_particles(pool, JETS).compare(a[None], b[None])
    assert found.item() == pytest.approx(mean, rel=1e-9)


def test_a_third_axis_does_not_enter_w1p(jets):
    pool = relative(jets, JETS)
    a, b = torch.arange(0, 30)[None], torch.arange(30, 60)[None]
    depth = torch.arange(len(pool.pos), dtype=pool.pos.dtype)[:, None]
    deep = pc.replace(pool, pos=torch.cat([pool.pos, depth], 1))
    schema = dataclasses.replace(JETS, axes=(*JETS.axes, Quantity("depth", "mm")))
    found = jetnet.compare_particles(deep, schema).compare(a, b)
    assert torch.equal(found, jetnet.compare_particles(pool, JETS).compare(a, b))


def test_mmd_is_under_the_energy_movers_distance(jets):
    pool = pc.heaviest(relative(jets, JETS), 10)
    a, b = torch.arange(0, 6), torch.arange(6, 12)

    def emd(i, j):
        """EnergyFlow's: the difference of the totals is an extra particle at distance 1."""
        x, y = pool[i], pool[j]
        wx, wy = x.weight.double().numpy(), y.weight.double().numpy()
        delta = x.pos.double()[:, None] - y.pos.double()
        delta[..., 1] = torch.remainder(delta[..., 1] + math.pi, 2 * math.pi) - math.pi
        cost = np.ones((len(wx) + 1, len(wy) + 1))
        cost[:-1, :-1] = delta.norm(dim=-1).numpy()
        extra = max(wy.sum() - wx.sum(), 0), max(wx.sum() - wy.sum(), 0)
        return ot.emd2([*wx, extra[0]], [*wy, extra[1]], cost)

    matrix = np.array([[emd(int(i), int(j)) for j in b] for i in a])
    found = energy_movers_neighbourhood(pool, JETS).compare(a[None], b[None])[:, 0]
    assert found[0].item() == len(set(matrix.argmin(0))) / 6
    assert found[1].item() == pytest.approx(matrix.min(1).mean(), rel=1e-5)


def test_cuts_of_fpcd_are_applied_to_both_sides(jets):
    prepared = protocols.fpcd().prepare(jets, JETS)
    assert prepared.pos.abs().max().item() <= 0.5
    assert prepared.weight.min().item() >= 1.3e-4 * (1 - 1e-6)
    assert int(pc.sizes(protocols.mpgan2021().prepare(jets, JETS)).max()) == 30
