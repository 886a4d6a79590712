r"""Distances between clouds, and a lower bound of the earth mover's distance.

As all-pairs metrics take them: two batches of B clouds in, [B] out. They are partial functions of
this module, so that other processes can be given them.

**The bound** takes about 1 µs a pair. On a line the optimal plan pairs equal quantiles: with the
quantile functions X and Y of two clouds, :math:`W = \int_0^1 |X - Y| dt`. Projections to the axes
of an orthonormal frame bound the distance in space: a plan moves its mass by vectors u with
:math:`E|u| \ge |(E|u_1|, ..., E|u_D|)|` (Jensen) and :math:`E|u_k| \ge W_k`, the distance of the
projections on axis k. Hence

.. math:: W \ge \max_{\text{frames}} \sqrt{W_1^2 + ... + W_D^2}, \qquad
          W_k \ge \sum_c \Big| \int_{\text{cell } c} (X_k - Y_k)\, dt \Big| ,

so that each cloud becomes one short row of numbers and all pairs are an L1 distance between rows.

A periodic axis is a line where all points lie within half a period of each other, and a circle
in the plane otherwise: chords are shorter than arcs, so the bound holds.

References:
    Bonneel, Rabin, Peyre, Pfister, Sliced and Radon Wasserstein barycenters of measures, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.ops.chamfer_distance import chamfer
from pcgen.ops.legacy import approxmatch
from pcgen.ops.ragged import owners
from pcgen.ops.transport import earth_mover

Distance = Callable[[Batch, Batch], Tensor]
"""A distance between paired clouds: two batches of B clouds in, [B] out."""

Periods = Sequence[float | None]


def chamfer_distance(periods: Periods | None = None) -> Distance:
    """Weighted Chamfer distance of the positions: mean squared distance to the other cloud.

    Args:
        periods: Period of each axis, None where it is not periodic.
    """
    return partial(_chamfer, periods)


def earth_mover_distance(periods: Periods | None = None) -> Distance:
    """Exact earth mover's distance between clouds of unit total weight.

    The mean distance that energy has to travel, in the unit of the coordinates; each cloud's
    weights are divided by their sum, so the total energy does not enter (it has its own score).

    Args:
        periods: Period of each axis, None where it is not periodic.
    """
    return partial(_earth_mover, periods)


def energy_movers_distance(periods: Periods | None = None, *, radius: float = 1.0) -> Distance:
    """EnergyFlow's energy mover's distance: work over the radius, plus the difference of totals.

    Weights count as they are; the distance is in their unit.

    Args:
        periods: Period of each axis, None where it is not periodic.
        radius: Distance over which moving costs as much as making.
    """
    return partial(_energy_movers, periods, radius)


def approxmatch_distance(*, squared: bool = False) -> Distance:
    """What old tables call EMD, for clouds of equal sizes: 33 % to 1,170 % above the optimum.

    Args:
        squared: PVD's and LION's, of squared distances; otherwise PointFlow's.
    """
    return partial(_approxmatch, squared)


def _chamfer(periods: Periods | None, a: Batch, b: Batch) -> Tensor:
    weight_a, weight_b = pc.weights(a), pc.weights(b)
    return chamfer(a.pos, b.pos, a.ptr, b.ptr, weight_x=weight_a, weight_y=weight_b, period=periods)


def _earth_mover(periods: Periods | None, a: Batch, b: Batch) -> Tensor:
    fractions = [pc.weights(side) / pc.total(side)[side.batch] for side in (a, b)]
    return earth_mover(
        a.pos,
        b.pos,
        a.ptr,
        b.ptr,
        weight_x=fractions[0],
        weight_y=fractions[1],
        period=periods,
        tolerance=0.0,
    ).cost


def _energy_movers(periods: Periods | None, radius: float, a: Batch, b: Batch) -> Tensor:
    return earth_mover(
        a.pos,
        b.pos,
        a.ptr,
        b.ptr,
        weight_x=pc.weights(a),
        weight_y=pc.weights(b),
        period=periods,
        unbalanced=radius,
        tolerance=0.0,
    ).cost


def _approxmatch(squared: bool, a: Batch, b: Batch) -> Tensor:
    return approxmatch(a.pos, b.pos, a.ptr, b.ptr, squared=squared)


# Rounding of a distance, in units of the precision and the size of the coordinates.
_ROUNDING = 32.0


def earth_mover_bound(
    clouds: Batch,
    periods: Sequence[float | None] | None = None,
    *,
    frames: int = 8,
    cells: int = 64,
) -> Tensor:
    """Lower bound of :func:`earth_mover_distance` between all pairs of clouds.

    It is below the distance as computed, too: what rounding in the dtype of ``pos`` can do to that
    is taken off.

    Args:
        clouds: B clouds; their weights are divided by their sums.
        periods: Period of each axis, None where it is not periodic.
        frames: Orthonormal frames to project on; the best one counts.
        cells: Cells of a quantile function.

    Returns:
        [B, B], float64, symmetric.

    Raises:
        ArgumentError: ``frames``, ``cells`` or ``periods`` cannot be used.
        DataError: a cloud has no weight.

    >>> clouds = pc.make(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), [1, 1])
    >>> bool(4.9 < earth_mover_bound(clouds)[0, 1] <= 5.0)
    True
    """
    if frames < 1 or cells < 1:
        raise ArgumentError(f"frames, cells: got {frames}, {cells}, expected at least 1 of each")
    share = _shares(clouds)
    points = _unrolled(clouds.pos.double(), periods)
    bound = points.new_zeros(clouds.num_graphs, clouds.num_graphs)
    for frame in _frames(points.shape[1], frames):
        square = torch.zeros_like(bound)
        for axis in frame.to(points.device):
            rows = _quantiles(points @ axis, share, clouds.ptr, cells)
            square += torch.cdist(rows, rows, p=1.0).square_()
        torch.maximum(bound, square.sqrt_(), out=bound)
    size = float(clouds.pos.abs().max()) if len(clouds.pos) else 0.0
    precision = max(_ROUNDING * torch.finfo(clouds.pos.dtype).eps, 1e-11)
    return (bound * (1.0 - precision) - precision * size).clamp(min=0.0)


def _shares(clouds: Batch) -> Tensor:
    """Weight of each point as a fraction of its cloud's [N], float64."""
    weight = pc.weights(clouds).double()
    total = weight.new_zeros(clouds.num_graphs).index_add(0, clouds.batch, weight)
    if not bool((total > 0).all()):
        first = int((total <= 0).nonzero()[0])
        raise DataError(f"event {first}: got total weight 0, expected points with weight")
    return weight / total[clouds.batch]


def _unrolled(pos: Tensor, periods: Sequence[float | None] | None) -> Tensor:
    """Coordinates [N, D'] whose Euclidean distances are at most those of the points [N, D]."""
    lengths = [None] * pos.shape[1] if periods is None else list(periods)
    if len(lengths) != pos.shape[1]:
        raise ArgumentError(f"periods: got {periods}, expected one for each of {pos.shape[1]} axes")
    columns: list[Tensor] = []
    for axis, period in zip(pos.T, lengths, strict=True):
        columns += [axis - axis.mean()] if not period else _circle(axis, period)
    return torch.stack(columns, 1)


def _circle(axis: Tensor, period: float) -> list[Tensor]:
    """A periodic axis as a line, where half a period holds all of it; else as a circle."""
    angle = axis * (2.0 * math.pi / period)
    centre = torch.atan2(angle.sin().sum(), angle.cos().sum()) * (period / (2.0 * math.pi))
    line = axis - centre
    line = line - period * (line / period).round()
    if not len(line) or bool(line.max() - line.min() <= 0.5 * period):
        return [line]
    radius = period / (2.0 * math.pi)
    return [radius * angle.cos(), radius * angle.sin()]


def _frames(dimensions: int, number: int) -> list[Tensor]:
    """Orthonormal frames [D, D], the same at every call: equal angles in the plane, else random."""
    if dimensions == 1:
        return [torch.ones(1, 1, dtype=torch.double)]
    if dimensions == 2:
        angles = torch.arange(number, dtype=torch.double) * (0.5 * math.pi / number)
        cos, sin = angles.cos(), angles.sin()
        return list(torch.stack([cos, sin, -sin, cos], 1).view(-1, 2, 2))
    generator = torch.Generator().manual_seed(0)
    shape = (number, dimensions, dimensions)
    return list(torch.linalg.qr(torch.randn(shape, dtype=torch.double, generator=generator)).Q)


def _quantiles(line: Tensor, share: Tensor, ptr: Tensor, cells: int) -> Tensor:
    """Integrals of the quantile functions over each of the cells, [B, cells].

    Args:
        line: Position of each point [N].
        share: Its fraction of the cloud [N].
        ptr: First row of each cloud, none of which is empty [B+1].
        cells: Equal cells of [0, 1].
    """
    number = len(ptr) - 1
    owner = owners(ptr, len(line))
    order = line.argsort()
    order = order[owner[order].argsort(stable=True)]
    line, share = line[order], share[order]
    # One rising axis for all clouds: cloud b fills [b, b + 1]; point i ends at end[i].
    end = share.cumsum(0)
    end = end - torch.nn.functional.pad(end, (1, 0))[ptr[:-1]][owner]
    end[ptr[1:] - 1] = 1.0
    integral = torch.nn.functional.pad((share * line).cumsum(0), (1, 0))
    grid = torch.arange(1, cells, dtype=line.dtype, device=line.device) / cells
    wanted = torch.arange(number, device=ptr.device)[:, None] + grid
    row = torch.searchsorted(end + owner, wanted)
    row = torch.maximum(torch.minimum(row, (ptr[1:] - 1)[:, None]), ptr[:-1][:, None])
    inner = integral[row + 1] - (end[row] - grid) * line[row]
    return torch.cat([integral[ptr[:-1]][:, None], inner, integral[ptr[1:]][:, None]], 1).diff()
