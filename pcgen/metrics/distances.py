"""Distances between clouds, as all-pairs metrics take them: two batches of B clouds in, [B] out.

They are partial functions of this module, so that other processes can be given them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.metrics.pairwise import Distance
from pcgen.ops.chamfer_distance import chamfer
from pcgen.ops.transport import earth_mover

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
