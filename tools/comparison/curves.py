"""Learning curves: at which steps they have points, how they are computed, read and judged."""

from __future__ import annotations

import csv
import math

import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen import metrics
from pcgen.models import blocks
from pcgen.models.base import GenerativeModel
from pcgen.tools.comparison import scores
from pcgen.tools.comparison.clock import Clock
from pcgen.tools.comparison.events import Events
from pcgen.training import RunFolder

FIRST = 25
"""First step of a learning curve; the others are its doubles, and the middle and the end."""
_BLOCK = 100  # events that are drawn at a time


def curve_at(steps: int) -> tuple[int, ...]:
    """Steps of a learning curve before its last: 25, 50, 100, ... and the middle.

    >>> curve_at(130)
    (25, 50, 65, 100)
    """
    doubles, step = {steps // 2} - {0}, FIRST
    while step < steps:
        doubles.add(step)
        step *= 2
    return tuple(sorted(doubles))


def has_converged(curve: list[dict[str, float]]) -> bool:
    """Whether the score fell by at most a tenth in the second half of a training.

    >>> points = [{"step": 50, "score": 0.5}, {"step": 100, "score": 0.46}]
    >>> has_converged(points), has_converged([{"step": 50, "score": 0.6}, points[1]])
    (True, False)
    """
    if not curve:
        return False
    last = curve[-1]
    half = [point for point in curve if point["step"] <= last["step"] / 2]
    return bool(half) and last["score"] >= 0.9 * half[-1]["score"] and last["score"] < math.inf


class Curve:
    """A point of the learning curve: distances on the validation split, and what it took so far."""

    def __init__(self, events: Events, clock: Clock) -> None:
        self._events, self._clock = events, clock
        self._real = events.on_grid(events.validation)

    def __call__(self, model: GenerativeModel) -> dict[str, float]:
        with self._clock.stopped():
            generated = draw(model, self._events.validation, torch.Generator().manual_seed(0))
            kept = self._events.on_grid(metrics.whole_events(generated))
            found = scores.distances(self._real, kept)
        return {**found, "cpu_seconds": self._clock.seconds}


def draw(model: GenerativeModel, like: Batch, generator: torch.Generator) -> Batch:
    """As many events as ``like`` has, of the same conditions; sizes come from the model."""
    request = blocks.like(like)
    return pc.concat(blocks.sample_in_blocks(model, request, _BLOCK, lambda block: generator))


def points_of(run: RunFolder) -> list[dict[str, float]]:
    """The learning curve in the log of a run."""
    file = run.path / "metrics.csv"
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    prefix = "validation/"
    points = []
    for row in rows:
        found = {k.removeprefix(prefix): v for k, v in row.items() if k.startswith(prefix) and v}
        if found:
            points.append({"step": float(row["step"]), **{k: float(v) for k, v in found.items()}})
    return points


def seconds_of(run: RunFolder) -> float:
    """CPU-seconds of the steps up to the checkpoint from which a run goes on."""
    found = run.newest()
    if found is None:
        return 0.0
    step = found[1].step
    before = [point for point in points_of(run) if point["step"] <= step]
    return before[-1]["cpu_seconds"] / before[-1]["step"] * step if before else 0.0
