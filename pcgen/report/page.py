"""A results page: pictures, summaries and tables in one HTML file without scripts.

The page shows what it is given and hides nothing. It fits a telephone: pictures shrink and open
in full when clicked, tables move sideways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from pcgen.escaping import markup
from pcgen.io import atomic

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff; overflow-wrap: break-word }
div.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .9rem; margin: 1rem 0;
  font-variant-numeric: tabular-nums }
th, td { padding: .25rem .5rem; text-align: right; border-bottom: 1px solid #d0d7de;
  white-space: nowrap }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff }
td.far { background: #fff1e5 }
summary { cursor: pointer; color: #0969da; margin: 1rem 0 }
figure { margin: 1.5rem 0 } img { max-width: 100% } figcaption, p.note { color: #57606a }
"""


def figure(file: str, caption: str) -> str:
    """A picture beside the page, with its caption; it opens in full when clicked."""
    name, text = quote(file), markup(caption)
    image = f'<a href="{name}"><img src="{name}" alt="{text}"></a>'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def link(file: str, text: str) -> str:
    """A link to a file beside the page."""
    return f'<p><a href="{quote(file)}">{markup(text)}</a></p>'


def paragraph(text: str) -> str:
    """A remark."""
    return f'<p class="note">{markup(text)}</p>'


def bullets(lines: Sequence[str]) -> str:
    """A list of sentences."""
    return "\n".join(["<ul>", *(f"<li>{markup(line)}</li>" for line in lines), "</ul>"])


def details(title: str, pieces: Sequence[str]) -> str:
    """Pieces of HTML made by this module that are seen once the title is clicked."""
    return "\n".join([f"<details><summary>{markup(title)}</summary>", *pieces, "</details>"])


def write_page(path: str | Path, title: str, sections: Mapping[str, Sequence[str]]) -> None:
    """Write an HTML page of sections, each a heading and pieces of HTML made by this module.

    Raises:
        FileError: the page cannot be written.
    """
    name = markup(title)
    lines = ["<!doctype html>", '<html lang="en"><head><meta charset="utf-8">']
    lines += ['<meta name="viewport" content="width=device-width, initial-scale=1">']
    lines += [f"<title>{name}</title><style>{_STYLE}</style></head><body>", f"<h1>{name}</h1>"]
    for heading, pieces in sections.items():
        lines += [f"<h2>{markup(heading)}</h2>", *pieces]
    lines.append("</body></html>")
    with atomic(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
