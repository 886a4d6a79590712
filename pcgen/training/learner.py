r"""A phase at work: its parameters, its optimiser and schedule, and their running average.

The average that ``sample`` uses belongs to the phase, because it must start when the phase does:

    θ̄_k = d_k θ̄_{k-1} + (1 - d_k) θ_k,    d_k = min(decay, (1 + k) / (10 + k)),

k counting the phase's own steps from 0, θ̄_0 = θ_0. The growing d_k forgets the random start in
short runs too. Once a phase has ended its parameters take their average, so that a later phase
builds on what will be sampled from.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.base import Phase
from pcgen.training.checkpoint import present
from pcgen.training.options import Optimiser


class Learner:
    """One phase of a run of ``steps`` steps.

    Attributes:
        phase: What it learns; its ``loss`` may be None.
        begin: First step of the run in which it is active.
        end: First step after which it is not.
        parameters: What it moves.

    Raises:
        ArgumentError: the phase has a loss but nothing to train.
    """

    def __init__(
        self, fabric: Fabric, phase: Phase, options: Optimiser, steps: int, ema: float | None
    ) -> None:
        self.fabric, self.phase, self.options = fabric, phase, options
        # The subtraction keeps 0.1 * 30 = 3.0000000000000004 from being step 4.
        self.begin = math.ceil(phase.begin * steps - 1e-9)
        self.end = math.ceil(phase.end * steps - 1e-9)
        self.modules = nn.ModuleList(dict.fromkeys(phase.modules))
        self.parameters = [p for p in phase.parameters() if p.requires_grad]
        self.average: AveragedModel | None = None
        if phase.loss is None:
            self.end = self.begin
            return
        if not self.parameters:
            raise ArgumentError(f"phase {phase.name!r}: has a loss but no parameters to train")
        adam = AdamW(
            self.parameters, options.lr, betas=options.betas, weight_decay=options.weight_decay
        )
        self.optimiser = fabric.setup_optimizers(adam)
        if ema is not None:
            self.average = running_average(self.modules, ema)

    def active(self, step: int) -> bool:
        """Whether the phase learns in this step."""
        return self.begin <= step < self.end

    def set_rate(self, step: int) -> float:
        """Put the learning rate of this step of the run into the optimiser."""
        rate = self.options.rate(step - self.begin, self.end - self.begin)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def set_progress(self, step: int) -> None:
        """Hand the phase the fraction of it that is done before this step of the run."""
        if self.phase.progress is not None:
            self.phase.progress((step - self.begin) / (self.end - self.begin))

    def losses(self, clouds: Batch) -> dict[str, Tensor]:
        """Named terms of the loss, scalars in float32.

        Raises:
            ArgumentError: a term is not a scalar, or nothing depends on the phase's parameters.
        """
        name, terms = self.phase.name, self.phase.loss(clouds) if self.phase.loss else {}
        for key, term in terms.items():
            if term.dim() != 0:
                raise ArgumentError(
                    f"phase {name!r}, term {key!r}: got shape {tuple(term.shape)}, "
                    "expected a scalar"
                )
        if not any(term.requires_grad for term in terms.values()):
            raise ArgumentError(
                f"phase {name!r}: got a loss that does not depend on its parameters, "
                "expected at least one term that does"
            )
        return {key: term.float() for key, term in terms.items()}

    def clip(self) -> Tensor:
        """Scale the gradient down to the norm that is allowed; returns the norm it had."""
        limit = math.inf if self.options.clip is None else self.options.clip
        norm: Tensor = self.fabric.clip_gradients(
            self.modules, self.optimiser, max_norm=limit, error_if_nonfinite=False
        )
        return norm.detach()

    def move(self) -> None:
        """One step of the optimiser, and what the phase does after it."""
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.phase.after is not None:
            self.phase.after()

    def follow(self) -> None:
        """Let the average follow the parameters by one step."""
        if self.average is not None:
            self.average.update_parameters(self.modules)

    def state(self) -> dict[str, Any]:
        """Optimiser and average, for the checkpoint."""
        average = self.average
        names = [name for name, _ in self.modules.named_parameters()]
        return {
            "optimiser": self.optimiser.state_dict(),
            "average": None
            if average is None
            else dict(zip(names, average.module.parameters(), strict=True)),
            "averaged": 0 if average is None else int(average.n_averaged),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            load_average(self.average.module, state["average"])
            self.average.n_averaged.fill_(state["averaged"])


def running_average(modules: nn.ModuleList, decay: float) -> AveragedModel:
    """The running average of the parameters of ``modules``, as in the head of this file.

    Raises:
        ArgumentError: the decay is not in [0, 1).
    """
    if not 0.0 <= decay < 1.0:
        raise ArgumentError(f"ema: got {decay}, expected a decay in [0, 1) or None")

    def update(average: Any, values: Any, count: Any) -> None:
        k = float(count)
        get_ema_multi_avg_fn(min(decay, (1.0 + k) / (10.0 + k)))(average, values, count)

    average = AveragedModel(modules, multi_avg_fn=update)
    return average.requires_grad_(False)


@torch.no_grad()
def load_average(modules: nn.Module, average: Mapping[str, Tensor]) -> None:
    """Put stored parameters into ``modules``.

    Raises:
        KeyError, RuntimeError: names or shapes differ.
    """
    stored = present(modules, average)
    for name, parameter in modules.named_parameters():
        parameter.copy_(stored[name])


@torch.no_grad()
def adopt(learner: Learner) -> None:
    """Give the parameters of a phase the values of their running average."""
    if learner.average is not None and learner.average.n_averaged > 0:
        pairs = zip(learner.modules.parameters(), learner.average.module.parameters(), strict=True)
        for parameter, average in pairs:
            parameter.copy_(average)


@contextmanager
def averaged(learners: Sequence[Learner]) -> Iterator[None]:
    """Inside, all parameters are their running averages; outside they are what they were."""
    parameters = [p for learner in learners for p in learner.modules.parameters()]
    values = [p.detach().clone() for p in parameters]
    try:
        for learner in learners:
            adopt(learner)
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, values, strict=True):
                parameter.copy_(value)


def learners_of(
    fabric: Fabric,
    phases: Sequence[Phase],
    optimiser: Optimiser,
    overrides: Mapping[str, Mapping[str, Any]],
    steps: int,
    ema: float | None,
) -> list[Learner]:
    """A learner for each phase, in order.

    Args:
        fabric: Launched.
        phases: With unique names.
        optimiser: Options of all phases,
        overrides: and what the user wants to be different in some, by the name of the phase.
        steps: Length of the run.
        ema: Decay of the running average, None for none.

    Raises:
        ArgumentError: names repeat, or an override names no phase that learns or no option.
    """
    different = own_options(phases, overrides)
    return [
        Learner(fabric, phase, _options(optimiser, phase.name, different), steps, ema)
        for phase in phases
    ]


def own_options(
    phases: Sequence[Phase], overrides: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Options in which phases differ from the run: the phase's own, and over them the user's.

    The two are merged key by key: who changes the rate of a critic does not give it momentum.

    Args:
        phases: With unique names.
        overrides: The user's, by the name of the phase.

    Raises:
        ArgumentError: names repeat, or an override names no phase or no option.
    """
    names = [phase.name for phase in phases]
    if len(set(names)) < len(names):
        raise ArgumentError(f"phases: got {', '.join(names)}, expected different names")
    learning = [phase.name for phase in phases if phase.loss is not None]
    for name, values in overrides.items():
        if name not in names:
            raise ArgumentError(f"phases: got {name!r}, expected one of {', '.join(names)}")
        if not isinstance(values, Mapping):
            raise ArgumentError(f"phases: got {values!r} for {name!r}, expected options by name")
        if values and name not in learning:
            raise ArgumentError(
                f"phases: got options of {name!r}, which is fitted in one pass and takes no steps, "
                f"expected those of {', '.join(learning) or 'none'}"
            )
    merged = {
        phase.name: {**(phase.optimiser or {}), **overrides.get(phase.name, {})} for phase in phases
    }
    known = [field.name for field in dataclasses.fields(Optimiser)]
    for name, values in merged.items():
        for key in values:
            if key not in known:
                raise ArgumentError(
                    f"phases: got option {key!r} of {name!r}, expected one of {', '.join(known)}"
                )
    return {name: values for name, values in merged.items() if values}


def _options(
    optimiser: Optimiser, name: str, different: Mapping[str, Mapping[str, Any]]
) -> Optimiser:
    """Those of one phase; an error names it."""
    try:
        return dataclasses.replace(optimiser, **different.get(name, {}))
    except ArgumentError as error:
        raise ArgumentError(f"phase {name!r}: {error}") from error
