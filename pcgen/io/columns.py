"""Columns for the events of a file: arrays of NumPy and HDF5 files, archives and text tables.

What they mean beside the events is found by :mod:`pcgen.io.beside`.
"""

from __future__ import annotations

import csv
import math
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import h5py
import numpy as np

from pcgen.bounds import BYTES, check_unpacked
from pcgen.errors import ArgumentError, FileError, PcgenError
from pcgen.io.hdf5 import open_hdf5, values_of
from pcgen.io.hdf5_door import data_set, reading
from pcgen.io.npy_array import UNREADABLE, Header, read_header
from pcgen.io.source import Array, existing_file
from pcgen.io.table import text_column

_FILE = re.compile(r"(.+?\.(?:npy|npz|h5|hdf5|csv|tsv|txt))(?::(.*))?", re.IGNORECASE)
UNOPENABLE = (
    *UNREADABLE,
    RuntimeError,  # an encrypted member; as NotImplementedError, an unknown compression
    ValueError,  # odd dates and lengths, and names that are no text
    struct.error,
)
"""Raised by zipfile while a damaged archive or one of its members is opened."""


def read_column(reference: str, source: str | Path) -> tuple[Array, str]:
    """Values beside the events, from the file of the events or from one of its own.

    Args:
        reference: ``energy.npy``; an array of an archive, ``more.npz:energy`` or ``more.h5:energy``
            (groups as ``truth/energy``); a column of a table with a line of names,
            ``table.csv:energy`` (also .tsv, and .txt with blanks between). Without a file it is an
            array of the events' own file: ``energy``. A number at the end chooses a column of an
            array [B, C], counted from 0: ``momentum.npy:2`` or ``more.npz:momentum:2``.
        source: File of the events.

    Returns:
        The values [B] or [B, C], and file and name for messages.

    Raises:
        ArgumentError: there is no such array or column; names those that there are.
        FileError: the file is missing or damaged.
    """
    match = _FILE.fullmatch(reference)
    path, key = (Path(match[1]), match[2]) if match else (Path(source), reference)
    ending = path.suffix.lower()
    if match is None and ending not in (".npz", ".h5", ".hdf5"):
        raise ArgumentError(
            f"got {reference!r}, and {source} has no arrays beside its events; expected a file "
            "such as energy.npy, more.npz:energy or table.csv:energy"
        )
    existing_file(path)
    if ending in (".csv", ".tsv", ".txt"):
        return _of_table(path, key), f"{path}: {key or 'its column'}"
    name, column = _parts(key, ending)
    if ending == ".npy":
        with path.open("rb") as file:
            values = read_array(file, str(path))
    else:
        values = _of_archive(path, name) if ending == ".npz" else _of_hdf5(path, name)
    where = ": ".join(filter(None, (str(path), key)))
    if column is None:
        return values, where
    if values.ndim != 2 or column >= values.shape[1]:
        raise ArgumentError(f"{where}: got column {column} of an array of shape {values.shape}")
    return values[:, column], where


def names_a_file(reference: str) -> bool:
    """Whether a reference of :func:`read_column` is to a file of its own.

    >>> names_a_file("energy.npy"), names_a_file("more.h5:energy"), names_a_file("Jet.PT")
    (True, True, False)
    """
    return _FILE.fullmatch(reference) is not None


def _parts(key: str | None, ending: str) -> tuple[str | None, int | None]:
    """Name of an array and number of a column."""
    if ending == ".npy":
        name, number = None, key
    else:
        match = re.fullmatch(r"(.*?)(?::(\d+))?", key or "")
        name, number = (match[1] or None, match[2]) if match else (key, None)
    if number is not None and not number.isdigit():
        raise ArgumentError(f"got the column {number!r} of an .npy file, expected a number from 0")
    return name, None if number is None else int(number)


def read_array(file: IO[bytes], where: str) -> Array:
    """A whole array in .npy format; text is welcome, Python objects are not: they would run code.

    Raises:
        FileError: it is damaged, or holds Python objects.
    """
    try:
        header = read_header(file)
        BYTES.check(header.size, where)
        data = file.read(header.size)
        if len(data) < header.size:
            raise ValueError(f"truncated, {len(data)} of {header.size} bytes are there")
        order: Literal["F", "C"] = "F" if header.fortran else "C"
        values = np.frombuffer(bytearray(data), header.dtype) if header.size else _nothing(header)
        for column in [values[name] for name in header.dtype.names or ()] or [values]:
            _check_letters(column)
        return values.reshape(header.shape, order=order)
    except PcgenError:
        raise
    except (ValueError, *UNREADABLE) as error:
        raise FileError(f"{where} cannot be read ({error})") from error


def _check_letters(values: Array) -> None:
    if values.dtype.kind == "U":
        letters = np.ascontiguousarray(values).view(values.dtype.str[0] + "u4")
        if ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters < 0xE000))).any():
            raise ValueError("text with numbers that stand for no letter")


def _nothing(header: Header) -> Array:
    """An array without a byte, if it has no values."""
    if math.prod(header.shape):
        raise ValueError(f"{math.prod(header.shape)} texts without a letter")
    return np.zeros(0, header.dtype)


def archive_member(archive: zipfile.ZipFile, name: str, path: Path) -> zipfile.ZipInfo:
    """The array of this name in an .npz file, before anything of it is unpacked.

    Raises:
        FileError: there are several of this name, it is packed otherwise than NumPy does, or it
            unpacks to far more than data do.
    """
    found = [info for info in archive.infolist() if info.filename == f"{name}.npy"]
    if len(found) != 1:
        raise FileError(f"{path}: got {len(found)} arrays {name}, expected different names")
    if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FileError(
            f"{path}: array {name} is packed by method {found[0].compress_type} of zip, expected "
            "none or deflate (0 or 8) as NumPy writes"
        )
    check_unpacked(found[0].file_size, found[0].compress_size, f"{path}: array {name}")
    return found[0]


def _of_archive(path: Path, name: str | None) -> Array:
    with npz(path) as archive:
        name = _chosen(name, array_names(archive), path)
        return archived(archive, name, path)


@contextmanager
def npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """An .npz file, of which nothing is unpacked yet.

    Raises:
        FileError: it is damaged; also where that is noticed inside the ``with`` statement.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except PcgenError:
        raise
    except UNOPENABLE as error:
        raise FileError(f"{path}: truncated or not an .npz file ({error})") from error


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """Names of the arrays in an .npz file."""
    return [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]


def archived(archive: zipfile.ZipFile, name: str, path: Path) -> Array:
    """One array of an .npz file, whole; no other one is unpacked.

    Raises:
        FileError: it is damaged, or larger than any that is read at once.
    """
    with archive.open(archive_member(archive, name, path)) as file:
        return read_array(file, f"{path}: {name}")


def _of_hdf5(path: Path, name: str | None) -> Array:
    with open_hdf5(path) as file:
        names: list[str] = []
        with reading(path):  # the links of others are not followed here
            file.visititems(
                lambda n, item: names.append(n) if isinstance(item, h5py.Dataset) else None
            )
        chosen = _chosen(name and name.strip("/"), names, path)
        data = data_set(file, chosen, path)
        if data is None:
            raise FileError(f"{path}: {chosen} is no data set")
        return values_of(data, path)


def _chosen(name: str | None, names: Sequence[str], path: Path) -> str:
    """The name, if it is among those that there are; without one, the only one there is."""
    if name is None and len(names) == 1:
        return names[0]
    if name not in names or name is None:
        raise ArgumentError(f"{path}: got {name or 'no name'}, expected {' or '.join(names)}")
    return name


def _of_table(path: Path, name: str | None) -> Array:
    """A column of a text file whose first line names the columns."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: is no text that can be read ({error})") from error
    rows = [line for line in lines if line.strip()]
    if not rows:
        raise FileError(f"{path}: is empty, expected a line of names and one for each event")
    cells = _split(rows, path)
    names = [cell.strip() for cell in cells[0]]
    names[0] = names[0].removeprefix("#").strip()
    names = names if names[0] else names[1:]
    if len(set(names)) != len(names):
        raise FileError(f"{path}: got the columns {', '.join(names)}, expected different names")
    place = names.index(_chosen(name, names, path))
    for number, row in enumerate(cells[1:], 2):
        if len(row) != len(names):
            raise FileError(
                f"{path}: row {number} has {len(row)} cells, expected the {len(names)} of the first"
            )
    return typed_column([row[place].strip() for row in cells[1:]], f"{path}: {names[place]}")


def _split(rows: list[str], path: Path) -> list[list[str]]:
    if path.suffix.lower() == ".txt":
        return [row.split() for row in rows]
    comma = ";" if ";" in rows[0] and "," not in rows[0] else ","
    try:
        return list(csv.reader(rows, delimiter="\t" if path.suffix.lower() == ".tsv" else comma))
    except csv.Error as error:
        raise FileError(f"{path}: is no table that can be read ({error})") from error


def typed_column(words: list[str], where: str) -> Array:
    """A column of text: whole numbers if all words are, else numbers if all are, else the words.

    Args:
        words: Without blanks around them.
        where: File and name of the column, for messages.
    """
    for kind in ("i8", "f8"):
        try:
            return text_column(words, kind, where)
        except ValueError:
            continue
    # In an array each text takes the room of the longest.
    BYTES.check(4 * len(words) * max(map(len, words), default=0), where)
    return np.array(words, dtype=str)
