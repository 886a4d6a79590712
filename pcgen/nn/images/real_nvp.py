r"""Real NVP on images: an invertible network with a tractable Jacobian, on several scales.

Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP", arXiv 1605.08803, sections 3.4
to 3.6. A coupling leaves some of the numbers of an image as they are and maps the others, each by a
factor and a summand that a convolutional network makes of those that were left. At each scale

1. three couplings leave every other cell, as the colours of a checkerboard;
2. cells are *squeezed*: the 2 x 2 cells (2 along each axis) become channels of one;
3. three couplings leave half of the channels;
4. half of the channels are noise now, and the rest goes on to the next scale.

An axis is squeezed as long as its number of cells is even and above 4. At the last scale there are
four checkerboard couplings. The networks start as zero, so the flow starts as a reordering. It has
neither batch normalisation nor residual blocks: values are standardised, and its networks are two
convolutions, whose channels a perceptron of the condition scales and shifts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.nn.condition import expect_condition
from pcgen.nn.images.layers import DenseLayers
from pcgen.nn.images.unet import Block
from pcgen.nn.mlp import stack
from pcgen.nn.network import Network

Left = Literal["checkerboard", "channels"]


class ImageCoupling(Network):
    r"""One coupling of images [B, C, \*shape].

    Args:
        shape: Cells along each axis, 1 to 3.
        channels: C.
        left: What is left as it is: every other cell, or half of the channels.
        second: The other half of them.
        context_channels: Of what the networks are given of an event.
        hidden: Channels of the network of factors and summands.
    """

    shown = ("left", "second")

    def __init__(
        self,
        shape: Sequence[int],
        channels: int,
        left: Left,
        *,
        second: bool,
        context_channels: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.left, self.second = left, second
        layers = DenseLayers(len(shape))
        self.enter = Block(layers, channels, hidden, context_channels)
        self.inside = Block(layers, hidden, hidden, context_channels)
        self.leave = layers.convolve(hidden, 2 * channels)
        self.bound = nn.Parameter(torch.ones(channels))
        self._begin()

    def _begin(self) -> None:
        """The coupling maps nothing."""
        nn.init.ones_(self.bound)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def reset_parameters(self) -> None:
        """Draw all parameters again; the coupling starts as the identity."""
        super().reset_parameters()
        self._begin()

    def forward(self, image: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """The image, mapped, and the logarithm of the Jacobian [B]."""
        log_scale, shift = self._given(image, context)
        return image * log_scale.exp() + shift, log_scale.flatten(1).sum(1)

    def inverse(self, image: Tensor, context: Tensor) -> Tensor:
        """The image that is mapped to this one."""
        log_scale, shift = self._given(image, context)
        return (image - shift) * (-log_scale).exp()

    def _given(self, image: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Log of the factor, and summand, of every number; 0 of those that are left."""
        mapped = self._mapped(image)
        seen = self.inside(self.enter(image * ~mapped, context), context)
        raw, shift = self.leave(seen).chunk(2, 1)
        bound = self.bound.view(-1, *[1] * (image.dim() - 2))
        return bound * raw.tanh() * mapped, shift * mapped

    def _mapped(self, image: Tensor) -> Tensor:
        """Which numbers are mapped, of the shape of one image or broadcast to it."""
        if self.left == "channels":
            first = torch.arange(image.shape[1], device=image.device) < image.shape[1] // 2
            return (first == self.second).view(-1, *[1] * (image.dim() - 2))
        parity = torch.zeros(image.shape[2:], dtype=torch.long, device=image.device)
        for axis, cells in enumerate(image.shape[2:]):
            places = torch.arange(cells, device=image.device)
            parity += places.view(-1, *[1] * (image.dim() - 3 - axis))
        return (parity % 2 == 0) == self.second


class ImageRealNVP(Network):
    r"""Multi-scale Real NVP between images and as many numbers of noise.

    Args:
        shape: Cells along each axis, 1 to 3.
        condition_channels: Columns K of the condition.
        hidden: Channels of the networks of the couplings.

    Raises:
        ArgumentError: the shape has no or more than 3 axes, or an axis without cells.

    >>> flow = ImageRealNVP((8, 8), hidden=4)
    >>> noise, log_volume = flow(torch.rand(2, 1, 8, 8))
    >>> noise.shape, flow.inverse(noise).shape, log_volume.tolist()
    (torch.Size([2, 64]), torch.Size([2, 1, 8, 8]), [0.0, 0.0])
    """

    shown = ("shape", "condition_channels")

    def __init__(
        self, shape: Sequence[int], *, condition_channels: int = 0, hidden: int = 32
    ) -> None:
        super().__init__()
        if not 1 <= len(shape) <= 3 or min(shape) < 1 or hidden < 1:
            raise ArgumentError(
                f"shape, hidden: got {tuple(shape)}, {hidden}, expected 1 to 3 axes with cells, "
                "and a channel"
            )
        self.shape, self.condition_channels = tuple(shape), condition_channels
        self.context = stack(max(condition_channels, 1), (hidden, hidden), nn.SiLU)
        self.squeezed = _squeezes(self.shape)
        scales, channels, cells = [], 1, list(self.shape)
        for factors in self.squeezed:
            scales.append(self._couplings(cells, channels, "checkerboard", 3, hidden))
            cells = [number // factor for number, factor in zip(cells, factors, strict=True)]
            channels *= math.prod(factors)
            scales.append(self._couplings(cells, channels, "channels", 3, hidden))
            channels //= 2
        scales.append(self._couplings(cells, channels, "checkerboard", 4, hidden))
        self.scales = nn.ModuleList(scales)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Images [B, 1, \*shape] -> noise [B, cells], and the logarithm of the Jacobian [B].

        Raises:
            ArgumentError: images of another shape, or a condition that is not [B, K].
        """
        if image.shape[1:] != (1, *self.shape):
            raise ArgumentError(
                f"image: got {tuple(image.shape)}, expected (events, 1, "
                f"{', '.join(map(str, self.shape))})"
            )
        context, log_volume = self._context(image, condition), image.new_zeros(len(image))
        noise = []
        for number, couplings in enumerate(self.scales):
            if number % 2:
                image = _squeeze(image, self.squeezed[number // 2])
            for coupling in couplings.children():
                image, step = coupling(image, context)
                log_volume = log_volume + step
            if number % 2:
                done, image = image.chunk(2, 1)
                noise.append(done.flatten(1))
        return torch.cat([*noise, image.flatten(1)], 1), log_volume

    def inverse(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """The images whose noise [B, cells] this is."""
        context, parts = self._context(noise, condition), self._parts(noise)
        image = parts.pop()
        for number in reversed(range(len(self.scales))):
            if number % 2:
                image = torch.cat([parts.pop(), image], 1)
            for coupling in reversed(list(self.scales[number].children())):
                assert isinstance(coupling, ImageCoupling)
                image = coupling.inverse(image, context)
            if number % 2:
                image = _spread(image, self.squeezed[number // 2])
        return image

    def _couplings(
        self, cells: Sequence[int], channels: int, left: Left, number: int, hidden: int
    ) -> nn.ModuleList:
        return nn.ModuleList(
            ImageCoupling(
                cells, channels, left, second=bool(n % 2), context_channels=hidden, hidden=hidden
            )
            for n in range(number)
        )

    def _context(self, like: Tensor, condition: Tensor | None) -> Tensor:
        if not self.condition_channels:
            return self.context(like.new_ones(len(like), 1))
        given = expect_condition(condition, len(like), self.condition_channels)
        return self.context(given.to(like.dtype))

    def _parts(self, noise: Tensor) -> list[Tensor]:
        """The noise of each scale, as channels of its cells."""
        parts, begin, channels, cells = [], 0, 1, list(self.shape)
        for factors in self.squeezed:
            cells = [number // factor for number, factor in zip(cells, factors, strict=True)]
            channels = channels * math.prod(factors) // 2
            end = begin + channels * math.prod(cells)
            parts.append(noise[:, begin:end].unflatten(1, (channels, *cells)))
            begin = end
        return [*parts, noise[:, begin:].unflatten(1, (channels, *cells))]


def _squeezes(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Cells along each axis that become channels, at each scale but the last."""
    found: list[tuple[int, ...]] = []
    cells = list(shape)
    while (factors := [2 if n % 2 == 0 and n > 4 else 1 for n in cells]) != [1] * len(cells):
        found.append(tuple(factors))
        cells = [number // factor for number, factor in zip(cells, factors, strict=True)]
    return found


def _squeeze(image: Tensor, factors: Sequence[int]) -> Tensor:
    """[B, C, *cells] -> [B, C prod(factors), *cells / factors]."""
    axes = len(factors)
    split = [image.shape[0], image.shape[1]]
    for cells, factor in zip(image.shape[2:], factors, strict=True):
        split += [cells // factor, factor]
    inner, outer = range(3, 3 + 2 * axes, 2), range(2, 2 + 2 * axes, 2)
    return image.reshape(split).permute(0, 1, *inner, *outer).flatten(1, 1 + axes)


def _spread(image: Tensor, factors: Sequence[int]) -> Tensor:
    """The inverse of :func:`_squeeze`."""
    axes, channels = len(factors), image.shape[1] // math.prod(factors)
    order = [0, 1]
    for axis in range(axes):
        order += [2 + axes + axis, 2 + axis]
    cells = [n * factor for n, factor in zip(image.shape[2:], factors, strict=True)]
    split = image.unflatten(1, (channels, *factors)).permute(order)
    return split.reshape(len(image), channels, *cells)
