"""The protocol of point clouds of shapes: JSD, and COV, MMD and 1-NNA under two distances."""

from __future__ import annotations

from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.metrics.comparisons import (
    chamfer_neighbourhood,
    earth_mover_neighbourhood,
    occupancy,
)
from pcgen.metrics.protocols.protocol import Part, Protocol
from pcgen.schema import Schema


def pointflow(*, batches: int = 5) -> Protocol:
    """PointFlow's scores, from the positions alone, with the earth mover's distance solved exactly.

    The paper compares all shapes of a test set with as many generated ones; here each batch takes
    half of the real shapes, and the other half makes the floor. Shapes are scored in the
    coordinates they come in: within the sphere of radius 1/2, where the JSD is defined.

    Args:
        batches: Random halvings of the real shapes, at least 2.

    References:
        Yang et al., PointFlow, ICCV 2019, arXiv:1906.12320, section 5.1.
    """
    builds = (occupancy, chamfer_neighbourhood, earth_mover_neighbourhood)
    parts = tuple(Part(build, batches=batches, tested=100) for build in builds)
    return Protocol("pointflow", parts, prepare=_positions, need=10, source="arXiv:1906.12320")


def _positions(clouds: Batch, schema: Schema) -> Batch:
    return pc.make(clouds.pos, pc.sizes(clouds))
