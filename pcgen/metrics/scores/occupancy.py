r"""Where points are at all: Jensen-Shannon divergence of the occupancies of two sets of clouds.

How often each node of a grid is the nearest one to a point, over all clouds of a set, is compared
(Achlioptas et al., arXiv 1707.02392):

    JSD(P, Q) = H((P + Q) / 2) - (H(P) + H(Q)) / 2,    H in bits,

on the nodes of a 28³ grid over [-1/2, 1/2]³ that lie within the sphere of radius 1/2. It is 0 for
equal and 1 for disjoint occupancies, and does not depend on single clouds.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.comparison import Measure, permutation_p_values
from pcgen.ops import nearest
from pcgen.ops.points import Period, wrap
from pcgen.schema import Schema

RADIUS = 0.5
# How far outside the sphere a point may lie before it is outside (the published code's 10e-4).
MARGIN = 1e-3

MOST = 0.5
"""Of more points outside than this share clouds were not normalised at all."""

Outside = Literal["raise", "nearest", "few"]


def grid_nodes(resolution: int = 28, dimensions: int = 3) -> Tensor:
    """Nodes within radius 1/2 of a grid that spans [-1/2, 1/2] along each axis [C, D], float64.

    >>> len(grid_nodes()), grid_nodes(3, 1).flatten().tolist()
    (10144, [-0.5, 0.0, 0.5])
    """
    if resolution < 2 or dimensions < 1:
        raise ArgumentError(
            f"resolution, dimensions: got {resolution}, {dimensions}, expected at least 2 and 1"
        )
    axis = torch.linspace(-RADIUS, RADIUS, resolution, dtype=torch.float64)
    nodes = torch.cartesian_prod(*[axis] * dimensions).view(-1, dimensions)
    return nodes[nodes.norm(dim=1) <= RADIUS]


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence in bits of histograms [..., C]; NaN where one is empty.

    >>> jensen_shannon(torch.tensor([3.0, 0.0]), torch.tensor([0.0, 5.0])).item()
    1.0
    """
    p, q = (h.double() / h.double().sum(-1, keepdim=True) for h in (p, q))
    mean = (p + q) / 2
    # xlogy has 0 log 0 = 0; the mean vanishes only where both do.
    nats = sum((torch.xlogy(h, h) - torch.xlogy(h, mean) for h in (p, q)), torch.zeros_like(p))
    return (nats.sum(-1) / (2 * math.log(2))).clamp(min=0.0)


class Occupancy:
    """JSD of the occupancies of samples of a pool of N clouds.

    Args:
        clouds: N clouds of points within the sphere of radius 1/2.
        resolution: Nodes along each axis.
        outside: What happens to clouds with a point outside that sphere: "raise" refuses them,
            "nearest" counts the point at the nearest node, as the published code does after a
            warning (DPM's boxes of side 2 put most points there), "few" does the same, since
            generators leave points there, and refuses where more than half of all points are.
        periods: Period of each axis, None where it is not periodic; no axis is by default.

    Raises:
        DataError: clouds reach outside the sphere; naming them.

    Attributes:
        outside: Clouds with a point outside the sphere.
    """

    def __init__(
        self,
        clouds: Batch,
        *,
        resolution: int = 28,
        outside: Outside = "raise",
        periods: Period | None = None,
    ) -> None:
        periods = [None] * clouds.pos.shape[1] if periods is None else periods
        steps = zip(clouds.pos.double().unbind(1), periods, strict=True)
        pos = torch.stack([wrap(step, period or 0.0) for step, period in steps], 1)
        far = pos.norm(dim=1) > RADIUS + MARGIN
        events = clouds.batch[far].unique().tolist()
        refused = outside == "raise" or (outside == "few" and float(far.double().mean()) > MOST)
        if events and refused:
            listed = ", ".join(map(str, events[:10])) + (", ..." if len(events) > 10 else "")
            raise DataError(
                f"pos: got points farther than {RADIUS} from the origin in {len(events)} of "
                f"{clouds.num_graphs} events ({listed}), expected normalised clouds: shapes "
                "centred and scaled into that sphere (other events have no such score)"
            )
        self.outside = len(events)
        nodes = grid_nodes(resolution, clouds.pos.shape[1]).to(clouds.pos.device)
        node = nearest(pos, nodes, period=periods).cpu()
        self._node, self._owner, self._nodes = node, clouds.batch.cpu(), len(nodes)
        self._events = clouds.num_graphs

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The one number."""
        return (Measure("JSD", "bit"),)

    @property
    def usable(self) -> Tensor:
        """Every event; an empty cloud adds nothing."""
        return torch.ones(self._events, dtype=torch.bool)

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """JSD [1, P] between the samples a [P, n] and b [P, m]; NaN where one has no point."""
        pairs = (map(self.counts, pair) for pair in zip(a, b, strict=True))
        return torch.stack([jensen_shannon(*pair) for pair in pairs])[None]

    def counts(self, sample: Tensor) -> Tensor:
        """Points of a sample [n] nearest to each node [C]; a cloud drawn twice counts twice."""
        often = torch.bincount(sample.cpu(), minlength=self._events).double()
        return torch.bincount(self._node, often[self._owner], minlength=self._nodes)

    def p_values(
        self, a: Tensor, b: Tensor, permutations: int, generator: torch.Generator
    ) -> Tensor:
        """Permutation test of the JSD [1]."""
        return permutation_p_values(self, a, b, permutations, generator)


def occupancy(
    clouds: Batch, schema: Schema, *, resolution: int = 28, outside: Outside = "raise"
) -> Occupancy:
    """JSD of the positions of the points; see :class:`Occupancy`."""
    periods = schema.periods
    return Occupancy(clouds, resolution=resolution, outside=outside, periods=periods)
