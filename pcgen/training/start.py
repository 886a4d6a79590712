"""Where a run starts, or goes on: options are resolved, processes launched, the folder opened."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy, SingleDeviceStrategy
from torch import nn

from pcgen.errors import ArgumentError, FileError
from pcgen.models.base import GenerativeModel
from pcgen.training import checkpoint, ranks
from pcgen.training.checkpoint import Checkpoint
from pcgen.training.learner import load_average, own_options
from pcgen.training.log import say
from pcgen.training.loop import Loop
from pcgen.training.options import Batches, Machine, Optimiser, Options, Reports, Validate
from pcgen.training.run import RunFolder


def train(
    model: GenerativeModel,
    batches: Batches,
    *,
    folder: str | Path,
    steps: int,
    seed: int = 0,
    optimiser: Optimiser | None = None,
    phases: Mapping[str, Mapping[str, Any]] | None = None,
    ema: float | None = 0.999,
    machine: Machine | None = None,
    reports: Reports | None = None,
    validate: Validate | None = None,
    score: str = "score",
    recipe: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    free: Collection[str] = (),
    local: Mapping[str, Any] | None = None,
    started: bool = False,
) -> GenerativeModel:
    """Train ``model``, or go on where the run in ``folder`` stopped.

    Args:
        model: Trained in place. Parameters that no phase owns are left as they are.
        batches: Of the training split.
        folder: The run; with a checkpoint in it, the run goes on from there, exactly: from the
            last one, or where that file was lost from the newest of the others. It must be visible
            to all processes.
        steps: Length of the run; may grow when it is taken up again.
        seed: Of all random numbers.
        optimiser: Options of all phases. A phase whose method needs other values brings them
            (:attr:`~pcgen.models.base.Phase.optimiser`) and keeps them.
        phases: Options that are to be different in some phases, ``{"critic": {"lr": 1e-4}}``; they
            go over those that the phase brings, key by key.
        ema: Decay of the running average of the parameters that ``sample`` uses; None for none.
        machine: Devices, processes, precision.
        reports: What is written and how often.
        validate: Scores a model (running averages, eval mode) on the validation split; called on
            the first process once every phase has begun.
        score: Name of the score by which the best checkpoint is chosen; the lowest is best.
        recipe: Name of the recipe that built the model, for ``pcgen.load``,
        arguments: and its arguments, plain values.
        config: What else the result depends on (files, batch size); recorded, and compared when
            the run is taken up again,
        free: but for these names, which may change.
        local: What replaces entries of ``config`` in the run's own folder and is in no checkpoint,
            which may be given to others: absolute paths.
        started: The model comes with the parameters and scalings of another one, which are kept:
            phases are prepared by their :attr:`~pcgen.models.base.Phase.adapt`.

    Returns:
        The model in eval mode, its parameters their running averages.

    Raises:
        ArgumentError: an option cannot be used, or is not what the run was started with.
        CheckpointError: the run's last checkpoint is damaged or does not fit; or it was lost, and
            no other one is whole.
        FileError: the folder is not a run, cannot be written, or another process trains in it.
        TrainingError: a loss or a gradient is not finite, naming step, phase and term. The last
            checkpoint stays as it is.
    """
    if steps < 1 or not 0 <= seed < 2**63:
        raise ArgumentError(
            f"steps, seed: got {steps}, {seed}, expected steps >= 1 and 0 <= seed < 2**63"
        )
    options = Options(
        Path(folder), steps, seed, optimiser or Optimiser(),
        own_options(model.phases(), phases or {}), ema,
        machine or Machine(), reports or Reports(), validate, score, recipe,
        dict(arguments or {}), dict(config or {}), tuple(free),
        dict(local or {}), started,
    )  # fmt: skip
    fabric = _fabric(options.machine)
    # Bound, not passed: Fabric takes arguments apart to give each process a model of its own.
    fabric.launch(partial(_run, batches=batches, options=options), model)
    # Processes of their own (spawn) trained a copy; the checkpoint brings it here.
    run = RunFolder(options.folder)
    install(run.last, model, checkpoint.read(run.last))
    return model


def install(path: str | Path, model: GenerativeModel, state: Checkpoint) -> GenerativeModel:
    """Put a checkpoint into a model, ready to sample: running averages, eval mode.

    Raises:
        CheckpointError: it does not fit the model.
    """
    checkpoint.fit(path, model, state.model)
    for phase in model.phases():
        stored = state.phases.get(phase.name, {}).get("average")
        if stored is not None:
            modules = nn.ModuleList(dict.fromkeys(phase.modules))
            checkpoint.guarded(path, partial(load_average, modules, stored))
    return model.eval()


def _fabric(machine: Machine) -> Fabric:
    options = dataclasses.asdict(machine)
    try:
        with warnings.catch_warnings():
            # Where Fabric would go on with something else than was requested.
            warnings.filterwarnings("error", ".*(hence setting|fp16 is not supported).*")
            fabric = Fabric(**options)
    except Exception as error:  # its own, of many kinds
        reason = " ".join(str(error).split())
        raise ArgumentError(
            f"machine: got {options}, expected what Fabric knows ({reason})"
        ) from error
    if not isinstance(fabric.strategy, (SingleDeviceStrategy, DDPStrategy)):
        raise ArgumentError(f"strategy: got {machine.strategy!r}, expected auto or a kind of ddp")
    return fabric


def _run(fabric: Fabric, model: GenerativeModel, *, batches: Batches, options: Options) -> None:
    """What each process does."""
    run = RunFolder(options.folder)
    # Nobody writes before all have read, so that all find the same and fail alike.
    fabric.barrier()
    run.check(options.recorded(), options.free)
    fabric.barrier()
    with _alone(fabric, run):
        _train(fabric, model, batches, options, run)
        fabric.barrier()


@contextmanager
def _alone(fabric: Fabric, run: RunFolder) -> Iterator[None]:
    """No other run writes the folder; the first process holds the lock for all.

    Raises:
        FileError: another one does, in all processes.
    """
    with ExitStack() as stack:
        refused = None
        if fabric.global_rank == 0:
            try:
                stack.enter_context(run.writing())
            except FileError as error:
                refused = str(error)
        refused = fabric.broadcast(refused)
        if refused is not None:
            raise FileError(refused)
        yield


def _train(
    fabric: Fabric, model: GenerativeModel, batches: Batches, options: Options, run: RunFolder
) -> None:
    # Another writer may have ended between the first look and the lock.
    run.check(options.recorded(), options.free)
    found = run.newest()
    fabric.barrier()
    if found is not None and options.steps < found[1].step:
        raise ArgumentError(
            f"steps: got {options.steps}, expected at least the {found[1].step} that {run.path} "
            "has done, or another folder"
        )
    outside = ranks.random_state(fabric.device)
    learning = [parameter.requires_grad for parameter in model.parameters()]
    try:
        loop = Loop(fabric, model, batches, options)
        if found is not None:
            loop.load_state(*found)
            if fabric.global_rank == 0:
                _tell(loop, run, *found)
        # Nothing is written before data and options have been accepted.
        loop.start()
        if fabric.global_rank == 0:
            run.create(options.recorded(), fabric.device)
            if found is not None and found[0] != run.last:
                run.restore(found[0])
        loop.run(run)
    finally:
        for parameter, flag in zip(model.parameters(), learning, strict=True):
            parameter.requires_grad_(flag)
        ranks.set_random_state(outside, fabric.device)


def _tell(loop: Loop, run: RunFolder, file: Path, state: Checkpoint) -> None:
    """Where the run goes on, and what another length changes."""
    if file != run.last:
        say(f"{run.last}: was lost, going on from {file.name} instead, the newest that is whole")
    steps, planned = loop.options.steps, state.config.get("steps")
    done = "nothing is left of" if state.step >= steps else f"resuming at step {state.step} of"
    say(f"{loop.options.folder}: {done} {steps} steps")
    moved = any(
        learner.options.schedule != "constant" or learner.phase.begin > 0 or learner.phase.end < 1
        for learner in loop.learners
    )
    if steps != planned and state.step < steps and moved:
        say(
            f"{loop.options.folder}: was planned for {planned} steps; from here on learning rates "
            f"and phases are those of {steps}, so it ends otherwise than a run of {steps} from "
            "the start"
        )
