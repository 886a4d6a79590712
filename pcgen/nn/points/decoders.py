"""Decoders: code, sizes, condition and noise to clouds in standardised units.

A decoder generates the channels of :func:`pcgen.standardize.channels`: ``pos`` and ``x``, with the
standardised logarithm of the fraction last where points carry a weight. The weight itself is
``Standardize.fractions(x, ptr)``, and the model attaches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn.condition import with_condition
from pcgen.nn.mlp import LEAKY, MLP, Activation, Linear, Norm
from pcgen.nn.network import Network
from pcgen.nn.points.epic import EPiCLayer
from pcgen.nn.points.starts import Noise, Start
from pcgen.ops.drawing import normal


class SetDecoder(Network):
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

    >>> decoder = SetDecoder(16, 2, 1)
    >>> clouds = decoder(torch.zeros(2, 16), torch.tensor([3, 0]))
    >>> clouds.pos.shape, clouds.x.shape, clouds.ptr.tolist()
    (torch.Size([3, 2]), torch.Size([3, 1]), [0, 3, 3])
    """

    shown = ("code_channels", "dimensions", "features", "condition_channels", "start")
    former_prefix = "decoder."
    """Of the parameters in files of earlier versions, where the points start from ranks."""

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
    ) -> None:
        super().__init__()
        context = code_channels + condition_channels
        self.code_channels = code_channels
        self.dimensions, self.features = dimensions, features
        self.condition_channels = condition_channels
        self.start = start
        self.global_in = linear(context, hidden)
        self.global_out = linear(hidden, global_channels)
        self.point_in = linear(start.channels, hidden)
        self.layers = nn.ModuleList(
            EPiCLayer(
                hidden,
                global_channels,
                condition_channels=context,
                linear=linear,
                sum_scale=sum_scale,
            )
            for _ in range(layers)
        )
        self.point_out = linear(hidden, dimensions + features)

    @property
    def noise_channels(self) -> int:
        """Standard normal numbers that are drawn for a point."""
        return self.start.noise_channels

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        y: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Clouds of ``sizes`` [B] points from codes [B, Z] and conditions [B, K].

        The noise is drawn where ``generator`` lives, so that a generator of the CPU gives the same
        numbers whatever the device of the code.

        Raises:
            ArgumentError: code, sizes or condition have the wrong shape.
        """
        _check_code(code, sizes, self.code_channels)
        shape = (int(sizes.sum()), self.noise_channels)
        return self.decode(code, pc.make(normal(shape, code, generator), sizes), y)

    def decode(self, code: Tensor, start: Batch, y: Tensor | None = None) -> Batch:
        """The deterministic part of :meth:`forward`: clouds as a function of code and noise.

        Args:
            code: [B, Z].
            start: Clouds of the requested sizes whose ``pos`` is noise [N, noise_channels], ragged
                or padded.
            y: Condition [B, K].
        """
        context = with_condition(code, y, self.condition_channels)
        g = F.leaky_relu(self.global_out(F.leaky_relu(self.global_in(context))))
        x = F.leaky_relu(self.point_in(self.start.rows(start, code.dtype)))
        for layer in self.layers:
            x, g = layer(x, g, start, context)
        return pc.like(start, **_attributes(self.point_out(x), self.dimensions))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for former in [name for name in state_dict if name.startswith(prefix + self.former_prefix)]:
            name = prefix + former.removeprefix(prefix + self.former_prefix)
            state_dict[name] = state_dict.pop(former)
        super()._load_from_state_dict(state_dict, prefix, *rest)


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
        _check_code(code, sizes, self.code_channels)
        if len(sizes) and int(sizes.max()) > self.max_points:
            raise ArgumentError(
                f"sizes: got a cloud of {int(sizes.max())} points, expected at most "
                f"{self.max_points}, the length of this list (list_length of a recipe)"
            )
        points = self.mlp(code, y).unflatten(1, (self.max_points, -1))
        present = torch.arange(self.max_points, device=code.device) < sizes[:, None]
        return pc.make(sizes=sizes, **_attributes(points[present], self.dimensions))


def _check_code(code: Tensor, sizes: Tensor, code_channels: int) -> None:
    if code.shape != (len(sizes), code_channels) or sizes.dim() != 1:
        raise ArgumentError(
            f"decoder: got code {tuple(code.shape)} and sizes {tuple(sizes.shape)}, "
            f"expected [B, {code_channels}] and [B]"
        )
    if len(sizes) and int(sizes.min()) < 0:
        raise ArgumentError(f"sizes: got {int(sizes.min())}, expected non-negative numbers")


def _attributes(points: Tensor, dimensions: int) -> dict[str, Any]:
    if points.dtype in (torch.float16, torch.bfloat16):
        points = points.float()  # two or three digits would not do for a coordinate
    pos, x = points[:, :dimensions], points[:, dimensions:]
    return {"pos": pos, "x": x if x.shape[1] else None}
