"""What tables of the hits of showers share: padding is left out, layers are whole numbers.

Such a table holds for each event n rows, of which some, anywhere, have no energy: padding, or cells
that lost theirs. A row without energy is no point. N rows, B events.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcgen import clouds as convention
from pcgen.errors import DataError
from pcgen.io.source import Array, CloudSource

_EVENTS = 4096
_OFF = 0.1
"""How far from a whole number a layer may be stored."""


class Scan(NamedTuple):
    """What is known of hits once all of them were read.

    Attributes:
        sizes: Points of each event [B].
        layers: Number of layers: the last one that is hit, and those before it; 0 without layers.
    """

    sizes: Tensor
    layers: int


class HitSource(CloudSource):
    """A file of hits, some of whose rows are no points: only reading them shows how many are."""

    _known: Scan | None = None

    def sizes(self) -> Tensor:
        """Points of each event [B]; the hits are read once to count those with energy."""
        return self._scan().sizes

    def _scan(self) -> Scan:
        if self._known is None:
            sizes, layers = [torch.zeros(0, dtype=torch.long)], 0
            for start in range(0, len(self), _EVENTS):
                block = self._read(start, min(start + _EVENTS, len(self)))
                sizes.append(convention.sizes(block))
                layer = block.get("layer")
                layers = max(
                    layers, int(layer.max()) + 1 if layer is not None and len(layer) else 0
                )
            self._known = Scan(torch.cat(sizes), layers)
        return self._known


def filled(energy: Array, sizes: Array, first: int, where: str | Path) -> tuple[Array, Array]:
    """Which rows are points, and how many of them each event has.

    Args:
        energy: Of each row [N].
        sizes: Rows of each event [B].
        first: Number of the first event, for messages.
        where: File, for messages.

    Returns:
        Whether each row has an energy [N], and the number of points of each event [B].

    Raises:
        DataError: an energy is negative or not finite; names the event.
    """
    event = np.repeat(np.arange(len(sizes)), sizes)
    bad = ~(np.isfinite(energy) & (energy >= 0))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{where}: energy of a point of event {first + int(event[row])} is {energy[row]}, "
            "expected a finite value that is not negative"
        )
    points = energy > 0
    return points, np.bincount(event[points], minlength=len(sizes))


def layer_numbers(values: Array, sizes: Array, first: int, where: str | Path) -> Tensor:
    """Layers that are stored as floats, as whole numbers [N].

    Args:
        values: Layer of each row [N].
        sizes: Rows of each event [B].
        first: Number of the first event, for messages.
        where: File, for messages.

    Raises:
        DataError: a value is no layer number; names the event.
    """
    whole = np.rint(values)
    good = np.isfinite(values) & (np.abs(values - whole) <= _OFF) & (whole >= 0) & (whole < 2**31)
    if not good.all():
        row = int((~good).argmax())
        event = int(np.repeat(np.arange(len(sizes)), sizes)[row])
        raise DataError(
            f"{where}: layer of a point of event {first + event} is {values[row]}, expected a "
            "whole number from 0"
        )
    return torch.from_numpy(whole.astype(np.int64))
