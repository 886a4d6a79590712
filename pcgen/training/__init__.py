"""The one training loop: a model's phases in turn, on Lightning Fabric; runs and checkpoints.

===================== ==========================================================================
:mod:`.start`         :func:`train`: where a run starts, or goes on
:mod:`.loop`          the phases in turn, exact resume
:mod:`.options`       how parameters move, on what machine, what is reported and how often
:mod:`.interrupt`     Ctrl-C between two steps
:mod:`.learner`       a phase at work: optimiser, schedule, running average
:mod:`.ranks`         what several processes must agree on: gradients, buffers, random states
:mod:`.checkpoint`    one atomic, versioned file that loads without running foreign code
:mod:`.weights`       what is given away of a run: one safetensors file
:mod:`.run`           the folder of a run: configuration, environment, checkpoints
:mod:`.log`           metrics.csv, TensorBoard, progress
===================== ==========================================================================

They are imported at first use, so that help of a command does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcgen.training import checkpoint, ranks, weights
    from pcgen.training.checkpoint import Checkpoint
    from pcgen.training.options import Batches, Machine, Optimiser, Reports
    from pcgen.training.ranks import first_process
    from pcgen.training.run import RunFolder
    from pcgen.training.start import install, train

__all__ = [
    "Batches",
    "Checkpoint",
    "Machine",
    "Optimiser",
    "Reports",
    "RunFolder",
    "checkpoint",
    "first_process",
    "install",
    "ranks",
    "train",
    "weights",
]

_HOMES = {
    "Batches": "options",
    "Checkpoint": "checkpoint",
    "Machine": "options",
    "Optimiser": "options",
    "Reports": "options",
    "RunFolder": "run",
    "first_process": "ranks",
    "install": "start",
    "train": "start",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    return getattr(home, name) if name in _HOMES else home


def __dir__() -> list[str]:
    return sorted(__all__)
