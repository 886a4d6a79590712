"""The nearest cloud of each cloud, with few distances.

**Bounds first.** A cheap lower bound of all pairs shows where the nearest cloud can be. The few
candidates with the lowest bounds are computed; a pair whose bound lies above the best distance
found cannot be the nearest and is never computed. The result is that of the full matrix, ties
included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.distances import Distance
from pcgen.metrics.pairs import SHARED, Workers, distances, distances_by

# Candidates computed for each cloud in one round, and pairs computed at once.
CANDIDATES = 4
TILE = 8192


@dataclass(frozen=True)
class Nearest:
    """The nearest of some columns for each of some rows.

    Attributes:
        index: Cloud of the table that is nearest [R], int64; ties go to the lowest.
        distance: How far it is [R], float64.
    """

    index: Tensor
    distance: Tensor


class NearestClouds:
    """Distances among U clouds, each computed where the nearest cloud depends on it.

    Takes 24 bytes for each of the U² entries of a table.

    Args:
        clouds: U clouds.
        distance: Symmetric; paired clouds in, [B] out.
        bound: Lower bound of ``distance`` for all pairs [U, U], safe against rounding.
        workers: Who computes the distances; None: this process.

    Raises:
        ArgumentError: ``bound`` has another shape or holds NaN.

    Attributes:
        solved: Distances computed so far.

    >>> from pcgen import clouds as pc
    >>> from pcgen.metrics.distances import earth_mover_bound, earth_mover_distance
    >>> clouds = pc.make(torch.tensor([[0.0], [5.0], [6.0]]), [1, 1, 1])
    >>> table = NearestClouds(clouds, earth_mover_distance(), earth_mover_bound(clouds))
    >>> table.nearest().index.tolist()
    [1, 2, 1]
    """

    def __init__(
        self,
        clouds: Batch,
        distance: Distance,
        bound: Tensor,
        *,
        workers: Workers | None = None,
    ) -> None:
        number = clouds.num_graphs
        if bound.shape != (number, number) or bool(bound.isnan().any()):
            raise ArgumentError(
                f"bound: got shape {tuple(bound.shape)} with {int(bound.isnan().sum())} NaN, "
                f"expected ({number}, {number}) numbers"
            )
        self.clouds, self.distance, self.solved = clouds, distance, 0
        self._workers = workers
        # Each pair is in one of the two: a bound, or infinity once its value is known.
        self._bound = bound.double().cpu().clone().fill_diagonal_(torch.inf)
        self._value = torch.full_like(self._bound, torch.inf)

    def nearest(
        self,
        rows: Tensor | slice | None = None,
        columns: Tensor | slice | None = None,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> Nearest:
        """For each cloud in ``rows`` the nearest in ``columns``, itself left out.

        Args:
            rows: Clouds to find a neighbour for: their numbers, or a slice; None means all.
            columns: Clouds to find it among; None means all.
            progress: Called with the fraction of ``rows`` whose neighbour is known.

        Raises:
            ArgumentError: a row has no other cloud among the columns.
        """
        row, back = self._numbers(rows).unique(return_inverse=True)
        column = self._numbers(columns).unique()
        if bool((len(column) - torch.isin(row, column).long() < 1).any()):
            raise ArgumentError(
                f"columns: got {columns}, expected a cloud besides that of each row"
            )
        open_rows = row
        while len(open_rows):
            open_rows = self._refine(open_rows, column)
            if progress is not None:
                progress(1.0 - len(open_rows) / max(len(row), 1))
        found = lowest(self._value, row, column)
        return Nearest(found.index[back], found.distance[back])

    def complete(self) -> None:
        """Compute every distance: worth it where very many searches follow."""
        number = self.clouds.num_graphs
        first, second = torch.triu_indices(number, number, offset=1)
        self._solve(first, second)

    def _numbers(self, part: Tensor | slice | None) -> Tensor:
        everything = torch.arange(self.clouds.num_graphs)
        return everything[slice(None) if part is None else part]

    def _refine(self, row: Tensor, column: Tensor) -> Tensor:
        """Compute the lowest candidates of each row; return the rows [R'] that have more."""
        bound = _part(self._bound, row, column)
        low, candidate = bound.topk(min(CANDIDATES, bound.shape[1]), dim=1, largest=False)
        best = _part(self._value, row, column).min(1, keepdim=True).values
        wanted = low.isfinite() & (low <= best)
        source = row[:, None].expand_as(candidate)[wanted]
        self._solve(source, column[candidate[wanted]])
        best = _part(self._value, row, column).min(1).values
        least = _part(self._bound, row, column).min(1).values
        return row[least.isfinite() & (least <= best)]

    def _solve(self, i: Tensor, j: Tensor) -> None:
        """Compute pairs (i, j) of different clouds, each once, with the lower index first."""
        number = self.clouds.num_graphs
        pair = (torch.minimum(i, j) * number + torch.maximum(i, j)).unique()
        parts = pair.split(TILE if self._workers is None else SHARED)
        for part, value in zip(parts, self._distances(parts), strict=True):
            if bool(value.isnan().any()):
                raise DataError(
                    f"distance: got {tuple(value.shape)} with {int(value.isnan().sum())} NaN, "
                    f"expected {tuple(part.shape)} numbers"
                )
            first, second = part // number, part % number
            for a, b in ((first, second), (second, first)):
                self._value[a, b] = value
                self._bound[a, b] = torch.inf
        self.solved += len(pair)

    def _distances(self, parts: Sequence[Tensor]) -> Iterator[Tensor]:
        """Distances [T] of the pairs of each part, numbered row by row."""
        clouds, distance, number = self.clouds, self.distance, self.clouds.num_graphs
        tiles = ((part // number, part % number) for part in parts)
        if self._workers is None or not len(parts[0]):
            here = (distances(distance, clouds, clouds, *tile) for tile in tiles)
            return map(torch.tensor, here)
        return map(torch.tensor, distances_by(self._workers, distance, clouds, clouds, tiles))


def lowest(table: Tensor, row: Tensor, column: Tensor) -> Nearest:
    """The lowest entry of each of some rows among some columns; ties go to the first column."""
    distance, index = _part(table, row, column).min(1)
    return Nearest(column[index], distance)


def _part(table: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Rows and columns of a table [R, C]; a view of the columns where they are in one piece."""
    first, last = int(column[0]), int(column[-1])
    if last - first + 1 == len(column):
        return table[row, first : last + 1]
    return table[row[:, None], column]
