"""Images to clouds and back, cell by cell."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cloud
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid
from pcgen.images.placing import Outside, locate, rows_of
from pcgen.images.sampling import scatter_within
from pcgen.ops.segments import max_by, mean_by, sum_by

Reduce = Literal["sum", "mean", "max", "count"]


def image_to_cloud(
    image: Tensor,
    grid: Grid,
    *,
    threshold: float = 0.0,
    jitter: bool = False,
    observed: Tensor | None = None,
    y: Tensor | None = None,
    label: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Batch:
    """Points at the cells of each image that are above ``threshold``.

    Args:
        image: [B, *grid.shape], ≥ 0. Integers become the default float type.
        grid: The cells; it says what the axes and the layers are.
        threshold: A cell with more than this is a point, ≥ 0, in the unit of the image.
        jitter: Put the point uniformly within the cell (see :func:`jitter`), not at its centre.
        observed: False where the detector did not look (dead channels) [*grid.shape] or
            [B, *grid.shape]: such cells give no points, whatever they hold.
        y: Conditions [B, C], passed on.
        label: Classes [B], passed on.
        generator: Source of the jitter.

    Returns:
        Clouds with ``pos``, ``weight``, ``cell``, and ``layer`` where the grid has layers, in the
        order of the image's memory.

    Raises:
        ArgumentError: a shape, dtype or the threshold does not fit.
        DataError: an observed cell is negative or not finite; names the event.

    >>> grid = Grid.regular({"eta": (-1, 1, 2), "phi": (-1, 1, 2)})
    >>> clouds = image_to_cloud(torch.tensor([[[0.0, 3.0], [0.0, 0.0]]]), grid)
    >>> clouds.pos.tolist(), clouds.weight.tolist()
    ([[-0.5, 0.5]], [3.0])
    """
    if image.shape[1:] != grid.shape or image.is_complex():
        raise ArgumentError(
            f"image: got {image.dtype} {tuple(image.shape)}, "
            f"expected real numbers {['B', *grid.shape]}"
        )
    if not 0 <= threshold < math.inf:
        raise ArgumentError(f"threshold: got {threshold}, expected a number ≥ 0")
    if not image.is_floating_point():
        image = image.to(torch.get_default_dtype())
    filled = image > threshold
    if observed is not None:
        if observed.dtype != torch.bool or observed.shape not in (image.shape, image.shape[1:]):
            raise ArgumentError(
                f"observed: got {observed.dtype} {tuple(observed.shape)}, "
                f"expected bool {grid.shape} or {tuple(image.shape)}"
            )
        filled = filled & observed
    _check_image(image, observed)
    index = filled.nonzero()
    weight = image[filled]
    cell = index[:, -len(grid.axes) :]
    clouds = cloud.make(
        grid.centres(cell, dtype=image.dtype),
        torch.bincount(index[:, 0], minlength=len(image)),
        weight=weight,
        cell=cell,
        layer=index[:, 1] if grid.layers else None,
        y=y,
        label=label,
    )
    return scatter_within(clouds, grid, cell, generator) if jitter else clouds


def cloud_to_image(
    clouds: Batch, grid: Grid, *, reduce: Reduce = "sum", outside: Outside = "error"
) -> Tensor:
    """Fill the cells of ``grid`` with the points of each cloud.

    Args:
        clouds: B clouds; with ``layer`` if, and only if, the grid has layers.
        grid: The cells.
        reduce: What a cell shows of its points: the ``"sum"`` of their weights, their ``"mean"``
            or largest (``"max"``) weight, or how many there are (``"count"``). Empty cells are 0.
        outside: Points outside the grid are refused (``"error"``), left out (``"drop"``) or put
            into the nearest cell (``"clip"``). :func:`overflow` counts them.

    Returns:
        Images [B, *grid.shape] in the dtype of the weights; differentiable in them. The gradient
        of a largest weight goes to the first point that has it; half-precision weights are added
        in float32.

    Raises:
        ArgumentError: the grid does not fit the clouds.
        DataError: a value is not finite or a weight negative, or points are outside.
    """
    location = locate(clouds, grid, outside)
    rows, weight = rows_of(clouds, grid, location.cell), cloud.weights(clouds)
    if outside == "drop":
        rows, weight = rows[location.inside], weight[location.inside]
    cells = clouds.num_graphs * math.prod(grid.shape)
    if reduce == "sum":
        image = sum_by(weight, rows, cells)
    elif reduce == "count":
        image = torch.bincount(rows, minlength=cells).to(weight.dtype)
    elif reduce == "mean":
        image = mean_by(weight, rows, cells)
    elif reduce == "max":
        image = max_by(weight, rows, cells)
    else:
        raise ArgumentError(f"reduce: got {reduce!r}, expected 'sum', 'mean', 'max' or 'count'")
    return image.view(clouds.num_graphs, *grid.shape)


def _check_image(image: Tensor, observed: Tensor | None) -> None:
    """Refuse an observed cell that is negative or not finite, naming its event."""
    # One pass finds out that nothing is wrong; NaN is not ≥ 0 either.
    good = (image >= 0) & (image < math.inf)
    good = good if observed is None else good | ~observed
    if bool(good.all()):
        return
    event, *cell = (int(number) for number in (~good).nonzero()[0])
    raise DataError(
        f"image of event {event}, cell {tuple(cell)}: got {float(image[(event, *cell)])}, "
        "expected a finite number ≥ 0 (unobserved cells are named by observed=)"
    )
