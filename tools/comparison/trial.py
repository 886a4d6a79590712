"""One row: read, plan, train, generate, judge.

It is trained by the code of ``pcgen train`` (:class:`pcgen.tools.train.Plan`), so that its run is
one that ``pcgen info``, ``sample`` and ``resume`` know, and judged by
:func:`pcgen.metrics.evaluate`. The length of a training is planned once: a few throw-away steps
measure what a step takes, and the budget is turned into a number of steps, so that the training
itself is a plain run of so many steps that can be taken up again.
"""

from __future__ import annotations

import inspect
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen import metrics, training
from pcgen.datasets.loading import open_clouds
from pcgen.errors import ArgumentError, TrainingError
from pcgen.grids import Grid
from pcgen.images import overflow, snap
from pcgen.io.atomic import scratch_folder
from pcgen.metrics import protocols
from pcgen.models.base import GenerativeModel
from pcgen.recipes.find import find_recipe
from pcgen.schema import Schema
from pcgen.tools.benchmarks import machine
from pcgen.tools.comparison.budget import Clock, affordable, points_of, seconds_of
from pcgen.tools.comparison.folder import write_json
from pcgen.tools.comparison.results import has_converged
from pcgen.tools.comparison.study import Row, function_of
from pcgen.tools.evaluate import FIXED
from pcgen.tools.train import Plan, train
from pcgen.tools.training_data import Data, open_data, resolved, spread
from pcgen.tools.validation import Validation, generated_like
from pcgen.training import Machine, Optimiser, Reports, RunFolder, checkpoint

Sides = Callable[[GenerativeModel, Batch, torch.Generator], tuple[Batch, Batch, Schema]]

FIRST = 25
"""First step of a learning curve; the others are its doubles, and the middle and the end."""
_BLOCK = 100  # events that are drawn at a time
_CHECKPOINTS = 10  # in a training
_TIMED = 1000  # most steps that are thrown away
_OPTIMISER = ("lr", "betas", "weight_decay", "schedule", "warmup", "clip")


def curve_at(steps: int) -> tuple[int, ...]:
    """Steps of a learning curve before its last: 25, 50, 100, ... and the middle.

    >>> curve_at(130)
    (25, 50, 65, 100)
    """
    doubles, step = {steps // 2} - {0}, FIRST
    while step < steps:
        doubles.add(step)
        step *= 2
    return tuple(sorted(doubles))


@dataclass(frozen=True)
class Trial:
    """A row with all that it needs.

    Attributes:
        row: What is trained.
        data: What it is trained on.
        test: Real events that it is judged by.
        grid: Cells in which both sides are compared, if any.
    """

    row: Row
    data: Data
    test: Batch
    grid: Grid | None

    @classmethod
    def of(cls, row: Row, files: Sequence[str]) -> Trial:
        """Read the events of a row from these files.

        Raises:
            PcgenError: a file cannot be read, or the grid does not fit it.
        """
        given = row.data
        data = open_data(files, given.classes, given.max_points)
        split = row.data.split
        test = open_clouds(files, split, classes=given.classes, max_points=given.max_points)
        schema = data.train.schema
        grid = None if row.grid is None else Grid.parse(row.grid, schema.axes).matched(schema)
        return cls(row, data, spread(test, 2 * row.events), grid)

    @property
    def schema(self) -> Schema:
        """What the numbers of the events mean."""
        return self.data.train.schema

    def on_grid(self, clouds: Batch) -> Batch:
        """Clouds as they are compared; what lies outside the grid is lost."""
        return clouds if self.grid is None else snap(clouds, self.grid, outside="drop")

    def plan(self, steps: int) -> Plan:
        """The training, as ``pcgen train`` has it; what is not given is as there."""
        row, given = (
            self.row,
            {**(train.__kwdefaults__ or {}), "accelerator": "cpu", **self.row.train},
        )
        function = find_recipe(str(row.recipe))
        own = {"grid": row.grid} if "grid" in inspect.signature(function).parameters else {}
        every = max(math.ceil(steps / _CHECKPOINTS), 1)
        return Plan(
            recipe=str(row.recipe),
            function=function,
            arguments=resolved(function, {**own, **row.options}, self.data.train),
            batch_size=given["batch_size"],
            steps=steps,
            seed=row.seed,
            optimiser=Optimiser(**{name: given[name] for name in _OPTIMISER}),
            phases=given["phases"] or {},
            ema=given["ema"],
            machine=Machine(given["accelerator"], precision=given["precision"]),
            reports=Reports(every, every, steps, 0, progress=False, validate_at=curve_at(steps)),
            validate_events=given["validate_events"],
            samples=0,
        )

    def protocol(self, schema: Schema) -> metrics.Protocol:
        """What the row is judged by.

        Raises:
            ArgumentError: there is no such protocol, or it does not take its options.
        """
        options = dict(self.row.protocol)
        name = options.pop("name")
        try:
            if ":" in name:
                protocol = function_of(name, "protocol")(schema, self.grid, **options)
            elif name == "pcgen":
                protocol = protocols.pcgen(schema, **options)
            elif name in FIXED:
                protocol = FIXED[name](**options)
            else:
                known = ", ".join(["pcgen", *FIXED])
                raise ArgumentError(
                    f"protocol: got {name!r}, expected one of {known}, or module:function"
                )
        except TypeError as error:
            raise ArgumentError(f"protocol {name}: {error}") from error
        return protocol

    def sides(
        self, model: GenerativeModel, real: Batch, number: int, generator: torch.Generator
    ) -> tuple[Batch, Batch, Schema]:
        """Real events, and generated ones (not on the grid yet), and what their numbers mean.

        Args:
            model: Trained.
            real: Real events.
            number: Generated events, for the conditions of as many real ones.
            generator: Source of all randomness.
        """
        like = spread_over(real, number)
        if self.row.sides is not None:
            own: Sides = function_of(self.row.sides, "sides")
            return own(model, like, generator)
        return real, generated_like(model, like, generator, _BLOCK), self.schema

    def scores(self, real: Batch, generated: Batch, schema: Schema) -> dict[str, Any]:
        """Every score of generated events, with its floor, and what is left out of it."""
        whole = metrics.whole_events(generated)
        outside = 0.0
        if self.grid is not None and self.row.sides is None:
            lost = overflow(whole, self.grid).weight.sum()
            outside = (lost / pc.total(whole).sum().clamp(min=1e-12)).item()
            real, whole = self.on_grid(real), self.on_grid(whole) if self.row.on_grid else whole
        found = metrics.evaluate(
            real,
            whole,
            schema,
            protocol=self.protocol(schema),
            permutations=self.row.permutations,
            seed=self.row.seed,
        )
        facts = {
            "events": float(whole.num_graphs),
            "broken": 1.0 - whole.num_graphs / generated.num_graphs,
            "outside": outside,
            **self.row.facts,
        }
        return {**facts, **_flat(found)}

    def watch(self, clock: Clock, events: int) -> Callable[[GenerativeModel], dict[str, float]]:
        """Points of the learning curve: scores on the validation split, and the time so far.

        They are those of ``pcgen train``, on the grid. A row with sides of its own has the first
        score of its protocol.
        """
        held_out = spread(self.data.held_out, events)
        validation = Validation(held_out, self.grid)

        def validate(model: GenerativeModel) -> dict[str, float]:
            with clock.stopped():
                if self.row.sides is None:
                    scores = validation(model)
                else:
                    generator = torch.Generator().manual_seed(0)
                    sides = self.sides(model, held_out, events, generator)
                    scores = {"score": self._first(*sides)}
            return {**scores, "cpu_seconds": clock.seconds}

        return validate

    def _first(self, real: Batch, generated: Batch, schema: Schema) -> float:
        protocol = self.protocol(schema)
        protocol = replace(protocol, parts=protocol.parts[:1])
        found = metrics.evaluate(real, generated, schema, protocol=protocol, permutations=0)
        return found.scores[0].value if found.scores else math.nan


def run(row: Row, files: Sequence[str], digests: Sequence[str], folder: Path) -> dict[str, Any]:
    """Train a row in ``folder``, or go on there, and judge what it has learned.

    Args:
        row: What.
        files: Its events,
        digests: and what is recorded of them.
        folder: Of the run.

    Raises:
        PcgenError: a recipe does not take its arguments, or generates nothing that can be judged.
    """
    trial = Trial.of(row, files)
    generator = torch.Generator().manual_seed(row.seed)
    if row.real is not None:
        given = row.data
        events = open_clouds(
            files, row.real, classes=given.classes, max_points=given.max_points
        ).load()
        chosen = torch.randperm(events.num_graphs, generator=generator)[: row.events]
        found = trial.scores(trial.test, pc.select(events, chosen), trial.schema)
        return {"status": "done", "converged": True, **found}
    before = machine.process_memory("VmRSS")
    planned = _planned(trial, folder, row.settings(digests))
    trained = _trained(trial, planned, folder)
    model = trained.pop("model", None)
    found = {**trained, "planned_steps": planned, "machine": machine.describe("cpu")}
    if model is None:
        return found
    real, generated, schema, seconds = _sampled(trial, model, generator)
    peak = machine.process_memory("VmHWM")
    memory = None if before is None or peak is None else max(peak - before, 0) / 2**20
    found |= {**_sizes(model), "us_per_event": 1e6 * seconds, "memory_mib": memory}
    return {**found, **trial.scores(real, generated, schema)}


def _planned(trial: Trial, folder: Path, settings: dict[str, Any]) -> int:
    """The number of steps, decided when the row was first begun."""
    budget, file = trial.row.budget, plan_file(folder)
    if file.exists():
        return int(json.loads(file.read_text(encoding="utf-8"))["steps"])
    found: dict[str, float] = {"steps": budget.steps or 0}
    if budget.steps is None:
        plan = trial.plan(_TIMED)
        model = plan.build(trial.data)
        batches = trial.data.train.batches(plan.batch_size, plan.seed)
        with scratch_folder(folder) as scratch:

            def timed(clock: training.Batches) -> None:
                place = scratch / "run"
                plan.learn(trial.data, model, place, batches=clock, validate=None, free=())

            found = affordable(budget.seconds or 0.0, batches, _draws(model), timed)
    write_json(file, {**found, "settings": settings})
    return int(found["steps"])


def _trained(trial: Trial, steps: int, folder: Path) -> dict[str, Any]:
    """The trained model, if any, and how it went."""
    plan, done = trial.plan(steps), RunFolder(folder)
    model = plan.build(trial.data)
    batches = trial.data.train.batches(plan.batch_size, plan.seed)
    clock = Clock(batches, _draws(model), earlier=seconds_of(done))
    validate = trial.watch(clock, plan.validate_events)
    reason = ""
    try:
        # The files may have another place by now: a row records what they hold.
        plan.learn(
            trial.data, model, folder, batches=clock, validate=validate, free=("data", "digests")
        )
    except TrainingError as error:
        reason = str(error)
        if not done.last.exists():
            return {"status": "diverged", "reason": reason, "nonfinite": 1, "converged": False}
        model = plan.build(trial.data)
        training.install(done.last, model, checkpoint.read(done.last))
    step, points = checkpoint.read(done.last).step, points_of(done)
    # Who has not seen every event once is undertrained, whatever the curve is.
    once = step >= batches.per_epoch()
    # What a run without a step left takes is in its log.
    seconds = clock.seconds if clock.steps else seconds_of(done)
    return {
        "status": "diverged" if reason else "done",
        "reason": reason,
        "nonfinite": int(bool(reason)),
        "converged": not reason and once and has_converged(points),
        "steps": step,
        "cpu_seconds": seconds,
        "ms_per_step": 1e3 * seconds / step,
        "curve": points,
        "model": model,
    }


def _sampled(
    trial: Trial, model: GenerativeModel, generator: torch.Generator
) -> tuple[Batch, Batch, Schema, float]:
    """Both sides of the comparison, and CPU-seconds of each generated event."""
    model.eval()
    trial.sides(model, spread_over(trial.test, 5), 5, generator)  # what is slow the first time
    start = time.process_time()
    real, generated, schema = trial.sides(model, trial.test, trial.row.events, generator)
    return real, generated, schema, (time.process_time() - start) / generated.num_graphs


def spread_over(clouds: Batch, number: int) -> Batch:
    """At most so many clouds from all over a batch, which may be sorted."""
    last = clouds.num_graphs - 1
    where = torch.linspace(0, last, min(number, last + 1), dtype=torch.float64)
    return pc.select(clouds, where.round().long())


def _flat(found: metrics.Evaluation) -> dict[str, Any]:
    """Scores by name, each with its floor; and their units."""
    values: dict[str, Any] = {}
    for score in found.scores:
        values |= {
            score.name: score.value,
            f"{score.name} error": score.error,
            f"{score.name} floor": score.floor,
            f"{score.name} floor error": score.floor_error,
        }
        if score.p is not None:
            values[f"{score.name} p"] = score.p
    units = {score.name: score.unit for score in found.scores if score.unit}
    missing = {"not_defined": "; ".join(found.not_defined)} if found.not_defined else {}
    return {**values, **missing, "units": units}


def _draws(model: GenerativeModel) -> int:
    """Batches in a step, all phases together."""
    return sum(phase.repeat for phase in model.phases() if phase.loss is not None)


def _sizes(model: GenerativeModel) -> dict[str, int]:
    """Trainable numbers: all, and without those that only training needs (critic, encoder)."""
    aside = [m for phase in model.phases() if phase.name == "critic" for m in phase.modules]
    aside += [m for name, m in model.named_children() if name == "encoder"]
    unused = {parameter for module in aside for parameter in module.parameters()}
    learnt = [p for p in model.parameters() if p.requires_grad]
    return {
        "parameters": sum(p.numel() for p in learnt),
        "generator_parameters": sum(p.numel() for p in learnt if p not in unused),
    }


def plan_file(folder: Path) -> Path:
    """Where the length of a row's training is kept, beside its run."""
    return folder.with_name(f"{folder.name}.plan.json")


def forget(folder: Path) -> None:
    """Remove the run of a row that is done."""
    shutil.rmtree(folder, ignore_errors=True)
    plan_file(folder).unlink(missing_ok=True)
