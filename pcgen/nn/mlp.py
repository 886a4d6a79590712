"""Multi-layer perceptrons, with an optional condition: critics and generators of codes, heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from pcgen.errors import ArgumentError

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


class MLP(nn.Module):
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


def with_condition(x: Tensor, y: Tensor | None, condition_channels: int) -> Tensor:
    """Concatenate the condition [B, K] to rows [B, C]; a net of K = 0 ignores ``y``.

    Raises:
        ArgumentError: ``y`` is missing or does not have K columns.
    """
    if not condition_channels:
        return x
    return torch.cat([x, expect_condition(y, x.shape[0], condition_channels).to(x.dtype)], 1)


def expect_condition(y: Tensor | None, rows: int, condition_channels: int) -> Tensor:
    """The condition, which must be there and be [rows, condition_channels].

    Raises:
        ArgumentError: it is not.
    """
    if y is None or y.shape != (rows, condition_channels):
        given = None if y is None else tuple(y.shape)
        raise ArgumentError(f"condition: got {given}, expected ({rows}, {condition_channels})")
    return y
