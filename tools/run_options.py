"""The options of ``pcgen train``: those of a run in their groups, and a recipe's beside them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pcgen.errors import ArgumentError
from pcgen.recipes import ALIASES, RECIPES, current
from pcgen.tools.options import MisuseError, Option, options_of
from pcgen.tools.parser import listed, loaded

GROUPS: dict[str, tuple[str, ...]] = {
    "data": ("data", "context", "classes", "max_points", "batch_size", "output", "seed"),
    "start": ("start", "start_part"),
    "optimisation": (
        "steps",
        "lr",
        "betas",
        "weight_decay",
        "schedule",
        "warmup",
        "clip",
        "phases",
        "ema",
    ),
    "machine": ("accelerator", "devices", "nodes", "strategy", "precision"),
    "reports": (
        "log_every",
        "checkpoint_every",
        "validate_every",
        "validate_events",
        "keep",
        "samples",
        "progress",
    ),
}
"""The options of a run by what they are about, as help lists them."""

_RESERVED = ("config", "print_config", "help", "recipe")
_NESTED = ("optimiser", "machine", "reports", "arguments")
_RENAMED = {"num_nodes": "nodes"}
_FACTS = ("events", "validate_at", "digests", "split", "start_digest", "start_trained_on")
"""What a run's config.json records and no option sets."""


def run_options(train: Callable[..., Any]) -> list[Option]:
    """The options of a run, whatever the recipe."""
    return options_of(train, skip=("recipe", "recipe_arguments"), positional=False)


def recipe_options(name: str, recipe: Callable[..., Any], run: Sequence[Option]) -> list[Option]:
    """The options of a recipe.

    Raises:
        ArgumentError: one has the name of an option of the run, or its type is not plain.
    """
    try:
        own = options_of(recipe, positional=False)
    except ArgumentError as error:
        raise ArgumentError(f"recipe {name}: {error}") from error
    taken = {option.word for option in run} | {word.replace("_", "-") for word in _RESERVED}
    for option in own:
        if ":" in name and not option.required and option.default is not None:
            _check_default(name, option)
        if option.word in taken:
            raise ArgumentError(
                f"recipe {name}: its argument {option.name!r} has the name of the option "
                f"--{option.word} of every run, expected another name"
            )
    return own


def of_other_recipes(word: str) -> str:
    """What to say of an option that other recipes have: which they are; empty where none does.

    >>> of_other_recipes("modes")
    ', which other recipes have: points-gan, image-gan, sites-gan'
    """
    name = word.replace("-", "_")
    found = [each for each, make in RECIPES.items() if name in inspect.signature(make).parameters]
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return f", which other recipes have: {', '.join(found[:4])}{more}" if found else ""


def _check_default(recipe: str, option: Option) -> None:
    """Refuse a default that the option itself would not take."""
    try:
        option.check(listed(option.default))
    except MisuseError as error:
        raise ArgumentError(
            f"recipe {recipe}: the default of its argument {option.name!r} does not fit its type "
            f"({error})"
        ) from error


def grouped(options: Sequence[Option]) -> dict[str, list[Option]]:
    """Options under the titles of ``GROUPS``, and under "others" what is in none."""
    by_name = {option.name: option for option in options}
    groups = {
        title: [by_name.pop(name) for name in names if name in by_name]
        for title, names in GROUPS.items()
    }
    groups["others"] = list(by_name.values())
    return {title: members for title, members in groups.items() if members}


def run_config(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """The options in a configuration: as they are, or as a run's config.json groups them.

    Raises:
        MisuseError: it is that of a run of another recipe.
    """
    if "recipe" not in found:
        return dict(found)
    given = found.get("arguments")
    recipe, arguments = current(str(found["recipe"]), given if isinstance(given, dict) else {})
    if recipe != ALIASES.get(name, name):
        raise MisuseError(f"recipe: got a run of {recipe}, expected one of {name}")
    values: dict[str, Any] = {}
    for key, value in {**found, "arguments": arguments}.items():
        if key in _NESTED and isinstance(value, dict):
            facts = () if key == "arguments" else _FACTS
            values |= {_RENAMED.get(str(k), str(k)): v for k, v in value.items() if k not in facts}
        elif key not in ("recipe", *_FACTS):
            values[key] = value
    return values


def recipe_in(paths: Sequence[str]) -> list[str]:
    """The recipe that a run's config.json names, as the word that stands before the options."""
    try:
        found = loaded(paths[0]) if paths else None
    except MisuseError:
        return []
    return [str(found["recipe"])] if isinstance(found, dict) and "recipe" in found else []
