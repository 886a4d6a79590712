"""Rows that are done: read, grouped, summed up over their seeds, written as CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pcgen.errors import FileError
from pcgen.io import atomic
from pcgen.tools.comparison.rows import Row
from pcgen.tools.comparison.spine import NETWORKS, OBJECTIVES


class Point(NamedTuple):
    """Of a learning curve: a validation score, after so many steps and CPU-seconds."""

    step: int
    score: float
    seconds: float


@dataclass(frozen=True)
class Result:
    """A row and what came of it.

    Attributes:
        row: What was trained.
        values: What its file holds besides, plain values.
    """

    row: Row
    values: dict[str, Any]

    def number(self, name: str) -> float:
        """A number of the row; NaN where it has none."""
        value = self.values.get(name)
        return math.nan if value is None or isinstance(value, str) else float(value)

    @property
    def status(self) -> str:
        """``done``, ``diverged`` or ``failed``."""
        return str(self.values["status"])

    @property
    def converged(self) -> bool:
        """Whether conclusions may rest on it: it ended, and its score fell no more."""
        return self.status == "done" and bool(self.values.get("converged"))

    @property
    def rose(self) -> bool:
        """Whether the score grew by more than a tenth in the second half of the training."""
        half = [point for point in self.curve if point.step <= self.curve[-1].step / 2]
        return bool(half) and self.curve[-1].score > 1.1 * half[-1].score

    @property
    def curve(self) -> list[Point]:
        """The points of its learning curve that have a score."""
        points = [
            Point(
                int(point["step"]),
                *(math.nan if point.get(k) is None else point[k] for k in _CURVE),
            )
            for point in self.values.get("curve", [])
        ]
        return [point for point in points if math.isfinite(point.score)]


_CURVE = ("score", "cpu_seconds")


class Summary(NamedTuple):
    """Median and quartiles of some numbers."""

    low: float
    median: float
    high: float


class Cell(NamedTuple):
    """Results that differ in their seed alone."""

    network: str
    objective: str
    resolution: int
    results: tuple[Result, ...]

    def summary(self, name: str) -> Summary | None:
        """Of one number over the seeds that have it."""
        return summary(each.number(name) for each in self.results)

    @property
    def converged(self) -> int:
        """How many seeds are."""
        return sum(each.converged for each in self.results)

    @property
    def sound(self) -> bool:
        """Whether all seeds are converged."""
        return self.converged == len(self.results)


def summary(values: Iterable[float]) -> Summary | None:
    """Median and quartiles of the finite ones among some numbers, None where there are none.

    >>> summary([1.0, 2.0, 3.0, 4.0, 5.0])
    Summary(low=2.0, median=3.0, high=4.0)
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    return Summary(*(float(q) for q in np.quantile(finite, (0.25, 0.5, 0.75))))


def read(folder: Path) -> list[Result]:
    """All rows of a comparison that are done, by name.

    Raises:
        FileError: a file is damaged.
    """
    results = []
    for file in sorted((folder / "rows").glob("*.json")):
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            row = Row(**{field.name: values.pop(field.name) for field in fields(Row)})
            results.append(Result(row, {"status": values.pop("status"), **values}))
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(
                f"{file}: damaged ({error}); delete it, and the row is done again"
            ) from error
    return results


def cells(results: Iterable[Result], spine: str) -> list[Cell]:
    """The results of a question, seeds together, in the order of the table of networks."""
    groups: dict[tuple[str, str, int], list[Result]] = {}
    for each in results:
        if each.row.spine == spine:
            key = each.row.network, each.row.objective, each.row.resolution
            groups.setdefault(key, []).append(each)
    order = [*NETWORKS, *(network for network, _, _ in groups)]
    columns = [*OBJECTIVES, *(objective for _, objective, _ in groups)]
    ranked = sorted(groups, key=lambda key: (order.index(key[0]), columns.index(key[1]), key[2]))
    return [Cell(*key, tuple(groups[key])) for key in ranked]


def common_step(results: Sequence[Result]) -> int | None:
    """The largest step that the learning curves of all of them have."""
    curves = [{point.step for point in each.curve} for each in results if each.curve]
    shared = set.intersection(*curves) if curves else set()
    return max(shared, default=None)


def write_rows(path: Path, results: Sequence[Result]) -> None:
    """All rows with all their numbers, but for the curves, as CSV."""
    names = dict.fromkeys(name for each in results for name in each.values if name != "curve")
    rows = [{**each.row.to_dict(), **{n: each.values.get(n) for n in names}} for each in results]
    _write(path, [*(field.name for field in fields(Row)), *names], rows)


def write_curves(path: Path, results: Sequence[Result]) -> None:
    """All points of all learning curves, as CSV."""
    rows = [
        {**each.row.to_dict(), **point}
        for each in results
        for point in each.values.get("curve", [])
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    _write(path, list(names) or [field.name for field in fields(Row)], rows)


def _write(path: Path, names: list[str], rows: Sequence[dict[str, Any]]) -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows({name: _short(value) for name, value in row.items()} for row in rows)


def _short(value: Any) -> Any:
    """Six digits say all that a measurement knows."""
    return f"{value:.6g}" if isinstance(value, float) else value
