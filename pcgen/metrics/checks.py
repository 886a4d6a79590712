"""What a score is computed on: rows of finite numbers, or one line that says which are not."""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError

# Indices listed in an error.
LISTED = 10


def check_rows(*, least: int = 1, **sets: Tensor) -> tuple[Tensor, ...]:
    """Sets of events as float64 rows [N, F] of one width F and on one device.

    Args:
        least: Events that each set must have.
        **sets: Features of each set [N, F], or one number for each event [N].

    Raises:
        ArgumentError: a set has another rank, width or device, or fewer than ``least`` events.
        DataError: a row is not finite; all such rows are named by their index (the first ten).

    >>> check_rows(real=torch.zeros(3), generated=torch.ones(2, 1))[0].shape
    torch.Size([3, 1])
    """
    rows = {name: x[:, None] if x.dim() == 1 else x for name, x in sets.items()}
    first = next(iter(rows.values()))
    for name, x in rows.items():
        if x.dim() != 2 or len(x) < least or x.shape[1] != first.shape[1] or not x.shape[1]:
            raise ArgumentError(
                f"{name}: got shape {tuple(sets[name].shape)}, expected [N, {first.shape[-1]}] "
                f"with N ≥ {least}"
            )
        if x.device != first.device:
            raise ArgumentError(f"{name}: got device {x.device}, expected {first.device}")
        bad = (~torch.isfinite(x)).any(1).nonzero().flatten().tolist()
        if bad:
            listed = ", ".join(map(str, bad[:LISTED])) + (", ..." if len(bad) > LISTED else "")
            raise DataError(
                f"{name}: got values that are not finite in {len(bad)} of {len(x)} events "
                f"({listed}), expected finite features"
            )
    return tuple(x.detach().double() for x in rows.values())
