"""Coverage (COV), minimum matching distance (MMD) and 1-nearest-neighbour accuracy (1-NNA).

Definitions of Achlioptas et al. (Learning Representations and Generative Models for 3D Point
Clouds, section 5) and, for 1-NNA, of Lopez-Paz and Oquab as used by PointFlow (Yang et al., section
5.1). All three depend on nearest clouds alone: those of each cloud in the union of both sets, of
each generated one among the real ones and of each real one among the generated ones.

Where a distance has a lower bound, few are computed (:mod:`pcgen.metrics.nearest_clouds`). Samples
of a pool that share events share their distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics.comparison import Comparison, Measure
from pcgen.metrics.distances import (
    Distance,
    chamfer_distance,
    earth_mover_bound,
    earth_mover_distance,
    energy_movers_distance,
)
from pcgen.metrics.nearest_clouds import TILE, Nearest, NearestClouds, lowest
from pcgen.metrics.pairs import SHARED, Workers, pairwise
from pcgen.schema import Schema

# Events of one table; its memory goes with the square.
TABLE = 4096

# Samples of one table from which on all of its distances are computed at once.
MANY = 20

SCORES = ("COV", "MMD", "1-NNA")


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
    found = _scores(partial(lowest, union), everything[:rows], everything[rows:])
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


def _third(report: Callable[[float], None] | None, k: int) -> Callable[[float], None] | None:
    """Progress of the k-th of three searches."""
    return None if report is None else lambda done: report((k + done) / 3.0)


class Neighbourhood(Comparison):
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
        workers: Who computes the distances; None: this process.
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
        workers: Workers | None = None,
    ) -> None:
        self._clouds, self._distance, self._scores = clouds, distance, tuple(scores)
        self._bound, self._workers = bound, workers
        self.usable = (pc.total(clouds) > 0).cpu()
        self.measures = tuple(
            Measure(
                f"{score}-{name}",
                unit if score == "MMD" else "",
                worse="lower" if score == "COV" else "higher",
            )
            for score in self._scores
        )

    def by(self, workers: Workers | None) -> Neighbourhood:
        """The same scores, whose distances are computed by others."""
        other = copy(self)
        other._workers = workers
        return other

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """The scores [K, P] of the samples a [P, n] against b [P, m]."""
        columns = []
        for rows in _groups(a, b):
            events = torch.cat([a[rows].flatten(), b[rows].flatten()]).unique()
            clouds = pc.select(self._clouds, events.to(self._clouds.ptr.device))
            table = NearestClouds(
                clouds, self._distance, self._known(clouds), workers=self._workers
            )
            if len(rows) > MANY:
                table.complete()
            for row in rows:
                first, second = (torch.searchsorted(events, side[row]) for side in (a, b))
                found = table_scores(table, first, second)
                values = {"COV": found.coverage, "MMD": found.mmd, "1-NNA": found.accuracy}
                columns.append([values[score] for score in self._scores])
        return torch.tensor(columns, dtype=torch.double).T

    def _known(self, clouds: Batch) -> Tensor:
        """What is known of all distances [U, U]: a lower bound, or the distances themselves."""
        if self._bound is not None:
            return self._bound(clouds)
        tile = TILE if self._workers is None else SHARED
        return pairwise(self._distance, clouds, tile=tile, workers=self._workers)


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
