r"""Encoders and critics of images: one network, which takes a reading of the image as a value.

The network is Graham's DeepCNet (arXiv:1409.6070): at each level a convolution of 3 cells and one
of 2 with stride 2, widths growing in equal steps, leaky ReLUs; then the mean over the cells of the
last level, their sum divided by the number of all cells of that level, and a perceptron that takes
the condition as an input. Over all cells the two are the same; over active sites or observed cells
the second depends on how many they are. Nothing is normalised across events. The second
derivatives that a gradient penalty needs exist with every reading.

A ``continuous`` pyramid has no biases, reads coordinates times the value of the cell, and only its
sums are pooled: what a cell brings in by being there, however little it holds, is left out. That
makes a critic of active sites continuous in what cells hold where they open far from others. It is
not continuous where the new cell has active neighbours, because the new site reads their features;
the gradient does not show such jumps. Dense layers have none, with or without.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.nn.images.layers import draw_for_relus, pyramid
from pcgen.nn.images.readings import DenseReading, ObservedReading, Reading
from pcgen.nn.lattice import level_shapes
from pcgen.nn.mlp import MLP
from pcgen.nn.network import Network


class ImageEncoder(Network):
    r"""Encoder or critic of images: a pyramid of convolutions, and a head on what is pooled of it.

    Args:
        shape: Cells along each axis, 1 to 3; clouds at active sites may have 4.
        out_channels: Columns of the result.
        reading: What an empty cell is: :class:`~pcgen.nn.DenseReading`,
            :class:`~pcgen.nn.ObservedReading` or :class:`~pcgen.nn.SiteReading`.
        in_channels: C, which is the columns of ``x`` of clouds.
        channels: Of the first level; each halving adds as many.
        levels: Halvings; None for what brings the longest axis to about four cells.
        hidden: Width of the head.
        condition_channels: Columns K of the condition; 0 ignores it.
        continuous: See the head of this file; not with observed images, whose means jump.

    Raises:
        ArgumentError: shape or levels are out of range, or ``continuous`` does not fit the reading.

    >>> import torch
    >>> from pcgen.nn import SiteReading
    >>> ImageEncoder((25, 25), 1, SiteReading())(torch.zeros(4, 1, 25, 25)).shape
    torch.Size([4, 1])
    """

    shown = ("shape", "in_channels", "out_channels", "reading", "condition_channels", "continuous")

    def __init__(
        self,
        shape: Sequence[int],
        out_channels: int,
        reading: Reading = DenseReading(),
        *,
        in_channels: int = 1,
        channels: int = 16,
        levels: int | None = None,
        hidden: int = 64,
        condition_channels: int = 0,
        continuous: bool = False,
    ) -> None:
        super().__init__()
        if continuous and isinstance(reading, ObservedReading):
            raise ArgumentError("continuous: got True, expected False with ObservedReading")
        shapes = level_shapes(shape, levels)
        self.shape, self.reading, self.continuous = shapes[0], reading, continuous
        self.in_channels, self.out_channels = in_channels, out_channels
        self.condition_channels = condition_channels
        inputs = in_channels + reading.further_channels + len(shape)
        self.layers = reading.layers(len(shape))
        self.pyramid = pyramid(self.layers, shape, inputs, channels, levels)
        self.head = MLP(
            2 * len(shapes) * channels,
            (hidden,),
            out_channels,
            condition_channels=condition_channels,
        )
        if continuous:
            for layer in self.pyramid.modules():
                if getattr(layer, "bias", None) is not None:
                    layer.register_parameter("bias", None)

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        super().reset_parameters()
        draw_for_relus(self.pyramid)

    def forward(
        self,
        event: Tensor | Batch,
        condition: Tensor | None = None,
        observed: Tensor | None = None,
    ) -> Tensor:
        r"""Events and condition [B, K] -> [B, out_channels].

        Args:
            event: Images [B, C, \*shape]; at active sites also clouds of ``cell`` and ``x`` [N, C].
            condition: Where the network is conditional.
            observed: Which cells were read, bool [\*shape] or [B, \*shape]; None: all.

        Raises:
            ArgumentError: a shape does not fit, or ``observed`` is not bool or has no meaning here.
        """
        image = self.reading.read(event, self.shape, observed, continuous=self.continuous)
        pooled = self.layers.pool(self.pyramid(image))
        if self.continuous:
            pooled = pooled.chunk(2, 1)[1].repeat(1, 2)
        return self.head(pooled, condition)
