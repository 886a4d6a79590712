"""A picture for each question of a comparison; hollow markers are rows that are not converged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcgen.plotting.figures import COLOURS, MARKERS, REAL, new, tidy
from pcgen.tools.comparison.results import Cell, Result, Summary, cells
from pcgen.tools.comparison.spine import AXIS, OBJECTIVES

SCORE = "score: mean $W_1$ [$\\sigma$]"
_STYLE = {name: (COLOURS[k], MARKERS[k]) for k, name in enumerate(AXIS)}


def by_network(there: Sequence[Cell], floor: Summary | None) -> Figure:
    """Score of each network, by objective: seeds, median and quartiles, the floor as a band."""
    networks = list(dict.fromkeys(cell.network for cell in there))
    objectives = _objectives(there)
    figure = new(max(6.0, 1.1 * len(networks) + 2.0), 4.0)
    axes = figure.subplots()
    for k, objective in enumerate(objectives):
        shift = (k - (len(objectives) - 1) / 2) * 0.25
        for cell in there:
            if cell.objective == objective:
                x = networks.index(cell.network) + shift
                _seeds(axes, x, cell, "score", COLOURS[k], MARKERS[k])
        axes.plot([], [], marker=MARKERS[k], color=COLOURS[k], linestyle="", label=objective)
    _band(axes, floor)
    axes.set_xticks(range(len(networks)), networks, rotation=20)
    return _finish(figure, [axes], y=SCORE)


def by_resolution(there: Sequence[Cell], floors: Sequence[Cell]) -> Figure:
    """Score of one network of each representation against the resolution, by objective."""
    objectives = _objectives(there)
    figure = new(4.0 * len(objectives) + 1.0, 3.8)
    panels = list(figure.subplots(1, len(objectives), squeeze=False, sharey=True)[0])
    for axes, objective in zip(panels, objectives, strict=True):
        for network in AXIS:
            chosen = [c for c in there if (c.network, c.objective) == (network, objective)]
            _line(axes, chosen, "score", network, _resolution)
        known = {f.resolution: f.summary("score") for f in floors if f.network == "truth"}
        ends = [(r, s) for r, s in sorted(known.items()) if s is not None]
        if ends:
            low, high = [s.low for _, s in ends], [s.high for _, s in ends]
            axes.fill_between([r for r, _ in ends], low, high, color=REAL, alpha=0.3, lw=0)
        axes.set_title(objective, fontsize=10)
        _resolutions(axes, there)
    return _finish(figure, panels, y=SCORE, x="cells along each axis (occupancy)")


def by_occupancy(there: Sequence[Cell]) -> Figure:
    """Time of a training step and of a generated event against the occupancy of real events."""
    figure = new(9.0, 3.8)
    panels = list(figure.subplots(1, 2))
    labels = {"ms_per_step": "training step [ms CPU]", "us_per_event": "generated event [µs CPU]"}
    lines = ("-", "--", ":", "-.")
    for axes, (name, label) in zip(panels, labels.items(), strict=True):
        for k, objective in enumerate(_objectives(there)):
            for network in AXIS:
                chosen = [c for c in there if (c.network, c.objective) == (network, objective)]
                text = f"{network}, {objective}"
                _line(axes, chosen, name, text, _occupancy, network, lines[k % len(lines)])
        axes.set_xscale("log")
        axes.set_ylabel(label)
    return _finish(figure, panels, x="occupancy of real events [%]")


def against_time(there: Sequence[Cell]) -> Figure:
    """W1 of the mass against CPU-seconds, and the time of an event: flows beside GANs."""
    figure = new(9.5, 3.8)
    curves, times = figure.subplots(1, 2)
    networks = list(dict.fromkeys(cell.network for cell in there))
    for cell in there:
        if cell.objective not in ("flow", "gan"):
            continue
        colour = COLOURS[networks.index(cell.network) % len(COLOURS)]
        flow = cell.objective == "flow"
        for k, result in enumerate(cell.results):
            points = [p for p in result.curve if math.isfinite(p.mass)]
            curves.plot(
                [p.seconds for p in points],
                [p.mass for p in points],
                color=colour,
                linestyle="-" if flow else "--",
                label=f"{cell.network}, {cell.objective}" if k == 0 else "",
            )
        x = networks.index(cell.network) + (0.15 if flow else -0.15)
        _seeds(times, x, cell, "us_per_event", colour, "o" if flow else "s")
    curves.set_xlabel("training [CPU-s]")
    curves.set_ylabel("$W_1$ of the mass [$\\sigma$], validation")
    curves.set_xscale("log")
    times.set_xticks(range(len(networks)), networks, rotation=20)
    times.set_ylabel("generated event [µs CPU]: □ GAN, ○ flow")
    return _finish(figure, [curves, times])


def learning_curves(there: Sequence[Cell]) -> Figure:
    """Validation score against the step: a panel for each network and objective."""
    networks = list(dict.fromkeys(cell.network for cell in there))
    objectives = _objectives(there)
    figure = new(3.0 * len(objectives) + 1.0, 2.1 * len(networks) + 0.6)
    grid = figure.subplots(len(networks), len(objectives), squeeze=False, sharex=True)
    resolutions = sorted({cell.resolution for cell in there})
    for i, network in enumerate(networks):
        for j, objective in enumerate(objectives):
            axes = grid[i][j]
            chosen = [c for c in there if (c.network, c.objective) == (network, objective)]
            for cell in chosen:
                colour = COLOURS[resolutions.index(cell.resolution) % len(COLOURS)]
                _curves(axes, cell, colour)
            _scales(axes)
            axes.set_xscale("log")
            axes.set_title(f"{network}, {objective}", fontsize=9)
            axes.set_visible(bool(chosen))
    for axes in grid[-1]:
        axes.set_xlabel("step")
    figure.supylabel(SCORE, fontsize=9)
    return _finish(figure, [axes for row in grid for axes in row if axes.get_visible()])


def _curves(axes: Axes, cell: Cell, colour: str) -> None:
    """Each seed of a cell; dashed where it is not converged."""
    for k, result in enumerate(cell.results):
        points = result.curve
        axes.plot(
            [p.step for p in points],
            [p.score for p in points],
            color=colour,
            marker=".",
            linestyle="-" if result.converged else "--",
            linewidth=1,
            label=f"{cell.resolution}²" if k == 0 else "",
        )


def _seeds(axes: Axes, x: float, cell: Cell, name: str, colour: str, marker: str) -> None:
    """Each seed as a point, hollow where it is not converged; median and quartiles as bars."""
    for result in cell.results:
        face = colour if result.converged else "none"
        axes.plot(
            x, result.number(name), marker=marker, color=colour, markerfacecolor=face, ls="", ms=5
        )
    found = cell.summary(name)
    if found is not None:
        axes.vlines(x + 0.06, found.low, found.high, color=colour, linewidth=2)
        axes.hlines(found.median, x + 0.02, x + 0.10, color=colour, linewidth=2)


def _line(
    axes: Axes,
    there: Sequence[Cell],
    name: str,
    label: str,
    where: object,
    network: str = "",
    style: str = "-",
) -> None:
    """Medians and quartiles of cells along an axis."""
    assert callable(where)
    colour, marker = _STYLE[network or label]
    points = [(where(cell), cell.summary(name), cell.sound) for cell in there]
    known = sorted((x, s, sound) for x, s, sound in points if s is not None and math.isfinite(x))
    if not known:
        return
    axes.plot(
        [x for x, _, _ in known], [s.median for _, s, _ in known], style, color=colour, label=label
    )
    for x, found, sound in known:
        face = colour if sound else "none"
        axes.plot(x, found.median, marker=marker, color=colour, markerfacecolor=face, ls="")
        axes.vlines(x, found.low, found.high, color=colour, linewidth=1.5)


def _resolution(cell: Cell) -> float:
    return float(cell.resolution)


def _occupancy(cell: Cell) -> float:
    found = cell.summary("occupancy_real")
    return math.nan if found is None else 100 * found.median


def _resolutions(axes: Axes, there: Iterable[Cell]) -> None:
    """Ticks that say how full the real images are."""
    occupancy = {c.resolution: _occupancy(c) for c in there if math.isfinite(_occupancy(c))}
    axes.set_xscale("log", base=2)
    ticks = sorted(occupancy)
    axes.set_xticks(ticks, [f"{r}\n({occupancy[r]:.1f} %)" for r in ticks])
    axes.minorticks_off()


def _band(axes: Axes, floor: Summary | None) -> None:
    if floor is not None:
        axes.axhspan(floor.low, floor.high, color=REAL, alpha=0.3, lw=0, label="truth vs truth")
        axes.axhline(floor.median, color=REAL, linewidth=1)


def _objectives(there: Sequence[Cell]) -> list[str]:
    """Those that occur, in the order of the spine."""
    found = dict.fromkeys(cell.objective for cell in there)
    return [name for name in OBJECTIVES if name in found] + [
        n for n in found if n not in OBJECTIVES
    ]


def _scales(axes: Axes) -> None:
    lines = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
    values = np.concatenate([*lines, np.empty(0)])
    known = values[np.isfinite(values)]
    if len(known) and known.min() > 0:
        axes.set_yscale("log")


def _finish(figure: Figure, panels: Sequence[Axes], *, y: str = "", x: str = "") -> Figure:
    """Logarithmic scores, a legend where there is something to tell, quiet axes."""
    for axes in panels:
        _scales(axes)
        tidy(axes)
        if x:
            axes.set_xlabel(x)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7, frameon=False)
    if y:
        panels[0].set_ylabel(y)
    return figure


def floor_of(results: Sequence[Result], resolution: int) -> Summary | None:
    """Score of truth against truth at a resolution."""
    for cell in cells(results, "floor"):
        if (cell.network, cell.resolution) == ("truth", resolution):
            return cell.summary("score")
    return None
