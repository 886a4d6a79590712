"""Neighbours, graphs and sampling against brute force in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ragged_clouds import Problem, pointer, problem, problems, squared_distances, table

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.neighbors import knn_graph, nearest, nearest_neighbors, radius_graph
from pcgen.ops.sampling import farthest_points


def brute(case: Problem, k: int, period: list[float | None] | None = None) -> torch.Tensor:
    """Rows of the k nearest, ties to the lowest: a stable sort of all distances."""
    found = torch.full((len(case.x), k), -1)
    for x, y in case.clouds():
        squared = squared_distances(case.x[x], case.y[y], period)
        order = squared.sort(dim=1, stable=True).indices[:, :k] + y.start
        found[x, : order.shape[1]] = order
    return found


@given(case=problems(), k=st.integers(1, 5))
def test_knn_is_brute_force(case, k):
    got = table(case, k)
    assert torch.equal(got.row, brute(case, k))
    assert torch.equal(got.squared.isinf(), got.row < 0)
    step = case.x[:, None].double() - case.y.double()[got.row.clamp(min=0)] if len(case.y) else 0
    if len(case.y):
        expected = (step * step).sum(-1).masked_fill(got.row < 0, torch.inf)
        torch.testing.assert_close(got.squared.double(), expected, rtol=1e-5, atol=0)


@given(case=problems())
def test_nearest_is_the_first_of_knn(case):
    one, many = table(case), table(case, 3)
    assert torch.equal(one.row, many.row[:, :1])
    assert torch.equal(one.squared, many.squared[:, :1])
    row = nearest(case.x, case.y, ptr_x=case.ptr_x, ptr_y=case.ptr_y)
    assert torch.equal(row, many.row[:, 0])


@given(case=problems(dimensions=(2, 2), dtypes=(torch.float64,)), k=st.integers(1, 3))
def test_periodic_axis_counts_images(case, k):
    period = [None, 5.0]
    got = table(case, k, period=period)
    for x, y in case.clouds():
        squared = squared_distances(case.x[x], case.y[y], period)
        expected = squared.sort(dim=1).values[:, :k]
        torch.testing.assert_close(
            got.squared[x, : expected.shape[1]], expected, rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("sizes", [[200], [512, 1, 700]])
def test_no_wrong_neighbour_at_an_offset_of_a_thousand(sizes):
    """torch.cdist is wrong for 98.5 % of these points."""
    case = problem(sizes, sizes, scale=0.3, offset=1000.0)
    assert torch.equal(table(case).row, brute(case, 1))


def test_near_ties_are_decided_in_double_precision():
    """In float32 the squares of both distances round to the same number."""
    x = torch.tensor([[0.0, 0.0]])
    y = torch.tensor([[1.0, 3e-5], [1.0, 1e-5]])
    ptr = torch.tensor([0, 1]), torch.tensor([0, 2])
    assert nearest(x, y, ptr_x=ptr[0], ptr_y=ptr[1]).item() == 1


def test_more_neighbours_than_blocks_do_not_depend_on_what_memory_held_before():
    """Two blocks of points and three neighbours: no block is left out, whatever room held."""
    case = problem([40], [50])
    expected = brute(case, 3)
    for _ in range(50):
        # Memory of the size that the search requests, given back full of NaN.
        rooms = [np.full(size, np.nan) for size in (2048, 2048 * 32) for _ in range(4)]
        del rooms
        assert torch.equal(table(case, 3).row, expected)


@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e25])
def test_scales_at_the_ends_of_float32(scale):
    """Squares underflow, are denormal, overflow in float32."""
    case = problem([40], [50], scale=scale)
    assert torch.equal(table(case, 3).row, brute(case, 3))


def test_trailing_empty_clouds_survive():
    case = problem([2, 0, 3, 0], [1, 4, 0, 0])
    found = table(case)
    assert found.row[:, 0].tolist() == [0, 0, -1, -1, -1]
    assert found.squared[2:].isinf().all()


def test_no_gradient_through_the_search():
    case = problem([3], [4])
    case.x.requires_grad_()
    assert not table(case).squared.requires_grad


def test_half_precision_and_strides():
    case = problem([30], [40])
    case_in_half = Problem(case.x.half(), case.y.half(), *case[2:])
    half = table(case_in_half)
    assert half.squared.dtype == torch.float32
    assert torch.equal(half.row, brute(case_in_half, 1))
    wide = torch.randn(30, 6)
    assert torch.equal(
        table(Problem(wide[:, ::2], *case[1:]), 2).row,
        table(Problem(wide[:, ::2].contiguous(), *case[1:]), 2).row,
    )


@given(
    case=problems(),
    k=st.integers(1, 4),
    loop=st.booleans(),
)
def test_knn_graph_is_sorted_brute_force_without_the_point_itself(case, k, loop):
    edges = knn_graph(case.x, k, ptr=case.ptr_x, loop=loop)
    expected = []
    for cloud, _ in case.clouds():
        squared = squared_distances(case.x[cloud], case.x[cloud])
        if not loop:
            squared.fill_diagonal_(torch.inf)
        for centre, row in enumerate(squared):
            order = row.sort(stable=True).indices[: min(k, int(row.isfinite().sum()))]
            expected += [(cloud.start + int(i), cloud.start + centre) for i in order]
    assert list(map(tuple, edges.t().tolist())) == expected


@given(case=problems(dimensions=(1, 3)), r=st.sampled_from([0.0, 1.0, 2.0]), loop=st.booleans())
def test_radius_graph_is_brute_force(case, r, loop):
    edges = radius_graph(case.x, r, ptr=case.ptr_x, loop=loop)
    near = [
        (cloud.start + int(i), cloud.start + int(j))
        for cloud, _ in case.clouds()
        for j, i in (squared_distances(case.x[cloud], case.x[cloud]) <= r * r).nonzero()
        if loop or i != j
    ]
    assert list(map(tuple, edges.t().tolist())) == near
    few = radius_graph(case.x, r, ptr=case.ptr_x, loop=loop, max_num_neighbors=2)
    nearest_two = knn_graph(case.x, 2, ptr=case.ptr_x, loop=loop)
    kept = set(map(tuple, near))
    assert few.t().tolist() == [e for e in nearest_two.t().tolist() if tuple(e) in kept]


def test_radius_graph_over_the_seam():
    angle = torch.tensor([[-3.1], [3.1], [0.0]])
    period = [2 * torch.pi]
    assert radius_graph(angle, 0.2, period=period).tolist() == [[1, 0], [0, 1]]
    assert radius_graph(angle, 0.2).numel() == 0


@given(case=problems(), ratio=st.sampled_from([0.3, 0.5, 1.0]))
def test_farthest_points_are_greedy_and_distinct(case, ratio):
    row, ptr = farthest_points(case.x, case.ptr_x, ratio=ratio)
    for b, (cloud, _) in enumerate(case.clouds()):
        chosen = row[ptr[b] : ptr[b + 1]].tolist()
        size = cloud.stop - cloud.start
        assert len(chosen) == -int(-size * ratio // 1)
        if not size:
            continue
        gap = torch.full((size,), torch.inf, dtype=torch.float64)
        expected = [0]
        for _ in range(1, len(chosen)):
            last = case.x[cloud][expected[-1]][None]
            gap = torch.minimum(gap, squared_distances(last, case.x[cloud])[0])
            gap[expected] = -1.0
            expected.append(int(gap.argmax()))
        assert chosen == [cloud.start + i for i in expected]


@given(st.integers(1, 400), st.data())
def test_the_ratio_of_two_whole_numbers_chooses_exactly_so_many(n, data):
    """7 of 13, 3 of 45 and others would be one too many where the product is rounded."""
    k = data.draw(st.integers(1, n))
    ratio, ptr = k / n, torch.tensor([0, n, 3 * n])
    _, chosen = farthest_points(torch.zeros(3 * n, 1), ptr, ratio=ratio)
    assert chosen.diff().tolist() == [k, 2 * k]
    if k < n:
        assert farthest_points(torch.zeros(n, 1), ptr[:2], ratio=ratio + 1e-9).ptr[-1] == k + 1


def test_farthest_points_over_the_seam_and_with_a_random_start():
    angle = torch.tensor([[-3.0], [0.0], [3.0]])
    assert farthest_points(angle, pointer([3]), number=2).row.tolist() == [0, 2]
    around = farthest_points(angle, pointer([3]), number=2, period=[2 * torch.pi])
    assert around.row.tolist() == [0, 1]
    pos, ptr = torch.randn(300, 2), pointer([100, 0, 200])
    generator = torch.Generator().manual_seed(1)
    drawn = [farthest_points(pos, ptr, number=1, generator=generator) for _ in range(20)]
    assert all(d.ptr.tolist() == [0, 1, 1, 2] for d in drawn)
    assert all(0 <= d.row[0] < 100 <= d.row[1] < 300 for d in drawn)
    assert len({d.row[1].item() for d in drawn}) > 5
    assert farthest_points(pos, ptr, number=1000).row.unique().numel() == 300


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": torch.zeros(3)}, ArgumentError, r"x: got torch.float32 \(3,\), expected a float"),
        ({"y": torch.zeros(4, 2).long()}, ArgumentError, "y: got torch.int64"),
        ({"y": torch.zeros(4, 3)}, ArgumentError, r"x, y: .* expected equal dtypes, D and B"),
        ({"y": torch.zeros(4, 2).double()}, ArgumentError, "x, y: .* expected equal dtypes"),
        ({"ptr_y": torch.tensor([0, 1, 4])}, ArgumentError, "in 1 clouds .* in 2, expected equal"),
        ({"ptr_x": torch.tensor([0, 2])}, ArgumentError, "ptr_x: got .* to the 3 rows"),
        ({"ptr_y": torch.tensor([1, 4])}, ArgumentError, "ptr_y: got a pointer from 1 to 4"),
        ({"ptr_y": torch.tensor([0, 4]).int()}, ArgumentError, "ptr_y: got torch.int32"),
        ({"y": torch.zeros(4, 2, device="meta")}, ArgumentError, "got cpu, meta, cpu, cpu"),
        ({"period": [1.0]}, ArgumentError, "period: got .1.0., expected .* each of 2 axes"),
        ({"period": [1.0, -2.0]}, ArgumentError, "period: got"),
        (
            {"x": torch.tensor([[0.0, 1], [0, torch.nan], [0, 0]])},
            DataError,
            "x: row 1 is .0.0, nan",
        ),
        (
            {"y": torch.full((4, 2), torch.inf)},
            DataError,
            "y: row 0 is .inf, inf., expected finite",
        ),
    ],
)
def test_refuses_bad_input(change, error, message):
    good = {"x": torch.zeros(3, 2), "y": torch.zeros(4, 2)}
    good |= {"ptr_x": torch.tensor([0, 3]), "ptr_y": torch.tensor([0, 4])}
    with pytest.raises(error, match=message):
        nearest_neighbors(**{**good, **change})


def test_refuses_bad_options():
    pos, ptr = torch.zeros(3, 2), torch.tensor([0, 3])
    with pytest.raises(ArgumentError, match="k: got 0, expected a whole number of at least 1"):
        nearest_neighbors(pos, pos, 0)
    with pytest.raises(ArgumentError, match="k: got -1"):
        knn_graph(pos, -1)
    with pytest.raises(ArgumentError, match=r"r: got -1.0, expected a distance"):
        radius_graph(pos, -1.0)
    with pytest.raises(ArgumentError, match="number, ratio: got None, None, expected exactly one"):
        farthest_points(pos, ptr)
    with pytest.raises(ArgumentError, match=r"ratio: got 1.5"):
        farthest_points(pos, ptr, ratio=1.5)
