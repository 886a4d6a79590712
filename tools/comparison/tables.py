"""Tables of a comparison as Markdown: medians and quartiles over seeds, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pcgen.tools.benchmarks.markdown import number
from pcgen.tools.comparison.results import (
    Cell,
    Result,
    Summary,
    cells,
    common_step,
    score_at,
    summary,
)

UNDERTRAINED = "†"
"""Beside what supports no conclusion: a seed is not converged, diverged or failed."""

SCORES = {
    "score": "score",
    "w1_mass": "mass",
    "w1_girth": "girth",
    "w1_leading": "leading",
    "w1_multiplicity": "multiplicity",
    "w1_log_pt": "log p_T",
    "total_error": "Σ p_T",
    "occupancy": "occupancy",
    "w1_occupancy": "W1 occ.",
    "jsd": "JSD",
    "nn_accuracy": "1-NNA",
    "auc": "AUC",
}
COSTS = {
    "parameters": "parameters",
    "generator_parameters": "to generate",
    "steps": "steps",
    "cpu_seconds": "CPU-s",
    "ms_per_step": "ms/step",
    "us_per_event": "µs/event",
    "memory_mib": "MiB",
    "outside": "outside",
}
_EXACT = ("parameters", "generator_parameters", "steps")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    """A Markdown table whose first columns are text and whose others are numbers.

    >>> print(table(["net", "ms"], [["a", "1"]], 1))
    | net | ms |
    |---|---:|
    | a | 1 |
    """
    rule = "|" + "---|" * texts + "---:|" * (len(head) - texts)
    lines = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([f"| {' | '.join(head)} |", rule, *lines])


def scores(there: Sequence[Cell]) -> str:
    """How near the generated events are to the real ones: median and quartiles over seeds."""
    rows = [[*_names(cell), *(told(cell.summary(name)) for name in SCORES)] for cell in there]
    return table([*_HEAD, *SCORES.values()], rows, len(_HEAD))


def costs(there: Sequence[Cell]) -> str:
    """What training and sampling take: medians over seeds."""
    rows = [[*_names(cell), *(_cost(cell, name) for name in COSTS)] for cell in there]
    return table([*_HEAD, *COSTS.values()], rows, len(_HEAD))


def at_equal(there: Sequence[Cell]) -> str:
    """Validation scores at the end (equal CPU-seconds) and at a step that all have reached."""
    step = common_step([each for cell in there for each in cell.results])
    head = [*_HEAD, "at equal CPU-seconds", "their steps"]
    head += [] if step is None else [f"at {step} steps", "their CPU-s"]
    rows = []
    for cell in there:
        ends = [each.curve[-1] for each in cell.results if each.curve]
        row = [told(summary(p.score for p in ends)), _median(p.step for p in ends)]
        if step is not None:
            early = [p for each in cell.results for p in each.curve if p.step == step]
            row.append(told(summary(score_at(each, step) for each in cell.results)))
            row.append(_median(p.seconds for p in early))
        rows.append([*_names(cell), *row])
    return table(head, rows, len(_HEAD))


def floors(results: Sequence[Result]) -> str:
    """What real events score: cells against cells, and particles against cells."""
    rows = [
        [cell.network, str(cell.resolution), *(told(cell.summary(name)) for name in SCORES)]
        for cell in cells(results, "floor")
    ]
    return table(["floor", "R", *SCORES.values()], rows, 2)


def troubles(results: Sequence[Result]) -> str:
    """Rows that diverged or failed, and why; empty where there are none."""
    rows = [
        [f"`{each.row.name}`", each.status, str(each.values.get("reason", "")).replace("|", "/")]
        for each in results
        if each.status != "done"
    ]
    return table(["row", "", "reason"], rows, 3) if rows else ""


def told(value: Summary | None) -> str:
    """Median and quartiles, short.

    >>> told(Summary(0.1, 0.2, 0.25)), told(None)
    ('0.200 [0.100, 0.250]', '–')
    """
    if value is None:
        return "–"
    return f"{number(value.median)} [{number(value.low)}, {number(value.high)}]"


_HEAD = ("network", "objective", "R", "converged")


def _names(cell: Cell) -> list[str]:
    """What a line is about, and how many of its seeds support anything."""
    status = [each.status for each in cell.results]
    words = [f"{cell.converged}/{len(cell.results)}"]
    words += [f"{status.count(s)} {s}" for s in ("diverged", "failed") if s in status]
    mark = "" if cell.sound else f" {UNDERTRAINED}"
    return [cell.network + mark, cell.objective, str(cell.resolution), ", ".join(words)]


def _cost(cell: Cell, name: str) -> str:
    found = cell.summary(name)
    if found is None or not math.isfinite(found.median):
        return "–"
    return f"{found.median:,.0f}" if name in _EXACT else number(found.median)


def _median(values: Iterable[float]) -> str:
    found = summary(values)
    return "–" if found is None else number(found.median)
