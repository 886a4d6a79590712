"""Tables of scores beside their floors: for the terminal, a web page, Markdown and LaTeX.

A score more than three standard deviations from its floor is marked.
"""

from __future__ import annotations

import html
from collections.abc import Mapping

from rich import box
from rich.markup import escape
from rich.table import Table

from pcgen.metrics import Evaluation, Score

FAR = 3.0
"""Standard deviations from the floor beyond which a score is marked as far."""

CHANCE = 0.05
"""Unless its p-value is above this: σ from a few batches may be far too small."""


def number(value: float, error: float) -> str:
    """Value and error, rounded to two digits of the error.

    >>> number(1.23456, 0.0234), number(102.4, 21.0), number(0.5, 0.0)
    ('1.235 ± 0.023', '102 ± 21', '0.5 ± 0')
    """
    if not error > 0:
        return f"{value:.4g} ± 0"
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
    """Score, z and p; what is far is so in the first two."""
    if score is None:
        return [("", False)] * 3
    far = abs(score.z) > FAR and (score.p is None or score.p < CHANCE)
    chance = "" if score.p is None else f"{score.p:.2g}"
    return [(number(score.value, score.error), far), (f"{score.z:+.1f}", far), (chance, False)]


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
        title=title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for k, name in enumerate(header):
        table.add_column(name, justify="right" if k else "left", no_wrap=not k, overflow="fold")
    for name, cells in rows:
        shown = [f"[bold]{text}[/]" if far else text for text, far in cells]
        table.add_row(escape(name), *shown)
    return table


def html_table(
    evaluations: Mapping[str, Evaluation], *, floors: Mapping[str, Evaluation] | None = None
) -> str:
    """The comparison as HTML; far scores have the class ``far``."""
    header, rows = comparison(evaluations, floors)
    lines = ["<table><tr>", *(f"<th>{html.escape(name)}</th>" for name in header), "</tr>"]
    for name, cells in rows:
        line = f"<tr><td>{html.escape(name)}</td>"
        for text, far in cells:
            line += f'<td class="far">{html.escape(text)}</td>' if far else f"<td>{text}</td>"
        lines.append(line + "</tr>")
    return "\n".join([*lines, "</table>"])


def markdown_table(
    evaluations: Mapping[str, Evaluation], *, floors: Mapping[str, Evaluation] | None = None
) -> str:
    """The comparison in Markdown; far scores are in bold."""
    header, rows = comparison(evaluations, floors)
    lines = [header, ["---", *["--:"] * (len(header) - 1)]]
    for name, cells in rows:
        lines.append([name, *(f"**{text}**" if far else text for text, far in cells)])
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


_LATEX = {c: rf"\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def latex_table(
    evaluations: Mapping[str, Evaluation], *, floors: Mapping[str, Evaluation] | None = None
) -> str:
    """The comparison as a LaTeX ``tabular`` of plain LaTeX; far scores are in bold."""
    header, rows = comparison(evaluations, floors)
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", r"\hline"]
    lines += [" & ".join(map(_latex, header)) + r" \\", r"\hline"]
    for name, cells in rows:
        texts = [rf"\textbf{{{_latex(text)}}}" if far else _latex(text) for text, far in cells]
        lines.append(" & ".join([_latex(name), *texts]) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}"])


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
