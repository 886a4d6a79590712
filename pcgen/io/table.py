"""One event of a point-cloud file: named columns, and the comments of its header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Column = np.ndarray[Any, Any]
_DIGITS = {"f4": "{:.9g}", "f8": "{:.17g}", "i4": "{:d}"}


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


def text_column(words: Sequence[bytes] | Sequence[str], kind: str) -> Column:
    """Numbers from text, as ``kind`` ("f4", "i8", ...).

    Raises:
        ValueError: a word is no number, or does not fit the kind.
    """
    if kind[0] == "f":
        return np.array([float(word) for word in words], dtype=np.float64).astype(kind)
    return np.array([int(word) for word in words], dtype=kind)


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
