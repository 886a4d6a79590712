"""Which points of an event a detector observed: the rest is missing, to be completed by a model.

What is observed and what is hidden are two files of the same events: a model that generates the
hidden points, with the observed ones as context, completes an event.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.schema import Schema


@dataclass(frozen=True)
class Observing:
    """What is observed, of clouds of one schema.

    Attributes:
        schema: Of the clouds.
        windows: Place among the axes and both ends of each window.
        layers: Numbers of layers that are observed; None: all.
        share: Probability that a point is observed.
        hidden: Keep the points that are not observed instead.
    """

    schema: Schema
    windows: tuple[tuple[int, float, float], ...]
    layers: tuple[int, ...] | None
    share: float
    hidden: bool

    def __call__(self, clouds: Batch, generator: torch.Generator) -> Batch:
        """The clouds with the points that stay; some may become empty."""
        return cl.select_points(clouds, self.kept(clouds, generator))

    def kept(self, clouds: Batch, generator: torch.Generator) -> Tensor:
        """Which points stay [N], bool; a random number is drawn for each, whatever they are."""
        chance = torch.rand(len(clouds.pos), generator=generator, dtype=torch.float64)
        seen = chance < self.share
        for axis, low, high in self.windows:
            seen &= (clouds.pos[:, axis] >= low) & (clouds.pos[:, axis] < high)
        if self.layers is not None:
            seen &= torch.isin(clouds.layer, torch.tensor(self.layers))
        return ~seen if self.hidden else seen


def observing(
    observe: Sequence[str] | None, hide: Sequence[str] | None, schema: Schema
) -> Observing | None:
    """From words: ``eta_rel=:0`` (a window), ``layer=track/ECAL``, ``0.5`` (a share); all together.

    Args:
        observe: What is observed, and stays.
        hide: What is observed, and is left out; not both.
        schema: Of the clouds.

    Raises:
        ArgumentError: both are given, or a word is none of these.

    >>> from pcgen.schema import Quantity
    >>> observing(["x=:0", "0.5"], None, Schema((Quantity("x"),))).windows
    ((0, -inf, 0.0),)
    """
    if observe is not None and hide is not None:
        raise ArgumentError("observe, hide: got both, expected one of them")
    words = hide if observe is None else observe
    if words is None:
        return None
    option = "hide" if observe is None else "observe"
    windows, layers, share = [], None, 1.0
    names = [axis.name for axis in schema.axes]
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            share = _share(option, word)
        elif name == "layer":
            layers = _layers(option, text, schema)
        elif name in names:
            windows.append((names.index(name), *_ends(option, word, text)))
        else:
            known = ", ".join([*names, *(["layer"] if schema.layers else [])])
            raise ArgumentError(f"{option}: got {word!r}, expected one of {known}, or a share")
    return Observing(schema, tuple(windows), layers, share, hide is not None)


def _share(option: str, word: str) -> float:
    try:
        share = float(word)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ArgumentError(
            f"{option}: got {word!r}, expected NAME=LOW:HIGH, layer=NAME/NAME or a share, 0 to 1"
        )
    return share


def _layers(option: str, text: str, schema: Schema) -> tuple[int, ...]:
    unknown = [name for name in text.split("/") if name not in schema.layers]
    if unknown:
        known = "/".join(schema.layers) or "none, as the points have no layers"
        raise ArgumentError(f"{option}: got the layer {unknown[0]!r}, expected some of {known}")
    return tuple(schema.layers.index(name) for name in text.split("/"))


def _ends(option: str, word: str, text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        ends = float(low or "-inf"), float(high or "inf")
    except ValueError:
        ends = math.nan, math.nan
    if not colon or not ends[0] < ends[1]:
        raise ArgumentError(f"{option}: got {word!r}, expected NAME=LOW:HIGH, eta_rel=:0 say")
    return ends
