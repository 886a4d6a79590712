r"""Nearest neighbours and neighbour graphs of ragged clouds.

Rows of a cloud stand together. Which cloud a row belongs to is given by ``batch`` [N], as in
torch_cluster and PyG, or by a pointer ``ptr`` [B+1]: cloud b holds the rows ptr[b], ...,
ptr[b+1] - 1. With neither, all rows are one cloud. Neighbours are sought within one cloud only. The
squared distance is

    s(x, y) = Σ_a (x_a - y_a)²,  with x_a - y_a taken around the circle on a periodic axis.

:func:`nearest`, :func:`knn`, :func:`knn_graph` and :func:`radius_graph` have the arguments and the
results of torch_cluster, in the same order, and further ones by keyword. A search returns rows,
which are integers: it is exact (the neighbour is the one that float64 finds, at any offset of the
coordinates), ties go to the lowest row, and gradients flow through what is computed *from* the rows
(:func:`pcgen.ops.chamfer`), not through the search.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops._kernels.search import search, within
from pcgen.ops.points import Period, Side, check_count, check_points, pointers, square
from pcgen.ops.sampling import farthest_points as farthest_points  # its home up to version 0.2

__all__ = [
    "Flow",
    "Neighbors",
    "Period",
    "knn",
    "knn_graph",
    "knn_rows",
    "nearest",
    "nearest_neighbors",
    "radius_graph",
]

Flow = Literal["source_to_target", "target_to_source"]
"""Which row of ``edge_index`` holds the neighbours: the first, or the second."""


class Neighbors(NamedTuple):
    """Neighbours of each row of x.

    Attributes:
        squared: Squared distances [N] or [N, k]; inf where there is no neighbour. No gradient.
        row: Rows of y [N] or [N, k]; -1 where there is no neighbour.
    """

    squared: Tensor
    row: Tensor


def nearest_neighbors(
    x: Tensor,
    y: Tensor,
    k: int = 1,
    *,
    batch_x: Tensor | None = None,
    batch_y: Tensor | None = None,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
    batch_size: int | None = None,
    period: Period | None = None,
) -> Neighbors:
    """The k nearest y of each x in the same cloud, nearest first, with their distances.

    Args:
        x: Points [N, D].
        y: Points [M, D], of the same dtype and device.
        k: Number of neighbours.
        batch_x, batch_y: Cloud of each row [N], [M], ascending.
        ptr_x, ptr_y: Or the first row of each cloud, and N or M [B+1].
        batch_size: B, where the last clouds may be empty; otherwise the largest of the batches + 1.
        period: Per axis the period, None for a line.

    Returns:
        Squared distances [N, k] and rows of y [N, k]; inf and -1 where the cloud has fewer than k.

    Raises:
        ArgumentError: shapes, dtypes, devices, batches, pointers, periods or k do not fit.
        DataError: a coordinate is not finite.

    >>> x, y = torch.tensor([[0.0], [9.0]]), torch.tensor([[1.0], [7.0]])
    >>> nearest_neighbors(x, y).row.tolist()
    [[0], [1]]
    >>> nearest_neighbors(x, y, period=[10.0]).squared.tolist()
    [[1.0], [4.0]]
    """
    sides = (("batch_x", batch_x, ptr_x, x), ("batch_y", batch_y, ptr_y, y))
    start_x, start_y, lengths = _checked(sides, k, batch_size, period)
    x, y = x.detach(), y.detach()
    index = search(x, y, start_x, start_y, k, lengths)
    return Neighbors(_squared(x, y, index, lengths), index)


def nearest(
    x: Tensor,
    y: Tensor,
    batch_x: Tensor | None = None,
    batch_y: Tensor | None = None,
    *,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
    batch_size: int | None = None,
    period: Period | None = None,
) -> Tensor:
    """Row of the nearest y of each x in the same cloud [N]; -1 where the cloud has no y.

    As ``torch_cluster.nearest``; arguments and errors are those of :func:`nearest_neighbors`.

    >>> nearest(torch.tensor([[0.0], [9.0]]), torch.tensor([[1.0], [7.0]])).tolist()
    [0, 1]
    """
    sides = (("batch_x", batch_x, ptr_x, x), ("batch_y", batch_y, ptr_y, y))
    start_x, start_y, lengths = _checked(sides, 1, batch_size, period)
    return search(x.detach(), y.detach(), start_x, start_y, 1, lengths).squeeze(1)


def knn(
    x: Tensor,
    y: Tensor,
    k: int,
    batch_x: Tensor | None = None,
    batch_y: Tensor | None = None,
    *,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
    batch_size: int | None = None,
    period: Period | None = None,
) -> Tensor:
    """For each y the k nearest x in the same cloud, as ``torch_cluster.knn``.

    Arguments and errors are those of :func:`nearest_neighbors`, which looks from x to y.

    Returns:
        Rows of y, and beside each one of its nearest rows of x [2, E]; by y, nearest first. A row
        of y has fewer than k where its cloud has.

    >>> knn(torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[0.9]]), 2).tolist()
    [[0, 0], [1, 0]]
    """
    sides = (("batch_x", batch_x, ptr_x, x), ("batch_y", batch_y, ptr_y, y))
    start_x, start_y, lengths = _checked(sides, k, batch_size, period)
    index = search(y.detach(), x.detach(), start_y, start_x, _at_most(k, start_x), lengths)
    query = torch.arange(len(y), device=y.device)[:, None].expand_as(index)
    found = index >= 0
    return torch.stack((query[found], index[found]))


def knn_rows(pos: Tensor, ptr: Tensor, k: int, *, period: Period | None = None) -> Tensor:
    """Rows of the k nearest points of each point, itself included [N, k]; -1 where there are fewer.

    The neighbours of :func:`knn_graph` with ``loop``, as a table; errors as there.
    """
    lengths = check_points(pos, pos, ptr, ptr, period)
    check_count("k", k)
    pos = pos.detach()
    return search(pos, pos, ptr, ptr, k, lengths)


def knn_graph(
    x: Tensor,
    k: int,
    batch: Tensor | None = None,
    loop: bool = False,
    flow: Flow = "source_to_target",
    *,
    ptr: Tensor | None = None,
    batch_size: int | None = None,
    period: Period | None = None,
) -> Tensor:
    """Edges from the k nearest neighbours of each point to it, as ``torch_cluster.knn_graph``.

    Args:
        x: Points [N, D].
        k: Neighbours of a point; it has fewer where its cloud has.
        batch: Cloud of each row [N], ascending.
        loop: Whether a point counts among its own neighbours.
        flow: "target_to_source" swaps the rows of the result.
        ptr: First row of each cloud, and N [B+1], in place of ``batch``.
        batch_size: B, where the last clouds may be empty.
        period: Per axis the period, None for a line.

    Returns:
        ``edge_index`` [2, E]: neighbour, centre; by centre, nearest first.

    Raises:
        ArgumentError: an argument does not fit.
        DataError: a coordinate is not finite.
    """
    _check_flow(flow)
    check_count("k", k)
    ptr = pointers((("batch", batch, ptr, x),), batch_size)[0]
    lengths, pos = check_points(x, x, ptr, ptr, period), x.detach()
    index = search(pos, pos, ptr, ptr, _at_most(k if loop else k + 1, ptr), lengths)
    centre = torch.arange(len(x), device=x.device)[:, None].expand_as(index)
    keep = index >= 0
    if not loop:
        own = index == centre
        # Behind k + 1 coincident points of lower rows, a point is not in its own list.
        own[:, -1] |= ~own.any(1)
        keep &= ~own
    return _edges(index[keep], centre[keep], flow)


def radius_graph(
    x: Tensor,
    r: float,
    batch: Tensor | None = None,
    loop: bool = False,
    max_num_neighbors: int | None = None,
    flow: Flow = "source_to_target",
    *,
    ptr: Tensor | None = None,
    batch_size: int | None = None,
    period: Period | None = None,
) -> Tensor:
    """Edges between points of a cloud that are at most r apart, as ``torch_cluster.radius_graph``.

    Args:
        x: Points [N, D].
        r: Largest distance, included.
        batch: Cloud of each row [N], ascending.
        loop: Whether a point counts among its own neighbours.
        max_num_neighbors: Keep only so many neighbours of a point, the nearest ones. None keeps
            all; torch_cluster keeps 32 unless another number is given, and not the nearest.
        flow: "target_to_source" swaps the rows of the result.
        ptr: First row of each cloud, and N [B+1], in place of ``batch``.
        batch_size: B, where the last clouds may be empty.
        period: Per axis the period, None for a line.

    Returns:
        ``edge_index`` [2, E]: neighbour, centre; by centre, then by row of the neighbour (by
        distance where ``max_num_neighbors`` is given).

    Raises:
        ArgumentError: an argument does not fit.
        DataError: a coordinate is not finite.
    """
    _check_flow(flow)
    if not r >= 0:
        raise ArgumentError(f"r: got {r}, expected a distance >= 0")
    ptr = pointers((("batch", batch, ptr, x),), batch_size)[0]
    lengths = check_points(x, x, ptr, ptr, period)
    pos = x.detach()
    if max_num_neighbors is None:
        centre, neighbor = within(pos, pos, ptr, ptr, r, lengths)
        keep = (centre != neighbor) | loop
        return _edges(neighbor[keep], centre[keep], flow)
    check_count("max_num_neighbors", max_num_neighbors)
    edges = knn_graph(pos, max_num_neighbors, loop=loop, ptr=ptr, period=period)
    source, centre = pos.double()[edges]
    # In units of r where its square would be infinite or 0.
    unit = r if 0 < r < math.inf and r * r in (0.0, math.inf) else 1.0
    apart = square((source - centre) / unit, [length / unit for length in lengths])
    near = edges[:, apart <= (r / unit) ** 2]
    return _edges(near[0], near[1], flow)


def _checked(
    sides: tuple[Side, Side], k: int, batch_size: int | None, period: Period | None
) -> tuple[Tensor, Tensor, list[float]]:
    """Pointers of both sides and the period of each axis, once all arguments are checked."""
    ptr_x, ptr_y = pointers(sides, batch_size)
    lengths = check_points(sides[0][3], sides[1][3], ptr_x, ptr_y, period)
    check_count("k", k)
    return ptr_x, ptr_y, lengths


def _edges(neighbor: Tensor, centre: Tensor, flow: Flow) -> Tensor:
    rows = (neighbor, centre) if flow == "source_to_target" else (centre, neighbor)
    return torch.stack(rows)


def _check_flow(flow: Flow) -> None:
    if flow not in ("source_to_target", "target_to_source"):
        raise ArgumentError(
            f"flow: got {flow!r}, expected 'source_to_target' or 'target_to_source'"
        )


def _at_most(k: int, ptr: Tensor) -> int:
    """k, or the points of the largest cloud: a table of more columns would hold nothing there."""
    return k if torch.compiler.is_compiling() else min(k, max([1, *ptr.diff().tolist()]))


def _squared(x: Tensor, y: Tensor, index: Tensor, period: Sequence[float]) -> Tensor:
    """Squared distances to the rows found, in float32 at least; inf where there is none."""
    if x.dtype in (torch.float16, torch.bfloat16):
        x, y = x.float(), y.float()
    if len(y) == 0:
        return x.new_full(index.shape, torch.inf)
    squared = square(x[:, None] - y[index.clamp(min=0)], period)
    return squared.masked_fill(index < 0, torch.inf)
