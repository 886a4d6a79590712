"""Which events are compared: of some classes, and within ranges of their conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pcgen.errors import ArgumentError, DataError
from pcgen.schema import Schema

if TYPE_CHECKING:
    from torch import Tensor
    from torch_geometric.data import Batch


class Range(NamedTuple):
    """Values of a condition from ``low`` up to, and without, ``high``."""

    name: str
    low: float
    high: float


def ranges(texts: Sequence[str]) -> list[Range]:
    """Ranges as they are typed, ``jet_pt=900:1000``; either end may be left out.

    Raises:
        ArgumentError: a text is no such range, or nothing is between its ends.

    >>> ranges(["jet_pt=900:1000", "eta=:0.5"])
    [Range(name='jet_pt', low=900.0, high=1000.0), Range(name='eta', low=-inf, high=0.5)]
    """
    return [_range(text) for text in texts]


def _range(text: str) -> Range:
    name, equals, values = text.partition("=")
    low, colon, high = values.partition(":")
    try:
        ends = float(low or "-inf"), float(high or "inf")
    except ValueError:
        ends = math.nan, math.nan
    if not (name and equals and colon and ends[0] < ends[1]):
        raise ArgumentError(f"between: got {text!r}, expected NAME=LOW:HIGH, jet_pt=900:1000 say")
    return Range(name.strip(), *ends)


def select(
    clouds: Batch, schema: Schema, classes: Sequence[str] | None, within: Sequence[Range], path: str
) -> Tensor:
    """Numbers of the clouds of some classes whose conditions are within all ranges.

    Args:
        clouds: B clouds.
        schema: What they mean.
        classes: Names; None: all.
        within: Ranges.
        path: Of their file, for errors.

    Raises:
        ArgumentError: there is no such condition.
        DataError: classes were named and the clouds have none, or no cloud is left.
    """
    import torch

    kept = torch.ones(clouds.num_graphs, dtype=torch.bool)
    if classes is not None:
        if clouds.get("label") is None:
            raise DataError(f"{path}: got events without classes, expected some of {classes}")
        wanted = [schema.labels.index(name) for name in classes if name in schema.labels]
        kept &= torch.isin(clouds.label, torch.tensor(wanted))
    names = [quantity.name for quantity in schema.condition]
    for each in within:
        if each.name not in names or clouds.get("y") is None:
            known = ", ".join(names) or "none"
            raise ArgumentError(
                f"between: got {each.name!r}, expected a condition of {path}: {known}"
            )
        value = clouds.y[:, names.index(each.name)]
        kept &= (value >= each.low) & (value < each.high)
    if within and not kept.any():
        shown = " and ".join(f"{each.name} from {each.low:g} to {each.high:g}" for each in within)
        raise DataError(f"{path}: got no event with {shown}, expected some")
    return kept.nonzero().flatten()
