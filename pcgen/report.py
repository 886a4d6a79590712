"""A results page: scores beside their floors, figures and views, in one HTML file without scripts.

The page shows what it is given and hides nothing: each score stands beside its floor, and a score
more than three standard deviations above it is marked.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from pcgen.io import atomic
from pcgen.metrics import Evaluation, Score

FAR = 3.0
"""Standard deviations above the floor from which a score is marked as far."""

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #d0d7de }
th:first-child, td:first-child { text-align: left }
td.far { background: #fff1e5 }
figure { margin: 1.5rem 0 } img { max-width: 100% } figcaption, p.note { color: #57606a }
"""


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

    First come the floors, then each generator's score with its distance from its own floor in
    standard deviations.

    Args:
        evaluations: Each generator's, by its name.
        floors: Evaluations whose floor gets a column, by the name of the column; None: one column,
            the floor of the first generator's evaluation.
    """
    if floors is None:
        floors = {"real vs real (floor)": next(iter(evaluations.values()))}
    header = ["score", *floors, *evaluations]
    low, columns = (
        [{score.name: score for score in e.scores} for e in each.values()]
        for each in (floors, evaluations)
    )
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows: Rows = []
    for name in names:
        unit = next(column[name].unit for column in columns if name in column)
        cells = [_floor(column.get(name)) for column in low]
        cells += [_cell(column.get(name)) for column in columns]
        rows.append((f"{name} [{unit}]" if unit else name, cells))
    return header, rows


def _floor(score: Score | None) -> tuple[str, bool]:
    return ("" if score is None else number(score.floor, score.floor_error)), False


def _cell(score: Score | None) -> tuple[str, bool]:
    if score is None:
        return "", False
    text = f"{number(score.value, score.error)} ({score.excess:+.1f}σ)"
    return text, abs(score.excess) > FAR


def text_table(
    evaluations: Mapping[str, Evaluation],
    title: str = "",
    *,
    floors: Mapping[str, Evaluation] | None = None,
) -> Table:
    """The comparison as a table for the terminal; far scores are in bold."""
    header, rows = comparison(evaluations, floors)
    table = Table(title=title or None, title_justify="left")
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


def figure(file: str, caption: str) -> str:
    """A picture beside the page, with its caption."""
    name, text = html.escape(file, quote=True), html.escape(caption)
    return f'<figure><img src="{name}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def link(file: str, text: str) -> str:
    """A link to a file beside the page."""
    return f'<p><a href="{html.escape(file, quote=True)}">{html.escape(text)}</a></p>'


def paragraph(text: str) -> str:
    """A remark."""
    return f'<p class="note">{html.escape(text)}</p>'


def write_page(path: str | Path, title: str, sections: Mapping[str, Sequence[str]]) -> None:
    """Write an HTML page of sections, each a heading and pieces of HTML made by this module.

    Raises:
        FileError: the page cannot be written.
    """
    name = html.escape(title)
    lines = ["<!doctype html>", '<html lang="en"><head><meta charset="utf-8">']
    lines += [f"<title>{name}</title><style>{_STYLE}</style></head><body>", f"<h1>{name}</h1>"]
    for heading, pieces in sections.items():
        lines += [f"<h2>{html.escape(heading)}</h2>", *pieces]
    lines.append("</body></html>")
    with atomic(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
