"""A picture for each question of a comparison; hollow markers are rows that are not converged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pcgen.plotting.figures import COLOURS, MARKERS, REAL, new, tidy
from pcgen.tools.comparison.results import Cell, Result, Summary, cells
from pcgen.tools.comparison.spine import AXIS, OBJECTIVES

SCORE = "score: mean $W_1$ [$\\sigma$]"
FLOOR = "truth against truth"
_STYLE = {name: (COLOURS[k], MARKERS[k]) for k, name in enumerate(AXIS)}
_LINES = ("-", "--", ":", "-.")
_NARROW = 4.0  # a logarithmic axis spans at least that factor


def by_network(there: Sequence[Cell], floor: Summary | None) -> Figure:
    """Score of each network, by objective: seeds, median and quartiles, the floor as a band."""
    networks = _networks(there)
    figure = new(max(6.0, 0.9 * len(networks) + 1.5), 4.0)
    axes = figure.subplots()
    _columns(axes, there, "score", SCORE)
    _band(axes, floor)
    return _finish(figure, [axes])


def flow_and_gan(there: Sequence[Cell], floor: Summary | None) -> Figure:
    """W1 of the mass after the budget, and the time of an event: flows beside GANs."""
    chosen = [cell for cell in there if cell.objective in ("flow", "gan")]
    figure = new(max(8.0, 1.2 * len(_networks(chosen)) + 1.5), 4.0)
    masses, times = figure.subplots(1, 2)
    _columns(masses, chosen, "w1_mass", "$W_1$ of the mass [$\\sigma$]")
    _band(masses, floor)
    _columns(times, chosen, "us_per_event", "generated event [µs CPU]")
    return _finish(figure, [masses, times])


def by_resolution(there: Sequence[Cell], floors: Sequence[Cell]) -> Figure:
    """Score of one network of each representation against the resolution, by objective."""
    objectives = _objectives(there)
    figure = new(3.0 * len(objectives) + 1.0, 3.6)
    panels = list(figure.subplots(1, len(objectives), squeeze=False, sharey=True)[0])
    occupancy = dict(sorted((cell.resolution, _occupancy(cell)) for cell in there))
    for axes, objective in zip(panels, objectives, strict=True):
        for network in AXIS:
            chosen = [c for c in there if (c.network, c.objective) == (network, objective)]
            _line(axes, chosen, "score", network, "-", lambda cell: float(cell.resolution))
        _floor_line(axes, [cell for cell in floors if cell.resolution in occupancy])
        axes.set_title(objective, fontsize=10)
        axes.set_xlabel("cells along each axis (occupancy)", fontsize=9)
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(occupancy), [f"{r}\n({o:.1f} %)" for r, o in occupancy.items()])
        axes.set_xlim(0.85 * min(occupancy), 1.18 * max(occupancy))
        axes.minorticks_off()
    panels[0].set_ylabel(SCORE)
    return _finish(figure, panels)


def by_occupancy(there: Sequence[Cell]) -> Figure:
    """Time of a training step and of a generated event against the occupancy of real events."""
    figure = new(8.0, 4.0)
    panels = list(figure.subplots(1, 2))
    labels = {"ms_per_step": "training step [ms CPU]", "us_per_event": "generated event [µs CPU]"}
    objectives = _objectives(there)
    for axes, (name, label) in zip(panels, labels.items(), strict=True):
        for network in AXIS:
            for objective, style in zip(objectives, _LINES, strict=False):
                chosen = [c for c in there if (c.network, c.objective) == (network, objective)]
                _line(axes, chosen, name, network, style, _occupancy)
        for objective, style in zip(objectives, _LINES, strict=False):
            axes.plot([], [], style, color=REAL, label=objective)
        ticks = sorted({_occupancy(cell) for cell in there if math.isfinite(_occupancy(cell))})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:.1f}" for tick in ticks])
        if ticks:
            axes.set_xlim(0.8 * min(ticks), 1.25 * max(ticks))
        axes.minorticks_off()
        axes.set_xlabel("occupancy of real events [%]", fontsize=9)
        axes.set_ylabel(label)
    return _finish(figure, panels)


def learning_curves(there: Sequence[Cell]) -> Figure:
    """Validation score against the step: a panel for each network and objective."""
    networks, objectives = _networks(there), _objectives(there)
    figure = new(2.3 * len(objectives) + 0.8, 1.5 * len(networks) + 0.8)
    grid = figure.subplots(len(networks), len(objectives), squeeze=False, sharex=True, sharey=True)
    resolutions = sorted({cell.resolution for cell in there})
    lowest: dict[str, Axes] = {}
    for panels, network in zip(grid, networks, strict=True):
        for axes, objective in zip(panels, objectives, strict=True):
            chosen = [c for c in there if (c.network, c.objective) == (network, objective)]
            for cell in chosen:
                colour = COLOURS[resolutions.index(cell.resolution) % len(COLOURS)]
                _curves(axes, cell, colour, f"{cell.resolution}²")
            axes.set_xscale("log")
            axes.set_title(f"{network}, {objective}", fontsize=8, pad=2)
            axes.set_visible(bool(chosen))
            if chosen:
                lowest[objective] = axes
    for axes in lowest.values():
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("step", fontsize=9)
    figure.supylabel(SCORE, fontsize=9)
    return _finish(figure, [axes for row in grid for axes in row if axes.get_visible()])


def dead_channels(there: Sequence[Cell], names: Sequence[str]) -> Figure:
    """Error against the percentage of dead cells, and the learning curves of the same rows.

    Args:
        there: Cells of that question.
        names: Numbers of a row, ``mae_00`` and so on.
    """
    figure = new(9.0, 4.0)
    errors, curves = figure.subplots(1, 2)
    percent = [int(name.removeprefix("mae_")) for name in names]
    networks, resolutions = _networks(there), sorted({c.resolution for c in there})
    for cell in there:
        k = networks.index(cell.network)
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
        line = _LINES[resolutions.index(cell.resolution) % len(_LINES)]
        label = cell.network if len(resolutions) == 1 else f"{cell.network}, {cell.resolution}²"
        found = [cell.summary(name) for name in names]
        known = [(x, s) for x, s in zip(percent, found, strict=True) if s is not None]
        face = colour if cell.sound else "none"
        xs, medians = [x for x, _ in known], [s.median for _, s in known]
        style = {"linestyle": line, "marker": marker, "markerfacecolor": face}
        errors.plot(xs, medians, color=colour, label=label, **style)
        errors.vlines(xs, [s.low for _, s in known], [s.high for _, s in known], color=colour)
        _curves(curves, cell, colour, f"_{label}")  # the legend shows the lines on the left
    for at in {each.number("trained_at") for cell in there for each in cell.results}:
        if math.isfinite(at):
            errors.axvline(at, color=REAL, linewidth=1, linestyle=":", label="as in training")
    errors.set_xlabel("dead cells in the test [%]")
    errors.set_ylabel("mean absolute error [$\\sigma$]")
    curves.set_xlabel("step")
    curves.set_ylabel("the same, validation, as in training")
    return _finish(figure, [errors, curves])


def floor_of(results: Sequence[Result], resolution: int, name: str) -> Summary | None:
    """A number of truth against truth at a resolution."""
    for cell in cells(results, "floor"):
        if (cell.network, cell.resolution) == ("truth", resolution):
            return cell.summary(name)
    return None


def _columns(axes: Axes, there: Sequence[Cell], name: str, label: str) -> None:
    """A column for each network, side by side in it a marker for each objective and seed."""
    networks, objectives = _networks(there), _objectives(there)
    for k, objective in enumerate(objectives):
        style = list(OBJECTIVES).index(objective) if objective in OBJECTIVES else k + 3
        colour, marker = COLOURS[style % len(COLOURS)], MARKERS[style % len(MARKERS)]
        shift = (k - (len(objectives) - 1) / 2) * 0.27
        for cell in there:
            if cell.objective == objective:
                _seeds(axes, networks.index(cell.network) + shift, cell, name, colour, marker)
        axes.plot([], [], marker=marker, color=colour, linestyle="", label=objective)
    if not all(cell.sound for cell in there):
        axes.plot([], [], "o", color=REAL, markerfacecolor="none", label="not converged")
    axes.set_xticks(range(len(networks)), networks, rotation=30, ha="right")
    axes.set_xlim(-0.6, len(networks) - 0.4)
    axes.set_ylabel(label)
    for edge in range(len(networks) - 1):
        axes.axvline(edge + 0.5, color=REAL, linewidth=0.3, alpha=0.5)


def _seeds(axes: Axes, x: float, cell: Cell, name: str, colour: str, marker: str) -> None:
    """Each seed as a point, hollow where it is not converged; median and quartiles as bars."""
    for result in cell.results:
        face = colour if result.converged else "none"
        axes.plot(
            x, result.number(name), marker=marker, color=colour, markerfacecolor=face, ls="", ms=5
        )
    found = cell.summary(name)
    if found is not None and found.low < found.high:
        axes.vlines(x + 0.09, found.low, found.high, color=colour, linewidth=2)
        axes.hlines(found.median, x + 0.05, x + 0.13, color=colour, linewidth=2)


def _line(
    axes: Axes,
    there: Sequence[Cell],
    name: str,
    network: str,
    style: str,
    where: Callable[[Cell], float],
) -> None:
    """Medians and quartiles of the cells of a network along an axis."""
    colour, marker = _STYLE[network]
    points = [(where(cell), cell.summary(name), cell.sound) for cell in there]
    known = sorted((x, s, sound) for x, s, sound in points if s is not None and math.isfinite(x))
    if not known:
        return
    axes.plot([x for x, _, _ in known], [s.median for _, s, _ in known], style, color=colour)
    axes.plot([], [], color=colour, marker=marker, label=network)
    for x, found, sound in known:
        face = colour if sound else "white"
        axes.plot(x, found.median, marker=marker, color=colour, markerfacecolor=face, ls="")
        axes.vlines(x, found.low, found.high, color=colour, linewidth=1.5)


def _curves(axes: Axes, cell: Cell, colour: str, label: str) -> None:
    """The learning curve of each seed; dashed where it is not converged."""
    for result in cell.results:
        points = result.curve
        axes.plot(
            [p.step for p in points],
            [p.score for p in points],
            color=colour,
            marker=".",
            markersize=3,
            linestyle="-" if result.converged else "--",
            linewidth=1,
        )
    axes.plot([], [], color=colour, label=label)


def _floor_line(axes: Axes, floors: Sequence[Cell]) -> None:
    """Truth against truth at each resolution, quartiles as a band."""
    found = [(f.resolution, f.summary("score")) for f in floors if f.network == "truth"]
    known = sorted((r, s) for r, s in found if s is not None)
    if known:
        ends = [r for r, _ in known]
        low, high = [s.low for _, s in known], [s.high for _, s in known]
        axes.fill_between(ends, low, high, color=REAL, alpha=0.3, lw=0)
        axes.plot(ends, [s.median for _, s in known], color=REAL, marker="_", label=FLOOR)


def _band(axes: Axes, floor: Summary | None) -> None:
    if floor is not None:
        axes.axhspan(floor.low, floor.high, color=REAL, alpha=0.3, lw=0, label=FLOOR)
        axes.axhline(floor.median, color=REAL, linewidth=1)


def _occupancy(cell: Cell) -> float:
    """Of the real events, in percent."""
    found = cell.summary("occupancy_real")
    return math.nan if found is None else 100 * found.median


def _networks(there: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.network for cell in there))


def _objectives(there: Sequence[Cell]) -> list[str]:
    """Those that occur, in the order of the spine."""
    found = dict.fromkeys(cell.objective for cell in there)
    known = [name for name in OBJECTIVES if name in found]
    return known + [name for name in found if name not in OBJECTIVES]


def _finish(figure: Figure, panels: Sequence[Axes]) -> Figure:
    """Logarithmic values, quiet axes, one legend above all panels."""
    legend: dict[str, Artist] = {}
    for axes in panels:
        _logarithmic(axes)
        tidy(axes)
        handles, labels = axes.get_legend_handles_labels()
        legend.update(zip(labels, handles, strict=True))
    if legend:
        figure.legend(
            list(legend.values()),
            list(legend),
            loc="outside upper center",
            ncols=min(len(legend), 6),
            fontsize=8,
            frameon=False,
        )
    return figure


def _logarithmic(axes: Axes) -> None:
    """Values on a logarithmic axis whose ticks are plain numbers, unless some are not positive."""
    # Lines that only divide the panel are no values.
    lines = [line for line in axes.get_lines() if line.get_transform() == axes.transData]
    values = np.concatenate([np.empty(0), *(np.asarray(line.get_ydata(), float) for line in lines)])
    known = values[np.isfinite(values)]
    if not len(known) or known.min() <= 0:
        return
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < _NARROW * low:
        wider = math.sqrt(_NARROW * low / high)
        axes.set_ylim(low / wider, high * wider)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
