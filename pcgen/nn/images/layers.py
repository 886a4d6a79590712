r"""The layers of one network on dense, observed and sparse images, and the pyramid made of them.

==================  ==================  =======================  ==================================
layer               ``DenseLayers``     ``ObservedLayers``       ``SiteLayers``
==================  ==================  =======================  ==================================
convolve, 3 cells   ConvNd              PartialConv              SubmanifoldConv
halve, 2 cells      ConvNd              PartialConv              SparseConv
double, 2 cells     ConvTransposeNd                              SparseInverseConv
==================  ==================  =======================  ==================================

Weights have the same shapes in all, so a ``state_dict`` goes from one network to the other. Those
of a partial convolution have the scale of a plain layer's, with which Adam moves it as fast; as
what is unobserved is not read again, the function is that of sparsity-invariant convolutions. How
a lattice is halved is in :mod:`pcgen.nn.lattice`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.nn.lattice import level_shapes, margins
from pcgen.nn.mlp import LEAKY
from pcgen.nn.observed.convolutions import PartialConv
from pcgen.nn.observed.image import ObservedImage
from pcgen.nn.pooling import pool_mean_sum
from pcgen.nn.sparse.convolutions import SparseConv, SparseInverseConv, SubmanifoldConv
from pcgen.nn.sparse.image import SparseImage

_CONV: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED: tuple[type[nn.Module], ...] = (
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)

AnyImage = TypeVar("AnyImage", SparseImage, ObservedImage)

GAIN = math.sqrt(6)
"""From the weights that torch draws, of variance 1 / (3 n), to those of He et al.,
arXiv:1502.01852, of variance 2 / n, with which signals keep their size through many ReLUs."""


class Cellwise(nn.Module):
    """A layer that treats every cell alone (linear, activation), on sparse and observed images.

    Args:
        layer: Rows [N, C] -> [N, C'] of sparse images, and also on their ground state where there
            is one; [B, C, *shape] -> [B, C', *shape] of observed images, of which the same cells
            stay known.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, image: AnyImage) -> AnyImage:
        """An image of the same cells."""
        return image.map(self.layer)


class Layers(Protocol):
    """What a pyramid needs of a reading: layers of C to C' channels."""

    def convolve(self, in_channels: int, out_channels: int) -> nn.Module:
        """Of each cell and its neighbours."""

    def halve(self, in_channels: int, out_channels: int, shape: Sequence[int]) -> nn.Module:
        """Of the two cells along each axis that become one."""

    def cellwise(self, layer: nn.Module) -> nn.Module:
        """A layer that treats every cell alone."""

    def pool(self, image: Any) -> Tensor:
        """Of each event the mean over cells, and their sum by the number of all cells [B, 2 C]."""


@dataclass(frozen=True)
class DenseLayers:
    r"""Of dense images [B, C, \*shape] in 1 to 3 dimensions.

    Attributes:
        dimensions: Axes of the lattice.
    """

    dimensions: int

    def __post_init__(self) -> None:
        if not 1 <= self.dimensions <= 3:
            raise ArgumentError(f"shape: got {self.dimensions} axes, expected 1 to 3")

    def convolve(self, in_channels: int, out_channels: int) -> nn.Module:
        """Zeros beyond the edge."""
        return _CONV[self.dimensions - 1](in_channels, out_channels, 3, padding=1)

    def halve(self, in_channels: int, out_channels: int, shape: Sequence[int]) -> nn.Module:
        """From a lattice of ``shape``."""
        kind = _CONV[self.dimensions - 1]
        return kind(in_channels, out_channels, 2, stride=2, padding=margins(shape))

    def double(self, in_channels: int, out_channels: int, shape: Sequence[int]) -> nn.Module:
        """To a lattice of ``shape``."""
        kind, spare = _TRANSPOSED[self.dimensions - 1], margins(shape)
        return kind(in_channels, out_channels, 2, stride=2, padding=spare, output_padding=spare)

    def mix(self, in_channels: int, out_channels: int) -> nn.Module:
        """Convolution of one cell."""
        return _CONV[self.dimensions - 1](in_channels, out_channels, 1)

    def cellwise(self, layer: nn.Module) -> nn.Module:
        """The layer itself."""
        return layer

    def pool(self, image: Tensor) -> Tensor:
        """Twice the mean over all cells [B, 2 C]."""
        mean = image.flatten(2).mean(2)
        return torch.cat([mean, mean], 1)

    def back(self, layer: nn.Module, image: Tensor, skip: Tensor) -> Tensor:
        """Double an image to the lattice of ``skip``, and put the channels of both together."""
        return torch.cat([skip, layer(image)], 1)

    def modulate(self, image: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """A factor and a summand of each event [B, C] on all its cells."""
        shape = (*scale.shape, *[1] * self.dimensions)
        return image * scale.view(shape) + shift.view(shape)


@dataclass(frozen=True)
class SiteLayers:
    """Of sparse images in 1 to 4 dimensions, as :class:`DenseLayers` where all cells are active.

    Attributes:
        dimensions: Axes of the lattice.
    """

    dimensions: int

    def convolve(self, in_channels: int, out_channels: int) -> nn.Module:
        """Zeros in inactive cells."""
        return SubmanifoldConv(self.dimensions, in_channels, out_channels, 3)

    def halve(self, in_channels: int, out_channels: int, shape: Sequence[int]) -> nn.Module:
        """From a lattice of ``shape``."""
        channels, spare = (in_channels, out_channels), margins(shape)
        return SparseConv(self.dimensions, *channels, 2, stride=2, padding=spare)

    def double(self, in_channels: int, out_channels: int, shape: Sequence[int]) -> nn.Module:
        """To a lattice of ``shape``."""
        channels, spare = (in_channels, out_channels), margins(shape)
        return SparseInverseConv(self.dimensions, *channels, 2, stride=2, padding=spare)

    def mix(self, in_channels: int, out_channels: int) -> nn.Module:
        """Convolution of one cell."""
        return SubmanifoldConv(self.dimensions, in_channels, out_channels, 1)

    def cellwise(self, layer: nn.Module) -> nn.Module:
        """The layer on the features of the active sites."""
        return Cellwise(layer)

    def pool(self, image: SparseImage) -> Tensor:
        """Mean over active sites, and their sum by the number of all cells [B, 2 C]."""
        return pool_mean_sum(image.x, image.sites.ptr, 1 / math.prod(image.sites.shape))

    def back(self, layer: nn.Module, image: SparseImage, skip: SparseImage) -> SparseImage:
        """Double an image to the sites of ``skip``, and put the features of both together."""
        return SparseImage(torch.cat([skip.x, layer(image, skip.sites).x], 1), skip.sites)

    def modulate(self, image: SparseImage, scale: Tensor, shift: Tensor) -> SparseImage:
        """A factor and a summand of each event [B, C] on all its sites."""
        owner = image.sites.owner
        return SparseImage(torch.addcmul(shift[owner], image.x, scale[owner]), image.sites)


@dataclass(frozen=True)
class ObservedLayers:
    """Of observed images in 1 to 3 dimensions.

    Attributes:
        dimensions: Axes of the lattice.
        density: Layers see which fraction of their window is observed.
    """

    dimensions: int
    density: bool

    def convolve(self, in_channels: int, out_channels: int) -> nn.Module:
        """Cells beyond the edge are unobserved."""
        return PartialConv(
            self.dimensions, in_channels, out_channels, 3, padding=1, density=self.density
        )

    def halve(self, in_channels: int, out_channels: int, shape: Sequence[int]) -> nn.Module:
        """From a lattice of ``shape``."""
        return PartialConv(
            self.dimensions,
            in_channels,
            out_channels,
            2,
            stride=2,
            padding=margins(shape),
            density=self.density,
        )

    def cellwise(self, layer: nn.Module) -> nn.Module:
        """The layer on the values; what is known stays known."""
        return Cellwise(layer)

    def pool(self, image: ObservedImage) -> Tensor:
        """Mean over observed cells, and their sum by the number of all cells [B, 2 C]."""
        total, observed = image.known.flatten(2).sum(2), image.observed.flatten(2)
        number = observed.sum(2).clamp(min=1)
        return torch.cat([total / number, total / observed.shape[2]], 1)


def pyramid(
    layers: Layers, shape: Sequence[int], in_channels: int, channels: int, levels: int | None
) -> nn.Sequential:
    """Convolutions and halvings, from ``in_channels`` to ``channels`` times the levels.

    Args:
        layers: Of a reading of the image.
        shape: Cells along each axis.
        in_channels: C.
        channels: Of the first level; each halving adds as many.
        levels: Halvings, as of :func:`level_shapes`.
    """
    steps = [layers.convolve(in_channels, channels), layers.cellwise(LEAKY())]
    for level, larger in enumerate(level_shapes(shape, levels)[:-1], 1):
        width = (level + 1) * channels
        steps += [layers.halve(level * channels, width, larger), layers.cellwise(LEAKY())]
        steps += [layers.convolve(width, width), layers.cellwise(LEAKY())]
    network = nn.Sequential(*steps)
    draw_for_relus(network)
    return network


def draw_for_relus(network: nn.Module) -> None:
    """Scale the weights of convolutions as torch draws them for ReLUs, and start biases at 0."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(GAIN)
            elif name.endswith("bias"):
                parameter.zero_()
