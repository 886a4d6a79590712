"""PCD, the format of the Point Cloud Library, version 0.7 (and what older ones share with it).

A header of lines FIELDS, SIZE, TYPE, COUNT, WIDTH, HEIGHT, POINTS, DATA, then the points: as text
(``ascii``), row by row (``binary``), or field by field and compressed with LZF
(``binary_compressed``). Read: all three; written: binary. Fields of several values become several
columns, ``rgb`` and ``rgba`` become red, green, blue, and ``_`` (padding) is passed over.

https://pointclouds.org/documentation/tutorials/pcd_file_format.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcgen.errors import FileError
from pcgen.io.table import Column, Table, packed, text_column, text_rows

_WRITTEN = {"i4": ("4", "I"), "f4": ("4", "F"), "f8": ("8", "F")}
_KINDS = {"I": "i", "U": "u", "F": "f"}


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
        values = read(data[header.end :], header)
    except (IndexError, ValueError) as error:
        raise FileError(
            f"{path}: truncated or damaged PCD, expected {header.points} points ({error})"
        ) from error
    columns: dict[str, Column] = {}
    for field, value in zip(header.fields, values, strict=True):
        columns.update(_columns(field, value))
    return Table(columns, header.comments)


def count(path: Path) -> int:
    """Number of points, from the header alone.

    Raises:
        FileError: the file is not PCD.
    """
    with path.open("rb") as file:
        lines = b""
        for line in file:
            lines += line
            if line.startswith(b"DATA"):
                break
    return _header(lines, path).points


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


def _header(data: bytes, path: Path) -> _Header:
    values: dict[str, list[str]] = {}
    comments, end = [], 0
    for raw in data.splitlines(keepends=True):
        end += len(raw)
        line = raw.decode("utf-8", "replace").strip()
        if line.startswith("#"):
            comments.append(line.removeprefix("#").strip())
            continue
        key, *words = line.split() or [""]
        values[key] = words
        if key == "DATA":
            break
    try:
        fields = _fields(values)
        width, height = (int(values[key][0]) for key in ("WIDTH", "HEIGHT"))
        points = int(values["POINTS"][0]) if "POINTS" in values else width * height
        if points != width * height or points < 0:
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


def _fields(values: dict[str, list[str]]) -> tuple[_Field, ...]:
    names = values["FIELDS"] if "FIELDS" in values else values["COLUMNS"]
    counts = values.get("COUNT", ["1"] * len(names))
    rows = zip(names, values["SIZE"], values["TYPE"], counts, strict=True)
    fields = tuple(_Field(n, np.dtype(_KINDS[t] + s).str[1:], int(c)) for n, s, t, c in rows)
    if any(field.count < 1 for field in fields):
        raise ValueError("COUNT below 1")
    return fields


def _text(data: bytes, header: _Header) -> list[Column]:
    words, width = data.split(), sum(field.count for field in header.fields)
    if len(words) < header.points * width:
        raise ValueError(f"only {len(words)} of {header.points * width} numbers")
    values, place = [], 0
    for field in header.fields:
        columns = [
            text_column(words[place + number : header.points * width : width], field.type)
            for number in range(field.count)
        ]
        values.append(np.stack(columns, 1))
        place += field.count
    return values


def _binary(data: bytes, header: _Header) -> list[Column]:
    kinds = [(str(n), "<" + f.type, (f.count,)) for n, f in enumerate(header.fields)]
    rows = np.frombuffer(data, np.dtype(kinds), count=header.points)
    return [rows[name].astype(kind[1:]) for name, kind, _ in kinds]


def _compressed(data: bytes, header: _Header) -> list[Column]:
    packed, size = (int(number) for number in np.frombuffer(data, "<u4", count=2))
    expected = header.points * sum(np.dtype(f.type).itemsize * f.count for f in header.fields)
    if size != expected or len(data) < 8 + packed:
        raise ValueError(f"{len(data) - 8} of {packed} bytes that unpack to {size}")
    plain, place, values = _unpack(data[8 : 8 + packed], size), 0, []
    for field in header.fields:
        number = header.points * field.count
        column = np.frombuffer(plain, "<" + field.type, count=number, offset=place)
        values.append(column.astype(field.type).reshape(header.points, field.count))
        place += column.nbytes
    return values


def _unpack(data: bytes, size: int) -> bytes:
    """LZF (Marc Lehmann's liblzf): literal runs, and copies of what was unpacked before.

    A control byte below 32 announces that many bytes + 1; otherwise its upper three bits are the
    length - 2 (7: a further byte adds to it), its lower five and the next byte the distance - 1.
    """
    out, place = bytearray(), 0
    while place < len(data):
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
    if len(out) != size:
        raise ValueError(f"unpacked {len(out)} bytes instead of {size}")
    return bytes(out)


def _columns(field: _Field, value: Column) -> dict[str, Column]:
    if field.name in ("rgb", "rgba") and field.count == 1 and value.itemsize == 4:
        packed = np.ascontiguousarray(value[:, 0]).view(np.uint32)
        shifts = {"red": 16, "green": 8, "blue": 0}
        return {name: (packed >> shift & 255).astype("u1") for name, shift in shifts.items()}
    if field.name == "_":
        return {}
    if field.count == 1:
        return {field.name: value[:, 0]}
    return {f"{field.name}_{number}": value[:, number] for number in range(field.count)}
