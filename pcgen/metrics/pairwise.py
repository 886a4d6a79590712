"""All pairs: the matrix of distances between every cloud of one set and every cloud of another.

The matrix is filled tile by tile; no tensor ever holds the points of all pairs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError

Distance = Callable[[Batch, Batch], Tensor]
"""A distance between paired clouds: two batches of B clouds in, [B] out."""


def pairwise(
    distance: Distance,
    a: Batch,
    b: Batch | None = None,
    *,
    tile: int = 4096,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Distance of every cloud of ``a`` to every cloud of ``b``.

    Args:
        distance: Takes two batches of equally many clouds and returns one number per pair.
        a: A clouds.
        b: B clouds; None means ``a`` itself, and then the distance is taken to be symmetric: only
            the pairs above the diagonal are computed, and the diagonal is 0.
        tile: Pairs computed at once.
        progress: Called with the fraction done after each tile.

    Returns:
        [A, B].

    Raises:
        ArgumentError: ``tile`` is not positive, or ``distance`` returns another shape.
    """
    if tile < 1:
        raise ArgumentError(f"tile: got {tile}, expected at least 1")
    number, other = a.num_graphs, a.num_graphs if b is None else b.num_graphs
    matrix = torch.zeros(number, other, dtype=torch.double)
    pairs = number * (number - 1) // 2 if b is None else number * other
    for start in range(0, pairs, tile):
        flat = torch.arange(start, min(start + tile, pairs))
        row, column = _triangle(flat) if b is None else (flat // other, flat % other)
        value = distance(pc.select(a, row.to(a.ptr.device)), _side(a, b, column))
        if value.shape != row.shape:
            raise ArgumentError(
                f"distance: returned shape {tuple(value.shape)}, expected {tuple(row.shape)}"
            )
        matrix[row, column] = value.detach().double().cpu()
        if progress is not None:
            progress(min(start + tile, pairs) / pairs)
    return matrix + matrix.T if b is None else matrix


def _side(a: Batch, b: Batch | None, column: Tensor) -> Batch:
    source = a if b is None else b
    return pc.select(source, column.to(source.ptr.device))


def _triangle(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column (row > column) of the strict lower triangle, counted row by row."""
    row = ((1 + (1 + 8 * flat.double()).sqrt()) / 2).long()
    # The square root may be off by one for large numbers; put it right in integers.
    row = row - (row * (row - 1) // 2 > flat).long()
    row = row + (row * (row + 1) // 2 <= flat).long()
    return row, flat - row * (row - 1) // 2
