"""From a run, a checkpoint, weights or a shipped name to a model that samples: ``pcgen.load``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from pcgen import shipped
from pcgen.bounds import ARGUMENT, leaves
from pcgen.errors import ArgumentError, CheckpointError, DataError, at_least
from pcgen.models.base import GenerativeModel
from pcgen.models.stored import Stored
from pcgen.recipes import RECIPES, current
from pcgen.recipes.find import build_model, find_recipe
from pcgen.schema import Schema
from pcgen.training import RunFolder, install, weights
from pcgen.training.checkpoint import Checkpoint, check_fit

_SPARE = 2**20  # numbers beyond twice those of the state: constants that are built, not stored
_FEW = 100  # tensors beyond twice those of the state, of the same kind


def load(
    path: str | Path,
    *,
    recipe: Callable[..., GenerativeModel] | str | None = None,
    device: str | torch.device = "cpu",
) -> GenerativeModel:
    """The trained model of a run, ready to sample.

    Args:
        path: A run's folder (its best checkpoint on the validation split is taken, the last where
            none was chosen), a checkpoint (.ckpt), weights (.safetensors), or the name of a model
            that ships with pcgen (:mod:`pcgen.shipped`), where nothing of that name lies here.
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
    state = weights.read_model(file)
    model = build(file, state, recipe)
    install(file, model, state)
    check_device(device)
    return model.to(device)


def check_device(device: str | torch.device) -> None:
    """Refuse a device on which nothing can be computed.

    Raises:
        ArgumentError: it is unknown or not there.
    """
    try:
        torch.zeros(1, device=device).item()  # the device "meta" has no numbers
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ArgumentError(
            f"device: got {str(device)!r}, expected one that works ({reason})"
        ) from error


def write_weights(
    run: str | Path,
    output: str | Path,
    *,
    recipe: Callable[..., GenerativeModel] | str | None = None,
    events: int | None = None,
) -> Path:
    """Weights of a trained model to give away, which ``load`` takes like a checkpoint.

    Args:
        run: As in :func:`load`.
        output: File to write, ending in ``.safetensors``.
        recipe: As in :func:`load`.
        events: Most training events whose sizes and totals are kept, at least one; by default all
            that the model has.

    Returns:
        ``output``.

    Raises:
        ArgumentError: the output has another ending, or no event is to be kept.
        CheckpointError: as in :func:`load`.
        FileError: the output cannot be written.
    """
    if events is not None:
        at_least(1, events=events)
    file = find(run)
    model = load(file, recipe=recipe)
    for law in model.modules():
        if isinstance(law, Stored) and events is not None:
            law.thin(events)
    weights.write(output, model, weights.read_model(file))
    return Path(output)


def find(path: str | Path) -> Path:
    """The file that stands for ``path``: itself, the best, last or newest checkpoint of a run, or
    the weights of a shipped model.

    Raises:
        CheckpointError: there is none, or none that is whole.
    """
    if not os.path.lexists(path) and shipped.is_name(path):
        return shipped.weights(str(path))
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
    name, arguments = current(state.recipe or "", state.arguments)
    if recipe is None:
        chosen = RECIPES.get(name)
    else:
        chosen = find_recipe(recipe) if isinstance(recipe, str) else recipe
    if chosen is None:
        given = f'"{name}"' if ":" in name else "your_function"
        raise CheckpointError(
            f"{path}: names the recipe {state.recipe!r:.80}, expected one of pcgen's own "
            f"({', '.join(RECIPES)}); give recipe={given} (--recipe on the command line) for a "
            "model of your own"
        )
    if recipe is not None:
        arguments = state.arguments
    untrained = partial(_built, path, state, name or chosen.__name__, chosen, arguments)
    if chosen in RECIPES.values():
        _check_size(path, state, arguments, untrained)
    model = untrained()
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


def _check_size(
    path: str | Path,
    state: Checkpoint,
    arguments: Mapping[str, Any],
    untrained: Callable[[], GenerativeModel],
) -> None:
    """Refuse arguments of another network than the one whose state is there, before it is built.

    The network is built on the device "meta" first, where numbers take no memory and no time.

    Raises:
        CheckpointError: it would be larger, or of another shape.
    """
    for key, argument in arguments.items():
        for value in leaves(argument, f"{path}: argument {key}", CheckpointError):
            if isinstance(value, int):
                ARGUMENT.check(abs(value), f"{path}: argument {key}", CheckpointError)
    with torch.device("meta"), _no_larger(state, f"{path}: its arguments"):
        model = untrained()
    check_fit(path, model, state.model)


@contextmanager
def _no_larger(state: Checkpoint, where: str) -> Iterator[None]:
    """What is built in this context may not have far more tensors or numbers than the state.

    Raises:
        CheckpointError: it has; at the first one too many, not at the end.
    """
    stored = len(state.model), sum(value.numel() for value in state.model.values())
    tensors, numbers = 0, 0

    def count(module: nn.Module, name: str, value: torch.Tensor | None) -> None:
        nonlocal tensors, numbers
        held = module._parameters.get(name, module._buffers.get(name))
        if held is not None and value is not None and value.numel() <= held.numel():
            return  # takes the place of another: each step of a power method does
        tensors, numbers = tensors + 1, numbers + (0 if value is None else value.numel())
        if tensors > 2 * stored[0] + _FEW or numbers > 2 * stored[1] + _SPARE:
            raise CheckpointError(
                f"{where}: got a network of {numbers} numbers in {tensors} tensors or more, "
                f"expected the {stored[1]} in {stored[0]} that are stored with them"
            )

    hooks = (
        register_module_parameter_registration_hook(count),
        register_module_buffer_registration_hook(count),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _built(
    path: str | Path,
    state: Checkpoint,
    name: str,
    recipe: Callable[..., GenerativeModel],
    arguments: Mapping[str, Any],
) -> GenerativeModel:
    """What the recipe makes of the arguments.

    Raises:
        CheckpointError: it does not take them.
    """
    # What arguments of any kind make of a network is open-ended; a user's function shows its own.
    own = recipe in RECIPES.values()
    expected: tuple[type[Exception], ...] = (Exception,) if own else (ArgumentError,)
    try:
        return build_model(name, recipe, arguments)
    except CheckpointError:
        raise
    except expected as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(
            f"{path}: its arguments do not fit the recipe {state.recipe!r} ({reason})"
        ) from error
