"""Images to clouds and back, cell by cell."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cloud
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid
from pcgen.images.placing import Outside, dense_cells, locate, rows_of
from pcgen.images.sampling import scatter_within
from pcgen.ops.segments import max_by, mean_by, sum_by

Array = np.ndarray[Any, Any]
Reduce = Literal["sum", "mean", "max", "count"]


def image_to_cloud(
    image: Tensor | Array,
    grid: Grid,
    *,
    threshold: float = 0.0,
    jitter: bool = False,
    observed: Tensor | Array | None = None,
    y: Tensor | Array | None = None,
    label: Tensor | Array | None = None,
    generator: torch.Generator | None = None,
) -> Batch:
    """Points at the cells of each image that are above ``threshold``.

    Tensors and NumPy arrays are taken alike.

    Args:
        image: [B, *grid.shape], ≥ 0; with a threshold above 0 cells may be negative, as noise
            about a pedestal is, and give no point. Integers become the default float type.
        grid: The cells; it defines the axes and the layers.
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
    image, observed = as_tensor("image", image), as_tensor("observed", observed)
    y, label = as_tensor("y", y), as_tensor("label", label)
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
    _check_image(image, observed, threshold)
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
    cells = dense_cells(clouds, grid)
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


@overload
def as_tensor(name: str, value: Tensor | Array) -> Tensor: ...


@overload
def as_tensor(name: str, value: Tensor | Array | None) -> Tensor | None: ...


def as_tensor(name: str, value: Tensor | Array | None) -> Tensor | None:
    """The tensor itself, or that of a NumPy array; None stays None.

    Raises:
        ArgumentError: it is neither, or an array of something else than numbers.

    >>> as_tensor("image", np.array([1, 2], dtype=">f4"))
    tensor([1., 2.])
    """
    if value is None or isinstance(value, Tensor):
        return value
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        found = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise ArgumentError(f"{name}: got {found}, expected a tensor or a NumPy array of numbers")
    if value.dtype.kind == "u" and value.dtype.itemsize > 1:
        # torch knows unsigned integers of several bytes by name alone.
        largest = int(value.max(initial=0))
        if largest > np.iinfo(np.int64).max:
            raise ArgumentError(f"{name}: got {largest}, expected numbers below 2^63")
        value = value.astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(value, value.dtype.newbyteorder("=")))


def finite_energies(values: Tensor, threshold: float) -> Tensor:
    """Which values may stand in an image that is cut at ``threshold``, as booleans of its shape.

    Energies are finite and ≥ 0. What a threshold above 0 removes may be negative too: the noise of
    an empty channel lies on both sides of its pedestal.
    """
    # NaN is neither above nor below anything.
    return (values > -math.inf if threshold > 0 else values >= 0) & (values < math.inf)


def _check_image(image: Tensor, observed: Tensor | None, threshold: float) -> None:
    """Refuse an observed cell that is negative or not finite, naming its event."""
    good = finite_energies(image, threshold)
    good = good if observed is None else good | ~observed
    if bool(good.all()):
        return
    event, *cell = (int(number) for number in (~good).nonzero()[0])
    raise DataError(
        f"image of event {event}, cell {tuple(cell)}: got {float(image[(event, *cell)])}, "
        "expected a finite number ≥ 0 (unobserved cells are named by observed=, and negative ones "
        "are empty where the threshold is above 0)"
    )
