"""Coordinates that exceed the period of their axis: angles in another unit than the schema's."""

from __future__ import annotations

from torch import Tensor

from pcgen.escaping import one_line
from pcgen.schema import Schema


def reach(pos: Tensor) -> Tensor:
    """Largest size of each coordinate [D] of points [N, D], those not finite left out."""
    if not len(pos):
        return pos.new_zeros(pos.shape[1])
    return pos.detach().abs().where(pos.isfinite(), 0.0).amax(0)


def beyond_period(reach: Tensor, schema: Schema, whose: str) -> list[str]:
    """Axes whose coordinates exceed their period, a line for each.

    Args:
        reach: Largest size of each coordinate [D], in the units of the schema.
        schema: What the coordinates mean.
        whose: They are, for the lines.

    >>> import torch
    >>> from pcgen.schema import Quantity
    >>> phi = Quantity("phi", "rad", 6.28)
    >>> beyond_period(torch.tensor([180.0]), Schema((phi,)), "a.h5")
    ['a.h5: phi [rad] reaches 180, beyond its period of 6.28: another unit?']
    """
    return [
        f"{one_line(whose)}: {one_line(axis.name + (f' [{axis.unit}]' if axis.unit else ''))} "
        f"reaches {size:.4g}, beyond its period of {axis.period:.4g}: another unit?"
        for axis, size in zip(schema.axes, reach.tolist(), strict=True)
        if axis.period is not None and size > axis.period * (1 + 1e-6)
    ]
