"""PCD, the format of the Point Cloud Library, version 0.7 (and what older ones share with it).

A header of lines FIELDS, SIZE, TYPE, COUNT, WIDTH, HEIGHT, POINTS, DATA, then the points: as text
(``ascii``), row by row (``binary``), or field by field and compressed with LZF
(``binary_compressed``). Read: all three; written: binary. Fields of several values become several
columns, ``rgb`` and ``rgba`` become red, green, blue, and ``_`` (padding, of any number of values,
none included) is passed over. The file must hold as many points as its header announces.

https://pointclouds.org/documentation/tutorials/pcd_file_format.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcgen.bounds import COLUMNS
from pcgen.errors import FileError
from pcgen.io.table import (
    Column,
    Table,
    check_names,
    header_lines,
    packed,
    text_column,
    text_rows,
    text_words,
)

_WRITTEN = {"i4": ("4", "I"), "f4": ("4", "F"), "f8": ("8", "F")}
_KINDS = {"I": "i", "U": "u", "F": "f"}
_TYPES = {*(f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)), "f4", "f8"}
_LZF_RATIO = 100  # three bytes unpack to 264 at most
_PAGES = (4096, 16384, 65536)


@dataclass(frozen=True)
class _Field:
    name: str
    type: str
    count: int


@dataclass(frozen=True)
class _Header:
    fields: tuple[_Field, ...]
    points: int
    data: str
    comments: tuple[str, ...]
    end: int  # first byte after the header


def read(path: Path) -> Table:
    """The points of a PCD file.

    Raises:
        FileError: the file is truncated or not PCD.
    """
    data = path.read_bytes()
    header = _header(data, path)
    read = {"ascii": _text, "binary": _binary, "binary_compressed": _compressed}[header.data]
    try:
        values = read(data, header)
    except (IndexError, ValueError, OverflowError) as error:
        raise FileError(
            f"{path}: truncated or damaged PCD, expected {header.points} points ({error})"
        ) from error
    return _table(header, values, path)


def count(path: Path) -> int:
    """Number of points, from the header alone.

    Raises:
        FileError: the file is not PCD.
    """
    return _header(_head(path), path).points


def declared(path: Path) -> Table:
    """The columns with their types but without points, and the comments, from the header alone.

    Raises:
        FileError: the file is not PCD.
    """
    header = _header(_head(path), path)
    return _table(header, [np.zeros((0, f.count), f.type) for f in header.fields], path)


def write(path: Path, table: Table) -> None:
    """Write the table as a binary PCD file, or as text where columns have double precision.

    Binary numbers of 8 bytes are legal, but what is built on PCL or Open3D reads them as zeros.
    """
    written = [_WRITTEN[column.dtype.str[1:]] for column in table.columns.values()]
    text = any(size == "8" for size, _ in written)
    lines = ["# .PCD v0.7 - Point Cloud Data file format"]
    lines += [f"# {comment}" for comment in table.comments]
    lines += ["VERSION 0.7", f"FIELDS {' '.join(table.columns)}"]
    lines += [f"SIZE {' '.join(size for size, _ in written)}"]
    lines += [f"TYPE {' '.join(kind for _, kind in written)}"]
    lines += [f"COUNT {' '.join('1' for _ in written)}", f"WIDTH {table.rows}", "HEIGHT 1"]
    lines += ["VIEWPOINT 0 0 0 1 0 0 0", f"POINTS {table.rows}"]
    lines += ["DATA ascii" if text else "DATA binary", *(text_rows(table) if text else ()), ""]
    path.write_bytes("\n".join(lines).encode() + (b"" if text else packed(table)))


def _head(path: Path) -> bytes:
    """The file up to the end of its header."""
    lines = b""
    with path.open("rb") as file:
        for line in file:
            lines += line
            if line.split()[:1] == [b"DATA"]:
                break
    return lines


def _header(data: bytes, path: Path) -> _Header:
    try:
        values, comments, end = _entries(data)
        fields = _fields(values)
        width, height = (int(values[key][0]) for key in ("WIDTH", "HEIGHT"))
        points = int(values["POINTS"][0]) if "POINTS" in values else width * height
        if points != width * height or min(width, height) < 0:
            raise ValueError(f"POINTS {points} is not WIDTH {width} times HEIGHT {height}")
        kind = values["DATA"][0]
        if kind not in ("ascii", "binary", "binary_compressed"):
            raise ValueError(f"DATA {kind} is unknown")
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise FileError(
            f"{path}: truncated or not PCD, expected a header with FIELDS, SIZE, TYPE, WIDTH, "
            f"HEIGHT and DATA ({error!r})"
        ) from error
    return _Header(fields, points, kind, tuple(comments), end)


def _entries(data: bytes) -> tuple[dict[str, list[str]], list[str], int]:
    """The words behind each key of the header, its comments, and the place behind it."""
    values: dict[str, list[str]] = {}
    comments: list[str] = []
    end = 0
    for line, behind in header_lines(data):
        end = behind
        if line.startswith("#"):
            comments.append(line.removeprefix("#").strip())
            continue
        key, *words = line.split() or [""]
        if key and key in values:
            raise ValueError(f"{key} is there twice")
        values[key] = words
        if key == "DATA":
            break
    return values, comments, end


def _fields(values: dict[str, list[str]]) -> tuple[_Field, ...]:
    names = values["FIELDS"] if "FIELDS" in values else values["COLUMNS"]
    counts = values.get("COUNT", ["1"] * len(names))
    rows = zip(names, values["SIZE"], values["TYPE"], counts, strict=True)
    fields = tuple(_Field(n, f"{_KINDS[t]}{int(s)}", int(c)) for n, s, t, c in rows)
    for field in fields:
        if field.type not in _TYPES:
            raise ValueError(f"{field.name} has the type {field.type}, expected {sorted(_TYPES)}")
        if field.count < (0 if field.name == "_" else 1):
            raise ValueError(f"COUNT below 1 of {field.name}")
    if not 0 < sum(field.count for field in fields) <= COLUMNS.value:
        raise ValueError(f"a point has no values, or more than {COLUMNS.value}")
    return fields


def _text(data: bytes, header: _Header) -> list[Column]:
    words, ends = text_words(data[header.end :])
    width = sum(field.count for field in header.fields)
    if len(words) != header.points * width:
        raise ValueError(f"got {len(words)} of {header.points * width} numbers")
    if (ends % width).any():
        raise ValueError(f"a line does not hold the {width} numbers of a point")
    values, place = [], 0
    for field in header.fields:
        columns = [
            text_column(words[place + number :: width], field.type, field.name)
            for number in range(field.count)
        ]
        value = np.stack(columns, 1) if columns else np.zeros((header.points, 0))
        if _is_colour(field) and field.type == "f4" and np.isnan(value).any():
            raise ValueError(f"{field.name} is nan, a text that has lost its colour")
        values.append(value)
        place += field.count
    return values


def _binary(data: bytes, header: _Header) -> list[Column]:
    kinds = [(str(n), "<" + f.type, (f.count,)) for n, f in enumerate(header.fields)]
    size = header.points * np.dtype(kinds).itemsize
    left = len(data) - header.end - size
    # The Point Cloud Library up to 1.7 wrote files that are longer than the points by one page.
    padded = header.end + left in _PAGES and not any(data[header.end + size :])
    if left < 0 or (data[header.end + size :].strip(b"\r\n") and not padded):
        raise ValueError(f"got {len(data) - header.end} bytes, {size} needed")
    rows = np.frombuffer(data[header.end : header.end + size], np.dtype(kinds))
    return [rows[name].astype(kind[1:]) for name, kind, _ in kinds]


def _compressed(data: bytes, header: _Header) -> list[Column]:
    start = header.end + 8
    packed, size = (int(each) for each in np.frombuffer(data[header.end : start], "<u4", count=2))
    expected = header.points * sum(np.dtype(f.type).itemsize * f.count for f in header.fields)
    if size != expected or len(data) < start + packed:
        raise ValueError(
            f"got {len(data) - start} of {packed} bytes that unpack to {size}, {expected} needed"
        )
    if size > _LZF_RATIO * packed:
        raise ValueError(f"{packed} bytes cannot unpack to {size}")
    if data[start + packed :].strip(b"\0\r\n"):
        raise ValueError(f"{len(data) - start - packed} bytes follow the {packed} compressed ones")
    plain, place, values = _unpack(data[start : start + packed], size), 0, []
    for field in header.fields:
        number = header.points * field.count
        stop = place + number * np.dtype(field.type).itemsize
        column = np.frombuffer(plain[place:stop], "<" + field.type)
        values.append(column.astype(field.type).reshape(header.points, field.count))
        place = stop
    return values


def _unpack(data: bytes, size: int) -> bytes:
    """LZF (Marc Lehmann's liblzf): literal runs, and copies of what was unpacked before.

    A control byte below 32 announces that many bytes + 1; otherwise its upper three bits are the
    length - 2 (7: a further byte adds to it), its lower five and the next byte the distance - 1.
    """
    out, place = bytearray(), 0
    while place < len(data) and len(out) <= size:
        control, place = data[place], place + 1
        if control < 32:
            out += data[place : place + control + 1]
            place += control + 1
            continue
        length = control >> 5
        if length == 7:
            length, place = length + data[place], place + 1
        start = len(out) - ((control & 31) << 8) - data[place] - 1
        place, length = place + 1, length + 2
        if start < 0:
            raise ValueError("a reference to before the beginning")
        part = out[start : start + length]
        # A copy may overlap its own output: then it repeats.
        out += (part * (length // max(len(part), 1) + 1))[:length]
    if len(out) != size or place < len(data):
        raise ValueError(f"unpacked {len(out)} or more bytes instead of {size}")
    return bytes(out)


def _table(header: _Header, values: list[Column], path: Path) -> Table:
    named = [pair for f, v in zip(header.fields, values, strict=True) for pair in _columns(f, v)]
    check_names((name for name, _ in named), path)
    return Table(dict(named), header.comments)


def _columns(field: _Field, value: Column) -> list[tuple[str, Column]]:
    if _is_colour(field):
        packed = np.ascontiguousarray(value[:, 0]).view(np.uint32)
        shifts = {"red": 16, "green": 8, "blue": 0}
        return [(name, (packed >> shift & 255).astype("u1")) for name, shift in shifts.items()]
    if field.name == "_":
        return []
    if field.count == 1:
        return [(field.name, value[:, 0])]
    return [(f"{field.name}_{number}", value[:, number]) for number in range(field.count)]


def _is_colour(field: _Field) -> bool:
    return field.name in ("rgb", "rgba") and field.count == 1 and field.type in ("f4", "u4", "i4")
