"""Corruption of sets: what is dropped, added and moved, cloud by cloud."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.objectives.corruption import SetCorruption


def events(sizes: list[int], features: int = 1) -> cl.Batch:
    number = sum(sizes)
    values = torch.randn(number, 2 + features, generator=torch.Generator().manual_seed(0))
    x = values[:, 2:] if features else None
    y = torch.arange(len(sizes)).float()[:, None]
    return cl.make(values[:, :2], sizes, x=x, y=y)


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6), features=st.integers(0, 2))
@settings(max_examples=25)
def test_without_corruption_all_stays(sizes: list[int], features: int) -> None:
    clouds = events(sizes, features)
    same = SetCorruption(0.0, 0.0, 0.0)(clouds)
    for name, value in cl.attributes(clouds).items():
        assert torch.equal(same[name], value)
    assert torch.equal(same.ptr, clouds.ptr)


def test_points_that_stay_are_points_of_their_own_cloud() -> None:
    clouds = events([400, 0, 600])
    found = SetCorruption(drop=0.3, add=0.0, jitter=0.0)(clouds, torch.Generator().manual_seed(1))
    for event in (0, 2):
        own = {tuple(row) for row in clouds[event].pos.tolist()}
        assert {tuple(row) for row in found[event].pos.tolist()} < own
    share = cl.sizes(found)[[0, 2]] / cl.sizes(clouds)[[0, 2]]
    torch.testing.assert_close(share, torch.full((2,), 0.7), atol=0.08, rtol=0.0)
    assert found[1].num_nodes == 0


def test_what_is_added_is_standard_normal_and_what_moves_moves_by_the_jitter() -> None:
    clouds = cl.make(torch.full((20000, 2), 5.0), [20000, 0], x=torch.full((20000, 1), 5.0))
    draw = torch.Generator().manual_seed(2)
    added = SetCorruption(drop=1.0, add=0.5, jitter=0.0)(clouds, draw)
    assert len(added.pos) == pytest.approx(10000, rel=0.03)
    values = torch.cat([added.pos, added.x], 1)
    torch.testing.assert_close(values.mean(0), torch.zeros(3), atol=0.05, rtol=0.0)
    torch.testing.assert_close(values.std(0), torch.ones(3), atol=0.05, rtol=0.0)
    moved = SetCorruption(drop=0.0, add=0.0, jitter=0.25)(clouds, draw)
    assert float((moved.pos - 5).std()) == pytest.approx(0.25, rel=0.03)


def test_one_seed_is_one_corruption() -> None:
    corruption, clouds = SetCorruption(), events([30, 1, 0, 4])
    one, two = (corruption(clouds, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one.pos, two.pos)
    assert torch.equal(one.ptr, two.ptr)
    assert not torch.equal(one.ptr, clouds.ptr)


@pytest.mark.parametrize(("name", "value"), [("drop", -0.1), ("add", 1.5), ("jitter", -1.0)])
def test_numbers_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ArgumentError, match=f"{name}: got {value}"):
        SetCorruption(**{name: value})
