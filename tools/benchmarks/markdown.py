"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pcgen.tools.benchmarks.measure import Contender, Result, Table


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others numbers.

    >>> print(table(["case", "ms"], [["small", "1.2"]]))
    | case | ms |
    |---|---:|
    | small | 1.2 |
    """
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def number(value: float) -> str:
    """Three digits, without an exponent where that is short.

    >>> number(1234.5), number(0.012345), number(12.0)
    ('1234', '0.0123', '12.0')
    """
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:#.3g}" if value >= 1e-3 else f"{value:.2g}"


def milliseconds(result: Result) -> str:
    """Forward and backward."""
    return result.reason or number(1e3 * result.total)


def forward_milliseconds(result: Result) -> str:
    """Forward alone."""
    return result.reason or number(1e3 * result.forward)


def mebibytes(result: Result) -> str:
    """Peak memory above what was held before."""
    if result.reason or result.memory is None:
        return result.reason or "unknown"
    return number(result.memory / 2**20) if result.memory >= 2**20 else "< 1"


def grid(
    results: Table, contenders: Sequence[Contender[Any]], show: Callable[[Result], str]
) -> str:
    """One line a case, one column a contender; who takes part nowhere has no column."""
    there = [c for c in contenders if any(not row[c.name].reason for row in results.values())]
    rows = [[case, *(show(row[c.name]) for c in there)] for case, row in results.items()]
    return table(["", *(c.name for c in there)], rows)


def absent(results: Table, contenders: Sequence[Contender[Any]]) -> str:
    """Who took part nowhere, and why."""
    lines = []
    for contender in contenders:
        reasons = {row[contender.name].reason for row in results.values()}
        if all(reasons):
            lines.append(f"{contender.name}: {'; '.join(sorted(reasons))}")
    return "" if not lines else "Took no part: " + "; ".join(lines) + "."


def fastest(
    row: dict[str, Result], contenders: Sequence[Contender[Any]], kind: str
) -> Result | None:
    """The fastest contender of a kind in a row."""
    names = [c.name for c in contenders if c.kind == kind and not row[c.name].reason]
    return min((row[name] for name in names), key=lambda r: r.total, default=None)
