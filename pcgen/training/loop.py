"""The loop: the phases of a model in turn, each with respect to its own modules only.

    for step in range(steps):
        for phase in active(step):
            for _ in range(phase.repeat):
                terms = phase.loss(next batch)
                d sum(terms) / d (parameters of the phase)  ->  mean over processes, clip, AdamW
        averages follow

Resuming is exact: a checkpoint holds everything that a later step depends on (model, optimisers,
averages, random states, position in the data), batches are a pure function of their number, and
learning rates one of the step. There is no ``if gan``: what is special about a model is in its
phases.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError, CheckpointError, DataError, TrainingError
from pcgen.models.base import GenerativeModel
from pcgen.training import checkpoint, ranks
from pcgen.training.checkpoint import Checkpoint
from pcgen.training.interrupt import Interrupt
from pcgen.training.learner import Learner, adopt, averaged, learners_of
from pcgen.training.log import Log, Progress
from pcgen.training.options import Batches, Options
from pcgen.training.run import RunFolder, made_by


class Loop:
    """One process of a run; what :meth:`run` does, all processes do together.

    Attributes:
        step: Steps done.
        draws: Batches drawn, by all phases together.
        prepared: Names of the phases that are prepared.
        best: Lowest score so far.
        means: Sum and number of each logged quantity since the last row.
    """

    def __init__(
        self, fabric: Fabric, model: GenerativeModel, batches: Batches, options: Options
    ) -> None:
        self.fabric, self.batches, self.options = fabric, batches, options
        self.model = model.to(fabric.device)
        self.model.zero_grad()
        self.trainable = [p for p in model.parameters() if p.requires_grad]
        self.learners = learners_of(
            fabric, model.phases(), options.optimiser, options.phases, options.steps, options.ema
        )
        ranks.follow_first([*model.parameters(), *model.buffers()])
        ranks.seed_all(options.seed, 1, fabric.global_rank)
        self.step, self.draws = 0, 0
        self.prepared: list[str] = []
        self.best: float | None = None
        self.means: dict[str, list[float]] = {}
        self.started = time.monotonic()

    def start(self) -> None:
        """Prepare what a new run begins with: data that cannot be used are refused here."""
        if self.step == 0:
            self._turn()

    def run(self, folder: RunFolder) -> None:
        """Go through the steps that are left.

        Raises:
            KeyboardInterrupt: after Ctrl-C, once the step that was under way is saved (one process
                only); its kind :class:`~pcgen.errors.Terminated` after SIGTERM.
        """
        first = self.fabric.global_rank == 0
        show = first and self.options.reports.progress
        bar = Progress(self.options.steps, self.step, show=show)
        # Several processes would hear of it in different steps.
        interrupt = Interrupt(listen=self.fabric.world_size == 1)
        log_file = Log(folder.path, self.step) if first else nullcontext()
        with bar as progress, log_file as log, interrupt:
            while self.step < self.options.steps:
                self._learn()
                self.step += 1
                self._turn()
                row = self._report(folder, log)
                progress.update(self.step, self._losses(row))
                if interrupt.signal is not None and self.step < self.options.steps:
                    folder.save(self.state(), best=False, keep=self.options.reports.keep)
                    raise interrupt.error(
                        f"interrupted at step {self.step} of {self.options.steps}; "
                        "the same command goes on"
                    )

    def _turn(self) -> None:
        """Between two steps: phases that are over are settled, phases that begin are prepared."""
        if self.step < self.options.steps:
            for learner in self.learners:
                if learner.end == self.step:
                    adopt(learner)
        for number, learner in enumerate(self.learners):
            phase = learner.phase
            due = phase.prepare is not None and learner.begin <= self.step
            if phase.prepare is None or not due or phase.name in self.prepared:
                continue
            self.model.eval()
            with torch.no_grad(), ranks.own_randomness(self.device, self.options.seed, 2, number):
                adapt = phase.adapt if self.options.started else None
                (adapt or phase.prepare)(self._all())
            # Each process has found the same, up to the arithmetic of its device.
            ranks.follow_first(list(self.model.buffers()))
            self.prepared.append(phase.name)

    def _all(self) -> Iterator[Batch]:
        for clouds in self.batches.all():
            yield self.fabric.to_device(clouds)

    def _learn(self) -> None:
        """One step: each active phase in turn."""
        active = [learner for learner in self.learners if learner.active(self.step)]
        # What has been learnt is used as in sampling; what still learns is in training mode in all
        # phases (the generator in the critic's too).
        self.model.eval()
        for learner in active:
            learner.modules.train()
        for learner in active:
            own = set(learner.parameters)
            for parameter in self.trainable:
                parameter.requires_grad_(parameter in own)
            learner.set_rate(self.step)
            learner.set_progress(self.step)
            for _ in range(learner.phase.repeat):
                self._update(learner)
        if active:
            # Statistics that layers keep (batch norm) saw different batches.
            ranks.follow_first(list(self.model.buffers()))
        for learner in active:
            learner.follow()

    def _update(self, learner: Learner) -> None:
        """One batch, one gradient, one step of the optimiser."""
        world, rank = self.fabric.world_size, self.fabric.global_rank
        clouds = self.fabric.to_device(self.batches(self.draws, rank, world))
        self.draws += 1
        with self.fabric.autocast(), _at(self.step + 1, f"phase {learner.phase.name!r}"):
            terms = learner.losses(clouds)
        values = torch.stack(list(terms.values()))
        self.fabric.backward(values.sum())
        means = ranks.mean_gradients(learner.parameters, values.detach())
        *numbers, norm = torch.cat([means, learner.clip().to(means)[None]]).tolist()
        self._check(learner, dict(zip(terms, numbers, strict=True)), norm)
        learner.move()

    def _check(self, learner: Learner, terms: Mapping[str, float], norm: float) -> None:
        """Stop before a number that is not finite gets into the model; count the others."""
        name = learner.phase.name
        seen = {f"{name}/{key}": (f"term {key!r}", value) for key, value in terms.items()}
        # Loss scaling of 16-mixed finds its scale by gradients that overflow.
        if self.options.machine.precision != "16-mixed" or math.isfinite(norm):
            seen[f"gradient/{name}"] = ("the gradient", norm)
        for column, (what, value) in seen.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"step {self.step + 1}, phase {name!r}: {what} is {value}, expected a finite "
                    "number; what is saved is from before this step"
                )
            mean = self.means.setdefault(column, [0.0, 0])
            mean[0] += value
            mean[1] += 1

    def _losses(self, row: Mapping[str, float]) -> dict[str, float]:
        """Terms of the losses in a row of the log, without what else is in it."""
        names = [f"{learner.phase.name}/" for learner in self.learners]
        return {key: value for key, value in row.items() if key.startswith(tuple(names))}

    def _report(self, folder: RunFolder, log: Log | None) -> dict[str, float]:
        """Log, validate and save, where it is time; returns the row of the log, if any."""
        reports, final = self.options.reports, self.step == self.options.steps
        row: dict[str, float] = {}
        if final or self.step % reports.log_every == 0:
            row = self._row()
        better = False
        due = self.step % reports.validate_every == 0 or self.step in reports.validate_at
        if final or due:
            scores = self._scores()
            row |= {f"validation/{name}": value for name, value in scores.items()}
            better = self._improves(scores)
        if row and log is not None:
            log.write(self.step, row)
        if final or better or self.step % reports.checkpoint_every == 0:
            state = self.state()
            if self.fabric.global_rank == 0:
                folder.save(state, best=better, keep=reports.keep)
        return row

    def _row(self) -> dict[str, float]:
        """Means since the last row, and what holds now."""
        row = {name: total / number for name, (total, number) in self.means.items()}
        self.means = {}
        for learner in self.learners:
            if learner.active(self.step - 1):
                row[f"lr/{learner.phase.name}"] = learner.optimiser.param_groups[0]["lr"]
        return {**row, "seconds": time.monotonic() - self.started}

    def _scores(self) -> dict[str, float]:
        """Scores on the validation split, once every phase has begun."""
        begun = all(self.step > learner.begin for learner in self.learners)
        if self.options.validate is None or not (begun or self.step == self.options.steps):
            return {}
        scores: dict[str, float] = {}
        if self.fabric.global_rank == 0:
            self.model.eval()
            randomness = ranks.own_randomness(self.device, self.options.seed, 3)
            named = _at(self.step + 1, "validation before it")
            with torch.no_grad(), averaged(self.learners), randomness, named:
                scores = {n: float(v) for n, v in self.options.validate(self.model).items()}
        scores = self.fabric.broadcast(scores)
        if self.options.score not in scores:
            raise ArgumentError(
                f"score: got {self.options.score!r}, expected one of those that validate gives: "
                f"{', '.join(scores)}"
            )
        return scores

    def _improves(self, scores: Mapping[str, float]) -> bool:
        score = scores.get(self.options.score, math.nan)
        if not math.isfinite(score) or (self.best is not None and score >= self.best):
            return False
        self.best = score
        return True

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        device: torch.device = self.fabric.device
        return device

    def state(self) -> Checkpoint:
        """Everything that a later step depends on; all processes must ask for it together."""
        options = self.options
        return Checkpoint(
            recipe=options.recipe,
            arguments=dict(options.arguments),
            schema=self.model.schema.to_dict(),
            model=self.model.state_dict(),
            phases={le.phase.name: le.state() for le in self.learners if le.phase.loss is not None},
            step=self.step,
            draws=self.draws,
            prepared=list(self.prepared),
            best=self.best,
            means=self.means,
            seconds=time.monotonic() - self.started,
            scaler=self.fabric.strategy.precision.state_dict(),
            random=ranks.gather(ranks.random_state(self.device)),
            config={**options.resolved(), **made_by()},
        )

    def load_state(self, path: Path, state: Checkpoint) -> None:
        """Inverse of :meth:`state`.

        Raises:
            CheckpointError: it does not fit the model, the options or the number of processes.
        """
        checkpoint.fit(path, self.model, state.model)
        checkpoint.guarded(path, lambda: self._load(state))
        world = self.fabric.world_size
        if len(state.random) != world:
            raise CheckpointError(
                f"{path}: was written by {len(state.random)} processes, expected {world}"
            )

    def _load(self, state: Checkpoint) -> None:
        for learner in self.learners:
            if learner.phase.loss is not None:
                learner.load_state(state.phases[learner.phase.name])
        self.step, self.draws, self.best = state.step, state.draws, state.best
        self.means = {name: list(mean) for name, mean in state.means.items()}
        self.started = time.monotonic() - state.seconds
        # A longer run may have moved the beginning of a phase into the future.
        begun = [le.phase.name for le in self.learners if le.begin <= self.step]
        self.prepared = [name for name in state.prepared if name in begun]
        self.fabric.strategy.precision.load_state_dict(state.scaler)
        ranks.set_random_state(state.random[self.fabric.global_rank], self.device)


@contextmanager
def _at(step: int, place: str) -> Iterator[None]:
    """Name the place where a trained model generates what cannot be used (coordinates of NaN).

    In the first step nothing is learnt yet: an error is one of data or options.

    Raises:
        TrainingError: naming step and place.
    """
    try:
        yield
    except (ArgumentError, DataError) as error:
        if step == 1:
            raise
        raise TrainingError(
            f"step {step}, {place}: {error}; what is saved is from before this step"
        ) from error
