"""Mean detector images, one panel per sample and layer, on one colour scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.escaping import label, mathtext
from pcgen.grids import Grid
from pcgen.plotting.figures import REAL, SCALE, colours, legend, new, tidy, wrapped
from pcgen.schema import Quantity

Floats = NDArray[np.float64]


def mean_images(
    samples: Mapping[str, Tensor],
    grid: Grid,
    weight: Quantity,
    *,
    axes: tuple[int, int] = (0, 1),
    decades: float = 5.0,
    title: str = "",
) -> Figure:
    """Mean over the events of the images of each sample: what a cell holds on average.

    Columns are samples, rows are the layers of the grid. Further axes of the grid are summed over;
    a grid of one axis is drawn as steps.

    Args:
        samples: Images [B, *grid.shape], B ≥ 1, by the name of their origin.
        grid: The cells.
        weight: What a cell holds.
        axes: The two axes of the grid to draw.
        decades: Range of the colour scale below the largest value.
        title: Title of the picture; no formulae.

    Raises:
        ArgumentError: there are no samples or images, they are not of the grid, or the axes are
            not its own.
    """
    pair = (0,) if len(grid.axes) == 1 else tuple(axes)
    if len(set(pair)) != min(2, len(grid.axes)) or not set(pair) <= {*range(len(grid.axes))}:
        raise ArgumentError(
            f"axes: got {axes}, expected two different numbers from 0 to {len(grid.axes) - 1}"
        )
    if not samples:
        raise ArgumentError("samples: got none, expected at least one")
    means = {name: _mean(name, image, grid, pair) for name, image in samples.items()}
    layers = grid.layers or ("",)
    flat = len(pair) == 1
    columns = 1 if flat else len(means)
    figure = new(3.6 * columns + 1.0, 3.1 * len(layers) + 0.3)
    panels = figure.subplots(len(layers), columns, squeeze=False, sharex=True, sharey=not flat)
    if flat:
        _steps(panels[:, 0], means, grid, weight)
    else:
        _maps(figure, panels, means, grid, weight, pair, decades)
    if title:
        figure.suptitle(mathtext(title))
    return figure


def _mean(name: str, image: Tensor, grid: Grid, pair: tuple[int, ...]) -> Floats:
    """Mean image [L, cells of the first axis of the pair, of the second]; L = 1 without layers."""
    if image.shape[1:] != grid.shape or not len(image):
        raise ArgumentError(
            f"images of {name!r}: got {tuple(image.shape)}, expected {['B', *grid.shape]}, B ≥ 1"
        )
    mean = image.detach().double().mean(0).reshape(-1, *grid.cells)
    others = [1 + axis for axis in range(len(grid.axes)) if axis not in pair]
    mean = mean.sum(others) if others else mean
    if len(pair) == 2 and pair[0] > pair[1]:
        mean = mean.transpose(1, 2)
    array: Floats = mean.cpu().numpy()
    return array


def _steps(panels: NDArray[Any], means: Mapping[str, Floats], grid: Grid, weight: Quantity) -> None:
    shades = [REAL, *colours(len(means))][: len(means)]
    for layer, panel in enumerate(panels):
        for colour, (name, mean) in zip(shades, means.items(), strict=True):
            panel.stairs(mean[layer], grid.edges[0], color=colour, label=name)
        panel.set_ylabel(f"mean {label(weight)}")
        panel.set_title(mathtext(grid.layers[layer]) if grid.layers else "", fontsize=10)
        tidy(panel)
    panels[-1].set_xlabel(label(grid.axes[0]))
    figure = panels[0].get_figure(root=True)
    legend(figure, list(means), shades, figure.get_figwidth())


def _maps(
    figure: Figure,
    panels: NDArray[Any],
    means: Mapping[str, Floats],
    grid: Grid,
    weight: Quantity,
    pair: tuple[int, ...],
    decades: float,
) -> None:
    high = max((float(mean.max()) for mean in means.values()), default=0.0) or 1.0
    scale = LogNorm(high * 10**-decades, high, clip=True)
    mesh = None
    for column, (name, mean) in enumerate(means.items()):
        for layer, image in enumerate(mean):
            panel: Axes = panels[layer, column]
            mesh = panel.pcolormesh(
                grid.edges[pair[0]],
                grid.edges[pair[1]],
                np.maximum(image.T, scale.vmin or 0.0),
                norm=scale,
                cmap=SCALE,
            )
            text = f"{name}, {grid.layers[layer]}" if grid.layers else name
            panel.set_title(wrapped(text, 40), fontsize=10)
            panel.set_box_aspect(1)
            tidy(panel)
    for panel in panels[-1]:
        panel.set_xlabel(label(grid.axes[pair[0]]))
    for panel in panels[:, 0]:
        panel.set_ylabel(label(grid.axes[pair[1]]))
    if mesh is not None:
        text = f"mean {label(weight)} per cell"
        figure.colorbar(mesh, ax=panels.ravel().tolist(), label=text, pad=0.02)
