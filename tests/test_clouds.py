from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.ops.ragged import from_dense, to_dense

ragged = st.lists(st.integers(0, 5), min_size=1, max_size=8)


def full(sizes):
    """Clouds with every attribute of the convention."""
    n, b = sum(sizes), len(sizes)
    return pc.make(
        torch.randn(n, 3),
        sizes,
        weight=torch.rand(n),
        x=torch.randn(n, 2),
        y=torch.randn(b, 4),
        label=torch.randint(5, (b,)),
        layer=torch.randint(3, (n,)),
        cell=torch.randint(9, (n, 3)),
    )


def assert_same(a, b):
    assert a.num_graphs == b.num_graphs
    assert a.ptr.tolist() == b.ptr.tolist()
    assert a.batch.tolist() == b.batch.tolist()
    first, second = pc.attributes(a), pc.attributes(b)
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@given(ragged)
def test_round_trips_through_pyg_exactly(sizes):
    clouds = full(sizes)
    assert_same(Batch.from_data_list(clouds.to_data_list()), clouds)
    assert clouds.num_graphs == len(sizes)
    for b, size in enumerate(sizes):
        assert clouds[b].num_nodes == size
        assert clouds[b].y.shape == (1, 4)


def test_pyg_loader_makes_the_same_batches():
    clouds = full([2, 0, 3, 1, 0])
    batches = list(DataLoader(clouds.to_data_list(), batch_size=2))
    assert_same(pc.concat(batches), clouds)


@given(ragged, st.data())
def test_select_equals_picking_one_by_one(sizes, data):
    clouds = full(sizes)
    index = data.draw(st.lists(st.integers(-len(sizes), len(sizes) - 1), max_size=10))
    picked = pc.select(clouds, index)
    assert picked.num_graphs == len(index)
    for k, i in enumerate(index):
        assert torch.equal(picked[k].pos, clouds[i % len(sizes)].pos)
        assert torch.equal(picked[k].y, clouds[i % len(sizes)].y)


def test_select_by_mask_and_slice():
    clouds = full([1, 0, 2, 3])
    assert_same(pc.select(clouds, slice(1, 3)), pc.select(clouds, [1, 2]))
    mask = torch.tensor([False, True, False, True])
    assert_same(pc.select(clouds, mask), pc.select(clouds, [1, 3]))
    with pytest.raises(ArgumentError, match="index: got values from 0 to 4, expected -4 to 3"):
        pc.select(clouds, [0, 4])


@given(ragged)
def test_concat_undoes_a_split(sizes):
    clouds = full(sizes)
    parts = [pc.select(clouds, [b]) for b in range(len(sizes))]
    assert_same(pc.concat(parts), clouds)


def test_concat_wants_the_same_attributes():
    with pytest.raises(ArgumentError, match="expected the same in all"):
        pc.concat([full([1]), pc.make(torch.zeros(1, 3), [1])])
    with pytest.raises(ArgumentError, match="got none"):
        pc.concat([])


@given(ragged)
def test_select_points_keeps_the_clouds(sizes):
    clouds = full(sizes)
    keep = clouds.weight > 0.5
    left = pc.select_points(clouds, keep)
    assert left.num_graphs == clouds.num_graphs
    assert torch.equal(left.weight, clouds.weight[keep])
    assert torch.equal(left.batch, clouds.batch[keep])
    assert torch.equal(left.y, clouds.y)


@given(ragged)
def test_dense_and_back(sizes):
    clouds = full(sizes)
    dense, present = to_dense(clouds.pos, clouds.ptr, fill=-7.0)
    assert (dense[~present] == -7).all()
    rows, counted = from_dense(dense, present)
    assert torch.equal(rows, clouds.pos)
    assert counted.tolist() == sizes


def test_weights_of_unweighted_clouds_are_one_over_n():
    clouds = pc.make(torch.zeros(5, 1), [4, 0, 1])
    assert pc.weights(clouds).tolist() == [0.25] * 4 + [1.0]
    assert pc.total(clouds).tolist() == [1.0, 0.0, 1.0]


def test_replace_leaves_the_original_alone():
    clouds = full([2, 1])
    before = clouds.weight.clone()
    doubled = pc.replace(clouds, weight=2 * clouds.weight, x=None)
    assert torch.equal(clouds.weight, before)
    assert doubled.get("x") is None
    assert clouds.get("x") is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": [1, 1]}, "sum 2, expected .* sum to the 3 rows"),
        ({"sizes": [-1, 4]}, "expected .B. non-negative"),
        ({"sizes": [3], "weight": torch.ones(2)}, "weight: got .* with 3 rows"),
        ({"sizes": [3], "weight": torch.ones(3, 1)}, "weight: .* rank 1"),
        ({"sizes": [3], "y": torch.ones(3, 1)}, "y: .* with 1 rows"),
        ({"sizes": [3], "label": torch.ones(1)}, "label: .* integer"),
        ({"sizes": [3], "cell": torch.ones(3, 1, dtype=torch.long)}, "expected the 2 of pos"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        pc.make(torch.zeros(3, 2), **arguments)


def test_check_names_the_first_bad_event():
    clouds = full([2, 0, 2])
    bad = pc.replace(clouds, weight=torch.tensor([1.0, 1.0, -2.0, 1.0]))
    with pytest.raises(DataError, match="weight of event 2: got a negative value"):
        pc.check(bad)
    bad = pc.replace(clouds, y=torch.tensor([[0.0] * 4, [torch.nan] * 4, [0.0] * 4]))
    with pytest.raises(DataError, match="y of event 1: got a value that is not finite"):
        pc.check(bad)
    with pytest.raises(DataError, match="got 3 columns, expected 2"):
        pc.check(clouds, 2)
    assert pc.check(clouds, 3) is clouds


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 20))
def test_points_without_weights_are_thinned_evenly(sizes, number):
    rows = torch.arange(float(sum(sizes)))[:, None]
    clouds = pc.make(rows, sizes)
    few = pc.at_most(clouds, number)
    assert pc.sizes(few).tolist() == [min(size, number) for size in sizes]
    for size, all_rows, kept in zip(sizes, rows.split(sizes), few.to_data_list(), strict=True):
        steps = kept.pos.flatten().diff()
        if size > number:
            # Neighbours are as far apart as the share makes them, rounded down or up.
            assert bool((steps >= size // number).all())
            assert bool((steps <= -(-size // number)).all())
            assert kept.pos[-1] == all_rows[-1]
        else:
            assert torch.equal(kept.pos, all_rows)
    heavy = pc.replace(clouds, weight=rows[:, 0])
    assert torch.equal(pc.at_most(heavy, number).pos, pc.heaviest(heavy, number).pos)
