r"""Encoders and critics of images, the same network on three readings of them.

=====================  ==================================  =======================================
encoder                an empty cell is                    event
=====================  ==================================  =======================================
``ConvEncoder``        a zero among numbers                images
``ObservedEncoder``    a known zero, or unknown            images and what of them was observed
``SiteEncoder``        not there                           images, or clouds of active cells
=====================  ==================================  =======================================

They are Graham's DeepCNet (arXiv:1409.6070): at each level a convolution of 3 cells and one of 2
with stride 2, widths growing in equal steps, leaky ReLUs; then the mean over the cells of the last
level, their sum divided by the number of all cells of that level, and a perceptron that is told the
condition. Over all cells the two are the same; over active sites or observed cells the second
tells how many they are. Nothing is normalised across events. The second derivatives that a
gradient penalty needs exist in all three.

A ``continuous`` pyramid has no biases, reads coordinates times the value of the cell, and only its
sums are pooled: what a cell brings in by being there, however little it holds, is left out. That
makes a critic of active sites continuous in what cells hold where they open far from others. Beside
others it still jumps: a site is a place where layers read what the neighbours hold, and such places
come with the cell. Of a jump the gradient with respect to the value says nothing. Dense layers have
none, with or without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.nn.image_layers import (
    DenseLayers,
    Layers,
    ObservedLayers,
    SiteLayers,
    check_images,
    dense_positions,
    level_shapes,
    pyramid,
    site_positions,
)
from pcgen.nn.mlp import MLP
from pcgen.nn.observed_image import ObservedImage
from pcgen.nn.sparse_image import SparseImage

_MAX = (F.max_pool1d, F.max_pool2d, F.max_pool3d)


class _Encoder(nn.Module):
    """A pyramid, and the head on what is pooled of its last level; abstract."""

    def __init__(
        self,
        layers: Layers,
        shape: Sequence[int],
        out_channels: int,
        in_channels: int,
        channels: int,
        levels: int | None,
        hidden: int,
        condition_channels: int,
        continuous: bool = False,
    ) -> None:
        super().__init__()
        self.continuous = continuous
        shapes = level_shapes(shape, levels)
        self.layers, self.shape, self.out_channels = layers, shapes[0], out_channels
        self.pyramid = pyramid(layers, shape, in_channels + len(shape), channels, levels)
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

    def _places(self, positions: Tensor, value: Tensor) -> Tensor:
        """What the pyramid is told of the places of cells."""
        return positions * value if self.continuous else positions

    def _score(self, image: Any, condition: Tensor | None) -> Tensor:
        pooled = self.layers.pool(self.pyramid(image))
        if self.continuous:
            pooled = pooled.chunk(2, 1)[1].repeat(1, 2)
        return self.head(pooled, condition)


class ConvEncoder(_Encoder):
    r"""Encoder or critic of dense convolutions.

    Args:
        shape: Cells along each axis, 1 to 3.
        out_channels: Columns of the result.
        in_channels: C.
        channels: Of the first level; each halving adds as many.
        levels: Halvings; None for what brings the longest axis to about four cells.
        hidden: Width of the head.
        condition_channels: Columns K of the condition.
        continuous: See the head of this file.
        active_channel: Give the network a channel that is 1 in cells that are not empty. It is
            piecewise constant, so it passes no gradient to a generator: of where a cell is missing
            or too much one hears only through the values.
    """

    def __init__(
        self,
        shape: Sequence[int],
        out_channels: int,
        *,
        in_channels: int = 1,
        channels: int = 16,
        levels: int | None = None,
        hidden: int = 64,
        condition_channels: int = 0,
        active_channel: bool = False,
        continuous: bool = False,
    ) -> None:
        layers, inputs = DenseLayers(len(shape)), in_channels + active_channel
        super().__init__(
            layers,
            shape,
            out_channels,
            inputs,
            channels,
            levels,
            hidden,
            condition_channels,
            continuous,
        )
        self.active_channel = active_channel

    def forward(self, event: Tensor, condition: Tensor | None = None) -> Tensor:
        r"""Images [B, C, \*shape] and condition [B, K] -> [B, out_channels]."""
        check_images(event, self.shape)
        active = [_filled(event).to(event.dtype)] if self.active_channel else []
        places = self._places(dense_positions(self.shape, event), event[:, :1])
        return self._score(torch.cat([event, *active, places], 1), condition)


class ObservedEncoder(_Encoder):
    r"""Encoder or critic of convolutions that average over what was observed.

    The function is that of sparsity-invariant convolutions (Uhrig et al., arXiv:1708.06500), its
    weights are those of partial convolutions (Liu et al., arXiv:1804.07723), K times smaller.

    Args:
        shape: Cells along each axis, 1 to 3.
        out_channels: Columns of the result.
        in_channels: C.
        channels: Of the first level; each halving adds as many.
        levels: Halvings; None for what brings the longest axis to about four cells.
        hidden: Width of the head.
        condition_channels: Columns K of the condition.
        empty: What an empty cell is. "observed": a known zero, as it is where the detector looked
            and saw nothing. "missing": unknown, which is how the literature applies this layer to
            sparse images. Means over what is there then forget how much is there: occupancy and
            multiplicity are lost, but for what ``density`` gives back and for the number of
            observed cells at the last level, nearly all of them; and an empty cell passes no
            gradient, so a generator is not told where one should be filled.
        density: Let each layer see which fraction of its window is observed.
    """

    def __init__(
        self,
        shape: Sequence[int],
        out_channels: int,
        *,
        in_channels: int = 1,
        channels: int = 16,
        levels: int | None = None,
        hidden: int = 64,
        condition_channels: int = 0,
        empty: Literal["observed", "missing"] = "observed",
        density: bool = True,
    ) -> None:
        if empty not in ("observed", "missing"):
            raise ArgumentError(f"empty: got {empty!r}, expected 'observed' or 'missing'")
        layers = ObservedLayers(len(shape), density)
        super().__init__(
            layers, shape, out_channels, in_channels, channels, levels, hidden, condition_channels
        )
        self.empty = empty

    def forward(
        self, event: Tensor, condition: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        r"""Images [B, C, \*shape] and condition [B, K] -> [B, out_channels].

        Args:
            event: Images.
            condition: Where the network is conditional.
            observed: Which cells were read, bool [\*shape] or [B, \*shape]; None: all.

        Raises:
            ArgumentError: a shape does not fit, or ``observed`` is not bool.
        """
        check_images(event, self.shape)
        known = torch.ones_like(event[:, 0], dtype=torch.bool)
        known = _filled(event)[:, 0] if self.empty == "missing" else known
        if observed is not None:
            if observed.dtype != torch.bool or observed.shape not in (self.shape, known.shape):
                raise ArgumentError(
                    f"observed: got {observed.dtype} {tuple(observed.shape)}, "
                    f"expected bool {self.shape} or {tuple(known.shape)}"
                )
            known = known & observed
        channels = torch.cat([event, dense_positions(self.shape, event)], 1)
        return self._score(ObservedImage.from_dense(channels, known), condition)


class SiteEncoder(_Encoder):
    r"""Encoder or critic of convolutions at active sites (Graham and van der Maaten, 1706.01307).

    Clouds are read at their own cells. Images are read at the cells that are not empty and the
    3 x 3 (in D dimensions :math:`3^D`) cells around them: the gradient with respect to an empty
    cell beside a filled one then tells a generator whether it should be filled. The two rules give
    different results for the same event. What is to be compared, the real and the generated events
    of a GAN say, must come in the same form.

    Args:
        shape: Cells along each axis, 1 to 4; images have at most 3.
        out_channels: Columns of the result.
        in_channels: C, which is the columns of ``x`` of clouds.
        channels: Of the first level; each halving adds as many.
        levels: Halvings; None for what brings the longest axis to about four cells.
        hidden: Width of the head.
        condition_channels: Columns K of the condition.
        continuous: See the head of this file.
    """

    def __init__(
        self,
        shape: Sequence[int],
        out_channels: int,
        *,
        in_channels: int = 1,
        channels: int = 16,
        levels: int | None = None,
        hidden: int = 64,
        condition_channels: int = 0,
        continuous: bool = False,
    ) -> None:
        super().__init__(
            SiteLayers(len(shape)),
            shape,
            out_channels,
            in_channels,
            channels,
            levels,
            hidden,
            condition_channels,
            continuous,
        )

    def forward(self, event: Batch | Tensor, condition: Tensor | None = None) -> Tensor:
        r"""Clouds of ``cell`` and ``x`` [N, C], or images [B, C, \*shape] -> [B, out_channels].

        Args:
            event: All in the same form.
            condition: [B, K], where the network is conditional.
        """
        if isinstance(event, Tensor):
            check_images(event, self.shape)
            image = SparseImage.from_dense(event, _surroundings(event))
        else:
            image = SparseImage.from_clouds(event, self.shape, features=event.x)
        places = self._places(site_positions(image), image.x[:, :1])
        features = torch.cat([image.x, places], 1)
        return self._score(SparseImage(features, image.sites), condition)


def _filled(event: Tensor) -> Tensor:
    r"""Which cells are not empty, bool [B, 1, \*shape]."""
    return (event != 0).any(1, keepdim=True)


def _surroundings(event: Tensor) -> Tensor:
    r"""The cells that are not empty and their neighbours, bool [B, \*shape]."""
    filled = _filled(event).to(event.dtype)
    return _MAX[event.dim() - 3](filled, 3, stride=1, padding=1)[:, 0] > 0
