"""Attention between all points of a cloud, with and without the products in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.nn.points.attention import attend_within, written_out
from pcgen.tools.benchmarks import markdown as md
from pcgen.tools.benchmarks.measure import Case, Contender, Limits, Run, compare

HEADS, CHANNELS = 4, 16
CLOUDS = ((128, 30), (128, 150), (16, 2000))


class Rows(NamedTuple):
    """Queries, keys and values [N, H, c] of B clouds, and their pointer [B+1]."""

    inputs: list[Tensor]
    ptr: Tensor


def section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """Time and memory, forward and backward."""
    contenders = [
        Contender("pcgen", partial(_run, attend_within), "ours"),
        Contender("written out", partial(_run, written_out), bytes_per_work=20.0 * HEADS),
    ]
    cases = [
        Case(f"B={b}, n={n}", float(b * n * n), partial(_normal, b, n, limits.device))
        for b, n in ([(4, 30)] if quick else CLOUDS)
    ]
    results = compare(cases, contenders, limits, report)
    return "\n\n".join(
        [
            "## Attention",
            f"B clouds of n points, {HEADS} heads of {CHANNELS} channels. *written out*: with the "
            "products of all pairs of points in memory, as a second derivative needs them.",
            "Forward and backward [ms]:",
            md.grid(results, contenders, md.milliseconds),
            "Peak memory [MiB]:",
            md.grid(results, contenders, md.mebibytes),
        ]
    )


def _normal(number: int, points: int, device: str) -> Rows:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(3, number * points, HEADS, CHANNELS, generator=generator).to(device)
    inputs = [each.clone().requires_grad_() for each in drawn]
    return Rows(inputs, torch.arange(number + 1, device=device) * points)


def _run(attend: Callable[..., Tensor], given: Rows) -> Run:
    return Run(lambda: attend(*given.inputs, given.ptr), given.inputs)
