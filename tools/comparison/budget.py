"""A budget of CPU-seconds: a clock of training alone, how many steps it pays for, and its curve."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from torch_geometric.data import Batch

from pcgen.errors import TrainingError
from pcgen.training import Batches, RunFolder

_SHARE, _LONGEST = 0.05, 3.0  # of the budget, and seconds, that are thrown away to plan


class EnoughError(Exception):
    """Steps that are only timed have been timed."""


class Clock:
    """Batches that know how much processor time has gone by since the first of them was drawn.

    What is done before (reading, fitting the standardisation) is no training, and what is done
    inside :meth:`stopped` does not count.

    Args:
        batches: Of the training split.
        draws: Batches in a step.
        limit: CPU-seconds after which :class:`EnoughError` is raised, at the beginning of a step.
        earlier: CPU-seconds of a part of the run that another process did.
    """

    def __init__(
        self,
        batches: Batches,
        draws: int,
        *,
        limit: float | None = None,
        earlier: float = 0.0,
    ) -> None:
        self._batches, self._draws, self._limit = batches, draws, limit
        self._drawn, self._start, self._out = 0, 0.0, 0.0
        self._earlier = earlier

    def __call__(self, step: int, rank: int, world: int) -> Batch:
        """See :class:`pcgen.training.Batches`."""
        if self._drawn == 0:
            self._start = time.process_time()
        if self._limit is not None and self._drawn % self._draws == 0:
            # The first step fills caches: there must be one more.
            if self.steps >= 2 and self.seconds >= self._limit:
                raise EnoughError
            if self.steps == 1:
                self._start, self._out = time.process_time(), 0.0
        self._drawn += 1
        return self._batches(step, rank, world)

    def all(self) -> Iterable[Batch]:
        """See :class:`pcgen.training.Batches`."""
        return self._batches.all()

    @property
    def steps(self) -> int:
        """Whole steps so far, in this process."""
        return self._drawn // self._draws

    @property
    def seconds(self) -> float:
        """CPU-seconds of training so far."""
        running = time.process_time() - self._start - self._out if self._drawn else 0.0
        return self._earlier + running

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Inside, the clock stands still."""
        start = time.process_time()
        try:
            yield
        finally:
            self._out += time.process_time() - start


def affordable(
    seconds: float, batches: Batches, draws: int, train: Callable[[Batches], object]
) -> dict[str, float]:
    """How many ``steps`` so many CPU-seconds pay for, by steps of a model that is thrown away.

    Args:
        seconds: The budget.
        batches: Of the training split.
        draws: Batches in a step.
        train: Trains such a model on batches, and is interrupted by an :class:`EnoughError`.
    """
    clock = Clock(batches, draws, limit=min(_SHARE * seconds, _LONGEST))
    # What is not finite after a few steps will be found again in the training itself.
    with suppress(EnoughError, TrainingError):
        train(clock)
    each = clock.seconds / max(clock.steps - 1, 1)
    return {"steps": max(round(seconds / max(each, 1e-6)), 1), "seconds_per_step": each}


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
