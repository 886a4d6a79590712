"""MLP: what its layers are, its condition, and the two normalised linear layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pcgen.errors import ArgumentError
from pcgen.nn import MLP, spectral_normed, weight_normed


def test_it_is_what_one_would_write_down() -> None:
    mlp = MLP(3, (5, 4), 2, condition_channels=1, activation=nn.Tanh, norm=nn.LayerNorm)
    x, y = torch.randn(6, 3), torch.randn(6, 1)
    first, norm1, _, second, norm2, _ = mlp.hidden
    hidden = torch.tanh(norm1(first(torch.cat([x, y], 1))))
    expected = mlp.out(torch.tanh(norm2(second(hidden))))
    torch.testing.assert_close(mlp(x, y), expected)


def test_without_hidden_layers_it_is_linear() -> None:
    mlp = MLP(3, (), 2).double()
    a, b = torch.randn(2, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(mlp(a) + mlp(b), mlp(a + b) + mlp.out.bias)


def test_condition_is_ignored_or_demanded() -> None:
    x = torch.zeros(2, 3)
    plain = MLP(3, (4,), 1)
    assert torch.equal(plain(x, torch.ones(2, 5)), plain(x))
    with pytest.raises(ArgumentError, match=r"condition: got None, expected \(2, 5\)"):
        MLP(3, (4,), 1, condition_channels=5)(x)


def test_spectral_norm_bounds_the_slope() -> None:
    mlp = MLP(4, (16, 16), 1, activation=nn.ReLU, linear=spectral_normed)
    with torch.no_grad():
        for layer in mlp.modules():
            if isinstance(layer, nn.Linear):
                layer.parametrizations.weight.original.mul_(10.0)
    for _ in range(200):  # power iterations happen in training mode
        mlp(torch.randn(2, 4))
    mlp.eval()
    x, y = torch.randn(2, 1000, 4)
    slope = (mlp(x) - mlp(y)).norm(dim=1) / (x - y).norm(dim=1)
    assert slope.max() <= 1.001


def test_weight_norm_does_not_change_the_start() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(5, 3)
    torch.manual_seed(0)
    normed = weight_normed(5, 3)
    torch.testing.assert_close(normed.weight, plain.weight)
    assert torch.equal(normed.bias, plain.bias)
