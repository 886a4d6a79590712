"""XYZ: points as lines of text, x y z and further columns.

There is no standard. Read: columns separated by blanks, tabs, commas or semicolons (see
:mod:`pcgen.io.separated`); ``#`` and ``//`` begin comments; a first line of one number is the
number of points, which must be there. A first line of words names the columns, x and y among them;
so does a comment with a name for each column. Otherwise they are x, y, z, column_3, ..., but a
comment that may name other columns is refused. All numbers become float64, since text declares no
precision. Written: a comment of names, and as many digits as bring every number back exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pcgen.bounds import COLUMNS, whole_number
from pcgen.errors import FileError
from pcgen.io import separated
from pcgen.io.table import (
    MARK,
    Column,
    Table,
    check_names,
    name_and_unit,
    number,
    text_column,
    text_rows,
)

_AXES = [re.compile(rf"(?<![a-z]){axis}(?![a-z])", re.IGNORECASE) for axis in "xyz"]
_AXIS_AND_MORE = re.compile(r"[xyz]\s+\w", re.IGNORECASE)  # z in mm, no name of a column
_PROSE = re.compile(
    r"\b(and|are|at|by|for|from|in|is|of|or|per|the|to|using|was|were|where|with)\b|[.!]$",
    re.IGNORECASE,
)


@dataclass
class _Lines:
    """What a file holds, before its columns are named.

    Attributes:
        comments: Without the signs that begin them.
        header: A line of words before the rows, or None.
        rows: The fields of each row.
        numbers: The number of the line of each row, from 1.
        separator: Of the rows.
    """

    comments: list[str]
    header: str | None
    rows: list[list[str]]
    numbers: list[int]
    separator: str

    @property
    def width(self) -> int | None:
        """Number of columns of the first row, None without rows."""
        return len(self.rows[0]) if self.rows else None


def read(path: Path) -> Table:
    """The points of an XYZ file.

    Raises:
        FileError: a line holds something else than numbers, or another number of them; points are
            missing; names of columns or commas may mean several things.
    """
    lines, names = _content(path)
    words: list[list[str]] = [[] for _ in names]
    name = names[0]
    columns: dict[str, Column] = {}
    try:
        if lines.rows:
            words = separated.with_points([list(each) for each in zip(*lines.rows, strict=True)])
        for name, column in zip(names, words, strict=True):
            columns[name] = text_column(column, "f8", name)
    except ValueError as error:
        raise FileError(f"{path}: expected numbers in column {name!r} ({error})") from error
    return Table(columns, tuple(lines.comments))


def count(path: Path) -> int:
    """Number of points.

    Raises:
        FileError: as for :func:`read`, but for the numbers themselves.
    """
    return len(_content(path)[0].rows)


def declared(path: Path) -> Table:
    """The comments before the first row, without columns: text declares no types.

    Raises:
        FileError: the file is not text.
    """
    comments = []
    with path.open(encoding="utf-8-sig") as file:
        try:
            for line in file:
                if line.strip() and not _is_comment(line.strip()):
                    break
                comments.append(_uncommented(line))
        except UnicodeDecodeError as error:
            raise _no_text(path, error) from error
    return Table({}, tuple(comments))


def write(path: Path, table: Table) -> None:
    """Write the table as text."""
    lines = [f"# {comment}" for comment in (*table.comments, " ".join(table.columns))]
    path.write_text("\n".join([*lines, *text_rows(table), ""]), encoding="utf-8")


def _content(path: Path) -> tuple[_Lines, list[str]]:
    """The lines of a file and the names of its columns."""
    try:
        lines = _lines(path)
        names = _names(lines)
    except (ValueError, FileError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise _no_text(path, error) from error
        raise FileError(f"{path}: {error}") from error
    check_names(names, path)
    for line, row in zip(lines.numbers, lines.rows, strict=True):
        if len(row) != len(names):
            raise FileError(
                f"{path}: line {line} has {len(row)} columns, "
                f"expected the {len(names)} of {' '.join(names)}"
            )
        if "" in row:
            raise FileError(
                f"{path}: line {line} has nothing in column {names[row.index('')]!r}, "
                f"expected a number"
            )
    return lines, names


def _no_text(path: Path, error: UnicodeDecodeError) -> FileError:
    return FileError(f"{path}: is not text, expected lines of x y z ({error})")


def _lines(path: Path) -> _Lines:
    comments: list[str] = []
    rows: list[tuple[int, str]] = []
    for place, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
        line = line.strip(" \t\r\f\v")
        if _is_comment(line):
            comments.append(_uncommented(line))
        elif line:
            rows.append((place, line))
    header, announced = _opening(rows)
    if announced is not None and announced != len(rows):
        raise ValueError(
            f"got {len(rows)} lines of points, expected the {announced} that the file announces"
        )
    texts = [line for _, line in rows]
    # Every separator that is possible takes one letter.
    if max(map(len, texts), default=0) > 2 * COLUMNS.value:
        COLUMNS.check(max(len(re.split(r"[\s;,]+", line)) for line in texts), "a line")
    separator = separated.separator(texts)
    split = [separated.fields(line, separator) for line in texts]
    if split and all(len(row) > 1 and row[-1] == "" for row in split):  # each ends in a separator
        split = [row[:-1] for row in split]
    return _Lines(comments, header, split, [place for place, _ in rows], separator)


def _opening(rows: list[tuple[int, str]]) -> tuple[str | None, int | None]:
    """A line of names and a number of points, in either order; they are taken off ``rows``."""
    header, announced = None, None
    for _ in range(2):
        line = rows[0][1] if rows else ""
        if header is None and _has_words(line):
            header = rows.pop(0)[1]
        elif announced is None and _is_count(rows):
            announced = _count(rows.pop(0)[1])
    return header, announced


def _is_count(rows: list[tuple[int, str]]) -> bool:
    """Whether the first line is one whole number, and the next is not: rows of one column."""
    one, *more = [line.strip(";,\t ").isdecimal() for _, line in rows[:2]] or [False]
    return one and not any(more)


def _count(line: str) -> int:
    number = whole_number(line.strip(";,\t "))
    if number is None:
        raise ValueError(f"got {line[:40]!r} as the number of points")
    return number


def _names(lines: _Lines) -> list[str]:
    """Names of the columns.

    Raises:
        ValueError: a line of words does not name them, or a comment may name other ones.
    """
    for place, comment in enumerate(lines.comments[:-1]):
        if comment.startswith(MARK + "{"):
            if not (own := lines.comments[place + 1].split()):
                raise ValueError("no names of columns follow pcgen's comment")
            return own
    if lines.header is not None:
        found = _named(lines.header, lines)
        if found is None:
            raise ValueError(
                f"got the line of words {lines.header[:80]!r}, expected numbers, or different "
                f"names, x and y among them, of {lines.width or 'all'} columns"
            )
        return found
    several = {tuple(n): n for n in (_named(each, lines, True) for each in lines.comments) if n}
    if len(several) == 1:
        return several.popitem()[1]
    unclear = [each for each in lines.comments if several or _may_name(each, lines)]
    if unclear:
        raise ValueError(
            f"the comment {unclear[-1][:80]!r} may name columns, expected a different name for "
            f"each of {lines.width or 'them'}, x and y among them, or a comment without such names"
        )
    width = max(lines.width or 3, 3)
    return ["x", "y", "z", *(f"column_{place}" for place in range(3, width))]


def _named(text: str, lines: _Lines, comment: bool = False) -> list[str] | None:
    """Names of all columns, x and y among them, if the text is a list of such."""
    for separator in dict.fromkeys([lines.separator, *";\t, "]):
        for part in dict.fromkeys([text, text.rpartition(":")[2]]):
            names = _split(part, separator)
            if comment and separator == " " and _PROSE.search(part):
                continue
            plain = [name_and_unit(name)[0].lower() for name in names]
            full = all(names) and len(set(names)) == len(names)
            full = full and not any(_AXIS_AND_MORE.match(name) for name in names)
            if full and {"x", "y"} <= set(plain) and lines.width in (None, len(names)):
                return names
    return None


def _split(text: str, separator: str) -> list[str]:
    if separator == " ":  # a unit belongs to the name before it: x [mm] y [mm]
        text = re.sub(r"(?<!\s)\s+(?=[\[(])", "", text)
    names = separated.fields(text, separator)
    return names[:-1] if names and names[-1] == "" else names


def _may_name(comment: str, lines: _Lines) -> bool:
    """Whether a comment that is no list of names may still say which column is which."""
    names = _split(comment, lines.separator)
    found = [axis.search(comment) for axis in _AXES]
    if found[0] and found[1]:
        places = [match.start() for match in found if match]
        # Three columns that are spoken of as x, y and z in this order can be nothing else.
        clear = lines.width == 3 and len(places) == 3 and places == sorted(places)
        return not (clear and (_PROSE.search(comment) or len(names) == 3))
    words = all(re.match(r"[^\W\d]", name) for name in names) and len(set(names)) == len(names)
    if not words or len(names) != lines.width or len(names) < 2:
        return False
    return lines.separator != " " or (len(names) > 3 and not _PROSE.search(comment))


def _has_words(line: str) -> bool:
    """Whether a line holds something else than numbers."""
    words = re.split(r"[\s;,\"']+", line)
    return any(word and number(word) is None for word in words)


def _is_comment(line: str) -> bool:
    return line.startswith(("#", "//"))


def _uncommented(line: str) -> str:
    return line.strip().lstrip("#/").strip()
