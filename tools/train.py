"""``pcgen train``: train one of the recipes, or go on where a run was stopped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pcgen.bounds import ARGUMENT, EVENTS
from pcgen.errors import ArgumentError, at_least
from pcgen.tools.meaning import check_meaning
from pcgen.tools.training_data import (
    Data,
    check_context,
    check_data,
    check_needs_none,
    open_data,
    resolved,
    same_data,
    spread,
    unlikely,
)
from pcgen.training.options import Machine, Optimiser, Reports

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from rich.console import Console

    from pcgen.models.base import GenerativeModel
    from pcgen.tools.start import Start
    from pcgen.training import Batches, RunFolder
    from pcgen.training.options import Validate


def train(
    recipe: str,
    recipe_arguments: dict[str, Any] | None = None,
    *,
    data: list[str] | None = None,
    context: list[str] | None = None,
    output: str | None = None,
    classes: list[str] | None = None,
    max_points: int | None = None,
    start: str | None = None,
    start_part: str | None = None,
    steps: int = 5000,
    batch_size: int = 128,
    seed: int = 0,
    lr: float = Optimiser.lr,
    betas: tuple[float, float] = Optimiser.betas,
    weight_decay: float = Optimiser.weight_decay,
    schedule: Literal["constant", "cosine"] = Optimiser.schedule,
    warmup: int = Optimiser.warmup,
    clip: float | None = Optimiser.clip,
    phases: dict[str, dict[str, Any]] | None = None,
    ema: float | None = 0.999,
    accelerator: str = Machine.accelerator,
    devices: int = 1,
    nodes: int = Machine.num_nodes,
    strategy: str = Machine.strategy,
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Machine.precision,
    log_every: int = Reports.log_every,
    checkpoint_every: int = Reports.checkpoint_every,
    validate_every: int = Reports.validate_every,
    validate_events: int = 1000,
    keep: int = Reports.keep,
    samples: int = 1000,
    progress: bool = True,
) -> Path:
    """Train a generative model on clouds, or go on where the run was stopped.

    A run is a folder of plain files: configuration, log, checkpoints, samples, figures. The same
    command on the same folder, or pcgen resume FOLDER, takes an interrupted run up at its last
    checkpoint, exactly; with more steps it goes on beyond its end. What is fitted sees the training
    split only; the best checkpoint is the one with the smallest mean distance (Wasserstein-1, in
    standard deviations) of mass, multiplicity and the other observables on the validation split.

    Args:
        recipe: Name of the model, or module:function of the user's own recipe.
        recipe_arguments: Arguments of the recipe.
        data: Files of clouds (.h5, JetNet's .hdf5); by default the jets that ship with pcgen.
        context: Files of what each event is generated from, one for each file of data, with the
            same events in the same order: the particles in front of the detector, images (their
            filled cells), the hits that were observed. For the recipes that take one.
        output: Folder of the run, runs/RECIPE by default.
        classes: Train on these classes only, g t say.
        max_points: Keep that many points of each event, the most energetic; without weights any.
        start: Start from this model instead of random numbers: a run, a checkpoint, weights, or the
            name of a model that ships with pcgen. Its scalings are kept, numbers of points and
            totals are fitted to the new data. Arguments of the recipe that are not given are those
            of the start.
        start_part: Take only this part of it, field or autoencoder.encoder say, whose layers must
            fit; its scalings are kept too. MINE=THEIRS where the start has another name for it.
        steps: Length of the run. Models that train in stages divide it among them.
        batch_size: Events in a batch, of each device.
        seed: Of all randomness; the same seed gives the same model, on the same machine and number
            of threads (OMP_NUM_THREADS): sums of floats may depend on these.
        lr: Learning rate (its maximum) of Adam. Phases whose method needs another one (critic and
            generator of a GAN: 0.002, without momentum) keep theirs; change it with phases.
        betas: Decay of Adam's running means of gradient and squared gradient.
        weight_decay: Decoupled weight decay (AdamW).
        schedule: Course of the learning rate; cosine falls to zero.
        warmup: Steps in which the learning rate rises.
        clip: Largest norm of a gradient.
        phases: Different options of one phase of the training, critic={lr: 0.0001} say. What
            is not named stays: critic and generator of a GAN keep their betas (0, 0.9).
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
        progress: Show losses and time left: a bar, or lines where there is no terminal.

    Returns:
        The folder of the run.

    Raises:
        ArgumentError: an option cannot be used, or is not what the run was started with.
        DataError: the clouds cannot be trained on, or mean something else than those of the start.
        FileError: a file cannot be read, or the folder is not a run or cannot be written.
        TrainingError: a loss or a gradient is not finite.
    """
    from pcgen.recipes import current
    from pcgen.recipes.find import find_recipe
    from pcgen.tools import start as starting

    recipe, recipe_arguments = current(recipe, recipe_arguments or {})
    function = find_recipe(recipe)
    source = None
    if start is not None:
        source, state = starting.opened(start, start_part)
        recipe_arguments = starting.arguments(source, state, recipe, function, recipe_arguments)
    elif start_part is not None:
        raise ArgumentError(f"start_part: got {start_part!r} without start, expected start too")
    check_context(recipe, function, data, context)
    plan = Plan(
        recipe=recipe,
        function=function,
        arguments=recipe_arguments,
        batch_size=batch_size,
        steps=steps,
        seed=seed,
        optimiser=Optimiser(lr, betas, weight_decay, schedule, warmup, clip),
        phases=phases or {},
        ema=ema,
        machine=Machine(accelerator, devices, nodes, strategy, precision),
        reports=Reports(log_every, checkpoint_every, validate_every, keep, progress),
        validate_events=validate_events,
        samples=samples,
        start=source,
    )

    from pcgen.datasets.jets import SAMPLE
    from pcgen.training import RunFolder

    folder = Path(f"runs/{recipe.replace(':', '-')}" if output is None else output)
    RunFolder(folder).check_place()
    data_set = open_data([str(SAMPLE)] if data is None else data, classes, max_points, context)
    if data_set.train.context_schema is None:
        check_needs_none(recipe, function)
    if source is not None:
        starting.check_schema(source, state, data_set.train.schema, data_set.files[0])
    plan = replace(plan, arguments=resolved(function, recipe_arguments, data_set.train))
    return plan.run(data_set, plan.build(data_set), folder)


@dataclass(frozen=True)
class Plan:
    """What is trained, how, and what is computed after it; the options of ``pcgen train``.

    Attributes:
        recipe: Name of the recipe, as it is recorded,
        function: and what it stands for.
        arguments: Of the recipe, resolved.
        start: What a new run starts from, if anything.

    Raises:
        ArgumentError: the seed, a number of steps or events, or of a recipe, is out of range.
    """

    recipe: str
    function: Callable[..., GenerativeModel]
    arguments: dict[str, Any]
    batch_size: int
    steps: int
    seed: int
    optimiser: Optimiser
    phases: Mapping[str, Mapping[str, Any]]
    ema: float | None
    machine: Machine
    reports: Reports
    validate_events: int
    samples: int
    start: Start | None = None

    def __post_init__(self) -> None:
        # All are refused before the data are read, and not after hours of training.
        at_least(
            1, steps=self.steps, batch_size=self.batch_size, validate_events=self.validate_events
        )
        at_least(0, samples=self.samples)
        EVENTS.check(self.samples, "samples", ArgumentError)
        for name, value in self.arguments.items():
            if isinstance(value, int):
                ARGUMENT.check(abs(value), name, ArgumentError)
        if not 0 <= self.seed < 2**63:
            raise ArgumentError(f"seed: got {self.seed}, expected 0 to 2**63 - 1")

    def build(self, data: Data) -> GenerativeModel:
        """The untrained model, a function of the seed; checked against the data.

        Raises:
            ArgumentError: the recipe does not take its arguments, makes no model, or one of lists
                that are shorter than an event.
            DataError: the model is made for clouds that mean something else.
        """
        import torch

        from pcgen.recipes.find import build_model, check_lengths
        from pcgen.training import ranks

        with ranks.own_randomness(torch.device("cpu"), self.seed, 4):
            model = build_model(self.recipe, self.function, self.arguments)
        why = "this recipe is made for"
        check_meaning(model.schema, data.train.schema, data.files[0], why)
        check_lengths(model, int(data.train.sizes().max()))
        mine, theirs = model.context_schema, data.train.context_schema
        if mine is not None and theirs is not None:
            why = "the context that is expected for"
            check_meaning(mine, theirs, (data.contexts or data.files)[0], why)
        return model

    def run(self, data: Data, model: GenerativeModel, folder: Path) -> Path:
        """Train in the folder, or go on there; then draw curves and samples."""
        from rich.console import Console

        from pcgen import training
        from pcgen.escaping import terminal
        from pcgen.tools.sample import sample
        from pcgen.tools.start import larger_events
        from pcgen.tools.validation import Validation, lost_layers, lost_points
        from pcgen.training import RunFolder

        run = RunFolder(folder)
        free = ["validate_events", "samples", "digests", "split"]
        # Where the digests are known the files may have another place.
        free += ["data"] if same_data(run, data.files, data.train.digests()) else []
        if data.contexts is not None and data.train.contexts is not None:
            digests = data.train.contexts.digests()
            same = check_data(run, data.contexts, digests, "context_digests")
            free += ["context", "context_digests"] if same else []
        free += ["start"] if self._same_start(run) else []
        larger = ""
        if self.start is not None and not run.begun:
            self.start.give(model, self.recipe, self.function)
            larger = larger_events(self.start, model, int(data.train.sizes().max()))
        validation = Validation(spread(data.held_out, self.validate_events))
        console, number = Console(soft_wrap=True), len(data.train)
        lost = lost_points(model, data.train)  # in every process, so that all refuse alike
        if training.first_process():
            begun = (
                f"{self.recipe}: {number} events, {self.steps} steps of {self.batch_size}, "
                f"in {folder}"
            )
            begun += "" if self.start is None else f", started from {self.start.shown}"
            doubts = (*unlikely(data.train), lost, lost_layers(model, data.train.schema), larger)
            for line in filter(None, (begun, *doubts)):
                console.print(terminal(line))
        self.learn(data, model, folder, validate=validation, free=free)
        if training.first_process():
            _draw_curves(folder, validation.labels(model.schema))
            _report(folder, console)
            if self.samples and model.can_sample:
                sample(
                    str(folder),
                    str(folder / "samples" / "samples.h5"),
                    seed=self.seed,
                    recipe=self.recipe if ":" in self.recipe else None,
                    **self._sampled(model, data),
                )
        return folder

    def _sampled(self, model: GenerativeModel, data: Data) -> dict[str, Any]:
        """What is drawn once a model is trained: any events, or answers to held-out contexts."""
        if model.context_schema is None:
            return {"number": self.samples}
        from pcgen.datasets.contexts import open_contexts
        from pcgen.datasets.splits import split_index

        context = (data.files if data.contexts is None else data.contexts)[0]
        with open_contexts(context) as source:
            there = len(split_index(len(source), "validation"))
        return {"context": context, "split": "validation", "number": min(self.samples, there)}

    def learn(
        self,
        data: Data,
        model: GenerativeModel,
        folder: Path,
        *,
        batches: Batches | None = None,
        validate: Validate | None,
        free: Collection[str],
    ) -> None:
        """Train in the folder, or go on there, and no more.

        Args:
            data: What the run records.
            model: Trained in place.
            folder: The run.
            batches: Of the training split, where they are not simply those of ``data``.
            validate: Scores of a model on the validation split; None: none are computed.
            free: Names of the configuration that may change when the run is taken up again.
        """
        from pcgen import training

        training.train(
            model,
            batches or data.train.batches(self.batch_size, self.seed),
            folder=folder,
            steps=self.steps,
            seed=self.seed,
            optimiser=self.optimiser,
            phases=self.phases,
            ema=self.ema,
            machine=self.machine,
            reports=self.reports,
            validate=validate,
            recipe=self.recipe,
            arguments=self.arguments,
            config=self._config(data),
            free=free,
            local={
                "data": data.files,
                **({} if data.contexts is None else {"context": data.contexts}),
                **({} if self.start is None else {"start": self.start.name}),
            },
            started=self.start is not None,
        )

    def _config(self, data: Data) -> dict[str, Any]:
        """What a run records besides what the loop does, without places on this machine."""
        from pcgen.datasets.splits import SEED

        known = data.train.calorimeter
        return {
            "data": [Path(file).name for file in data.files],
            "digests": data.train.digests(),
            "split": {"name": "train", "seed": SEED},
            "events": len(data.train),
            "classes": data.classes,
            "max_points": data.max_points,
            "batch_size": self.batch_size,
            "validate_events": self.validate_events,
            "samples": self.samples,
            **data.facts(),
            **({} if known is None else {"calorimeter": known.to_dict()}),
            **({} if self.start is None else self.start.facts()),
        }

    def _same_start(self, run: RunFolder) -> bool:
        """Whether a run goes on that was started from the same file, wherever it is by now."""
        if self.start is None or not run.begun:
            return False
        return run.config().get("start_digest") == self.start.digest


def _draw_curves(folder: Path, labels: dict[str, str]) -> None:
    from pcgen import plotting

    curves = plotting.learning_curves(folder / "metrics.csv", title=folder.name, labels=labels)
    plotting.save(curves, folder / "figures" / "learning-curves.png")


def _report(folder: Path, console: Console) -> None:
    """The checkpoint that samples are drawn from."""
    from pcgen.escaping import terminal
    from pcgen.training import RunFolder, checkpoint

    run = RunFolder(folder)
    chosen = run.best if run.best.exists() else run.last
    state = checkpoint.read(chosen)
    score = "" if state.best is None else f", validation score {state.best:.4g}"
    console.print(terminal(f"trained: {chosen} (step {state.step}{score})"))
