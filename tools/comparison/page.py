"""The report of a comparison: report.md, figures, tables of numbers, all from the rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from pcgen import plotting
from pcgen.errors import DataError
from pcgen.io import atomic
from pcgen.tools.benchmarks import machine
from pcgen.tools.comparison import figures, tables
from pcgen.tools.comparison.expectations import DEAD, EXPECTATIONS, MAIN
from pcgen.tools.comparison.results import Cell, Result, cells, read, write_curves, write_rows
from pcgen.tools.comparison.scores import HARDEST
from pcgen.tools.comparison.spine import ABSENT, AXIS, NETWORKS, OBJECTIVES
from pcgen.tools.comparison.study import Study

Picture = Callable[[str, str, Callable[[], Figure]], str]


def write(folder: Path, study: Study) -> Path:
    """Write the report of the rows that are done.

    Args:
        folder: Of the comparison; report.md, rows.csv, curves.csv, floors.csv and the pictures go
            there.
        study: Its settings.

    Returns:
        The file report.md.

    Raises:
        DataError: no row is done yet.
        FileError: a row's file is damaged, or the folder cannot be written.
    """
    results = read(folder)
    if not results:
        raise DataError(f"{folder}: got no row that is done, expected at least one")
    floors = [each for each in results if each.row.spine == "floor"]
    trained = [each for each in results if each.row.spine != "floor"]
    write_rows(folder / "rows.csv", trained)
    write_rows(folder / "floors.csv", floors)
    write_curves(folder / "curves.csv", trained)
    there = cells(results, MAIN)
    blocks = [
        "# Representations and objectives, compared",
        _opening(study, trained),
        "## Expectations and answers",
        _answers(results),
        *_floors(floors),
        *(_questions(folder, there, results) if there else []),
        *_dead(results),
        "## What takes no part, and why",
        "\n".join(f"- {what}: {why}." for what, why in ABSENT.items()),
    ]
    trouble = tables.troubles(results)
    if trouble:
        blocks += ["## Rows that diverged or failed", trouble]
    file = folder / "report.md"
    with atomic(file) as temporary:
        temporary.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return file


def _opening(study: Study, trained: Sequence[Result]) -> str:
    length = (
        f"{study.steps} steps"
        if study.steps is not None
        else f"{study.budget:g} CPU-seconds of training (validation and reading are not counted)"
    )
    cut = "" if study.max_points is None else f", the {study.max_points} hardest of each jet"
    networks = {each.row.network for each in trained}
    names = "\n".join(f"- `{k}`: {v}" for k, v in NETWORKS.items() if k in networks)
    return "\n\n".join(
        [
            f"Every row is one network, trained once: {length}, batches of {study.batch_size}, one "
            f"thread, on particles within ±{study.halfwidth:g} of the jet axis{cut}; the same "
            f"events for all. Sizes are drawn from the model, class and p_T are those of the test "
            f"split. {study.events} generated events are put into the cells of the row's grid and "
            f"compared with as many real ones there: W1 over the real σ of mass, girth, leading "
            f"p_T fraction, number of active cells and log p_T of the cells, whose mean is the "
            f"*score*; W1 of Σ p_T / p_T(jet) and of the occupancy are absolute. 1-NN accuracy "
            f"({study.neighbours} events a side, earth mover's distance) and the substructure that "
            f"the classifier of the AUC sees are of the {HARDEST} hardest cells of each event.",
            f"Numbers are median [quartiles] over seeds. {tables.UNDERTRAINED} and hollow markers: "
            "a seed is *not converged* (its validation score fell by more than a tenth in the "
            "second half of its training, or it has not seen every event once), diverged or "
            "failed; such rows support no conclusion.",
            names,
            f"{len(trained)} rows, on {machine.describe('cpu')}. Raw numbers: rows.csv, "
            "curves.csv, floors.csv.",
        ]
    )


def _answers(results: Sequence[Result]) -> str:
    """What was expected before the run, and what the rows say."""
    rows = []
    for each in EXPECTATIONS:
        answer = each.decide(results)
        because = answer.because.replace("|", "/")
        rows.append([each.name, each.text, f"**{answer.verdict}**", because])
    head = ["", "expected before the run", "", "numbers"]
    return tables.table(head, rows, len(head))


def _floors(floors: Sequence[Result]) -> list[str]:
    if not floors:
        return []
    return [
        "## Floors",
        "*truth*: cells of one half of the real events against those of the other; *pixelised*: "
        "particles of one half against cells of the other.",
        tables.floors(floors),
    ]


def _questions(folder: Path, there: Sequence[Cell], results: Sequence[Result]) -> list[str]:
    """A part for each question, from tables and pictures."""
    counts = {c.resolution: sum(d.resolution == c.resolution for d in there) for c in there}
    base = max(counts, key=lambda resolution: counts[resolution])
    first = [cell for cell in there if cell.resolution == base]
    axis = [cell for cell in there if cell.network in AXIS]
    axis = [c for name in {c.objective: 0 for c in axis} for c in axis if c.objective == name]
    floors = cells(results, "floor")

    def picture(name: str, words: str, make: Callable[[], Figure]) -> str:
        plotting.save(make(), folder / name)
        return f"![{words}]({name})"

    named = ", ".join(f"{OBJECTIVES.get(k, k)} (`{k}`)" for k in {c.objective: 0 for c in there})
    return [
        f"## 1. Which representation, for which objective? ({base} × {base} cells)",
        f"Objectives: {named}.",
        picture(
            "score.png",
            "Score by network and objective; band: truth against truth",
            lambda: figures.by_network(first, figures.floor_of(results, base)),
        ),
        tables.scores(first),
        "What it cost (medians; *to generate*: parameters without critic and encoder; *outside*: "
        "fraction of the generated energy outside the grid):",
        tables.costs(first),
        "The validation score at equal CPU-seconds (the end of the training) and at equal steps:",
        tables.at_equal(first),
        *(_axis(picture, axis, floors) if axis else []),
        "## 4. Flow or GAN?",
        picture(
            "flow-and-gan.png",
            "Left: W1 of the mass against training time (full: flow, dashed: GAN). Right: sampling",
            lambda: figures.against_time(first),
        ),
        "## 5. Learning curves",
        picture(
            "curves.png",
            "Validation score against step; dashed: not converged",
            lambda: figures.learning_curves(there),
        ),
    ]


def _axis(picture: Picture, axis: Sequence[Cell], floors: Sequence[Cell]) -> list[str]:
    """What the networks say that were trained at several resolutions."""
    return [
        "## 2. What does sparsity change? (the same events, finer cells)",
        picture(
            "resolution.png",
            "Score against resolution; band: truth against truth",
            lambda: figures.by_resolution(axis, floors),
        ),
        tables.scores(axis),
        tables.at_equal(axis),
        "## 3. What does it cost? (dense against active sites)",
        picture("cost.png", "Time against occupancy", lambda: figures.by_occupancy(axis)),
        tables.costs(axis),
    ]


def _dead(results: Sequence[Result]) -> list[str]:
    """Errors by fraction of dead channels, where such rows were run."""
    there = cells(results, DEAD)
    values = {name for cell in there for each in cell.results for name in each.values}
    names = sorted(name for name in values if re.fullmatch(r"mae_\d+", name))
    if not there:
        return []
    rows = [
        [cell.network, str(cell.resolution), f"{cell.converged}/{len(cell.results)}"]
        + [tables.told(cell.summary(name)) for name in names]
        for cell in there
    ]
    head = ["network", "R", "converged", *(f"{int(n.removeprefix('mae_'))} % dead" for n in names)]
    return ["## 6. Dead channels", tables.table(head, rows, 3)]
