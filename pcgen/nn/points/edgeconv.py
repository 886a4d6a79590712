r"""DGCNN: points exchange messages with their nearest neighbours, in space or among features.

.. math:: x_i' = \max_{j \in N_k(i)} h([x_i,\; x_j - x_i])

Wang et al., "Dynamic graph CNN for learning on point clouds", ACM TOG 38 (2019), arXiv 1801.07829.
As in the paper a point is among its own k neighbours, so a cloud of one point sends itself a
message, and a cloud of n < k points is fully connected. Neighbours are found exactly; where two are
equally far, the one of the lower row counts, so that exact ties at the k-th place are the one thing
that depends on the order.

The convolution is PyG's ``EdgeConv``; the graphs are our own. A layer h of one linear map is not
evaluated on the edges, of which there are k times as many as points: :func:`largest_message` gives
the same values from :math:`W [x_i, x_j - x_i] = (A - B) x_i + B x_j`, each product once per point.

Coordinates enter as plain numbers: where an axis closes on itself inside the cloud, give the
network cos and sin as features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch
from torch_geometric.nn import EdgeConv
from torch_geometric.nn.aggr import Aggregation

from pcgen.errors import ArgumentError
from pcgen.nn.mlp import LEAKY, MLP, Activation, Norm, stack
from pcgen.nn.points.encoder import PointReader
from pcgen.nn.pooling import Reduction, pool
from pcgen.ops.neighborhoods import entries, first_largest_sum, neighbor_square
from pcgen.ops.neighbors import knn_rows
from pcgen.ops.segments import segment_max, segment_mean, wide
from pcgen.standardize import channels


class FirstMax(Aggregation):
    """Maximum whose gradient goes to the first message that attains it, as in all of pcgen.

    PyG's own splits the gradient among ties or not, by what is installed. Messages must be sorted
    by target, which the graphs of :mod:`pcgen.ops.neighbors` are.
    """

    def forward(
        self,
        x: Tensor,
        index: Tensor | None = None,
        ptr: Tensor | None = None,
        dim_size: int | None = None,
        dim: int = -2,
        max_num_elements: int | None = None,
    ) -> Tensor:
        """Messages [E, C] to targets ``index`` [E] or by pointer -> [dim_size, C]."""
        if ptr is None:
            if index is None or dim_size is None:
                raise ArgumentError("FirstMax: got no target of the messages, expected one")
            self.assert_sorted_index(index)
            ptr = torch.searchsorted(index, torch.arange(dim_size + 1, device=x.device))
        return segment_max(x, ptr)


RISING = (nn.Identity, nn.ReLU, nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.Tanh, nn.Sigmoid)
"""Activations that never fall: the largest message has the largest argument."""


def largest_message(convolution: EdgeConv, x: Tensor, index: Tensor) -> Tensor:
    r"""What ``convolution`` gives on the graph of the neighbours ``index``: [N, C'].

    Where its network is a linear layer, a ``LayerNorm`` or none, and an activation that never
    falls, messages are compared without being stored. With u = (A - B) x + b and v = B x, the
    weights less their means over the channels for a norm, that of the edge from j to i is

    .. math:: \sigma(\gamma (u_i + v_j) / \sqrt{|u_i + v_j|^2 / C' + \epsilon} + \beta).

    Only the largest of each channel is then computed once more, with its gradient. Other networks
    are evaluated on all edges.

    Args:
        convolution: PyG's, with :class:`FirstMax`.
        x: Features [N, C].
        index: Rows of the neighbours of each point [N, k], one at least; -1 for none.
    """
    linear, norm, activation = _parts(convolution.nn)
    if linear is None:
        target, place = (index >= 0).nonzero(as_tuple=True)
        return convolution(x, torch.stack([index[target, place], target]))
    weight: Tensor = linear.weight
    bias: Tensor | None = linear.bias
    if norm is not None:
        weight = weight - weight.mean(0)
        bias = None if bias is None else bias - bias.mean()
    own, other = weight.split(x.shape[1], 1)
    u, v = wide(F.linear(x, own - other, bias)), wide(F.linear(x, other))
    gain, rate = u.new_ones(u.shape[1]), u.new_ones(index.shape)
    if norm is not None:
        rate = (neighbor_square(u, v, index) / u.shape[1] + norm.eps).rsqrt()
        gain = gain if norm.weight is None else wide(norm.weight)
    of_v, of_rate = first_largest_sum(u.detach(), v.detach(), rate.detach(), gain.detach(), index)
    largest = u + entries(v, of_v)
    if norm is not None:
        largest = largest * entries(rate, of_rate)
        shift = torch.zeros_like(gain) if norm.bias is None else wide(norm.bias)
        largest = torch.addcmul(shift, largest, gain)
    return activation(largest.to(x.dtype))


def _parts(net: nn.Module) -> tuple[nn.Linear | None, nn.LayerNorm | None, nn.Module]:
    """Linear layer, norm and activation of a network that consists of these; or no layer."""
    layers = list(net) if isinstance(net, nn.Sequential) else []
    norm = layers.pop(1) if len(layers) == 3 else None
    if len(layers) != 2:
        return None, None, net
    linear, activation = layers
    rises = type(activation) in RISING
    if type(activation) is nn.LeakyReLU:
        rises = activation.negative_slope >= 0
    # Exact types: a subclass may compute something else.
    if type(linear) is nn.Linear and (norm is None or type(norm) is nn.LayerNorm) and rises:
        return linear, norm, activation
    return None, None, net


class DGCNN(PointReader):
    """Encoder or critic of EdgeConv layers: clouds to rows [B, out_channels].

    The outputs of all layers, side by side, go through one more layer on points, are pooled, and
    an MLP follows.

    Args:
        in_channels: Channels of a point as in :func:`pcgen.standardize.channels`.
        out_channels: Channels of the result.
        k: Neighbours of a point, itself included.
        dynamic: Find neighbours again before each layer among the features of the layer before;
            False keeps the graph of the positions.
        hidden: Output width of each EdgeConv.
        embedding: Features of a point before pooling.
        head: Width of each hidden layer of the MLP on pooled features.
        condition_channels: Columns K of the condition, which the head sees; 0 ignores it.
        pooling: Reductions over the points, side by side.
        activation: Makes the non-linearity.
        norm: Makes the normalisation of so many columns; None for none.
    """

    shown = (*PointReader.shown, "k", "dynamic")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        k: int = 16,
        dynamic: bool = True,
        hidden: Sequence[int] = (64, 64, 128),
        embedding: int = 256,
        head: Sequence[int] = (256,),
        condition_channels: int = 0,
        pooling: Sequence[Reduction] = (segment_max, segment_mean),
        activation: Activation = LEAKY,
        norm: Norm | None = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.condition_channels = condition_channels
        self.feature_channels = embedding
        self.k = k
        self.dynamic = dynamic
        self.pooling = tuple(pooling)
        widths = [in_channels, *hidden[:-1]]
        self.convolutions = nn.ModuleList(
            EdgeConv(stack(2 * width, (following,), activation, norm), aggr=FirstMax())
            for width, following in zip(widths, hidden, strict=True)
        )
        self.embed = stack(sum(hidden), (embedding,), activation, norm)
        self.head = MLP(
            embedding * len(self.pooling),
            head,
            out_channels,
            condition_channels=condition_channels,
            activation=activation,
        )

    def features(self, clouds: Batch) -> Tensor:
        """Features of each point and its surroundings [N, embedding]."""
        x = channels(clouds, self.in_channels)
        outputs: list[Tensor] = []
        index = knn_rows(clouds.pos, clouds.ptr, self.k)
        for convolution in self.convolutions:
            if outputs and self.dynamic:
                index = knn_rows(x, clouds.ptr, self.k)
            x = largest_message(convolution, x, index)
            outputs.append(x)
        return self.embed(torch.cat(outputs, 1))

    def read(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        """See :meth:`PointReader.read`."""
        features = self.features(clouds)
        pooled = pool(features, clouds.ptr, self.pooling)
        return features, self.head(pooled, clouds.y if self.condition_channels else None)
