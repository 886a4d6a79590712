"""Conditions of clouds: told beside them, or carried by them."""

from __future__ import annotations

from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc


def told(clouds: Batch, condition: Tensor | None) -> Batch:
    """The clouds with the condition [B, K] as their ``y``; as they are where none is given."""
    return clouds if condition is None else pc.replace(clouds, y=condition)
