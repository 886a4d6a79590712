r"""Pooling and upsampling of images of which a part was not observed.

The window of a pooled cell is reduced over its observed cells alone, and the cell is observed where
there is one: the map is pooled by its maximum, as in Uhrig et al., arXiv:1708.06500.
Upsampling repeats values and map alike (Liu et al., arXiv:1804.07723).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.nn.observed.image import ObservedImage

_MAX = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_MEAN = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


class ObservedPool(nn.Module):
    """Maximum or mean of the observed cells of each window; 0 where there is none.

    Args:
        kernel: Size of the window along each axis.
        reduce: "max" or "mean".
        stride: Of the windows; None for side by side.
        padding: Unobserved cells added at both ends of each axis.
    """

    def __init__(
        self,
        kernel: int,
        reduce: Literal["max", "mean"] = "max",
        *,
        stride: int | None = None,
        padding: int = 0,
    ) -> None:
        super().__init__()
        if reduce not in ("max", "mean"):
            raise ArgumentError(f"reduce: got {reduce!r}, expected 'max' or 'mean'")
        self.reduce = reduce
        self.window = (kernel, kernel if stride is None else stride, padding)

    def forward(self, image: ObservedImage) -> ObservedImage:
        r"""[B, C, \*shape] -> [B, C, \*shape'], each channel with its own map."""
        axis = image.x.dim() - 3
        known = image.observed > 0
        seen = _MAX[axis](known.to(image.x.dtype), *self.window)
        if self.reduce == "max":
            x = _MAX[axis](torch.where(known, image.x, -math.inf), *self.window)
        else:
            share = _MEAN[axis](known.to(image.x.dtype), *self.window)
            x = _MEAN[axis](image.known, *self.window) / torch.where(seen > 0, share, 1)
        return ObservedImage(torch.where(seen > 0, x, 0), seen)


class ObservedUpsample(nn.Module):
    """Every cell repeated ``factor`` times along each axis, its confidence too.

    Args:
        factor: How often.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, image: ObservedImage) -> ObservedImage:
        r"""[B, C, \*shape] -> [B, C, \*(factor shape)]."""
        return ObservedImage(self._repeat(image.x), self._repeat(image.observed))

    def _repeat(self, value: Tensor) -> Tensor:
        for axis in range(2, value.dim()):
            value = value.repeat_interleave(self.factor, axis)
        return value
