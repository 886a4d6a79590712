"""The file of a study: YAML of plain values, multiplied out to rows; docs/studies.md has its keys.

An entry of ``rows`` stands for as many rows as the values of its factors and its seeds make: lists
are multiplied out, and ``{factor}`` in any of its texts is the value that the row has. What an
entry does not give is that of the whole study.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pcgen.errors import ArgumentError, FileError
from pcgen.tools.comparison.questions import Question
from pcgen.tools.comparison.results import Factors, Value
from pcgen.tools.comparison.study import SAMPLE, STUDIES, TRAIN, Budget, Data, Row, Study
from pcgen.tools.options import MisuseError, Option, plain
from pcgen.tools.parser import near

__all__ = ["built", "check", "find", "read"]

_OF_ENTRY = ("recipe", "options", "real", "on_grid", "sides", "facts", "seeds")
_OF_BOTH = ("data", "grid", "protocol", "budget", "events", "permutations", "train")
_WORD = re.compile(r"[A-Za-z0-9.+-]+")


def find(where: str) -> Path:
    """The file of a study: itself, its folder, or the name of one that comes with the source.

    Raises:
        FileError: there is none.
    """
    path = Path(where)
    own = sorted(file.parent.name for file in STUDIES.glob("*/study.yaml"))
    named = [STUDIES / where / "study.yaml"] if where in own else []
    for file in (path, path / "study.yaml", *named):
        if file.is_file():
            return file
    names = f", or one of {', '.join(own)}" if own else ""
    raise FileError(f"{where}: no such study, expected a file, a folder with study.yaml{names}")


def read(where: str, changes: Mapping[str, Any] | None = None, seeds: int | None = None) -> Study:
    """Read a study.

    Args:
        where: See :func:`find`.
        changes: Settings that take the place of those in the file, key by key; files in it are
            those of the current folder.
        seeds: Seeds of each row that does not have its own number of them.

    Raises:
        ArgumentError: a key is unknown or missing, or a value cannot be used; naming its place.
        FileError: the file cannot be read.
    """
    from pcgen.bounds import TEXT, regular_file
    from pcgen.plain_yaml import parse_yaml

    file = find(where).resolve()
    TEXT.check(regular_file(file).stat().st_size, str(file))
    try:
        found = parse_yaml(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileError(f"{file}: is no YAML ({' '.join(str(error).split())})") from error
    if not isinstance(found, dict):
        raise FileError(f"{file}: got a {type(found).__name__}, expected the keys of a study")
    found = {**found, "data": _data(found.get("data", {}), file.parent)}
    changed = _plain(changes or {})
    if "data" in changed:
        changed["data"] = _data(changed["data"], Path.cwd())
    found = _merged(found, changed)
    try:
        return _study(file, found if seeds is None else {**found, "seeds": seeds})
    except ArgumentError as error:
        raise ArgumentError(f"{Path(where)}: {error}") from error


def _study(file: Path, found: dict[str, Any]) -> Study:
    known = ("title", "factors", "scores", "rows", "questions", "text", "page", "seeds", *_OF_BOTH)
    _check_keys("", found, known)
    factors = _factors(found.get("factors", ["name"]))
    reserved = [name for name in factors if name in (*_OF_ENTRY, *_OF_BOTH)]
    if reserved:
        raise ArgumentError(f"factors: got {reserved[0]!r}, expected none of the keys of a row")
    rows: list[Row] = []
    for k, each in enumerate(_value("rows", list, found.get("rows", []))):
        entry = _value(f"rows[{k}]", dict[str, Any], each)
        own = {"data": _data(entry["data"], file.parent)} if "data" in entry else {}
        rows += _rows(f"rows[{k}]", {**entry, **own}, found, factors)
    if not rows:
        raise ArgumentError("rows: got none, expected at least one")
    twice = {row.name for row in rows if sum(row.name == other.name for other in rows) > 1}
    if twice:
        raise ArgumentError(f"rows: got {sorted(twice)[0]} twice, expected other values of factors")
    for row in rows:
        for name, value in row.factors.items():
            factors[name].setdefault(value, "")
    questions = [
        built(f"questions[{k}]", Question, each)
        for k, each in enumerate(_value("questions", list, found.get("questions", [])))
    ]
    for question in questions:
        question.check(factors)
    scores = found.get("scores", {})
    return Study(
        file=file,
        title=_value("title", str, found.get("title", file.parent.name)),
        factors=factors,
        scores={str(k): str(v or k) for k, v in _pairs("scores", scores).items()},
        rows=tuple(rows),
        questions=tuple(questions),
        text=_value("text", str, found.get("text", "")) if found.get("text") else "",
        page=tuple(_value("page", list, found.get("page", []))),
    )


def _factors(found: Any) -> dict[str, dict[Value, str]]:
    """The values of each factor and what they are called, as far as the file lists them."""
    return {
        str(name): {k: str(v or "") for k, v in _pairs(f"factors: {name}", values or {}).items()}
        for name, values in _pairs("factors", found).items()
    }


def _pairs(place: str, found: Any) -> dict[Any, Any]:
    """A dictionary; a list is one without values."""
    if isinstance(found, list):
        return dict.fromkeys(found)
    if not isinstance(found, dict):
        raise ArgumentError(f"{place}: got {found!r}, expected a list, or NAME: LABEL")
    return found


def _data(found: Any, folder: Path) -> dict[str, Any]:
    """The events of a study; a file or a list of them stands for its files."""
    if not isinstance(found, dict):
        found = {"files": found}
    files = found.get("files")
    if files is None:
        return found
    names = [files] if isinstance(files, str) else files
    if not isinstance(names, list):
        raise ArgumentError(f"data: files: got {files!r}, expected a file or a list of them")
    placed = [name if name == SAMPLE else str(folder / str(name)) for name in names]
    return {**found, "files": placed}


def _plain(value: Any) -> Any:
    """Texts of a command line as the values that they are in YAML: 20 is a number."""
    from pcgen.plain_yaml import parse_yaml

    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    try:
        return parse_yaml(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two dictionaries, the values of the second one before those of the first."""
    found = dict(one)
    for name, value in other.items():
        known = found.get(name)
        if isinstance(known, Mapping) and isinstance(value, Mapping) and name != "budget":
            found[name] = _merged(known, value)
        else:
            found[name] = value
    return found


def _rows(
    place: str, entry: dict[str, Any], study: dict[str, Any], factors: Mapping[str, Any]
) -> Iterator[Row]:
    """The rows that an entry stands for, all of a seed first."""
    _check_keys(place, entry, (*factors, *_OF_ENTRY, *_OF_BOTH))
    missing = [name for name in factors if name not in entry]
    if missing:
        raise ArgumentError(
            f"{place}: got no {missing[0]}, expected a value of that factor, or several"
        )
    values = [each if isinstance(each := entry[name], list) else [each] for name in factors]
    seeds = entry.get("seeds", study.get("seeds", 1))
    if type(seeds) is int:
        seeds = list(range(seeds))
    seeds = _value(f"{place}: seeds", list[int], seeds)
    if not seeds or min(seeds) < 0 or not all(values):
        raise ArgumentError(f"{place}: got no seed or no value of a factor, expected some")
    for seed, *chosen in product(seeds, *values):
        yield _row(place, entry, study, dict(zip(factors, chosen, strict=True)), seed)


def _row(
    place: str, entry: dict[str, Any], study: dict[str, Any], factors: Factors, seed: int
) -> Row:
    for name, value in factors.items():
        if isinstance(value, bool) or not _WORD.fullmatch(str(value)):
            raise ArgumentError(
                f"{place}: {name}: got {value!r}, expected letters, digits, hyphens and points"
            )
    own = {name: value for name, value in entry.items() if name not in (*factors, "seeds")}
    both = {name: study[name] for name in _OF_BOTH if name in study}
    if "protocol" in own:
        both.pop("protocol", None)
    try:
        found = _filled(_merged(both, own), factors)
    except KeyError as error:
        known = ", ".join(factors)
        raise ArgumentError(
            f"{place}: got {{{error.args[0]}}}, expected a factor: {known}"
        ) from error
    protocol = found.get("protocol", "pcgen")
    found["protocol"] = {"name": protocol} if isinstance(protocol, str) else protocol
    found["data"] = built(f"{place}: data", Data, found.get("data", {}))
    found["budget"] = built(f"{place}: budget", Budget, found.get("budget", {}))
    train = _value(f"{place}: train", dict[str, Any], found.get("train", {}))
    _check_keys(f"{place}: train", train, TRAIN)
    row: Row = built(place, Row, {**found, "factors": factors, "seed": seed})
    if (row.recipe is None) == (row.real is None):
        raise ArgumentError(
            f"{place}: got recipe {row.recipe} and real {row.real}, expected one of them"
        )
    if row.events < 2 or row.permutations < 0:
        raise ArgumentError(
            f"{place}: got {row.events} events and {row.permutations} permutations, expected at "
            "least 2 and 0"
        )
    if not isinstance(row.protocol.get("name"), str):
        raise ArgumentError(f"{place}: protocol: got no name, expected one")
    return row


def _filled(value: Any, factors: Mapping[str, Value]) -> Any:
    """A value in whose texts ``{factor}`` is filled in; alone it keeps its type."""
    if isinstance(value, Mapping):
        return {key: _filled(each, factors) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, factors) for each in value]
    if not isinstance(value, str) or "{" not in value:
        return value
    alone = re.fullmatch(r"\{(\w+)\}", value)
    return factors[alone[1]] if alone else re.sub(r"\{(\w+)\}", lambda m: str(factors[m[1]]), value)


def built(place: str, kind: Callable[..., Any], found: Any) -> Any:
    """A dataclass of plain values, from the keys of a file."""
    given = _value(place, dict[str, Any], found)
    hints = get_type_hints(kind)
    _check_keys(place, given, [each.name for each in fields(kind)])  # type: ignore[arg-type]
    own = {
        k: v if hints[k] in _CLASSES else _value(f"{place}: {k}", hints[k], v)
        for k, v in given.items()
    }
    try:
        return kind(**own)
    except TypeError as error:
        missing = ", ".join(re.findall(r"'(\w+)'", str(error)))
        raise ArgumentError(f"{place}: got no {missing}, expected one") from error
    except ArgumentError as error:
        raise ArgumentError(f"{place}: {error}") from error


_CLASSES = (Data, Budget, Factors)


def _value(place: str, hint: Any, value: Any) -> Any:
    """A value of a file, converted to its type; dictionaries and lists of any values stay."""
    kind = get_origin(hint) or hint
    if kind in (dict, list) and get_args(hint) in ((), (str, Any), (Any,)):
        if not isinstance(value, kind):
            raise ArgumentError(f"{place}: got {value!r}, expected {plain(hint)}")
        return value
    try:
        return Option("value", hint, None, False, "").check(value)
    except MisuseError as error:
        raise ArgumentError(f"{place}: got {value!r}, expected {plain(hint)}") from error


def _check_keys(place: str, found: Mapping[Any, Any], known: Sequence[str]) -> None:
    for key in found:
        if key not in known:
            hint = near(str(key), known) or f", expected some of {', '.join(known)}"
            raise ArgumentError(f"{place}{': ' if place else ''}unknown key {key!r}{hint}")


def check(row: Row) -> None:
    """Refuse a row whose recipe does not take its options, before anything is trained.

    Raises:
        ArgumentError: naming row and option.
    """
    from pcgen.recipes.find import find_recipe
    from pcgen.tools.run_options import recipe_options, run_options
    from pcgen.tools.train import train

    run = run_options(train)
    groups = [("train", row.train, [option for option in run if option.name in TRAIN])]
    if row.recipe is not None:
        own = recipe_options(row.recipe, find_recipe(row.recipe), run)
        groups.append(("options", row.options, own))
    for place, given, options in groups:
        known = {option.name: option for option in options}
        _check_keys(f"row {row.name}: {place}", given, list(known))
        for name, value in given.items():
            _value(f"row {row.name}: {place}: {name}", known[name].hint, value)
