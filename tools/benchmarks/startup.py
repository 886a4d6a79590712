"""What a command costs before it works: CPU-seconds of help, errors, ``info`` and ``view``.

Every program is a process of its own. Its time is that of user and system, with the processes that
it started and waited for; the programs take turns, and the median of the repeats counts. Ratios to
``import torch`` and ``import torch_geometric``, measured in the same turns, hold on any machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from pcgen.datasets.jets import SAMPLE
from pcgen.recipes import RECIPES
from pcgen.tools.benchmarks import markdown as md
from pcgen.tools.benchmarks.measure import Limits
from pcgen.tools.cli import COMMANDS

BASES = ("import torch", "import torch_geometric")


def section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """CPU-seconds of programs and their ratios to the two imports."""
    with tempfile.TemporaryDirectory() as folder:
        found = measured(programs(Path(folder), quick), limits, report)
    torch, geometric = (found[name] for name in BASES)
    rows = [
        [name, md.number(seconds), md.number(seconds / torch), md.number(seconds / geometric)]
        for name, seconds in found.items()
    ]
    return "\n\n".join(
        [
            "## Start-up",
            "CPU-seconds of a process (user and system, with its children), the median of the "
            "repeats; the programs take turns. `info` and `view` read the shipped jets.",
            md.table(["", "CPU [s]", "over import torch", "over import torch_geometric"], rows),
        ]
    )


def programs(folder: Path, quick: bool) -> dict[str, list[str]]:
    """Arguments of Python for each program; a few where it is quick.

    Args:
        folder: Where pictures and pages go.
        quick: One help, and nothing that draws.
    """
    recipe = next(iter(RECIPES))
    words = [f"{name} --help" for name in COMMANDS]
    words += [f"train {recipe} --help", f"train {recipe} --stepz 1", "view --nmes a"]
    calls = {f"pcgen {each}": each.split() for each in (words[:1] if quick else words)}
    calls["pcgen info jets.h5"] = ["info", str(SAMPLE)]
    if not quick:
        for ending, name in {"html": "a page", "png": "a picture"}.items():
            output = ["--output", str(folder / f"jets.{ending}")]
            calls[f"pcgen view jets.h5, {name}"] = ["view", str(SAMPLE), *output]
    imports = {base: ["-c", base] for base in BASES}
    return imports | {name: ["-m", "pcgen.tools", *call] for name, call in calls.items()}


def measured(
    calls: Mapping[str, Sequence[str]], limits: Limits, report: Callable[[str], None]
) -> dict[str, float]:
    """Median CPU-seconds of each program, all of them once before any is run again."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(limits.repeats):
        if turn and time.monotonic() > limits.deadline:
            break
        for name, call in calls.items():
            times[name].append(cpu_seconds([sys.executable, *call]))
            report(f"{name}: {times[name][-1]:.3g} s")
    return {name: median(each) for name, each in times.items()}


def cpu_seconds(command: Sequence[str]) -> float:
    """User and system time of a program and of the children that it waited for."""
    process = subprocess.Popen(
        list(command),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime
