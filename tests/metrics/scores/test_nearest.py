"""Nearest clouds by bounds: the bound is one, and the answers are those of the full matrix."""

from __future__ import annotations

import math

import pytest
import torch
from full_matrices import scores_of_matrices
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics import pairwise
from pcgen.metrics.distances import earth_mover_bound, earth_mover_distance
from pcgen.metrics.nearest_clouds import NearestClouds
from pcgen.metrics.scores import neighbour_scores

ragged = st.lists(st.integers(1, 6), min_size=2, max_size=9)
dtypes = st.sampled_from([torch.float32, torch.float64])


def make(sizes, dimensions=2, dtype=torch.float64, scale=1.0, offset=0.0):
    pos = (torch.randn(sum(sizes), dimensions, dtype=dtype) + offset) * scale
    weight = torch.rand(sum(sizes), dtype=dtype)
    weight[torch.rand(len(weight)) < 0.2] = 0
    first = torch.tensor([0, *sizes[:-1]]).cumsum(0)
    weight[first] = 1.0
    return pc.make(pos, sizes, weight=weight)


def full(clouds, periods=None):
    return pairwise(earth_mover_distance(periods), clouds)


def brute(matrix):
    return matrix.clone().fill_diagonal_(torch.inf).min(1)


@settings(max_examples=30)
@given(
    ragged, st.integers(1, 4), dtypes, st.sampled_from([1e-6, 1.0, 1e5]), st.sampled_from([0, 1e3])
)
def test_the_bound_is_below_the_distance(sizes, dimensions, dtype, scale, offset):
    clouds = make(sizes, dimensions, dtype, scale, offset)
    bound = earth_mover_bound(clouds, frames=3, cells=7)
    assert bool((bound <= full(clouds)).all())
    assert torch.equal(bound, bound.T)


@settings(max_examples=20)
@given(ragged, st.floats(0.1, 4.0), st.integers(0, 1))
def test_the_bound_is_below_the_distance_on_a_circle(sizes, spread, axis):
    clouds = make(sizes)
    clouds = pc.replace(clouds, pos=clouds.pos * spread + math.pi)
    periods = [None, None]
    periods[axis] = 2 * math.pi
    assert bool((earth_mover_bound(clouds, periods) <= full(clouds, periods)).all())


@given(st.integers(1, 4), st.integers(1, 5))
def test_the_bound_of_a_moved_cloud_is_how_far_it_moved(dimensions, size):
    one = make([size], dimensions)
    step = torch.randn(dimensions, dtype=torch.double)
    both = pc.concat([one, pc.replace(one, pos=one.pos + step)])
    assert earth_mover_bound(both, cells=5)[0, 1].item() == pytest.approx(step.norm().item())


def test_the_bound_of_a_cloud_moved_across_the_seam_is_the_short_way():
    one = pc.replace(make([4]), pos=torch.tensor([[0.0, 3.0], [0, 3.1], [1, 3], [1, 3.1]]).double())
    both = pc.concat([one, pc.replace(one, pos=one.pos - torch.tensor([0.0, 2 * math.pi - 0.5]))])
    periods = (None, 2 * math.pi)
    assert earth_mover_bound(both, periods)[0, 1].item() == pytest.approx(0.5)
    assert full(both, periods)[0, 1].item() == pytest.approx(0.5)


def test_the_bound_on_a_line_of_equal_weights_is_the_distance():
    clouds = pc.make(torch.randn(32, 1).double(), [8] * 4)
    torch.testing.assert_close(earth_mover_bound(clouds, cells=8), full(clouds))


def test_the_bound_knows_more_than_the_centroids():
    angle = torch.arange(12).double() * (math.pi / 6)
    ring = torch.stack([angle.cos(), angle.sin()], 1)
    clouds = pc.make(torch.cat([ring, 0.5 * ring]), [12, 12])
    # Every point moves by 1/2; both centroids are 0.
    assert 0.4 < earth_mover_bound(clouds)[0, 1].item() < 0.5


@settings(max_examples=20)
@given(ragged, dtypes, st.sampled_from([1, 2, 3]), st.booleans())
def test_nearest_is_that_of_the_full_matrix(sizes, dtype, dimensions, periodic):
    clouds = make(sizes, dimensions, dtype)
    periods = [2.0] * dimensions if periodic else None
    table = NearestClouds(
        clouds, earth_mover_distance(periods), earth_mover_bound(clouds, periods, frames=2, cells=4)
    )
    found, expected = table.nearest(), brute(full(clouds, periods))
    assert torch.equal(found.index, expected.indices)
    assert torch.equal(found.distance, expected.values)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=20), dtypes)
def test_ties_are_broken_as_in_the_full_matrix(copies, dtype):
    """Clouds on a lattice, many of them the same, so that most distances tie."""
    pool = [torch.tensor([[0.0, 0], [1, 0]]), torch.tensor([[0.0, 1], [1, 1]])]
    pool += [torch.tensor([[1.0, 0], [2, 0]]), torch.tensor([[0.0, 0], [1, 0]])]
    clouds = pc.make(torch.cat([pool[k] for k in copies]).to(dtype), [2] * len(copies))
    found = NearestClouds(clouds, earth_mover_distance(), earth_mover_bound(clouds)).nearest()
    assert torch.equal(found.index, brute(full(clouds)).indices)


@given(st.integers(2, 14), st.floats(0.0, 1.0))
def test_any_valid_bound_gives_the_same_answer(number, strength):
    """From no bound at all to the distance itself, with rows and columns of any overlap."""
    clouds = make([3] * number)
    matrix = full(clouds)
    noise = torch.rand(number, number)
    table = NearestClouds(
        clouds, earth_mover_distance(), strength * matrix * noise.maximum(noise.T)
    )
    rows, columns = slice(0, number), slice(number // 2, number)
    if number > 3:
        expected = matrix.clone().fill_diagonal_(torch.inf)[rows, columns].min(1)
        found = table.nearest(rows, columns)
        assert torch.equal(found.index, expected.indices + number // 2)
        assert torch.equal(found.distance, expected.values)
    assert torch.equal(table.nearest().index, brute(matrix).indices)
    assert table.solved <= number * (number - 1) // 2


def test_a_bound_that_is_none_would_be_noticed():
    """The search believes its bound: one that is too high hides the nearest cloud."""
    clouds = pc.make(torch.tensor([[0.0], [1.0], [10.0], [20.0], [30.0], [40.0]]), [1] * 6)
    matrix = full(clouds)
    matrix[0, 1] = matrix[1, 0] = 1e3
    table = NearestClouds(clouds, earth_mover_distance(), matrix)
    assert table.nearest().index.tolist()[:2] == [2, 2]


@settings(max_examples=15)
@given(ragged, ragged)
def test_scores_are_those_of_the_matrices(sizes_real, sizes_generated):
    real, generated = make(sizes_real), make(sizes_generated)
    generated = pc.replace(generated, pos=generated.pos * 0.7 + 0.3)
    distance = earth_mover_distance()
    between = pairwise(distance, real, generated)
    scores = neighbour_scores(real, generated, distance, earth_mover_bound)
    among = (pairwise(distance, side) for side in (real, generated))
    expected = scores_of_matrices(between, *among)
    assert scores.coverage == expected.coverage
    assert scores.mmd == pytest.approx(expected.mmd, rel=1e-12)
    assert scores.accuracy == expected.accuracy


def test_most_pairs_of_jets_are_never_computed():
    weight = torch.rand(300 * 10) ** 4
    clouds = pc.make(torch.randn(3000, 2) * torch.rand(300, 1).repeat_interleave(10, 0), [10] * 300)
    clouds = pc.replace(clouds, weight=weight)
    real, generated = pc.select(clouds, slice(0, 150)), pc.select(clouds, slice(150, 300))
    seen = []
    scores = neighbour_scores(
        real, generated, earth_mover_distance(), earth_mover_bound, progress=seen.append
    )
    assert scores.pairs == 300 * 299 // 2
    assert scores.solved < 0.2 * scores.pairs
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_what_cannot_be_used_is_refused():
    clouds = make([2, 2, 2])
    distance = earth_mover_distance()
    with pytest.raises(ArgumentError, match=r"bound: got shape \(2, 2\) with 0 NaN"):
        NearestClouds(clouds, distance, torch.zeros(2, 2))
    bound = torch.zeros(3, 3)
    bound[0, 1] = torch.nan
    with pytest.raises(ArgumentError, match="with 1 NaN"):
        NearestClouds(clouds, distance, bound)
    table = NearestClouds(clouds, distance, torch.zeros(3, 3))
    with pytest.raises(ArgumentError, match="expected a cloud besides that of each row"):
        table.nearest(slice(0, 2), slice(0, 1))
    broken = NearestClouds(clouds, lambda a, b: 0 * a.pos[::2, 0] / 0, torch.zeros(3, 3))
    with pytest.raises(DataError, match=r"got \(3,\) with 3 NaN, expected \(3,\) numbers"):
        broken.nearest()
    with pytest.raises(ArgumentError, match="real, generated: got 3 and 0"):
        neighbour_scores(clouds, pc.select(clouds, []), distance, earth_mover_bound)
    with pytest.raises(DataError, match="event 1: got total weight 0"):
        earth_mover_bound(pc.make(torch.zeros(2, 2), [2, 0]))
    with pytest.raises(ArgumentError, match="frames, cells: got 0, 64"):
        earth_mover_bound(clouds, frames=0)
    with pytest.raises(ArgumentError, match="expected one for each of 2 axes"):
        earth_mover_bound(clouds, [None])
