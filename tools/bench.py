"""``pcgen bench``: distances and networks beside other packages and the forms that people write."""

from __future__ import annotations

import datetime
import re
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pcgen.bounds import REPEATS
from pcgen.errors import ArgumentError, FileError

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from pcgen.tools.benchmarks.measure import Limits
    from pcgen.tools.benchmarks.sections import Section

NOTES = "<!-- Notes: what is below this line is kept when the tables are made again. -->"

HEAD = """# Benchmarks

Every part states when, where and by which command it was measured. A load well below the number of
cores is a quiet machine. Times are the best of the repeats, of the whole batch, contenders in turn
within a repeat. Memory is the peak of the process above what it held before, forward and backward.
A *peer* is a differentiable form that people use; a *limit* is a raw search or solver without
gradient. float32 throughout."""


def bench(
    output: str = "benchmarks.md",
    *,
    which: Literal[
        "all",
        "chamfer",
        "transport",
        "small",
        "neighbours",
        "evaluation",
        "lattice",
        "startup",
        "attention",
        "encoders",
        "segments",
        "sampling",
        "games",
        "loading",
        "kernels",
    ] = "all",
    quick: bool = False,
    repeats: int = 3,
    budget: float = 600.0,
    limit: float = 60.0,
    memory: float = 16.0,
    device: str = "cpu",
    peers: str = "",
) -> None:
    """Time distances, networks and start-up beside others; write Markdown tables.

    Contenders run on the same problems in turn, forward and backward. A cell that would take longer
    or more memory than allowed is marked as not run; so is what the total time leaves no room for,
    largest problems first. Run it on a quiet machine.

    Args:
        output: Markdown file to write; parts that are not measured again and notes below the last
            line are kept.
        which: Part of the study.
        quick: Tiny problems, to see that everything runs; the times mean nothing.
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
    REPEATS.allow(repeats=repeats)
    if peers and shutil.which(peers) is None:
        raise ArgumentError(f"peers: got {peers}, expected a Python that can be run")

    from pcgen.io import atomic
    from pcgen.loading import check_device
    from pcgen.tools.benchmarks import sections
    from pcgen.tools.benchmarks.measure import Limits

    check_device(device)
    target = Path(output)
    kept, notes = _earlier(target)
    limits = Limits(limit, memory * 2**30, time.monotonic() + budget, repeats, device, peers)
    with atomic(target) as temporary:
        for name, section in sections.SECTIONS.items():
            if which in ("all", name):
                command = _command(output, name, quick, device, numbers)
                kept[name] = _measured(section, limits, quick, command)
        blocks = [_block(name, kept[name]) for name in sections.SECTIONS if name in kept]
        text = "\n\n".join([HEAD, *blocks, NOTES]) + "\n" + notes
        temporary.write_text(text, encoding="utf-8")
    print(f"written: {target}")


def _measured(section: Section, limits: Limits, quick: bool, command: str) -> str:
    """A section with a line under its title that states when and how it was measured."""
    from pcgen.tools.benchmarks import machine

    before, start = machine.load(), time.monotonic()
    title, _, body = section(limits, quick, _report).partition("\n")
    taken = time.monotonic() - start
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    line = (
        f"Measured on {date} with `{command}`, in {taken:.0f} s, on "
        f"{machine.describe(limits.device)}; load {before:.1f} before. {machine.versions()}."
    )
    return f"{title}\n\n{line}\n\n{body.strip()}"


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _command(output: str, which: str, quick: bool, device: str, numbers: dict[str, float]) -> str:
    words = [f"pcgen bench --output {output} --which {which} --device {device}"]
    words += [f"--{name} {value:g}" for name, value in numbers.items()]
    return " ".join(words + ["--quick"] * quick)


def _block(name: str, text: str) -> str:
    return f"<!-- {name} -->\n\n{text}\n\n<!-- end of {name} -->"


def _earlier(path: Path) -> tuple[dict[str, str], str]:
    """The sections that the file has, by name, and what was written by hand below them."""
    if not path.exists():
        return {}, ""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read ({error}), expected Markdown") from error
    if NOTES not in text:
        raise FileError(f"{path}: exists and is not by pcgen bench; expected a new name")
    tables, notes = text.split(NOTES, 1)
    found = re.findall(r"<!-- (\w+) -->\n\n(.*?)\n\n<!-- end of \1 -->", tables, re.DOTALL)
    return dict(found), notes.lstrip("\n")
