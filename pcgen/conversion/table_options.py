"""What the columns of a table are, by the options of ``pcgen convert``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcgen.errors import ArgumentError
from pcgen.formats import by_name, tables

# Imported in the function that uses it: wrong options do not wait for torch.
if TYPE_CHECKING:
    from pcgen.io.tables import Columns

MAPPINGS = ("preset", "pos", "momentum")
"""Options that make a source a table."""

OPTIONS = (*MAPPINGS, "x", "layer", "offsets", "events", "where", "sort", "table")
"""Options that a table alone has."""


def table_columns(source: str | Path, given: Mapping[str, Any]) -> tuple[Columns, ...] | None:
    """The columns that options state; of several choices, the first one that fits the table.

    Args:
        source: The file, which is a table by itself where it is HepMC.
        given: Options of ``convert`` by name.

    Returns:
        None where the source is read as no table.

    Raises:
        ArgumentError: an option cannot be understood, or there is no such preset.
        FileError: the file of a preset is missing or no YAML.
    """
    from pcgen.io.tables import from_words, presets

    preset = given["preset"]
    if not any(given[name] for name in MAPPINGS):
        if not _is_hepmc(source, given["from_format"]):
            return None
        preset = "hepmc"
    words = {n: given[n] for n in (*OPTIONS, "weight") if n != "preset"}
    if isinstance(given["event"], str):
        words["event"] = given["event"]
    if preset is None:
        return (from_words({**words, "x": None if words["x"] == ["none"] else words["x"]}),)
    found, collection = presets.load(preset)
    return found.columns(collection, words)


def _is_hepmc(source: str | Path, format: str | None) -> bool:
    try:
        return by_name(source, format, tables()) == "hepmc"
    except ArgumentError:
        return False
