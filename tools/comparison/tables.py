"""Tables of a comparison as Markdown: medians and quartiles over seeds, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pcgen.escaping import markdown
from pcgen.tools.benchmarks.markdown import number
from pcgen.tools.comparison.results import Cell, Result, Summary, common_step, summary

UNDERTRAINED = "†"
"""Beside what supports no conclusion: a seed is not converged, diverged or failed."""
ROSE = "‡"
"""Beside rows of which a seed was better before: its score no longer falls, it grows."""
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
_MOST = 8  # scores of a table, where the study chooses none


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


def scores(
    there: Sequence[Cell],
    names: Mapping[str, str],
    heads: Mapping[str, str],
    floors: Sequence[Cell] | None,
) -> str:
    """How near the generated events are to the real ones: median and quartiles over seeds.

    Args:
        there: Lines of the table.
        names: Numbers of a row, and what their columns are called.
        heads: What the columns of factors are called.
        floors: Real events, above them; None: the floor of each score, where rows know it.
    """
    head = _head(there, heads)
    rows = []
    if floors is None:
        every = [each for cell in there for each in cell.results]
        found = [summary(each.number(f"{name} floor") for each in every) for name in names]
        rows = [["*real events*", *["–"] * (len(head) - 1), *map(short, found)]] * any(found)
    lines = [(_real(cell, there, head), cell) for cell in floors or ()]
    lines += [(_names(cell, head), cell) for cell in there]
    rows += [[*own, *(short(cell.summary(name)) for name in names)] for own, cell in lines]
    return table([*_titles(head, heads), *names.values()], rows, len(head))


def costs(there: Sequence[Cell], names: Mapping[str, str], heads: Mapping[str, str]) -> str:
    """What training and sampling take: medians over seeds."""
    head = _head(there, heads)
    rows = [[*_names(cell, head), *(_cost(cell, name) for name in names)] for cell in there]
    return table([*_titles(head, heads), *names.values()], rows, len(head))


def at_equal(there: Sequence[Cell], among: str | None, heads: Mapping[str, str]) -> str:
    """Validation scores at the end, at a step that all have reached, and at best.

    Args:
        there: Lines of the table.
        among: A factor: the step is one that all of its value have reached. None: all lines.
        heads: What the columns of factors are called.
    """
    names = _head(there, heads)
    more = ["at the end", "its step", "at equal steps", "the step", "its CPU-s", "lowest"]
    rows = []
    for cell in there:
        same = [c for c in there if among is None or c.factors[among] == cell.factors[among]]
        step = common_step([each for c in same for each in c.results])
        curves = [each.curve for each in cell.results if each.curve]
        ends = [curve[-1] for curve in curves]
        shared = [point for curve in curves for point in curve if point.step == step]
        rows.append(
            [
                *_names(cell, names),
                short(summary(p.score for p in ends)),
                _median(p.step for p in ends),
                short(summary(p.score for p in shared)),
                "–" if step is None else f"{step}",
                _median(p.seconds for p in shared),
                short(summary(min(p.score for p in curve) for curve in curves)),
            ]
        )
    return table([*_titles(names, heads), *more], rows, len(names))


def troubles(results: Sequence[Result]) -> str:
    """Rows that diverged or failed, and why; empty where there are none."""
    rows = [
        [f"`{each.name}`", each.status, str(each.values.get("reason", "")).replace("|", "/")]
        for each in results
        if each.status != "done"
    ]
    return table(["row", "", "reason"], rows, 3) if rows else ""


def scores_of(there: Sequence[Cell]) -> dict[str, str]:
    """The first scores that rows have, by name, with their units."""
    known: dict[str, str] = {}
    for result in (each for cell in there for each in cell.results):
        units = result.values.get("units") or {}
        for name in result.values:
            if f"{name} floor" in result.values and len(known) < _MOST:
                unit = f" [{units[name]}]" if name in units else ""
                known.setdefault(name, markdown(f"{name}{unit}"))
    return known


def short(value: Summary | None) -> str:
    """Median and quartiles; quartiles of a single number say nothing.

    >>> short(Summary(0.1, 0.2, 0.25)), short(Summary(0.2, 0.2, 0.2)), short(None)
    ('0.200 [0.100, 0.250]', '0.200', '–')
    """
    if value is None:
        return "–"
    if value.low == value.high:
        return number(value.median)
    return f"{number(value.median)} [{number(value.low)}, {number(value.high)}]"


def _varying(there: Sequence[Cell]) -> list[str]:
    """Factors of which the lines have more than one value."""
    names = list(there[0].factors) if there else []
    return [name for name in names if len({cell.factors[name] for cell in there}) > 1]


def _head(there: Sequence[Cell], heads: Mapping[str, str]) -> list[str]:
    """The first factor that a table has a column for, and others where they vary; seeds."""
    known = [name for name in heads if name in there[0].factors]
    varying = _varying(there)
    return [*(n for n in known if n == known[0] or n in varying), "converged"]


def _titles(head: Sequence[str], heads: Mapping[str, str]) -> list[str]:
    return [heads.get(name) or name for name in head]


def _names(cell: Cell, head: Sequence[str]) -> list[str]:
    """What a line is about, and how many of its seeds support anything."""
    status = [each.status for each in cell.results]
    counts = [f"{cell.converged}/{len(cell.results)}"]
    counts += [f"{status.count(s)} {s}" for s in ("diverged", "failed") if s in status]
    marks = "" if cell.sound else f" {UNDERTRAINED}"
    marks += f" {ROSE}" if any(each.rose for each in cell.results) else ""
    words = {name: str(value) for name, value in cell.factors.items()}
    words |= {head[0]: words[head[0]] + marks, "converged": ", ".join(counts)}
    return [words[name] for name in head]


def _real(cell: Cell, there: Sequence[Cell], head: Sequence[str]) -> list[str]:
    """What a line of real events is about: the values of factors that other lines have too."""
    shared = {n: str(v) for n, v in cell.factors.items() if v in {c.factors[n] for c in there}}
    words = {**shared, head[0]: f"*{cell.factors[head[0]]}*"}
    return [words.get(name, "–") for name in head]


def _cost(cell: Cell, name: str) -> str:
    found = cell.summary(name)
    if found is None:
        return "–"
    return f"{found.median:,.0f}" if name in _EXACT else number(found.median)


def _median(values: Iterable[float]) -> str:
    found = summary(values)
    return "–" if found is None else number(found.median)
