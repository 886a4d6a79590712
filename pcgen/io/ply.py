"""PLY, the polygon file format, as a table of its vertices.

Header: ``ply``, ``format ascii|binary_little_endian|binary_big_endian 1.0``, then elements with
their properties, ``end_header``. Points are the element ``vertex``; other elements (faces) and list
properties are passed over, but the file must hold what its header announces, and nothing behind it.
Read: all three formats; written: binary_little_endian.

Greg Turk, "The PLY Polygon File Format", Stanford University, 1994.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from pcgen.errors import FileError
from pcgen.io.table import (
    Column,
    Table,
    check_names,
    header_lines,
    packed,
    text_column,
    text_words,
)

_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_WRITTEN = {"i4": "int", "f4": "float", "f8": "double"}


@dataclass(frozen=True)
class _Property:
    name: str
    type: str
    count: str | None = None  # type of the length, for a list


@dataclass
class _Element:
    name: str
    rows: int
    properties: list[_Property]


@dataclass
class _Header:
    order: str
    elements: list[_Element]
    comments: list[str]
    end: int  # first byte after the header


def read(path: Path) -> Table:
    """The vertices of a PLY file.

    Raises:
        FileError: the file is not PLY, has no vertices, does not hold what its header announces, or
            a number does not fit its declared type.
    """
    data = path.read_bytes()
    header = _header(data, path)
    vertex = _vertex(header, path)
    try:
        reader = _Text(data, header) if header.order == "" else _Binary(data, header)
        elements = {element.name: reader.rows(element) for element in header.elements}
        reader.finish()
    except (IndexError, ValueError, OverflowError) as error:
        raise FileError(
            f"{path}: truncated or damaged PLY, expected {vertex.rows} vertices ({error})"
        ) from error
    return Table(elements["vertex"], tuple(header.comments))


def count(path: Path) -> int:
    """Number of vertices, from the header alone.

    Raises:
        FileError: the file is not PLY, or has no vertices.
    """
    return _vertex(_header(_head(path), path), path).rows


def declared(path: Path) -> Table:
    """The columns with their types but without points, and the comments, from the header alone.

    Raises:
        FileError: the file is not PLY, or has no vertices.
    """
    header = _header(_head(path), path)
    scalars = [each for each in _vertex(header, path).properties if each.count is None]
    return Table({p.name: np.zeros(0, p.type) for p in scalars}, tuple(header.comments))


def write(path: Path, table: Table) -> None:
    """Write the table as the vertices of a binary PLY file."""
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {comment}" for comment in table.comments]
    lines += [f"element vertex {table.rows}"]
    lines += [f"property {_WRITTEN[c.dtype.str[1:]]} {name}" for name, c in table.columns.items()]
    path.write_bytes("\n".join([*lines, "end_header", ""]).encode() + packed(table))


def _head(path: Path) -> bytes:
    """The file up to the end of its header."""
    lines = b""
    with path.open("rb") as file:
        for line in file:
            lines += line
            if line.strip() == b"end_header":
                break
    return lines


def _header(data: bytes, path: Path) -> _Header:
    if next(header_lines(data), ("", 0))[0] != "ply":
        raise FileError(f"{path}: begins with {data[:4]!r}, expected a PLY file (ply)")
    header = _Header("?", [], [], 0)
    for line, end in header_lines(data):
        words = line.split()
        if words == ["end_header"]:
            header.end = end
            break
        try:
            _header_line(words, line, header)
        except (KeyError, IndexError, ValueError) as error:
            raise FileError(
                f"{path}: got the header line {line.encode()[:80]!r}, "
                f"expected one of PLY ({error!r})"
            ) from error
    if header.end == 0 or header.order == "?":
        raise FileError(f"{path}: truncated PLY, expected a header with format and end_header")
    check_names((f"element {element.name}" for element in header.elements), path)
    for element in header.elements:
        check_names((each.name for each in element.properties), path)
    return header


def _header_line(words: list[str], line: str, header: _Header) -> None:
    match words:
        case ["format", order, *_]:
            if header.order != "?":
                raise ValueError("a second format")
            header.order = _ORDERS[order]
        case ["comment" | "obj_info", *_]:
            header.comments.append(line.partition(" ")[2])
        case ["element", name, rows]:
            if int(rows) < 0:
                raise ValueError("a negative number of rows")
            header.elements.append(_Element(name, int(rows), []))
        case ["property", "list", length, kind, name]:
            if _TYPES[length][0] == "f":
                raise ValueError("the length of a list is no integer")
            header.elements[-1].properties.append(_Property(name, _TYPES[kind], _TYPES[length]))
        case ["property", kind, name]:
            header.elements[-1].properties.append(_Property(name, _TYPES[kind]))
        case [] | ["ply"]:
            pass
        case _:
            raise ValueError("unknown keyword")


def _vertex(header: _Header, path: Path) -> _Element:
    for element in header.elements:
        if element.name == "vertex":
            return element
    found = ", ".join(element.name for element in header.elements) or "none"
    raise FileError(f"{path}: got the elements {found}, expected vertex among them")


class _Text:
    """The numbers of an ascii file, in order; a line holds one row, or several whole ones."""

    def __init__(self, data: bytes, header: _Header) -> None:
        self.words, self.ends = text_words(data[header.end :])
        self.place = 0

    def rows(self, element: _Element) -> dict[str, Column]:
        """Read an element; lists are passed over."""
        columns = self._regular(element)
        if columns is None:
            columns = self._irregular(element)
        kinds = {p.name: p.type for p in element.properties if p.count is None}
        return {name: text_column(columns[name], kind, name) for name, kind in kinds.items()}

    def finish(self) -> None:
        """Refuse numbers behind the last element."""
        left = len(self.words) - self.place
        if left:
            raise ValueError(f"{left} numbers follow what the header announces")

    def _regular(self, element: _Element) -> dict[str, list[str]] | None:
        """The words of each property, the length for a list; None if the lengths differ."""
        widths = self._widths(element) if element.rows else [1] * len(element.properties)
        stride, start = sum(widths), self.place
        stop = start + element.rows * stride
        if stop > len(self.words):
            if any(each.count for each in element.properties):
                return None
            raise ValueError(f"only {len(self.words) - start} of {stop - start} numbers")
        columns = {}
        for each, offset in zip(element.properties, accumulate(widths, initial=0), strict=False):
            columns[each.name] = self.words[start + offset : stop : stride]
            if each.count and len(set(columns[each.name])) > 1:
                return None
        if stop > start:
            self._advance(np.arange(start + stride, stop + 1, stride))
        return columns

    def _widths(self, element: _Element) -> list[int]:
        """Number of words of each property in the next row."""
        widths, place = [], self.place
        for each in element.properties:
            widths.append(1 if each.count is None else 1 + self._length(place))
            place += widths[-1]
        return widths

    def _irregular(self, element: _Element) -> dict[str, list[str]]:
        columns: dict[str, list[str]] = {each.name: [] for each in element.properties}
        place, ends = self.place, []
        for _ in range(element.rows):
            for each in element.properties:
                columns[each.name].append(self.words[place])
                place += 1 if each.count is None else 1 + self._length(place)
            ends.append(place)
        if place > len(self.words):
            raise ValueError("the last list is cut off")
        self._advance(np.array(ends))
        return columns

    def _length(self, place: int) -> int:
        length = int(text_column(self.words[place : place + 1], "i8", "length of a list")[0])
        if length < 0:
            raise ValueError(f"a list of {length} numbers")
        return length

    def _advance(self, row_ends: Column) -> None:
        """Go behind the rows, if every line ends where a row does."""
        stop = int(row_ends[-1])
        ends = self.ends[(self.ends > self.place) & (self.ends <= stop)]
        if stop not in ends or not np.isin(ends, row_ends).all():
            raise ValueError("a line holds another number of values than the header announces")
        self.place = stop


class _Binary:
    """The bytes of a binary file, in order."""

    def __init__(self, data: bytes, header: _Header) -> None:
        self.data, self.place, self.order = data, header.end, header.order

    def rows(self, element: _Element) -> dict[str, Column]:
        """Read an element; lists are passed over."""
        scalars = {p.name: p.type for p in element.properties if p.count is None}
        rows = self._regular(element)
        if rows is None:
            dtype = np.dtype([(name, self.order + kind) for name, kind in scalars.items()])
            parts = [self._row(element) for _ in range(element.rows)]
            rows = np.frombuffer(b"".join(parts), dtype) if scalars else np.zeros(0, dtype)
        return {name: rows[name].astype(kind) for name, kind in scalars.items()}

    def finish(self) -> None:
        """Refuse bytes behind the last element; an end of line does no harm."""
        if self.data[self.place :].strip(b"\r\n"):
            left = len(self.data) - self.place
            raise ValueError(f"{left} bytes follow what the header announces")

    def _regular(self, element: _Element) -> Column | None:
        """The rows as an array, if all lists are as long as those of the first row."""
        lengths = self._lengths(element) if element.rows else {}
        kinds: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
        for each in element.properties:
            if each.count is None:
                kinds.append((each.name, self.order + each.type))
            else:
                kinds.append((f"length {each.name}", self.order + each.count))
                shape = (lengths.get(each.name, 0),)
                kinds.append((f"list {each.name}", self.order + each.type, shape))
        dtype = np.dtype(kinds)
        size, left = element.rows * dtype.itemsize, len(self.data) - self.place
        if size == 0:
            return np.zeros(0, dtype)  # no rows, or rows of no properties
        if size > left:
            if lengths:
                return None
            raise ValueError(f"only {left} bytes are left, {size} needed")
        rows = np.frombuffer(self.data, dtype, count=element.rows, offset=self.place)
        if any((rows[f"length {name}"] != length).any() for name, length in lengths.items()):
            return None
        self.place += size
        return rows

    def _lengths(self, element: _Element) -> dict[str, int]:
        """Lengths of the lists of the next row."""
        start, lengths = self.place, {}
        for each in element.properties:
            if each.count is None:
                self._take(np.dtype(each.type).itemsize)
            else:
                lengths[each.name] = self._list(each, each.count)
        self.place = start
        return lengths

    def _row(self, element: _Element) -> bytes:
        row = b""
        for each in element.properties:
            if each.count is None:
                row += self._take(np.dtype(each.type).itemsize)
            else:
                self._list(each, each.count)
        return row

    def _list(self, each: _Property, count: str) -> int:
        """Pass over a list; returns its length."""
        kind = np.dtype(self.order + count)
        length = int(np.frombuffer(self._take(kind.itemsize), kind)[0])
        if length < 0:
            raise ValueError(f"a list of {length} numbers")
        self._take(length * np.dtype(each.type).itemsize)
        return length

    def _take(self, size: int) -> bytes:
        part = self.data[self.place : self.place + size]
        if len(part) < size:
            raise ValueError(f"only {len(self.data) - self.place} bytes are left, {size} needed")
        self.place += size
        return part
