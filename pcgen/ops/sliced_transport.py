r"""Sliced transport: the mean transport cost of projections to random lines.

On a line the optimal plan pairs equal quantiles. With the quantile functions X and Y of the
projections on direction :math:`\theta`, for weights that sum to 1,

.. math:: S_p = \mathbb{E}_\theta \int_0^1 |X_\theta(t) - Y_\theta(t)|^p \, dt ,

a lower bound of the earth mover's distance, and about D times smaller than it for p = 2.

References:
    Bonneel, Rabin, Peyre, Pfister, Sliced and Radon Wasserstein barycenters of measures, 2015.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops._kernels.problem import rows
from pcgen.ops.floats import check_range
from pcgen.ops.ragged import owners
from pcgen.ops.segments import segment_sum
from pcgen.ops.sides import Empty, Sides, check_sides, check_totals, fill_empty


def sliced(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
    *,
    weight_x: Tensor | None = None,
    weight_y: Tensor | None = None,
    p: int = 1,
    projections: int = 64,
    generator: torch.Generator | None = None,
    empty: Empty = "raise",
) -> Tensor:
    """Sliced transport cost between cloud b of x and cloud b of y [B]; no root is taken.

    Exact in one dimension. Differentiable in positions and weights. Not defined on periodic axes.

    Args:
        x, y: Points of all clouds [N, D], [M, D] with pointers, of one pair of clouds without them,
            or dense [B, N, D], [B, M, D].
        ptr_x, ptr_y: First row of each cloud, and N or M [B+1].
        weight_x, weight_y: Of the shape of the points without D, >= 0, of equal totals. Absent:
            1/n each.
        p: Power of the distance, 1 or 2.
        projections: Number of random directions, the same for all clouds.
        generator: Draws the directions.
        empty: Value where one cloud alone has no points or no weight.

    Raises:
        ArgumentError: an argument cannot be used.
        DataError: values or totals cannot be used, one cloud of a pair is empty, or a cost is
            beyond the type of x.

    >>> x, y, ptr = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [1.0]]), torch.tensor([0, 2])
    >>> sliced(x, y, ptr, ptr)
    tensor([1.5000])
    """
    if p not in (1, 2) or projections < 1:
        raise ArgumentError(
            f"p, projections: got {p}, {projections}, expected 1 or 2 and at least one projection"
        )
    given = check_sides(x, y, ptr_x, ptr_y, weight_x, weight_y, None)
    check_totals(given)
    direction = torch.randn(
        given.x.shape[1], projections, dtype=given.x.dtype, device=x.device, generator=generator
    )
    direction = direction / direction.norm(dim=0)
    return fill_empty(_cost(given, direction, p), given, empty)


def _cost(given: Sides, direction: Tensor, p: int) -> Tensor:
    """Mean cost over the directions [D, L] of quantile plans [B], per pair with weight."""
    some_x, some_y = given.occupied()
    index = (some_x & some_y).nonzero().flatten()
    rows_x, _, ptr_x = rows(given.ptr_x, index)
    rows_y, _, ptr_y = rows(given.ptr_y, index)
    on_x, on_y = (_projected(z, direction) for z in (given.x[rows_x], given.y[rows_y]))
    line_x, end_x = _quantiles(on_x, given.weight_x[rows_x], ptr_x)
    line_y, end_y = _quantiles(on_y, given.weight_y[rows_y], ptr_y)
    ends, order = torch.cat([end_x, end_y], 1).sort(dim=1, stable=True)
    mass = ends.diff(dim=1, prepend=torch.zeros_like(ends[:, :1]))
    # The quantiles before each end say who is paired up to it.
    passed_x = order < len(rows_x)
    i = (passed_x.cumsum(1) - passed_x.long()).clamp(max=len(rows_x) - 1)
    j = ((~passed_x).cumsum(1) - (~passed_x).long()).clamp(max=len(rows_y) - 1)
    step = (line_x.gather(1, i) - line_y.gather(1, j)).abs()
    total = segment_sum(given.weight_x[rows_x].double(), ptr_x)
    each_pair = segment_sum((mass * step**p).mean(0), ptr_x + ptr_y) * total
    # Rounded once, at the end: sums of large weights and costs are beyond float32.
    value = each_pair.to(given.x.dtype)
    if not bool((value.detach() > 0).all() & value.detach().isfinite().all()):
        apart = segment_sum((mass * step).detach().mean(0), ptr_x + ptr_y)
        check_range(value, apart, "cost")
    return given.x.new_zeros(given.number).index_add(0, index, value)


def _projected(points: Tensor, direction: Tensor) -> Tensor:
    """Points [N, D] on the directions [D, L]: [N, L]."""
    # No matrix product: autocast would round the projections.
    found = (points[..., None] * direction).sum(1)
    if math.isfinite(float(found.detach().sum())):
        return found
    return (points.double()[..., None] * direction).sum(1)


def _quantiles(line: Tensor, weight: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
    """Projections [N, L] sorted, and the ends of their quantiles in [b, b + 1]: both [L, N]."""
    owner = owners(ptr, len(line))
    order = line.detach().T.argsort(1)
    order = order.gather(1, owner[order].argsort(dim=1, stable=True))
    sums = torch.nn.functional.pad(weight.double()[order].cumsum(1), (1, 0))
    start, stop = sums[:, ptr[:-1]], sums[:, ptr[1:]]
    share = (sums[:, 1:] - start[:, owner]) / (stop - start)[:, owner]
    return line.T.gather(1, order).double(), share + owner
