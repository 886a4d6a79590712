"""Presets: files of YAML that say which columns of a layout are what (``pcgen/io/presets``).

The keys are those of :mod:`pcgen.io.tables.mapping`, besides:

============== ================================================================================
``about``      the layout, in a few words
``collection`` a name that ``{collection}`` stands for, unless another one is given:
               ``edm4hep:ECalBarrelHits``
``either``     a list of further keys; the first of them whose columns are all there is taken
============== ================================================================================

A preset of one's own is such a file: ``--preset my.yaml``, or ``my.yaml:NAME`` with a collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pcgen.bounds import TEXT, regular_file
from pcgen.errors import ArgumentError, FileError
from pcgen.io.tables.mapping import Columns, from_words
from pcgen.io.tables.table import Column
from pcgen.io.tables.terms import places
from pcgen.plain_yaml import parse_yaml

FOLDER = Path(__file__).parents[1] / "presets"
_FILE = re.compile(r"(.+\.ya?ml)(?::(.+))?", re.IGNORECASE)
_MARK = "{collection}"


@dataclass(frozen=True)
class Preset:
    """What a file of YAML says.

    Attributes:
        name: Of the preset, for messages.
        about: The layout, in a few words.
        words: The keys of each choice, the first one that fits is taken.
        collection: What ``{collection}`` stands for; empty where the preset has no such word.
    """

    name: str
    about: str
    words: tuple[dict[str, Any], ...]
    collection: str = ""

    def columns(
        self, collection: str = "", options: Mapping[str, Any] | None = None
    ) -> tuple[Columns, ...]:
        """The columns of each choice.

        Args:
            collection: In place of the preset's own.
            options: Keys that replace those of the preset; cuts are added to its cuts, and
                ``x: [none]`` leaves out its features.

        Raises:
            ArgumentError: a key or a value cannot be understood.
        """
        name = collection or self.collection
        return tuple(self._merged(_filled(words, name), options or {}) for words in self.words)

    def _merged(self, words: dict[str, Any], options: Mapping[str, Any]) -> Columns:
        where = f"preset {self.name}: "
        given = {key: value for key, value in options.items() if value not in (None, [], "", False)}
        inside = {key for part in words.get("parts", []) for key in part if isinstance(part, dict)}
        if both := sorted(inside & given.keys()):
            raise ArgumentError(
                f"{both[0]}: was given, but the preset {self.name} has several parts with one "
                "each; expected a preset of your own"
            )
        if "where" in given:
            given["where"] = [*_listed(words.get("where")), *given["where"]]
        if given.get("x") == ["none"]:
            given["x"] = []
        if given.keys() & {"pos", "momentum"}:
            words = {key: value for key, value in words.items() if key not in ("pos", "momentum")}
        description = str(words.get("description", self.about))
        return from_words({**words, **given, "name": self.name, "description": description}, where)


def names() -> tuple[str, ...]:
    """Names of the presets that pcgen has."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def text(name: str) -> str:
    """The file of a preset of pcgen, to be copied."""
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def load(reference: str) -> tuple[Preset, str]:
    """A preset of pcgen, or of one's own file, and the collection that is named behind a colon.

    Raises:
        ArgumentError: there is none of this name, it takes no collection, or its keys are wrong.
        FileError: the file is missing or no YAML.
    """
    file = _FILE.fullmatch(reference)
    name, _, collection = reference.partition(":")
    if file is not None:
        name, collection = file[1], file[2] or ""
    elif name not in names():
        known = "; ".join(f"{each} ({shipped(each).about})" for each in names())
        raise ArgumentError(
            f"preset: got {reference!r}, expected a file .yaml of your own, or one of {known}"
        )
    preset = _read(Path(name), name) if file is not None else shipped(name)
    if collection and not preset.collection:
        raise ArgumentError(f"preset: got {reference!r}, but {name} has no collection to choose")
    return preset, collection


@cache
def shipped(name: str) -> Preset:
    """A preset of pcgen."""
    return _read(FOLDER / f"{name}.yaml", name)


def _read(path: Path, name: str) -> Preset:
    TEXT.check(regular_file(path).stat().st_size, str(path))
    try:
        found = parse_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path}: is no YAML ({reason})") from error
    either = found.pop("either", [{}]) if isinstance(found, dict) else None
    if not isinstance(either, list) or not all(isinstance(each, dict) for each in either):
        raise FileError(f"{path}: got {found!r:.60}, expected keys and values: pos: [x, y, 'z:mm']")
    about, collection = str(found.pop("about", name)), found.pop("collection", "")
    if not isinstance(collection, str):
        raise FileError(f"{path}: got the collection {collection!r:.40}, expected a name")
    return Preset(name, about, tuple({**found, **each} for each in either), collection)


def fitting(columns: Mapping[str, Column]) -> dict[str, str]:
    """Presets of pcgen for which a table has all columns, and what they are about.

    Args:
        columns: Of the table, by name.

    Returns:
        About, by the word for ``--preset``, those that need most columns first; of a preset with
        collections, one word for each.
    """
    found = []
    for name in names():
        preset = shipped(name)
        for collection in _collections(preset, columns):
            choices = preset.columns(collection)
            sizes = [len(needed(each)) for each in choices if _fits(each, columns)]
            if sizes:
                word = f"{name}:{collection}" if collection != preset.collection else name
                found.append((max(sizes), word, preset.about))
    # A preset that needs more columns is the more specific one.
    return {word: about for _, word, about in sorted(found, key=lambda each: -each[0])}


def _fits(wanted: Columns, there: Mapping[str, Column]) -> bool:
    """Whether a table has the columns, and lists where they are wanted."""
    if not set(needed(wanted)) <= there.keys():
        return False

    def depths(references: Iterable[str]) -> set[int]:
        found = [(there[places(each)[0]], places(each)[1]) for each in references]
        return {column.depth - isinstance(place, int) for column, place in found}

    lists = {0} if wanted.event else {1}
    if wanted.members is None:
        return depths(wanted.of_points) == lists and depths(wanted.of_clouds) <= {0}
    links = (wanted.members.owner, wanted.members.index)
    jets = [each for each in wanted.of_clouds if each.startswith(wanted.members.jets)]
    return depths((*wanted.of_points, *links, *jets)) == {1}


def needed(columns: Columns) -> tuple[str, ...]:
    """Names of the columns of a table that are needed, each once."""
    links = (columns.members.owner, columns.members.index) if columns.members else ()
    event = (columns.event,) if columns.event not in ("", "file") else ()
    every = (*event, *columns.of_points, *columns.of_clouds, *links)
    return tuple(dict.fromkeys(places(each)[0] for each in every))


def _collections(preset: Preset, columns: Iterable[str]) -> list[str]:
    """Names that may stand for ``{collection}``: by the columns that begin with them."""
    if not preset.collection:
        return [""]
    found: dict[str, None] = {}
    for words in preset.words:
        first = next(
            name for name in needed(preset._merged(_filled(words, _MARK), {})) if _MARK in name
        )
        pattern = re.compile(re.escape(first).replace(re.escape(_MARK), "(.+)"))
        found |= {m[1]: None for name in columns if (m := pattern.fullmatch(name))}
    return list(found)


def _filled(value: Any, collection: str) -> Any:
    """A value with the collection in its texts."""
    if isinstance(value, str):
        return value.replace(_MARK, collection)
    if isinstance(value, dict):
        return {_filled(k, collection): _filled(each, collection) for k, each in value.items()}
    return [_filled(each, collection) for each in value] if isinstance(value, list) else value


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [] if value is None else [value]
