r"""Names from files and arguments, written so that a reader sees them as they are.

A class may be called ``$t$``, a file ``<b>.h5``, a sample ``_new_``. Pictures, pages, terminals and
tables each take some characters as commands; there is one function for each of these targets, and
whatever is shown there passes through it. Only :attr:`pcgen.schema.Quantity.symbol` may be a
formula, between dollar signs.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

from rich.text import Text

from pcgen.schema import Quantity


def one_line(text: str) -> str:
    r"""Text without line breaks, tabulators and other characters that cannot be seen.

    >>> one_line("a\nb\x1b[1m")
    'a b [1m'
    """
    seen = (
        " " if unicodedata.category(letter).startswith(("C", "Z")) else letter for letter in text
    )
    return "".join(seen)


def mathtext(text: str) -> str:
    r"""Text for matplotlib, to which dollar signs are dollar signs.

    >>> print(mathtext("$t$"))
    \$t\$
    """
    return one_line(text).replace("$", r"\$")


def formula(text: str) -> str:
    r"""Text for matplotlib with formulae between dollar signs; where there are none, as it is.

    >>> print(formula(r"$p_T$"), formula(r"$\nonsense$"), formula("5 $"))
    $p_T$ \$\nonsense\$ 5 \$
    """
    return one_line(text) if _is_formula(text) else mathtext(text)


def label(quantity: Quantity) -> str:
    r"""Symbol (or name) and unit of a quantity, for an axis of matplotlib.

    >>> print(label(Quantity("a$b", "GeV")), label(Quantity("pt", "GeV", symbol="$p_T$")))
    a\$b [GeV] $p_T$ [GeV]
    """
    return f"{symbol(quantity)} [{mathtext(quantity.unit)}]" if quantity.unit else symbol(quantity)


def symbol(quantity: Quantity) -> str:
    """Symbol of a quantity, or its name, for matplotlib."""
    return formula(quantity.symbol) if quantity.symbol else mathtext(quantity.name)


def markup(text: str) -> str:
    """Text for HTML, inside elements and attributes.

    >>> markup('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    return html.escape(one_line(text), quote=True)


def hypertext(text: str) -> str:
    r"""What is written for matplotlib, as browsers write it: HTML with simple formulae.

    >>> hypertext(r"$\eta^\mathrm{rel}$ [rad]")
    'η<sup>rel</sup> [rad]'
    >>> hypertext(r"$\log_{10}$($p_T$/GeV)")
    'log<sub>10</sub>(p<sub>T</sub>/GeV)'
    >>> hypertext(r"5 \$ < 6 \$")
    '5 $ &lt; 6 $'
    """
    parts = re.split(r"(?<!\\)\$", text)
    parts[0::2] = [markup(part.replace(r"\$", "$")) for part in parts[0::2]]
    parts[1::2] = [_formula(markup(part)) for part in parts[1::2]]
    return "".join(parts)


def terminal(text: str) -> Text:
    """Text for rich, to which brackets and colons are no commands."""
    return Text(one_line(text))


def markdown(text: str) -> str:
    r"""Text for a cell of a Markdown table.

    >>> print(markdown("_a_b|*c* <d> [GeV] [e](f)"))
    \_a_b\|\*c\* \<d\> [GeV] [e]\(f)
    """
    # Brackets alone, as around units, are no link.
    text = re.sub(r"([\\`*|<>~$&]|(?<=\])\()", r"\\\1", one_line(text))
    # Inside a word an underscore is none of Markdown's business.
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


_LATEX = {c: rf"\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def latex(text: str) -> str:
    r"""Text for plain LaTeX.

    >>> print(latex("W1 eta_rel & 5%"))
    W1 eta\_rel \& 5\%
    """
    return "".join(_LATEX.get(character, character) for character in one_line(text))


@lru_cache
def _is_formula(text: str) -> bool:
    """Whether matplotlib can write the text: its dollar signs are in pairs around formulae."""
    if "$" not in text:
        return True
    if len(re.findall(r"(?<!\\)\$", text)) % 2:
        return False
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(one_line(text))
    except ValueError:
        return False
    return True


def _formula(text: str) -> str:
    text = re.sub(r"\\(?:mathrm|text)\{([^{}]*)\}", r"{\1}", text)
    text = re.sub(r"\\([A-Za-z]+) ?", lambda match: _letter(match[1]), text)
    for mark, tag in (("^", "sup"), ("_", "sub")):
        text = re.sub(rf"\{mark}(?:\{{([^{{}}]*)\}}|(.))", rf"<{tag}>\1\2</{tag}>", text)
    return text.replace("{", "").replace("}", "")


def _letter(name: str) -> str:
    """A Greek letter by its name; other names stay as they are (log)."""
    case = "SMALL" if name.islower() else "CAPITAL"
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {name.upper()}")
    except KeyError:
        return name
