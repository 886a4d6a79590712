"""Tables of a comparison as Markdown: medians and quartiles over seeds, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pcgen.tools.benchmarks.markdown import number
from pcgen.tools.comparison.results import (
    Cell,
    Result,
    Summary,
    common_step,
    summary,
)

UNDERTRAINED = "†"
"""Beside what supports no conclusion: a seed is not converged, diverged or failed."""
ROSE = "‡"
"""Beside networks of which a seed was better before: its score no longer falls, it grows."""

DISTANCES = {
    "score": "score",
    "w1_mass": "mass",
    "w1_girth": "girth",
    "w1_leading": "leading",
    "w1_multiplicity": "multiplicity",
    "w1_log_pt": "log p_T",
}
OTHERS = {
    "occupancy": "occupancy",
    "w1_occupancy": "W1 of it",
    "total_error": "Σ p_T",
    "jsd": "JSD",
    "nn_accuracy": "1-NNA",
    "auc": "AUC",
}
SPARSITY = {
    "score": "score",
    "w1_multiplicity": "multiplicity",
    "w1_log_pt": "log p_T",
    "occupancy": "occupancy",
    "w1_occupancy": "W1 of it",
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
TIMES = {name: COSTS[name] for name in ("steps", "ms_per_step", "us_per_event", "memory_mib")}
_EXACT = ("parameters", "generator_parameters", "steps")
_FLOORS = {"truth": "*truth*", "pixelised": "*pixelised*"}


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


def scores(there: Sequence[Cell], floors: Sequence[Cell], names: Mapping[str, str]) -> str:
    """How near the generated events are to the real ones: median and quartiles over seeds.

    Args:
        there: Lines of the table, under those of the floors at the same resolutions.
        floors: What real events score.
        names: Numbers of a row, and what their columns are called.
    """
    head = _head(there)
    known = {cell.resolution for cell in there}
    rows = [
        [*_floor(cell, head), *(summary_text(cell.summary(name)) for name in names)]
        for cell in floors
        if cell.resolution in known
    ]
    rows += [
        [*_names(cell, head), *(summary_text(cell.summary(name)) for name in names)]
        for cell in there
    ]
    return table([*head, *names.values()], rows, len(head))


def costs(there: Sequence[Cell], names: Mapping[str, str]) -> str:
    """What training and sampling take: medians over seeds."""
    head = _head(there)
    rows = [[*_names(cell, head), *(_cost(cell, name) for name in names)] for cell in there]
    return table([*head, *names.values()], rows, len(head))


def at_equal(there: Sequence[Cell]) -> str:
    """Validation scores at the end, at a step that all of an objective have reached, at best."""
    names = _head(there)
    head = [*names, "at the end", "its step", "at equal steps", "the step", "its CPU-s", "lowest"]
    rows = []
    for cell in there:
        same = [c for c in there if c.objective == cell.objective]
        step = common_step([each for c in same for each in c.results])
        curves = [each.curve for each in cell.results if each.curve]
        ends = [curve[-1] for curve in curves]
        shared = [point for curve in curves for point in curve if point.step == step]
        rows.append(
            [
                *_names(cell, names),
                summary_text(summary(p.score for p in ends)),
                _median(p.step for p in ends),
                summary_text(summary(p.score for p in shared)),
                "–" if step is None else f"{step}",
                _median(p.seconds for p in shared),
                summary_text(summary(min(p.score for p in curve) for curve in curves)),
            ]
        )
    return table(head, rows, len(names))


def dead(there: Sequence[Cell], names: Mapping[str, str]) -> str:
    """Errors by percentage of dead channels: median and quartiles over seeds."""
    head = [name for name in _head(there) if name != "objective"]
    rows = [
        [*_names(cell, head), *(summary_text(cell.summary(name)) for name in names)]
        for cell in there
    ]
    return table([*head, *names.values()], rows, len(head))


def troubles(results: Sequence[Result]) -> str:
    """Rows that diverged or failed, and why; empty where there are none."""
    rows = [
        [f"`{each.row.name}`", each.status, str(each.values.get("reason", "")).replace("|", "/")]
        for each in results
        if each.status != "done"
    ]
    return table(["row", "", "reason"], rows, 3) if rows else ""


def summary_text(value: Summary | None) -> str:
    """Median and quartiles, short; quartiles of a single number mean nothing.

    >>> summary_text(Summary(0.1, 0.2, 0.25)), summary_text(Summary(0.2, 0.2, 0.2))
    ('0.200 [0.100, 0.250]', '0.200')
    >>> summary_text(None)
    '–'
    """
    if value is None:
        return "–"
    if value.low == value.high:
        return number(value.median)
    return f"{number(value.median)} [{number(value.low)}, {number(value.high)}]"


def _head(there: Sequence[Cell]) -> list[str]:
    """The resolution has a column where there is more than one."""
    several = len({cell.resolution for cell in there}) > 1
    return ["network", "objective", *(["R"] if several else []), "converged"]


def _floor(cell: Cell, head: Sequence[str]) -> list[str]:
    words = {"network": _FLOORS.get(cell.network, cell.network), "R": str(cell.resolution)}
    return [words.get(name, "–") for name in head]


def _names(cell: Cell, head: Sequence[str]) -> list[str]:
    """What a line is about, and how many of its seeds support anything."""
    status = [each.status for each in cell.results]
    counts = [f"{cell.converged}/{len(cell.results)}"]
    counts += [f"{status.count(s)} {s}" for s in ("diverged", "failed") if s in status]
    marks = "" if cell.sound else f" {UNDERTRAINED}"
    marks += f" {ROSE}" if any(each.rose for each in cell.results) else ""
    words = {
        "network": cell.network + marks,
        "objective": cell.objective,
        "R": str(cell.resolution),
        "converged": ", ".join(counts),
    }
    return [words[name] for name in head]


def _cost(cell: Cell, name: str) -> str:
    found = cell.summary(name)
    if found is None:
        return "–"
    return f"{found.median:,.0f}" if name in _EXACT else number(found.median)


def _median(values: Iterable[float]) -> str:
    found = summary(values)
    return "–" if found is None else number(found.median)
