"""LAGAN: locally connected layers, minibatch discrimination, generator and critic."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.nn import LAGANCritic, LAGANGenerator, LocallyConnected2d, MinibatchDiscrimination
from pcgen.nn.network import reset


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 2), (1, 1)])
def test_locally_connected_is_a_convolution_of_each_window_with_its_own_weights(stride, padding):
    layer = LocallyConnected2d(2, 3, (6, 5), 3, stride=stride, padding=padding).double()
    nn.init.normal_(layer.bias)
    image = torch.randn(4, 2, 6, 5).double()
    found = layer(image)
    wide = F.pad(image, [padding] * 4)
    rows, columns = layer.out_shape
    assert found.shape == (4, 3, rows, columns)
    for r in range(rows):
        for c in range(columns):
            window = wide[:, :, r * stride : r * stride + 3, c * stride : c * stride + 3]
            weight = layer.weight[..., r * columns + c].view(3, 2, 3, 3)
            own = F.conv2d(window, weight, layer.bias[:, r * columns + c])[..., 0, 0]
            torch.testing.assert_close(found[..., r, c], own)


def test_locally_connected_with_equal_weights_is_a_convolution():
    layer, conv = LocallyConnected2d(2, 3, (6, 5), 3), nn.Conv2d(2, 3, 3)
    with torch.no_grad():
        layer.weight.copy_(conv.weight.flatten(1)[..., None].expand_as(layer.weight))
        layer.bias.copy_(conv.bias[:, None].expand_as(layer.bias))
    image = torch.randn(2, 2, 6, 5)
    torch.testing.assert_close(layer(image), conv(image))


def test_derivatives_of_a_locally_connected_layer():
    layer = LocallyConnected2d(1, 2, (4, 3), 2).double()
    image = torch.randn(2, 1, 4, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(layer, image)
    given = [p.detach().clone().requires_grad_() for p in (layer.weight, layer.bias)]

    def of(weight, bias):
        parameters = {"weight": weight, "bias": bias}
        return torch.func.functional_call(layer, parameters, (image.detach(),))

    assert torch.autograd.gradcheck(of, given)


def test_weights_have_the_scale_of_he():
    torch.manual_seed(0)
    layer = LocallyConnected2d(8, 6, (9, 9), 5)
    assert float(layer.weight.detach().var()) == pytest.approx(2 / (8 * 25), rel=0.03)
    before = layer.weight.detach().clone()
    reset(nn.Sequential(layer))
    assert not torch.equal(layer.weight, before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LocallyConnected2d(1, 1, (3, 4), 5), "expected two axes of at least 5 cells"),
        (lambda: LocallyConnected2d(1, 1, (9,), 5), r"shape: got \(9,\), expected two axes"),
        (lambda: LocallyConnected2d(1, 1, (5, 5), 3)(torch.zeros(1, 1, 5, 6)), "image: got"),
        (lambda: LAGANGenerator(2, (4, 9)), "grid: got 4 x 9 cells, expected two axes of at least"),
        (lambda: LAGANCritic((9, 9, 9)), "grid: got 9 x 9 x 9 cells"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_minibatch_discrimination_is_that_of_loops():
    layer = MinibatchDiscrimination(4, 3, 2).double()
    rows = torch.randn(5, 4).double().requires_grad_()
    space = layer.space(rows).view(5, 3, 2).detach()
    for i in range(5):
        for b in range(3):
            near = [math.exp(-float((space[i, b] - space[j, b]).abs().sum())) for j in range(5)]
            assert float(layer(rows)[i, b].detach()) == pytest.approx(sum(near) / 5)
    assert torch.autograd.gradcheck(layer, rows)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(layer(rows[order]), layer(rows)[order])


def test_equal_rows_are_as_close_as_can_be():
    layer = MinibatchDiscrimination(4, 3, 2)
    assert torch.equal(layer(torch.ones(6, 4)), torch.ones(6, 3))
    apart = layer(1e3 * torch.randn(6, 4))
    torch.testing.assert_close(apart, torch.full((6, 3), 1 / 6), rtol=0, atol=1e-3)


@pytest.mark.parametrize("shape", [(25, 25), (5, 5), (8, 13)])
def test_images_have_the_shape_and_exact_zeros(shape):
    torch.manual_seed(0)
    generator = LAGANGenerator(6, shape, range(1, 3), channels=8)
    condition = torch.tensor([[0.3, 1.0, 0.0, 2.0]] * 4)
    image = generator(torch.randn(4, 6), torch.zeros(4), condition)
    assert image.shape == (4, 1, *shape)
    assert (image >= 0).all()
    assert 0.05 < float((image == 0).float().mean()) < 0.95
    critic = LAGANCritic(shape, classes=2)
    assert critic(image).shape == (4, 3)
    (
        critic(image)[:, 0].sum() + generator(torch.randn(4, 6), torch.zeros(4), condition).sum()
    ).backward()
    for label, parameter in [*generator.named_parameters(), *critic.named_parameters()]:
        assert parameter.grad is not None, label


def test_the_maps_of_the_paper():
    generator, critic = LAGANGenerator(200, (25, 25)), LAGANCritic((25, 25))
    assert generator.small == (128, 7, 7)
    local = [layer for layer in generator.modules() if isinstance(layer, LocallyConnected2d)]
    assert [each.out_shape for each in local] == [(14, 14), (26, 26), (25, 25)]
    assert [each.out_channels for each in local] == [6, 6, 1]
    local = [layer for layer in critic.modules() if isinstance(layer, LocallyConnected2d)]
    assert [each.out_shape for each in local] == [(13, 13), (13, 13), (7, 7)]
    assert critic.head.in_features == 3 * 3 * 8 + 20


def test_the_class_matters_and_the_rest_of_the_condition_does_not():
    generator = LAGANGenerator(6, (6, 7), range(1, 3), channels=8).eval()
    code, sizes = torch.randn(2, 6), torch.zeros(2)
    condition = torch.tensor([[0.3, 1.0, 0.0, 2.0]] * 2)
    image = generator(code, sizes, condition)
    rest = condition + torch.tensor([1.0, 0.0, 0.0, -1.0])
    assert torch.equal(generator(code, sizes, rest), image)
    other = torch.tensor([[0.3, 0.0, 1.0, 2.0]] * 2)
    assert not torch.equal(generator(code, sizes, other), image)
