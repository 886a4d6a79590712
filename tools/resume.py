"""``pcgen resume``: go on with a run by its folder alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcgen.errors import ArgumentError, DataError, FileError, at_least

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from pcgen.tools.train import Plan

_WANTED = {"recipe": str, "arguments": dict, "data": list, "events": int, "batch_size": int}
"""What ``pcgen train`` records besides the options that training knows."""


def resume(
    run: str,
    *,
    steps: int | None = None,
    data: list[str] | None = None,
    context: list[str] | None = None,
    recipe: str | None = None,
    progress: bool = True,
) -> Path:
    """Go on with a run of pcgen train, exactly as it would have gone on without the interruption.

    Everything that it was started with is read from its folder: recipe, data, options. Whatever
    would change what a step learns stays as it is.

    Args:
        run: Folder of the run.
        steps: Length of the run, from its beginning; by default the one that was planned. A longer
            run goes on beyond its end.
        data: The same files at another place, in the same order; by default where they were.
        context: The same files of contexts at another place, likewise.
        recipe: The user's own recipe, module:function, where the run was trained with one: a file
            never decides what code is run.
        progress: Show losses and time left: a bar, or lines where there is no terminal.

    Returns:
        The folder of the run.

    Raises:
        ArgumentError: the recipe is missing or unknown, or steps is not positive.
        CheckpointError: the last checkpoint is damaged or does not fit.
        DataError: the data are not those that the run was started with.
        FileError: the folder is no run of pcgen train, or its data are not where they were.
        TrainingError: a loss or a gradient is not finite.
    """
    at_least(1, steps=steps)

    from pcgen import training
    from pcgen.tools.training_data import check_data, open_data

    folder = training.RunFolder(run)
    stored = folder.config()
    config = _by_present_names(stored)
    plan = _plan(folder.path, config, steps, recipe, progress)
    files = _files(folder.path, config["data"], data)
    others = config.get("context")
    if others is None and context is not None:
        raise ArgumentError(f"context: got {', '.join(context)}, expected none as in {folder.path}")
    contexts = None if others is None else _files(folder.path, others, context, "context")
    events = open_data(files, config.get("classes"), config.get("max_points"), contexts)
    if len(events.train) != config["events"]:
        raise DataError(
            f"{', '.join(events.files)}: got {len(events.train)} events to train on, expected the "
            f"{config['events']} that {folder.path} was started with"
        )
    check_data(folder, events.files, events.train.digests())
    if events.contexts is not None and events.train.contexts is not None:
        digests = events.train.contexts.digests()
        check_data(folder, events.contexts, digests, "context_digests")
    model = plan.build(events)
    config["data"] = events.files if data is not None else config["data"]
    if context is not None:
        config["context"] = events.contexts
    if config != stored and training.first_process():
        folder.amend(config)
    return plan.run(events, model, folder.path)


def _by_present_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a run of any version, with the present names of recipe and arguments."""
    from pcgen.recipes import current

    name, arguments = config.get("recipe"), config.get("arguments")
    if not isinstance(name, str) or not isinstance(arguments, dict) or ":" in name:
        return dict(config)
    name, arguments = current(name, arguments)
    return {**config, "recipe": name, "arguments": arguments}


def _plan(
    folder: Path, config: Mapping[str, Any], steps: int | None, recipe: str | None, progress: bool
) -> Plan:
    """What a run was started with.

    Raises:
        ArgumentError: the recipe is missing or unknown.
        FileError: its configuration does not say it.
    """
    from pcgen.recipes.find import find_recipe
    from pcgen.tools.start import recorded
    from pcgen.tools.train import Plan
    from pcgen.training import Machine, Optimiser, Reports

    file = folder / "config.json"
    for name, kind in _WANTED.items():
        if not isinstance(config.get(name), kind):
            raise FileError(
                f"{file}: got {config.get(name)!r} as {name!r}, expected what pcgen train records; "
                "a run that Python started goes on by the same call"
            )
    name = config["recipe"]
    if recipe is None and ":" in name:
        raise ArgumentError(
            f"{folder}: was trained with the user's own recipe {name!r}, expected --recipe {name} "
            "beside the folder"
        )
    function = find_recipe(name if recipe is None else recipe)
    try:
        return Plan(
            recipe=name,
            function=function,
            arguments=config["arguments"],
            batch_size=config["batch_size"],
            steps=config["steps"] if steps is None else steps,
            seed=config["seed"],
            optimiser=Optimiser(**config["optimiser"]),
            phases=config["phases"],
            ema=config["ema"],
            machine=Machine(**config["machine"]),
            reports=dataclasses.replace(Reports(**config["reports"]), progress=progress),
            # Older runs do not say these; what they change is not what is learnt.
            validate_events=config.get("validate_events", 1000),
            samples=config.get("samples", 1000),
            start=recorded(config),
        )
    except (KeyError, TypeError) as error:
        raise FileError(
            f"{file}: does not fit this pcgen ({type(error).__name__}: {error}), expected what "
            "pcgen train records"
        ) from error


def _files(
    folder: Path, recorded: Sequence[str], given: Sequence[str] | None, option: str = "data"
) -> Sequence[str]:
    """The files to train on.

    Raises:
        ArgumentError: other files were given than as many.
        FileError: one is not where it was.
    """
    if given is not None:
        if len(given) != len(recorded):
            raise ArgumentError(
                f"{option}: got {len(given)} files, expected the {len(recorded)} of {folder}: "
                f"{', '.join(map(str, recorded))}"
            )
        return given
    for path in map(str, recorded):
        if "%" not in path and not Path(path).exists():
            raise FileError(
                f"{path}: no such file, but {folder} is trained on it; if it has another place, "
                f"give it: pcgen resume {folder} --{option} FILE"
            )
    return recorded
