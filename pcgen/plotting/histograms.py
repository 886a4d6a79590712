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
from pcgen.plotting.figures import COLOURS, REAL, new, tidy
from pcgen.schema import Quantity

Floats = NDArray[np.float64]

_TAIL = 0.001
"""Share of the real values that may lie beyond each end of the axis."""
_BROAD = 30.0
"""From this ratio of the largest to the median value the axis is logarithmic."""
_RATIO_TOP = 2.0


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

    Bins are chosen from the real values: one for each integer where all are integers and few,
    logarithmic ones where the values are positive and span decades. The legend says which share of
    the values is off the axis where it is more than 0.25 %; triangles mark ratios above 2. Errors
    are those of independent values, which particles of one event are not.

    Args:
        real: Values [n] of each quantity.
        generated: The same quantities for each generator, by its name.
        bins: Number of bins.
        title: Title of the picture.
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
    if title:
        figure.suptitle(title)
    return figure


def choose_edges(values: Floats, bins: int) -> tuple[Floats, bool]:
    """Edges of the bins for ``values``, and whether they are for a logarithmic axis."""
    if not len(values):
        return np.linspace(0.0, 1.0, bins + 1), False
    low, middle, high = np.quantile(values, [_TAIL, 0.5, 1 - _TAIL])
    if np.all(values == np.round(values)):
        # Integers: a bin is a whole number of them wide, or the histogram has gaps.
        low, high = math.floor(low), math.ceil(high)
        width = max(math.ceil((high - low + 1) / bins), 1)
        return np.arange(low, high + width + 1, width) - 0.5, False
    if low > 0 and high > _BROAD * middle:
        return np.geomspace(low, high, bins + 1), True
    if not high > low:
        low, high = low - 0.5, high + 0.5
    pad = 0.02 * (high - low)
    # Quantities that cannot be negative do not get an axis that says they can.
    bottom = max(low - pad, 0.0) if values.min() >= 0 else low - pad
    return np.linspace(bottom, high + pad, bins + 1), False


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
    edges, logarithmic = choose_edges(real, bins)
    base = binned(real, edges)
    upper.stairs(base.density, edges, fill=True, color=REAL, alpha=0.25)
    upper.stairs(base.density, edges, color=REAL, label=_name(real_name, base))
    band = _over(base.error, base.density)
    lower.stairs(1 + band, edges, baseline=1 - band, fill=True, color=REAL, alpha=0.25)
    lower.axhline(1.0, color=REAL, linewidth=0.8)
    centres = np.sqrt(edges[1:] * edges[:-1]) if logarithmic else (edges[1:] + edges[:-1]) / 2
    for number, (name, values) in enumerate(samples.items()):
        colour, other = COLOURS[number % len(COLOURS)], binned(values, edges)
        style: dict[str, Any] = {"color": colour, "linewidth": 1.3}
        upper.stairs(other.density, edges, label=_name(name, other), **style)
        upper.errorbar(centres, other.density, other.error, fmt="none", **style)
        ratio, error = _over(other.density, base.density), _over(other.error, base.density)
        lower.errorbar(centres, ratio, error, fmt=".", markersize=4, **style)
        above = ratio > _RATIO_TOP
        lower.plot(centres[above], 0 * ratio[above] + 0.94 * _RATIO_TOP, "^", color=colour, ms=4)
    _decorate(upper, lower, quantity, logarithmic)


def _decorate(upper: Axes, lower: Axes, quantity: Quantity, logarithmic: bool) -> None:
    if logarithmic:
        upper.set_xscale("log")
        upper.set_yscale("log")
    else:
        # Room for the legend.
        upper.set_ylim(0, 1.25 * upper.dataLim.ymax or 1.0)
    upper.tick_params(labelbottom=False)
    upper.set_ylabel(f"density [1/{quantity.unit}]" if quantity.unit else "density")
    upper.legend(frameon=False, fontsize=8)
    lower.set_xlabel(quantity.label)
    lower.set_ylabel("gen. / real", fontsize=9)
    lower.set_ylim(0.0, _RATIO_TOP)
    tidy(upper)
    tidy(lower)


def _name(name: str, histogram: Binned) -> str:
    share = 100 * histogram.outside
    return f"{name} ({share:.1f} % off the axis)" if share > 100 * 2.5 * _TAIL else name


def _over(above: Floats, below: Floats) -> Floats:
    """Quotient, not a number where there is nothing below."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
