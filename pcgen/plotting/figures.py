"""What all pictures share: colours that the colour-blind tell apart, quiet axes, files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcgen.errors import ArgumentError
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
