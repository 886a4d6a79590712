"""Coverage (COV), minimum matching distance (MMD) and 1-nearest-neighbour accuracy (1-NNA).

Definitions of Achlioptas et al. (Learning Representations and Generative Models for 3D Point
Clouds, section 5) and, for 1-NNA, of Lopez-Paz and Oquab as used by PointFlow (Yang et al., section
5.1). All three depend on nearest clouds alone: those of each cloud in the union of both sets, of
each generated one among the real ones and of each real one among the generated ones.

**Bounds first.** A cheap lower bound of all pairs shows where the nearest cloud can be. The few
candidates with the lowest bounds are computed; a pair whose bound lies above the best distance
found cannot be the nearest and is never computed. The result is that of the full matrix, ties
included. Samples of a pool that share events share their distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.comparison import Measure, permutation_p_values
from pcgen.metrics.distances import (
    Distance,
    chamfer_distance,
    earth_mover_bound,
    earth_mover_distance,
    energy_movers_distance,
)
from pcgen.metrics.pairs import pairwise
from pcgen.schema import Schema

# Candidates computed for each cloud in one round, and pairs computed at once.
CANDIDATES = 4
TILE = 8192

# Events of one table; its memory goes with the square.
TABLE = 4096

# Samples of one table from which on all of its distances are computed at once.
MANY = 20

SCORES = ("COV", "MMD", "1-NNA")


@dataclass(frozen=True)
class Nearest:
    """The nearest of some columns for each of some rows.

    Attributes:
        index: Cloud of the table that is nearest [R], int64; ties go to the lowest.
        distance: How far it is [R], float64.
    """

    index: Tensor
    distance: Tensor


class NeighbourScores(NamedTuple):
    """Scores of two sets of clouds, and what they took.

    Attributes:
        accuracy: Leave-one-out 1-NN accuracy: 0.5 is ideal, 1 means fully separated.
        coverage: Fraction of the real clouds that are the nearest real cloud of at least one
            generated cloud. It does not depend on quality: even two real sets of equal size reach
            only about 0.6.
        mmd: Mean over the real clouds of the distance to the nearest generated one. Bad clouds
            beside good ones do not change it, and it falls as the sets grow: compare equal sizes.
        solved: Distances computed.
        pairs: Distances in the full matrix (each pair once).
    """

    accuracy: float
    coverage: float
    mmd: float
    solved: int
    pairs: int


class NearestClouds:
    """Distances among U clouds, each computed where the nearest cloud depends on it.

    Takes 24 bytes for each of the U² entries of a table.

    Args:
        clouds: U clouds.
        distance: Symmetric; paired clouds in, [B] out.
        bound: Lower bound of ``distance`` for all pairs [U, U], safe against rounding.

    Raises:
        ArgumentError: ``bound`` has another shape or holds NaN.

    Attributes:
        solved: Distances computed so far.

    >>> from pcgen.metrics.distances import earth_mover_bound, earth_mover_distance
    >>> clouds = pc.make(torch.tensor([[0.0], [5.0], [6.0]]), [1, 1, 1])
    >>> table = NearestClouds(clouds, earth_mover_distance(), earth_mover_bound(clouds))
    >>> table.nearest().index.tolist()
    [1, 2, 1]
    """

    def __init__(self, clouds: Batch, distance: Distance, bound: Tensor) -> None:
        number = clouds.num_graphs
        if bound.shape != (number, number) or bool(bound.isnan().any()):
            raise ArgumentError(
                f"bound: got shape {tuple(bound.shape)} with {int(bound.isnan().sum())} NaN, "
                f"expected ({number}, {number}) numbers"
            )
        self.clouds, self.distance, self.solved = clouds, distance, 0
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
        found = _lowest(self._value, row, column)
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
        for part in pair.split(TILE):
            first, second = part // number, part % number
            device = self.clouds.ptr.device
            sides = (pc.select(self.clouds, side.to(device)) for side in (first, second))
            value = self.distance(*sides).detach().double().cpu()
            if value.shape != part.shape or bool(value.isnan().any()):
                raise DataError(
                    f"distance: got {tuple(value.shape)} with {int(value.isnan().sum())} NaN, "
                    f"expected {tuple(part.shape)} numbers"
                )
            for a, b in ((first, second), (second, first)):
                self._value[a, b] = value
                self._bound[a, b] = torch.inf
        self.solved += len(pair)


def neighbour_scores(
    real: Batch,
    generated: Batch,
    distance: Distance,
    bound: Callable[[Batch], Tensor] | None = None,
    *,
    progress: Callable[[float], None] | None = None,
) -> NeighbourScores:
    """1-NNA, coverage and MMD of two sets of clouds, exactly as from the full matrices.

    Args:
        real: R clouds.
        generated: G clouds.
        distance: Symmetric; paired clouds in, [B] out.
        bound: Its lower bound for all pairs of one batch:
            :func:`~pcgen.metrics.distances.earth_mover_bound` for the earth mover's distance. None:
            all distances are computed.
        progress: Called with the fraction done.

    Raises:
        ArgumentError: a set is empty, or both together hold fewer than two clouds.
    """
    rows, number = real.num_graphs, real.num_graphs + generated.num_graphs
    if min(rows, number - rows) < 1:
        raise ArgumentError(
            f"real, generated: got {rows} and {number - rows} clouds, expected at least 1 of each"
        )
    union = pc.concat([real, generated])
    known = pairwise(distance, union) if bound is None else bound(union)
    table = NearestClouds(union, distance, known)
    everything = torch.arange(number)
    return table_scores(table, everything[:rows], everything[rows:], progress=progress)


def neighbour_scores_of_distances(
    between: Tensor, real: Tensor | None = None, generated: Tensor | None = None
) -> NeighbourScores:
    """The same from distances that are known.

    Args:
        between: [R, G] between the real and the generated clouds, R, G ≥ 1.
        real: [R, R] among the real clouds.
        generated: [G, G] among the generated clouds. Without these two the accuracy is NaN.

    Raises:
        ArgumentError: shapes do not fit, or ``between`` holds NaN.

    >>> neighbour_scores_of_distances(torch.tensor([[0.0, 0.1], [1.0, 1.0]])).coverage
    0.5
    """
    if between.dim() != 2 or not between.numel() or bool(between.isnan().any()):
        raise ArgumentError(
            f"between: got shape {tuple(between.shape)} with {int(between.isnan().sum())} NaN, "
            "expected a matrix [R, G] of numbers with R, G ≥ 1"
        )
    rows, columns = between.shape
    sides = [
        between.new_full((number, number), torch.inf) if side is None else side
        for side, number in ((real, rows), (generated, columns))
    ]
    if sides[0].shape != (rows, rows) or sides[1].shape != (columns, columns):
        raise ArgumentError(
            f"real, generated: got {tuple(sides[0].shape)} and {tuple(sides[1].shape)}, "
            f"expected ({rows}, {rows}) and ({columns}, {columns})"
        )
    union = torch.cat([torch.cat([sides[0], between], 1), torch.cat([between.T, sides[1]], 1)])
    union = union.detach().cpu().fill_diagonal_(torch.inf)
    everything = torch.arange(rows + columns)
    found = _scores(partial(_lowest, union), everything[:rows], everything[rows:])
    known = real is not None and generated is not None
    return found if known else found._replace(accuracy=math.nan)


def table_scores(
    table: NearestClouds,
    real: Tensor,
    generated: Tensor,
    *,
    progress: Callable[[float], None] | None = None,
) -> NeighbourScores:
    """1-NNA, coverage and MMD of two parts of a table's clouds, given by their numbers.

    A number may occur more than once (a sample drawn with replacement); coverage counts different
    clouds, over the size of the sample.
    """
    before, searches = table.solved, count()

    def search(rows: Tensor, columns: Tensor) -> Nearest:
        return table.nearest(rows, columns, progress=_third(progress, next(searches)))

    found = _scores(search, real, generated)
    return found._replace(solved=table.solved - before)


def _scores(
    search: Callable[[Tensor, Tensor], Nearest], real: Tensor, generated: Tensor
) -> NeighbourScores:
    """The three scores, from the nearest of some clouds for each of others, itself left out."""
    union = torch.cat([real, generated])
    is_real = torch.arange(len(union)) < len(real)
    near = search(union, union).index
    covered = search(generated, real).index.unique()
    matched = search(real, generated).distance
    return NeighbourScores(
        accuracy=(torch.isin(near, real) == is_real).double().mean().item(),
        coverage=len(covered) / len(real),
        mmd=matched.mean().item(),
        solved=0,
        pairs=len(union) * (len(union) - 1) // 2,
    )


def _lowest(table: Tensor, row: Tensor, column: Tensor) -> Nearest:
    """The lowest entry of each of some rows among some columns; ties go to the first column."""
    distance, index = _part(table, row, column).min(1)
    return Nearest(column[index], distance)


def _part(table: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Rows and columns of a table [R, C]; a view of the columns where they are in one piece."""
    first, last = int(column[0]), int(column[-1])
    if last - first + 1 == len(column):
        return table[row, first : last + 1]
    return table[row[:, None], column]


def _third(report: Callable[[float], None] | None, k: int) -> Callable[[float], None] | None:
    """Progress of the k-th of three searches."""
    return None if report is None else lambda done: report((k + done) / 3.0)


class Neighbourhood:
    """COV, MMD and 1-NNA of one distance between the clouds of a pool.

    Clouds without weight have no distance to others and are not usable.

    Args:
        clouds: N clouds.
        distance: Symmetric; paired clouds in, [B] out.
        name: Name of the distance, ``"EMD"``; the measures are ``"COV-EMD"`` and so on.
        unit: Unit of the distance, for MMD.
        bound: A cheap lower bound of the distance for all pairs of a batch. None: the matrix of
            all distances is computed.
        scores: Which of COV, MMD and 1-NNA.
    """

    def __init__(
        self,
        clouds: Batch,
        distance: Distance,
        name: str,
        unit: str = "",
        *,
        bound: Callable[[Batch], Tensor] | None = None,
        scores: Sequence[str] = SCORES,
    ) -> None:
        self._clouds, self._distance, self._scores = clouds, distance, tuple(scores)
        self._bound = bound if bound is not None else lambda batch: pairwise(distance, batch)
        self.usable = (pc.total(clouds) > 0).cpu()
        self.measures = tuple(
            Measure(
                f"{score}-{name}",
                unit if score == "MMD" else "",
                worse="lower" if score == "COV" else "higher",
            )
            for score in self._scores
        )

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """The scores [K, P] of the samples a [P, n] against b [P, m]."""
        columns = []
        for rows in _groups(a, b):
            events = torch.cat([a[rows].flatten(), b[rows].flatten()]).unique()
            clouds = pc.select(self._clouds, events.to(self._clouds.ptr.device))
            table = NearestClouds(clouds, self._distance, self._bound(clouds))
            if len(rows) > MANY:
                table.complete()
            for row in rows:
                first, second = (torch.searchsorted(events, side[row]) for side in (a, b))
                found = table_scores(table, first, second)
                values = {"COV": found.coverage, "MMD": found.mmd, "1-NNA": found.accuracy}
                columns.append([values[score] for score in self._scores])
        return torch.tensor(columns, dtype=torch.double).T

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """Permutation test of each score [K]; all permutations share one table of distances."""
        return permutation_p_values(self, a, b, permutations, generator)


def _groups(a: Tensor, b: Tensor) -> Iterator[list[int]]:
    """Rows, in order, in groups whose events fit one table."""
    rows: list[int] = []
    seen: set[int] = set()
    for row in range(len(a)):
        events = {*a[row].tolist(), *b[row].tolist()}
        if rows and len(seen | events) > TABLE:
            yield rows
            rows, seen = [], set()
        rows.append(row)
        seen |= events
    if rows:
        yield rows


def chamfer_neighbourhood(
    clouds: Batch, schema: Schema, *, scores: Sequence[str] = SCORES
) -> Neighbourhood:
    """The scores under the weighted Chamfer distance of the positions."""
    distance = chamfer_distance(schema.periods)
    return Neighbourhood(clouds, distance, "CD", scores=scores)


def earth_mover_neighbourhood(
    clouds: Batch, schema: Schema, *, scores: Sequence[str] = SCORES
) -> Neighbourhood:
    """The scores under the earth mover's distance between clouds of unit total weight."""
    return Neighbourhood(
        clouds,
        earth_mover_distance(schema.periods),
        "EMD",
        bound=lambda batch: earth_mover_bound(batch, schema.periods),
        scores=scores,
    )


def energy_movers_neighbourhood(clouds: Batch, schema: Schema) -> Neighbourhood:
    """COV and MMD under EnergyFlow's distance with R = 1, the difference of the totals included."""
    return Neighbourhood(
        clouds,
        energy_movers_distance(schema.periods),
        "EMD",
        # Only distances between the sides are needed, and all of these: no bound saves any.
        bound=lambda batch: torch.zeros(batch.num_graphs, batch.num_graphs),
        scores=("COV", "MMD"),
    )
