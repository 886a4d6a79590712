"""What all pictures share: colours that the colour-blind distinguish, quiet axes, files."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pcgen.errors import ArgumentError
from pcgen.escaping import mathtext, one_line
from pcgen.io import atomic

REAL = "#4d4d4d"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of the generators, after Okabe and Ito."""
MARKERS = ("o", "s", "^", "D", "v", "P")
SCALE = "viridis"
"""Colour map of weights."""


def new(width: float, height: float) -> Figure:
    """An empty figure of ``width`` times ``height`` inches that leaves room for its labels."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def tidy(axes: Axes) -> None:
    """Ticks on all sides and inside, as the field does it."""
    axes.tick_params(which="both", direction="in", top=True, right=True, labelsize=9)


def colours(number: int) -> list[str]:
    """A colour for each of so many generators, round and round."""
    return [COLOURS[k % len(COLOURS)] for k in range(number)]


def wrapped(text: str, letters: int) -> str:
    """A name or a sentence for matplotlib, as it is, in lines of at most so many letters."""
    return "\n".join(map(mathtext, textwrap.wrap(one_line(text), letters)))


def legend(
    place: Figure | Axes,
    names: Sequence[str],
    shades: Sequence[str],
    inches: float,
    *,
    dots: bool = False,
) -> None:
    """What the colours stand for: above all panels of a figure, or above one, never on a curve.

    A figure becomes as much higher.

    Args:
        place: Figure or panel.
        names: Names of the curves, shown as they are.
        shades: Their colours.
        inches: Width of the figure or panel.
        dots: Whether the curves have a marker at each value.
    """
    panel = isinstance(place, Axes)
    size = 8 if panel else 10
    # A letter is about 0.62 of its height wide; a line and the gaps take four letters.
    letters = 72 * inches / (0.62 * size)
    texts = [wrapped(name, max(int(letters) - 8, 10)) for name in names]
    longest = max((len(row) for text in texts for row in text.splitlines()), default=0)
    columns = max(1, min(len(texts), int(letters / (longest + 8))))
    marker = "o" if dots else ""
    lines = [Line2D([], [], color=shade, marker=marker, markersize=3) for shade in shades]
    style: dict[str, Any] = {"loc": "outside upper center"}
    if panel:
        style = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
    place.legend(lines, texts, frameon=False, fontsize=size, ncols=columns, **style)
    if isinstance(place, Figure):
        rows = math.ceil(len(texts) / columns) * max(1 + text.count("\n") for text in texts)
        place.set_figheight(place.get_figheight() + 1.6 * size * rows / 72)


def save(figure: Figure, path: str | Path, *, dpi: int = 150) -> None:
    """Write a picture; the ending of ``path`` decides the format (png, pdf, svg, jpg).

    Args:
        figure: Picture.
        path: File; it appears complete or not at all.
        dpi: Dots per inch.

    Raises:
        ArgumentError: the ending is of no known format.
        FileError: the file cannot be written.
    """
    path = Path(path)
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in known:
        raise ArgumentError(
            f"{path}: got ending {path.suffix!r}, expected one of {', '.join(known)}"
        )
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
