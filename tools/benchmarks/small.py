"""Small batches, of which the loops themselves are the smaller part: in turn, one thread each."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from statistics import median

import torch

from pcgen.tools.benchmarks import chamfer, transport
from pcgen.tools.benchmarks import markdown as md
from pcgen.tools.benchmarks.measure import Case, Contender, Limits, Run

HEAD = [
    "",
    "forward [ms]",
    "with backward [ms]",
    "solver alone [ms]",
    "forward over the solver",
    "with backward over the solver",
]
TURNS = 50
"""Of the contenders for each repeat: a turn takes a few milliseconds."""
SOLVER = "network simplex on all cores"
"""The raw solver of the table of jets, here on one."""


def section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """Chamfer beside its peers, and exact jets of 30 particles beside the raw solver."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        batches = (2,) if quick else (32, 256)
        peers = [c for c in chamfer.contenders() if c.missing("cpu") is None]
        clouds = [_chamfer(case, peers, limits.repeats, report) for case in _clouds(batches, "cpu")]
        solver = find_spec("ot") is not None
        jets = [_jets(batch, limits.repeats, report) for batch in batches] if solver else []
    finally:
        torch.set_num_threads(threads)
    names = ["", *(contender.name for contender in peers)]
    return "\n\n".join(
        [
            "## Small batches",
            f"One thread. All contenders take turns {TURNS * limits.repeats} times; times are "
            "those that the thread had a core, which other programs disturb least. Chamfer, "
            "forward and backward (searches: forward): median [ms], and in brackets the median of "
            "the ratios to pcgen within a turn.",
            md.table(names, clouds),
            "Exact jets of 30 particles beside POT's compiled network simplex in a plain loop, on "
            "costs computed before and without gradient: medians [ms], and of the ratios within a "
            "turn. In brackets the smallest times, and their ratio.",
            md.table(HEAD, jets) if jets else "POT is not installed.",
        ]
    )


def _chamfer(
    case: Case[chamfer.Clouds],
    contenders: Sequence[Contender[chamfer.Clouds]],
    repeats: int,
    report: Callable[[str], None],
) -> list[str]:
    given = case.make()
    runs = [partial(_both, contender.prepare(given)) for contender in contenders]
    times = _turns(runs, TURNS * repeats)
    report(f"{case.name}: {', '.join(f'{1e3 * median(each):.3g} ms' for each in times)}")
    cells = [md.number(1e3 * median(times[0]))]
    for each in times[1:]:
        ratio = median(a / b for a, b in zip(each, times[0], strict=True))
        cells.append(f"{md.number(1e3 * median(each))} [{ratio:.2f}]")
    return [case.name, *cells]


def _clouds(batches: Sequence[int], device: str) -> list[Case[chamfer.Clouds]]:
    found = [
        Case(f"B={b}, n=30", 2.0 * b * 30**2, partial(chamfer.normal, b, 30, device))
        for b in batches
    ]
    ragged = Case(
        f"B={batches[0]}, jets",
        2.0 * batches[0] * 60**2,
        partial(chamfer.jets, batches[0], device),
    )
    return [*found, ragged]


def _jets(batch: int, repeats: int, report: Callable[[str], None]) -> list[str]:
    given = transport.jets(batch, 30, "cpu")
    ours, solver = (
        next(c for c in transport.jet_contenders(False) if c.name == name).prepare(given)
        for name in ("pcgen", SOLVER)
    )
    runs = ours.forward, partial(_both, ours), solver.forward
    times = _turns(runs, TURNS * repeats)
    report(f"B={batch}: {', '.join(f'{1e3 * median(each):.3g} ms' for each in times)}")
    ratios = [
        f"{median(a / b for a, b in zip(each, times[2], strict=True)):.2f} "
        f"[{min(each) / min(times[2]):.2f}]"
        for each in times[:2]
    ]
    shown = [f"{md.number(1e3 * median(t))} [{md.number(1e3 * min(t))}]" for t in times]
    return [f"B={batch}", *shown, *ratios]


def _both(run: Run) -> None:
    for leaf in run.leaves:
        leaf.grad = None
    value = run.forward()
    if run.leaves:
        value.sum().backward()


def _turns(runs: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Times of each run [s], of this thread alone: other programs may have the core meanwhile."""
    for run in runs:
        run()
    gc.collect()
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, into in zip(runs, times, strict=True):
            start = time.thread_time()
            run()
            into.append(time.thread_time() - start)
    return times
