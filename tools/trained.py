"""A trained model as the commands open it: by name, on a device, with another solver."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from pcgen.bounds import STEPS
from pcgen.errors import ArgumentError

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from pathlib import Path

    from pcgen.models.base import GenerativeModel


def device_of(name: str) -> str:
    """``auto`` is the GPU where there is one."""
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def trained(
    run: str | Path, recipe: str | None, device: str = "cpu", **solver: Any
) -> GenerativeModel:
    """The model of a run.

    Args:
        run: Folder of a run, a checkpoint, weights, or the name of a shipped model.
        recipe: Of the user's own, ``module:function``; None: one of pcgen's.
        device: Where it computes, ``auto`` as well.
        solver: What a flow's solver is to be: rule, steps, tolerance, pace; None: as trained.

    Raises:
        ArgumentError: there is no such recipe or device, or the solver does not fit the model.
        CheckpointError: the model is missing or damaged.
    """
    from pcgen.loading import load

    model = load(run, recipe=recipe, device=device_of(device))
    changes = {name: value for name, value in solver.items() if value is not None}
    if changes:
        _set_solver(model, changes)
    return model


def _set_solver(model: GenerativeModel, changes: dict[str, Any]) -> None:
    """Let a flow follow its trajectories in another way than after its training."""
    from pcgen.models.paths import followed

    given = ", ".join(name.replace("rule", "solver") for name in changes)
    paths, choices = followed(model), getattr(model, "choices", tuple(changes))
    if not set(changes) <= set(choices):
        raise ArgumentError(
            f"{given}: got values for a {type(model).__name__}, whose network goes the whole way, "
            f"expected {' and '.join(choices) or 'none'}"
        )
    if not paths:
        raise ArgumentError(
            f"{given}: got values for a {type(model).__name__}, which follows no trajectories, "
            "expected a model of the recipes *-flow"
        )
    STEPS.allow(steps=changes.get("steps"))
    solver = paths[0].solver
    rule = changes.get("rule", solver.rule)
    wrong = [
        w for w in (("steps", "pace") if rule == "adaptive" else ("tolerance",)) if w in changes
    ]
    if wrong:
        raise ArgumentError(
            f"{wrong[0]}: got {changes[wrong[0]]} for the solver {rule}, expected "
            + ("tolerance, which decides its steps" if rule == "adaptive" else "steps")
        )
    paths[0].solver = dataclasses.replace(solver, **changes)
