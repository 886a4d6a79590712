r"""EPiC: equivariant point-cloud layers whose cost is linear in the number of points.

Points :math:`x_i` and one vector :math:`g` of the cloud exchange information by pooling:

.. math::
    g &\leftarrow \phi(W_2\,\phi(W_1 [\bar x, \textstyle\sum_i x_i, g]) + g) \\
    x_i &\leftarrow \phi(V_2\,\phi(V_1 [x_i, g]) + x_i)

with :math:`\phi` a leaky ReLU. With identity skips there is no :math:`\phi` behind the sums (He
et al., "Identity mappings in deep residual networks", arXiv 1603.05027), and inside a SiLU.
Buhmann, Kasieczka and Thaler, "EPiC-GAN: equivariant point cloud
generation for particle jets", SciPost Phys. 15 (2023) 130, arXiv 2301.08128.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen.nn.condition import with_condition
from pcgen.nn.mlp import Linear
from pcgen.nn.network import Network
from pcgen.nn.points.encoder import PointEncoder
from pcgen.nn.pooling import pool_mean_sum
from pcgen.standardize import channels

Activation = Callable[[Tensor], Tensor]


def _unchanged(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[bool, tuple[Activation, Activation]] = {
    False: (F.leaky_relu_, F.leaky_relu_),
    True: (F.silu, _unchanged),
}
"""Inside a layer and behind its sums, without and with identity skips.

They get new tensors alone, sums and products that no derivative needs, and so may work in place.
"""


class EPiCLayer(Network):
    """One exchange between the points and the vector of their cloud.

    Args:
        point_channels: Channels L of a point.
        global_channels: Channels G of the cloud's vector.
        condition_channels: Channels K of a condition that both steps see beside g.
        linear: Makes the linear layers; :func:`~pcgen.nn.mlp.weight_normed` as in the paper.
        sum_scale: Factor of the sum over the points. :math:`W_1` can absorb it, so it only sets
            the scale at the start: 1 in EPiC-GAN; smaller for clouds of more than tens of points.
        identity: Identity skips, see above.
    """

    shown = ("point_channels", "global_channels", "condition_channels")

    def __init__(
        self,
        point_channels: int,
        global_channels: int,
        *,
        condition_channels: int = 0,
        linear: Linear = nn.Linear,
        sum_scale: float = 0.01,
        identity: bool = False,
    ) -> None:
        super().__init__()
        self.inner, self.outer = ACTIVATIONS[identity]
        context = global_channels + condition_channels
        self.point_channels, self.global_channels = point_channels, global_channels
        self.condition_channels = condition_channels
        self.sum_scale = sum_scale
        self.global_in = linear(2 * point_channels + context, point_channels)
        self.global_out = linear(point_channels, global_channels)
        self.point_in = linear(point_channels + context, point_channels)
        self.point_out = linear(point_channels, point_channels)

    def forward(
        self, x: Tensor, g: Tensor, clouds: Batch, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """New points [N, L] and vectors [B, G], from points, vectors and condition [B, K].

        Args:
            x: [N, L].
            g: [B, G].
            clouds: With ``batch`` and ``ptr``: which point is in which cloud.
            y: [B, K], where the layer is conditional.
        """
        pooled = pool_mean_sum(x, clouds.ptr, self.sum_scale, clouds.batch)
        context = [] if y is None else [y]
        hidden = self.inner(self.global_in(torch.cat([pooled, g, *context], 1)))
        g = self.outer(self.global_out(hidden) + g)
        # V1 [x, g] = V1x x + V1g g: the second product once per cloud, not once per point.
        own, shared = self.point_in.weight.split(
            [self.point_channels, self.point_in.in_features - self.point_channels], 1
        )
        of_cloud = F.linear(torch.cat([g, *context], 1), shared, self.point_in.bias)
        hidden = self.inner(beside(x, own, of_cloud, clouds.batch))
        return self.outer(self.point_out(hidden) + x), g


def beside(x: Tensor, weight: Tensor, of_cloud: Tensor, batch: Tensor) -> Tensor:
    """W x_i + c_b(i) [N, C], of points [N, L], weight [C, L], rows of clouds [B, C], batch [N]."""
    # index_select copies whole rows: several times as fast as of_cloud[batch], and backward too.
    return torch.addmm(of_cloud.index_select(0, batch), x, weight.t())


class EPiCEncoder(PointEncoder):
    """Encoder or critic of EPiC layers: clouds to rows [B, out_channels].

    Args:
        in_channels: Channels of a point as in :func:`pcgen.standardize.channels`.
        out_channels: Channels of the result.
        hidden: Channels of a point inside.
        global_channels: Channels of the cloud's vector inside.
        layers: Number of EPiC layers.
        condition_channels: Columns K of the condition; 0 ignores it.
        linear: Makes the linear layers.
        sum_scale: See :class:`EPiCLayer`.
        deep_head: Give the head a second hidden layer, beside a shortcut, as in EPiC-GAN.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int = 128,
        global_channels: int = 32,
        layers: int = 3,
        condition_channels: int = 0,
        linear: Linear = nn.Linear,
        sum_scale: float = 0.01,
        deep_head: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.condition_channels = condition_channels
        self.sum_scale = sum_scale
        self.point_in = linear(in_channels, hidden)
        self.point_hidden = linear(hidden, hidden)
        self.global_in = linear(2 * hidden + condition_channels, hidden)
        self.global_hidden = linear(hidden, global_channels)
        self.layers = nn.ModuleList(
            EPiCLayer(
                hidden,
                global_channels,
                condition_channels=condition_channels,
                linear=linear,
                sum_scale=sum_scale,
            )
            for _ in range(layers)
        )
        self.head_in = linear(2 * hidden + global_channels + condition_channels, hidden)
        self.head_hidden = linear(hidden, hidden) if deep_head else None
        self.head_out = linear(hidden, out_channels)

    def _run(self, clouds: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        y = clouds.y if self.condition_channels else None
        x = F.leaky_relu(self.point_in(channels(clouds, self.in_channels)))
        x = F.leaky_relu(self.point_hidden(x) + x)
        pooled = pool_mean_sum(x, clouds.ptr, self.sum_scale, clouds.batch)
        pooled = with_condition(pooled, y, self.condition_channels)
        g = F.leaky_relu(self.global_hidden(F.leaky_relu(self.global_in(pooled))))
        for layer in self.layers:
            x, g = layer(x, g, clouds, y)
        return x, g, y

    def features(self, clouds: Batch) -> Tensor:
        """Features of each point in its cloud [N, hidden]."""
        return self._run(clouds)[0]

    def encode(self, clouds: Batch) -> Tensor:
        """Standardised clouds, with their condition as ``y`` [B, K] -> [B, out_channels]."""
        x, g, y = self._run(clouds)
        pooled = torch.cat([pool_mean_sum(x, clouds.ptr, self.sum_scale, clouds.batch), g], 1)
        pooled = with_condition(pooled, y, self.condition_channels)
        head = F.leaky_relu(self.head_in(pooled))
        if self.head_hidden is not None:
            head = F.leaky_relu(self.head_hidden(head) + head)
        return self.head_out(head)
