r"""Docstrings of pcgen as Markdown: roles, formulas and tables of reStructuredText are replaced.

=================== ==================================================================
``:func:`name```    a link to ``name``, seen from where the docstring stands; plain code
                    where the site does not show it
``:math:`a_i```     the formula in the notation of the pages
``.. math::``       a block of it
``=== ===``         a table
``>>> ...``         a block of code, up to an empty line
``x, y: text``      two arguments in ``Args:``
``@described``      the options that a recipe leaves to its glossary
=================== ==================================================================
"""

from __future__ import annotations

import logging
import re
import textwrap
from html import escape
from typing import Any

from griffe import (
    AliasResolutionError,
    Attribute,
    Docstring,
    Extension,
    GriffeLoader,
    Module,
    NameResolutionError,
    Object,
)

from pcgen.recipes.glossary import completed

LOG = logging.getLogger("mkdocs.plugins.docstrings")
ROLE = re.compile(r":(?:func|class|meth|mod|attr|data):`(~?)([^`]+)`")
FORMULA = re.compile(r":math:`([^`]+)`")
BLOCK = re.compile(
    r"^(?P<indent> *)\.\. math::(?P<line>[^\n]*)\n(?P<rest>(?:(?P=indent) +[^\n]*\n|\n)*)",
    re.MULTILINE,
)
DOCTEST = re.compile(r"^(?P<indent> *)(?P<code>>>> .*\n(?:(?P=indent).*\S.*\n)*)", re.MULTILINE)
PAIR = re.compile(r"^(?P<indent> +)(?P<first>\w+), (?P<second>\w+): ", re.MULTILINE)
RULER = r" *=+(?: +=+)+ *"
LINES = rf"(?:(?!{RULER}$).+\n)+"
TABLE = re.compile(
    rf"^(?P<ruler>{RULER})\n(?P<first>{LINES}){RULER}$(?:\n(?P<second>{LINES}){RULER}$)?",
    re.MULTILINE,
)


def target(name: str, home: Object) -> str:
    """The full name of what a docstring names.

    ``pcgen.name`` is full; ``.module`` is beside or in the module of the docstring; other names are
    looked up as Python would, from inside to outside.
    """
    if name.startswith("pcgen."):
        return name
    module = home.module
    if name.startswith("."):
        package = module if module.is_init_module else module.parent
        return f"{package.path}{name}" if package else name
    first, *rest = name.split(".")
    scope: Any = home
    while scope is not None:
        try:
            return ".".join([scope.resolve(first), *rest])
        except NameResolutionError:
            scope = scope.parent
    return name


def link(found: re.Match[str], home: Object) -> str:
    """The HTML of a name: mkdocs-autorefs turns it into a link where the site shows the name.

    A full name of pcgen that is nowhere gives a warning, which ends a strict build.
    """
    short, name = found[1] == "~", found[2].lstrip("!")
    shown = name.rsplit(".", 1)[-1] if short else name.lstrip(".")
    goal = target(name, home)
    if goal.startswith("pcgen.") and not _is_there(goal, home):
        LOG.warning("%s: %s is nowhere", home.path, found[0])
    start = f'<autoref identifier="{escape(goal, quote=True)}" optional>'
    return f"{start}<code>{escape(shown)}</code></autoref>"


def _is_there(name: str, home: Object) -> bool:
    try:
        return home.modules_collection[name] is not None
    except (KeyError, AliasResolutionError):
        return False


def formula(found: re.Match[str]) -> str:
    """A block of LaTeX, with the indentation of the directive."""
    latex = f"{found['line'].strip()}\n{textwrap.dedent(found['rest'])}".strip()
    return textwrap.indent(f"\n```math\n{latex}\n```\n\n", found["indent"])


def rows(lines: list[str], columns: list[slice]) -> list[list[str]]:
    """The cells of a table; a row whose first cell is empty goes on with the one above it."""
    found: list[list[str]] = []
    for line in lines:
        cells = [line[column].strip().replace("|", r"\|") for column in columns]
        if found and not cells[0]:
            found[-1] = [f"{old} {new}".strip() for old, new in zip(found[-1], cells, strict=True)]
        else:
            found.append(cells)
    return found


def table(found: re.Match[str]) -> str:
    """A table between rulers as one of Markdown.

    >>> print(TABLE.sub(table, "=== =====\\na   b\\n    c\\nd   e\\n=== ====="))
    <BLANKLINE>
    | | |
    | --- | --- |
    | a | b c |
    | d | e |
    <BLANKLINE>
    """
    starts = [m.start() for m in re.finditer("=+", found["ruler"])]
    columns = [slice(a, b) for a, b in zip(starts, [*starts[1:], None], strict=True)]
    first = rows(found["first"].splitlines(), columns)
    blank = [[""] * len(columns)]
    head, body = (
        (first, rows(found["second"].splitlines(), columns)) if found["second"] else (blank, first)
    )
    lines = [
        f"| {' | '.join(row)} |".replace("  ", " ")
        for row in [*head, ["---"] * len(columns), *body]
    ]
    return "\n" + textwrap.indent("\n".join(lines), " " * starts[0]) + "\n"


def fenced(found: re.Match[str]) -> str:
    """A doctest as a block of code."""
    code = textwrap.dedent(found["indent"] + found["code"])
    return textwrap.indent(f"```pycon\n{code}```\n", found["indent"])


def markdown(text: str, home: Object) -> str:
    """A docstring as Markdown, its first paragraph in one line: tables of contents show that."""
    first, *rest = text.split("\n\n", 1)
    text = "\n\n".join([" ".join(first.split()), *rest])
    text = BLOCK.sub(formula, TABLE.sub(table, text + "\n"))
    text = PAIR.sub(r"\g<indent>\g<second>: With `\g<first>`.\n\g<indent>\g<first>: ", text)
    text = re.sub(r"(?<=\w)::$", ":", DOCTEST.sub(fenced, text), flags=re.MULTILINE)
    text = FORMULA.sub(lambda found: f"$`{' '.join(found[1].split())}`$", text)
    return ROLE.sub(lambda found: link(found, home), text)


def whole(text: str, home: Object) -> str:
    """A docstring, that of a recipe with the options of the glossary."""
    shared = any(str(each.value) == "described" for each in getattr(home, "decorators", ()))
    return completed(text, [each.name for each in home.parameters]) if shared else text


class Docstrings(Extension):
    """Griffe calls this for every module, class, function and attribute."""

    def on_object(self, *, obj: Object, loader: GriffeLoader, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = markdown(whole(obj.docstring.value, obj), obj)
        elif isinstance(obj, Attribute) and isinstance(obj.parent, Module):
            # Without any text a name is not shown; its value is shown with it.
            words = str(obj.value).startswith("Literal[")
            obj.docstring = Docstring("One of these words." if words else "A constant.", parent=obj)
