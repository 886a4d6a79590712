"""Names survive every target: what a reader sees is what the file holds."""

from __future__ import annotations

import html
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from rich.console import Console

from pcgen import escaping
from pcgen.schema import Quantity

NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=20)


@given(NAMES)
def test_matplotlib_shows_names_as_they_are(name: str) -> None:
    shown, formula = Text()._preprocess_math(escaping.mathtext(name))
    assert not formula
    # Where nothing is a formula matplotlib takes the strokes away itself.
    assert shown == name.replace(r"\$", "$") or shown == name


@given(NAMES)
def test_pages_show_names_as_they_are(name: str) -> None:
    for made in (escaping.markup(name), escaping.hypertext(escaping.mathtext(name))):
        assert not set('<>"') & set(made)
    assert html.unescape(escaping.markup(name)) == name


@given(NAMES)
def test_the_terminal_shows_names_as_they_are(name: str) -> None:
    file = io.StringIO()
    Console(file=file, width=500, force_terminal=False).print(escaping.terminal(name))
    assert file.getvalue() == f"{name}\n"


@given(NAMES)
def test_cells_of_tables_stay_one_cell(name: str) -> None:
    plain = escaping.markdown(name).replace("\\\\", "")
    for mark in "|`*<>$":
        assert plain.count(mark) == plain.count(f"\\{mark}")
    assert "](" not in plain


@pytest.mark.parametrize("text", ["a\nb", "a\tb", "a\x1b[31mb", "a\u2028b", "a\udc80b"])
def test_names_are_one_line_that_can_be_written(text: str) -> None:
    for target in (escaping.mathtext, escaping.markup, escaping.markdown, escaping.latex):
        made = target(text)
        assert len(made.splitlines()) == 1
        assert "\x1b" not in made
        made.encode()


def test_only_a_symbol_may_be_a_formula() -> None:
    assert escaping.label(Quantity("$E$", "$")) == r"\$E\$ [\$]"
    assert escaping.label(Quantity("E", "GeV", symbol="$E_0$")) == "$E_0$ [GeV]"
    for broken in ("$E_", r"$\frac{$", "$$$"):
        assert escaping.formula(broken) == broken.replace("$", r"\$")
    assert escaping.hypertext(escaping.label(Quantity("<i>"))) == "&lt;i&gt;"
