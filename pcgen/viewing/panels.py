"""Profiles of showers as lines in a scene, where no axes of a figure are: for the window.

A panel is flat and faces who looks from :data:`~pcgen.viewing.shapes.VIEW`, as letters do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.ticker import LogLocator, MaxNLocator

from pcgen import escaping
from pcgen.escaping import mathtext
from pcgen.schema import Quantity
from pcgen.viewing.letters import letters
from pcgen.viewing.profiles import Profile, hues, stairs
from pcgen.viewing.scene import Floats
from pcgen.viewing.shapes import DARK, LETTER, Lines, directions, together, width_of

HEIGHT = 0.5
"""Of a panel; a box is 1 long."""
_LEFT, _BELOW = 0.32, 0.2
"""What the numbers and names of the axes take."""
_TICK, _DASH = 0.015, 0.02
_DECADES = 4
"""A logarithmic axis shows no more of them."""


def panels(found: Sequence[Profile], weight: Quantity, place: Floats, width: float) -> Lines:
    """Profiles side by side, the last of them on a logarithmic axis where it falls by decades.

    Args:
        found: The profiles.
        weight: What is summed in their bins.
        place: Upper left corner of all [3].
        width: Of all.
    """
    right, down, _ = directions()
    each = width / len(found)
    parts = []
    for number, profile in enumerate(found):
        corner = place + (number * each + _LEFT) * right + HEIGHT * down
        log = number > 0 and profile.decades
        parts.append(_panel(profile, weight, corner, each - _LEFT, log=log))
    parts.append(_legend(list(found[0].event), place + _LEFT * right - 1.8 * LETTER * down))
    return together(parts)


def _panel(profile: Profile, weight: Quantity, corner: Floats, width: float, *, log: bool) -> Lines:
    """Axes and curves of one profile, whose lower left corner is at ``corner`` [3]."""
    right, down, _ = directions()

    def at(across: Any, up: Any) -> Floats:
        places: Floats = corner + np.multiply.outer(across, width * right)
        return places - np.multiply.outer(up, HEIGHT * down)

    low, high = _range(profile, log=log)
    first, last = float(profile.edges[0]), float(profile.edges[-1])
    frame = _line(at(np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])), DARK)
    parts, aside = [frame], 0.0
    for value, text in _ticks(first, last, 5):
        foot = at((value - first) / (last - first), 0.0)
        parts.append(_line(np.stack([foot, foot + _TICK * down]), DARK))
        parts.append(letters(text, foot + (_TICK + LETTER) * down))
    for value, text in _decades(low, high) if log else _ticks(low, high, 4):
        foot = at(0.0, _share(value, low, high, log=log))
        parts.append(_line(np.stack([foot, foot - _TICK * right]), DARK))
        parts.append(letters(text, foot - 2 * _TICK * right, side="right"))
        aside = max(aside, width_of(text))
    parts.append(letters(escaping.label(profile.axis), at(0.5, 0.0) + (_BELOW - 0.05) * down))
    name = at(0.0, 0.5) - (aside + 3 * _TICK + LETTER) * right
    parts.append(letters(escaping.label(weight), name, upright=True))
    for hue, sample in zip(hues(len(profile.event)), profile.event, strict=True):
        for values, dashed in ((profile.mean[sample], True), (profile.event[sample], False)):
            x, y = stairs(profile.edges, values)
            up = np.clip(_share(y, low, high, log=log), 0.0, 1.0)
            curve = at((x - first) / (last - first), up)
            parts.append(_line(_dashes(curve) if dashed else curve, to_rgb(hue), apart=dashed))
    return together(parts)


def _legend(names: Sequence[str], place: Floats) -> Lines:
    """The names of the samples in their colours, and what a dashed line is."""
    right = directions()[0]
    parts, shift = [], 0.0
    for name, colour in zip(names, map(to_rgb, hues(len(names))), strict=True):
        parts.append(_coloured(letters(mathtext(name), place + shift * right, side="left"), colour))
        shift += width_of(mathtext(name)) + 2 * LETTER
    parts.append(letters("dashed: mean of all", place + shift * right, side="left"))
    return together(parts)


def _range(profile: Profile, *, log: bool) -> tuple[float, float]:
    """Ends of the axis of energies."""
    values = np.concatenate([*profile.event.values(), *profile.mean.values()])
    top = float(values.max()) or 1.0
    if not log:
        return 0.0, 1.05 * top
    least = max(float(values[values > 0].min()), top * 10.0**-_DECADES)
    return 10.0 ** np.floor(np.log10(least)), 1.5 * top


def _share(values: Any, low: float, high: float, *, log: bool) -> Any:
    """Places on an axis from 0 to 1; what has no logarithm is below it."""
    if not log:
        return (values - low) / (high - low)
    return np.log(np.maximum(values, low / 10) / low) / np.log(high / low)


def _ticks(low: float, high: float, number: int) -> list[tuple[float, str]]:
    locator: Any = MaxNLocator(number, steps=[1, 2, 2.5, 5, 10])
    places = locator.tick_values(low, high)
    return [(float(place), f"{place:.4g}") for place in places if low <= place <= high]


def _decades(low: float, high: float) -> list[tuple[float, str]]:
    locator: Any = LogLocator(numticks=6)
    places = [float(place) for place in locator.tick_values(low, high) if low <= place <= high]
    return [(place, f"$10^{{{round(np.log10(place))}}}$") for place in places]


def _dashes(curve: Floats) -> Floats:
    """Begin and end of the dashes of a line [2 S, 3]."""
    reached = np.cumsum([0.0, *np.linalg.norm(np.diff(curve, axis=0), axis=1)])
    starts = np.arange(0.0, reached[-1], 2 * _DASH)
    ends = np.stack([starts, np.minimum(starts + _DASH, reached[-1])], 1).ravel()
    return np.stack([np.interp(ends, reached, curve[:, axis]) for axis in range(3)], 1)


def _line(points: Floats, colour: Sequence[float], *, apart: bool = False) -> Lines:
    """A line through all points [n, 3], or with ``apart`` from each second one to the next."""
    start = np.arange(0, len(points) - 1, 2 if apart else 1, dtype=np.int32)
    return Lines(points, np.stack([start, start + 1], 1), np.tile(colour, (len(start), 1)))


def _coloured(lines: Lines, colour: Sequence[float]) -> Lines:
    return Lines(lines.ends, lines.pairs, np.tile(colour, (len(lines.pairs), 1)))
