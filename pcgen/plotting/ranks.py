"""Answers to inputs in one picture: ranks of the truths, and the response of the detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pcgen import escaping
from pcgen.plotting import figures
from pcgen.schema import Quantity

_LEVELS = 101


class Points(NamedTuple):
    """One quantity against the input: where, how large on average, and how spread, each [K]."""

    at: Tensor
    mean: Tensor
    spread: Tensor


def answers(
    ranks: Mapping[Quantity, Tensor], responses: Mapping[Quantity, Mapping[str, Points]]
) -> Figure:
    """Calibration of every observable, and response and resolution beside it.

    Args:
        ranks: Ranks of the truths among their answers, in [0, 1], of each observable [B].
        responses: Of some observables, the response in bins of truth and answers, by name.

    Returns:
        A panel for the ranks, where calibrated answers are on the diagonal, and one for each
        response, whose bars are the resolution.
    """
    figure = figures.new(4.0 * (1 + len(responses)), 3.4)
    panels = figure.subplots(1, 1 + len(responses), squeeze=False)[0]
    _calibration(panels[0], ranks)
    for axes, (quantity, sides) in zip(panels[1:], responses.items(), strict=True):
        shades = (figures.REAL, *figures.colours(len(sides)))
        for (name, seen), shade in zip(sides.items(), shades, strict=False):
            axes.errorbar(
                seen.at,
                seen.mean,
                yerr=seen.spread,
                color=shade,
                marker="o",
                markersize=3,
                capsize=2,
                label=figures.wrapped(name, 24),
            )
        axes.set_xlabel(f"{escaping.label(quantity)} of the input", fontsize=9)
        axes.set_ylabel("response, bars: resolution", fontsize=9)
        axes.legend(frameon=False, fontsize=8)
        figures.tidy(axes)
    return figure


def _calibration(axes: Axes, ranks: Mapping[Quantity, Tensor]) -> None:
    level = torch.linspace(0, 1, _LEVELS, dtype=torch.float64)
    axes.plot([0, 1], [0, 1], color=figures.REAL, linewidth=0.8)
    for (quantity, rank), shade in zip(ranks.items(), figures.colours(len(ranks)), strict=True):
        share = (rank[None] <= level[:, None]).double().mean(1)
        axes.plot(
            level, share, color=shade, linewidth=1.0, label=figures.wrapped(quantity.name, 24)
        )
    axes.set_xlabel("quantile of the answers", fontsize=9)
    axes.set_ylabel("share of truths below", fontsize=9)
    axes.legend(frameon=False, fontsize=7)
    figures.tidy(axes)
