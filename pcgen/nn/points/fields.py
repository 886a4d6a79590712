r"""Velocity fields on point sets: where each point goes at a time, given the whole cloud.

A field is a map :math:`v(x, t, y)` from clouds of points with channels C, a time t in [0, 1] of
each cloud and a condition y to one velocity per point [N, C]. It is equivariant: permuting the
points permutes the velocities. Every layer takes the context :math:`c = [\gamma(t), y]`, with
:math:`\gamma` the :func:`~pcgen.nn.time_features`.

============== ============================================================ ====================
field          how the points of a cloud exchange information               cost of n points
============== ============================================================ ====================
EPiCField      by a vector of the cloud, which each layer renews            n
DeepSetField   by pooling, once or twice                                    n
EdgeConvField  each with its k nearest                                      n k
AttentionField each with each, in memory linear in n                        n²
============== ============================================================ ====================

Points are not ordered and their number is free; the field of a list of so many places is
:class:`~pcgen.nn.points.lists.ListField`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch
from torch_geometric.nn import EdgeConv

from pcgen.nn.condition import Context
from pcgen.nn.mlp import Linear, stack
from pcgen.nn.network import Network
from pcgen.nn.points.attention import AttentionBlock, CloudNorm
from pcgen.nn.points.edgeconv import FirstMax, largest_message
from pcgen.nn.points.epic import ACTIVATIONS, EPiCLayer, beside
from pcgen.nn.pooling import Reduction, pool, pool_mean_sum, scaled_sum
from pcgen.ops.neighbors import knn_rows
from pcgen.ops.segments import segment_max, segment_mean
from pcgen.standardize import channels


class CloudLinear(Network):
    """A linear layer on points beside the vector of their cloud, :math:`W [x_i, c] + b`.

    The part of c is computed once per cloud, not once per point.

    Args:
        point_channels: Channels L of a point.
        cloud_channels: Channels C of the cloud's vector.
        out_channels: Channels of the result.
        linear: Makes the linear layer.
    """

    def __init__(
        self,
        point_channels: int,
        cloud_channels: int,
        out_channels: int,
        linear: Linear = nn.Linear,
    ) -> None:
        super().__init__()
        self.widths = (point_channels, cloud_channels)
        self.linear = linear(point_channels + cloud_channels, out_channels)

    def forward(self, x: Tensor, c: Tensor, batch: Tensor) -> Tensor:
        """Points [N, L], vectors [B, C] and the cloud of each point [N] -> [N, out_channels]."""
        own, shared = self.linear.weight.split(self.widths, 1)
        return beside(x, own, F.linear(c, shared, self.linear.bias), batch)


class EPiCField(Network):
    """EPiC flow matching: EPiC layers whose context is time and condition.

    Buhmann et al., "EPiC-ly fast particle cloud generation with flow-matching and diffusion",
    arXiv 2310.00049, with 6 layers of 128 channels and a cloud's vector of 10. The points enter
    and leave by linear layers, which take the context as well.

    Args:
        in_channels: Channels C of a point as in :func:`pcgen.standardize.channels`.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Channels of a point inside.
        global_channels: Channels of the cloud's vector inside.
        layers: Number of EPiC layers.
        time_channels: Number of features of time.
        linear: Makes the linear layers; :func:`~pcgen.nn.mlp.weight_normed` as in the paper.
        sum_scale: See :class:`~pcgen.nn.points.epic.EPiCLayer`.
        identity: Identity skips (:mod:`pcgen.nn.points.epic`): deeper networks learn faster.
    """

    shown = ("in_channels",)

    def __init__(
        self,
        in_channels: int,
        *,
        condition_channels: int = 0,
        hidden: int = 64,
        global_channels: int = 16,
        layers: int = 4,
        time_channels: int = 16,
        linear: Linear = nn.Linear,
        sum_scale: float = 0.01,
        identity: bool = False,
    ) -> None:
        super().__init__()
        self.inner, self.outer = ACTIVATIONS[identity]
        self.identity = identity
        self.in_channels = in_channels
        self.context = Context(time_channels, condition_channels)
        context = self.context.channels
        self.sum_scale = sum_scale
        self.point_in = CloudLinear(in_channels, context, hidden, linear)
        self.point_hidden = CloudLinear(hidden, context, hidden, linear)
        self.global_in = linear(2 * hidden + context, hidden)
        self.global_out = linear(hidden, global_channels)
        self.layers = nn.ModuleList(
            EPiCLayer(
                hidden,
                global_channels,
                condition_channels=context,
                linear=linear,
                sum_scale=sum_scale,
                identity=identity,
            )
            for _ in range(layers)
        )
        self.point_out = CloudLinear(hidden, context, in_channels, linear)

    def forward(self, clouds: Batch, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """Velocity of each point [N, C].

        Args:
            clouds: Where the points are.
            time: [B].
            condition: [B, K].

        Raises:
            ArgumentError: time or condition have the wrong shape.
        """
        x = channels(clouds, self.in_channels)
        context = self.context(clouds, time, condition)
        x = self.inner(self.point_in(x, context, clouds.batch))
        x = self.outer(self.point_hidden(x, context, clouds.batch) + x)
        pooled = torch.cat([pool_mean_sum(x, clouds.ptr, self.sum_scale, clouds.batch), context], 1)
        g = self.inner(self.global_out(self.inner(self.global_in(pooled))))
        for layer in self.layers:
            x, g = layer(x, g, clouds, context)
        return self.point_out(self.inner(x) if self.identity else x, context, clouds.batch)


class DeepSetField(Network):
    """Rounds of an MLP on each point, followed by one on the point and the pooled points.

    One round is the segmentation network of PointNet (Qi et al., arXiv 1612.00593) with the
    poolings of Deep Sets (Zaheer et al., arXiv 1703.06114).

    Args:
        in_channels: Channels C of a point as in :func:`pcgen.standardize.channels`.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Width of each layer of the MLP on points; the last one is pooled.
        rounds: How often the points are pooled.
        pooling: Reductions over the points, side by side.
        time_channels: Number of features of time.
    """

    shown = ("in_channels",)

    def __init__(
        self,
        in_channels: int,
        *,
        condition_channels: int = 0,
        hidden: Sequence[int] = (96, 96),
        rounds: int = 2,
        pooling: Sequence[Reduction] = (segment_mean, scaled_sum(0.01), segment_max),
        time_channels: int = 16,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.context = Context(time_channels, condition_channels)
        context = self.context.channels
        self.pooling = tuple(pooling)
        first, *rest = hidden
        pooled = hidden[-1] * len(self.pooling) + context
        self.point_in = CloudLinear(in_channels, context, first)
        self.returned = nn.ModuleList(CloudLinear(hidden[-1], pooled, first) for _ in range(rounds))
        self.mlps = nn.ModuleList(stack(first, rest) for _ in range(rounds + 1))
        self.point_out = nn.Linear(hidden[-1], in_channels)

    def forward(self, clouds: Batch, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """See :meth:`EPiCField.forward`."""
        x = channels(clouds, self.in_channels)
        context = self.context(clouds, time, condition)
        lift, *mlps = self.mlps
        x = lift(F.leaky_relu(self.point_in(x, context, clouds.batch), 0.2))
        for returned, mlp in zip(self.returned, mlps, strict=True):
            pooled = torch.cat([pool(x, clouds.ptr, self.pooling), context], 1)
            x = mlp(F.leaky_relu(returned(x, pooled, clouds.batch), 0.2))
        return self.point_out(x)


class EdgeConvField(Network):
    r"""EdgeConv layers, each beside the context and what the points of the cloud pool to.

    .. math:: x_i \leftarrow x_i + \phi(W [\max_j h(x_i, x_j - x_i),\; \bar x,\; c] + b)

    The segmentation network of DGCNN (Wang et al., arXiv 1801.07829) with shortcuts. Neighbours are
    those of the points where they are at time t, and change along the flow.

    Args:
        in_channels: Channels C of a point as in :func:`pcgen.standardize.channels`.
        condition_channels: Columns K of the condition; 0 ignores it.
        k: Neighbours of a point, itself included.
        dynamic: Find neighbours again before each layer, among the features of the layer before.
        hidden: Channels of a point inside.
        layers: Number of EdgeConv layers.
        pooling: Reductions over the points, side by side.
        time_channels: Number of features of time.
    """

    shown = ("in_channels", "k", "dynamic")

    def __init__(
        self,
        in_channels: int,
        *,
        condition_channels: int = 0,
        k: int = 16,
        dynamic: bool = False,
        hidden: int = 64,
        layers: int = 3,
        pooling: Sequence[Reduction] = (segment_mean, scaled_sum(0.01)),
        time_channels: int = 16,
    ) -> None:
        super().__init__()
        self.context = Context(time_channels, condition_channels)
        context = self.context.channels
        self.in_channels, self.k, self.dynamic = in_channels, k, dynamic
        self.pooling = tuple(pooling)
        self.point_in = CloudLinear(in_channels, context, hidden)
        self.convolutions = nn.ModuleList(
            EdgeConv(stack(2 * hidden, (hidden,)), aggr=FirstMax()) for _ in range(layers)
        )
        pooled = hidden * len(self.pooling) + context
        self.returned = nn.ModuleList(CloudLinear(hidden, pooled, hidden) for _ in range(layers))
        self.point_out = CloudLinear(hidden, context, in_channels)

    def forward(self, clouds: Batch, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """See :meth:`EPiCField.forward`."""
        x = channels(clouds, self.in_channels)
        context = self.context(clouds, time, condition)
        x = F.leaky_relu(self.point_in(x, context, clouds.batch), 0.2)
        index = knn_rows(clouds.pos, clouds.ptr, self.k)
        for number, (convolution, returned) in enumerate(
            zip(self.convolutions, self.returned, strict=True)
        ):
            if number and self.dynamic:
                index = knn_rows(x, clouds.ptr, self.k)
            pooled = torch.cat([pool(x, clouds.ptr, self.pooling), context], 1)
            message = largest_message(convolution, x, index)
            x = x + F.leaky_relu(returned(message, pooled, clouds.batch), 0.2)
        return self.point_out(x, context, clouds.batch)


class AttentionField(Network):
    """Attention blocks, scaled and shifted by time and condition after their norms.

    Blocks of the Set Transformer (Lee et al., arXiv 1810.00825), which take the context as those of
    DiT do (Peebles and Xie, arXiv 2212.09748).

    Args:
        in_channels: Channels C of a point as in :func:`pcgen.standardize.channels`.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Channels of a point inside.
        heads: Number of heads; divides ``hidden``.
        layers: Number of blocks.
        time_channels: Number of features of time.
    """

    shown = ("in_channels",)

    def __init__(
        self,
        in_channels: int,
        *,
        condition_channels: int = 0,
        hidden: int = 64,
        heads: int = 4,
        layers: int = 3,
        time_channels: int = 16,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.context = Context(time_channels, condition_channels)
        context = self.context.channels
        self.point_in = CloudLinear(in_channels, context, hidden)
        self.blocks = nn.ModuleList(
            AttentionBlock(hidden, heads=heads, condition_channels=context) for _ in range(layers)
        )
        self.norm = CloudNorm(hidden, context)
        self.point_out = nn.Linear(hidden, in_channels)

    def forward(self, clouds: Batch, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """See :meth:`EPiCField.forward`."""
        x = channels(clouds, self.in_channels)
        context = self.context(clouds, time, condition)
        x = self.point_in(x, context, clouds.batch)
        for block in self.blocks:
            x = block(x, clouds.ptr, context)
        return self.point_out(self.norm(x, clouds.ptr, context))
