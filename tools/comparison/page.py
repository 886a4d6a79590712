"""The report of a comparison: a page, figures, tables of numbers, all from the rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from pcgen import plotting
from pcgen.errors import DataError
from pcgen.io import atomic
from pcgen.tools.benchmarks import machine
from pcgen.tools.comparison import figures, tables
from pcgen.tools.comparison.expectations import DEAD, EXPECTATIONS, MAIN
from pcgen.tools.comparison.results import (
    Cell,
    Result,
    Summary,
    cells,
    read,
    summary,
    write_curves,
    write_rows,
)
from pcgen.tools.comparison.scores import HARDEST
from pcgen.tools.comparison.spine import ABSENT, AXIS, NETWORKS, OBJECTIVES, UNEQUAL
from pcgen.tools.comparison.study import Study
from pcgen.tools.evaluate import make_folder

_DPI, _COLOURS = 100, 64  # small files: a page and its pictures are kept with a project
_TABLES = ("rows.csv", "curves.csv", "floors.csv")


def write(folder: Path, study: Study, page: Path | None = None) -> Path:
    """Write the report of the rows that are done.

    Args:
        folder: Of the comparison.
        study: Its settings.
        page: Where to write it, ``report.md`` in the folder by default. Pictures, rows.csv,
            curves.csv and floors.csv go into a folder beside it, of the same name without ending.

    Returns:
        The page.

    Raises:
        DataError: no row is done yet.
        FileError: a row's file is damaged, or the page cannot be written.
    """
    results = read(folder)
    if not results:
        raise DataError(f"{folder}: got no row that is done, expected at least one")
    page = page or folder / "report.md"
    beside = make_folder(page.with_suffix(""))
    floors = [each for each in results if each.row.spine == "floor"]
    trained = [each for each in results if each.row.spine != "floor"]
    for name, write_table, rows in zip(
        _TABLES, (write_rows, write_curves, write_rows), (trained, trained, floors), strict=True
    ):
        write_table(beside / name, rows)
    there, pictures = cells(results, MAIN), _Pictures(beside)
    blocks = [
        "# Representations and objectives, compared",
        *_opening(study, trained, beside.name),
        "## Expectations and answers",
        *_answers(results),
        *(_questions(pictures, there, results) if there else []),
        *_dead(pictures, results),
        "## What takes no part, and why",
        "\n".join(f"- {what}: {why}." for what, why in ABSENT.items()),
        "## What is not equal",
        "\n".join(f"- {each}" for each in UNEQUAL),
        "## Rows that diverged or failed",
        _troubles(results),
    ]
    with atomic(page) as temporary:
        temporary.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return page


@dataclass(frozen=True)
class _Pictures:
    """A folder beside the page, which links to it."""

    folder: Path

    def __call__(self, name: str, words: str, figure: Figure) -> str:
        file = self.folder / name
        plotting.save(figure, file, dpi=_DPI)
        with Image.open(file) as image, atomic(file) as temporary:
            image.convert("RGB").quantize(_COLOURS).save(temporary, format="png", optimize=True)
        return f"![{words}]({self.folder.name}/{name})"


def _opening(study: Study, trained: Sequence[Result], beside: str) -> list[str]:
    length = (
        f"{study.steps} steps"
        if study.steps is not None
        else f"{study.budget:g} CPU-seconds of training (validation and reading are not counted)"
    )
    cut = "" if study.max_points is None else f", the {study.max_points} hardest of each jet"
    files = ", ".join(f"`{Path(name).name}`" for name in study.data)
    networks = {each.row.network for each in trained}
    links = ", ".join(f"[{name}]({beside}/{name})" for name in _TABLES)
    return [
        f"Every row is one network, trained once: {length}, batches of {study.batch_size}, one "
        f"thread, on the jets of {files}, particles within ±{study.halfwidth:g} of the axis{cut}; "
        "the same events for all. Class and p_T are those of the test split; sizes and Σ p_T are "
        "drawn from p(n, Σ p_T given class and p_T), the law of the training split that every "
        "model keeps, and all networks take the size as an input.",
        "\n".join(f"- `{k}`: {v}" for k, v in NETWORKS.items() if k in networks),
        f"{len(trained)} rows; {_spent(study, trained)}Times are CPU-seconds of the process of a "
        "row; others that run beside it take their share of memory and caches. This page was "
        f"written on {machine.describe('cpu')}. Raw numbers: {links}.",
        *_definitions(study),
    ]


def _definitions(study: Study) -> list[str]:
    """What the numbers and the marks mean."""
    return [
        f"{study.events} generated events are put into the cells of the row's grid and compared "
        "with as many real ones there:",
        "- *mass*, *girth*, *leading* (p_T fraction), *multiplicity* (active cells) and *log p_T* "
        "of the cells: W1 over the real σ. Their mean is the *score*.\n"
        "- *occupancy*: mean fraction of active cells, and the W1 of it; *Σ p_T*: W1 of Σ p_T / "
        "p_T(jet), which is drawn and shared out, so that it measures what is lost outside the "
        "grid; both absolute. *JSD*: Jensen-Shannon divergence of the mean images.\n"
        f"- *1-NNA*: 1-NN accuracy of {study.neighbours} events a side under the earth mover's "
        "distance; *AUC*: of a classifier on observables and substructure; 0.5 is ideal. Both "
        f"see the {HARDEST} hardest cells of each event.",
        "Floors are what real events score: *truth*, cells of one half of the test split against "
        "those of the other; *pixelised*, particles of one half against cells of the other, which "
        "is what cells alone do to these numbers, and not a lower bound for rows, which are "
        "compared cell by cell. Generated events have the class and p_T of the real ones "
        "that they are compared with, halves have not, so a row can be below the floor.",
        "Numbers are medians [quartiles] over all seeds that have them.",
        f"- {tables.UNDERTRAINED} and hollow markers: a seed is *not converged* (its validation "
        "score fell by more than a tenth in the second half of its training, or it has not seen "
        "every event once), diverged or failed; such rows support no conclusion. Validation is of "
        f"{study.validate_events} events: near the floor, a tenth is within the noise.\n"
        f"- {tables.ROSE}: the validation score of a seed *rose* by more than a tenth in the "
        "second half. *Converged* means that a score falls no more, and not that it is good: "
        "networks that are stuck or get worse are converged too, and take part in the answers. "
        "Their lowest score on the way is in the table of equal steps.",
    ]


def _spent(study: Study, trained: Sequence[Result]) -> str:
    """How far the rows are from the budget: their length is planned from a few steps."""
    seconds = [each.number("cpu_seconds") for each in trained]
    found = summary(seconds)
    if study.steps is not None or found is None:
        return ""
    known = [value for value in seconds if value == value]
    return (
        f"how many steps the budget pays for is estimated from the first few, and in the end "
        f"trainings took {min(known):.3g} to {max(known):.3g} CPU-seconds "
        f"(median {found.median:.3g}). "
    )


def _answers(results: Sequence[Result]) -> list[str]:
    """What was expected before the run, and what the rows say."""
    blocks = []
    for each in EXPECTATIONS:
        answer = each.decide(results)
        blocks.append(
            f"**{each.name}: {answer.verdict}.**\n"
            f"- Expected before the run: {each.text}\n"
            f"- Rows: {answer.because}."
        )
    return blocks


def _questions(picture: _Pictures, there: Sequence[Cell], results: Sequence[Result]) -> list[str]:
    """A part for each question, from tables and pictures."""
    counts = {c.resolution: sum(d.resolution == c.resolution for d in there) for c in there}
    base = max(counts, key=lambda resolution: counts[resolution])
    first = [cell for cell in there if cell.resolution == base]
    axis = [cell for cell in there if cell.network in AXIS]
    axis = [c for name in {c.objective: 0 for c in axis} for c in axis if c.objective == name]
    floors = cells(results, "floor")
    named = ", ".join(f"{OBJECTIVES.get(k, k)} (`{k}`)" for k in {c.objective: 0 for c in there})
    return [
        f"## Which representation, for which objective? ({base} × {base} cells)",
        f"Objectives: {named}.",
        picture(
            "score.png",
            "Score by network and objective; band: truth against truth",
            figures.by_network(first, figures.floor_of(results, base, "score")),
        ),
        tables.scores(first, floors, tables.DISTANCES),
        tables.scores(first, floors, tables.OTHERS),
        "What it cost (medians). *To generate*: parameters without critic and encoder; *MiB*: peak "
        "memory of training and sampling above that of the data; *outside*: fraction of the "
        "generated energy outside the grid, which is lost:",
        tables.costs(first, tables.COSTS),
        _EQUAL,
        tables.at_equal(first),
        *(_axis(picture, axis, floors) if axis else []),
        *_rivals(picture, first, figures.floor_of(results, base, "w1_mass")),
        "## Learning curves",
        picture(
            "curves.png",
            "Validation score against step; dashed: not converged",
            figures.learning_curves(there),
        ),
    ]


_EQUAL = (
    "Validation scores at the end, which is at equal CPU-seconds, at the last step that all rows "
    "of the objective have reached, and the lowest of each learning curve, wherever it was:"
)


def _axis(picture: _Pictures, axis: Sequence[Cell], floors: Sequence[Cell]) -> list[str]:
    """What the networks say that were trained at several resolutions."""
    return [
        "## What does sparsity change? (the same events, finer cells)",
        picture(
            "resolution.png",
            "Score against resolution; band: truth against truth",
            figures.by_resolution(axis, floors),
        ),
        tables.scores(axis, floors, tables.SPARSITY),
        _EQUAL,
        tables.at_equal(axis),
        "## What does it cost? (dense, active sites, points)",
        picture("cost.png", "Time against occupancy", figures.by_occupancy(axis)),
        tables.costs(axis, tables.TIMES),
    ]


def _rivals(picture: _Pictures, first: Sequence[Cell], floor: Summary | None) -> list[str]:
    if not any(cell.objective in ("flow", "gan") for cell in first):
        return []
    return [
        "## Flow or GAN?",
        "After the same CPU-seconds of training; all numbers are in the tables above.",
        picture(
            "flow-and-gan.png",
            "Left: W1 of the mass; band: truth against truth. Right: time of a generated event",
            figures.flow_and_gan(first, floor),
        ),
    ]


def _dead(picture: _Pictures, results: Sequence[Result]) -> list[str]:
    """Errors by fraction of dead channels, where such rows were run."""
    there = cells(results, DEAD)
    if not there:
        return []
    values = {name for cell in there for each in cell.results for name in each.values}
    names = sorted(name for name in values if re.fullmatch(r"mae_\d+", name))
    guess = summary(each.number("guess_mae") for cell in there for each in cell.results)
    beside = "" if guess is None else f" Always guessing the mean scores {guess.median:.2g}."
    return [
        "## Dead channels",
        "These rows generate nothing. Each cell is dead in an event with some probability, and a "
        "network infers girth and log(mass / p_T) of the whole jet from the cells that are left, "
        "in units of their σ. It is trained with 30 % of dead cells, drawn anew at each step, and "
        "tested with 0 to 70 %, the same for all. Numbers are mean absolute errors; the learning "
        f"rate falls to zero, so that a score that settles means less than above.{beside}",
        "A dead cell is a zero (`image`), a zero, and a channel marks which (`image-mask`), not "
        "there for normalised convolutions (`image-observed`), the same, and each layer takes as "
        "an input how many are not (`image-density`), inactive (`sites`), or without "
        "a point (`epic`).",
        picture(
            "dead-channels.png",
            "Left: error against dead cells in the test. Right: learning curves; dashed: not "
            "converged",
            figures.dead_channels(there, names),
        ),
        tables.dead(there, {name: f"{int(name.removeprefix('mae_'))} % dead" for name in names}),
    ]


def _troubles(results: Sequence[Result]) -> str:
    """Rows that did not end, or whose events were not all finite."""
    stopped = sum(each.number("nonfinite") > 0 for each in results)
    broken = [each for each in results if each.number("broken") > 0]
    listed = ", ".join(f"`{r.row.name}` ({r.number('broken'):.1%})" for r in broken) or "none"
    lines = (
        f"A training stops at the first loss or gradient that is not finite: {stopped} did. Rows "
        f"with generated events that were not finite, which are left out of its scores: {listed}."
    )
    found = tables.troubles(results)
    return f"{lines}\n\n{found}" if found else lines
