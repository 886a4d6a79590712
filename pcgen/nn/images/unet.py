r"""U-Nets as velocity fields, which take a reading of the image as a value.

==================  ==============================  ============================================
reading             event                           velocity
==================  ==============================  ============================================
``DenseReading()``  images [B, C, \*shape]          of every cell [B, C, \*shape]
``SiteReading()``   clouds of active cells          of every point, in their order [N, C]
==================  ==============================  ============================================

Down: at each level a block, then a convolution of 2 cells with stride 2. Up: the transposed
convolution, exactly back to the cells or sites of the level, their features of the way down
beside it, and a block. A block is a convolution of 3 cells, a factor and a summand for each channel
that a perceptron makes of time and condition (Perez et al., "FiLM", arXiv:1709.07871), and
the activation x sigmoid(x). On the way up the factors also depend on what the cells of the last
level pool to, as in :mod:`pcgen.nn.images.encoder`: what is sparse falls apart into islands between
which convolutions at active sites carry nothing, and where the values are fractions of the energy
of the event every cell depends on all. The last layer starts at zero, and so does the velocity.
Nothing is normalised, across events or within.

Ronneberger et al., arXiv:1505.04597; at active sites Graham et al., arXiv:1711.10275. With the same
weights the two are the same function where all cells are active.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.nn.condition import time_features, with_condition
from pcgen.nn.images.layers import Layers, draw_for_relus
from pcgen.nn.images.readings import DenseReading, SiteReading
from pcgen.nn.lattice import level_shapes
from pcgen.nn.mlp import stack
from pcgen.nn.network import Network, reset

Image = Any
"""A dense image or a sparse one, as the layers have it."""


class UNetLayers(Layers, Protocol):
    """What a U-Net needs of a reading beyond the layers of a pyramid."""

    def double(self, in_channels: int, out_channels: int, shape: Sequence[int]) -> nn.Module:
        """The transposed of ``halve`` from a lattice of ``shape``."""

    def mix(self, in_channels: int, out_channels: int) -> nn.Module:
        """A linear map in each cell."""

    def back(self, layer: nn.Module, image: Image, skip: Image) -> Image:
        """Double an image to the cells of ``skip``, and put the channels of both together."""

    def modulate(self, image: Image, scale: Tensor, shift: Tensor) -> Image:
        """A factor and a summand of each event [B, C] on all its cells."""


class Block(Network):
    """A convolution, scaled and shifted by a context [B, context], and the activation."""

    def __init__(
        self, layers: UNetLayers, in_channels: int, out_channels: int, context: int
    ) -> None:
        super().__init__()
        self.layers = layers
        self.convolve = layers.convolve(in_channels, out_channels)
        self.activate = layers.cellwise(nn.SiLU())
        self.film = nn.Linear(context, 2 * out_channels)
        draw_for_relus(self.convolve)

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        super().reset_parameters()
        draw_for_relus(self.convolve)

    def forward(self, image: Image, context: Tensor) -> Image:
        scale, shift = self.film(context).chunk(2, 1)
        return self.activate(self.layers.modulate(self.convolve(image), 1 + scale, shift))


class _UNet(nn.Module):
    """The U-Net, on whatever its layers read."""

    def __init__(
        self,
        layers: UNetLayers,
        shape: Sequence[int],
        in_channels: int,
        out_channels: int,
        channels: int,
        levels: int | None,
        hidden: int,
        condition_channels: int,
        time_channels: int,
    ) -> None:
        super().__init__()
        shapes = level_shapes(shape, levels)
        widths = [channels * level for level in range(1, len(shapes) + 1)]
        steps = list(zip(pairwise(widths), shapes[:-1], strict=True))
        self.layers, self.shape = layers, shapes[0]
        self.time_channels, self.condition_channels = time_channels, condition_channels
        self.context = stack(time_channels + condition_channels, (hidden, hidden), nn.SiLU)
        self.enter = Block(layers, in_channels, channels, hidden)
        self.halve = nn.ModuleList(layers.halve(*pair, larger) for pair, larger in steps)
        self.activate = layers.cellwise(nn.SiLU())
        self.down = nn.ModuleList(Block(layers, width, width, hidden) for width in widths[1:])
        self.whole = nn.Linear(2 * widths[-1], hidden)
        self.enlarge = nn.ModuleList(layers.double(*pair[::-1], larger) for pair, larger in steps)
        self.up = nn.ModuleList(Block(layers, 2 * wide, wide, hidden) for wide in widths[:-1])
        self.leave = layers.mix(channels, out_channels)
        self._begin()

    def _begin(self) -> None:
        draw_for_relus(self.halve)
        draw_for_relus(self.enlarge)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        reset(self)
        self._begin()

    def forward(self, image: Image, time: Tensor, condition: Tensor | None) -> Image:
        features = time_features(time, self.time_channels)
        context = self.context(with_condition(features, condition, self.condition_channels))
        image = self.enter(image, context)
        skips = []
        for halve, block in zip(self.halve, self.down, strict=True):
            skips.append(image)
            image = block(self.activate(halve(image)), context)
        context = context + F.silu(self.whole(self.layers.pool(image)))
        rising = list(zip(self.enlarge, self.up, skips, strict=True))
        for enlarge, block, skip in reversed(rising):
            image = block(self.layers.back(enlarge, image, skip), context)
        return self.leave(image)


class ImageUNet(Network):
    r"""Velocity of every cell of dense images, or of every active cell along those that are active.

    Args:
        shape: Cells along each axis, 1 to 3; at active sites 1 to 4.
        reading: :class:`~pcgen.nn.DenseReading` or :class:`~pcgen.nn.SiteReading`.
        in_channels: C, which is the columns of ``x`` of clouds.
        channels: Of the first level; each halving adds as many.
        levels: Halvings; None for what brings the longest axis to about four cells.
        hidden: Width of the perceptron on time and condition.
        condition_channels: Columns K of the condition; 0 ignores it.
        time_channels: Features of time.

    Raises:
        ArgumentError: shape or levels are out of range, or the reading is of observed images.
    """

    shown = ("shape", "in_channels", "reading", "condition_channels")

    def __init__(
        self,
        shape: Sequence[int],
        reading: DenseReading | SiteReading = DenseReading(),
        *,
        in_channels: int = 1,
        channels: int = 16,
        levels: int | None = None,
        hidden: int = 64,
        condition_channels: int = 0,
        time_channels: int = 16,
    ) -> None:
        super().__init__()
        if not isinstance(reading, DenseReading | SiteReading):
            raise ArgumentError(
                f"reading: got {type(reading).__name__}, expected DenseReading or SiteReading"
            )
        self.reading, self.in_channels = reading, in_channels
        self.condition_channels = condition_channels
        self.net = _UNet(
            reading.layers(len(shape)),
            shape,
            in_channels + reading.further_channels + len(shape),
            in_channels,
            channels,
            levels,
            hidden,
            condition_channels,
            time_channels,
        )
        self.shape = self.net.shape

    def forward(
        self, event: Tensor | Batch, time: Tensor, condition: Tensor | None = None
    ) -> Tensor:
        r"""Velocity of each cell [B, C, \*shape], or of each point [N, C] in their order.

        Args:
            event: Images [B, C, \*shape]; at active sites clouds of ``cell`` [N, D] and ``x``
                [N, C].
            time: [B].
            condition: [B, K].

        Raises:
            ArgumentError: a shape does not fit, or images are given where clouds are expected.
        """
        dense = isinstance(event, Tensor)
        if dense and isinstance(self.reading, SiteReading):
            raise ArgumentError(
                f"event: got images {tuple(event.shape)}, expected clouds of active cells"
            )
        image: Any = self.reading.read(event, self.shape)
        events, like = (len(event), event) if dense else (image.sites.events, image.x)
        if time.shape != (events,):
            raise ArgumentError(f"time: got {tuple(time.shape)}, expected ({events},)")
        velocity = self.net(image, time.to(like.dtype), condition)
        return velocity if dense else velocity.at_points()
