from __future__ import annotations

import functools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, FileError
from pcgen.metrics import pairwise
from pcgen.metrics.distances import chamfer_distance, earth_mover_distance


def centroid_distance(a, b, scale=1.0):
    """A cheap distance with a known matrix: between the sums of the points."""
    sums = [torch.zeros(c.num_graphs, 2).index_add(0, c.batch, c.pos) for c in (a, b)]
    return scale * (sums[0] - sums[1]).norm(dim=1)


def no_distance(a, b):
    """Fails in the process that computes it."""
    raise ArgumentError("no_distance: got clouds, expected none")


class Counted:
    """A distance that counts its pairs and can stop in the middle, as a killed process would."""

    def __init__(self, stop_after=None):
        self.pairs, self.calls, self.stop_after = 0, 0, stop_after

    def __call__(self, a, b):
        if self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        self.pairs += a.num_graphs
        return centroid_distance(a, b)


def clouds(sizes):
    return pc.make(torch.randn(sum(sizes), 2), sizes)


ragged = st.lists(st.integers(0, 4), min_size=1, max_size=9)


@given(ragged, ragged, st.integers(1, 20))
def test_equals_the_double_loop_whatever_the_tile(sizes_a, sizes_b, tile):
    a, b = clouds(sizes_a), clouds(sizes_b)
    matrix = pairwise(centroid_distance, a, b, tile=tile)
    for i in range(len(sizes_a)):
        for j in range(len(sizes_b)):
            expected = centroid_distance(pc.select(a, [i]), pc.select(b, [j])).item()
            assert matrix[i, j].item() == pytest.approx(expected, rel=1e-6)


@given(ragged, st.integers(1, 20))
def test_one_set_is_half_the_work_and_the_same_matrix(sizes, tile):
    a, counted = clouds(sizes), Counted()
    matrix = pairwise(counted, a, tile=tile)
    torch.testing.assert_close(matrix, pairwise(centroid_distance, a, a).fill_diagonal_(0))
    assert counted.pairs == len(sizes) * (len(sizes) - 1) // 2


def test_within_one_set_the_lower_index_comes_first():
    a = clouds([1] * 7)
    a = pc.replace(a, pos=torch.arange(14.0).view(7, 2))

    def difference(x, y):
        assert bool((x.pos[:, 0] < y.pos[:, 0]).all())
        return y.pos[:, 0] - x.pos[:, 0]

    assert pairwise(difference, a, tile=4)[2, 5] == 6


def test_progress_ends_at_one():
    seen = []
    pairwise(centroid_distance, clouds([1, 2, 3]), tile=2, progress=seen.append)
    assert seen == [0.5, 1.0]


@pytest.mark.parametrize("symmetric", [True, False])
def test_an_interrupted_matrix_is_continued(tmp_path, symmetric):
    a, b = clouds([3, 0, 2, 1, 4]), None if symmetric else clouds([2, 5, 1])
    expected, store = pairwise(centroid_distance, a, b), tmp_path / "matrix.npy"
    with pytest.raises(KeyboardInterrupt):
        pairwise(Counted(stop_after=2), a, b, tile=3, store=store)
    second, seen = Counted(), []
    matrix = pairwise(second, a, b, tile=3, store=store, progress=seen.append)
    assert torch.equal(matrix, expected)
    pairs = 10 if symmetric else 15
    assert second.pairs == pairs - 6
    assert seen[0] == 3 / -(-pairs // 3)
    third = Counted()
    assert torch.equal(pairwise(third, a, b, tile=3, store=store), expected)
    assert third.calls == 0
    assert np.array_equal(np.load(store), expected.numpy())


def test_a_tile_is_marked_only_when_it_is_whole(tmp_path):
    a, store = clouds([1] * 5), tmp_path / "matrix.npy"
    with pytest.raises(KeyboardInterrupt):
        pairwise(Counted(stop_after=1), a, tile=4, store=store)
    assert np.load(tmp_path / "matrix.npy.tiles")[32:].tolist() == [1, 0, 0]


@pytest.mark.parametrize("change", ["position", "tile", "side"])
def test_the_file_of_another_matrix_is_refused(tmp_path, change):
    a, store = clouds([2, 3, 1]), tmp_path / "matrix.npy"
    pairwise(centroid_distance, a, a, tile=4, store=store)
    pos = a.pos + (1e-3 if change == "position" else 0)
    other = None if change == "side" else a
    with pytest.raises(FileError, match=r"matrix\.npy: was begun with other clouds"):
        pairwise(
            centroid_distance,
            pc.replace(a, pos=pos),
            other,
            tile=5 if change == "tile" else 4,
            store=store,
        )


def test_a_foreign_file_is_neither_used_nor_overwritten(tmp_path):
    store = tmp_path / "matrix.npy"
    store.write_text("mine")
    with pytest.raises(FileError, match="cannot go on"):
        pairwise(centroid_distance, clouds([1, 1]), store=store)
    assert store.read_text() == "mine"


@pytest.mark.slow
def test_processes_and_devices_do_not_change_the_matrix(tmp_path):
    a, b = clouds([3, 0, 2, 1, 4]), clouds([2, 0, 5])
    a = pc.replace(a, weight=torch.rand(10), y=torch.rand(5, 1))
    distance = functools.partial(centroid_distance, scale=2.0)
    expected = pairwise(distance, a, b)
    store = tmp_path / "matrix.npy"
    with pytest.raises(KeyboardInterrupt):
        pairwise(Counted(stop_after=1), a, tile=2, store=store)
    matrix = pairwise(centroid_distance, a, tile=2, store=store, processes=2)
    assert torch.equal(matrix, pairwise(centroid_distance, a))
    assert torch.equal(pairwise(distance, a, b, tile=4, devices=["cpu"]), expected)
    with pytest.raises(ArgumentError, match="no_distance: got clouds"):
        pairwise(no_distance, a, tile=1, processes=2)


@pytest.mark.parametrize("make", [chamfer_distance, earth_mover_distance])
def test_our_distances_can_be_given_to_other_processes(make):
    a = clouds([3, 2, 4])
    distance = make((2.0, None))
    assert torch.equal(pairwise(pickle.loads(pickle.dumps(distance)), a), pairwise(distance, a))


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ArgumentError, match="distance: returned shape"):
        pairwise(lambda x, y: x.pos, clouds([2, 2]))
    with pytest.raises(ArgumentError, match="tile, processes, devices: got 0, 1, None"):
        pairwise(centroid_distance, clouds([1]), tile=0)
    with pytest.raises(ArgumentError, match="which other processes cannot be given"):
        pairwise(lambda x, y: x.pos, clouds([2, 2]), processes=2)
