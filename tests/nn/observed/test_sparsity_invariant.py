"""Convolutions of what is observed: plain ones where all is, blind to the rest, of one scale."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.nn import (
    NormalizedConv,
    ObservedImage,
    PartialConv,
    SparsityInvariantConv,
    SparsityInvariantTransposedConv,
)

PLAIN = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
LAYERS = (
    SparsityInvariantConv,
    PartialConv,
    NormalizedConv,
    SparsityInvariantTransposedConv,
)
every_layer = pytest.mark.parametrize("kind", LAYERS)


def images(dimensions: int, size: int = 5, channels: int = 2, seed: int = 0) -> ObservedImage:
    """Random images, observed in about a third of the cells, some events not at all."""
    draw = torch.Generator().manual_seed(seed)
    shape = (3, channels, *[size] * dimensions)
    x = torch.randn(shape, generator=draw, dtype=torch.float64)
    observed = torch.rand((3, *shape[2:]), generator=draw) < 0.3
    observed[1] = False
    return ObservedImage.from_dense(x, observed)


@st.composite
def windows(draw: st.DrawFn) -> tuple[int, int, int, int]:
    dimensions, kernel = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    return dimensions, kernel, draw(st.integers(1, 2)), draw(st.integers(0, kernel // 2))


@given(windows())
def test_fully_observed_is_the_plain_convolution_over_the_size_of_the_window(window) -> None:
    dimensions, kernel, stride, padding = window
    full = ObservedImage.from_dense(images(dimensions).x)
    setting = {"stride": stride, "padding": padding}
    for kind in (SparsityInvariantConv, PartialConv, SparsityInvariantTransposedConv):
        layer = kind(dimensions, 2, 3, kernel, **setting).double()
        sums = (TRANSPOSED if layer.transposed else PLAIN)[dimensions]
        plain = sums(full.x, layer.weight, **setting)
        cells = sums(
            torch.ones_like(full.x[:, :1]), torch.ones_like(layer.weight[:1, :1]), **setting
        )
        scale = 1.0 if layer.mean else kernel**dimensions
        bias = layer.bias.view(-1, *[1] * dimensions)
        reached = (cells > 0).double()  # a stride above the kernel leaves gaps
        expected = scale * plain / cells.clamp(min=1) + bias
        y = layer(full)
        torch.testing.assert_close(y.x, expected)
        assert torch.equal(y.observed, reached)


def test_partial_convolution_of_a_full_window_is_the_plain_one() -> None:
    layer = PartialConv(2, 2, 3, 3).double()
    full = ObservedImage.from_dense(images(2).x)
    torch.testing.assert_close(layer(full).x, F.conv2d(full.x, layer.weight, layer.bias))


@given(windows(), st.integers(0, 99))
def test_agrees_with_a_loop_over_windows(window, seed) -> None:
    dimensions, kernel, stride, padding = window
    image = images(dimensions, 4, seed=seed)
    pad = [padding] * (2 * dimensions)
    known, seen = (F.pad(each, pad) for each in (image.known, image.observed))
    for kind in (SparsityInvariantConv, PartialConv, NormalizedConv):
        layer = kind(dimensions, 2, 3, kernel, stride=stride, padding=padding).double()
        y = layer(image)
        for o in itertools.product(*map(range, y.x.shape[2:])):
            place = (slice(None), slice(None), *(slice(s * stride, s * stride + kernel) for s in o))
            n = seen[place].flatten(1).sum(1)
            weight = F.softplus(layer.weight) if kind is NormalizedConv else layer.weight
            total = (known[place][:, None] * weight).flatten(2).sum(2)
            below = n[:, None].clamp(min=1)
            if kind is NormalizedConv:
                below = (seen[place][:, None] * weight).flatten(2).sum(2)
                confidence = below / weight.flatten(1).sum(1)
                torch.testing.assert_close(y.observed[(..., *o)], confidence)
                below = below.clamp(min=1e-300)
            else:
                assert torch.equal(y.observed[(..., *o)][:, 0], (n > 0).double())
            scale = kernel**dimensions if kind is PartialConv else 1
            expected = scale * total / below + layer.bias
            if kind is PartialConv:
                expected = torch.where(n[:, None] > 0, expected, 0)
            torch.testing.assert_close(y.x[(..., *o)], expected)


@every_layer
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_what_is_unobserved_never_matters(kind, dimensions) -> None:
    layer = kind(dimensions, 2, 3, 3, padding=1, density=True).double()
    nn.init.normal_(layer.density)
    image = images(dimensions)
    outcomes = []
    for junk in (0.0, 1e30, math.nan, math.inf):
        x = torch.where(image.observed > 0, image.x, junk).requires_grad_()
        y = layer(ObservedImage(x, image.observed))
        layer.zero_grad()
        y.x.square().sum().backward()
        gradients = [parameter.grad.clone() for parameter in layer.parameters()]
        assert (x.grad[(image.observed == 0).expand_as(x)] == 0).all()
        outcomes.append((y.x, y.observed, x.grad, *gradients))
    for other in outcomes[1:]:
        assert all(map(torch.equal, outcomes[0], other))
        assert all(each.isfinite().all() for each in other)


@every_layer
def test_where_nothing_is_observed(kind) -> None:
    layer = kind(2, 1, 3, 3, padding=1, density=True)
    nn.init.ones_(layer.density)
    blind = ObservedImage.from_dense(torch.full((1, 1, 4, 4), math.nan), torch.zeros(4, 4).bool())
    y = layer(blind)
    bias = layer.bias.view(3, 1, 1).expand(3, 4, 4)
    assert torch.equal(y.x[0], torch.zeros_like(bias) if kind is PartialConv else bias)
    assert (y.observed == 0).all()


@every_layer
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_gradients_are_right(kind, dimensions) -> None:
    layer = kind(dimensions, 2, 2, 3, stride=2, padding=1, density=True).double()
    image = images(dimensions, 3)
    names = [name for name, _ in layer.named_parameters()]
    parameters = [p.detach().clone().requires_grad_() for p in layer.parameters()]

    def value(x: Tensor, *given: Tensor) -> Tensor:
        state = dict(zip(names, given, strict=True))
        return torch.func.functional_call(layer, state, (ObservedImage(x, image.observed),)).x

    inputs = (image.x.clone().requires_grad_(), *parameters)
    assert torch.autograd.gradcheck(value, inputs)
    assert torch.autograd.gradgradcheck(value, inputs)


def test_confidences_have_gradients_too() -> None:
    layer = NormalizedConv(1, 2, 2, 3, padding=1).double()
    x = images(1).x
    confidence = torch.rand_like(x).add(0.1).requires_grad_()

    def both(confidence: Tensor) -> tuple[Tensor, Tensor]:
        y = layer(ObservedImage(x, confidence))
        return y.x, y.observed

    assert torch.autograd.gradcheck(both, (confidence,))


def test_a_normalised_mean_lies_between_its_values() -> None:
    layer = NormalizedConv(2, 2, 4, 3, bias=False).double()
    image = images(2)
    y = layer(image)
    x = y.x[0][y.observed[0] > 0]
    seen = image.x[0][(image.observed[0] > 0).expand_as(image.x[0])]
    assert x.min() >= seen.min()
    assert x.max() <= seen.max()
    # and the scale of all confidences does not matter, only their ratios
    fainter = layer(ObservedImage(image.x, 0.25 * image.observed))
    torch.testing.assert_close(fainter.x, y.x)
    torch.testing.assert_close(fainter.observed, 0.25 * y.observed)


@pytest.mark.parametrize("observed", range(1, 5))
def test_expectation_over_all_maps_of_so_many_cells_is_that_of_the_full_one(observed) -> None:
    # Exact: every choice of n of the K = 4 cells, so every exchangeable distribution.
    x = torch.randn(1, 2, 2, 2, dtype=torch.float64)
    maps = torch.zeros(math.comb(4, observed), 4)
    for row, chosen in zip(maps, itertools.combinations(range(4), observed), strict=True):
        row[list(chosen)] = 1
    image = ObservedImage(x.expand(len(maps), 2, 2, 2), maps.view(-1, 1, 2, 2).double())
    for kind in (SparsityInvariantConv, PartialConv):
        layer = kind(2, 2, 3, 2).double()
        full = layer(ObservedImage.from_dense(x)).x[0]
        torch.testing.assert_close(layer(image).x.mean(0), full, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("density", [0.02, 0.05, 0.2, 0.5, 1.0])
def test_expectation_does_not_depend_on_the_density(density) -> None:
    maps, draw = 40_000, torch.Generator().manual_seed(1)
    x = torch.rand(1, 1, 5, 5, generator=draw, dtype=torch.float64) + 0.5
    layer = SparsityInvariantConv(2, 1, 1, 5, bias=False).double()
    nn.init.uniform_(layer.weight, 0, 2, generator=draw)
    observed = torch.rand(maps, 5, 5, generator=draw) < density
    image = ObservedImage.from_dense(x.expand(maps, 1, 5, 5), observed)
    target = float(F.conv2d(x, layer.weight.detach()) / 25)
    y = layer(image)
    got = y.x.detach()[y.observed > 0]
    error = float(got.std() / math.sqrt(len(got)))
    assert abs(float(got.mean()) - target) < 4 * error + 1e-12
    assert error < 0.01 * target
    plain = F.conv2d(image.known, layer.weight).detach()
    error = float(plain.std() / math.sqrt(maps))
    assert abs(float(plain.mean()) - density * 25 * target) < 4 * error + 1e-9


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("expected", [0.02, 0.3, 1.0])
def test_initial_weights_give_the_variance_of_the_plain_layer(kernel, expected) -> None:
    channels, shape = 32, (8, 32, 24, 24)
    x = torch.randn(shape)
    plain = nn.Conv2d(channels, 256, kernel, bias=False)(x).detach().var()
    # Exactly so many cells of every window: those of one row of a periodic pattern.
    number = max(1, round(expected * kernel**2))
    observed = torch.zeros(kernel**2)
    observed[:number] = 1
    tiles = math.ceil(24 / kernel)
    observed = observed.view(kernel, kernel).repeat(tiles, tiles)[:24, :24]
    image = ObservedImage.from_dense(x, observed.bool())
    for kind in (SparsityInvariantConv, PartialConv):
        y = kind(2, channels, 256, kernel, bias=False, expected=expected)(image)
        ratio = float(y.x.detach().var() / plain)
        # Rounding to whole cells, and 5 % for the draws.
        assert ratio == pytest.approx(max(expected * kernel**2, 1) / number, rel=0.05)


def test_torch_would_draw_the_weights_too_small() -> None:
    # By K where all of the window is observed and by sqrt(K) where one cell is: not one factor.
    layers = [SparsityInvariantConv(2, 4, 64, 5, expected=each) for each in (1, 1 / 25)]
    all_seen, one_seen, plain = (
        float(layer.weight.detach().std()) for layer in (*layers, nn.Conv2d(4, 64, 5))
    )
    assert all_seen / plain == pytest.approx(25, rel=0.05)
    assert one_seen / plain == pytest.approx(5, rel=0.05)


@every_layer
def test_density_channel_starts_at_zero_and_gives_the_density(kind) -> None:
    torch.manual_seed(3)
    informed = kind(1, 1, 2, 2, density=True).double()
    torch.manual_seed(3)
    plain = kind(1, 1, 2, 2).double()
    x = torch.ones(1, 1, 4, dtype=torch.float64)
    sparse = ObservedImage.from_dense(x, torch.tensor([True, True, False, True]))
    assert torch.equal(informed(sparse).x, plain(sparse).x)
    nn.init.ones_(informed.density)
    change = (informed(sparse).x - plain(sparse).x)[0]
    if kind is SparsityInvariantConv or kind is PartialConv:
        expected = torch.tensor([1.0, 0.5, 0.5]).double().expand(2, 3)
    elif kind is NormalizedConv:
        expected = plain(sparse).observed[0]
        assert expected[0, 0] == 1
    else:
        expected = torch.tensor([0.5, 1, 0.5, 0.5, 0.5]).double().expand(2, 5)
    torch.testing.assert_close(change, expected)


def test_maps_of_channels_are_kept_apart() -> None:
    layer = SparsityInvariantConv(1, 2, 1, 2, bias=False).double()
    x = images(1, 6).x
    shared = torch.rand(3, 6) < 0.5
    one = layer(ObservedImage.from_dense(x, shared))
    both = layer(ObservedImage.from_dense(x, shared[:, None].expand(3, 2, 6)))
    torch.testing.assert_close(both.x, one.x)
    # A dead channel leaves the mean of the others, as if it were there.
    dead = torch.tensor([True, False])[:, None].expand(3, 2, 6)
    alone = SparsityInvariantConv(1, 1, 1, 2, bias=False).double()
    alone.weight.data = layer.weight.data[:, :1]
    y = layer(ObservedImage.from_dense(x, dead))
    torch.testing.assert_close(y.x, 2 * alone(ObservedImage.from_dense(x[:, :1])).x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimensions": 4}, "dimensions: got 4, expected 1 to 3"),
        ({"kernel": (3,)}, r"kernel: got \(3,\), expected 2 positive sizes"),
        ({"kernel": 0}, "kernel: got 0, expected 2 positive sizes"),
        ({"expected": 0.0}, "expected: got 0.0, expected a fraction above 0, up to 1"),
    ],
)
def test_refuses_what_cannot_be(change, message) -> None:
    setting = {"dimensions": 2, "in_channels": 1, "out_channels": 1} | change
    with pytest.raises(ArgumentError, match=message):
        SparsityInvariantConv(**setting)


@pytest.mark.gpu
@every_layer
def test_device_does_not_matter(kind) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    layer, image = kind(2, 2, 3, 3).double(), images(2)
    expected = layer(image)
    there = ObservedImage(image.x.cuda(), image.observed.cuda())
    y = layer.cuda()(there)
    torch.testing.assert_close(y.x.cpu(), expected.x)
    torch.testing.assert_close(y.observed.cpu(), expected.observed)
