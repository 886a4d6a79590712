"""What pcgen's own HDF5 files share: opening, the header, and damage told in one line.

Header (attributes of the root): ``format`` and ``version`` say what follows, ``schema`` is the JSON
of :class:`pcgen.schema.Schema`, ``attrs`` is JSON of the writer's choice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from pcgen.errors import DataError, FileError
from pcgen.io.source import existing_file
from pcgen.schema import Schema


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
