"""Pooling over a rulebook: the active input sites in the window of each output site."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops.rules import Rulebook
from pcgen.ops.segments import segment_max, segment_mean, segment_sum

Reduce = Literal["max", "mean", "sum"]

_REDUCTIONS = {"max": segment_max, "mean": segment_mean, "sum": segment_sum}


def reduce_windows(
    x: Tensor, rules: Rulebook, reduce: Reduce, *, ground: Tensor | None = None
) -> Tensor:
    """Largest value, mean or sum over the window of each output site [M, C].

    Args:
        x: Features of the input sites [N, C].
        rules: From N to M sites, none of them implied (``rules.centre`` is None).
        reduce: What is taken.
        ground: Value of the inactive cells of a window [C]; without one they do not count.

    Raises:
        ArgumentError: the shape of x or ``reduce`` does not fit.
    """
    if reduce not in _REDUCTIONS:
        raise ArgumentError(f"reduce: got {reduce!r}, expected one of {', '.join(_REDUCTIONS)}")
    if x.dim() != 2 or len(x) != rules.inputs:
        raise ArgumentError(f"x: got {tuple(x.shape)}, expected [{rules.inputs}, C]")
    rows = x[rules.members]
    if ground is None:
        return _REDUCTIONS[reduce](rows, rules.ptr)
    volume = len(rules.counts)
    empty = (volume - rules.ptr.diff())[:, None]
    if reduce == "max":
        most = segment_max(rows, rules.ptr)
        return torch.where((empty > 0) & (ground > most), ground, most)
    total = segment_sum(rows, rules.ptr) + empty * ground
    return total / volume if reduce == "mean" else total
