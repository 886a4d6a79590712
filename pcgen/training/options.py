"""What belongs to a run and not to a model: how parameters move, where, and what is reported.

The defaults of Python, of the command line and of the comparison are those of these classes. All
that change a result are plain values, written to the run's configuration and compared when the run
is taken up again.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from pcgen.errors import ArgumentError

# Nothing heavy is imported here: commands take their default values from these classes.
if TYPE_CHECKING:
    from torch_geometric.data import Batch

    from pcgen.models.base import GenerativeModel

Validate: TypeAlias = "Callable[[GenerativeModel], Mapping[str, float]]"
Schedule = Literal["constant", "cosine"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class Optimiser:
    """AdamW (Loshchilov and Hutter 2019) and its schedule; Adam where ``weight_decay`` is 0.

    They hold for the whole run. A phase whose method needs other values brings them
    (:attr:`pcgen.models.base.Phase.optimiser`) and keeps them whatever the run's are; the user's
    options of that phase go over both, key by key.

    Attributes:
        lr: Learning rate, the largest of the schedule.
        betas: Decay of the running means of gradient and squared gradient.
        weight_decay: Decoupled weight decay.
        schedule: ``"constant"``, or ``"cosine"`` (to zero at the end of the phase).
        warmup: Steps of the phase in which the rate rises linearly to ``lr``.
        clip: Largest norm of a phase's gradient; None does not clip.

    Raises:
        ArgumentError: a value is out of range.
    """

    lr: float = 5e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    warmup: int = 50
    clip: float | None = 5.0

    def __post_init__(self) -> None:
        positive = {"lr": self.lr} if self.clip is None else {"lr": self.lr, "clip": self.clip}
        for name, value in positive.items():
            if not (_is_number(value) and value > 0.0):
                raise ArgumentError(f"{name}: got {value!r}, expected a positive number")
        betas = self.betas if isinstance(self.betas, (tuple, list)) else ()
        if len(betas) != 2 or not all(_is_number(beta) and 0.0 <= beta < 1.0 for beta in betas):
            raise ArgumentError(f"betas: got {self.betas!r}, expected two numbers in [0, 1)")
        object.__setattr__(self, "betas", tuple(betas))  # lists come from files
        decay, warmup = self.weight_decay, self.warmup
        if not all(_is_number(value) and value >= 0.0 for value in (decay, warmup)):
            raise ArgumentError(
                f"weight_decay, warmup: got {decay!r}, {warmup!r}, expected numbers >= 0"
            )
        if self.schedule not in ("constant", "cosine"):
            raise ArgumentError(f"schedule: got {self.schedule!r}, expected constant or cosine")

    def rate(self, step: int, steps: int) -> float:
        """Learning rate at ``step`` of a phase that lasts ``steps``.

        A pure function of the step: a resumed run needs no state to find it.

        >>> optimiser = Optimiser(lr=1.0, schedule="cosine", warmup=2)
        >>> [round(optimiser.rate(step, 10), 2) for step in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.04]
        """
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        if self.schedule == "constant":
            return self.lr
        done = (step - self.warmup) / max(steps - self.warmup, 1)
        return self.lr * 0.5 * (1.0 + math.cos(math.pi * done))


def _is_number(value: object) -> bool:
    """Whether it is a finite number; a word (from YAML) or a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)


@dataclass(frozen=True)
class Machine:
    """Where a run computes, in the words of Lightning Fabric.

    Attributes:
        accelerator: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
        devices: Number of devices of each node, or ``"auto"``.
        num_nodes: Number of machines.
        strategy: ``"auto"``, or a flavour of ``"ddp"``: every process holds the whole model.
        precision: ``"32-true"``, ``"bf16-mixed"`` or ``"16-mixed"``.

    Raises:
        ArgumentError: the precision is none of these.
    """

    accelerator: str = "auto"
    devices: int | str = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: Precision = "32-true"

    def __post_init__(self) -> None:
        if self.precision not in ("32-true", "bf16-mixed", "16-mixed"):
            raise ArgumentError(
                f"precision: got {self.precision!r}, expected 32-true, bf16-mixed or 16-mixed"
            )


@dataclass(frozen=True)
class Reports:
    """What a run writes and how often; nothing here changes what is learnt.

    Attributes:
        log_every: Steps between rows of the log.
        checkpoint_every: Steps between checkpoints.
        validate_every: Steps between validations.
        keep: How many numbered checkpoints stay beside the last and the best.
        progress: Show on stderr how far it is: a bar, or lines where there is no terminal.
        validate_at: Further steps after which there is a validation.

    Raises:
        ArgumentError: a value is out of range.
    """

    log_every: int = 50
    checkpoint_every: int = 500
    validate_every: int = 500
    keep: int = 2
    progress: bool = True
    validate_at: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("log_every", "checkpoint_every", "validate_every"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name}: got {getattr(self, name)}, expected >= 1")
        if self.keep < 0:
            raise ArgumentError(f"keep: got {self.keep}, expected >= 0")


class Batches(Protocol):
    """Where clouds come from: a pure function of the number of the batch."""

    def __call__(self, step: int, rank: int, world: int) -> Batch:
        """Batch number ``step`` of process ``rank`` of ``world``; always the same one."""

    def all(self) -> Iterable[Batch]:
        """One pass over the training split, in order."""


@dataclass(frozen=True)
class Options:
    """The arguments of :func:`train` besides model and batches.

    ``phases`` holds what phases bring too, so that a run records what it was trained with.
    """

    folder: Path
    steps: int
    seed: int
    optimiser: Optimiser
    phases: Mapping[str, Mapping[str, Any]]
    ema: float | None
    machine: Machine
    reports: Reports
    validate: Validate | None
    score: str
    recipe: str | None
    arguments: Mapping[str, Any]
    config: Mapping[str, Any]
    free: tuple[str, ...] = ()
    local: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    started: bool = False

    def recorded(self) -> dict[str, Any]:
        """What the run's folder records: the configuration, with the paths of this machine."""
        return {**self.resolved(), **self.local}

    def resolved(self) -> dict[str, Any]:
        """The run's configuration, plain values, as it goes into checkpoints."""
        own = ("recipe", "arguments", "steps", "seed", "phases", "ema")
        groups = ("optimiser", "machine", "reports")
        return {
            **{name: getattr(self, name) for name in own},
            **{name: dataclasses.asdict(getattr(self, name)) for name in groups},
            **self.config,
        }
