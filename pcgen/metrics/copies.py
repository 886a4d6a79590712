"""Events that two sets have in common, number for number: each event is compared by a hash of its
points, so that the time goes with the number of points and not with the pairs of events.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention


def shared(a: Batch, b: Batch) -> Tensor:
    """Which clouds of ``b`` are also in ``a``: the same points and weights, in any order.

    Empty clouds, which are all the same, do not count.

    Args:
        a: Clouds.
        b: Clouds of the same floating-point type.

    Returns:
        [B] bool.
    """
    known, asked = _prints(a), _prints(b)
    filled = convention.sizes(b).cpu().numpy() > 0
    return torch.from_numpy(np.isin(asked, known) & filled)


def _prints(clouds: Batch) -> np.ndarray[Any, Any]:
    """A number of 64 bits for each cloud [B] that is the same for the same points in any order."""
    columns = [clouds.pos] + ([] if clouds.get("weight") is None else [clouds.weight[:, None]])
    # + 0 turns -0, which is equal, into 0.
    rows = (torch.cat(columns, 1).detach().cpu().double() + 0.0).numpy().view(np.uint64)
    mixed = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        mixed = _mixed(mixed + column)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    ends = clouds.ptr.cpu().numpy()
    return _mixed(sums[ends[1:]] - sums[ends[:-1]] + np.diff(ends).astype(np.uint64))


def _mixed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A bijection of 64-bit numbers that spreads each bit over all: splitmix64 of G. Steele."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
