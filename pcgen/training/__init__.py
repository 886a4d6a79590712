"""The one training loop: a model's phases in turn, on Lightning Fabric; runs and checkpoints.

===================== ==========================================================================
:mod:`.start`         :func:`train`: where a run starts, or goes on
:mod:`.loop`          the phases in turn, exact resume
:mod:`.options`       how parameters move, on what machine, what is reported and how often
:mod:`.interrupt`     Ctrl-C between two steps
:mod:`.learner`       a phase at work: optimiser, schedule, running average
:mod:`.ranks`         what several processes must agree on: gradients, buffers, random states
:mod:`.checkpoint`    one atomic, versioned file that loads without running foreign code
:mod:`.run`           the folder of a run: configuration, environment, checkpoints
:mod:`.log`           metrics.csv, TensorBoard, progress bar
===================== ==========================================================================
"""

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
    "first_process",
    "install",
    "train",
]
