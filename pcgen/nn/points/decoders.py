"""Decoders: code, sizes, condition and noise to clouds in standardised units.

What they generate is described in :mod:`pcgen.nn.points.decoder`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn.condition import with_condition
from pcgen.nn.mlp import LEAKY, MLP, Activation, Linear, Norm
from pcgen.nn.network import Network
from pcgen.nn.points.attention import AttentionBlock
from pcgen.nn.points.decoder import PointDecoder, attributes, check_code
from pcgen.nn.points.epic import EPiCLayer
from pcgen.nn.points.message_passing import MessageLayer
from pcgen.nn.points.starts import Noise, Start


class SetDecoder(PointDecoder):
    """Any number of points from a code: EPiC layers on points that start from noise or ranks.

    Args:
        code_channels: Columns Z of the code.
        dimensions: Coordinates D of a point.
        features: Columns of ``x``, the logarithm of the fraction included; 0 for none.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Channels of a point inside.
        global_channels: Channels of the cloud's vector inside.
        start: What a point starts from: :class:`~pcgen.nn.Noise` of its own, with which the points
            are exchangeable, or its place in the list (:class:`~pcgen.nn.Ranks`).
        layers: Number of EPiC layers.
        linear: Makes the linear layers.
        sum_scale: See :class:`~pcgen.nn.points.epic.EPiCLayer`.
        skips: Remind the layers of code and condition as EPiC-GAN does: what points and vector
            were before the first layer is added to them behind each. Otherwise each layer takes
            code and condition as an input.

    >>> decoder = SetDecoder(16, 2, 1)
    >>> clouds = decoder(torch.zeros(2, 16), torch.tensor([3, 0]))
    >>> clouds.pos.shape, clouds.x.shape, clouds.ptr.tolist()
    (torch.Size([3, 2]), torch.Size([3, 1]), [0, 3, 3])
    """

    former_names: ClassVar[Mapping[str, str]] = {"decoder.": ""}  # where points start from ranks

    def __init__(
        self,
        code_channels: int,
        dimensions: int,
        features: int,
        *,
        condition_channels: int = 0,
        hidden: int = 128,
        global_channels: int = 32,
        start: Start = Noise(),
        layers: int = 4,
        linear: Linear = nn.Linear,
        sum_scale: float = 0.01,
        skips: bool = False,
    ) -> None:
        super().__init__(code_channels, dimensions, features, condition_channels, start)
        context = code_channels + condition_channels
        self.skips = skips
        self.global_in = linear(context, hidden)
        self.global_out = linear(hidden, global_channels)
        self.point_in = linear(start.channels, hidden)
        self.layers = nn.ModuleList(
            EPiCLayer(
                hidden,
                global_channels,
                condition_channels=0 if skips else context,
                linear=linear,
                sum_scale=sum_scale,
            )
            for _ in range(layers)
        )
        self.point_out = linear(hidden, dimensions + features)

    def points(self, code: Tensor, start: Batch, y: Tensor | None) -> Tensor:
        """See :class:`PointDecoder`."""
        context = with_condition(code, y, self.condition_channels)
        g = F.leaky_relu(self.global_out(F.leaky_relu(self.global_in(context))))
        x = F.leaky_relu(self.point_in(self.start.rows(start, code.dtype)))
        first_x, first_g = x, g
        for layer in self.layers:
            x, g = layer(x, g, start, None if self.skips else context)
            if self.skips:
                x, g = x + first_x, g + first_g
        return self.point_out(x)


class AttentionDecoder(PointDecoder):
    """Any number of points from a code: attention blocks on points that start from noise.

    The generator of GAPT with norms: Kansal et al., "Evaluating generative models in high energy
    physics", PRD 107 (2023) 076017, arXiv 2211.10295. Code and condition scale and shift after each
    norm.

    Args:
        code_channels: Columns Z of the code; 0 for none.
        dimensions: Coordinates D of a point.
        features: Columns of ``x``, the logarithm of the fraction included; 0 for none.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Channels of a point inside.
        heads: Number of heads; divides ``hidden``.
        layers: Number of blocks.
        start: What a point starts from.
        induced: See :class:`~pcgen.nn.AttentionBlock`.
    """

    def __init__(
        self,
        code_channels: int,
        dimensions: int,
        features: int,
        *,
        condition_channels: int = 0,
        hidden: int = 64,
        heads: int = 4,
        layers: int = 4,
        start: Start = Noise(),
        induced: int | None = None,
    ) -> None:
        super().__init__(code_channels, dimensions, features, condition_channels, start)
        context = code_channels + condition_channels
        self.point_in = nn.Linear(start.channels, hidden)
        self.blocks = nn.ModuleList(
            AttentionBlock(hidden, heads=heads, condition_channels=context, induced=induced)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.point_out = nn.Linear(hidden, dimensions + features)

    def points(self, code: Tensor, start: Batch, y: Tensor | None) -> Tensor:
        """See :class:`PointDecoder`."""
        context = with_condition(code, y, self.condition_channels)
        x = self.point_in(self.start.rows(start, code.dtype))
        for block in self.blocks:
            x = block(x, start.ptr, context if context.shape[1] else None)
        return self.point_out(self.norm(x))


class MessagePassingDecoder(PointDecoder):
    """Any number of points: message passing on points that start from noise, as in MPGAN.

    Args:
        code_channels: Columns Z of the code, which layers see with the condition; 0 for none.
        dimensions: Coordinates D of a point.
        features: Columns of ``x``, the logarithm of the fraction included; 0 for none.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Channels of a point between the layers.
        layers: Number of layers, at least 1.
        start: What a point starts from; MPGAN's is normal of the standard deviation 0.2.
        distance: See :class:`~pcgen.nn.MessageLayer`, and the next two.
        edge: Widths of the network of an edge.
        node: Widths of the network of a point.
    """

    def __init__(
        self,
        code_channels: int,
        dimensions: int,
        features: int,
        *,
        condition_channels: int = 0,
        hidden: int = 32,
        layers: int = 2,
        start: Start = Noise(32, 0.2),
        distance: bool = True,
        edge: Sequence[int] = (96, 160, 192),
        node: Sequence[int] = (256, 256),
    ) -> None:
        super().__init__(code_channels, dimensions, features, condition_channels, start)
        widths = [start.channels, *[hidden] * (layers - 1), dimensions + features]
        self.layers = nn.ModuleList(
            MessageLayer(
                before,
                after,
                condition_channels=code_channels + condition_channels,
                distance=distance,
                edge=edge,
                node=node,
            )
            for before, after in pairwise(widths)
        )

    def points(self, code: Tensor, start: Batch, y: Tensor | None) -> Tensor:
        """See :class:`PointDecoder`."""
        context = with_condition(code, y, self.condition_channels)
        x = self.start.rows(start, code.dtype)
        for layer in self.layers:
            x = layer(x, start.ptr, context)
        return x


class MLPDecoder(Network):
    """A fixed list of points from a code, of which a cloud takes its first n.

    The decoder of Achlioptas et al., "Learning representations and generative models for 3D point
    clouds", arXiv 1707.02392: fully connected layers to all coordinates of all points.

    Args:
        code_channels: Columns Z of the code.
        dimensions: Coordinates D of a point.
        features: Columns of ``x``, the logarithm of the fraction included; 0 for none.
        max_points: Length P of the list.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Width of each hidden layer.
        activation: Makes the non-linearity.
        norm: Makes the normalisation; None for none, as in the paper.
    """

    shown = ("code_channels", "dimensions", "features", "max_points")

    def __init__(
        self,
        code_channels: int,
        dimensions: int,
        features: int,
        *,
        max_points: int,
        condition_channels: int = 0,
        hidden: Sequence[int] = (256, 256),
        activation: Activation = LEAKY,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        self.code_channels = code_channels
        self.dimensions, self.features = dimensions, features
        self.max_points = max_points
        self.mlp = MLP(
            code_channels,
            hidden,
            max_points * (dimensions + features),
            condition_channels=condition_channels,
            activation=activation,
            norm=norm,
        )

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        y: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Clouds of ``sizes`` [B] points from codes [B, Z] and conditions [B, K].

        ``generator`` is not used: the points are a function of the code.

        Raises:
            ArgumentError: a size is above ``max_points``, or a shape is wrong.
        """
        check_code(code, sizes, self.code_channels)
        if len(sizes) and int(sizes.max()) > self.max_points:
            raise ArgumentError(
                f"sizes: got a cloud of {int(sizes.max())} points, expected at most "
                f"{self.max_points}, the length of this list (list_length of a recipe)"
            )
        points = self.mlp(code, y).unflatten(1, (self.max_points, -1))
        present = torch.arange(self.max_points, device=code.device) < sizes[:, None]
        return pc.make(sizes=sizes, **attributes(points[present], self.dimensions))
