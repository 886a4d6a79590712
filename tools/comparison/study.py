"""A study: what is trained and judged, what was expected of it, and what its page looks like.

It is a YAML file of plain values; docs/studies.md describes its keys. A row is one training. An
entry of ``rows`` stands for as many of them as the values of its factors and its seeds make: lists
are multiplied out, and ``{factor}`` in any of its texts is the value that the row has. What an
entry does not give is that of the whole study.
"""

from __future__ import annotations

import fnmatch
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pcgen.errors import ArgumentError, FileError
from pcgen.tools.comparison.questions import Question
from pcgen.tools.options import MisuseError, Option, plain
from pcgen.tools.parser import near

Value = str | int | float
Factors = dict[str, Value]

STUDIES = Path(__file__).resolve().parents[1] / "studies"
"""Studies that come with the source, and not with what pip installs."""
SAMPLE = "jets"
"""The data that ship with pcgen, and that a study has where it names no others."""
TRAIN = (
    *("batch_size", "lr", "betas", "weight_decay", "schedule", "warmup", "clip", "phases", "ema"),
    *("accelerator", "precision", "validate_events"),
)
"""Options of ``pcgen train`` that a study may give."""
_OF_ENTRY = ("recipe", "options", "real", "on_grid", "sides", "facts", "seeds")
_OF_BOTH = ("data", "grid", "protocol", "budget", "events", "permutations", "train")
_WORD = re.compile(r"[A-Za-z0-9.+-]+")


@dataclass(frozen=True)
class Data:
    """The events of a row.

    Attributes:
        files: Clouds, beside the study or anywhere; ``jets`` are those that ship with pcgen.
        classes: These classes alone.
        max_points: Points that are kept of each event, the heaviest.
        within: A grid; points outside of it are no part of the events.
        split: Part of them that rows are judged on.
    """

    files: list[str] = field(default_factory=lambda: [SAMPLE])
    classes: list[str] | None = None
    max_points: int | None = None
    within: str | None = None
    split: str = "test"


@dataclass(frozen=True)
class Budget:
    """How long a row is trained.

    Attributes:
        steps: So many steps, or
        seconds: as many as so many CPU-seconds pay for.
    """

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            got = "neither" if self.steps is None else "both"
            raise ArgumentError(f"got {got} of steps and seconds, expected one of them")
        for name, value in asdict(self).items():
            if value is not None and not value > 0:
                raise ArgumentError(f"{name}: got {value}, expected a positive number")


@dataclass(frozen=True)
class Row:
    """One training, or real events in the place of generated ones, as plain values.

    Attributes:
        factors: What sets the row apart from others.
        seed: Of everything random.
        recipe: What is trained; None where ``real`` events are judged.
        options: Of the recipe.
        train: Options of ``pcgen train``; the others have their defaults.
        data: What it is trained on and judged by.
        budget: How long.
        grid: Cells in which events are compared; None compares them as they are.
        protocol: ``name`` of the protocol, and its options.
        events: Generated events that are judged, at most.
        permutations: Of the permutation tests of the scores; 0 leaves them out.
        sides: ``module:function`` that makes the two sides of the comparison and their schema of
            the model, events and a generator. None: events are drawn for the conditions of others.
        real: A split whose events are judged in the place of generated ones.
        on_grid: Whether these are put into the cells of the grid, as all other events are.
        facts: Numbers and words to be recorded with the row.
    """

    factors: Factors
    seed: int
    recipe: str | None
    options: dict[str, Any]
    train: dict[str, Any]
    data: Data
    budget: Budget
    grid: str | None
    protocol: dict[str, Any]
    events: int
    permutations: int
    sides: str | None = None
    real: str | None = None
    on_grid: bool = True
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Unique among the rows of a study, and fit for a file."""
        return "_".join([*map(str, self.factors.values()), f"s{self.seed}"])

    def settings(self, digests: Sequence[str] = ()) -> dict[str, Any]:
        """What the result depends on, without a place on this machine."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        del values["factors"], values["seed"]
        files = [Path(file).name for file in self.data.files]
        data = {**asdict(self.data), "files": files, "digests": list(digests)}
        return {**values, "data": data, "budget": asdict(self.budget)}


@dataclass(frozen=True)
class Study:
    """A study with its rows multiplied out.

    Attributes:
        file: Where it was read from.
        title: Of its page.
        factors: What rows differ in: the values of each, in order, and what they are called.
        scores: Scores that tables and figures show, by their names, and what they are called; the
            first one is that of figures. Empty: the first ones that rows have.
        rows: What is trained.
        questions: What was expected.
        text: What the page says first, in Markdown.
        page: The blocks of the page (:mod:`.page`); empty for the usual ones.
    """

    file: Path
    title: str
    factors: dict[str, dict[Value, str]]
    scores: dict[str, str]
    rows: tuple[Row, ...]
    questions: tuple[Question, ...]
    text: str
    page: tuple[Any, ...]

    def chosen(self, patterns: Sequence[str] | None, first: int = 0) -> list[Row]:
        """The rows whose names match one of some patterns of the shell, in order.

        Args:
            patterns: ``flow_*`` say; None: all.
            first: Is added to all seeds.

        Raises:
            ArgumentError: a pattern matches no row.
        """
        rows = [replace(row, seed=row.seed + first) for row in self.rows]
        names = [row.name for row in rows]
        for pattern in patterns or ():
            if not fnmatch.filter(names, pattern):
                some = ", ".join(names[:3])
                raise ArgumentError(f"only: got {pattern!r}, expected a pattern of rows: {some}")
        if patterns is None:
            return rows
        return [row for row in rows if any(fnmatch.fnmatch(row.name, each) for each in patterns)]

    def shared(self, digests: Sequence[str]) -> dict[str, Any]:
        """What trained rows have in common, plain values by name; a list where they differ.

        Args:
            digests: Of the files.
        """
        from pcgen.tools.train import train

        every: dict[str, list[Any]] = {}
        for row in [row for row in self.rows if row.recipe is not None] or self.rows:
            data = {**asdict(row.data), "files": [Path(file).name for file in row.data.files]}
            defaults = train.__kwdefaults__ or {}
            train_options = {k: defaults[k] for k in ("batch_size", "validate_events")}
            of_train = {name: row.train.get(name, value) for name, value in train_options.items()}
            own = {"events": row.events, "permutations": row.permutations}
            own["protocol"] = row.protocol["name"]
            for name, value in {**data, **asdict(row.budget), **own, **of_train}.items():
                if value not in every.setdefault(name, []):
                    every[name].append(value)
        alone = {name: values[0] if len(values) == 1 else values for name, values in every.items()}
        return {**alone, "digests": list(digests)}


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
    from pcgen.tools.configuration import parse_yaml

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
    listed = _value("rows", list, found.get("rows", []))
    entries = [_value(f"rows[{k}]", dict[str, Any], entry) for k, entry in enumerate(listed)]
    if not entries:
        raise ArgumentError("rows: got none, expected at least one")
    rows = [
        row for k, entry in enumerate(entries) for row in _rows(f"rows[{k}]", entry, found, factors)
    ]
    twice = {row.name for row in rows if sum(row.name == other.name for other in rows) > 1}
    if twice:
        raise ArgumentError(f"rows: got {sorted(twice)[0]} twice, expected other values of factors")
    for row in rows:
        for name, value in row.factors.items():
            factors[name].setdefault(value, "")
    questions = [
        _made(f"questions[{k}]", Question, each)
        for k, each in enumerate(found.get("questions", []))
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
    from pcgen.tools.configuration import parse_yaml

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
    if "data" in own:
        own["data"] = own["data"] if isinstance(own["data"], dict) else {"files": own["data"]}
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
    found["data"] = _made(f"{place}: data", Data, found.get("data", {}))
    found["budget"] = _made(f"{place}: budget", Budget, found.get("budget", {}))
    train = _value(f"{place}: train", dict[str, Any], found.get("train", {}))
    _check_keys(f"{place}: train", train, TRAIN)
    defaults: dict[str, Any] = {
        "recipe": None,
        "options": {},
        "grid": None,
        "events": 1000,
        "permutations": 0,
    }
    row = _made(place, Row, {**defaults, **found, "train": train, "factors": factors, "seed": seed})
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


def _made(place: str, kind: Callable[..., Any], found: Any) -> Any:
    """A dataclass of plain values, from what a file says."""
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


def use_modules(folder: Path) -> None:
    """Let modules beside a study be found by their names, as those of the current folder are."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def function_of(name: str, what: str) -> Callable[..., Any]:
    """A function by ``module:function``, from beside the study or installed.

    Raises:
        ArgumentError: there is none.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArgumentError(
            f"{what}: got {name!r} ({error}), expected module:function of a module beside the study"
        ) from error
