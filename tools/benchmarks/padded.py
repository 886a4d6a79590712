r"""Networks on padded clouds [B, n, C] with a mask [B, n, 1], as their authors write them.

Every cloud has n rows, all of which are computed; pooling multiplies by the mask. The vector of a
cloud is repeated for each of its rows and concatenated, and messages go between all n² pairs:

============= ====================================================================================
EPiC layer    Buhmann, Kasieczka and Thaler, arXiv 2301.08128 (EPiC-GAN), masked as in Buhmann et
              al., arXiv 2310.00049 (EPiC-FM)
messages      Kansal et al., arXiv 2106.11535 (MPGAN): :math:`h_i \leftarrow f_n([\sum_j
              f_e([h_i, h_j]), h_i])`, two of them, LeakyReLU 0.2
============= ====================================================================================

Their parameters have the names and shapes of pcgen's ragged networks, so that these can be copied
(:func:`twin`): what is timed side by side gives the same numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen.nn import EPiCField, SetDecoder, time_features
from pcgen.nn.mlp import MLP
from pcgen.ops.segments import segment_sum

Network = TypeVar("Network", bound=nn.Module)
EDGE, NODE, HIDDEN = (96, 160, 192), (256, 256), 32
"""MPGAN's widths: of messages, of what follows them, and of a node in between."""


class PaddedEPiCLayer(nn.Module):
    """:class:`~pcgen.nn.points.epic.EPiCLayer` on padded clouds."""

    def __init__(self, hidden: int, cloud: int, context: int, sum_scale: float) -> None:
        super().__init__()
        self.sum_scale = sum_scale
        self.global_in = nn.Linear(2 * hidden + cloud + context, hidden)
        self.global_out = nn.Linear(hidden, cloud)
        self.point_in = nn.Linear(hidden + cloud + context, hidden)
        self.point_out = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, g: Tensor, mask: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """New points [B, n, L] and vectors [B, G], from a context [B, K]."""
        pooled = torch.cat([pooled_rows(x, mask, self.sum_scale), g, context], 1)
        g = F.leaky_relu(self.global_out(F.leaky_relu(self.global_in(pooled))) + g)
        hidden = F.leaky_relu(self.point_in(with_rows(x, torch.cat([g, context], 1))))
        return F.leaky_relu(self.point_out(hidden) + x) * mask, g


class PaddedEPiCField(nn.Module):
    """:class:`~pcgen.nn.points.fields.EPiCField` on padded clouds."""

    def __init__(self, ours: EPiCField) -> None:
        super().__init__()
        hidden, cloud = ours.global_out.in_features, ours.global_out.out_features
        context, channels = ours.context.channels, ours.in_channels
        self.time_channels, self.sum_scale = ours.context.time_channels, ours.sum_scale
        self.point_in = nn.Linear(channels + context, hidden)
        self.point_hidden = nn.Linear(hidden + context, hidden)
        self.global_in = nn.Linear(2 * hidden + context, hidden)
        self.global_out = nn.Linear(hidden, cloud)
        self.layers = nn.ModuleList(
            PaddedEPiCLayer(hidden, cloud, context, ours.sum_scale) for _ in ours.layers
        )
        self.point_out = nn.Linear(hidden + context, channels)

    def forward(self, x: Tensor, mask: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Velocities [B, n, C] of points at times [B] under conditions [B, K]."""
        context = torch.cat([time_features(time, self.time_channels), condition], 1)
        x = F.leaky_relu(self.point_in(with_rows(x, context)))
        x = F.leaky_relu(self.point_hidden(with_rows(x, context)) + x) * mask
        pooled = torch.cat([pooled_rows(x, mask, self.sum_scale), context], 1)
        g = F.leaky_relu(self.global_out(F.leaky_relu(self.global_in(pooled))))
        for layer in self.layers:
            x, g = layer(x, g, mask, context)
        return self.point_out(with_rows(x, context)) * mask


class PaddedSetDecoder(nn.Module):
    """:class:`~pcgen.nn.SetDecoder`, a generator of EPiC layers, on padded clouds."""

    def __init__(self, ours: SetDecoder, sum_scale: float = 0.01) -> None:
        super().__init__()
        hidden, cloud = ours.global_out.in_features, ours.global_out.out_features
        context = ours.code_channels + ours.condition_channels
        self.global_in = nn.Linear(context, hidden)
        self.global_out = nn.Linear(hidden, cloud)
        self.point_in = nn.Linear(ours.noise_channels, hidden)
        self.layers = nn.ModuleList(
            PaddedEPiCLayer(hidden, cloud, context, sum_scale) for _ in ours.layers
        )
        self.point_out = nn.Linear(hidden, ours.point_out.out_features)

    def forward(self, noise: Tensor, mask: Tensor, code: Tensor, condition: Tensor) -> Tensor:
        """Points [B, n, C] of noise [B, n, P], codes [B, Z] and conditions [B, K]."""
        context = torch.cat([code, condition], 1)
        g = F.leaky_relu(self.global_out(F.leaky_relu(self.global_in(context))))
        x = F.leaky_relu(self.point_in(noise)) * mask
        for layer in self.layers:
            x, g = layer(x, g, mask, context)
        return self.point_out(x) * mask


class PaddedMessages(nn.Module):
    """MPGAN's message passing on padded clouds: messages from all n rows to all n rows.

    Args:
        widths: Channels of a point before the first, between the two, and behind the last.
    """

    def __init__(self, widths: Sequence[int] = (HIDDEN, HIDDEN, 3)) -> None:
        super().__init__()
        self.edges = nn.ModuleList(MLP(2 * width, EDGE[:-1], EDGE[-1]) for width in widths[:-1])
        self.nodes = nn.ModuleList(
            MLP(EDGE[-1] + width, NODE, out) for width, out in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """New points [B, n, C'], from points [B, n, C]."""
        for edge, node in zip(self.edges, self.nodes, strict=True):
            number, rows, channels = x.shape
            to = x[:, :, None].expand(number, rows, rows, channels)
            by = x[:, None].expand(number, rows, rows, channels)
            message = F.leaky_relu(edge(torch.cat([to, by], 3)), 0.2) * mask[:, None]
            x = node(torch.cat([message.sum(2), x], 2)) * mask
        return x


class RaggedMessages(nn.Module):
    """The same messages between the points of each cloud alone; parameters as in the padded form.

    The first layer of a message is linear in both ends, and found once for each of them.
    """

    def __init__(self, widths: Sequence[int] = (HIDDEN, HIDDEN, 3)) -> None:
        super().__init__()
        plain = PaddedMessages(widths)
        self.edges, self.nodes = plain.edges, plain.nodes

    def forward(self, x: Tensor, pairs: Pairs) -> Tensor:
        """New points [N, C'], from points [N, C]."""
        for edge, node in zip(self.edges, self.nodes, strict=True):
            assert isinstance(edge, MLP)
            first, *rest = edge.hidden
            assert isinstance(first, nn.Linear)
            of_receiver, of_sender = first.weight.split(x.shape[1], 1)
            received = F.linear(x, of_receiver, first.bias).index_select(0, pairs.to)
            message = received + F.linear(x, of_sender).index_select(0, pairs.by)
            for layer in rest:
                message = layer(message)
            message = F.leaky_relu(edge.out(message), 0.2)
            x = node(torch.cat([segment_sum(message, pairs.ptr, pairs.to), x], 1))
        return x


class Pairs:
    """All pairs of points of the same cloud, the pairs of each point side by side.

    Args:
        sizes: Points of each cloud [B].
    """

    def __init__(self, sizes: Tensor) -> None:
        of_point = torch.repeat_interleave(sizes, sizes)  # partners of each point [N]
        first = torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)
        self.ptr = F.pad(of_point.cumsum(0), (1, 0))
        self.to = torch.repeat_interleave(of_point)
        place = torch.arange(len(self.to)) - self.ptr[self.to]
        self.by = first[self.to] + place


def pooled_rows(x: Tensor, mask: Tensor, sum_scale: float) -> Tensor:
    """Mean and scaled sum of the rows that are points [B, 2 C]."""
    total = (x * mask).sum(1)
    return torch.cat([total / mask.sum(1).clamp(min=1), sum_scale * total], 1)


def with_rows(x: Tensor, of_cloud: Tensor) -> Tensor:
    """Points [B, n, L] with the vector [B, K] of their cloud beside each [B, n, L + K]."""
    return torch.cat([x, of_cloud[:, None].expand(-1, x.shape[1], -1)], 2)


def twin(padded: Network, ours: nn.Module) -> Network:
    """The padded network with a copy of the parameters of ours."""
    state = {name.replace(".linear.", "."): value for name, value in ours.state_dict().items()}
    padded.load_state_dict(state)
    return padded
