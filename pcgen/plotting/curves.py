"""Learning curves from the log of a run."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pcgen.errors import FileError
from pcgen.escaping import formula, mathtext
from pcgen.plotting.figures import colours, legend, new, tidy, wrapped

Floats = NDArray[np.float64]


_KNOWN = {"seconds": "time [s]", "gradient": "gradient norm", "lr": "learning rate"}
"""What the log of a run has besides losses and scores, by column or group."""
_WIDTH = 4.4
"""Of a panel in inches."""
_SINGLE = 30
"""Up to so many values of a column are marked one by one."""
_ALONE = "validation"
"""The group whose columns have units of their own."""


def learning_curves(
    path: str | Path,
    *,
    step: str = "step",
    title: str = "",
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Every column of a CSV log over the training step.

    Columns named ``group/term`` share the panel of their group, but for scores on the validation
    split, which have one each; faint lines are the logged values, full ones their running mean over
    a fiftieth of the log. Columns of few values have a marker at each; those without any have no
    panel. Losses that are positive throughout and span decades have a logarithmic axis.

    Args:
        path: File with a header and one row per logged step; empty fields are left out.
        step: Name of the column that counts the steps.
        title: Title of the picture; no formulae.
        labels: Name and unit of columns, by their full name; with formulae as matplotlib writes
            them.

    Raises:
        FileError: the file is missing, or is not such a log.
    """
    table = _read(Path(path), step)
    steps = table.pop(step)
    groups: dict[str, list[str]] = {}
    for name in table:
        group = name.rpartition("/")[0]
        groups.setdefault(name if group in ("", _ALONE) else group, []).append(name)
    columns = min(len(groups), 3)
    rows = math.ceil(len(groups) / columns)
    figure = new(_WIDTH * columns, 3.0 * rows)
    panels = [figure.add_subplot(rows, columns, 1 + place) for place in range(len(groups))]
    for panel, (group, names) in zip(panels, groups.items(), strict=True):
        curves = {name.rpartition("/")[2]: table[name] for name in names}
        _panel(panel, steps, curves)
        if names != [group]:
            few = any(_few(values) for values in curves.values())
            legend(panel, list(curves), colours(len(curves)), _WIDTH - 0.8, dots=few)
        panel.set_xlabel(mathtext(step))
        panel.set_ylabel(formula((labels or {}).get(group, "")) or _label(group, names))
    if title:
        figure.suptitle(mathtext(title))
    return figure


def _label(group: str, names: Sequence[str]) -> str:
    """What a panel shows: ``critic/loss`` is a loss of the critic, ``validation/x`` is x."""
    alone = names == [group]
    text = _KNOWN.get(group) or (group.replace("/", ": ") if alone else f"loss of {group}")
    return wrapped(text, 40)


def _panel(panel: Axes, steps: Floats, curves: Mapping[str, Floats]) -> None:
    for colour, (name, values) in zip(colours(len(curves)), curves.items(), strict=True):
        known = np.isfinite(values)
        x, y = steps[known], values[known]
        panel.plot(x, y, color=colour, alpha=0.3, linewidth=0.8)
        # A line through a single value is nothing to be seen.
        marker = "o" if _few(values) else ""
        panel.plot(x, _smooth(y), marker=marker, markersize=4, color=colour, label=name)
    if _spans_decades(np.concatenate(list(curves.values()))):
        panel.set_yscale("log")
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    tidy(panel)


def _few(values: Floats) -> bool:
    return int(np.isfinite(values).sum()) <= _SINGLE


def _read(path: Path, step: str) -> dict[str, Floats]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = list(rows[0]) if rows else []
        columns = {name: _column([row[name] for row in rows]) for name in names}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FileError(f"{path}: cannot be read as a log ({error})") from error
    known = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    if step not in known or len(known) < 2:
        raise FileError(
            f"{path}: got the columns {', '.join(names) or 'none'}, "
            f"expected {step!r} and at least one with numbers"
        )
    return known


def _column(texts: list[str | None]) -> Floats:
    return np.array([float(text) if text else math.nan for text in texts])


def _smooth(values: Floats) -> Floats:
    """Running mean over a fiftieth of the values; shorter windows at the ends."""
    width = max(len(values) // 50, 1)
    window = np.ones(width)
    norm = np.convolve(np.ones(len(values)), window, "same")
    mean: Floats = np.convolve(values, window, "same") / norm
    return mean


def _spans_decades(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.min() > 0 and known.max() > 100 * known.min())
