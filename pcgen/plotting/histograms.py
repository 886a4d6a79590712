r"""Histograms of real and generated events, with their ratio and its statistical error.

All are densities: bin k of width d_k that holds n_k of N values shows n_k / (N d_k), with the error
sqrt(n_k) / (N d_k). The ratio is generated over real; its bars are the error of the generated
events, the grey band around 1 is that of the real ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.escaping import label, mathtext
from pcgen.plotting.edges import choose_edges
from pcgen.plotting.figures import REAL, colours, legend, new, tidy, wrapped
from pcgen.schema import Quantity

Floats = NDArray[np.float64]

_RATIO_TOP = 2.0
_OUTSIDE = 0.0025
"""Share of the values off the axis from which on it is written."""


@dataclass(frozen=True)
class Binned:
    """A histogram as a density.

    Attributes:
        density: [K].
        error: Statistical error of the density [K].
        outside: Share of the values outside the bins.
    """

    density: Floats
    error: Floats
    outside: float


def histograms(
    real: Mapping[Quantity, Tensor],
    generated: Mapping[str, Mapping[Quantity, Tensor]],
    *,
    bins: int = 40,
    title: str = "",
    real_name: str = "real",
) -> Figure:
    """One panel per quantity: the densities of all samples, and below them the ratio to the real.

    Bins are chosen from the real values: between whole numbers or the centres of cells where
    values come in such steps, logarithmic ones where they are positive and span decades. Above a
    panel stands which share of the values is off its axis where it is more than 0.25 %; triangles
    mark ratios above 2. Errors are those of independent values, which particles of one event are
    not.

    Args:
        real: Values [n] of each quantity.
        generated: The same quantities for each generator, by its name.
        bins: Number of bins, at most this where values come in steps.
        title: Title of the picture; no formulae.
        real_name: How the legend calls the real events.

    Raises:
        ArgumentError: there is nothing to draw, or a generator lacks a quantity.
    """
    missing = [
        (name, q.name) for name, values in generated.items() for q in real if q not in values
    ]
    if not real or missing:
        raise ArgumentError(
            f"histograms: got {len(real)} real quantities, missing {missing or 'none'}, "
            "expected at least one, with values from each generator"
        )
    columns = min(len(real), 3)
    rows = math.ceil(len(real) / columns)
    figure = new(4.2 * columns, 3.9 * rows)
    cells = figure.add_gridspec(2 * rows, columns, height_ratios=[3, 1] * rows)
    for number, (quantity, values) in enumerate(real.items()):
        row, column = divmod(number, columns)
        upper = figure.add_subplot(cells[2 * row, column])
        lower = figure.add_subplot(cells[2 * row + 1, column], sharex=upper)
        samples = {name: _array(each[quantity]) for name, each in generated.items()}
        _panel(upper, lower, quantity, _array(values), samples, bins, real_name)
    shades = [REAL, *colours(len(generated))]
    legend(figure, [real_name, *generated], shades, figure.get_figwidth())
    if title:
        figure.suptitle(mathtext(title))
    return figure


def binned(values: Floats, edges: Floats) -> Binned:
    """Histogram of ``values`` as a density over all of them."""
    counts, _ = np.histogram(values, edges)
    norm = max(len(values), 1) * np.diff(edges)
    outside = 1 - counts.sum() / len(values) if len(values) else 0.0
    return Binned(counts / norm, np.sqrt(counts) / norm, float(outside))


def _array(values: Tensor) -> Floats:
    array: Floats = values.detach().cpu().double().numpy()
    return array


def _panel(
    upper: Axes,
    lower: Axes,
    quantity: Quantity,
    real: Floats,
    samples: Mapping[str, Floats],
    bins: int,
    real_name: str,
) -> None:
    edges, logarithmic = choose_edges(real, bins, list(samples.values()))
    base = binned(real, edges)
    upper.stairs(base.density, edges, fill=True, color=REAL, alpha=0.25)
    upper.stairs(base.density, edges, color=REAL, label=real_name)
    band = _over(base.error, base.density)
    lower.stairs(1 + band, edges, baseline=1 - band, fill=True, color=REAL, alpha=0.25)
    lower.axhline(1.0, color=REAL, linewidth=0.8)
    centres = np.sqrt(edges[1:] * edges[:-1]) if logarithmic else (edges[1:] + edges[:-1]) / 2
    outside = {real_name: base.outside}
    for colour, (name, values) in zip(colours(len(samples)), samples.items(), strict=True):
        other = binned(values, edges)
        outside[name] = other.outside
        style: dict[str, Any] = {"color": colour, "linewidth": 1.3}
        upper.stairs(other.density, edges, label=name, **style)
        upper.errorbar(centres, other.density, other.error, fmt="none", **style)
        ratio, error = _over(other.density, base.density), _over(other.error, base.density)
        lower.errorbar(centres, ratio, error, fmt=".", markersize=4, **style)
        above = ratio > _RATIO_TOP
        lower.plot(centres[above], 0 * ratio[above] + 0.94 * _RATIO_TOP, "^", color=colour, ms=4)
    upper.set_title(_off(outside), fontsize=8, loc="right", color="0.3")
    _decorate(upper, lower, quantity, logarithmic)


def _decorate(upper: Axes, lower: Axes, quantity: Quantity, logarithmic: bool) -> None:
    if logarithmic:
        upper.set_xscale("log")
        upper.set_yscale("log")
    else:
        upper.set_ylim(0, 1.05 * upper.dataLim.ymax or 1.0)
    upper.tick_params(labelbottom=False)
    upper.set_ylabel(f"density [1/{mathtext(quantity.unit)}]" if quantity.unit else "density")
    lower.set_xlabel(label(quantity))
    lower.set_ylabel("gen. / real", fontsize=9)
    lower.set_ylim(0.0, _RATIO_TOP)
    tidy(upper)
    tidy(lower)


def _off(outside: Mapping[str, float]) -> str:
    """Which samples have how much off the axis, where it is worth a word."""
    shares = [f"{name} {100 * share:.1f} %" for name, share in outside.items() if share > _OUTSIDE]
    return wrapped(f"off the axis: {', '.join(shares)}", 60) if shares else ""


def _over(above: Floats, below: Floats) -> Floats:
    """Quotient, not a number where there is nothing below."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
