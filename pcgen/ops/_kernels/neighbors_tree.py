r"""Neighbour search on the CPU for large clouds: SciPy's KD-trees, on torch's number of threads.

The tree finds k + 1 candidates by its own arithmetic and breaks ties as it likes. The candidates
are measured again as :mod:`pcgen.ops.points` defines the distance; and where the last of them is
not clearly farther than the k-th, a point that was not found may be as near: such queries (all of
a lattice, say) go to brute force. So the rows found are those of every other search.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from pcgen.ops._kernels import neighbors_numba, neighbors_torch
from pcgen.ops.points import square


def search(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float]
) -> Tensor:
    """Rows of the k nearest [N, k] by a tree for each cloud."""
    candidates = torch.full((len(x), k + 1), -1, dtype=torch.long)
    points, others = x.double(), y.double()
    for b in range(len(ptr_x) - 1):
        rows, begin, end = slice(ptr_x[b], ptr_x[b + 1]), int(ptr_y[b]), int(ptr_y[b + 1])
        if begin < end:
            found = _query(points[rows], others[begin:end], k + 1, period)
            candidates[rows] = torch.where(found < end - begin, found + begin, -1)
    return certify(x, y, ptr_x, ptr_y, k, period, candidates, 1e-9)


def _query(x: Tensor, y: Tensor, k: int, period: Sequence[float]) -> Tensor:
    """Rows of the k nearest [n, k] in one cloud; len(y) where there are fewer."""
    points, others, box = x.numpy(), y.numpy(), None
    if any(period):
        box = np.array(period)
        points, others = _into_box(points, box), _into_box(others, box)
    tree = cKDTree(others, boxsize=box)
    return torch.from_numpy(tree.query(points, k, workers=torch.get_num_threads())[1])


def _into_box(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Coordinates within [0, period) on periodic axes."""
    turns = np.floor(np.divide(points, box, out=np.zeros_like(points), where=box > 0))
    inside = points - turns * box
    return np.where((box > 0) & ((inside < 0) | (inside >= box)), 0.0, inside)


def certify(
    x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor, k: int, period: Sequence[float],
    candidates: Tensor, blur: float,
) -> Tensor:  # fmt: skip
    """The k nearest among k + 1 candidates [N, k + 1], or among all where these may not do.

    ``blur`` is by how much, relatively, two distances may be taken the wrong way round.
    """
    if len(y) == 0:
        return candidates[:, :k]
    # Candidates by row, then stably by distance: equally near ones stay in the order of rows.
    candidates = torch.where(candidates < 0, len(y), candidates).sort(1).values
    missing = candidates == len(y)
    apart = x.double()[:, None] - y.double()[candidates.clamp(max=len(y) - 1)]
    squared = square(apart, period).masked_fill(missing, torch.inf)
    squared, order = squared.sort(dim=1, stable=True)
    found = candidates.gather(1, order)[:, :k]
    found = torch.where(found == len(y), -1, found)
    size = max(float(p) for p in period)
    near = squared[:, k - 1].sqrt() * (1 + blur) + blur * size
    doubtful = (squared[:, k].sqrt() <= near) & squared[:, k].isfinite()
    if bool(doubtful.any()):
        rows = doubtful.nonzero().squeeze(1)
        pointer = torch.cat((ptr_x[:1] * 0, doubtful.long().cumsum(0)))[ptr_x]
        brute = neighbors_torch if x.is_cuda else neighbors_numba
        found[rows] = brute.search(x[rows], y, pointer, ptr_y, k, period)
    return found
