"""Writing in a scene, which Open3D's classic renderer does not offer: letters and a colour bar."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from pcgen import escaping
from pcgen.viewing.scene import COLOURS, Floats, Frame
from pcgen.viewing.shapes import DARK, LETTER, Lines, Mesh, directions, together, width_of

_BAR = (0.06, 0.9)
"""Width and height of the colour bar."""
_STEPS = 64


def letters(
    text: str,
    place: Floats,
    *,
    height: float = LETTER,
    side: str = "center",
    upright: bool = False,
) -> Lines:
    """The outlines of a text, formulae too, that faces who looks from :data:`VIEW`.

    Args:
        text: One or more lines.
        place: Middle of its left or right side or of itself, according to ``side`` [3].
        height: Of a line.
        side: ``"left"``, ``"center"`` or ``"right"``.
        upright: Whether it is read from below.
    """
    right, down, _ = directions()
    along, across = (-down, right) if upright else (right, down)
    ends, pairs = [np.zeros((0, 3))], [np.zeros((0, 2), dtype=np.int32)]
    rows = [row for row in text.splitlines() if row.strip()]
    for number, row in enumerate(rows):
        path = TextPath((0, 0), row, size=height)
        width = width_of(row, height)
        left = {"left": 0.0, "center": -width / 2, "right": -width}[side]
        drop = 1.5 * height * (number - (len(rows) - 1) / 2) + 0.35 * height
        for outline in map(np.asarray, path.to_polygons(closed_only=False)):
            corner = sum(map(len, ends)) + np.arange(len(outline) - 1, dtype=np.int32)
            pairs.append(np.stack([corner, corner + 1], 1))
            flat = (outline[:, :1] + left) * along + (drop - outline[:, 1:]) * across
            ends.append(place + flat)
    joined = np.concatenate(pairs)
    return Lines(np.concatenate(ends), joined, np.tile(DARK, (len(joined), 1)))


def colour_bar(frame: Frame, place: Floats) -> tuple[Mesh, Lines]:
    """A colour bar whose middle is at ``place`` [3], with ticks, name and unit of the shade."""
    right, down, _ = directions()
    width, height = _BAR
    levels = np.linspace(0.0, 1.0, _STEPS + 1)
    left = place - width / 2 * right + np.outer(height * (0.5 - levels), down)
    vertices = np.stack([left, left + width * right], 1)
    quads = np.stack([vertices[:-1], vertices[1:]], 1).reshape(-1, 3)
    corner = 4 * np.arange(_STEPS)[:, None, None]
    # Seen from both sides.
    faces = np.array([[0, 1, 3], [0, 3, 2], [3, 1, 0], [2, 3, 0]])
    triangles = (corner + faces).reshape(-1, 3).astype(np.int32)
    middle = matplotlib.colormaps[COLOURS]((levels[1:] + levels[:-1]) / 2)[:, :3]
    parts = [letters(escaping.label(frame.shade), place - 0.6 * height * down)]
    for share, text in _marks(frame):
        at = place + height * (0.5 - share) * down + (width / 2) * right
        parts.append(letters(text, at + 0.02 * right, side="left"))
    return Mesh(quads, triangles, np.repeat(middle, 4, axis=0)), together(parts)


def _marks(frame: Frame) -> list[tuple[float, str]]:
    """Place on the bar, from 0 to 1, and text of its ticks, as matplotlib chooses them."""
    figure, scale = Figure(), frame.scale
    bar = figure.colorbar(ScalarMappable(scale, COLOURS), cax=figure.add_axes((0, 0, 1, 1)))
    low, high = scale.vmin or 0.0, scale.vmax or 1.0
    ticks = [float(tick) for tick in bar.get_ticks() if low <= tick <= high]
    texts = bar.formatter.format_ticks(ticks)
    return [(float(scale(tick)), text) for tick, text in zip(ticks, texts, strict=True)]
