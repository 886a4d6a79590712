"""From a run or a checkpoint to a model that samples: ``pcgen.load``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from pcgen.errors import ArgumentError, CheckpointError, DataError
from pcgen.models.base import GenerativeModel
from pcgen.recipes import RECIPES, recorded
from pcgen.recipes.find import find_recipe, made
from pcgen.schema import Schema
from pcgen.training import RunFolder, install
from pcgen.training.checkpoint import Checkpoint, read


def load(
    path: str | Path,
    *,
    recipe: Callable[..., GenerativeModel] | str | None = None,
    device: str | torch.device = "cpu",
) -> GenerativeModel:
    """The trained model of a run, ready to sample.

    Args:
        path: A run's folder (its best checkpoint on the validation split is taken, the last where
            none was chosen) or a checkpoint.
        recipe: The function that builds the model from the stored arguments, or its name,
            ``"module:function"``. None: the recipe of pcgen that the checkpoint names; nothing else
            is ever built, and no module that a checkpoint names is imported.
        device: Where the model shall compute.

    Raises:
        ArgumentError: the device is unknown or not there, or there is no such ``module:function``.
        CheckpointError: the checkpoint is missing, damaged, foreign, of another version, names an
            unknown recipe, or its state does not fit.
    """
    file = find(path)
    state = read(file)
    model = build(file, state, recipe)
    install(file, model, state)
    try:
        torch.zeros(1, device=device).item()  # the device "meta" has no numbers
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ArgumentError(
            f"device: got {str(device)!r}, expected one that works ({reason})"
        ) from error


def find(path: str | Path) -> Path:
    """The checkpoint that stands for ``path``: itself, or the best, last or newest one of a run.

    Raises:
        CheckpointError: there is none, or none that is whole.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    run = RunFolder(path)
    for file in (run.best, run.last):
        if file.exists():
            return file
    if found := run.newest():  # both were lost, a numbered one was not
        return found[0]
    raise CheckpointError(f"{path}: holds no checkpoint, expected the folder of a run")


def build(
    path: str | Path, state: Checkpoint, recipe: Callable[..., GenerativeModel] | str | None = None
) -> GenerativeModel:
    """The untrained model that a checkpoint describes.

    Raises:
        ArgumentError: there is no such ``module:function``.
        CheckpointError: the recipe is unknown, or does not take the stored arguments.
    """
    name, arguments = recorded(state.recipe or "", state.arguments)
    if recipe is None:
        chosen = RECIPES.get(name)
    else:
        chosen = find_recipe(recipe) if isinstance(recipe, str) else recipe
    if chosen is None:
        given = f'"{name}"' if ":" in name else "your_function"
        raise CheckpointError(
            f"{path}: names the recipe {state.recipe!r}, expected one of pcgen's own "
            f"({', '.join(RECIPES)}); give recipe={given} (--recipe on the command line) for a "
            "model of your own"
        )
    try:
        model = made(name, chosen, arguments if recipe is None else state.arguments)
    except ArgumentError as error:
        raise CheckpointError(
            f"{path}: its arguments do not fit the recipe {state.recipe!r} ({error})"
        ) from error
    try:
        difference = model.schema.difference(Schema.from_dict(state.schema))
    except DataError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if difference is not None:
        raise CheckpointError(
            f"{path}: was trained on clouds of another schema than the recipe {state.recipe!r} "
            f"makes: {difference}"
        )
    return model
