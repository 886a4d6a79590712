"""``pcgen bench``: our distances beside other packages and the forms that people write."""

from __future__ import annotations

import datetime
import sys
import time
from pathlib import Path
from typing import Literal

from pcgen.errors import ArgumentError, FileError
from pcgen.io import atomic
from pcgen.tools.benchmarks import machine, sections
from pcgen.tools.benchmarks.measure import Limits

NOTES = "<!-- Notes: what is below this line is kept when the tables are made again. -->"


def bench(
    output: str = "benchmarks.md",
    *,
    which: Literal["all", "chamfer", "transport", "neighbours", "evaluation", "lattice"] = "all",
    quick: bool = False,
    repeats: int = 3,
    budget: float = 600.0,
    limit: float = 60.0,
    memory: float = 16.0,
    device: str = "cpu",
    peers: str = "",
) -> None:
    """Time our distances against others that are installed, and write Markdown tables.

    Contenders run on the same problems in turn, forward and backward. A cell that would take longer
    or more memory than allowed is marked as not run; so is what the total time leaves no room for,
    largest problems first. Run it on a quiet machine.

    Args:
        output: Markdown file to write; notes below its last line are kept.
        which: Part of the study.
        quick: Tiny problems, to see that everything runs; the times say nothing.
        repeats: Runs of which the best counts.
        budget: Time for all of it [s].
        limit: Longest run of one contender on one problem [s].
        memory: Most memory that one may take [GiB].
        device: Where to run: cpu, cuda, cuda:1.
        peers: Python of an environment with jetnet and energyflow, which need older packages than
            pcgen: its own scores are timed beside ours.
    """
    numbers = {"repeats": repeats, "budget": budget, "limit": limit, "memory": memory}
    for name, value in numbers.items():
        if not value > 0:
            raise ArgumentError(f"{name}: got {value}, expected a number > 0")
    target = Path(output)
    notes = _notes(target)
    command = _command(output, which, quick, device, numbers)
    limits = Limits(limit, memory * 2**30, time.monotonic() + budget, repeats, device, peers)
    before, start = machine.load(), time.monotonic()
    with atomic(target) as temporary:
        parts = [text(limits, quick, _report) for text in _chosen(which)]
        taken = time.monotonic() - start
        head = _head(command, device, before, taken)
        temporary.write_text("\n\n".join([head, *parts, NOTES]) + "\n" + notes, encoding="utf-8")
    print(f"written: {target}")


def _chosen(which: str) -> list[sections.Section]:
    # The short ones first: what is left of the time goes to the large grid.
    return [s for name, s in sections.SECTIONS.items() if which in ("all", name)]


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _command(output: str, which: str, quick: bool, device: str, numbers: dict[str, float]) -> str:
    words = [f"pcgen bench --output {output} --which {which} --device {device}"]
    words += [f"--{name} {value:g}" for name, value in numbers.items()]
    return " ".join(words + ["--quick"] * quick)


def _head(command: str, device: str, load: float, taken: float) -> str:
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Measured on {date} with `{command}`, in {taken:.0f} s:",
            "",
            f"- machine: {machine.describe(device)}; load {load:.1f} before the run "
            "(well below the number of cores is quiet);",
            f"- versions: {machine.versions()}.",
            "",
            "Times are the best of the repeats, of the whole batch, contenders in turn within a "
            "repeat. Memory is the peak of the process above what it held before, forward and "
            "backward. A *peer* is a differentiable form that people use; a *limit* is a raw "
            "search or solver without gradient. float32 throughout.",
        ]
    )


def _notes(path: Path) -> str:
    """What was written by hand below the tables."""
    if not path.exists():
        return ""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read ({error}), expected Markdown") from error
    if NOTES not in text:
        raise FileError(f"{path}: exists and is not by pcgen bench; expected a new name")
    return text.split(NOTES, 1)[1].lstrip("\n")
