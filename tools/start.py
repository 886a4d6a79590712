"""``pcgen train --start``: what a run starts from, and what it may change of it."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pcgen.errors import ArgumentError, DataError

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from pcgen.models.base import GenerativeModel
    from pcgen.schema import Schema
    from pcgen.training import Checkpoint

MEANING = (
    "schema",
    "context_schema",
    "grid",
    "calorimeter",
    "recentre",
    "rescale",
    "centre",
    "excess",
    "squash",
    "shift",
)
"""Arguments of recipes that say what the numbers of a network mean: the same wherever it goes."""
METHOD = (
    "add",
    "annealing",
    "beta",
    "burn_in",
    "coupling",
    "critic_steps",
    "drop",
    "free_bits",
    "game",
    "importance_samples",
    "instance_noise",
    "integration_steps",
    "jitter",
    "label_flipping",
    "label_seed",
    "label_smoothing",
    "labelled_fraction",
    "nearness",
    "noise",
    "penalty",
    "penalty_in_spreads",
    "prior_shape",
    "reconstruction",
    "regulariser",
    "share",
    "update",
    "walkback",
)
"""Arguments that leave every network as it is: a run may learn by another method than its start."""


class Start(NamedTuple):
    """What a run starts from, as it is recorded.

    Attributes:
        name: Absolute path of a run, checkpoint or weights, or the name of a shipped model.
        part: The part that is taken; None: all.
        digest: Of the file.
        before: Name and digest of the data that trained the source, and those it started from.
    """

    name: str
    part: str | None
    digest: str
    before: list[dict[str, Any]]

    @property
    def shown(self) -> str:
        """The name without the place."""
        return Path(self.name).name

    def facts(self) -> dict[str, Any]:
        """Entries of the configuration of a run, as they go into checkpoints."""
        return {
            "start": self.shown,
            "start_part": self.part,
            "start_digest": self.digest,
            "start_trained_on": self.before,
        }

    def give(self, model: GenerativeModel, recipe: str, function: Callable[..., Any]) -> None:
        """Put the parameters and scalings into an untrained model.

        Raises:
            ArgumentError: there is no such part.
            CheckpointError: the source is gone or damaged, or does not fit the model.
            DataError: it is not the file that the run was started from.
        """
        from pcgen.loading import find, load
        from pcgen.training import transfer, weights

        file = find(self.name)
        found = file_digest(file)
        if found != self.digest:
            raise DataError(
                f"{self.name}: got a model of digest {found}, expected digest {self.digest}, which "
                "the run was started from"
            )
        own = ":" in recipe and weights.read_model(file).recipe == recipe
        source = load(file, recipe=function if own else None)
        transfer.take(model, source, self.part, name=self.shown)


def opened(path: str, part: str | None) -> tuple[Start, Checkpoint]:
    """What is to be started from: its record, and what the file holds.

    Raises:
        CheckpointError: there is no such model, or it is damaged.
    """
    from pcgen.loading import find
    from pcgen.training import weights

    file = find(path)
    state = weights.read_model(file)
    name = os.path.realpath(path) if os.path.lexists(path) else path
    return Start(name, part, file_digest(file), trained_on(state.config)), state


def arguments(
    start: Start,
    state: Checkpoint,
    recipe: str,
    function: Callable[..., GenerativeModel],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Arguments of the recipe: those that are given, and for the others those of the source.

    Args:
        start: What is started from,
        state: and what its file holds.
        recipe: Name of the recipe to train,
        function: and what it stands for.
        given: The user's arguments.

    Raises:
        ArgumentError: the source is of another recipe, although all of it is to be taken; or given
            arguments would make another network or other units of it.
    """
    from pcgen.recipes import RECIPES, current

    own, stored = current(state.recipe or "", state.arguments)
    if start.part is None and own != recipe:
        raise ArgumentError(
            f"start: got {start.shown}, a model of the recipe {own}, expected one of {recipe}; "
            "start_part takes a part of it"
        )
    takes = inspect.signature(function).parameters
    foreign = METHOD if own != recipe else ()  # another method has its own
    # What was left out there had the defaults of that recipe, which may not be those of this one.
    of_source = inspect.signature(RECIPES[own]).parameters if own in RECIPES else {}
    stored = {key: each.default for key, each in of_source.items()} | stored
    stored = {key: v for key, v in stored.items() if key in takes and key not in foreign}
    given = {
        k: v for k, v in given.items() if not (k in ("schema", "grid", "calorimeter") and v is None)
    }
    differing = [
        key
        for key, value in given.items()
        if key in takes
        and (key in MEANING or (start.part is None and key not in METHOD))
        and _plain(value) != _plain(stored.get(key, takes[key].default))
    ]
    if differing:
        got, expected = (
            ", ".join(f"{_shown(values.get(key, takes[key].default))}" for key in differing)
            for values in (given, stored)
        )
        raise ArgumentError(
            f"{', '.join(differing)}: got {got}, expected {expected} as in {start.shown}; what is "
            "left out is as there"
        )
    return {**stored, **given}


def check_schema(start: Start, state: Checkpoint, schema: Schema, file: str) -> None:
    """Refuse data that mean something else than those that the source was trained on.

    Raises:
        DataError: naming the classes that it does not know, or what else differs.
    """
    from pcgen.schema import Schema

    known = Schema.from_dict(state.schema)
    unknown = [name for name in schema.labels if name not in known.labels]
    if unknown:
        raise DataError(
            f"{file}: got the classes {', '.join(unknown)}, which {start.shown} does not know, "
            f"expected {', '.join(known.labels) or 'none'}"
        )
    difference = known.difference(schema)
    if difference is not None:
        raise DataError(f"{file}: {difference} as {start.shown} was trained on")


def larger_events(start: Start, model: GenerativeModel, largest: int) -> str:
    """A line where events are larger than any that the start has seen; empty where none is.

    Args:
        start: What was given to the model,
        model: which holds its parameters and scalings.
        largest: Points of the largest event to train on.
    """
    fitted = model.representation
    if fitted is None or not int(fitted.cardinality.stored):
        return ""
    seen = int(fitted.cardinality.sizes.max())
    if largest <= seen:
        return ""
    return (
        f"events of up to {largest} points, where {start.shown} has seen {seen} at most: networks "
        f"go far beyond what they know (--max-points {seen} keeps the most energetic)"
    )


def recorded(config: Mapping[str, Any]) -> Start | None:
    """What a run was started from, by its configuration; None where from nothing."""
    if not isinstance(config.get("start"), str):
        return None
    before = config.get("start_trained_on")
    return Start(
        config["start"],
        config.get("start_part"),
        str(config.get("start_digest")),
        before if isinstance(before, list) else [],
    )


def trained_on(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Name and digest of all data that trained a model, those of its starts among them."""
    names = [Path(str(each)).name for each in config.get("data", ())]
    digests = config.get("digests") or [None] * len(names)
    own = [{"name": n, "digest": d} for n, d in zip(names, digests, strict=False)]
    return [*own, *(config.get("start_trained_on") or ())]


def file_digest(file: Path) -> str:
    """Of the bytes of a file, 32 hexadecimal digits."""
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    """As JSON gives it back: tuples are lists."""
    return json.loads(json.dumps(value, default=str))


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
