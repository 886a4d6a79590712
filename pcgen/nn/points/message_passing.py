r"""Message passing between all points of a cloud: the networks of MPGAN.

Each point receives a message of every point of its cloud, itself included, and is updated with
their sum:

.. math::
    m_{ij} &= f_e\big([x_i, x_j, d_{ij}, y]\big), \qquad
    d_{ij} = \sqrt{|x_i - x_j|^2 + \epsilon^2} \\
    x_i &\leftarrow f_n\big([\textstyle\sum_j m_{ij}, x_i, y]\big)

with f_e and f_n perceptrons with leaky ReLUs (slope 0.2), y the condition of the cloud and
:math:`\epsilon = 10^{-3}`, with which d has derivatives everywhere. Kansal et al., "Particle cloud
generation with message passing generative adversarial networks", NeurIPS 2021, arXiv 2106.11535.

A cloud of n points has n² edges. Two things keep that small. The first layer of f_e is linear, so
its products with x_i and x_j are found once for a point and not once for an edge. And clouds are
taken in groups of at most ``EDGES`` edges, whose messages are forgotten and found again for the
gradient (Chen et al., arXiv 1604.06174): memory grows with the points, not with the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch_geometric.data import Batch

from pcgen.nn.condition import expect_condition
from pcgen.nn.mlp import Norm, stack
from pcgen.nn.network import Network
from pcgen.nn.points.encoder import PointEncoder
from pcgen.ops.padding import Padding
from pcgen.ops.ragged import Pointer, arange_ragged, lengths, owners
from pcgen.ops.segments import segment_sum
from pcgen.standardize import channels

EDGES = 1 << 17
"""Edges of a group of clouds, unless one cloud alone has more."""
EPSILON = 1e-3


class MessageLayer(Network):
    """One round of messages between all points of each cloud.

    Args:
        in_channels: Channels C of a point.
        out_channels: Channels of a point behind the layer.
        condition_channels: Columns K of a condition that both networks take; 0 for none.
        distance: Whether messages depend on the distance of the two points, in all channels.
        edge: Widths of the network of an edge, all of which have an activation.
        node: Hidden widths of the network of a point, whose last layer is linear.
        dropout: Share of the numbers behind each activation that is set to 0 while training.
    """

    shown = ("in_channels", "out_channels", "condition_channels", "distance")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        condition_channels: int = 0,
        distance: bool = True,
        edge: Sequence[int] = (96, 160, 192),
        node: Sequence[int] = (256, 256),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.condition_channels, self.distance = condition_channels, distance
        self.edge_in = nn.Linear(2 * in_channels + distance + condition_channels, edge[0])
        self.edge = stack(edge[0], edge[1:], norm=_dropped(dropout))
        self.node = stack(edge[-1] + in_channels + condition_channels, node, norm=_dropped(dropout))
        self.node_out = nn.Linear(node[-1], out_channels)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, ptr: Pointer, y: Tensor | None = None) -> Tensor:
        """Points [N, C] of clouds and their condition [B, K] -> [N, out_channels]."""
        parts = [self.in_channels, self.in_channels, int(self.distance), self.condition_channels]
        own, other, apart, of_cloud = self.edge_in.weight.split(parts, 1)
        receive, send = F.linear(x, own, self.edge_in.bias), F.linear(x, other)
        node = [x]
        if self.condition_channels and y is not None:
            owner = owners(ptr, x.shape[0])
            receive = receive + F.linear(y, of_cloud)[owner]
            node.append(y[owner])
        if isinstance(ptr, Padding):
            received = self._received_padded(x, receive, send, apart, ptr)
        else:
            received = self._received(x, receive, send, apart, ptr)
        return self.node_out(self.node(torch.cat([received, *node], 1)))

    def _received(
        self, x: Tensor, receive: Tensor, send: Tensor, apart: Tensor, ptr: Tensor
    ) -> Tensor:
        """Sums of messages [N, M], group by group."""
        sizes = lengths(ptr)
        groups = grouped((sizes * sizes).tolist(), EDGES)
        if len(groups) <= 1:
            return self._of_group(x, receive, send, apart, sizes)
        rows = [int(sizes[start:stop].sum()) for start, stop in groups]
        split = zip(*(value.split(rows) for value in (x, receive, send)), groups, strict=True)
        found = []
        for *values, (start, stop) in split:
            arguments = (*values, apart, sizes[start:stop])
            if torch.is_grad_enabled():
                found.append(checkpoint(self._of_group, *arguments, use_reentrant=False))
            else:
                found.append(self._of_group(*arguments))
        return torch.cat(found)

    def _of_group(
        self, x: Tensor, receive: Tensor, send: Tensor, apart: Tensor, sizes: Tensor
    ) -> Tensor:
        """Sums of messages [N, M] within clouds of ``sizes`` [B] points."""
        receiver, sender, ptr = all_pairs(sizes)
        first = receive.index_select(0, receiver) + send.index_select(0, sender)
        if self.distance:
            step = x.index_select(0, receiver) - x.index_select(0, sender)
            first = torch.addmm(first, _length(step), apart.t())
        return segment_sum(self._messages(first), ptr, receiver)

    def _received_padded(
        self, x: Tensor, receive: Tensor, send: Tensor, apart: Tensor, ptr: Padding
    ) -> Tensor:
        """The same of padded rows [B n, M], each of which receives of those that are present."""
        points, receive, send = (ptr.dense(value) for value in (x, receive, send))
        first = receive[:, :, None] + send[:, None]
        if self.distance:
            first = first + _length(points[:, :, None] - points[:, None]) * apart[:, 0]
        present = ptr.present[:, None, :, None]
        return torch.where(present, self._messages(first), 0.0).sum(2).flatten(0, 1)

    def _messages(self, first: Tensor) -> Tensor:
        """Messages [..., M] from the sums of the first layer of the network of an edge."""
        return self.edge(F.leaky_relu(self.drop(first), 0.2))


class MessagePassingEncoder(PointEncoder):
    """Encoder or critic of message passing: clouds to rows [B, out_channels].

    Args:
        in_channels: Channels of a point as in :func:`pcgen.standardize.channels`.
        out_channels: Channels of the result.
        hidden: Channels of a point between the layers and behind the last.
        layers: Number of layers, at least 1.
        condition_channels: Columns K of the condition, which layers and head take; 0 ignores it.
        distance: See :class:`MessageLayer`, and the next three.
        edge: Widths of the network of an edge.
        node: Hidden widths of the network of a point.
        dropout: While training.
        sum_scale: Factor of the sum over the points, which the linear head takes; MPGAN's is 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int = 32,
        layers: int = 2,
        condition_channels: int = 0,
        distance: bool = True,
        edge: Sequence[int] = (96, 160, 192),
        node: Sequence[int] = (256, 256),
        dropout: float = 0.0,
        sum_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.condition_channels, self.sum_scale = condition_channels, sum_scale
        self.layers = nn.ModuleList(
            MessageLayer(
                before,
                after,
                condition_channels=condition_channels,
                distance=distance,
                edge=edge,
                node=node,
                dropout=dropout,
            )
            for before, after in pairwise([in_channels, *[hidden] * layers])
        )
        self.head = nn.Linear(hidden + condition_channels, out_channels)

    def features(self, clouds: Batch) -> Tensor:
        """Features of each point in its cloud [N, hidden]; the condition is ``clouds.y``."""
        x, y = channels(clouds, self.in_channels), self._condition(clouds)
        for layer in self.layers:
            x = layer(x, clouds.ptr, y)
        return x

    def encode(self, clouds: Batch) -> Tensor:
        """Standardised clouds, with their condition as ``y`` [B, K] -> [B, out_channels]."""
        pooled = self.sum_scale * segment_sum(self.features(clouds), clouds.ptr)
        y = self._condition(clouds)
        return self.head(pooled if y is None else torch.cat([pooled, y], 1))

    def _condition(self, clouds: Batch) -> Tensor | None:
        if not self.condition_channels:
            return None
        y = expect_condition(clouds.y, clouds.num_graphs, self.condition_channels)
        return y.to(clouds.pos.dtype)


def all_pairs(sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All ordered pairs of points of clouds of ``sizes`` [B], each point with itself included.

    Returns:
        Rows of the receiving points [E], of the sending points [E], and the pointer to the edges
        of each receiving point [N+1].

    >>> receiver, sender, ptr = all_pairs(torch.tensor([2, 0, 1]))
    >>> receiver.tolist(), sender.tolist(), ptr.tolist()
    ([0, 0, 1, 1, 2], [0, 1, 0, 1, 2], [0, 2, 4, 5])
    """
    degree = sizes.repeat_interleave(sizes)
    first = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    ptr = F.pad(degree.cumsum(0), (1, 0))
    receiver = torch.arange(len(degree), device=sizes.device).repeat_interleave(degree)
    return receiver, arange_ragged(first, degree), ptr


def grouped(costs: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Consecutive groups whose costs add up to at most ``most``, or that have one member.

    >>> grouped([3, 3, 3, 9, 1], 6)
    [(0, 2), (2, 3), (3, 4), (4, 5)]
    """
    groups, start, total = [], 0, 0
    for place, cost in enumerate(costs):
        if place > start and total + cost > most:
            groups.append((start, place))
            start, total = place, 0
        total += cost
    return [*groups, (start, len(costs))]


def _length(step: Tensor) -> Tensor:
    """Lengths [..., 1] of steps [..., C]; with a derivative where a step is 0."""
    return (step.square().sum(-1, keepdim=True) + EPSILON**2).sqrt()


def _dropped(share: float) -> Norm | None:
    """Dropout before a leaky ReLU, which is the same as behind it."""
    return None if not share else lambda width: nn.Dropout(share)
