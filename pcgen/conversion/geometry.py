"""The calorimeter of a file of showers or clouds, described in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcgen import io
from pcgen.conversion.file_to_file import Converted
from pcgen.errors import ArgumentError

_OWN = ("source", "target", "geometry", "particle", "columns", "from_format", "label")


def write_geometry(given: Mapping[str, Any], plain: Mapping[str, Any]) -> Converted:
    """Describe the calorimeter of ``source`` in ``target``.

    Args:
        given: Arguments of :func:`~pcgen.conversion.convert`.
        plain: Their defaults.

    Raises:
        ArgumentError: an option plays no part, no calorimeter is known, or XML has no words for its
            cells.
        FileError: a file cannot be read or written.
    """
    for name, value in given.items():
        if name not in _OWN and value != plain[name]:
            raise ArgumentError(f"{name}: was given, but plays no part where a geometry is written")
    source, target, particle = given["source"], given["target"], given["particle"]
    file = given["geometry"]
    cells = None
    if file is None:
        options = {"format": given["from_format"], "label": given["label"]}
        with io.open_file(source, columns=given["columns"], **options) as opened:
            if isinstance(opened, io.CloudSource | io.ShowerSource):
                cells = opened.calorimeter
    elif Path(file).suffix.lower() == ".xml":
        cells = io.read_calorimeter(file, particle)
    else:
        cells = io.read_calorimeter(file)
    if cells is None:
        raise ArgumentError(
            f"geometry: got none and {source} does not store its calorimeter, expected a file of it"
        )
    io.write_calorimeter(target, cells, particle)
    return Converted(0, cells.voxels, format="geometry")
