"""Networks on lists: each cloud as one long row of points.

Clouds of fewer points than the list has places are filled up with zeros, and each place has a
1 or 0: whether a point stands there. On this row stands a plain multi-layer perceptron, which knows
nothing of sets: the control beside the networks that do.

The encoder sorts the points, the hardest first: the last column of ``x``, the logarithm of the
fraction, falls along the list, and points that are equal in it keep their order. By the sorting
alone its result does not depend on the order of the points, and it jumps where two points change
places. The field takes the points as they are given, and the list that is generated is
:class:`~pcgen.nn.points.decoders.MLPDecoder`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn.condition import Context
from pcgen.nn.mlp import LEAKY, MLP, Activation
from pcgen.nn.network import Network
from pcgen.nn.points.encoder import PointEncoder
from pcgen.standardize import channels


def places(clouds: Batch) -> Tensor:
    """Place of each point in the list of its cloud [N], 0 for the hardest.

    Raises:
        ArgumentError: the clouds have no ``x`` to sort by.
    """
    if clouds.get("x") is None:
        raise ArgumentError(
            "x: got none, expected the logarithm of the fraction as its last column"
        )
    return pc.ranks(clouds, clouds.x[:, -1])


def listed(clouds: Batch, place: Tensor, max_points: int, in_channels: int | None = None) -> Tensor:
    """The rows of the networks: channels and presence of each place, [B, max_points (C + 1)].

    Points of a place beyond ``max_points`` are left out.
    """
    points = nn.functional.pad(channels(clouds, in_channels), (0, 1), value=1.0)
    rows = points.new_zeros(clouds.num_graphs, max_points, points.shape[1])
    seen = place < max_points
    return rows.index_put((clouds.batch[seen], place[seen]), points[seen]).flatten(1)


class ListEncoder(PointEncoder):
    """Encoder or critic of lists: clouds to rows [B, out_channels].

    Of clouds of more than ``max_points`` points the softest are not seen.

    Args:
        in_channels: Channels C of a point as in :func:`pcgen.standardize.channels`.
        out_channels: Channels of the result.
        max_points: Places of the list.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Width of each hidden layer.
        activation: Makes the non-linearity.
    """

    shown = (*PointEncoder.shown, "max_points")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        max_points: int,
        condition_channels: int = 0,
        hidden: Sequence[int] = (256, 256),
        activation: Activation = LEAKY,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.condition_channels = condition_channels
        self.max_points = max_points
        self.mlp = MLP(
            max_points * (in_channels + 1),
            hidden,
            out_channels,
            condition_channels=condition_channels,
            activation=activation,
        )

    def encode(self, clouds: Batch) -> Tensor:
        """Standardised clouds, with their condition as ``y`` [B, K] -> [B, out_channels]."""
        row = listed(clouds, places(clouds), self.max_points, self.in_channels)
        return self.mlp(row, clouds.y if self.condition_channels else None)


class ListField(Network):
    """Velocity field of lists; see :mod:`pcgen.nn.points.fields`.

    On the way from noise to data no point is the hardest yet, so points keep the places in which
    they are given: the i-th is to become the i-th hardest of clouds that come sorted.

    Args:
        in_channels: Channels C of a point as in :func:`pcgen.standardize.channels`.
        max_points: Places of the list.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Width of each hidden layer.
        time_channels: Number of features of time.
        activation: Makes the non-linearity.
    """

    shown = ("in_channels", "max_points")

    def __init__(
        self,
        in_channels: int,
        *,
        max_points: int,
        condition_channels: int = 0,
        hidden: Sequence[int] = (256, 256),
        time_channels: int = 16,
        activation: Activation = LEAKY,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.context = Context(time_channels, condition_channels)
        self.max_points = max_points
        self.mlp = MLP(
            max_points * (in_channels + 1),
            hidden,
            max_points * in_channels,
            condition_channels=self.context.channels,
            activation=activation,
        )

    def forward(self, clouds: Batch, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """Velocity of each point [N, C], in the order in which the points are given.

        Args:
            clouds: Where the points are.
            time: [B].
            condition: [B, K].

        Raises:
            ArgumentError: a cloud has more than ``max_points`` points, or time or condition have
                the wrong shape.
        """
        place = torch.arange(len(channels(clouds, self.in_channels)), device=clouds.ptr.device)
        place = place - clouds.ptr[:-1][clouds.batch]
        if len(place) and int(place.max()) >= self.max_points:
            raise ArgumentError(
                f"clouds: got one of {int(place.max()) + 1} points, expected at most "
                f"{self.max_points}, the length of this list (list_length of a recipe)"
            )
        context = self.context(clouds, time, condition)
        row = self.mlp(listed(clouds, place, self.max_points, self.in_channels), context)
        return row.unflatten(1, (self.max_points, -1))[clouds.batch, place]
