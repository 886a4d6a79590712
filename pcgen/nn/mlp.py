"""Multi-layer perceptrons, with an optional condition: heads, and all networks on codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from pcgen.nn.condition import time_features, with_condition
from pcgen.nn.network import Network

Activation = Callable[[], nn.Module]
Norm = Callable[[int], nn.Module]
Linear = Callable[[int, int], nn.Linear]

LEAKY: Activation = partial(nn.LeakyReLU, 0.2)


def weight_normed(in_channels: int, out_channels: int) -> nn.Linear:
    """A linear layer with weight normalisation (Salimans and Kingma 2016, arXiv 1602.07868)."""
    layer = nn.Linear(in_channels, out_channels)
    parametrizations.weight_norm(layer)
    return layer


def spectral_normed(in_channels: int, out_channels: int) -> nn.Linear:
    """A linear layer with spectral normalisation (Miyato et al. 2018, arXiv 1802.05957)."""
    layer = nn.Linear(in_channels, out_channels)
    parametrizations.spectral_norm(layer)
    return layer


def stack(
    width: int,
    hidden: Sequence[int],
    activation: Activation = LEAKY,
    norm: Norm | None = None,
    linear: Linear = nn.Linear,
) -> nn.Sequential:
    """Linear layer, ``norm`` and ``activation`` for each hidden width, on rows of ``width``."""
    layers: list[nn.Module] = []
    for following in hidden:
        layers.append(linear(width, following))
        layers += [] if norm is None else [norm(following)]
        layers.append(activation())
        width = following
    return nn.Sequential(*layers)


class MLP(Network):
    """Linear layers with ``norm`` and ``activation`` in between; the last one is linear.

    Args:
        in_channels: Columns of the input.
        hidden: Width of each hidden layer; empty for a linear map.
        out_channels: Columns of the output.
        condition_channels: Columns K of the condition, which is concatenated to the input.
        activation: Makes the non-linearity.
        norm: Makes the normalisation of so many columns, ``nn.LayerNorm`` say; None for none.
        linear: Makes the linear layer: ``nn.Linear``, :func:`weight_normed` or
            :func:`spectral_normed`.

    >>> MLP(8, (16, 16), 1, condition_channels=2)(torch.zeros(5, 8), torch.zeros(5, 2)).shape
    torch.Size([5, 1])
    """

    shown = ("in_channels", "out_channels", "condition_channels")

    def __init__(
        self,
        in_channels: int,
        hidden: Sequence[int],
        out_channels: int,
        *,
        condition_channels: int = 0,
        activation: Activation = LEAKY,
        norm: Norm | None = None,
        linear: Linear = nn.Linear,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.condition_channels = condition_channels
        width = in_channels + condition_channels
        self.hidden = stack(width, hidden, activation, norm, linear)
        self.out = linear(hidden[-1] if hidden else width, out_channels)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Rows [B, in_channels] and, where there is one, condition [B, K] -> [B, out_channels]."""
        return self.out(self.hidden(with_condition(x, y, self.condition_channels)))


class RowGenerator(MLP):
    """An MLP from codes to rows, called as generators of events are."""

    def forward(  # type: ignore[override]
        self,
        code: Tensor,
        sizes: Tensor,
        y: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Rows [B, out_channels] of codes [B, in_channels]; ``sizes`` and ``generator`` unused."""
        return super().forward(code, y)


class CodeField(Network):
    """Velocity field on codes: an MLP on code, time and condition.

    Args:
        code_channels: Columns Z of the codes.
        condition_channels: Columns K of the condition; 0 ignores it.
        hidden: Width of each hidden layer.
        time_channels: Number of features of time.
        activation: Makes the non-linearity.
    """

    shown = ("code_channels", "time_channels", "condition_channels")

    def __init__(
        self,
        code_channels: int,
        *,
        condition_channels: int = 0,
        hidden: Sequence[int] = (256, 256, 256),
        time_channels: int = 16,
        activation: Activation = LEAKY,
    ) -> None:
        super().__init__()
        self.code_channels = code_channels
        self.time_channels, self.condition_channels = time_channels, condition_channels
        self.mlp = MLP(
            code_channels + time_channels,
            hidden,
            code_channels,
            condition_channels=condition_channels,
            activation=activation,
        )

    def forward(self, code: Tensor, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """Velocities [B, Z] of codes [B, Z] at times [B] under conditions [B, K]."""
        return self.mlp(torch.cat([code, time_features(time, self.time_channels)], 1), condition)
