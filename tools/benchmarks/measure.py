"""Time and peak memory of contenders on the same problems, in turn, within limits.

Times are the best of the repeats: on a machine that also does other things the smallest time is the
one least disturbed. The contenders of a problem take turns within a repeat, so that a ratio
compares runs a moment apart.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from pcgen.tools.benchmarks import machine

Problem = TypeVar("Problem")

MOMENT = 0.02
"""Seconds for which a short run is repeated in a row."""

LONG = 2.0
"""Seconds from which a run is not repeated."""


class Run(NamedTuple):
    """What a contender does with one problem.

    Attributes:
        forward: Returns the values [B].
        leaves: What is differentiated by; none: there is no backward pass.
    """

    forward: Callable[[], Tensor]
    leaves: Sequence[Tensor] = ()


@dataclass(frozen=True)
class Contender(Generic[Problem]):
    """One way to compute what is compared.

    Attributes:
        name: Name in the tables.
        prepare: From a problem to a run; what it does itself is not timed.
        kind: Ours, a variant (ours in another setting), a peer (a differentiable form that people
            use) or a limit (a raw search or solver).
        module: What must be importable.
        bytes_per_work: Memory it takes for each unit of a case's work.
        share: Part of the problem that it is given (its times are divided by it).
        devices: Where it runs.
    """

    name: str
    prepare: Callable[[Problem], Run]
    kind: str = "peer"
    module: str = "torch"
    bytes_per_work: float = 0.0
    share: float = 1.0
    devices: tuple[str, ...] = ("cpu", "cuda")

    def missing(self, device: str) -> str | None:
        """Why it cannot take part, None where it can."""
        if not device.startswith(self.devices):
            return "not on this device"
        try:
            importlib.import_module(self.module)
        except Exception:
            # Foreign packages fail in many ways when their compiled parts do not fit.
            return "not installed"
        return None


@dataclass(frozen=True)
class Case(Generic[Problem]):
    """One problem.

    Attributes:
        name: Name in the tables.
        work: Pairs of points in it.
        make: Draws it.
    """

    name: str
    work: float
    make: Callable[[], Problem]


@dataclass
class Result:
    """Times [s], peak memory [bytes] and values of one contender; or why there are none."""

    forward: float = float("inf")
    total: float = float("inf")
    memory: float | None = None
    backward: bool = False
    value: Tensor | None = None
    reason: str = ""


@dataclass
class Limits:
    """What a cell may take.

    Attributes:
        seconds: For one run.
        memory: In bytes.
        deadline: On the clock of ``time.monotonic``; nothing is begun that would end after it.
        repeats: Runs of which the best counts.
        device: Where.
        peers: Python of an environment with the peers that pcgen's own cannot have; may be empty.
    """

    seconds: float
    memory: float
    deadline: float
    repeats: int
    device: str
    peers: str = ""

    def until(self, seconds: float) -> Limits:
        """The same, but with at most this much time from now."""
        end = min(self.deadline, time.monotonic() + seconds)
        return replace(self, deadline=end)


Table = dict[str, dict[str, Result]]
"""Results by case and contender."""


def compare(
    cases: Sequence[Case[Problem]],
    contenders: Sequence[Contender[Problem]],
    limits: Limits,
    report: Callable[[str], None],
) -> Table:
    """Measure every contender on every case, smallest first."""
    # What is there by now need not be looked through again between any two runs.
    gc.collect()
    gc.freeze()
    speed: dict[str, float] = {}
    absent = {c.name: c.missing(limits.device) for c in contenders}
    table: Table = {}
    for case in sorted(cases, key=lambda c: c.work):
        row = {c.name: Result(reason=absent[c.name] or "") for c in contenders}
        running = [c for c in contenders if not row[c.name].reason]
        _measure_case(case, running, row, speed, limits)
        for contender in running:
            result = row[contender.name]
            if not result.reason:
                speed[contender.name] = result.total * contender.share / case.work
        table[case.name] = row
        times = (f"{name} {1e3 * r.total:.3g} ms" for name, r in row.items() if not r.reason)
        report(f"{case.name}: {', '.join(times)}")
    gc.unfreeze()
    return {case.name: table[case.name] for case in cases}


def _refusal(
    case: Case[Problem], contender: Contender[Problem], speed: dict[str, float], limits: Limits
) -> str:
    """Why a cell is not run, empty where it is. Time grows with the work from the last cell."""
    need = contender.bytes_per_work * case.work * contender.share
    room = min(limits.memory, 0.7 * machine.available_memory())
    if not limits.device.startswith("cpu"):
        room = limits.memory
    if need > room:
        return f"not run (needs {need / 2**30:.0f} GiB)"
    expected = speed.get(contender.name, 0.0) * case.work
    if expected > limits.seconds:
        return f"not run (about {expected:.0f} s)"
    if time.monotonic() + expected > limits.deadline:
        return f"not run (about {expected:.3g} s, no time left)"
    return ""


def _measure_case(
    case: Case[Problem],
    contenders: Sequence[Contender[Problem]],
    row: dict[str, Result],
    speed: dict[str, float],
    limits: Limits,
) -> None:
    """Fill the results of one case, contenders in turn within a repeat."""
    problem, runs, repeats = case.make(), {}, {}
    for contender in contenders:
        result = row[contender.name]
        result.reason = _refusal(case, contender, speed, limits)
        if not result.reason:
            run = _first(contender, problem, result, limits.device)
            if run is not None:
                expected = speed.get(contender.name, 0.0) * case.work
                runs[contender.name] = run
                repeats[contender.name] = _repeats(result.total * contender.share, expected, limits)
    again = [c for c in contenders if repeats.get(c.name)]
    for contender in again:
        row[contender.name].forward = row[contender.name].total = float("inf")
    for repeat in range(limits.repeats):
        for contender in again:
            late = repeat > 0 and time.monotonic() > limits.deadline
            if repeat < repeats[contender.name] and not late:
                _once(runs[contender.name], row[contender.name], contender.share, limits.device)


def _first(
    contender: Contender[Problem], problem: Problem, result: Result, device: str
) -> Run | None:
    """The run that fills caches and compiles, and whose memory is reported; None where it fails."""
    try:
        run = contender.prepare(problem)
        with _memory(result, device):
            _once(run, result, contender.share, device)
    except Exception as error:
        if contender.kind == "ours":
            raise
        # Foreign packages fail in many ways, compilers that are missing among them.
        result.reason = f"failed ({type(error).__name__}: {_words(error)})"
        return None
    return run


def _repeats(seconds: float, expected: float, limits: Limits) -> int:
    """Runs after the first. A long one counts itself, unless it may have compiled something."""
    if seconds < LONG:
        return limits.repeats
    return 1 if seconds > 3.0 * expected else 0


def _words(error: Exception) -> str:
    return re.sub(r"[\s|]+", " ", str(error))[:60]


def _once(run: Run, result: Result, share: float, device: str) -> None:
    """Runs forward and backward for a moment, one at least; the best times are kept."""
    gc.collect()
    # A short run right behind the collector would be one with cold caches.
    until = time.perf_counter() + MOMENT
    while _timed(run, result, share, device) < until:
        pass


def _timed(run: Run, result: Result, share: float, device: str) -> float:
    """One run; when it ended."""
    for leaf in run.leaves:
        leaf.grad = None
    _wait(device)
    start = time.perf_counter()
    value = run.forward()
    _wait(device)
    middle = time.perf_counter()
    if run.leaves:
        value.sum().backward()
        _wait(device)
    end = time.perf_counter()
    result.forward = min(result.forward, (middle - start) / share)
    result.total = min(result.total, (end - start) / share)
    result.backward = bool(run.leaves)
    result.value = value.detach().double().cpu()
    return end


@contextmanager
def _memory(result: Result, device: str) -> Iterator[None]:
    """Store the largest memory inside, above what was held before."""
    before = _reset_memory(device)
    yield
    peak = _peak_memory(device)
    if before is not None and peak is not None:
        result.memory = float(max(peak - before, 0))


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _reset_memory(device: str) -> int | None:
    """Begin to watch the largest memory; the memory held now, None where it cannot be known."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        # Give freed memory back first: what is taken from it again would not be seen.
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except (OSError, AttributeError):
        return None
    return machine.process_memory("VmRSS")


def _peak_memory(device: str) -> int | None:
    return (
        torch.cuda.max_memory_allocated(device)
        if device.startswith("cuda")
        else machine.process_memory("VmHWM")
    )
