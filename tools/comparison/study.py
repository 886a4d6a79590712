"""A study: what is trained and judged, what was expected of it, and what its page looks like.

A row is one training; a study is a table of them (:mod:`.study_file` reads it). The values here are
plain ones, as they are recorded with a result.
"""

from __future__ import annotations

import fnmatch
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pcgen.errors import ArgumentError
from pcgen.tools.comparison.questions import Question
from pcgen.tools.comparison.results import Factors, Value

__all__ = [
    "SAMPLE",
    "STUDIES",
    "TRAIN",
    "Budget",
    "Data",
    "Row",
    "Study",
    "function_of",
    "use_modules",
]

STUDIES = Path(__file__).resolve().parents[1] / "studies"
"""Studies that come with the source, and not with what pip installs."""
SAMPLE = "jets"
"""The data that ship with pcgen, and that a study has where it names no others."""
TRAIN = (
    *("batch_size", "lr", "betas", "weight_decay", "schedule", "warmup", "clip", "phases", "ema"),
    *("accelerator", "precision", "validate_events"),
)
"""Options of ``pcgen train`` that a study may give."""


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
        data: What it is trained on and judged by.
        budget: How long it is trained.
        protocol: ``name`` of the protocol, and its options.
        recipe: What is trained; None where ``real`` events are judged.
        options: Of the recipe.
        train: Options of ``pcgen train``; the others have their defaults.
        grid: Cells in which events are compared; None compares them as they are.
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
    data: Data
    budget: Budget
    protocol: dict[str, Any]
    recipe: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    grid: str | None = None
    events: int = 1000
    permutations: int = 0
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
        text: Markdown that the page begins with.
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
