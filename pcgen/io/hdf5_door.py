"""The one door through which objects of an HDF5 file are reached.

HDF5 lets a file point anywhere: links and data sets may stand for other files of the machine, and
read as zeros where these are missing. A file decides nothing but its own contents here. Links are
followed step by step within the file, and a name that leads elsewhere is refused; so are data sets
whose numbers lie elsewhere, that are neither numbers nor text, or that announce far more than the
file holds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pcgen.bounds import BYTES, check_unpacked
from pcgen.errors import FileError, PcgenError

REFERENCE = 16
"""Bytes of a row of its own length in a data set: the length, and where its values lie."""
_STEPS = 32  # links that a name may pass; files use one or two
_BROKEN = (
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,  # as NotImplementedError, types of HDF5 that h5py does not know
    TypeError,
    ValueError,
)
# Registered filter plugins that files of others often use (The HDF Group, "Registered Filters").
_FILTERS = {
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "Bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32026: "Blosc2",
}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Damaged blocks of an HDF5 file come up while reading, as any kind of error: name the file.

    A block can also be sound, and packed by a filter (a compression) that is not installed here.

    Raises:
        FileError: HDF5 failed inside the ``with`` statement.
    """
    try:
        yield
    except PcgenError:
        raise
    except _BROKEN as error:
        missing = _missing_filter(path)
        if missing is not None:
            raise FileError(f"{path}: {missing}") from error
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise FileError(f"{path}: damaged, a block cannot be read ({reason})") from error


def data_set(
    file: h5py.File, name: str, path: Path, *, ragged: bool = False
) -> h5py.Dataset | None:
    """The data set of this name; None where there is none, or a group.

    Args:
        file: Open for reading.
        name: Of the data set; slashes lead into groups.
        path: For messages.
        ragged: Rows of lengths of their own are expected, in place of numbers or text;
            :mod:`pcgen.io.hdf5_ragged` reads them.

    Raises:
        FileError: the name leads to another file or in a circle; the data set is a type without
            data, stands for other files, holds neither numbers nor text, or announces more than
            its file holds.
    """
    with reading(path):
        found = _reached(file, name, path)
        if isinstance(found, h5py.Datatype):
            raise FileError(f"{path}: /{name} is a type without data, expected a data set")
        if not isinstance(found, h5py.Dataset):
            return None
        _check(found, f"{path}: /{name}", path, ragged)
        return found


def needed(file: h5py.File, names: Sequence[str], path: Path, layout: str) -> list[h5py.Dataset]:
    """The data sets of these names, as :func:`data_set` gives each.

    Args:
        file: Open for reading.
        names: Two or more.
        path: For messages.
        layout: Whose data sets they are, for messages: ``JetNet's``.

    Raises:
        FileError: one is not there, or cannot be used.
    """
    found = [data_set(file, name, path) for name in names]
    there = [data for data in found if data is not None]
    if len(there) < len(found):
        raise FileError(
            f"{path}: got the data sets {listed(file, path)}, expected {layout} "
            f"{', '.join(names[:-1])} and {names[-1]}"
        )
    return there


def columns_of(file: h5py.File, table: str, path: Path) -> dict[str, h5py.Dataset]:
    """The data sets in and below a group, by their names in it, as columns of a table.

    Besides numbers and text, they may hold records of these, and lists of numbers. What leads or
    lies elsewhere, or holds something else, is left out.

    Args:
        file: The file.
        table: Name of the group, empty for all of the file; or of one data set, whose name then is
            empty.
        path: Of the file.

    Raises:
        FileError: a data set announces more than its file holds.
    """
    with reading(path):
        root = _reached(file, table, path)
        if isinstance(root, h5py.Dataset):
            _check_size(root, f"{path}: /{table}", path, _itemsize(root))
            return {"": root} if _is_column(root) else {}
        found: dict[str, h5py.Dataset] = {}

        def look(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset) and _is_column(item):
                _check_size(item, f"{path}: /{name}", path, _itemsize(item))
                found[name] = item

        if isinstance(root, h5py.Group):
            root.visititems(look)  # follows no link to another file
        return found


def _is_column(data: h5py.Dataset) -> bool:
    """Whether a data set lies in its file and holds numbers, text, records, or lists of numbers."""
    layout = data.id.get_create_plist()
    outside = layout.get_layout() == h5py.h5d.CONTIGUOUS and layout.get_external_count()
    if data.is_virtual or outside or not data.shape:
        return False
    kind = data.dtype
    fields = [kind[name] for name in kind.names] if kind.names else [kind]
    for field in fields:
        lists = h5py.check_vlen_dtype(field)
        base = np.dtype(lists) if isinstance(lists, np.dtype | type) and lists is not str else field
        if base.base.kind not in "biufSU" and h5py.check_string_dtype(base) is None:
            return False
    return True


def names_of(file: h5py.File, path: Path) -> tuple[str, ...]:
    """Names of what lies in the root of a file, whatever it is."""
    with reading(path):
        # h5py leaves a name that is no UTF-8 as bytes.
        return tuple(
            name if isinstance(name, str) else name.decode("utf-8", "backslashreplace")
            for name in file
        )


def contents(file: h5py.File, known: Collection[str], path: Path) -> tuple[str, ...]:
    """What lies in a file besides the data sets that are known; what is none is marked as such."""
    marked = [(name, _mark(file, name, path)) for name in names_of(file, path)]
    return tuple(name + mark for name, mark in marked if name not in known or mark)


def listed(file: h5py.File, path: Path) -> str:
    """The names of all data sets of the root, for a message."""
    marked = [(name, _mark(file, name, path)) for name in names_of(file, path)[:100]]
    return ", ".join(name for name, mark in marked if not mark) or "none"


def attribute(file: h5py.File, name: str, path: Path) -> str | int | float | None:
    """A single attribute of the file; None where there is none.

    Raises:
        FileError: it is an array, or neither text nor a number.
    """
    with reading(path):
        if name not in file.attrs:
            return None
        stored = file.attrs.get_id(name)
        text = h5py.check_string_dtype(stored.dtype) is not None
        if stored.shape != () or not (text or stored.dtype.kind in "biuf"):
            raise FileError(
                f"{path}: attribute {name} is {stored.dtype} of shape {stored.shape}, "
                "expected one text or one number"
            )
        value = file.attrs[name]
        if isinstance(value, (bytes, np.bytes_)):
            return value.decode("utf-8")
        return str(value) if isinstance(value, str) else value.item()


def _reached(
    file: h5py.File, name: str, path: Path
) -> h5py.Dataset | h5py.Group | h5py.Datatype | None:
    """Follow a name through the links of the file alone; None where it leads to nothing."""
    ways, place = name.split("/")[::-1], [file["/"]]
    for _ in range(_STEPS):
        while ways and ways[-1] in ("", "."):
            ways.pop()
        if not ways:
            return place[-1]
        step, group = ways.pop(), place[-1]
        link = group.get(step, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.HardLink):
            place.append(group[step])
        elif isinstance(link, h5py.SoftLink):
            if link.path.startswith("/"):
                place = place[:1]
            ways += link.path.split("/")[::-1]
        else:
            raise FileError(
                f"{path}: /{name} is a link to another file ({_target(link)}), expected what is "
                "in this file alone"
            )
    raise FileError(f"{path}: /{name} is a link that leads in a circle, expected a data set")


def _target(link: Any) -> str:
    return str(getattr(link, "filename", "of an unknown kind"))[:80]


def _mark(file: h5py.File, name: str, path: Path) -> str:
    """What an entry is, if no data set."""
    try:
        with reading(path):
            found = _reached(file, name, path)
    except FileError:
        return " (a link that leads elsewhere)"
    if isinstance(found, h5py.Dataset):
        return ""
    if found is None:
        return " (a link to nothing)"
    return " (a group)" if isinstance(found, h5py.Group) else " (a type)"


def _check(data: h5py.Dataset, where: str, path: Path, ragged: bool) -> None:
    """Refuse a data set that is more, or else, than numbers or text of its own file."""
    layout = data.id.get_create_plist()
    if data.is_virtual:
        raise FileError(f"{where} is a virtual data set, made of other files; expected its numbers")
    if layout.get_layout() == h5py.h5d.CONTIGUOUS and layout.get_external_count():
        outside = layout.get_external(0)[0].decode("utf-8", "replace")[:80]
        raise FileError(
            f"{where} keeps its numbers in another file ({outside}), expected them in this one"
        )
    if data.shape is None:
        raise FileError(f"{where} is empty (a null data space), expected numbers")
    kind = data.dtype
    rows = h5py.check_vlen_dtype(kind)
    if ragged and (rows is None or rows.kind not in "iuf" or rows.subdtype):
        raise FileError(f"{where}: got values of type {kind}, expected rows of real numbers")
    if ragged:
        _check_size(data, where, path, REFERENCE)
        return
    if h5py.check_string_dtype(kind) is None and (kind.kind not in "biufcSU" or kind.subdtype):
        raise FileError(f"{where}: got values of type {kind}, expected real numbers or text")
    _check_size(data, where, path, kind.itemsize)


def _itemsize(data: h5py.Dataset) -> int:
    """Bytes of one entry as it is stored: of lists and texts of any length, a reference."""
    return REFERENCE if data.dtype.kind == "O" else int(data.dtype.itemsize)


def _check_size(data: h5py.Dataset, where: str, path: Path, itemsize: int) -> None:
    stored = min(data.id.get_storage_size(), path.stat().st_size)
    announced = math.prod(data.shape) * itemsize
    check_unpacked(announced, stored, where)
    if any(length >= 2**63 for length in data.shape):
        raise FileError(f"{where} has shape {data.shape}, expected lengths of 63 bits")
    if not data.chunks:
        return
    chunk = math.prod(data.chunks) * itemsize
    BYTES.check(chunk, f"{where}, one chunk of it")
    # What is packed is never much longer than what it unpacks to, unless it unpacks to more.
    whole = math.prod(-(-n // m) for n, m in zip(data.shape, data.chunks, strict=True)) * chunk
    if stored > 1.5 * whole + 4096:
        raise FileError(
            f"{where} is packed into {stored} bytes, expected at most the {whole} of its chunks"
        )


def _missing_filter(path: Path) -> str | None:
    """Which data set of a file is packed by a filter that is not installed, and what helps."""
    found: list[str] = []

    def look(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        properties = item.id.get_create_plist()
        for place in range(properties.get_nfilters()):
            number, _, _, title = properties.get_filter(place)
            if not h5py.h5z.filter_avail(number):
                known = _FILTERS.get(number) or title.decode("utf-8", "replace")
                named = f"{number} ({known})" if known else str(number)
                found.append(
                    f"/{name} is packed by the HDF5 filter {named}, which is not installed here; "
                    "the file need not be damaged. pip install hdf5plugin brings the usual ones "
                    "(HDF5_PLUGIN_PATH must name its folder of plugins), h5repack -f GZIP=4 packs "
                    "the file anew"
                )

    try:
        with h5py.File(path, "r") as file:
            file.visititems(look)
    except _BROKEN:
        return None  # the damage is what counts
    return found[0] if found else None
