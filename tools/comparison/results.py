"""Rows that are done: read, grouped, summed up over their seeds, and written as CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pcgen.errors import FileError
from pcgen.io import atomic

Value = str | int | float
Factors = dict[str, Value]

TABLES = {"rows": "rows.csv", "curves": "curves.csv", "floors": "floors.csv"}
"""Files of numbers beside a page: rows that were trained, their curves, real events."""
_CURVE = ("score", "cpu_seconds")
_NOT_TABLED = ("curve", "settings", "units")


class Point(NamedTuple):
    """Of a learning curve: a validation score, after so many steps and CPU-seconds."""

    step: int
    score: float
    seconds: float


class Summary(NamedTuple):
    """Median and quartiles of some numbers."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Result:
    """A row and what came of it.

    Attributes:
        factors: What sets it apart from others.
        seed: Of its randomness.
        values: What its file holds besides, plain values.
    """

    factors: Factors
    seed: int
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """As :attr:`.study.Row.name`."""
        return "_".join([*map(str, self.factors.values()), f"s{self.seed}"])

    def number(self, name: str) -> float:
        """A number of the row; NaN where it has none."""
        value = self.values.get(name)
        return math.nan if value is None or isinstance(value, str) else float(value)

    @property
    def status(self) -> str:
        """``done``, ``diverged`` or ``failed``."""
        return str(self.values["status"])

    @property
    def floor(self) -> bool:
        """Whether its events are real ones: nothing was trained."""
        return self.status == "done" and self.values.get("steps") is None

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


class Cell(NamedTuple):
    """Results that differ in their seed alone."""

    factors: Factors
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

    @property
    def floor(self) -> bool:
        """Whether these are real events."""
        return self.results[0].floor


def summary(values: Iterable[float]) -> Summary | None:
    """Median and quartiles of the finite ones among some numbers, None where there are none.

    >>> summary([1.0, 2.0, 3.0, 4.0, 5.0])
    Summary(low=2.0, median=3.0, high=4.0)
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    return Summary(*(float(q) for q in np.quantile(finite, (0.25, 0.5, 0.75))))


class Names(dict[str, Any]):
    """What texts may name in braces: some values, and medians of the numbers of rows (or NaN).

    >>> row = Result({"net": "epic"}, 0, {"status": "done", "steps": 40})
    >>> "{net}: {steps:.0f} steps".format_map(Names({"net": "EPiC"}, [row]))
    'EPiC: 40 steps'
    """

    def __init__(self, known: Mapping[str, Any], results: Iterable[Result]) -> None:
        super().__init__(known)
        self._results = list(results)

    def __missing__(self, name: str) -> float:
        found = summary(each.number(name) for each in self._results)
        return math.nan if found is None else found.median


def matches(factors: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether factors have the wanted values, or one of several.

    >>> matches({"net": "epic", "seed": 0}, {"net": ["list", "epic"]})
    True
    """
    return all(
        factors.get(name) in (value if isinstance(value, list) else [value])
        for name, value in wanted.items()
    )


def cells(results: Iterable[Result], factors: Mapping[str, Iterable[Value]]) -> list[Cell]:
    """Results, seeds together, in the order of the values of their factors."""
    groups: dict[tuple[Value, ...], list[Result]] = {}
    for each in results:
        groups.setdefault(tuple(each.factors.values()), []).append(each)
    orders = [
        [*values, *(key[k] for key in groups)]
        for k, values in enumerate(map(list, factors.values()))
    ]
    ranked = sorted(groups, key=lambda key: [o.index(v) for o, v in zip(orders, key, strict=True)])
    return [Cell(groups[key][0].factors, tuple(groups[key])) for key in ranked]


def common_step(results: Sequence[Result]) -> int | None:
    """The largest step that the learning curves of all of them have."""
    curves = [{point.step for point in each.curve} for each in results if each.curve]
    shared = set.intersection(*curves) if curves else set()
    return max(shared, default=None)


def has_converged(curve: Sequence[Mapping[str, float]]) -> bool:
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


def read(folder: Path, factors: Sequence[str]) -> list[Result]:
    """All rows that are stored in a folder: a file each, or else the tables of a page.

    Args:
        folder: Of a comparison, or beside a page.
        factors: Names of the factors of the study.

    Raises:
        FileError: a file is damaged, or of another study.
    """
    files = sorted((folder / "rows").glob("*.json"))
    if not files and (folder / TABLES["rows"]).exists():
        return _read_tables(folder, factors)
    results = []
    for file in files:
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            results.append(_result(values, factors))
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(
                f"{file}: damaged, or of another study ({error}); delete it, and the row is done "
                "again"
            ) from error
    return results


def _result(values: dict[str, Any], factors: Sequence[str]) -> Result:
    """A row from all that its file holds."""
    own = {name: values.pop(name) for name in factors}
    seed, status = int(values.pop("seed")), values.pop("status")
    return Result(own, seed, {"status": status, **values})


def _read_tables(folder: Path, factors: Sequence[str]) -> list[Result]:
    """Rows from CSV; numbers have the digits that were written."""
    found: dict[str, Result] = {}
    for file in (folder / TABLES[name] for name in ("rows", "floors")):
        try:
            found |= {one.name: one for one in (_result(row, factors) for row in _lines(file))}
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(
                f"{file}: got no column {error}, expected {', '.join(factors)}, seed and status"
            ) from error
    for point in _lines(folder / TABLES["curves"]):
        name = "_".join([*(str(point.pop(name)) for name in factors), f"s{point.pop('seed')}"])
        if name in found:
            known = {key: value for key, value in point.items() if value is not None}
            found[name].values.setdefault("curve", []).append(known)
    return list(found.values())


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _parsed(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _parsed(text: str) -> Any:
    """A value from its text; None where there is none."""
    if text in ("", "True", "False"):
        return {"": None, "True": True, "False": False}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def write_tables(folder: Path, results: Sequence[Result], factors: Sequence[str]) -> None:
    """The numbers of all rows, of their learning curves and of real events, as CSV."""
    trained = [each for each in results if not each.floor]
    _write_rows(folder / TABLES["rows"], trained, factors)
    _write_rows(folder / TABLES["floors"], [each for each in results if each.floor], factors)
    points = [
        {**each.factors, "seed": each.seed, **point}
        for each in trained
        for point in each.values.get("curve", [])
    ]
    names = dict.fromkeys(name for row in points for name in row)
    _write(folder / TABLES["curves"], list(names) or [*factors, "seed"], points)


def _write_rows(path: Path, results: Sequence[Result], factors: Sequence[str]) -> None:
    names = dict.fromkeys(name for each in results for name in each.values)
    kept = [name for name in names if name not in _NOT_TABLED]
    rows = [
        {**each.factors, "seed": each.seed, **{n: each.values.get(n) for n in kept}}
        for each in results
    ]
    _write(path, [*factors, "seed", *kept], rows)


def _write(path: Path, names: list[str], rows: Sequence[dict[str, Any]]) -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows({name: _short(value) for name, value in row.items()} for row in rows)


def _short(value: Any) -> Any:
    """Six digits are all that a measurement knows."""
    return f"{value:.6g}" if isinstance(value, float) else value
