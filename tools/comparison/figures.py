"""Pictures of a comparison; hollow markers are rows that are not converged.

============ ===================================================================================
``columns``  a score of each value of a factor, side by side in it another factor
``lines``    a score along a factor that is a number, or along another number of the rows
``profile``  several scores as one line, each at a number; and the learning curves
``curves``   learning curves, in a panel for each value of one or two factors
============ ===================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pcgen.errors import ArgumentError
from pcgen.plotting.figures import COLOURS, MARKERS, REAL, new, tidy
from pcgen.tools.comparison.results import Cell, Names, Summary, Value, summary

FLOOR = "truth against truth"
_LINES = ("-", "--", ":", "-.")
_NARROW = 4.0  # a logarithmic axis spans at least that factor


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        figure: Its kind.
        file: Name of the file, beside the page.
        caption: Below it.
        rows: Values of factors of the rows that it shows.
        scores: Numbers of the rows, and what their axes are called; of a profile where each stands.
        x: A factor, or of lines also a number of the rows.
        x_label: Of its axis.
        y_label: Of the other one, of a profile or of learning curves.
        curve_label: Of the learning curves beside a profile.
        colour: A factor: its values have colours of their own.
        style: A factor: its values have lines of their own.
        panels: Factors: there is a panel for each of their values.
        label: What each colour is called, with the values of factors in braces.
        tick: What a place along x is called, with numbers of the rows in braces.
        base: Of the logarithm along x; None for a linear axis.
        floors: Real events, as values of factors; without them the floors that the rows know.
        mark: A number of the rows at which a profile has a dotted line, and
        mark_label: what it is called.
    """

    figure: str
    file: str
    caption: str
    scores: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Any] = field(default_factory=dict)
    x: str | None = None
    x_label: str = ""
    y_label: str = ""
    colour: str | None = None
    style: str | None = None
    panels: list[str] = field(default_factory=list)
    label: str | None = None
    tick: str | None = None
    base: float | None = 10.0
    floors: dict[str, Any] | None = None
    mark: str | None = None
    mark_label: str = ""
    curve_label: str = ""

    def __post_init__(self) -> None:
        if self.figure not in KINDS:
            raise ArgumentError(f"figure: got {self.figure!r}, expected one of {', '.join(KINDS)}")


def draw(
    picture: Picture,
    there: Sequence[Cell],
    floors: Sequence[Cell],
    factors: Mapping[str, Mapping[Value, str]],
) -> Figure:
    """The figure of some rows.

    Args:
        picture: What it shows.
        there: Rows, seeds together.
        floors: Real events.
        factors: Of the study, with their values in order.
    """
    return KINDS[picture.figure](_Figure(picture, there, floors, factors))


@dataclass(frozen=True)
class _Figure:
    """A picture and what is in it."""

    of: Picture
    there: Sequence[Cell]
    floors: Sequence[Cell]
    factors: Mapping[str, Mapping[Value, str]]

    def values(self, factor: str | None) -> list[Any]:
        """The values of a factor that occur, in order; one None where there is no factor."""
        if factor is None:
            return [None]
        found = {cell.factors[factor] for cell in self.there}
        return [value for value in self.factors[factor] if value in found]

    def number(self, factor: str | None, value: Any) -> int:
        """The place of a value among all that the study has."""
        return 0 if factor is None else list(self.factors[factor]).index(value)

    def chosen(self, **wanted: Any) -> list[Cell]:
        """The cells in which factors have these values."""
        pairs = [(getattr(self.of, role), value) for role, value in wanted.items()]
        return [
            cell
            for cell in self.there
            if all(name is None or cell.factors[name] == value for name, value in pairs)
        ]

    def label(self, cell: Cell, factor: str | None) -> str:
        """What the rows of a colour are called."""
        if self.of.label is not None:
            return self.of.label.format_map(cell.factors)
        return "" if factor is None else str(cell.factors[factor])

    def floor(self, name: str) -> Summary | None:
        """What real events score: of the rows that are real events, or beside those of others."""
        own = self.floors or self.there
        key = name if self.floors else f"{name} floor"
        return summary(each.number(key) for cell in own for each in cell.results)


def _columns(figure: _Figure) -> Figure:
    """A panel for each score; in it a column for each value of x, a marker for each seed."""
    of = figure.of
    names, colours = figure.values(of.x), figure.values(of.colour)
    wide = (6.0, 0.9) if len(of.scores) == 1 else (8.0, 1.2)
    canvas = new(max(wide[0], wide[1] * len(names) + 1.5), 4.0)
    panels = list(np.atleast_1d(canvas.subplots(1, len(of.scores))))
    apart = min(0.27, 0.81 / max(len(colours), 1))  # all within the column of their value of x
    for axes, (name, label) in zip(panels, of.scores.items(), strict=True):
        for k, value in enumerate(colours):
            number = figure.number(of.colour, value)
            shade, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            shift = (k - (len(colours) - 1) / 2) * apart
            for cell in figure.chosen(colour=value):
                x = names.index(cell.factors[str(of.x)]) + shift
                _seeds(axes, x, cell, name, shade, marker)
            if value is not None:
                axes.plot([], [], marker=marker, color=shade, linestyle="", label=str(value))
        _hollow(axes, figure)
        axes.set_xticks(range(len(names)), list(map(str, names)), rotation=30, ha="right")
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_ylabel(str(label))
        for edge in range(len(names) - 1):
            axes.axvline(edge + 0.5, color=REAL, linewidth=0.3, alpha=0.5)
        _band(axes, figure.floor(name))
    return _finish(canvas, panels)


def _lines(figure: _Figure) -> Figure:
    """A panel for each score or value of a factor; in it a line for each colour and style."""
    of = figure.of
    several = figure.values(of.panels[0]) if of.panels else [None] * len(of.scores)
    scores = list(of.scores.items())
    scores = scores * len(several) if of.panels else scores
    size = (3.0 * len(several) + 1.0, 3.6) if of.panels else (4.0 * len(several), 4.0)
    canvas = new(*size)
    panels = list(canvas.subplots(1, len(several), squeeze=False, sharey=bool(of.panels))[0])
    styles = figure.values(of.style)
    for axes, value, (name, label) in zip(panels, several, scores, strict=True):
        here = [c for c in figure.there if value is None or c.factors[of.panels[0]] == value]
        for colour in figure.values(of.colour):
            for style, line in zip(styles, _LINES, strict=False):
                cells = [c for c in figure.chosen(colour=colour, style=style) if c in here]
                _line(axes, figure, cells, name, colour, line)
        for style, line in zip(styles, _LINES, strict=False):
            if style is not None:
                axes.plot([], [], line, color=REAL, label=str(style))
        _hollow(axes, figure)
        _floor_line(axes, figure, name)
        if value is not None:
            axes.set_title(str(value), fontsize=10)
        _ticks(axes, figure)
        axes.set_xlabel(of.x_label or str(of.x), fontsize=9)
        if value is None or axes is panels[0]:
            axes.set_ylabel(str(label))
    return _finish(canvas, panels)


def _profile(figure: _Figure) -> Figure:
    """Scores as one line for each cell, and the learning curves of the same rows."""
    of = figure.of
    canvas = new(9.0, 4.0)
    scores, curves = canvas.subplots(1, 2)
    colours, styles = figure.values(of.colour), figure.values(of.style)
    for cell in figure.there:
        k = colours.index(cell.factors.get(of.colour or ""))
        shade, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
        line = _LINES[styles.index(cell.factors.get(of.style or "")) % len(_LINES)]
        label = figure.label(cell, of.colour)
        found = [(float(x), cell.summary(name)) for name, x in of.scores.items()]
        known = [(x, s) for x, s in found if s is not None]
        xs, medians = [x for x, _ in known], [s.median for _, s in known]
        look = {"linestyle": line, "marker": marker}
        look["markerfacecolor"] = shade if cell.sound else "white"
        scores.vlines(xs, [s.low for _, s in known], [s.high for _, s in known], color=shade)
        scores.plot(xs, medians, color=shade, label=label, **look)
        _curves_of(curves, cell, shade, f"_{label}")  # the legend shows the lines on the left
    _hollow(scores, figure)
    for at in {each.number(of.mark or "") for cell in figure.there for each in cell.results}:
        if math.isfinite(at):
            scores.axvline(at, color=REAL, linewidth=1, linestyle=":", label=of.mark_label)
    scores.set_xlabel(of.x_label)
    scores.set_ylabel(of.y_label)
    curves.set_xlabel("step")
    curves.set_ylabel(of.curve_label or "validation score")
    return _finish(canvas, [scores, curves])


def _curves(figure: _Figure) -> Figure:
    """Validation score against the step, a panel for each value of the factors of panels."""
    of = figure.of
    down, across = [*of.panels, None, None][:2]
    rows, columns = figure.values(down), figure.values(across)
    size = (2.3 * len(columns) + 0.8, 1.5 * len(rows) + 0.8) if of.panels else (6.0, 4.0)
    canvas = new(*size)
    grid = canvas.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
    shades = figure.values(of.colour)
    lowest: dict[int, Axes] = {}
    for panels, row in zip(grid, rows, strict=True):
        for k, (axes, column) in enumerate(zip(panels, columns, strict=True)):
            wanted = [(down, row), (across, column)]
            chosen = [
                c for c in figure.there if all(f is None or c.factors[f] == v for f, v in wanted)
            ]
            for cell in chosen:
                shade = COLOURS[shades.index(cell.factors.get(of.colour or "")) % len(COLOURS)]
                _curves_of(axes, cell, shade, figure.label(cell, of.colour))
            axes.set_xscale("log")
            words = [str(value) for value in (row, column) if value is not None]
            axes.set_title(", ".join(words), fontsize=8, pad=4)
            axes.set_visible(bool(chosen))
            if chosen:
                lowest[k] = axes
    for axes in lowest.values():
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("step", fontsize=9)
    canvas.supylabel(of.y_label or "validation score", fontsize=9)
    return _finish(canvas, [axes for row in grid for axes in row if axes.get_visible()])


KINDS: dict[str, Callable[[_Figure], Figure]] = {
    "columns": _columns,
    "lines": _lines,
    "profile": _profile,
    "curves": _curves,
}


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


def _hollow(axes: Axes, figure: _Figure) -> None:
    """What a hollow marker is, if there are some."""
    if not all(cell.sound for cell in figure.there):
        axes.plot([], [], "o", color=REAL, markerfacecolor="white", label="not converged")


def _place(figure: _Figure, cell: Cell) -> float:
    """Where a cell stands along x: the value of a factor, or the median of a number."""
    name = str(figure.of.x)
    if name in figure.factors:
        return float(cell.factors[name])
    found = cell.summary(name)
    return math.nan if found is None else found.median


def _line(
    axes: Axes, figure: _Figure, there: Sequence[Cell], name: str, colour: Any, style: str
) -> None:
    """Medians and quartiles of cells along an axis."""
    number = figure.values(figure.of.colour).index(colour)
    shade, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    points = [(_place(figure, cell), cell.summary(name), cell.sound) for cell in there]
    known = sorted((x, s, sound) for x, s, sound in points if s is not None and math.isfinite(x))
    if not known:
        return
    axes.plot([x for x, _, _ in known], [s.median for _, s, _ in known], style, color=shade)
    axes.plot([], [], color=shade, marker=marker, label=figure.label(there[0], figure.of.colour))
    for x, found, sound in known:
        face = shade if sound else "white"
        axes.vlines(x, found.low, found.high, color=shade, linewidth=1.5)
        axes.plot(x, found.median, marker=marker, color=shade, markerfacecolor=face, ls="")


def _ticks(axes: Axes, figure: _Figure) -> None:
    """Ticks where there are cells, and with what the picture calls them."""
    places = {_place(figure, cell): cell for cell in figure.there}
    known = sorted(place for place in places if math.isfinite(place))
    if figure.of.base is not None:
        axes.set_xscale("log", base=figure.of.base)
    if not known:
        return
    texts = []
    for place in known:
        names = Names({**places[place].factors, "x": place}, places[place].results)
        texts.append((figure.of.tick or "{x:g}").format_map(names))
    axes.set_xticks(known, texts)
    if figure.of.base is not None:
        axes.set_xlim(0.82 * min(known), 1.2 * max(known))
    axes.minorticks_off()


def _curves_of(axes: Axes, cell: Cell, colour: str, label: str) -> None:
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


def _floor_line(axes: Axes, figure: _Figure, name: str) -> None:
    """Real events along a factor, quartiles as a band."""
    if figure.of.x not in figure.factors:
        return
    found = [(float(f.factors[str(figure.of.x)]), f.summary(name)) for f in figure.floors]
    known = sorted((x, s) for x, s in found if s is not None)
    if known:
        ends = [x for x, _ in known]
        low, high = [s.low for _, s in known], [s.high for _, s in known]
        axes.fill_between(ends, low, high, color=REAL, alpha=0.3, lw=0)
        marker = "_" if len(known) == 1 else None  # a line of one point is none
        axes.plot(ends, [s.median for _, s in known], color=REAL, marker=marker, label=FLOOR)


def _band(axes: Axes, floor: Summary | None) -> None:
    if floor is not None:
        axes.axhspan(floor.low, floor.high, color=REAL, alpha=0.3, lw=0, label=FLOOR)
        axes.axhline(floor.median, color=REAL, linewidth=1)


def _finish(figure: Figure, panels: Sequence[Axes]) -> Figure:
    """Logarithmic values, quiet axes, one legend above all panels."""
    legend: dict[str, Artist] = {}
    for axes in panels:
        _logarithmic(axes)
        tidy(axes)
        handles, labels = axes.get_legend_handles_labels()
        legend.update(zip(labels, handles, strict=True))
    if legend:
        # The line of an entry and the gap behind it are six letters wide, of 13 on an inch.
        room = 13 * figure.get_figwidth() - sum(len(label) + 6 for label in legend)
        figure.legend(
            list(legend.values()),
            list(legend),
            loc="outside upper center",
            ncols=len(legend) if room > 0 else min(len(legend), 6),
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
