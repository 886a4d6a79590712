r"""Velocity field of what the layers of a shower have: convolutions along the depth.

A code has two numbers of each of L layers (points and energy) and one of the event (the total).
Neighbouring layers are alike and a shower is a whole, so blocks

.. math:: h \leftarrow h + W_2\,\phi\big(A * \phi(h) + W_1 [\bar h, c]\big)

convolve along the layers (A, of width 5), which have an embedding each, and read the mean over them
and the context c of time, condition and total.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen.nn.condition import time_features, with_condition
from pcgen.nn.mlp import MLP
from pcgen.nn.network import Network

REACH = 2
"""Layers before and behind that a layer looks at, each time."""


class ProfileBlock(Network):
    """One convolution along the layers beside a shortcut.

    Args:
        channels: Channels H of a layer.
        context_channels: Columns of the context of an event.
    """

    shown = ("channels", "context_channels")

    def __init__(self, channels: int, context_channels: int) -> None:
        super().__init__()
        self.channels, self.context_channels = channels, context_channels
        self.along = nn.Conv1d(channels, channels, 2 * REACH + 1, padding=REACH)
        self.of_event = nn.Linear(channels + context_channels, channels, bias=False)
        self.out = nn.Conv1d(channels, channels, 1)

    def forward(self, h: Tensor, context: Tensor) -> Tensor:
        """Layers [B, H, L] and context of events [B, K] -> [B, H, L]."""
        of_event = self.of_event(torch.cat([h.mean(2), context], 1))[:, :, None]
        return h + self.out(F.silu(self.along(F.silu(h)) + of_event))


class LayerProfileField(Network):
    """Velocity field on numbers of layers and of the event.

    Args:
        layers: Number L of detector layers.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Channels of a layer inside.
        depth: Number of blocks.
        time_channels: Number of features of time.
    """

    shown = ("layers", "condition_channels")

    def __init__(
        self,
        layers: int,
        *,
        condition_channels: int = 0,
        hidden: int = 32,
        depth: int = 4,
        time_channels: int = 16,
    ) -> None:
        super().__init__()
        self.layers, self.time_channels = layers, time_channels
        self.condition_channels = condition_channels
        context = time_channels + condition_channels + 1
        self.embedding = nn.Embedding(layers, hidden)
        self.layer_in = nn.Linear(2, hidden)
        self.event_in = nn.Linear(context, hidden)
        self.blocks = nn.ModuleList(ProfileBlock(hidden, context) for _ in range(depth))
        self.layer_out = nn.Linear(hidden, 2)
        self.event_out = MLP(hidden, (2 * hidden,), 1, condition_channels=context)

    def forward(self, code: Tensor, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """Velocities [B, 2 L + 1] of codes [B, 2 L + 1] at times [B] under conditions [B, K].

        A code has the first numbers of all layers, then the second, then that of the event.
        """
        features = time_features(time, self.time_channels)
        context = with_condition(features, condition, self.condition_channels)
        context = torch.cat([context, code[:, -1:]], 1)
        of_layers = code[:, :-1].unflatten(1, (2, self.layers)).transpose(1, 2)
        h = self.layer_in(of_layers) + self.embedding.weight + self.event_in(context)[:, None]
        h = h.transpose(1, 2)
        for block in self.blocks:
            h = block(h, context)
        out = self.layer_out(F.silu(h).transpose(1, 2)).transpose(1, 2).flatten(1)
        return torch.cat([out, self.event_out(h.mean(2), context)], 1)
