"""Scores of shapes: where points are at all (JSD), and PointFlow's neighbour scores of clouds.

The Jensen-Shannon divergence of occupancies is :mod:`pcgen.metrics.scores.occupancy`. MMD, COV
and 1-NNA under the Chamfer distance (mean + mean of squared distances) and the earth mover's
distance per point are those of PointFlow (Yang et al., arXiv 1906.12320, section 5.1), ties as in
:mod:`pcgen.metrics.scores.neighbours`. All depend on the scale of the clouds:
:func:`normalize_globally` and :func:`normalize_boxes` are the two conventions in use, whose numbers
cannot be compared.
"""

from __future__ import annotations

import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.distances import (
    Distance,
    chamfer_distance,
    earth_mover_bound,
    earth_mover_distance,
)
from pcgen.metrics.pairs import pairwise
from pcgen.metrics.scores.neighbours import (
    NeighbourScores,
    neighbour_scores,
    neighbour_scores_of_distances,
)
from pcgen.metrics.scores.occupancy import Outside, occupancy_jsd
from pcgen.ops.segments import segment_max, segment_min


def shape_scores(
    real: Batch,
    generated: Batch,
    *,
    earth_mover: Distance | None = None,
    resolution: int = 28,
    outside: Outside = "raise",
) -> dict[str, float]:
    """JSD, and MMD, COV and 1-NNA under Chamfer and earth mover's distance.

    Args:
        real: Reference clouds.
        generated: Generated clouds; PointFlow takes as many as there are reference clouds.
        earth_mover: Distance behind MMD-EMD, COV-EMD and 1-NNA-EMD, for all pairs:
            :func:`approxmatch_distance` reproduces old tables. None: the exact one per point,
            solved only for pairs that can be nearest.
        resolution: Nodes of the JSD's grid along each axis.
        outside: See :class:`~pcgen.metrics.scores.occupancy.Occupancy`.

    Returns:
        ``JSD`` in bits, ``MMD-CD``, ``COV-CD``, ``1-NNA-CD`` and the same with ``-EMD``.

    Raises:
        DataError: clouds outside the sphere, or an empty cloud.
    """
    # Positions alone: the definitions know no weights.
    real, generated = (pc.make(side.pos, pc.sizes(side)) for side in (real, generated))
    for name, side in (("real", real), ("generated", generated)):
        empty = (pc.sizes(side) == 0).nonzero().flatten().tolist()
        if empty:
            raise DataError(f"{name}: got {len(empty)} empty clouds ({empty[0]} first)")
    chamfer = _matrix_scores(real, generated, chamfer_distance())
    if earth_mover is None:
        mover = neighbour_scores(real, generated, earth_mover_distance(), earth_mover_bound)
    else:
        mover = _matrix_scores(real, generated, earth_mover)
    values = {"JSD": occupancy_jsd(real, generated, resolution=resolution, outside=outside)}
    for name, found in (("CD", chamfer), ("EMD", mover)):
        values[f"MMD-{name}"] = found.mmd
        values[f"COV-{name}"] = found.coverage
        values[f"1-NNA-{name}"] = found.accuracy
    return values


def _matrix_scores(real: Batch, generated: Batch, distance: Distance) -> NeighbourScores:
    """From all ordered pairs: the matching of old tables is not symmetric."""
    between = pairwise(distance, real, generated)
    among_real, among_generated = (pairwise(distance, s, s).T for s in (real, generated))
    return neighbour_scores_of_distances(between, among_real, among_generated)


def normalize_globally(clouds: Batch, reference: Batch) -> Batch:
    """PointFlow's normalisation: one shift and one scale for all clouds, those of ``reference``.

    The mean of each axis over all points is subtracted; what is divided by is the standard
    deviation of all coordinates about *one* common mean, as in its data loader. PointFlow trains on
    such clouds and takes its scores after undoing it.
    """
    pos = reference.pos.double()
    if not len(pos) or not bool(pos.std(correction=0) > 0):
        raise ArgumentError("reference: got no points, or all at one place, expected a spread")
    moved = (clouds.pos - pos.mean(0)) / pos.std(correction=0)
    return pc.replace(clouds, pos=moved.to(clouds.pos.dtype))


def normalize_boxes(clouds: Batch) -> Batch:
    """DPM's normalisation: each cloud's bounding box centred, its longest side from -1 to 1.

    A cloud of one place is centred only. The corners lie outside the sphere of the JSD, which DPM
    takes nevertheless (``outside="nearest"``).
    """
    top, bottom = (extreme(clouds.pos, clouds.ptr) for extreme in (segment_max, segment_min))
    half = ((top - bottom) / 2).amax(1, keepdim=True)
    half = torch.where(half > 0, half, 1.0)
    middle = (top + bottom) / 2
    return pc.replace(clouds, pos=(clouds.pos - middle[clouds.batch]) / half[clouds.batch])
