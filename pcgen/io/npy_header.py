r"""The header of an array in NumPy's .npy format, read without evaluating it.

Layout: the magic string ``\x93NUMPY``, a version, the length of the header, then the header, a
dictionary of three keys in Python's notation. Nothing else is understood here, so that no header
costs more than its few bytes. NumPy Enhancement Proposal 1.
"""

from __future__ import annotations

import math
import re
from typing import IO, NamedTuple

import numpy as np

from pcgen.bounds import whole_number

_MOST = 10_000  # bytes of a header; NumPy reads no longer ones either
_LENGTHS = {(1, 0): 2, (2, 0): 4, (3, 0): 4}  # bytes that state its length, by version
_KINDS = re.compile(r"[<>|=]?(?:[biufc](?:1|2|4|8|12|16|24|32)|[SU]\d{1,6}|\?)")
_ENTRY = re.compile(
    r"\s*'(?P<key>descr|fortran_order|shape)'\s*:\s*"
    r"(?P<value>'[^'\\]{1,20}'|True|False|\(\s*(?:\d+L?\s*(?:,\s*|(?=\))))*\)|\[[^\[\]]*\])"
    r"\s*(?:,|(?=\}))"
)
_FIELD = re.compile(r"\s*\(\s*'([^'\\]{1,200})'\s*,\s*('[^'\\]{1,20}')\s*\)\s*(?:,|$)")


class Header(NamedTuple):
    """What the header states about the array behind it.

    Attributes:
        shape: Of the array; no length is beyond 63 bits.
        fortran: Whether the first index runs fastest.
        dtype: Numbers or text of fixed length, or several of them under names, as in a table.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]

    @property
    def size(self) -> int:
        """Number of bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> Header:
    """The header at the beginning of an open file, which is left at the first value.

    Raises:
        ValueError: there is none of version 1 to 3, or it announces something else than an array of
            numbers or text whose lengths fit into 63 bits.
    """
    start = file.read(8)
    if len(start) < 8 or start[:6] != b"\x93NUMPY":
        raise ValueError("it begins otherwise")
    if (start[6], start[7]) not in _LENGTHS:
        raise ValueError(f"the version is {start[6]}.{start[7]}")
    words = file.read(_LENGTHS[start[6], start[7]])
    length = int.from_bytes(words, "little")
    if length > _MOST:
        raise ValueError(f"a header of {length} bytes, expected at most {_MOST}")
    text = file.read(length)
    if len(text) < length:
        raise ValueError(f"a header of {length} bytes, of which {len(text)} are there")
    return _parsed(text.decode("latin-1" if start[6] < 3 else "utf-8").strip())


def _parsed(text: str) -> Header:
    values: dict[str, str] = {}
    place = 1
    while text[:1] == "{" and (match := _ENTRY.match(text, place)):
        if match["key"] in values:
            raise ValueError(f"a header with {match['key']!r} twice")
        values[match["key"]], place = match["value"], match.end()
    if text[place:].strip() != "}" or len(values) != 3:
        raise ValueError(
            f"a header {' '.join(text[:80].split())!r}, expected descr, fortran_order and shape of "
            "an array of numbers or text"
        )
    numbers = [whole_number(word) for word in re.findall(r"\d+", values["shape"])]
    shape = tuple(number for number in numbers if number is not None)
    if len(shape) < len(numbers) or len(shape) > 32:
        raise ValueError(f"a shape {values['shape'][:80]}, expected lengths of 63 bits")
    if values["fortran_order"] not in ("True", "False"):
        raise ValueError(f"fortran_order {values['fortran_order'][:20]}, expected True or False")
    header = Header(shape, values["fortran_order"] == "True", _dtype(values["descr"]))
    if header.size >= 2**63:
        raise ValueError(f"a shape {values['shape'][:80]} of {header.dtype}, beyond 63 bits")
    return header


def _dtype(text: str) -> np.dtype[np.generic]:
    if text[0] == "[":
        return _fields(text[1:-1])
    text = text.strip("'")
    if _KINDS.fullmatch(text):
        try:
            return np.dtype(text)
        except TypeError:
            pass
    raise ValueError(
        f"values of type {text!r}, expected numbers or text, no Python objects (pickle)"
    )


def _fields(text: str) -> np.dtype[np.generic]:
    """Columns of a table: ``('E', '<f8'), ('class', '<U9')``."""
    fields: list[tuple[str, np.dtype[np.generic]]] = []
    place = 0
    while match := _FIELD.match(text, place):
        fields.append((match[1], _dtype(match[2])))
        place = match.end()
    if text[place:].strip() or not fields or len(dict(fields)) < len(fields):
        raise ValueError(
            f"fields {' '.join(text[:80].split())!r}, expected different names of numbers or text"
        )
    return np.dtype(fields)
