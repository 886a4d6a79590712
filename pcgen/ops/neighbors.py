r"""Nearest neighbours, neighbour graphs and farthest-point sampling of ragged clouds.

Cloud b holds the rows ptr_x[b], ..., ptr_x[b+1] - 1 of x and ptr_y[b], ..., ptr_y[b+1] - 1 of y;
neighbours are sought within one cloud only. The squared distance is

    s(x, y) = Σ_a (x_a - y_a)²,  with x_a - y_a taken around the circle on a periodic axis.

A search returns rows, which are integers: it is exact (the neighbour is the one that float64 finds,
at any offset of the coordinates), ties go to the lowest row, and gradients flow through what is
computed *from* the rows (:mod:`pcgen.ops.chamfer_distance`), not through the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops._kernels.search import farthest, search, within
from pcgen.ops.points import Period, check_points, square

__all__ = [
    "Neighbors",
    "Period",
    "Subset",
    "farthest_points",
    "knn",
    "knn_graph",
    "knn_rows",
    "nearest",
    "radius_graph",
]


class Neighbors(NamedTuple):
    """Neighbours of each row of x.

    Attributes:
        squared: Squared distances [N] or [N, k]; inf where there is no neighbour. No gradient.
        row: Rows of y [N] or [N, k]; -1 where there is no neighbour.
    """

    squared: Tensor
    row: Tensor


class Subset(NamedTuple):
    """Rows chosen from each cloud.

    Attributes:
        row: Rows [S], cloud after cloud.
        ptr: First of them in each cloud, and S [B+1].
    """

    row: Tensor
    ptr: Tensor


def nearest(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, *, period: Period | None = None
) -> Neighbors:
    """The nearest y of each x in the same cloud.

    Args:
        x: Points [N, D].
        y: Points [M, D], of the same dtype and device.
        ptr_x: First row of each cloud in x, and N [B+1].
        ptr_y: First row of each cloud in y, and M [B+1].
        period: Per axis the period, None for a line.

    Returns:
        Squared distance [N] and row of y [N]; inf and -1 where the cloud has no y.

    Raises:
        ArgumentError: shapes, dtypes, devices, pointers or periods do not fit.
        DataError: a coordinate is not finite.

    >>> x, y = torch.tensor([[0.0], [9.0]]), torch.tensor([[1.0], [7.0]])
    >>> nearest(x, y, torch.tensor([0, 2]), torch.tensor([0, 2])).row.tolist()
    [0, 1]
    >>> nearest(x, y, torch.tensor([0, 2]), torch.tensor([0, 2]), period=[10.0]).row.tolist()
    [0, 0]
    """
    squared, index = knn(x, y, ptr_x, ptr_y, 1, period=period)
    return Neighbors(squared.squeeze(1), index.squeeze(1))


def knn(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, *, period: Period | None = None
) -> Neighbors:
    """The k nearest y of each x in the same cloud, nearest first.

    Args and errors as :func:`nearest`.

    Returns:
        Squared distances [N, k] and rows of y [N, k]; inf and -1 where the cloud has fewer than k.
    """
    lengths = check_points(x, y, ptr_x, ptr_y, period)
    _check_count("k", k)
    x, y = x.detach(), y.detach()
    index = search(x, y, ptr_x, ptr_y, k, lengths)
    return Neighbors(_squared(x, y, index, lengths), index)


def knn_rows(pos: Tensor, ptr: Tensor, k: int, *, period: Period | None = None) -> Tensor:
    """Rows of the k nearest points of each point, itself included [N, k]; -1 where there are fewer.

    Args and errors as :func:`knn_graph`, whose graph with ``loop`` this is without distances.
    """
    lengths = check_points(pos, pos, ptr, ptr, period)
    _check_count("k", k)
    pos = pos.detach()
    return search(pos, pos, ptr, ptr, k, lengths)


def knn_graph(
    pos: Tensor, ptr: Tensor, k: int, *, loop: bool = False, period: Period | None = None
) -> Tensor:
    """Edges from the k nearest neighbours of each point to it, in PyG's convention.

    Args:
        pos: Points [N, D].
        ptr: [B+1].
        k: Neighbours of a point; it has fewer where its cloud has.
        loop: Whether a point counts among its own neighbours.
        period: Per axis the period, None for a line.

    Returns:
        ``edge_index`` [2, E]: neighbour, centre; by centre, nearest first.
    """
    _check_count("k", k)
    index = knn_rows(pos, ptr, k if loop else k + 1, period=period)
    centre = torch.arange(len(pos), device=pos.device)[:, None].expand_as(index)
    keep = index >= 0
    if not loop:
        own = index == centre
        # Behind k + 1 coincident points of lower rows, a point is not in its own list.
        own[:, -1] |= ~own.any(1)
        keep &= ~own
    return torch.stack((index[keep], centre[keep]))


def radius_graph(
    pos: Tensor,
    ptr: Tensor,
    r: float,
    *,
    max_neighbors: int | None = None,
    loop: bool = False,
    period: Period | None = None,
) -> Tensor:
    """Edges between points of a cloud at a distance of at most r, in PyG's convention.

    Args:
        pos: Points [N, D].
        ptr: [B+1].
        r: Largest distance, included.
        max_neighbors: Keep only so many nearest neighbours of a point; None keeps all.
        loop: Whether a point counts among its own neighbours.
        period: Per axis the period, None for a line.

    Returns:
        ``edge_index`` [2, E]: neighbour, centre; by centre, then by row of the neighbour (by
        distance where ``max_neighbors`` is given).
    """
    lengths = check_points(pos, pos, ptr, ptr, period)
    if not r >= 0:
        raise ArgumentError(f"r: got {r}, expected a distance >= 0")
    if max_neighbors is None:
        centre, neighbor = within(pos.detach(), pos.detach(), ptr, ptr, r, lengths)
        keep = (centre != neighbor) | loop
        return torch.stack((neighbor[keep], centre[keep]))
    edges = knn_graph(pos, ptr, max_neighbors, loop=loop, period=period)
    source, centre = pos.detach().double()[edges]
    return edges[:, square(source - centre, lengths) <= r * r]


def farthest_points(
    pos: Tensor,
    ptr: Tensor,
    *,
    number: int | None = None,
    ratio: float | None = None,
    period: Period | None = None,
    generator: torch.Generator | None = None,
) -> Subset:
    """Farthest-point sampling: each point chosen is the farthest from those chosen before.

    Args:
        pos: Points [N, D].
        ptr: [B+1].
        number: Points of each cloud to choose; all where it has fewer.
        ratio: Or the fraction of each cloud's points, above 0 and up to 1, rounded up: the least
            number whose quotient by the cloud's size is not below it.
        period: Per axis the period, None for a line.
        generator: Draws the first point; without one it is the first row of the cloud.

    Returns:
        Rows of pos in the order in which they were chosen, and their pointer. No row is chosen
        twice; ties go to the lowest row.

    >>> line = torch.tensor([[0.0], [1.0], [5.0], [3.0]])
    >>> farthest_points(line, torch.tensor([0, 4]), number=3).row.tolist()
    [0, 2, 3]
    """
    lengths = check_points(pos, pos, ptr, ptr, period)
    sizes = ptr[1:] - ptr[:-1]
    if (number is None) == (ratio is None):
        raise ArgumentError(f"number, ratio: got {number}, {ratio}, expected exactly one of them")
    if number is not None:
        _check_count("number", number)
        wanted = sizes.clamp(max=number)
    elif ratio is not None and 0 < ratio <= 1:
        wanted = _share(sizes, ratio)
    else:
        raise ArgumentError(f"ratio: got {ratio}, expected 0 < ratio <= 1")
    ptr_out = torch.cat((ptr[:1], wanted.cumsum(0)))
    start = ptr[:-1]
    if generator is not None:
        draw = torch.rand(len(sizes), generator=generator, device=generator.device)
        start = start + (draw.to(pos.device) * sizes).long().clamp(max=(sizes - 1).clamp(min=0))
    return Subset(farthest(pos.detach(), ptr, start, ptr_out, lengths), ptr_out)


def _share(sizes: Tensor, ratio: float) -> Tensor:
    """Least m [B] with m / n ≥ ratio, exactly as these are rounded: k of n where ratio is k / n."""
    number = sizes.double()
    # The product is off by less than one: the quotients decide.
    guess = (number * ratio).ceil()
    guess = guess - ((guess - 1) / number.clamp(min=1) >= ratio).double()
    return (guess + (guess / number.clamp(min=1) < ratio).double()).long().clamp(max=sizes)


def _check_count(name: str, number: int) -> None:
    if number < 1:
        raise ArgumentError(f"{name}: got {number}, expected at least 1")


def _squared(x: Tensor, y: Tensor, index: Tensor, period: Sequence[float]) -> Tensor:
    """Squared distances to the rows found, in float32 at least; inf where there is none."""
    if x.dtype in (torch.float16, torch.bfloat16):
        x, y = x.float(), y.float()
    if len(y) == 0:
        return x.new_full(index.shape, torch.inf)
    squared = square(x[:, None] - y[index.clamp(min=0)], period)
    return squared.masked_fill(index < 0, torch.inf)
