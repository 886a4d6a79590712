r"""Locally connected layers: convolutions whose weights differ from place to place.

.. math:: z_{o,l} = \sum_{i} W_{o,i,l}\, x_{i,l} + b_{o,l}

with x_{.,l} the C k² numbers of the window of output cell l. A jet image has a centre and is not
invariant under shifts, so that a cell needs filters of its own (de Oliveira, Paganini and Nachman,
arXiv 1701.05927, after Taigman et al., "DeepFace", CVPR 2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.nn.network import Network


class LocallyConnected2d(Network):
    """Windows of an image, each with weights of its own: [B, C, H, W] -> [B, C', H', W'].

    Without padding by default, as in Keras; the weights start as He et al., arXiv 1502.01852, draw
    those of ReLUs, uniform in ±√(6 / n) with n = C k², and the biases at 0.

    Args:
        in_channels: C.
        out_channels: C'.
        shape: Cells of the input along both axes.
        kernel_size: Cells k of a window along each axis.
        stride: Cells from a window to the next.
        padding: Zeros on each side.
        bias: Whether each cell has a bias of its own.

    Raises:
        ArgumentError: the window does not fit into the image.

    >>> LocallyConnected2d(2, 3, (9, 8), 5)(torch.zeros(4, 2, 9, 8)).shape
    torch.Size([4, 3, 5, 4])
    """

    shown = ("in_channels", "out_channels", "shape", "kernel_size", "stride", "padding")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        shape: Sequence[int],
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.shape = in_channels, out_channels, tuple(shape)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.out_shape = tuple((n + 2 * padding - kernel_size) // stride + 1 for n in shape)
        if len(self.shape) != 2 or min(self.out_shape) < 1:
            raise ArgumentError(
                f"shape: got {self.shape}, expected two axes of at least "
                f"{max(kernel_size - 2 * padding, 1)} cells"
            )
        cells = math.prod(self.out_shape)
        window = in_channels * kernel_size**2
        self.weight = nn.Parameter(torch.empty(out_channels, window, cells))
        self.bias = nn.Parameter(torch.empty(out_channels, cells)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        bound = math.sqrt(6 / self.weight.shape[1])
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Images [B, C, H, W] -> [B, C', H', W'].

        Raises:
            ArgumentError: an image has another shape.
        """
        if image.shape[1:] != (self.in_channels, *self.shape):
            raise ArgumentError(
                f"image: got {tuple(image.shape)}, expected [B, {self.in_channels}, "
                f"{self.shape[0]}, {self.shape[1]}]"
            )
        windows = F.unfold(image, self.kernel_size, padding=self.padding, stride=self.stride)
        found = torch.einsum("bil,oil->bol", windows, self.weight)
        if self.bias is not None:
            found = found + self.bias
        return found.unflatten(2, self.out_shape)
