"""W1 of counted samples: that of SciPy, of events and of points, with repeats."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from pcgen import clouds as pc
from pcgen.metrics.comparison import Measure
from pcgen.metrics.protocols import marginals
from pcgen.metrics.scores import wasserstein1
from pcgen.metrics.scores.wasserstein import Column, Marginals
from pcgen.schema import Quantity, Schema

JETS = Schema((Quantity("eta_rel"), Quantity("phi_rel", "rad", 2 * math.pi)), Quantity("pt", "GeV"))


@settings(max_examples=50)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6))
def test_is_scipys_distance_with_repeats_and_ties(events, n, m, seed):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 4, (events,), generator=generator)
    owner = torch.arange(events).repeat_interleave(sizes)
    values = torch.randint(-3, 4, owner.shape, generator=generator).double() * 10.0
    a, b = (torch.randint(events, (2, k), generator=generator) for k in (n, m))
    found = Marginals([Column(Measure("W1 x"), values, owner)], events).compare(a, b)
    for p in range(2):
        sides = [torch.cat([values[owner == e] for e in side[p]]).numpy() for side in (a, b)]
        assert found[0, p].item() == pytest.approx(wasserstein_distance(*sides), abs=1e-9)


def test_columns_of_one_measure_are_averaged():
    owner, same = torch.arange(4), Measure("W1 mean")
    columns = [Column(same, torch.arange(4.0), owner), Column(same, 3 * torch.arange(4.0), owner)]
    both = Marginals(columns, 4)
    assert both.measures == (same,)
    assert both.compare(torch.tensor([[0, 1]]), torch.tensor([[2, 3]])).tolist() == [[4.0]]


def test_a_sample_without_points_has_no_distance():
    clouds = pc.make(torch.zeros(2, 2), [2, 0], weight=torch.ones(2))
    comparison = marginals(clouds, JETS)
    values = comparison.compare(torch.tensor([[0]]), torch.tensor([[1]]))
    found = dict(zip([m.name for m in comparison.measures], values[:, 0].tolist(), strict=True))
    assert found["W1 multiplicity"] == 2.0
    assert math.isnan(found["W1 point pt"])


def test_p_values_are_small_where_the_samples_differ_and_uniform_where_not():
    generator = torch.Generator().manual_seed(0)
    values = torch.cat([torch.randn(300, generator=generator), torch.ones(100) * 1.5])
    comparison = Marginals([Column(Measure("W1 x"), values, torch.arange(400))], 400)
    shifted = comparison.p_values(torch.arange(100), torch.arange(300, 400), 99, generator)
    assert shifted.tolist() == [0.01]
    p = []
    for _ in range(40):
        cut = torch.randperm(300, generator=generator)
        p.append(comparison.p_values(cut[:100], cut[100:200], 99, generator).item())
    assert 0.3 < sum(p) / 40 < 0.7
    assert min(p) < 0.2
    assert max(p) > 0.8


@settings(max_examples=40)
@given(st.integers(1, 8), st.integers(0, 10**6), st.sampled_from([0.2, 2.0]))
def test_values_of_a_periodic_quantity_lie_on_a_circle(events, seed, spread):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 4, (events,), generator=generator)
    owner = torch.arange(events).repeat_interleave(sizes)
    values = spread * torch.randn(len(owner), generator=generator, dtype=torch.double)
    a, b = (torch.randint(events, (2, 5), generator=generator) for _ in range(2))
    found = [
        Marginals([Column(Measure("W1 phi"), v, owner, 3.0)], events).compare(a, b)
        for v in (values, values + 1.4, values + 6.0)
    ]
    for p in range(2):
        sides = [torch.cat([values[owner == e] for e in side[p]]) for side in (a, b)]
        expected = wasserstein1(*sides, period=3.0).item()
        for each in found:
            assert each[0, p].item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_turn_of_all_events_changes_no_score():
    schema = Schema((Quantity("z", "mm"), Quantity("phi", "rad", 2 * math.pi)), Quantity("E"))
    generator = torch.Generator().manual_seed(0)
    pos = 0.4 * torch.randn(60, 2, generator=generator, dtype=torch.double)
    clouds = pc.make(pos, [3] * 20, weight=torch.rand(60, generator=generator))
    seam = pc.replace(clouds, pos=pos + torch.tensor([0.0, math.pi]))
    a, b = torch.arange(10)[None], torch.arange(10, 20)[None]
    still, turned = (marginals(side, schema).compare(a, b) for side in (clouds, seam))
    torch.testing.assert_close(turned, still)
