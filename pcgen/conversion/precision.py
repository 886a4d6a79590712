"""Whether clouds mean the same in float32, the type of the networks; float64 where they do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen.clouds import POINT_ATTRIBUTES, attributes, context
from pcgen.errors import DataError
from pcgen.ops.segments import segment_max, segment_min


class PrecisionError(DataError):
    """Values that float32 does not hold."""


class Written(NamedTuple):
    """Clouds that were written.

    Attributes:
        points: Their number of points.
        rounded: Whether float32 has changed a value.
        wide: Why they are float64 where nobody chose that; empty where it is not so.
        negative: How many cells were negative and gave no point,
        unobserved: and how many were NaN.
        context: Number of points of the contexts.
    """

    points: int
    rounded: bool = False
    wide: str = ""
    negative: int = 0
    unobserved: int = 0
    context: int = 0


def in_type(write: Callable[[torch.dtype], Written], dtype: str | None) -> Written:
    """Write clouds in the type that was chosen, or in float32 and else, all of them, in float64."""
    if dtype == "float64":
        return write(torch.float64)
    try:
        return write(torch.float32)
    except PrecisionError as error:
        if dtype == "float32":
            raise
        why = str(error).partition(", expected")[0]
        return write(torch.float64)._replace(wide=why)


def check_precision(clouds: Batch, first: int, where: str | Path) -> bool:
    """Refuse clouds whose values mean something else once they are rounded to float32.

    So are their contexts.

    That are whole numbers beyond 2^24 that change, values beyond float32's range at either end, and
    coordinates that float32 resolves in steps of more than a thousandth of their event's extent.

    Args:
        clouds: A block of events.
        first: Number of its first event, for the message.
        where: File, for the message.

    Returns:
        Whether float32 changes a value at all.

    Raises:
        PrecisionError: naming file, attribute and event.
    """
    rounded = False
    limits = torch.finfo(torch.float32)
    for name, value in attributes(clouds).items():
        if value.dtype != torch.float64:
            continue
        size, changed = value.abs(), value.float().double() != value
        rounded |= bool(changed.any())
        bad = (size > limits.max) | ((size < limits.tiny) & (size > 0))
        bad |= (value == value.round()) & (size < 2**53) & changed
        rows = bad.any(1) if bad.dim() == 2 else bad
        if name == "pos":
            rows |= changed.any(1) & _coarse(clouds)[clouds.batch]
        if rows.any():
            row = int(rows.nonzero()[0])
            event = int(clouds.batch[row]) if name in POINT_ATTRIBUTES else row
            raise PrecisionError(
                f"{where}: {name} of event {first + event} is {value[row].tolist()}, "
                f"expected values that float32 holds, or --dtype float64"
            )
    others = context(clouds)
    return rounded | (others is not None and check_precision(others, first, f"{where}, context"))


def _coarse(clouds: Batch) -> Tensor:
    """Whether a step of float32 is more than a thousandth of the extent of an event [B]."""
    low, high = segment_min(clouds.pos, clouds.ptr), segment_max(clouds.pos, clouds.ptr)
    step = torch.maximum(low.abs(), high.abs()).amax(1) * torch.finfo(torch.float32).eps
    extent = (high - low).amax(1)
    return (extent > 0) & (step > extent / 1000)
