"""What decoders of points share: how they are called, and that points start from their own noise.

A decoder generates the channels of :func:`pcgen.standardize.channels`: ``pos`` and ``x``, with the
standardised logarithm of the fraction last where points carry a weight. The weight itself is
``Standardize.fractions(x, ptr)``, and the model attaches it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn.network import Network
from pcgen.nn.points.starts import Start
from pcgen.ops.drawing import normal


class PointDecoder(Network, ABC):
    """Any number of points from a code, a condition and what each point starts from; abstract.

    Subclasses give :meth:`points`.

    Attributes:
        code_channels: Columns Z of the code.
        dimensions: Coordinates D of a point.
        features: Columns of ``x``, the logarithm of the fraction included; 0 for none.
        condition_channels: Columns K of the condition; 0 ignores it.
        start: What a point starts from (:mod:`pcgen.nn.points.starts`).
    """

    shown: ClassVar[tuple[str, ...]] = (
        "code_channels",
        "dimensions",
        "features",
        "condition_channels",
        "start",
    )

    def __init__(
        self,
        code_channels: int,
        dimensions: int,
        features: int,
        condition_channels: int,
        start: Start,
    ) -> None:
        super().__init__()
        self.code_channels = code_channels
        self.dimensions, self.features = dimensions, features
        self.condition_channels = condition_channels
        self.start = start

    @property
    def noise_channels(self) -> int:
        """Standard normal numbers that are drawn for a point."""
        return self.start.noise_channels

    @abstractmethod
    def points(self, code: Tensor, start: Batch, y: Tensor | None) -> Tensor:
        """Channels of the points [N, D + F]; arguments as of :meth:`decode`."""

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        y: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Clouds of ``sizes`` [B] points from codes [B, Z] and conditions [B, K].

        The noise is drawn where ``generator`` lives, so that a generator of the CPU gives the same
        numbers whatever the device of the code.

        Raises:
            ArgumentError: code, sizes or condition have the wrong shape.
        """
        check_code(code, sizes, self.code_channels)
        shape = (int(sizes.sum()), self.noise_channels)
        return self.decode(code, pc.make(normal(shape, code, generator), sizes), y)

    def decode(self, code: Tensor, start: Batch, y: Tensor | None = None) -> Batch:
        """The deterministic part of :meth:`forward`: clouds as a function of code and noise.

        Args:
            code: [B, Z].
            start: Clouds of the requested sizes whose ``pos`` is noise [N, noise_channels], ragged
                or padded.
            y: Condition [B, K].
        """
        return pc.like(start, **attributes(self.points(code, start, y), self.dimensions))


def check_code(code: Tensor, sizes: Tensor, code_channels: int) -> None:
    """Refuse codes and sizes that do not fit.

    Raises:
        ArgumentError: naming the shapes, or a size below 0.
    """
    if code.shape != (len(sizes), code_channels) or sizes.dim() != 1:
        raise ArgumentError(
            f"decoder: got code {tuple(code.shape)} and sizes {tuple(sizes.shape)}, "
            f"expected [B, {code_channels}] and [B]"
        )
    if len(sizes) and int(sizes.min()) < 0:
        raise ArgumentError(f"sizes: got {int(sizes.min())}, expected non-negative numbers")


def attributes(points: Tensor, dimensions: int) -> dict[str, Any]:
    """Channels of points [N, D + F] as ``pos`` and ``x``, which is None where F is 0."""
    if points.dtype in (torch.float16, torch.bfloat16):
        points = points.float()  # two or three digits would not do for a coordinate
    pos, x = points[:, :dimensions], points[:, dimensions:]
    return {"pos": pos, "x": x if x.shape[1] else None}
