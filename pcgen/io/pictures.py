"""Images drawn as PNG pictures, with axes and units.

One dimension becomes a histogram, two become cells in colour, three become their three projections;
one row for each layer. Colours are logarithmic and empty cells white.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from pcgen.errors import DataError
from pcgen.grids import Grid
from pcgen.io.image_source import Array, Images, ImageSink
from pcgen.io.numbered import is_many, writing
from pcgen.schema import Schema


class PictureWriter(ImageSink):
    """Draws images as PNG pictures; use it in a ``with`` statement.

    Args:
        path: One file, for the mean of all events (or the only one); a folder or a numbered name
            such as ``event_%05d.png`` for one picture per event.
        grid: The cells.
        schema: What the numbers mean.
        first: Number of the first event, for the title.
    """

    def __init__(self, path: str | Path, grid: Grid, schema: Schema, *, first: int = 0) -> None:
        self.path, self._grid, self._schema, self._first = Path(path), grid, schema, first
        self._sum = np.zeros(grid.shape)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with writing(self.path, ".png") as self._name:
            yield
            if self.written == 0:
                raise DataError(f"{self.path}: got no event, expected at least one to draw")
            if not is_many(self.path):
                one = f"event {self._first}"
                title = one if self.written == 1 else f"mean of {self.written} events"
                self._save(self._sum / self.written, 0, title)

    def _append(self, block: Images) -> int:
        images = block.image.detach().cpu().double().numpy()
        if is_many(self.path):
            for place, image in enumerate(images):
                event = self.written + place
                self._save(image, event, f"event {self._first + event}")
        else:
            self._sum += images.sum(0)
        return len(images)

    def _save(self, image: Array, event: int, title: str) -> None:
        figure = draw(image, self._grid, self._schema, title)
        figure.savefig(self._name(event), format="png", dpi=120)


def draw(image: Array, grid: Grid, schema: Schema, title: str) -> Figure:
    """Draw one image [*grid.shape], with axes, units and a colour bar."""
    layers = image if grid.layers else image[None]
    names = grid.layers or ("",)
    views = list(combinations(range(len(grid.axes)), min(len(grid.axes), 2)))
    figure = Figure(figsize=(5 * len(views), 4 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), len(views), squeeze=False)
    weight = schema.weight.label if schema.weight else "points"
    for row, (name, layer) in enumerate(zip(names, layers, strict=True)):
        for column, view in enumerate(views):
            hidden = tuple(axis for axis in range(len(grid.axes)) if axis not in view)
            _panel(figure, panels[row, column], layer.sum(hidden), grid, view, weight)
            panels[row, column].set_title(name)
    figure.suptitle(title)
    return figure


def _panel(
    figure: Figure, panel: Axes, image: Array, grid: Grid, view: tuple[int, ...], weight: str
) -> None:
    panel.set_xlabel(grid.axes[view[0]].label)
    edges = [np.array(grid.edges[axis]) for axis in view]
    if len(view) == 1:
        panel.stairs(image, edges[0], fill=True)
        panel.set_ylabel(f"{weight} per cell")
        return
    panel.set_ylabel(grid.axes[view[1]].label)
    filled = image[image > 0]
    norm = (
        LogNorm(filled.min(), filled.max()) if filled.size and filled.min() < filled.max() else None
    )
    shown = np.ma.masked_less_equal(image, 0)
    colours = panel.pcolormesh(edges[0], edges[1], shown.T, norm=norm)
    figure.colorbar(colours, ax=panel, label=f"{weight} per cell")
