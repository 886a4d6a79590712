r"""Networks on points in detector layers: points, their layers and the event exchange information.

Points :math:`x_i` in layer l of an event and one vector :math:`h_l` of each layer renew each other:

.. math::
    h_l &\leftarrow h_l + W_2\,\phi\Big(W_1 [\bar x_l, \textstyle\sum_{i \in l} x_i]
        + \sum_{|k| \le 2} A_k h_{l+k} + C [\bar h, c]\Big) \\
    x_i &\leftarrow x_i + V_2\,\phi(V_1 [x_i, h_{l(i)}])

with :math:`\phi` a SiLU for layers and a leaky ReLU, which is faster, for points; c is the context
of the event. It is EPiC (:mod:`pcgen.nn.points.epic`)
with a vector for each layer, and a convolution along the depth: a layer looks like the ones before
and behind it. Cost and memory are linear in the number of points, of which a layer costs one
product; what is done for layers is done once for each of them.

A network takes conditions [B, K + 2 L + Z], as :class:`~pcgen.models.representations.Layered` has
them: K columns of the event, then log points and then log energies of the L layers, then Z further
ones of the event.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.nn.condition import expect_condition, time_features
from pcgen.nn.mlp import MLP
from pcgen.nn.network import Network
from pcgen.nn.points.encoder import PointEncoder
from pcgen.nn.points.epic import beside
from pcgen.ops.segments import sum_by
from pcgen.standardize import channels

REACH = 2
"""Layers before and behind that a layer looks at, each time."""
SUM_SCALE = 0.02
"""Factor of the sums over the points of a layer, of which there are tens."""


class LayerCondition(Network):
    """The condition of events, divided into that of the event and that of each layer.

    Args:
        layers: Number L of detector layers.
        condition_channels: Columns K + 2 L + Z of the condition.
        event_channels: K.
    """

    def __init__(self, layers: int, condition_channels: int, event_channels: int) -> None:
        super().__init__()
        self.layers = layers
        self.condition_channels, self.event_channels = condition_channels, event_channels
        self.channels = condition_channels - 2 * layers

    def forward(self, condition: Tensor | None, events: int) -> tuple[Tensor, Tensor]:
        """Of the event [B, K + Z] and of its layers [B, L, 2].

        Raises:
            ArgumentError: the condition is missing or has another number of columns.
        """
        condition = expect_condition(condition, events, self.condition_channels)
        split = [self.event_channels, 2 * self.layers, self.channels - self.event_channels]
        before, layers, behind = condition.split(split, 1)
        return torch.cat([before, behind], 1), layers.unflatten(1, (2, -1)).transpose(1, 2)


class LayerEmbedding(Network):
    """Vectors of layers before they know of points: number of the layer, its sums, and the event.

    Args:
        layers: Number L of detector layers.
        context_channels: Columns of the context of an event.
        channels: Channels H of a layer.
    """

    def __init__(self, layers: int, context_channels: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(layers, channels)
        self.sums = nn.Linear(2, channels)
        self.of_event = nn.Linear(context_channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, sums: Tensor, context: Tensor) -> Tensor:
        """Sums of layers [B, L, 2] and context of events [B, C] -> [B, L, H]."""
        h = self.embedding.weight + self.sums(sums) + self.of_event(context)[:, None]
        return h + self.out(F.silu(h))


class LayerExchange(Network):
    """One exchange between points, the vectors of their layers, and the event.

    Args:
        point_channels: Channels C of a point.
        layer_channels: Channels H of a layer.
        context_channels: Columns of the context of an event.
    """

    shown = ("point_channels", "layer_channels", "context_channels")

    def __init__(self, point_channels: int, layer_channels: int, context_channels: int) -> None:
        super().__init__()
        self.point_channels, self.layer_channels = point_channels, layer_channels
        self.context_channels = context_channels
        self.pooled = nn.Linear(2 * point_channels, layer_channels)
        self.along = nn.Conv1d(layer_channels, layer_channels, 2 * REACH + 1, padding=REACH)
        self.of_event = nn.Linear(layer_channels + context_channels, layer_channels, bias=False)
        self.layer_out = nn.Linear(layer_channels, layer_channels)
        self.point_in = nn.Linear(point_channels, point_channels)
        self.of_layer = nn.Linear(layer_channels, point_channels, bias=False)
        self.point_out = nn.Linear(point_channels, point_channels, bias=False)

    def forward(
        self, x: Tensor, h: Tensor, group: Tensor, number: Tensor, context: Tensor
    ) -> tuple[Tensor, Tensor]:
        """New points [N, C] and layers [B, L, H].

        Args:
            x: [N, C].
            h: [B, L, H].
            group: Event and layer of each point, as one number b L + l [N].
            number: Points of each layer [B L, 1], 1 instead of 0.
            context: [B, K].
        """
        total = sum_by(x, group, len(number))
        pooled = torch.cat([total / number, SUM_SCALE * total], 1).unflatten(0, h.shape[:2])
        of_event = self.of_event(torch.cat([h.mean(1), context], 1))[:, None]
        along = self.along(h.transpose(1, 2)).transpose(1, 2)
        h = h + self.layer_out(F.silu(self.pooled(pooled) + along + of_event))
        of_layer = F.linear(h, self.of_layer.weight, self.point_in.bias).flatten(0, 1)
        hidden = F.leaky_relu_(beside(x, self.point_in.weight, of_layer, group))
        return torch.addmm(x, hidden, self.point_out.weight.t()), h


class LayeredField(Network):
    """Velocity field of points in layers: exchanges whose context is time and condition.

    Args:
        in_channels: Channels of a point as in :func:`pcgen.standardize.channels`.
        layers: Number L of detector layers.
        condition_channels: Columns K + 2 L + Z of the condition.
        event_channels: K.
        hidden: Channels of a point inside.
        layer_channels: Channels of the vector of a layer inside.
        depth: Number of exchanges.
        time_channels: Number of features of time.
    """

    shown = ("in_channels", "layers")

    def __init__(
        self,
        in_channels: int,
        layers: int,
        *,
        condition_channels: int,
        event_channels: int,
        hidden: int = 64,
        layer_channels: int = 64,
        depth: int = 4,
        time_channels: int = 16,
    ) -> None:
        super().__init__()
        self.in_channels, self.layers, self.time_channels = in_channels, layers, time_channels
        self.condition = LayerCondition(layers, condition_channels, event_channels)
        context = self.condition.channels + time_channels
        self.embedding = LayerEmbedding(layers, context, layer_channels)
        self.point_in = nn.Linear(in_channels, hidden)
        self.of_layer = nn.Linear(layer_channels, hidden, bias=False)
        self.exchanges = nn.ModuleList(
            LayerExchange(hidden, layer_channels, context) for _ in range(depth)
        )
        self.point_out = nn.Linear(hidden, in_channels)

    def forward(self, clouds: Batch, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """Velocity of each point [N, C].

        Args:
            clouds: Where the points are, and in which ``layer``.
            time: [B].
            condition: [B, K + 2 L + Z].

        Raises:
            ArgumentError: the condition has the wrong shape.
        """
        x = channels(clouds, self.in_channels)
        of_event, sums = self.condition(condition, clouds.num_graphs)
        context = torch.cat([time_features(time.to(x), self.time_channels), of_event], 1)
        h = self.embedding(sums, context)
        group, number = groups(clouds, self.layers, x)
        of_layer = F.linear(h, self.of_layer.weight, self.point_in.bias).flatten(0, 1)
        x = beside(x, self.point_in.weight, of_layer, group)
        for exchange in self.exchanges:
            x, h = exchange(x, h, group, number, context)
        return self.point_out(F.leaky_relu(x))


class LayeredEncoder(PointEncoder):
    """Encoder of points in layers: clouds to rows [B, out_channels].

    Args:
        in_channels: Channels of a point as in :func:`pcgen.standardize.channels`.
        out_channels: Channels of the result.
        layers: Number L of detector layers.
        condition_channels: Columns K + 2 L of the condition.
        event_channels: K.
        hidden: Channels of a point inside.
        layer_channels: Channels of the vector of a layer inside.
        depth: Number of exchanges.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        layers: int,
        *,
        condition_channels: int,
        event_channels: int,
        hidden: int = 64,
        layer_channels: int = 64,
        depth: int = 2,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.layers = in_channels, out_channels, layers
        self.condition_channels = condition_channels
        self.condition = LayerCondition(layers, condition_channels, event_channels)
        context = self.condition.channels
        self.embedding = LayerEmbedding(layers, context, layer_channels)
        self.point_in = nn.Linear(in_channels, hidden)
        self.exchanges = nn.ModuleList(
            LayerExchange(hidden, layer_channels, context) for _ in range(depth)
        )
        self.head = MLP(
            2 * (hidden + layer_channels),
            (2 * hidden,),
            out_channels,
            condition_channels=context,
            activation=nn.SiLU,
        )

    def encode(self, clouds: Batch) -> Tensor:
        """Standardised clouds, with their condition as ``y`` -> [B, out_channels]."""
        x = self.point_in(channels(clouds, self.in_channels))
        context, sums = self.condition(clouds.y.to(x.dtype), clouds.num_graphs)
        h = self.embedding(sums, context)
        group, number = groups(clouds, self.layers, x)
        for exchange in self.exchanges:
            x, h = exchange(x, h, group, number, context)
        place = torch.linspace(-1, 1, self.layers, dtype=h.dtype, device=h.device)[:, None]
        mean = sum_by(x, clouds.batch, clouds.num_graphs)
        mean = mean / sum_by(torch.ones_like(x[:, :1]), clouds.batch, len(mean)).clamp(min=1)
        spread = (sum_by(x, group, len(number)) / number).unflatten(0, h.shape[:2])
        pooled = [h.mean(1), (h * place).mean(1), mean, (spread * place).mean(1)]
        return self.head(torch.cat(pooled, 1), context)


def groups(clouds: Batch, layers: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Event and layer of each point as one number b L + l [N], and points of each [B L, 1].

    The number is of the dtype of ``like``, and 1 where a layer has no point.

    Raises:
        ArgumentError: the clouds have no layers.
    """
    if clouds.get("layer") is None:
        raise ArgumentError("layer: got clouds without it, expected the layer of each point")
    group = clouds.batch * layers + clouds.layer
    number = torch.bincount(group, minlength=clouds.num_graphs * layers)
    return group, number.clamp(min=1).to(like)[:, None]
