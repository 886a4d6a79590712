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

A ``coarse`` critic of active sites also reads the image as a whole,

.. math:: D(x) = D_{sites}(x) + h(Sx, c), \qquad (Sx)_k = \sqrt{m}\, \mathrm{mean}_{i \in k}\, x_i,

with a perceptron h, and for k the some four windows along each axis, of m cells. At active sites
alone a cell that is far from all filled ones has no gradient, and an image without any filled cell
is one and the same constant, from which a generator that makes only such images does not learn.
Here every cell passes a gradient, for the cost of one sum over the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.nn.images.layers import draw_for_relus, pyramid
from pcgen.nn.images.readings import DenseReading, ObservedReading, Reading
from pcgen.nn.lattice import level_shapes
from pcgen.nn.mlp import MLP
from pcgen.nn.network import Network

_MEAN: tuple[Any, ...] = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)


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
        coarse: Also read the sums over windows of all cells, of one channel of 1 to 3 axes.

    Raises:
        ArgumentError: shape or levels are out of range, or ``continuous`` does not fit the reading,
            or ``coarse`` the image.

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
        coarse: bool = False,
    ) -> None:
        super().__init__()
        if coarse and (in_channels != 1 or len(shape) > len(_MEAN)):
            raise ArgumentError(
                f"coarse: got True with {in_channels} channels and {len(shape)} axes, expected 1 "
                f"channel and at most {len(_MEAN)} axes"
            )
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
        self.windows = shapes[-1]
        self.coarse: MLP | None = None
        if coarse:
            self.coarse = MLP(
                math.prod(self.windows),
                (hidden,),
                out_channels,
                condition_channels=condition_channels,
            )

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
            event: Images [B, C, \*shape]; at active sites also clouds of ``cell`` and ``x`` [N, C],
                if not coarse.
            condition: Where the network is conditional.
            observed: Which cells were read, bool [\*shape] or [B, \*shape]; None: all.

        Raises:
            ArgumentError: a shape does not fit, or ``observed`` is not bool or has no meaning here.
        """
        image = self.reading.read(event, self.shape, observed, continuous=self.continuous)
        pooled = self.layers.pool(self.pyramid(image))
        if self.continuous:
            pooled = pooled.chunk(2, 1)[1].repeat(1, 2)
        result = self.head(pooled, condition)
        return result if self.coarse is None else result + self.coarse(self._sums(event), condition)

    def _sums(self, event: Tensor | Batch) -> Tensor:
        """S x, a number for each window [B, windows]."""
        if not isinstance(event, Tensor):
            raise ArgumentError("event: got clouds, expected images for a coarse encoder")
        root = math.sqrt(math.prod(self.shape) / math.prod(self.windows))
        means: Tensor = _MEAN[len(self.shape) - 1](event, self.windows)
        return root * means.flatten(1)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Parameters of an encoder that was not coarse: the same function, as h is 0."""
        own = {key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)}
        if self.coarse is not None and "head" in own and "coarse" not in own:
            for name, value in self.coarse.state_dict().items():
                state[f"{prefix}coarse.{name}"] = value.new_zeros(value.shape)
        super()._load_from_state_dict(state, prefix, *rest)
