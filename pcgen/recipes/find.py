"""From the name of a recipe to its function and its model: pcgen's own, or those of a user.

Nothing heavy is imported here: ``pcgen train RECIPE --help`` reads signatures alone.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pcgen import recipes
from pcgen.errors import ArgumentError, PcgenError

if TYPE_CHECKING:
    from pcgen.models.base import GenerativeModel


def find_recipe(name: str) -> Callable[..., GenerativeModel]:
    """The recipe of this name.

    Args:
        name: One of ``RECIPES``, an older name of one (``ALIASES``), or ``module:function``: a
            function of the user's own that takes plain values and returns an untrained model. The
            module is imported as Python does it, from the current folder too.

    Raises:
        ArgumentError: there is no such recipe, module or function, or its arguments cannot be
            options: they have no type hints, or are ``*args`` or ``**kwargs``.
    """
    if ":" in name:
        return _own(name)
    chosen = recipes.RECIPES.get(recipes.ALIASES.get(name, name))
    if chosen is None:
        raise ArgumentError(f"recipe: got {name!r}, {_expected(name, list(recipes.RECIPES))}")
    return chosen


def build_model(
    name: str, function: Callable[..., GenerativeModel], arguments: Mapping[str, Any]
) -> GenerativeModel:
    """The untrained model that a recipe makes of its arguments.

    Args:
        name: Of the recipe, for errors.
        function: The recipe.
        arguments: Plain values.

    Raises:
        ArgumentError: the recipe does not take its arguments, or returns no model; or it is a
            user's own and raises an error, which is named with its line.
    """
    from pcgen.models.base import GenerativeModel

    try:
        model = function(**arguments)
    except PcgenError:
        raise
    except (Exception, SystemExit) as error:
        own = function not in recipes.RECIPES.values()
        if not own and not isinstance(error, TypeError):
            raise  # a fault of pcgen
        raise ArgumentError(f"recipe {name}: {_reason(error, with_place=own)}") from error
    if not isinstance(model, GenerativeModel):
        got = "nothing" if model is None else f"a {type(model).__name__}"
        raise ArgumentError(
            f"recipe {name}: returned {got}, expected an untrained model, a GenerativeModel"
        )
    return model


def check_lengths(model: GenerativeModel, largest: int) -> None:
    """Refuse to train a model that makes lists on clouds of up to ``largest`` points.

    Raises:
        ArgumentError: a list is shorter.
    """
    from pcgen.nn import ListField, MLPDecoder

    parts = [part for part in model.modules() if isinstance(part, MLPDecoder | ListField)]
    shortest = min((part.max_points for part in parts), default=largest)
    if shortest < largest:
        raise ArgumentError(
            f"list_length: got {shortest}, expected {largest} or more for events of up to "
            f"{largest} points (--list-length {largest}, or --max-points {shortest})"
        )


def _reason(error: BaseException, *, with_place: bool) -> str:
    """What was raised, in one line, and where in the source."""
    message = " ".join(str(error).split())
    if not with_place:
        return message
    # The first frame is the call in this file: without others the function was not entered.
    frames = traceback.extract_tb(error.__traceback__)[1:]
    if not frames:
        return message
    place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}"
    inside = f"{Path(frames[0].filename).name}, line {frames[0].lineno}"
    places = place if len(frames) == 1 or place == inside else f"{inside}, at {place}"
    return f"raised {type(error).__name__}{': ' if message else ''}{message} ({places})"


def _expected(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"expected one of {', '.join(known)}, or module:function"


def _own(name: str) -> Callable[..., GenerativeModel]:
    module_name, _, function_name = name.partition(":")
    if module_name.endswith(".py"):
        parts = Path(module_name).with_suffix("").parts
        meant = f"did you mean {'.'.join(parts)}:{function_name}?"
        if not all(part.isidentifier() for part in parts):
            meant = "expected a module of the current folder whose name is letters, digits and _"
        raise ArgumentError(f"recipe: got the file {module_name!r}, {meant}")
    if not all(part.isidentifier() for part in [*module_name.split("."), function_name]):
        raise ArgumentError(f"recipe: got {name!r}, expected module:function, models:my_gan say")
    module = _imported(module_name, name)
    function = getattr(module, function_name, None)
    if function is None:
        near = difflib.get_close_matches(function_name, vars(module), n=1)
        hint = f"did you mean {near[0]}?" if near else "expected one of its functions"
        raise ArgumentError(f"recipe {name}: module {module_name} has no {function_name!r}, {hint}")
    if not callable(function):
        kind = type(function).__name__
        raise ArgumentError(f"recipe {name}: got a value of type {kind}, expected a function")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            got = str(parameter).partition(":")[0]
            alone = " by its place alone" * (parameter.kind is parameter.POSITIONAL_ONLY)
            raise ArgumentError(f"recipe {name}: takes {got}{alone}, expected arguments with names")
        if parameter.name.startswith("_"):
            raise ArgumentError(
                f"recipe {name}: argument {parameter.name!r} cannot be an option, expected a name "
                "that begins with a letter"
            )
        if parameter.annotation is parameter.empty:
            raise ArgumentError(
                f"recipe {name}: argument {parameter.name!r} has no type hint, expected one: "
                f"{parameter.name}: int say"
            )
    return function


def _imported(module: str, name: str) -> ModuleType:
    """A user's module; the current folder is searched as by ``python -m``."""
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    # A module that was written a moment ago may not be in the cached listing of its folder.
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        # What a user's module raises when it is run is not ours to know.
        if (
            isinstance(error, ModuleNotFoundError)
            and error.name
            and f"{module}.".startswith(f"{error.name}.")
        ):
            raise ArgumentError(
                f"recipe {name}: no module {error.name!r} in {os.getcwd()} or among the installed "
                "ones"
            ) from error
        raise ArgumentError(
            f"recipe {name}: module {module} cannot be imported ({type(error).__name__}: {error})"
        ) from error
