"""XYZ: points as lines of text, x y z and further columns.

There is no standard. Read: columns separated by blanks or commas; ``#`` and ``//`` begin comments;
a comment or a first line of words that has x and y among them names the columns, otherwise they are
x, y, z, column_3, ...; a first line of one number (the count) is passed over. All numbers become
float64, since text declares no precision. Written: a comment of names, and as many digits as bring
every number back exactly.
"""

from __future__ import annotations

from pathlib import Path

from pcgen.errors import FileError
from pcgen.io.table import Column, Table, text_column, text_rows

_Rows = list[tuple[int, list[str]]]  # number of the line and its words


def read(path: Path) -> Table:
    """The points of an XYZ file.

    Raises:
        FileError: a line holds something else than numbers, or another number of them.
    """
    comments, rows = _lines(path)
    names = _names(comments, rows)
    for line, words in rows:
        if len(words) != len(names):
            raise FileError(
                f"{path}: line {line} has {len(words)} columns, "
                f"expected the {len(names)} of {' '.join(names)}"
            )
    columns: dict[str, Column] = {}
    for place, name in enumerate(names):
        try:
            columns[name] = text_column([words[place] for _, words in rows], "f8")
        except ValueError as error:
            raise FileError(f"{path}: expected numbers in column {name!r} ({error})") from error
    return Table(columns, tuple(comments))


def count(path: Path) -> int:
    """Number of points.

    Raises:
        FileError: the file is not text.
    """
    comments, rows = _lines(path)
    _names(comments, rows)
    return len(rows)


def write(path: Path, table: Table) -> None:
    """Write the table as text."""
    lines = [f"# {comment}" for comment in (*table.comments, " ".join(table.columns))]
    path.write_text("\n".join([*lines, *text_rows(table), ""]))


def _lines(path: Path) -> tuple[list[str], _Rows]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: is not text, expected lines of x y z ({error})") from error
    comments: list[str] = []
    rows: _Rows = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line.startswith(("#", "//")):
            comments.append(line.lstrip("#/").strip())
        elif line:
            rows.append((number, line.replace(",", " ").split()))
    if len(rows) > 1 and len(rows[0][1]) == 1 and rows[0][1][0].isdigit():
        del rows[0]
    return comments, rows


def _names(comments: list[str], rows: _Rows) -> list[str]:
    """Names of the columns; a first row of names is taken off ``rows``."""
    if rows and _is_header(rows[0][1]):
        return rows.pop(0)[1]
    for comment in reversed(comments):
        words = comment.replace(",", " ").split()
        if _is_header(words) and (not rows or len(words) == len(rows[0][1])):
            return words
    width = max(len(rows[0][1]), 3) if rows else 3
    return ["x", "y", "z", *(f"column_{number}" for number in range(3, width))]


def _is_header(words: list[str]) -> bool:
    return {"x", "y"} <= {word.lower() for word in words}
