"""``pcgen papers``: what papers claim, checked on toys whose truth is known, claim by claim."""

from __future__ import annotations

import csv
import io
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pcgen.bounds import REPEATS
from pcgen.errors import ArgumentError, at_least

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pcgen.tools.claims.claim import Claim, Verdict

FAMILIES = (
    "games", "dirac", "wasserstein", "frozen", "ring", "gaussians", "stacked", "occupancy",
    "sensing", "recovery", "pulses", "completion", "chain", "bars", "hybrid", "codes", "sets",
    "shapes",
)  # fmt: skip
SHOWN = ("claim", "published", "ours", "spread", "threshold", "verdict", "seconds")


def papers(
    names: list[str] | None = None,
    *,
    output: str | None = None,
    seeds: int = 3,
    seed: int = 0,
    quick: bool = False,
) -> None:
    """Check what papers claim, on toys whose truth is known; a table with a verdict for each.

    Each claim is one number with a threshold that is written in the code. It is measured with
    several seeds, and passes if the median is on the right side; one that fails is reported as one.

    Args:
        names: Families of claims, all by default: games, dirac, wasserstein, frozen, ring,
            gaussians, stacked, occupancy, sensing, recovery, pulses, completion, chain, bars,
            hybrid, codes, sets, shapes.
        output: Where to write the same as tables: a file .md or .csv, or a name for both.
        seeds: Number of seeds of each claim.
        seed: The first of them; the next is greater by 1.
        quick: A few steps only, to see that everything runs; the verdicts mean nothing.

    Raises:
        ArgumentError: there is no such family.
    """
    chosen = FAMILIES if names is None else tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in FAMILIES:
            raise ArgumentError(f"names: got {name!r}, expected some of {', '.join(FAMILIES)}")
    REPEATS.allow(seeds=seeds)
    at_least(0, seed=seed)
    targets = _targets(output)

    from pcgen.io import check_output

    for target in targets:
        check_output(target)
    start, verdicts = time.monotonic(), []
    for claim in _claims(chosen):
        print(f"{claim.family}: {claim.text} ...", file=sys.stderr, flush=True)
        verdicts.append(claim.check(range(seed, seed + seeds), quick))
        for target in targets:  # a run that is ended leaves what it has found
            _write(target, verdicts, seeds, quick)
    rows = [verdict.row for verdict in verdicts]
    print(_text(rows))
    held = sum(verdict.holds for verdict in verdicts)
    print(f"\n{held} of {len(verdicts)} claims hold, in {time.monotonic() - start:.0f} s")
    if quick:
        print("quick: the verdicts mean nothing")
    for target in targets:
        print(f"written: {target}")


def _claims(names: Sequence[str]) -> list[Claim]:
    import importlib

    modules = (importlib.import_module(f"pcgen.tools.claims.{name}") for name in names)
    return [claim for module in modules for claim in module.CLAIMS]


def _targets(output: str | None) -> list[Path]:
    if output is None:
        return []
    path = Path(output)
    if path.suffix in (".md", ".csv"):
        return [path]
    if path.suffix:
        raise ArgumentError(f"output: got {output!r}, expected .md, .csv or a name without an end")
    return [path.with_suffix(".md"), path.with_suffix(".csv")]


def _text(rows: Sequence[Mapping[str, str]]) -> str:
    """Columns of a width each, with the names of the families above their claims."""
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in SHOWN}

    def line(cells: Mapping[str, str]) -> str:
        return "  ".join(f"{cells[name]:{widths[name]}s}" for name in SHOWN).rstrip()

    lines, family = [line({name: name for name in SHOWN})], ""
    for row in rows:
        if row["family"] != family:
            family = row["family"]
            lines.append(f"[{family}]")
        lines.append(line(row))
    return "\n".join(lines)


def _write(target: Path, verdicts: Sequence[Verdict], seeds: int, quick: bool) -> None:
    from pcgen.io import atomic
    from pcgen.tools.benchmarks import machine
    from pcgen.tools.benchmarks.markdown import table

    rows = [verdict.row for verdict in verdicts]
    if target.suffix == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        content = text.getvalue()
    else:
        head = [*SHOWN[:1], "paper", *SHOWN[1:]]
        cells = [[row[n] if n != "paper" else row["source"] for n in head] for row in rows]
        how = f"{seeds} seeds{', quick: the verdicts mean nothing' if quick else ''}"
        place = f"{machine.describe('cpu')}; load {machine.load():.1f}"
        content = f"{table(head, cells)}\n\nMedians and ranges of {how}; {place}.\n"
    with atomic(target) as temporary:
        temporary.write_text(content, encoding="utf-8")
