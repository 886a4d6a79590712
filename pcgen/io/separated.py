r"""Lines of text as rows of fields: which separator they have, quotes, and what a comma means.

The separator is ``;``, a tab, ``,`` or blanks, the first of them that the lines hold. A comma
within a field of another separator is a decimal comma. Where it may be either, the lines are
refused:

======================= ==========================================================================
``1,5 2,5 3,5``         commas within words that blanks separate
``1,5, 2,5, 3,5``       whole numbers between commas with and without a blank behind them
``1,500;2,500;3,500``   decimal commas, or separators of thousands
======================= ==========================================================================
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_DECIMAL = re.compile(r"[+-]?\d*,\d+(?:[eEdD][+-]?\d+)?")
_ALIGNED = re.compile(r"\S +\S|\t *\t|,\s")  # with tabs: they align what something else separates
_REMEDY = "expected a decimal point, and one separator"


def separator(lines: Sequence[str]) -> str:
    """The separator of the fields: ``;``, a tab, ``,``, or a blank for any number of blanks.

    Raises:
        ValueError: commas are separators in one place and something else in another.
    """
    text = "\n".join(lines)
    if ";" in text:
        return ";"
    if "\t" in text and not any(_ALIGNED.search(line) for line in lines):
        return "\t"
    if "," not in text:
        return " "
    if '"' not in text and "'" not in text:
        _check_commas(lines, text)
    return ","


def _check_commas(lines: Sequence[str], text: str) -> None:
    for line in lines:
        if any(len(field.split()) > 1 for field in line.split(",")):
            raise ValueError(f"{line[:60]!r} has commas and blanks between its numbers, {_REMEDY}")
        if "." not in text and re.search(r",\s", line) and re.search(r",\S", line.rstrip(",")):
            raise ValueError(
                f"{line[:60]!r} has commas with and without a blank behind them, {_REMEDY}"
            )


def fields(line: str, separator: str) -> list[str]:
    """The fields of one line, without the blanks and quotes around them.

    Raises:
        ValueError: a quoted field is longer than any text of a table.
    """
    quote = '"' if '"' in line else "'" if "'" in line else None
    if quote is None:
        if separator == " ":  # a hard blank may stand within a number: 1 234
            return line.split() if line.isascii() else re.findall(r"[^ \t\f\v]+", line)
        return [field.strip() for field in line.split(separator)]
    try:
        rows = csv.reader([line], delimiter=separator, quotechar=quote, skipinitialspace=True)
        found = [field.strip() for field in next(rows)]
    except csv.Error as error:
        raise ValueError(f"{line[:60]!r} cannot be read ({error})") from error
    return [field for field in found if field] if separator == " " else found


def with_points(columns: Sequence[Sequence[str]]) -> list[list[str]]:
    """The words of columns with a decimal point in place of a decimal comma.

    Raises:
        ValueError: a comma may separate thousands, or some numbers have commas and others points.
    """
    words = [word for column in columns for word in column if "," in word]
    if not words:
        return [list(column) for column in columns]
    if all(_THOUSANDS.fullmatch(word) for word in words):
        raise ValueError(
            f"the comma of {words[0]!r} may be a decimal comma or separate thousands, {_REMEDY}"
        )
    everything = [*words, *(word for column in columns for word in column)]
    other = next(
        (w for w in everything if "." in w or ("," in w and not _DECIMAL.fullmatch(w))), ""
    )
    if other:
        raise ValueError(f"{words[0]!r} has a decimal comma, but {other!r} is there too, {_REMEDY}")
    return [[word.replace(",", ".") for word in column] for column in columns]
