"""One event of a point-cloud file: named columns, the comments of its header, numbers in text.

Whole numbers are exact or refused. A column of type ``float`` (24 bits of precision) or ``double``
(53 bits) holds no other value than the text states where the text is a whole number, and an integer
column holds no value outside its range.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pcgen.errors import FileError

Column = np.ndarray[Any, Any]
MARK = "pcgen "  #: begins the comment in which pcgen keeps what columns cannot
_DIGITS = {"f4": "{:.9g}", "f8": "{:.17g}", "i4": "{:d}"}
_EXACT = {"f4": 2**24, "f8": 2**53}  # beyond these not every whole number exists
_BLANK = np.array([chr(letter).isspace() for letter in range(256)])
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_UNIT = re.compile(r"(.*\S)\s*(?:\[([^\[\]]*[^\W\d][^\[\]]*)\]|\(([^()]*[^\W\d][^()]*)\))")
_NAME = 500  # letters of a name and its unit; the search for brackets grows with their square
_FORTRAN = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))[dD]([+-]?\d+)")  # linear in the digits


class Table(NamedTuple):
    """What the formats PLY, PCD and XYZ have in common.

    Attributes:
        columns: Values of each column [n], by name, in the file's order.
        comments: Lines of the header that are addressed to people (and to pcgen).
    """

    columns: dict[str, Column]
    comments: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of points n."""
        return len(next(iter(self.columns.values()), ()))


def check_names(names: Iterable[str], path: Path) -> None:
    """Refuse columns of equal names: one of them would be lost.

    Raises:
        FileError: naming the file and the name.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise FileError(f"{path}: got the name {name!r} twice, expected different names")
        seen.add(name)


def header_lines(data: bytes) -> Iterator[tuple[str, int]]:
    """The lines of a header without their ends, and the place behind each.

    All lines end as the first one does (LF, CRLF or CR), so that a byte of binary data behind the
    header is never taken for a part of its last line.
    """
    first = re.search(rb"\r\n?|\n", data)
    ending, place = first[0] if first else b"\n", 0
    while place < len(data):
        stop = data.find(ending, place)
        end = len(data) if stop < 0 else stop + len(ending)
        yield data[place:end].decode("utf-8", "replace").strip(), end
        place = end


def text_words(data: bytes) -> tuple[list[str], Column]:
    """The words of a text, and how many there are up to the end of each of its lines, ascending.

    Raises:
        ValueError: a byte is none of ASCII.
    """
    words = data.decode("ascii").split()
    letters = np.frombuffer(data, np.uint8)
    blank = _BLANK[letters]
    begins = ~blank
    begins[1:] &= blank[:-1]
    ends = np.cumsum(begins)[(letters == ord("\n")) | (letters == ord("\r"))]
    return words, np.unique(np.append(ends, len(words)))


def text_column(words: Sequence[str], kind: str, name: str) -> Column:
    """Numbers from text, as ``kind`` ("f4", "i8", ...); ``nan`` and ``inf`` are numbers.

    Args:
        words: Text of each number, without blanks.
        kind: Type of the column.
        name: Name of the column, for the message.

    Raises:
        ValueError: a word is no number, or does not fit the kind; names column and row.
    """
    text = "".join(words)
    if "_" in text or not text.isascii():  # float() takes 1_000 and digits of any script
        row = next(r for r, word in enumerate(words) if "_" in word or not word.isascii())
        raise _unfit(name, row, words, "a number")
    return _floats(words, kind, name) if kind[0] == "f" else _integers(words, kind, name)


def _floats(words: Sequence[str], kind: str, name: str) -> Column:
    try:
        exact = np.array(list(map(float, words)), dtype=np.float64)
    except ValueError:
        numbers = [number(word) for word in words]
        if None in numbers:
            raise _unfit(name, numbers.index(None), words, "a number") from None
        exact = np.array(numbers, dtype=np.float64)
    with np.errstate(over="ignore"):
        values = exact.astype(kind)
    if (bad := np.isinf(values)).any():
        for row in bad.nonzero()[0].tolist():
            if "inf" not in words[row].lower():
                raise _unfit(name, row, words, f"a number within the range of {values.dtype}")
    for row in (np.abs(exact) >= _EXACT[kind]).nonzero()[0].tolist():
        if not _holds(values[row], words[row]):
            raise _unfit(name, row, words, f"a whole number that {values.dtype} holds exactly")
    return values


def _holds(value: np.floating[Any], word: str) -> bool:
    """Whether a large value is the whole number that a word states, if it states one."""
    if not _WHOLE.fullmatch(word) or Decimal(word) == int(value):
        return True
    # With a point it may be a float that was printed with its shortest digits.
    return "." in word and Decimal(word) == Decimal(str(value))


def number(word: str) -> float | None:
    """The number that a word states, also with the exponent D of Fortran's double precision."""
    match = _FORTRAN.fullmatch(word)
    try:
        return float(f"{match[1]}e{match[2]}" if match else word)
    except ValueError:
        return None


def name_and_unit(text: str) -> tuple[str, str]:
    """The name of a column and its unit in brackets, if it has one.

    >>> name_and_unit("x [mm]"), name_and_unit("Energy(GeV)"), name_and_unit("f[0]")
    (('x', 'mm'), ('Energy', 'GeV'), ('f[0]', ''))
    """
    match = _UNIT.fullmatch(text) if len(text) <= _NAME else None
    return (match[1], match[2] or match[3]) if match else (text, "")


def _integers(words: Sequence[str], kind: str, name: str) -> Column:
    limits = np.iinfo(kind)
    try:
        values = list(map(int, words))
    except ValueError:
        values = [_whole(words, row, name) for row in range(len(words))]
    if values and not (limits.min <= min(values) and max(values) <= limits.max):
        row = next(r for r, v in enumerate(values) if not limits.min <= v <= limits.max)
        expected = f"{limits.min} to {limits.max} as its type {limits.dtype} holds"
        raise _unfit(name, row, words, expected)
    return np.array(values, dtype=kind)


def _whole(words: Sequence[str], row: int, name: str) -> int:
    """A whole number, also one that is written with a point or an exponent."""
    try:
        value = Decimal(words[row])
    except InvalidOperation:
        raise _unfit(name, row, words, "a whole number") from None
    if not value.is_finite() or value.adjusted() > 20 or value != value.to_integral_value():
        raise _unfit(name, row, words, "a whole number within the range of its type")
    return int(value)


def _unfit(name: str, row: int, words: Sequence[str], expected: str) -> ValueError:
    return ValueError(f"{name} of point {row} is {words[row][:40]}, expected {expected}")


def packed(table: Table) -> bytes:
    """The points one behind the other, in little-endian binary."""
    kinds = [(name, column.dtype.newbyteorder("<")) for name, column in table.columns.items()]
    rows = np.empty(table.rows, dtype=kinds)
    for name, column in table.columns.items():
        rows[name] = column
    return rows.tobytes()


def text_rows(table: Table) -> list[str]:
    """One line for each point, with as many digits as bring every number back exactly."""
    row = " ".join(_DIGITS[column.dtype.str[1:]] for column in table.columns.values()).format
    values = [column.tolist() for column in table.columns.values()]
    return [row(*each) for each in zip(*values, strict=True)]
