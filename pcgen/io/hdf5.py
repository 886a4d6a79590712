"""What pcgen's own HDF5 files share: opening, the header, and damage told in one line.

Header (attributes of the root): ``format`` and ``version`` say what follows, ``schema`` is the JSON
of :class:`pcgen.schema.Schema`, ``attrs`` is JSON of the writer's choice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pcgen.errors import DataError, FileError
from pcgen.io.source import existing_file
from pcgen.schema import Schema

_CHUNK = 1 << 16  # bytes


def open_hdf5(path: str | Path) -> h5py.File:
    """Open an HDF5 file for reading.

    Raises:
        FileError: it is missing, empty, truncated or not HDF5.
    """
    path = existing_file(path)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise FileError(
            f"{path}: cannot be opened as HDF5, it is truncated, unreadable or of another format "
            f"({error})"
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Damaged blocks of an HDF5 file come up while reading: name the file.

    Raises:
        FileError: HDF5 failed inside the ``with`` statement.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise FileError(f"{path}: damaged, a block cannot be read ({error})") from error


def header(
    format: str, version: int, schema: Schema | None, attrs: Mapping[str, Any]
) -> dict[str, Any]:
    """Attributes that :func:`read_header` understands."""
    values = {"format": format, "version": version, "attrs": json.dumps(dict(attrs))}
    if schema is not None:
        values["schema"] = json.dumps(schema.to_dict())
    return values


def read_header(
    file: h5py.File, path: Path, format: str, version: int
) -> tuple[Schema, dict[str, Any]]:
    """Schema and further attributes of a file of the given format.

    Raises:
        FileError: it is of another format or version, or its header cannot be read.
    """
    found = file.attrs.get("format")
    if found != format:
        raise FileError(
            f"{path}: got format {found!r} with the data sets {', '.join(file) or 'none'}, "
            f"expected a file of format {format!r}"
        )
    if file.attrs.get("version") != version:
        raise FileError(
            f"{path}: got version {file.attrs.get('version')} of {format}, expected {version}; "
            f"read it with the pcgen that wrote it"
        )
    try:
        schema = Schema.from_dict(json.loads(file.attrs["schema"]))
        return schema, dict(json.loads(file.attrs["attrs"]))
    except (KeyError, TypeError, ValueError, DataError) as error:
        raise FileError(
            f"{path}: header cannot be read ({error}), expected schema and attrs as JSON"
        ) from error


def extend(
    file: h5py.File, name: str, value: np.ndarray[Any, Any], *, compression: int = 4
) -> None:
    """Write rows behind those of a data set, which is made with the first of them.

    Chunks of about 64 kB: small beside HDF5's cache of 1 MB, so that small blocks stay cheap.

    Args:
        file: Open for writing.
        name: Of the data set.
        value: Rows [b, ...].
        compression: gzip level 0 (none) to 9, with byte shuffling.
    """
    if name not in file:
        row = max(value.itemsize * math.prod(value.shape[1:]), 1)
        filters = {"compression": "gzip", "compression_opts": compression, "shuffle": True}
        file.create_dataset(
            name,
            data=value[:0],
            maxshape=(None, *value.shape[1:]),
            chunks=(max(_CHUNK // row, 1), *(max(length, 1) for length in value.shape[1:])),
            **(filters if compression else {}),
        )
    data = file[name]
    data.resize(len(data) + len(value), axis=0)
    data[len(data) - len(value) :] = value
