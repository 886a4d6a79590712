"""``pcgen train``: train one of the recipes, or go on where a run was stopped."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pcgen.errors import ArgumentError, DataError
from pcgen.schema import Schema

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from rich.console import Console
    from torch_geometric.data import Batch

    from pcgen.datasets.loading import CloudDataset
    from pcgen.models.base import GenerativeModel

ADVERSARIAL = {"lr": 2e-3, "betas": (0.0, 0.9)}


def train(
    recipe: str,
    recipe_arguments: dict[str, Any] | None = None,
    *,
    data: list[str] | None = None,
    output: str | None = None,
    classes: list[str] | None = None,
    max_points: int | None = None,
    steps: int = 5000,
    batch_size: int = 128,
    seed: int = 0,
    lr: float = 5e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
    schedule: Literal["constant", "cosine"] = "cosine",
    warmup: int = 50,
    clip: float | None = 5.0,
    phases: dict[str, dict[str, Any]] | None = None,
    ema: float | None = 0.999,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true",
    log_every: int = 50,
    checkpoint_every: int = 500,
    validate_every: int = 500,
    validate_events: int = 1000,
    keep: int = 2,
    samples: int = 1000,
    progress: bool = True,
) -> Path:
    """Train a generative model on clouds, or go on where the run was stopped.

    A run is a folder of plain files: configuration, log, checkpoints, samples, figures. The same
    command on the same folder takes an interrupted run up at its last checkpoint, exactly; with
    more steps it goes on beyond its end. What is fitted sees the training split only; the best
    checkpoint is the one with the smallest mean distance (Wasserstein-1, in standard deviations) of
    mass, multiplicity and the other observables on the validation split.

    Args:
        recipe: Name of the model, or module:function of the user's own recipe.
        recipe_arguments: Arguments of the recipe.
        data: Files of clouds (.h5, JetNet's .hdf5); by default the jets that ship with pcgen.
        output: Folder of the run, runs/RECIPE by default.
        classes: Train on these classes only, [g, t] say.
        max_points: Keep that many points of each event, the most energetic.
        steps: Length of the run. Models that train in stages divide it among them.
        batch_size: Events in a batch, of each device.
        seed: Of all randomness; the same seed gives the same model.
        lr: Learning rate (its maximum) of Adam.
        betas: Decay of Adam's running means of gradient and squared gradient.
        weight_decay: Decoupled weight decay (AdamW).
        schedule: Course of the learning rate; cosine falls to zero.
        warmup: Steps in which the learning rate rises.
        clip: Largest norm of a gradient.
        phases: Different options of one phase of the training, {critic: {lr: 0.0001}} say. By
            default critic and generator of a GAN have no momentum, as its penalty wants.
        ema: Decay of the running average of the weights, which samples are drawn with.
        accelerator: Kind of device: auto, cpu, cuda.
        devices: Number of devices of each machine.
        nodes: Number of machines.
        strategy: How several devices work together: auto, ddp, ddp_spawn.
        precision: Arithmetic; bf16-mixed and 16-mixed are faster on a GPU.
        log_every: Steps between rows of metrics.csv.
        checkpoint_every: Steps between checkpoints.
        validate_every: Steps between validations.
        validate_events: Most events of the validation split that are looked at.
        keep: Numbered checkpoints that stay, besides the last and the best.
        samples: Events to generate once trained, into the run's folder; 0 for none.
        progress: Draw a progress bar.

    Returns:
        The folder of the run.

    Raises:
        ArgumentError: an option cannot be used, or is not what the run was started with.
        DataError: the clouds cannot be trained on.
        FileError: a file cannot be read, or the folder is not a run or cannot be written.
        TrainingError: a loss or a gradient is not finite.
    """
    from rich.console import Console

    from pcgen import training
    from pcgen.tools.sample import sample
    from pcgen.tools.validation import Validation, is_plain_autoencoder
    from pcgen.training import Machine, Optimiser, Reports

    folder = Path(output or f"runs/{recipe.replace(':', '-')}")
    chosen: dict[str, Any] = {"classes": classes, "max_points": max_points}
    parts = _assemble(recipe, recipe_arguments, data, chosen, seed)
    validation = Validation(spread(parts.held_out, validate_events))
    console, number = Console(soft_wrap=True), len(parts.clouds)
    if training.first_process():
        console.print(f"{recipe}: {number} events, {steps} steps of {batch_size}, in {folder}")
    training.train(
        parts.model,
        parts.clouds.batches(batch_size, seed),
        folder=folder,
        steps=steps,
        seed=seed,
        optimiser=Optimiser(lr, betas, weight_decay, schedule, warmup, clip),
        phases=_adversarial(parts.model) if phases is None else phases,
        ema=ema,
        machine=Machine(accelerator, devices, nodes, strategy, precision),
        reports=Reports(log_every, checkpoint_every, validate_every, keep, progress),
        validate=validation,
        recipe=recipe,
        arguments=parts.arguments,
        config={"data": parts.files, "events": number, **chosen, "batch_size": batch_size},
    )
    if training.first_process():
        _draw_curves(folder, validation.labels(parts.model.schema))
        _tell(folder, console)
        if samples and not is_plain_autoencoder(parts.model):
            own = recipe if ":" in recipe else None
            file = str(folder / "samples" / "samples.h5")
            sample(str(folder), file, number=samples, seed=seed, recipe=own)
    return folder


class _Parts(NamedTuple):
    """What a training needs, checked: data that are there, and a model that is made for them."""

    files: list[str]
    clouds: CloudDataset
    held_out: CloudDataset
    model: GenerativeModel
    arguments: dict[str, Any]


def _assemble(
    recipe: str,
    arguments: dict[str, Any] | None,
    data: list[str] | None,
    chosen: dict[str, Any],
    seed: int,
) -> _Parts:
    from pcgen.datasets.jets import SAMPLE
    from pcgen.datasets.loading import open_clouds
    from pcgen.recipes.find import find_recipe

    find_recipe(recipe)
    files = [str(Path(path).resolve()) for path in data or [str(SAMPLE)]]
    clouds, held_out = (open_clouds(files, split, **chosen) for split in ("train", "validation"))
    if not bool(clouds.sizes().any()):
        raise DataError(
            f"{', '.join(files)}: got {len(clouds)} events without a point, expected some with one"
        )
    model, resolved = build(recipe, dict(arguments or {}), clouds.schema, seed)
    check_schema(model, clouds.schema, files)
    return _Parts(files, clouds, held_out, model, resolved)


def spread(clouds: CloudDataset, number: int) -> Batch:
    """At most so many clouds from all over a data set, whose file may be sorted by class.

    Raises:
        ArgumentError: the number is not positive.
    """
    import torch

    if number < 1:
        raise ArgumentError(f"validate_events: got {number}, expected >= 1")
    chosen = torch.linspace(0, len(clouds) - 1, min(number, len(clouds)), dtype=torch.float64)
    return clouds.gather(chosen.round().long())


def _adversarial(model: GenerativeModel) -> dict[str, dict[str, Any]]:
    """Options of critic and generator, where the model has them (arXiv:1704.00028, Algorithm 1)."""
    names = {phase.name for phase in model.phases()}
    return {name: dict(ADVERSARIAL) for name in ("critic", "generator") if name in names}


def build(
    recipe: str, arguments: dict[str, Any], schema: Schema, seed: int
) -> tuple[GenerativeModel, dict[str, Any]]:
    """The untrained model of a recipe for clouds of this schema, and its resolved arguments.

    A recipe that takes a ``schema`` and was given none gets that of the clouds, unless it is made
    for them anyway.

    Raises:
        ArgumentError: the recipe does not take such arguments.
    """
    import torch

    from pcgen.recipes.find import find_recipe
    from pcgen.training import ranks

    function = find_recipe(recipe)
    try:
        with ranks.own_randomness(torch.device("cpu"), seed, 4):
            model = function(**arguments)
        open_minded = "schema" in inspect.signature(function).parameters
        if difference(model.schema, schema) and open_minded and not arguments.get("schema"):
            return build(recipe, {**arguments, "schema": schema.to_dict()}, schema, seed)
    except TypeError as error:
        raise ArgumentError(f"recipe {recipe!r}: {error}") from error
    return model, arguments


def difference(one: Schema, other: Schema) -> str | None:
    """Name of the first field in which the meaning of two schemas differs, or None."""
    fields = [f.name for f in dataclasses.fields(Schema) if f.name != "description"]
    return next((name for name in fields if getattr(one, name) != getattr(other, name)), None)


def check_schema(model: GenerativeModel, schema: Schema, files: Sequence[str]) -> None:
    """Refuse clouds that mean something else than those the model is made for.

    Raises:
        DataError: naming what differs.
    """
    name = difference(model.schema, schema)
    if name is not None:
        got, expected = getattr(schema, name), getattr(model.schema, name)
        raise DataError(
            f"{files[0]}: got {name} {_told(got)}, expected {_told(expected)} "
            "as this recipe is made for"
        )


def _draw_curves(folder: Path, labels: dict[str, str]) -> None:
    from pcgen import plotting

    curves = plotting.learning_curves(folder / "metrics.csv", title=folder.name, labels=labels)
    plotting.save(curves, folder / "figures" / "learning-curves.png")


def _tell(folder: Path, console: Console) -> None:
    """The checkpoint that samples are drawn from."""
    from pcgen.training import RunFolder, checkpoint

    run = RunFolder(folder)
    chosen = run.best if run.best.exists() else run.last
    state = checkpoint.read(chosen)
    score = "" if state.best is None else f", validation score {state.best:.4g}"
    console.print(f"trained: {chosen} (step {state.step}{score})")


def _told(value: Any) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    names = [getattr(part, "label", part) for part in parts if part is not None]
    return ", ".join(map(str, names)) or "none"
