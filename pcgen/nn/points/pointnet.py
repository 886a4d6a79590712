r"""PointNet: the same MLP on every point, then a symmetric reduction over the cloud.

Qi, Su, Mo and Guibas, "PointNet: deep learning on point sets for 3D classification and
segmentation", arXiv 1612.00593. Optionally a small PointNet (T-Net) looks at the cloud and turns
the input channels, and another one the features, by a matrix A that starts as the identity; the
paper adds :math:`0.001 \cdot \frac{1}{2} |I - A A^T|_F^2` of the second to the loss
(:meth:`PointNet.penalty`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.nn.mlp import LEAKY, MLP, Activation, Norm, stack
from pcgen.nn.network import Network
from pcgen.nn.points.encoder import PointReader
from pcgen.nn.pooling import Reduction, pool
from pcgen.ops.ragged import to_dense
from pcgen.ops.segments import segment_max
from pcgen.standardize import channels


class PointNet(PointReader):
    """Encoder or critic: clouds to rows [B, out_channels].

    Rows are normalised one by one (``nn.LayerNorm``) and never over the batch, so what a cloud is
    mapped to does not depend on the clouds beside it.

    Args:
        in_channels: Channels of a point as in :func:`pcgen.standardize.channels`.
        out_channels: Channels of the result.
        hidden: Width of each layer of the MLP on points; the last one is pooled.
        head: Width of each hidden layer of the MLP on pooled features.
        condition_channels: Columns K of the condition, which the head sees; 0 ignores it.
        pooling: Reductions over the points, side by side.
        transform: Turn input channels and features by T-Nets. They read pooled maxima.
        activation: Makes the non-linearity.
        norm: Makes the normalisation of so many columns; None for none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden: Sequence[int] = (64, 128, 256),
        head: Sequence[int] = (256,),
        condition_channels: int = 0,
        pooling: Sequence[Reduction] = (segment_max,),
        transform: bool = False,
        activation: Activation = LEAKY,
        norm: Norm | None = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.condition_channels = condition_channels
        self.feature_channels = hidden[-1]
        self.pooling = tuple(pooling)
        first, *rest = hidden
        self.lift = stack(in_channels, [first], activation, norm)
        self.mlp = stack(first, rest, activation, norm)
        self.turn_input = TransformNet(in_channels, activation, norm) if transform else None
        self.turn_features = TransformNet(first, activation, norm) if transform else None
        self.head = MLP(
            hidden[-1] * len(self.pooling),
            head,
            out_channels,
            condition_channels=condition_channels,
            activation=activation,
        )

    def _lift(self, clouds: Batch) -> Tensor:
        x = channels(clouds, self.in_channels)
        if self.turn_input is not None:
            x = _turn(x, self.turn_input(x, clouds.ptr), clouds.ptr)
        return self.lift(x)

    def features(self, clouds: Batch) -> Tensor:
        """Features of each point before pooling [N, hidden[-1]]."""
        x = self._lift(clouds)
        if self.turn_features is not None:
            x = _turn(x, self.turn_features(x, clouds.ptr), clouds.ptr)
        return self.mlp(x)

    def read(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        """See :meth:`PointReader.read`."""
        features = self.features(clouds)
        pooled = pool(features, clouds.ptr, self.pooling)
        return features, self.head(pooled, clouds.y if self.condition_channels else None)

    def penalty(self, clouds: Batch) -> Tensor:
        """Distance of the feature transform from an orthogonal one [B]; 0 without transforms."""
        if self.turn_features is None:
            return clouds.pos.new_zeros(clouds.num_graphs)
        return orthogonality(self.turn_features(self._lift(clouds), clouds.ptr))


class TransformNet(Network):
    """T-Net: one matrix per cloud [B, C, C], the identity at the start.

    Args:
        channels: Channels C of the points that the matrix turns.
        activation: Makes the non-linearity.
        norm: Makes the normalisation of so many columns; None for none.
    """

    shown = ("channels",)

    def __init__(self, channels: int, activation: Activation = LEAKY, norm: Norm | None = None):
        super().__init__()
        self.channels = channels
        self.mlp = stack(channels, (64, 128, 256), activation, norm)
        self.head = MLP(256, (128,), channels * channels, activation=activation)
        self._begin()

    def _begin(self) -> None:
        nn.init.zeros_(self.head.out.weight)
        nn.init.zeros_(self.head.out.bias)

    def reset_parameters(self) -> None:
        """Draw all parameters again, and start with the identity."""
        super().reset_parameters()
        self._begin()

    def forward(self, x: Tensor, ptr: Tensor) -> Tensor:
        """Points [N, C] of clouds -> [B, C, C]."""
        change = self.head(segment_max(self.mlp(x), ptr))
        identity = torch.eye(self.channels, dtype=x.dtype, device=x.device)
        return identity + change.view(-1, self.channels, self.channels)


def orthogonality(matrix: Tensor) -> Tensor:
    r""":math:`\frac{1}{2} |I - A A^T|_F^2` of matrices [B, C, C] -> [B]."""
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return 0.5 * (identity - matrix @ matrix.mT).square().sum((-2, -1))


def _turn(x: Tensor, matrix: Tensor, ptr: Tensor) -> Tensor:
    # Padded, since a matrix per point would be C times larger than the points.
    dense, present = to_dense(x, ptr)
    return (dense @ matrix)[present]
