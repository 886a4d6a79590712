"""The tables of :mod:`pcgen.tools.benchmarks.lattice`: a line a lattice, a column an occupancy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pcgen.tools.benchmarks import lattice
from pcgen.tools.benchmarks import markdown as md
from pcgen.tools.benchmarks.lattice import DENSE, KEPT, OCCUPANCIES, OURS, PEERS, RULES, named
from pcgen.tools.benchmarks.measure import Limits, Result, Table, compare


def section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """Dense and sparse layers on the same images."""
    contenders = lattice.contenders()
    part = limits.until(300.0)
    results = compare(lattice.cases(limits.device, quick), contenders, part, report)
    parts = [
        "## Active sites",
        "A submanifold convolution, 3 taps along each axis, 32 channels, batch 16, forward and "
        "backward, at the share of active cells that heads the column; sites scattered uniformly, "
        "or around three jet axes an event. The dense layer in both memory layouts of torch.",
        "Time from coordinates to gradients, rulebook included [ms]:",
        _table(results, OURS, md.milliseconds, DENSE),
        "Faster dense layer over ours, and the share of active cells at which they would be equal:",
        _ratios(results),
        "Rulebook alone, which layers on the same sites share [ms]:",
        _table(results, RULES, md.milliseconds),
        "With the rulebook kept from a layer before [ms]:",
        _table(results, KEPT, md.milliseconds),
        "Peak memory, rulebook included [MiB]:",
        _table(results, OURS, md.mebibytes, DENSE),
    ]
    for peer in PEERS:
        if any(not row[named(peer, o)].reason for row in results.values() for o in OCCUPANCIES):
            parts += [f"{peer}, forward and backward [ms]:", _table(results, peer, md.milliseconds)]
        else:
            reasons = {row[named(peer, o)].reason for row in results.values() for o in OCCUPANCIES}
            parts.append(f"{peer} took no part: {'; '.join(sorted(reasons))}.")
    return "\n\n".join(parts)


def _table(
    results: Table, name: str, show: Callable[[Result], str], others: Sequence[str] = ()
) -> str:
    head = ["", *others, *(f"{100 * o:g} %" for o in OCCUPANCIES)]
    columns = [*others, *(named(name, o) for o in OCCUPANCIES)]
    rows = [[case, *(show(row[c]) for c in columns)] for case, row in results.items()]
    return md.table(head, rows)


def _ratios(results: Table) -> str:
    head = ["", *(f"{100 * o:g} %" for o in OCCUPANCIES), "equal at"]
    rows = []
    for case, row in results.items():
        dense = min(row[name].total for name in DENSE)
        ratios = [dense / row[named(OURS, o)].total for o in OCCUPANCIES]
        # A cell that was not run has an infinite time.
        if not 0 < min(ratios) <= max(ratios) < float("inf"):
            rows.append([case, *(["not run"] * len(head[1:]))])
            continue
        equal = lattice.crossover(results, case)
        words = "above 30 %" if equal is None else f"{100 * equal:.2g} %"
        rows.append([case, *(f"{ratio:.3g}" for ratio in ratios), words])
    return md.table(head, rows)
