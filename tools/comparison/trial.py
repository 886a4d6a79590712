"""One row of the comparison: plan, train, sample, judge.

The length of a training is planned once: a few throw-away steps say what a step takes, and the
budget is turned into a number of steps, so that the training itself is a plain run of so many steps
that can be taken up again.
"""

from __future__ import annotations

import inspect
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen import metrics, training
from pcgen.errors import DataError, TrainingError
from pcgen.images import overflow
from pcgen.io import atomic
from pcgen.io.atomic import scratch_folder
from pcgen.models.base import GenerativeModel
from pcgen.recipes import RECIPES
from pcgen.tools.benchmarks import machine
from pcgen.tools.comparison import scores
from pcgen.tools.comparison.clock import Clock, EnoughError
from pcgen.tools.comparison.curves import (
    Curve,
    curve_at,
    draw,
    has_converged,
    points_of,
    seconds_of,
)
from pcgen.tools.comparison.events import Events, load, spread
from pcgen.tools.comparison.rows import Row
from pcgen.tools.comparison.spine import LEARNING, SPINE, Entry, Learning, Table
from pcgen.tools.comparison.study import Study
from pcgen.training import Machine, Reports, RunFolder, checkpoint, ranks

Recipes = Mapping[str, Callable[..., GenerativeModel]]

_SHARE, _LONGEST, _STEPS = 0.05, 3.0, 1000  # of the budget, seconds and steps that are thrown away
_CHECKPOINTS = 10  # in a training


@dataclass(frozen=True)
class Trial:
    """A row with all that it is built from.

    Attributes:
        row: What is trained.
        study: The settings that all rows share.
        folder: Of its run; taken up again where it exists.
        events: What it is trained on and judged by.
        recipe: Function that builds the untrained model.
        arguments: Its arguments.
        learning: How it is trained.
    """

    row: Row
    study: Study
    folder: Path
    events: Events
    recipe: Callable[..., GenerativeModel]
    arguments: dict[str, Any]
    learning: Learning

    def build(self) -> GenerativeModel:
        """The untrained model, a function of the seed."""
        with ranks.own_randomness(torch.device("cpu"), self.row.seed, 4):
            return self.recipe(**self.arguments)

    def train(
        self,
        model: GenerativeModel,
        batches: training.Batches,
        folder: Path,
        steps: int,
        *,
        validate: Callable[[GenerativeModel], Mapping[str, float]] | None = None,
    ) -> None:
        """Train for so many steps in all, or go on where the run in the folder stopped."""
        every = max(math.ceil(steps / _CHECKPOINTS), 1)
        training.train(
            model,
            batches,
            folder=folder,
            steps=steps,
            seed=self.row.seed,
            optimiser=self.learning.optimiser,
            phases=self.learning.phases,
            machine=Machine("cpu"),
            reports=Reports(every, every, steps, 0, progress=False, validate_at=curve_at(steps)),
            validate=validate,
        )


def run(
    row: Row, study: Study, folder: Path, *, spine: Table = SPINE, recipes: Recipes = RECIPES
) -> dict[str, Any]:
    """Train a row in ``folder``, or go on there, and judge what it has learned.

    Raises:
        PcgenError: a recipe does not take its arguments, or generates nothing that can be judged.
    """
    entry, events = spine[row.network][row.objective], load(study, row.resolution)
    trial = Trial(
        row,
        study,
        folder,
        events,
        recipes[entry.recipe],
        _arguments(entry, recipes[entry.recipe], events, study.grid(row.resolution)),
        LEARNING[row.objective],
    )
    before = machine.process_memory("VmRSS")
    planned = _planned(trial)
    trained = _train(trial, planned["steps"])
    if "model" not in trained:
        return {**trained, "planned_steps": planned["steps"]}
    model = trained.pop("model")
    generated, seconds = _sample(model, trial)
    peak = machine.process_memory("VmHWM")
    memory = None if before is None or peak is None else max(peak - before, 0) / 2**20
    return {
        **trained,
        "planned_steps": planned["steps"],
        **_sizes(model),
        "us_per_event": 1e6 * seconds,
        "memory_mib": memory,
        **_judged(generated, trial),
    }


def _arguments(
    entry: Entry, recipe: Callable[..., GenerativeModel], events: Events, grid: str
) -> dict[str, Any]:
    """Those of the table, and the schema and grid of the events where the recipe takes them."""
    takes = inspect.signature(recipe).parameters
    own = {"schema": events.schema.to_dict(), "grid": grid}
    return {**{name: value for name, value in own.items() if name in takes}, **entry.arguments}


def _planned(trial: Trial) -> dict[str, Any]:
    """The number of steps, decided when the row was first begun."""
    file = trial.folder.with_suffix(".plan.json")
    if file.exists():
        stored: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return stored
    plan: dict[str, Any] = {"steps": trial.study.steps}
    if trial.study.steps is None:
        plan = _calibrated(trial, trial.study.budget or 0.0)
    with atomic(file) as temporary:
        temporary.write_text(json.dumps(plan) + "\n", encoding="utf-8")
    return plan


def _calibrated(trial: Trial, budget: float) -> dict[str, Any]:
    """How many steps the budget pays for, by steps of a model that is thrown away."""
    model = trial.build()
    batches = trial.events.batches(trial.study.batch_size, trial.row.seed)
    clock = Clock(batches, _draws(model), limit=min(_SHARE * budget, _LONGEST))
    # What is not finite after a few steps is found again, and reported, in the training itself.
    with scratch_folder(trial.folder) as folder, suppress(EnoughError, TrainingError):
        trial.train(model, clock, folder / "run", _STEPS)
    each = clock.seconds / max(clock.steps - 1, 1)
    return {"steps": max(round(budget / max(each, 1e-6)), 1), "seconds_per_step": each}


def _train(trial: Trial, steps: int) -> dict[str, Any]:
    """The trained model, if any, and how it went."""
    model, done = trial.build(), RunFolder(trial.folder)
    batches = trial.events.batches(trial.study.batch_size, trial.row.seed)
    clock = Clock(batches, _draws(model), earlier=seconds_of(done))
    curve = Curve(trial.events, clock)
    reason = ""
    try:
        trial.train(model, clock, trial.folder, steps, validate=curve)
    except TrainingError as error:
        reason = str(error)
        if not done.last.exists():
            return {"status": "diverged", "reason": reason, "nonfinite": 1, "converged": False}
        model = trial.build()
        training.install(done.last, model, checkpoint.read(done.last))
    step, points = checkpoint.read(done.last).step, points_of(done)
    # Who has not seen every event once is undertrained, whatever the curve shows.
    once = step >= batches.per_epoch()
    # The time of a run without a step left is the one in its log.
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


def _sample(model: GenerativeModel, trial: Trial) -> tuple[Batch, float]:
    """Generated events, and CPU-seconds of each."""
    model.eval()
    like = spread(trial.events.test, trial.study.events)
    generator = torch.Generator().manual_seed(trial.row.seed)
    draw(model, pc.select(like, slice(0, 5)), generator)
    start = time.process_time()
    generated = draw(model, like, generator)
    return generated, (time.process_time() - start) / like.num_graphs


def _judged(generated: Batch, trial: Trial) -> dict[str, float]:
    """Scores of the generated events beside as many real ones, both in the cells of the grid."""
    events, study = trial.events, trial.study
    whole = metrics.whole_events(generated)
    if whole.num_graphs < 20:
        raise DataError(
            f"{trial.row.name}: got {whole.num_graphs} of {generated.num_graphs} generated events "
            "whose values are finite, expected at least 20 to judge"
        )
    real = spread(events.test, study.events)
    lost = overflow(whole, events.grid).weight.sum() / pc.total(whole).sum().clamp(min=1e-12)
    return {
        "events": float(whole.num_graphs),
        "broken": 1.0 - whole.num_graphs / generated.num_graphs,
        "outside": lost.item(),
        **scores.judge(
            events.on_grid(real),
            events.on_grid(whole),
            events.grid,
            events.schema,
            neighbours=study.neighbours,
            seed=0,
        ),
    }


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


def forget(folder: Path) -> None:
    """Remove the run of a row that is done."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".plan.json").unlink(missing_ok=True)
