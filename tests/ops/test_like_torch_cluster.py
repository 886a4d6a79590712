"""nearest, knn, knn_graph, radius_graph and fps: arguments and results of torch_cluster."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from ragged_clouds import problem, squared_distances
from torch import Tensor

from pcgen import ops
from pcgen.errors import ArgumentError
from pcgen.ops.ragged import owners, pointer_of

# The order of the arguments of torch_cluster 1.6.3 up to the last one that ours has by position.
ORDER = {
    "nearest": "x y batch_x batch_y",
    "knn": "x y k batch_x batch_y",
    "knn_graph": "x k batch loop flow",
    "radius_graph": "x r batch loop max_num_neighbors flow",
    "fps": "x batch ratio random_start batch_size ptr",
}
SIZES = [5, 1, 0, 7], [4, 3, 2, 6]


def clouds() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points of both sides, and their batches."""
    x, y, ptr_x, ptr_y = problem(*SIZES)
    return x, y, owners(ptr_x, len(x)), owners(ptr_y, len(y))


def edges(found: Tensor) -> set[tuple[int, int]]:
    pairs = set(map(tuple, found.t().tolist()))
    assert len(pairs) == found.shape[1]
    return pairs


@pytest.mark.parametrize("name", ORDER)
def test_arguments_by_position(name: str) -> None:
    parameters = inspect.signature(getattr(ops, name)).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert " ".join(positional) == ORDER[name]


def brute_knn(x: Tensor, y: Tensor, k: int, batch_x: Tensor, batch_y: Tensor) -> set[Any]:
    """Pairs (row of y, one of the k nearest rows of x in its cloud)."""
    squared = squared_distances(y, x).masked_fill(batch_y[:, None] != batch_x, torch.inf)
    order = squared.sort(dim=1, stable=True).indices
    return {(j, int(i)) for j in range(len(y)) for i in order[j, :k] if squared[j, i] < torch.inf}


@pytest.mark.parametrize("k", [1, 3])
def test_knn_finds_x_for_each_y(k: int) -> None:
    x, y, batch_x, batch_y = clouds()
    assert edges(ops.knn(x, y, k, batch_x, batch_y)) == brute_knn(x, y, k, batch_x, batch_y)


def test_nearest_finds_y_for_each_x() -> None:
    x, y, batch_x, batch_y = clouds()
    expected = brute_knn(y, x, 1, batch_y, batch_x)
    assert set(enumerate(ops.nearest(x, y, batch_x, batch_y).tolist())) == expected


def test_graphs_point_from_the_neighbour_to_the_centre() -> None:
    x, _, batch, _ = clouds()
    squared = squared_distances(x, x).masked_fill(batch[:, None] != batch, torch.inf)
    squared.fill_diagonal_(torch.inf)
    near = {(int(i), int(j)) for j, i in (squared <= 1.0).nonzero()}
    assert edges(ops.radius_graph(x, 1.0, batch)) == near
    assert edges(ops.radius_graph(x, 1.0, batch, False, 2)) <= near
    first = {(int(squared[j].argmin()), j) for j in range(len(x)) if squared[j].isfinite().any()}
    assert edges(ops.knn_graph(x, 1, batch)) == first
    for graph in (ops.knn_graph(x, 1, batch, True), ops.radius_graph(x, 0.0, batch, True)):
        assert edges(graph) == {(i, i) for i in range(len(x))}


@pytest.mark.parametrize("graph", [ops.knn_graph, ops.radius_graph])
def test_flow_swaps_the_rows(graph: Any) -> None:
    x, _, batch, _ = clouds()
    assert torch.equal(graph(x, 2, batch, flow="target_to_source"), graph(x, 2, batch).flip(0))
    with pytest.raises(ArgumentError, match="flow: got 'up'"):
        graph(x, 2, batch, flow="up")


def test_fps_starts_at_the_first_row_or_at_random() -> None:
    x, _, batch, _ = clouds()
    ptr = pointer_of(batch, 4)
    for ratio, sizes in ((None, [3, 1, 0, 4]), (0.3, [2, 1, 0, 3])):
        chosen = ops.fps(x, batch, ratio, random_start=False)
        expected = ops.farthest_points(x, ptr, ratio=ratio or 0.5)
        assert torch.equal(chosen, expected.row)
        assert torch.bincount(batch[chosen], minlength=4).tolist() == sizes
    drawn = {int(ops.fps(x[:5], number=1)) for _ in range(60)}
    assert drawn == set(range(5))


def test_clouds_by_batch_by_pointer_and_without() -> None:
    x, y, batch_x, batch_y = clouds()
    by_batch = ops.knn(x, y, 2, batch_x, batch_y)
    by_pointer = ops.knn(x, y, 2, ptr_x=pointer_of(batch_x, 4), ptr_y=pointer_of(batch_y, 4))
    assert torch.equal(by_batch, by_pointer)
    zero_x, zero_y = torch.zeros_like(batch_x), torch.zeros_like(batch_y)
    assert torch.equal(ops.knn(x, y, 2), ops.knn(x, y, 2, zero_x, zero_y))
    # The last clouds of one side may be empty, or of both.
    few = batch_x < 3
    assert len(ops.nearest(x[few], y, batch_x[few], batch_y)) == 6
    assert len(ops.knn_graph(x, 1, batch_x, batch_size=9)) == 2


def test_what_does_not_fit_is_named() -> None:
    x, y, batch_x, batch_y = clouds()
    with pytest.raises(ArgumentError, match="batch_x: got clouds from 3 to 0, expected ascending"):
        ops.knn(x, y, 1, batch_x.flip(0), batch_y)
    with pytest.raises(ArgumentError, match="batch_y: got a pointer too"):
        ops.nearest(x, y, batch_x, batch_y, ptr_y=pointer_of(batch_y, 4))
    with pytest.raises(ArgumentError, match=r"batch_y: got the shape \(3,\)"):
        ops.knn(x, y, 1, batch_x, batch_y[:3])
    with pytest.raises(ArgumentError, match=r"batch: got torch\.int32"):
        ops.knn_graph(x, 1, batch_x.int())
    with pytest.raises(ArgumentError, match=r"batch: got clouds from 0 to 3, expected .* 0 to 1"):
        ops.radius_graph(x, 1.0, batch_x, batch_size=2)
    with pytest.raises(ArgumentError, match="max_num_neighbors: got 0"):
        ops.radius_graph(x, 1.0, max_num_neighbors=0)


def test_torch_cluster_finds_the_same() -> None:
    theirs = pytest.importorskip("torch_cluster")
    # torch_cluster wants points in every cloud.
    x, y, ptr_x, ptr_y = problem([5, 1, 30, 7], [4, 3, 2, 6], seed=3)
    batch_x, batch_y = owners(ptr_x, len(x)), owners(ptr_y, len(y))
    for k in (1, 3):
        given = (x, y, k, batch_x, batch_y)
        assert edges(ops.knn(*given)) == edges(theirs.knn(*given))
        for loop in (False, True):
            given = (x, k, batch_x, loop)
            assert edges(ops.knn_graph(*given)) == edges(theirs.knn_graph(*given))
    given = (x, y, batch_x, batch_y)
    assert torch.equal(ops.nearest(*given), theirs.nearest(*given))
    for loop in (False, True):
        given = (x, 0.9, batch_x, loop, 100)
        assert edges(ops.radius_graph(*given)) == edges(theirs.radius_graph(*given))
    for ratio in (0.5, 0.3, 1.0):
        given = (x, batch_x, ratio, False)
        assert torch.equal(ops.fps(*given), theirs.fps(*given))


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_a_limit_that_none_reaches_changes_no_graph_at_any_scale(scale):
    x = torch.randn(60, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0)) * scale
    batch = torch.zeros(60, dtype=torch.long)
    free, limited = (ops.radius_graph(x, scale, batch, max_num_neighbors=n) for n in (None, 99))
    assert 0 < free.shape[1] < 60 * 59
    assert set(map(tuple, free.T.tolist())) == set(map(tuple, limited.T.tolist()))


def test_more_neighbours_than_any_cloud_has_are_all_of_them():
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    batch = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    huge = 10**12
    assert ops.knn_graph(x, huge, batch).shape == (2, 4 * 3 + 3 * 2)
    assert ops.knn_graph(x, huge, batch, loop=True).shape == (2, 16 + 9)
    assert ops.knn(x, x, huge, batch, batch).shape == (2, 16 + 9)


@pytest.mark.parametrize("k", [2.0, "2", 0])
def test_a_number_of_neighbours_is_whole(k):
    with pytest.raises(ArgumentError, match=r"k: got .*, expected a whole number of at least 1"):
        ops.knn_graph(torch.zeros(3, 2), k)


@pytest.mark.parametrize("ptr", [torch.tensor([[0, 3]]), torch.tensor([0.0, 3.0])])
def test_a_pointer_of_another_kind_is_one_error(ptr):
    x = torch.zeros(3, 2)
    for call in (
        lambda: ops.knn_graph(x, 2, ptr=ptr),
        lambda: ops.knn(x, x, 2, ptr_x=ptr, ptr_y=ptr),
        lambda: ops.radius_graph(x, 1.0, ptr=ptr, max_num_neighbors=2),
    ):
        with pytest.raises(ArgumentError, match="ptr"):
            call()
