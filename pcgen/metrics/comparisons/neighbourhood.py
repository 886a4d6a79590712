"""Coverage, minimum matching distance and 1-NN accuracy as scores of samples of one pool.

Only the distances that a score depends on are computed (:mod:`pcgen.metrics.nearest`); samples that
share events share their distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.metrics.bounds import earth_mover_bound
from pcgen.metrics.comparisons.comparison import Measure, permutation_p_values
from pcgen.metrics.distances import chamfer_distance, earth_mover_distance
from pcgen.metrics.nearest import NearestClouds, table_scores
from pcgen.metrics.pairwise import Distance, pairwise
from pcgen.schema import Schema

# Events of one table; its memory goes with the square.
TABLE = 4096

# Samples of one table from which on all of its distances are computed at once.
MANY = 20

SCORES = ("COV", "MMD", "1-NNA")


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
