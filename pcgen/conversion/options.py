"""Options of ``pcgen convert``: the columns of a table, and which play a part in a conversion.

One that would do nothing is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from pcgen.errors import ArgumentError
from pcgen.formats import FORMATS, Kind, by_name, tables

# Imported in the function that uses it: wrong options do not wait for torch.
if TYPE_CHECKING:
    from pcgen.io.tables import Columns

MAPPINGS = ("preset", "pos", "momentum")
"""Options that make a source a table."""

OPTIONS = (*MAPPINGS, "x", "layer", "offsets", "events", "where", "sort", "table")
"""Options that a table alone has."""

_WITHOUT = {
    "threshold": 0.0,
    "nan": "error",
    "jitter": False,
    "outside": "error",
    "multi_hit": "sum",
    "missing": "error",
    "condition": [],
    "observe": [],
    "hide": [],
    "sort": False,
}
"""Options that are there without being given, and what they then are; all others are None."""

_PARTS = {
    "threshold": "unless images become clouds",
    "nan": "unless images become clouds",
    "jitter": "unless images become clouds",
    "outside": "unless clouds become images or showers",
    "multi_hit": "unless clouds become showers",
    "grid": "where clouds stay clouds, or where --geometry has the cells",
    "particles": "unless jets are written in JetNet's layout",
    "missing": "unless clouds are read",
    "dtype": "unless clouds are written",
    "max_points": "unless clouds are written",
    "observe": "unless clouds are written",
    "hide": "unless clouds are written",
    "context": "unless pcgen's own file of clouds (.h5) is written",
    "geometry": "unless showers are read or written",
    "particle": "without --geometry",
    "condition": "in .npy, which keeps the images alone",
    "labels": "in .npy and in files of showers, which have no classes",
    **dict.fromkeys(OPTIONS, "unless --pos, --momentum or --preset reads the source as a table"),
}

_PATHS = ("source", "target", "context", "geometry")
_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    list[str]: "a list of texts",
}


def check_kinds(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse values of another kind than a function states for its arguments.

    Args:
        function: Its arguments have type hints.
        given: Values of all of them, by name.

    Raises:
        ArgumentError: naming the first such argument, its value and what was expected.
    """
    for name, hint in get_type_hints(function).items():
        if name not in given:
            continue  # what it returns
        value = given[name]
        plain = str(value) if name in _PATHS and isinstance(value, Path) else value
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        if plain == "" or not any(_is_of(plain, kind) for kind in kinds):
            known = [_words(kind) for kind in kinds if kind is not NoneType]
            words = "the path of a file" if name in _PATHS else " or ".join(known)
            raise ArgumentError(f"{name}: got {value!r}, expected {words}")


def _is_of(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if get_origin(kind) is list:
        return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
    numbers = {int: Integral, float: Real}  # NumPy's too, and a bool is none
    return isinstance(value, numbers.get(kind, kind)) and (
        kind is bool or not isinstance(value, bool)
    )


def _words(kind: Any) -> str:
    return ", ".join(get_args(kind)) if get_origin(kind) is Literal else _WORDS[kind]


def check_options(source: Kind, target: str, as_table: bool, given: Mapping[str, Any]) -> None:
    """Refuse options that were given and would do nothing.

    Args:
        source: What is read.
        target: Format of what is written.
        as_table: Whether the source is read as a table.
        given: Values of all options by name; those that are None are not given.

    Raises:
        ArgumentError: naming the first such option, and when it plays a part.
    """
    wanted = FORMATS[target].kind
    drawn, showers = wanted == "images", "showers" in (source, wanted)
    filling = source != "clouds" and wanted == "clouds"
    plays = {
        "threshold": filling,
        "nan": filling,
        "jitter": filling,
        "outside": wanted != "clouds" and source == "clouds",
        "multi_hit": wanted == "showers" and source == "clouds",
        "grid": (drawn or filling) and not showers,
        "particles": target == "jetnet",
        "missing": source == "clouds",
        "dtype": wanted == "clouds",
        "max_points": wanted == "clouds",
        "observe": wanted == "clouds",
        "hide": wanted == "clouds",
        "context": target == "clouds",
        "geometry": showers,
        "particle": showers and given["geometry"] is not None,
        "condition": target != "npy",
        "labels": target != "npy" and wanted != "showers",
        **dict.fromkeys(OPTIONS, as_table),
    }
    for name, used in plays.items():
        if not used and given[name] not in (None, _WITHOUT.get(name)):
            raise ArgumentError(f"{name}: was given, but plays no part {_PARTS[name]}")


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
