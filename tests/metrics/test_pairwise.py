from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics import pairwise


def centroid_distance(a, b):
    """A cheap distance with a known matrix: between the sums of the points."""
    sums = [torch.zeros(c.num_graphs, 2).index_add(0, c.batch, c.pos) for c in (a, b)]
    return (sums[0] - sums[1]).norm(dim=1)


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
    a, pairs = clouds(sizes), []

    def counted(x, y):
        pairs.append(x.num_graphs)
        return centroid_distance(x, y)

    matrix = pairwise(counted, a, tile=tile)
    torch.testing.assert_close(matrix, pairwise(centroid_distance, a, a).fill_diagonal_(0))
    assert sum(pairs) == len(sizes) * (len(sizes) - 1) // 2


def test_progress_ends_at_one():
    seen = []
    pairwise(centroid_distance, clouds([1, 2, 3]), tile=2, progress=seen.append)
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


def test_a_distance_of_the_wrong_shape_is_refused():
    with pytest.raises(ArgumentError, match="distance: returned shape"):
        pairwise(lambda x, y: x.pos, clouds([2, 2]))
    with pytest.raises(ArgumentError, match="tile: got 0"):
        pairwise(centroid_distance, clouds([1]), tile=0)
