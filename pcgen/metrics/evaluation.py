"""How good is a generator? Scores, always beside the real-vs-real floor at the same sizes.

The real events are split at random into two disjoint halves A and B of n events, as often as asked;
n events are drawn from the generated ones. A score compares A with the generated events, its floor
compares A with B, and both are given as mean and standard deviation over the repetitions. A
perfect generator scores the floor, not zero.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.coverage import (
    coverage,
    minimum_matching_distance,
    nearest_neighbour_accuracy,
)
from pcgen.metrics.distances import chamfer_distance, earth_mover_distance
from pcgen.metrics.observables import observables, point_features
from pcgen.metrics.pairwise import Distance, pairwise
from pcgen.metrics.wasserstein import wasserstein1
from pcgen.schema import Schema


@dataclass(frozen=True)
class Score:
    """One score with its floor.

    Attributes:
        name: What is compared and how, ``"W1 mass"`` say.
        unit: Unit of value and floor.
        value: Real against generated, mean over the repetitions.
        error: Standard deviation over the repetitions.
        floor: Real against real at the same sizes, mean.
        floor_error: Its standard deviation.
    """

    name: str
    unit: str
    value: float
    error: float
    floor: float
    floor_error: float

    @property
    def excess(self) -> float:
        """Distance from the floor in standard deviations of the difference (0 is perfect)."""
        spread = (self.error**2 + self.floor_error**2) ** 0.5
        return (self.value - self.floor) / spread if spread > 0 else 0.0


@dataclass(frozen=True)
class Evaluation:
    """Scores of one generated set and what they were computed on.

    Attributes:
        scores: The scores, in the order of the table.
        events: Events in each of the sets compared by the W1 scores.
        subset: Events in each of the sets compared by the scores over pairs.
        repeats: Random halvings of the real events.
        seed: Seed of the halvings.
        empty: Real and generated events without any weight, left out of the scores over pairs.
    """

    scores: tuple[Score, ...]
    events: int
    subset: int
    repeats: int
    seed: int
    empty: tuple[int, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; each score has its ``excess`` too."""
        return {**asdict(self), "scores": [{**asdict(s), "excess": s.excess} for s in self.scores]}


def evaluate(
    real: Batch,
    generated: Batch,
    schema: Schema,
    *,
    repeats: int = 10,
    subset: int = 100,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Evaluation:
    """Compare generated events with real ones.

    Args:
        real: Real events that no model has seen (the test split).
        generated: Generated events, in the same units.
        schema: What the numbers mean.
        repeats: Random halvings of the real events.
        subset: Events on each side of the scores over all pairs (coverage, MMD, 1-NNA); 0 leaves
            those out.
        seed: Seed of the halvings.
        progress: Called with the fraction done.

    Raises:
        ArgumentError: fewer than 2 repeats, or attributes that do not fit the schema.
        DataError: fewer than 2 real events or no generated one, or values that are not finite.
    """
    if repeats < 2:
        raise ArgumentError(f"repeats: got {repeats}, expected at least 2 for an uncertainty")
    if real.num_graphs < 2 or generated.num_graphs < 1:
        raise DataError(
            f"events: got {real.num_graphs} real and {generated.num_graphs} generated, "
            "expected at least 2 and 1"
        )
    pc.check(real, len(schema.axes))
    pc.check(generated, len(schema.axes))
    events = min(real.num_graphs // 2, generated.num_graphs)
    halves = list(_halves(real.num_graphs, generated.num_graphs, events, repeats, seed))
    step = _Progress(progress, 3 * repeats if subset else repeats)
    scores = _marginal_scores(real, generated, schema, halves, step)
    filled = [pc.select(side, pc.total(side) > 0) for side in (real, generated)]
    empty = (real.num_graphs - filled[0].num_graphs, generated.num_graphs - filled[1].num_graphs)
    subset = min(subset, filled[0].num_graphs // 2, filled[1].num_graphs)
    if subset >= 2:
        counts = [side.num_graphs for side in filled]
        parts = list(_halves(counts[0], counts[1], subset, max(repeats // 2, 2), seed + 1))
        for name, distance in (
            ("CD", chamfer_distance(schema.periods)),
            ("EMD", earth_mover_distance(schema.periods)),
        ):
            scores += _pair_scores(name, distance, filled[0], filled[1], parts, step)
    return Evaluation(tuple(scores), events, subset, repeats, seed, empty)


Halves = tuple[Tensor, Tensor, Tensor]
"""Indices of A and B (disjoint, real) and of the generated events, each [n]."""


def _halves(real: int, generated: int, size: int, repeats: int, seed: int) -> Iterator[Halves]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(repeats):
        order = torch.randperm(real, generator=generator)
        chosen = torch.randperm(generated, generator=generator)[:size]
        yield order[:size], order[size : 2 * size], chosen


class _Progress:
    """Counts steps and reports the fraction done."""

    def __init__(self, report: Callable[[float], None] | None, steps: int) -> None:
        self.report, self.steps, self.done = report, steps, 0

    def __call__(self) -> None:
        self.done += 1
        if self.report is not None:
            self.report(min(self.done / self.steps, 1.0))


def _score(name: str, unit: str, values: list[tuple[float, float]]) -> Score:
    score, floor = zip(*values, strict=True)
    return Score(
        name,
        unit,
        statistics.fmean(score),
        statistics.stdev(score),
        statistics.fmean(floor),
        statistics.stdev(floor),
    )


def _marginal_scores(
    real: Batch, generated: Batch, schema: Schema, halves: list[Halves], step: Callable[[], None]
) -> list[Score]:
    """W1 of each observable of the events and of each feature of their points."""
    collected: dict[tuple[str, str], list[tuple[float, float]]] = {}
    seen = [observables(side, schema) for side in (real, generated)]
    for a, b, g in halves:
        for quantity, values in seen[0].items():
            half = values[a]
            pair = wasserstein1(half, seen[1][quantity][g]), wasserstein1(half, values[b])
            key = (f"W1 {quantity.name}", quantity.unit)
            collected.setdefault(key, []).append((pair[0].item(), pair[1].item()))
        sides = (pc.select(real, a), pc.select(real, b), pc.select(generated, g))
        points = [point_features(side, schema) for side in sides]
        for quantity in points[0]:
            first, second, fake = (side[quantity] for side in points)
            if min(len(first), len(second), len(fake)) == 0:
                continue
            pair = wasserstein1(first, fake), wasserstein1(first, second)
            key = (f"W1 point {quantity.name}", quantity.unit)
            collected.setdefault(key, []).append((pair[0].item(), pair[1].item()))
        step()
    return [_score(name, unit, values) for (name, unit), values in collected.items()]


def _pair_scores(
    name: str,
    distance: Distance,
    real: Batch,
    generated: Batch,
    parts: list[Halves],
    step: Callable[[], None],
) -> list[Score]:
    """Coverage, MMD and 1-NNA under one distance, beside the same between two real sets."""
    collected: dict[str, list[tuple[float, float]]] = {"COV": [], "MMD": [], "1-NNA": []}
    for a, b, g in parts:
        first, second, fake = pc.select(real, a), pc.select(real, b), pc.select(generated, g)
        among = pairwise(distance, first)
        results = []
        for other in (fake, second):
            between = pairwise(distance, first, other)
            accuracy = nearest_neighbour_accuracy(among, pairwise(distance, other), between)
            results.append((coverage(between), minimum_matching_distance(between), accuracy))
        for key, value, floor in zip(collected, *results, strict=True):
            collected[key].append((value, floor))
        step()
    return [_score(f"{key}-{name}", "", values) for key, values in collected.items()]
