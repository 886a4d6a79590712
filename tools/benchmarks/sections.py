"""The parts of the study, each from measurement to Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pcgen.tools.benchmarks import (
    attention,
    chamfer,
    encoders,
    evaluation,
    games,
    kernels,
    lattice_tables,
    loading,
    sampling,
    scores,
    segments,
    small,
    startup,
    transport,
)
from pcgen.tools.benchmarks import markdown as md
from pcgen.tools.benchmarks.measure import Contender, Limits, Result, Table, compare

Section = Callable[[Limits, bool, Callable[[str], None]], str]


def neighbours_section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """1-NN accuracy by bounds, and wrong neighbours at an offset."""
    found = scores.nearest_jets(quick)
    report(f"1-NN of {found.jets} jets: {found.seconds:.3g} s")
    rows = [
        ["by bounds first, exact", f"{found.solved}", f"{found.seconds:.3g}"],
        ["full matrix", f"{found.pairs}", f"{found.full:.3g}"],
    ]
    ours, cdist = chamfer.wrong_neighbours(1000.0)
    half = found.jets // 2
    return "\n\n".join(
        [
            "## Nearest clouds",
            f"1-NN accuracy under the earth mover's distance, {half} + {half} jets of at most 30 "
            f"particles (two parts of one sample: {found.accuracy:.3f}), on the CPU. The full "
            f"matrix is reckoned from {found.sampled} of its pairs.",
            md.table(["", "distances computed", "s"], rows),
            "Wrong nearest neighbours of 200 points of a unit cube at an offset of 1000, in "
            f"float32: pcgen {ours:.1%}, torch.cdist {cdist:.1%}.",
        ]
    )


def transport_section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """Jets exactly, and equal weights certified."""
    jets = transport.jet_contenders(quick)
    part = limits.until(150.0)
    exact = compare(transport.jet_cases(limits.device, quick), jets, part, report)
    equal = transport.uniform_contenders()
    part = limits.until(120.0)
    certified = compare(transport.uniform_cases(limits.device, quick), equal, part, report)
    return "\n\n".join(
        [
            "## Earth mover",
            "Jets: the hardest 30 particles of each jet of the shipped sample, or 150 particles of "
            "consecutive jets, weights of sum 1, exact.",
            *_transport_tables(exact, jets),
            "Points of the unit cube with equal weights; ours is proven within 1 % of the optimum.",
            *_transport_tables(certified, equal),
        ]
    )


def chamfer_section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """The grid of batches and sizes, and ragged jets."""
    contenders = chamfer.contenders()
    results = compare(chamfer.cases(limits.device, quick), contenders, limits, report)
    peers = [c.name for c in contenders if c.kind != "limit"]
    return "\n\n".join(
        [
            "## Chamfer",
            "Normal points in space, B clouds of n points on each side; *jets*: B pairs of ragged "
            "jets of 9 to 170 particles, which dense forms pad and mask.",
            "Forward and backward [ms] (searches: forward):",
            md.grid(results, contenders, md.milliseconds),
            "Fastest peer over ours, forward and backward:",
            md.table(["", "fastest peer", "ratio"], _ratios(results, contenders)),
            "Forward alone [ms]:",
            md.grid(results, contenders, md.forward_milliseconds),
            "Peak memory [MiB]:",
            md.grid(results, contenders, md.mebibytes),
            _agreement(results, peers),
            md.absent(results, contenders),
        ]
    ).strip()


def kernels_section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """What the Triton kernels take of a GPU, compiled ahead of time."""
    rows = []
    for variant, capability, found in kernels.every(
        kernels.TARGETS[:1] if quick else kernels.TARGETS
    ):
        report(f"{variant.title}, sm_{capability}: {found.seconds:.1f} s")
        numbers = found.registers, found.spilled, found.shared
        rows.append([variant.title, f"sm_{capability}", *map(str, numbers), f"{found.seconds:.1f}"])
    head = ["", "for", "registers", "spilled [B]", "shared memory [B]", "compilation [s]"]
    return "\n\n".join(
        [
            "## Triton kernels",
            "Compiled without a GPU, for an A100 (sm_80) and an H100 or H200 (sm_90), in the usual "
            "shapes; registers and spilled bytes of a thread by `ptxas -v`.",
            md.table(head, rows),
        ]
    )


def segments_section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """A table for each reduction."""
    text = [
        "## Segments",
        "Reductions of normal values [B n, C] over B segments of n rows. *pcgen, plain torch*: as "
        "where torch-scatter is not installed. Forward and backward / forward alone [ms].",
    ]
    for reduction in segments.REDUCTIONS:
        contenders = segments.contenders(reduction)
        cases = segments.cases(limits.device, quick)
        results = compare(cases, contenders, limits, report)
        peers = [c.name for c in contenders if c.kind != "limit"]
        text += [
            f"### {reduction}",
            md.grid(results, contenders, _both),
            "Fastest peer over ours, forward and backward:",
            md.table(["", "fastest peer", "ratio"], _ratios(results, contenders)),
            _agreement(results, peers),
            md.absent(results, contenders),
        ]
    return "\n\n".join(line for line in text if line)


def _both(result: Result) -> str:
    """Forward and backward, and forward alone."""
    return result.reason or f"{md.milliseconds(result)} / {md.forward_milliseconds(result)}"


def _transport_tables(results: Table, contenders: Sequence[Contender[Any]]) -> list[str]:
    ours = contenders[0].name
    head = [
        "",
        "contender",
        "forward [ms]",
        "with backward [ms]",
        "MiB",
        "over ours",
        "value off by",
    ]
    rows = []
    for case, row in results.items():
        for contender in contenders:
            result = row[contender.name]
            if not result.reason.startswith(("not installed", "not on")):
                rows.append([case, contender.name, *_columns(result, row[ours])])
    return [text for text in (md.table(head, rows), md.absent(results, contenders)) if text]


def _columns(result: Result, ours: Result) -> list[str]:
    if result.reason:
        return [result.reason, "", "", "", ""]
    total = md.number(1e3 * result.total) if result.backward else "no gradient"
    ratio = "" if ours.reason or result is ours else f"{result.total / ours.total:.3g}"
    off = "" if ours.reason or result is ours else f"{_deviation(result, ours):.1g}"
    return [md.number(1e3 * result.forward), total, md.mebibytes(result), ratio, off]


def _deviation(result: Result, ours: Result) -> float:
    """Largest difference from our values, relative to their mean; a part may have been run."""
    if result.value is None or ours.value is None:
        return float("nan")
    number = min(len(result.value), len(ours.value))
    difference = (result.value[:number] - ours.value[:number]).abs().max()
    return (difference / ours.value.mean()).item()


def _ratios(results: Table, contenders: Sequence[Contender[Any]]) -> list[list[str]]:
    rows = []
    for case, row in results.items():
        peer, ours = md.fastest(row, contenders, "peer"), md.fastest(row, contenders, "ours")
        name = next((n for n, r in row.items() if r is peer), "none ran")
        ratio = "" if peer is None or ours is None else f"{peer.total / ours.total:.3g}"
        rows.append([case, name, ratio])
    return rows


def _agreement(results: Table, names: Sequence[str]) -> str:
    """How far the values of the peers are from ours, at most."""
    worst = dict.fromkeys(names[1:], 0.0)
    for row in results.values():
        for name in worst:
            if not row[name].reason and not row[names[0]].reason:
                worst[name] = max(worst[name], _deviation(row[name], row[names[0]]))
    ran = {n for row in results.values() for n, r in row.items() if not r.reason}
    listed = (f"{name} {value:.1g}" for name, value in worst.items() if name in ran)
    return f"Largest relative difference from our values: {', '.join(listed)}."


SECTIONS: dict[str, Section] = {
    "neighbours": neighbours_section,
    "transport": transport_section,
    "evaluation": evaluation.section,
    "lattice": lattice_tables.section,
    "startup": startup.section,
    "chamfer": chamfer_section,
    "small": small.section,
    "segments": segments_section,
    "attention": attention.section,
    "encoders": encoders.section,
    "sampling": sampling.section,
    "games": games.section,
    "loading": loading.section,
    "kernels": kernels_section,
}
