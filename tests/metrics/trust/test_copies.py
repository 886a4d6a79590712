from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen.metrics.trust.memorisation import shared
from pcgen.testing import random_clouds, random_sizes


def events(number: int, seed: int = 0):
    return random_clouds(random_sizes(number, high=4, seed=seed), seed=seed)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32))
def test_shared_events_are_those_with_the_same_points_in_any_order(first, both, second, seed):
    batch = events(first + both + second, seed)
    a = pc.select(batch, torch.arange(first + both))
    b = pc.select(batch, torch.arange(first, first + both + second))
    generator = torch.Generator().manual_seed(seed)
    key = b.batch + torch.rand(b.num_nodes, generator=generator, dtype=torch.float64) * 0.5
    order = key.argsort()
    mixed = pc.make(b.pos[order], pc.sizes(b), weight=b.weight[order])
    expected = (torch.arange(both + second) < both) & (pc.sizes(b) > 0)
    assert torch.equal(shared(a, mixed), expected)


def test_events_that_differ_in_one_number_are_not_shared():
    batch = events(20)
    assert not shared(batch, pc.replace(batch, weight=batch.weight * 2)).any()
    assert not shared(batch, pc.replace(batch, pos=batch.pos.flip(1))).any()
    zero = pc.make(torch.tensor([[0.0, 1.0]]), [1])
    assert shared(zero, pc.make(torch.tensor([[-0.0, 1.0]]), [1])).all()
