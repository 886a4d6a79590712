"""Tables of scores beside their floors: for the terminal, a web page, Markdown and LaTeX.

A score more than three standard deviations from its floor is marked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from pcgen.escaping import latex, markdown, markup, terminal
from pcgen.metrics import Evaluation, Score

FAR = 3.0
"""Standard deviations from the floor beyond which a score is marked as far."""

_NAME = 32
"""Letters of a name that stand on one line beside a floor and a score."""

CHANCE = 0.05
"""Unless its p-value is above this: σ from a few batches may be far too small."""


def number(value: float, error: float) -> str:
    """Value and error, rounded to two digits of the error.

    >>> number(1.23456, 0.0234), number(102.4, 21.0), number(0.5, 0.0)
    ('1.235 ± 0.023', '102 ± 21', '0.5 ± 0')
    """
    if not 0 < error < math.inf:
        return f"{value:.4g} ± {error:.4g}"
    exponent = int(f"{error:.1e}".split("e")[1])
    digits = max(1 - exponent, 0)
    if exponent < -4 or abs(value) < 1e-4:
        return f"{value:.3g} ± {error:.2g}"
    return f"{value:.{digits}f} ± {error:.{digits}f}"


Rows = list[tuple[str, list[tuple[str, bool]]]]
"""Name of each score and its cells; a cell is a text and whether it is far from the floor."""


def comparison(
    evaluations: Mapping[str, Evaluation], floors: Mapping[str, Evaluation] | None = None
) -> tuple[list[str], Rows]:
    """Header and rows of the table of several generators against the same real events.

    First come the floors, then each generator's score, its distance z from its own floor in
    standard deviations and its permutation p-value.

    Args:
        evaluations: Each generator's, by its name.
        floors: Evaluations whose floor gets a column, by the name of the column; None: one column,
            the floor of the first generator's evaluation.
    """
    if floors is None:
        floors = {"real vs real (floor)": next(iter(evaluations.values()))}
    header = ["score", *floors]
    for name in evaluations:
        header += [name, "z", "p"]
    low, columns = (
        [{score.name: score for score in e.scores} for e in each.values()]
        for each in (floors, evaluations)
    )
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows: Rows = []
    for name in names:
        unit = next(column[name].unit for column in columns if name in column)
        cells = [_floor(column.get(name)) for column in low]
        for column in columns:
            cells += _cells(column.get(name))
        rows.append((f"{name} [{unit}]" if unit else name, cells))
    return header, rows


def _floor(score: Score | None) -> tuple[str, bool]:
    return ("" if score is None else number(score.floor, score.floor_error)), False


def _cells(score: Score | None) -> list[tuple[str, bool]]:
    """Score, z (empty where there is none) and p; what is far is so in the first two."""
    if score is None:
        return [("", False)] * 3
    marked = far(score)
    chance = "" if score.p is None else f"{score.p:.2g}"
    value = number(score.value, score.error)
    away = f"{score.z:+.1f}" if has_distance(score) else ""
    return [(value, marked), (away, marked), (chance, False)]


def has_distance(score: Score) -> bool:
    """Whether the score has a distance from its floor in standard deviations.

    Infinite where they differ and neither varies; none where a value is not defined.
    """
    return not math.isnan(score.z) and all(map(math.isfinite, (score.value, score.floor)))


def far(score: Score) -> bool:
    """Whether a score is so far from its floor that chance does not explain it."""
    return abs(score.z) > FAR and (score.p is None or score.p < CHANCE)


def text_table(
    evaluations: Mapping[str, Evaluation],
    title: str = "",
    *,
    floors: Mapping[str, Evaluation] | None = None,
) -> Table:
    """The comparison as a table for the terminal; far scores are in bold."""
    header, rows = comparison(evaluations, floors)
    # Eighty columns hold one generator with its floor.
    table = Table(
        title=terminal(title) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    # Long names are broken, so that numbers are not: those of bins say.
    long = max((len(name) for name, _ in rows), default=0) > _NAME
    for k, name in enumerate(header):
        whole = bool(k) if long else not k
        table.add_column(
            terminal(name), justify="right" if k else "left", no_wrap=whole, overflow="fold"
        )
    for name, cells in rows:
        shown = [f"[bold]{text}[/]" if marked else text for text, marked in cells]
        table.add_row(Text(",\n" if long else ", ").join(map(terminal, name.split(", "))), *shown)
    return table


def html_table(
    evaluations: Mapping[str, Evaluation], *, floors: Mapping[str, Evaluation] | None = None
) -> str:
    """The comparison as HTML; far scores have the class ``far``."""
    header, rows = comparison(evaluations, floors)
    lines = ['<div class="wide"><table><tr>']
    lines += [*(f"<th>{markup(name)}</th>" for name in header), "</tr>"]
    for name, cells in rows:
        line = f"<tr><td>{markup(name)}</td>"
        for text, marked in cells:
            line += f'<td class="far">{markup(text)}</td>' if marked else f"<td>{markup(text)}</td>"
        lines.append(line + "</tr>")
    return "\n".join([*lines, "</table></div>"])


def markdown_table(
    evaluations: Mapping[str, Evaluation], *, floors: Mapping[str, Evaluation] | None = None
) -> str:
    """The comparison in Markdown; far scores are in bold."""
    header, rows = comparison(evaluations, floors)
    lines = [[*map(markdown, header)], ["---", *["--:"] * (len(header) - 1)]]
    for name, cells in rows:
        texts = [f"**{markdown(text)}**" if marked else markdown(text) for text, marked in cells]
        lines.append([markdown(name), *texts])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def latex_table(
    evaluations: Mapping[str, Evaluation], *, floors: Mapping[str, Evaluation] | None = None
) -> str:
    """The comparison as a LaTeX ``tabular`` of plain LaTeX; far scores are in bold."""
    header, rows = comparison(evaluations, floors)
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", r"\hline"]
    lines += [" & ".join(map(latex, header)) + r" \\", r"\hline"]
    for name, cells in rows:
        texts = [rf"\textbf{{{latex(text)}}}" if marked else latex(text) for text, marked in cells]
        lines.append(" & ".join([latex(name), *texts]) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}"])
