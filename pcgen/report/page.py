"""A results page: tables, figures and views in one HTML file without scripts.

The page shows what it is given and hides nothing.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from pcgen.io import atomic

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #d0d7de }
th:first-child, td:first-child { text-align: left }
td.far { background: #fff1e5 }
figure { margin: 1.5rem 0 } img { max-width: 100% } figcaption, p.note { color: #57606a }
"""


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
