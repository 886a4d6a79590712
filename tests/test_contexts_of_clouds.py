"""Contexts in a batch: they go wherever their clouds go, and through PyG's own batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader
from toy_pairs import equal, pairs

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError

SIZES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6)


def batch_of(sizes: list[tuple[int, int]]) -> Batch:
    own, other = zip(*sizes, strict=True)
    context = pc.make(torch.rand(sum(other), 3), list(other), x=torch.rand(sum(other), 1))
    return pc.make(torch.rand(sum(own), 2), list(own), label=torch.arange(len(own)),
                   context=context)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(SIZES)
def test_a_list_of_clouds_and_back(sizes) -> None:
    clouds = batch_of(sizes)
    items = clouds.to_data_list()
    for (_, number), item in zip(sizes, items, strict=True):
        assert item.context_pos.shape == (number, 3)
    assert equal(Batch.from_data_list(items), clouds)
    followed = Batch.from_data_list(items, follow_batch=["context_pos"])
    assert equal(followed, clouds)
    # These are the names that PyG gives itself.
    assert torch.equal(followed.context_pos_ptr, clouds.context_pos_ptr)
    assert torch.equal(followed.context_pos_batch, clouds.context_pos_batch)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.data())
def test_selected_clouds_keep_their_contexts(sizes, data) -> None:
    clouds = batch_of(sizes)
    index = data.draw(st.lists(st.integers(0, len(sizes) - 1), max_size=6))
    chosen = pc.context(pc.select(clouds, torch.tensor(index, dtype=torch.long)))
    assert chosen is not None
    assert equal(chosen, pc.select(pc.context(clouds), torch.tensor(index, dtype=torch.long)))
    first = data.draw(st.integers(0, len(sizes)))
    last = data.draw(st.integers(first, len(sizes)))
    part = pc.part(clouds, slice(first, last))
    assert equal(part, pc.select(clouds, torch.arange(first, last)))
    halves = [pc.part(clouds, slice(0, first)), pc.part(clouds, slice(first, len(sizes)))]
    assert equal(pc.concat(halves), clouds)


def test_what_changes_points_leaves_contexts_alone() -> None:
    clouds = pairs(20)
    context = pc.context(clouds)
    for changed in (
        pc.select_points(clouds, clouds.weight > 10),
        pc.heaviest(clouds, 2),
        pc.heaviest_first(clouds),
        pc.replace(clouds, y=None),
    ):
        assert equal(pc.context(changed), context)
    assert pc.context(pc.replace(clouds, context=None)) is None
    assert pc.context(pc.like(clouds, clouds.pos)) is None
    assert equal(pc.context(pc.like(clouds, clouds.pos, context=context)), context)
    assert pc.context(pc.cast(clouds, torch.float64)).pos.dtype == torch.float64
    assert pc.context(clouds).pos.dtype == torch.float32
    assert "context_pos" not in pc.attributes(clouds)


def test_a_loader_of_pyg_gives_such_batches() -> None:
    clouds = pairs(10)
    for follow in (None, ["context_pos"]):
        (batch,) = DataLoader(clouds.to_data_list(), batch_size=10, follow_batch=follow)
        assert equal(batch, clouds)
        assert equal(pc.select(batch, [3, 1]), pc.select(clouds, [3, 1]))


def test_other_numbers_of_contexts_are_refused() -> None:
    with pytest.raises(ArgumentError, match="context: got 1 clouds, expected one for each of the"):
        pc.make(torch.zeros(2, 1), [1, 1], context=pc.make(torch.zeros(0, 1), [0]))
    with pytest.raises(ArgumentError, match="contexts in 1 of 2"):
        pc.concat([pairs(2), pc.replace(pairs(2), context=None)])
    bad = pc.make(torch.full((1, 1), 1e9), [1])
    clouds = pc.make(torch.zeros(1, 1), [1], context=bad)
    with pytest.raises(DataError, match=r"expected numbers that torch\.float16 holds"):
        pc.cast(clouds, torch.float16)
