"""PLY, the polygon file format, as a table of its vertices.

Header: ``ply``, ``format ascii|binary_little_endian|binary_big_endian 1.0``, then elements with
their properties, ``end_header``. Points are the element ``vertex``; other elements (faces) and list
properties are passed over. Read: all three formats; written: binary_little_endian.

Greg Turk, "The PLY Polygon File Format", Stanford University, 1994.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcgen.errors import FileError
from pcgen.io.table import Column, Table, packed, text_column

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
        FileError: the file is truncated or not PLY, or has no vertices.
    """
    data = path.read_bytes()
    header = _header(data, path)
    vertex = _vertex(header, path)
    before = header.elements[: header.elements.index(vertex)]
    reader = _Text(data, header) if header.order == "" else _Binary(data, header)
    try:
        for element in before:
            reader.rows(element)
        columns = reader.rows(vertex)
    except (IndexError, ValueError) as error:
        raise FileError(
            f"{path}: truncated or damaged PLY, expected {vertex.rows} vertices ({error})"
        ) from error
    return Table(columns, tuple(header.comments))


def count(path: Path) -> int:
    """Number of vertices, from the header alone.

    Raises:
        FileError: the file is not PLY, or has no vertices.
    """
    with path.open("rb") as file:
        lines = b""
        for line in file:
            lines += line
            if line.strip() == b"end_header":
                break
    return _vertex(_header(lines, path), path).rows


def write(path: Path, table: Table) -> None:
    """Write the table as the vertices of a binary PLY file."""
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {comment}" for comment in table.comments]
    lines += [f"element vertex {table.rows}"]
    lines += [f"property {_WRITTEN[c.dtype.str[1:]]} {name}" for name, c in table.columns.items()]
    path.write_bytes("\n".join([*lines, "end_header", ""]).encode() + packed(table))


def _header(data: bytes, path: Path) -> _Header:
    if data[:3] != b"ply" or data[3:4] not in (b"\n", b"\r"):
        raise FileError(f"{path}: begins with {data[:4]!r}, expected a PLY file (ply)")
    header, end = _Header("?", [], [], 0), 0
    for raw in data.splitlines(keepends=True):
        end += len(raw)
        words = raw.decode("utf-8", "replace").split()
        if words == ["end_header"]:
            header.end = end
            break
        try:
            _header_line(words, raw, header)
        except (KeyError, IndexError, ValueError) as error:
            raise FileError(
                f"{path}: got the header line {raw[:80]!r}, expected one of PLY ({error!r})"
            ) from error
    if header.end == 0 or header.order == "?":
        raise FileError(f"{path}: truncated PLY, expected a header with format and end_header")
    return header


def _header_line(words: list[str], raw: bytes, header: _Header) -> None:
    match words:
        case ["format", order, *_]:
            header.order = _ORDERS[order]
        case ["comment" | "obj_info", *_]:
            header.comments.append(raw.decode("utf-8", "replace").strip().partition(" ")[2])
        case ["element", name, rows]:
            if int(rows) < 0:
                raise ValueError("a negative number of rows")
            header.elements.append(_Element(name, int(rows), []))
        case ["property", "list", length, kind, name]:
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
    """The numbers of an ascii file, in order."""

    def __init__(self, data: bytes, header: _Header) -> None:
        self.words, self.place = data[header.end :].split(), 0

    def rows(self, element: _Element) -> dict[str, Column]:
        """Read an element; lists are passed over."""
        width = len(element.properties)
        if any(p.count for p in element.properties):
            flat = [word for _ in range(element.rows) for word in self._row(element)]
        else:
            flat = self.words[self.place : self.place + element.rows * width]
            self.place += element.rows * width
        scalars = [p for p in element.properties if p.count is None]
        if len(flat) != element.rows * len(scalars):
            raise ValueError(f"only {len(flat)} numbers of them")
        return {
            p.name: text_column(flat[place :: len(scalars)], p.type)
            for place, p in enumerate(scalars)
        }

    def _row(self, element: _Element) -> list[bytes]:
        row = []
        for each in element.properties:
            if each.count is None:
                row.append(self.words[self.place])
                self.place += 1
            else:
                self.place += 1 + int(self.words[self.place])
        return row


class _Binary:
    """The bytes of a binary file, in order."""

    def __init__(self, data: bytes, header: _Header) -> None:
        self.data, self.place, self.order = data, header.end, header.order

    def rows(self, element: _Element) -> dict[str, Column]:
        """Read an element; lists are passed over."""
        scalars = [(p.name, self.order + p.type) for p in element.properties if p.count is None]
        dtype = np.dtype(scalars)
        if any(p.count for p in element.properties):
            data = b"".join(self._row(element) for _ in range(element.rows))
        else:
            data = self._take(element.rows * dtype.itemsize)
        rows = np.frombuffer(data, dtype, count=element.rows)
        return {name: rows[name].astype(kind[1:]) for name, kind in scalars}

    def _row(self, element: _Element) -> bytes:
        row = b""
        for each in element.properties:
            if each.count is None:
                row += self._take(np.dtype(each.type).itemsize)
            else:
                kind = np.dtype(self.order + each.count)
                length = int(np.frombuffer(self._take(kind.itemsize), kind)[0])
                self._take(length * np.dtype(each.type).itemsize)
        return row

    def _take(self, size: int) -> bytes:
        part = self.data[self.place : self.place + size]
        if size < 0 or len(part) < size:
            raise ValueError(f"only {len(self.data) - self.place} bytes are left, {size} needed")
        self.place += size
        return part
