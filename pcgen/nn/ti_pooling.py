"""TI-pooling: the same network on transformed copies of a signal, then the maximum.

Laptev, Savinov, Buhmann and Pollefeys, "TI-pooling: transformation-invariant pooling for feature
learning in convolutional neural networks", CVPR 2016, arXiv:1604.06318:

    g_k(x) = max_{φ ∈ Φ} f_k(φ(x))

It is invariant under Φ exactly where Φ is a group and acts without interpolation: quarter turns and
flips of square grids, shifts of periodic ones, anything on clouds. With the mean in place of the
maximum it is the average over the group (Reynolds operator).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.nn.transformations import Signal, Transformation


class TIPool(nn.Module):
    """A backbone made invariant under a finite set of transformations.

    Args:
        backbone: Images [B, C, *shape] or clouds to rows [B, F].
        transformations: Φ, of :mod:`pcgen.nn.transformations`, the identity included.
        reduce: "max" as in the paper, or "mean".
    """

    def __init__(
        self,
        backbone: nn.Module,
        transformations: Sequence[Transformation],
        reduce: Literal["max", "mean"] = "max",
    ) -> None:
        super().__init__()
        if not transformations:
            raise ArgumentError("transformations: got none, expected at least the identity")
        if reduce not in ("max", "mean"):
            raise ArgumentError(f"reduce: got {reduce!r}, expected 'max' or 'mean'")
        self.backbone, self.transformations = backbone, tuple(transformations)
        self.reduce = reduce

    def forward(self, signal: Signal, *inputs: Any) -> Tensor:
        """Signals -> [B, F]; further inputs, a condition say, are passed on."""
        moved = (move(signal) for move in self.transformations)
        each = torch.stack([self.backbone(signal, *inputs) for signal in moved])
        return each.amax(0) if self.reduce == "max" else each.mean(0)
