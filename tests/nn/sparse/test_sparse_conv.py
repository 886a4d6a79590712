"""Layers of sparse images against torch's dense layers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from sparse_lattices import Lattice, gather, lattices, random_lattice
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.nn import (
    Cellwise,
    GlobalPool,
    SiteNorm,
    SparseConv,
    SparseImage,
    SparseInverseConv,
    SparsePool,
    SparseTransposedConv,
    SubmanifoldConv,
)
from pcgen.ops.segments import segment_sum

EXACT = {"rtol": 0, "atol": 1e-12}


def image_on(case: Lattice, channels: int = 3, *, ground: bool = False) -> SparseImage:
    x = torch.randn(len(case.sites), channels, dtype=torch.float64)
    return SparseImage(x, case.sites, torch.randn(channels).double() if ground else None)


def twins(sparse: nn.Module, dense: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Both in float64 with the same weights: their state dictionaries are interchangeable."""
    sparse.load_state_dict(dense.state_dict())
    return sparse.double(), dense.double()


@given(case=lattices((1, 3)), half=st.integers(0, 2), bias=st.booleans())
def test_submanifold_is_torch_at_the_active_sites(case, half, bias):
    dimensions, size = len(case.sites.shape), 2 * half + 1
    layer, dense = twins(
        SubmanifoldConv(dimensions, 3, 2, size, bias=bias),
        getattr(nn, f"Conv{dimensions}d")(3, 2, size, padding=half, bias=bias),
    )
    image = image_on(case)
    got = layer(image)
    assert got.sites is image.sites
    torch.testing.assert_close(got.x, gather(dense(case.scatter(image.x)), case.sites), **EXACT)


@given(
    case=lattices((1, 3)),
    size=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
)
def test_strided_is_torch_at_its_sites_and_inverse_leads_back(case, size, stride, padding):
    assume(min(case.sites.shape) + 2 * padding >= size)
    dimensions, how = len(case.sites.shape), {"stride": stride, "padding": padding}
    layer, dense = twins(
        SparseConv(dimensions, 3, 2, size, **how),
        getattr(nn, f"Conv{dimensions}d")(3, 2, size, **how),
    )
    image = image_on(case)
    down = layer(image)
    torch.testing.assert_close(down.x, gather(dense(case.scatter(image.x)), down.sites), **EXACT)
    assert down.sites.shape == dense(case.scatter(image.x)).shape[2:]
    back = SparseInverseConv(dimensions, 2, 3, size, **how).double()
    up = back(down, image.sites)
    assert up.sites is image.sites
    # The adjoint of a dense layer with the same weights, whatever cells no window reached.
    canvas = case.scatter(image.x).requires_grad_()
    convolution = getattr(nn.functional, f"conv{dimensions}d")
    result = convolution(canvas, back.weight, **how)
    (expected,) = torch.autograd.grad(result, canvas, down.dense())
    torch.testing.assert_close(up.x, gather(expected, case.sites) + back.bias, **EXACT)


def test_inverse_is_torch_transposed():
    case = random_lattice((8, 7), 0.3)
    how = {"stride": 2, "padding": 1}
    back, dense = twins(SparseInverseConv(2, 3, 2, 3, **how), nn.ConvTranspose2d(3, 2, 3, **how))
    image = image_on(case)
    down = SparsePool(3, "sum", **how)(image)
    expected = dense(down.dense(), output_size=(8, 7))
    torch.testing.assert_close(back(down, image.sites).x, gather(expected, case.sites), **EXACT)


@given(case=lattices((1, 3)), size=st.integers(1, 3), stride=st.integers(1, 3))
def test_transposed_is_torch_where_it_reaches(case, size, stride):
    dimensions = len(case.sites.shape)
    how = {"stride": stride, "output_padding": stride - 1}
    layer, dense = twins(
        SparseTransposedConv(dimensions, 3, 2, size, **how),
        getattr(nn, f"ConvTranspose{dimensions}d")(3, 2, size, **how),
    )
    image = image_on(case)
    got, expected = layer(image), dense(case.scatter(image.x))
    assert got.sites.shape == expected.shape[2:]
    torch.testing.assert_close(got.x, gather(expected, got.sites), **EXACT)


def dense_layer(conv: nn.Module, image: Tensor, ground: Tensor, margin: int) -> Tensor:
    """A dense layer on the lattice that goes on beyond its edges in the ground state."""
    batch, channels, *shape = image.shape
    around = ground.view(1, -1, *[1] * len(shape)).expand(
        batch, channels, *(size + 2 * margin for size in shape)
    )
    inner = (..., *(slice(margin, size + margin) for size in shape))
    around = around.clone()
    around[inner] = image
    return conv(around)


@given(case=lattices((1, 3)))
def test_with_ground_state_a_network_is_the_dense_one_in_every_cell(case):
    assume(min(case.sites.shape) >= 3)
    dimensions = len(case.sites.shape)
    conv = getattr(nn, f"Conv{dimensions}d")
    first, first_dense = twins(SparseConv(dimensions, 3, 4, 3, padding=1), conv(3, 4, 3))
    second, second_dense = twins(
        SparseConv(dimensions, 4, 2, 3, stride=2, padding=1), conv(4, 2, 3, stride=2)
    )
    norm = SiteNorm(4).double().eval()
    with torch.no_grad():
        for parameter in (*norm.parameters(), *norm.buffers()):
            parameter.uniform_(0.5, 2.0)

    image = image_on(case, ground=True)
    got = first(image)
    expected = dense_layer(first_dense, image.dense(), image.ground, 1)
    torch.testing.assert_close(got.dense(), expected, **EXACT)
    got = Cellwise(nn.LeakyReLU())(norm(got))
    scale = norm.weight / (norm.variance + norm.epsilon).sqrt()
    spread = [-1] + [1] * dimensions
    expected = (expected - norm.mean.view(spread)) * scale.view(spread) + norm.bias.view(spread)
    expected = nn.functional.leaky_relu(expected)
    torch.testing.assert_close(got.dense(), expected, **EXACT)
    expected = dense_layer(second_dense, expected, got.ground, 1)
    torch.testing.assert_close(second(got).dense(), expected, **EXACT)


@pytest.mark.parametrize("reduce", ["max", "mean", "sum"])
@given(case=lattices((1, 3)), stride=st.integers(1, 3))
def test_with_ground_state_pooling_is_dense_in_every_cell(reduce, case, stride):
    assume(min(case.sites.shape) >= 2)
    dimensions = len(case.sites.shape)
    image = image_on(case, ground=True)
    got = SparsePool(2, reduce, stride=stride)(image).dense()
    if reduce == "max":
        expected = getattr(nn, f"MaxPool{dimensions}d")(2, stride)(image.dense())
    else:
        expected = getattr(nn, f"AvgPool{dimensions}d")(2, stride)(image.dense())
        expected = expected * (2**dimensions if reduce == "sum" else 1)
    torch.testing.assert_close(got, expected, **EXACT)


def test_maximum_behind_a_relu_is_the_dense_one():
    case = random_lattice((6, 8), 0.3)
    image = image_on(case).map(torch.relu)
    pooled = SparsePool(2)(image)
    torch.testing.assert_close(pooled.dense(), nn.MaxPool2d(2)(image.dense()), **EXACT)


def unet(dimensions: int) -> nn.ModuleList:
    return nn.ModuleList(
        [
            SubmanifoldConv(dimensions, 3, 4),
            SiteNorm(4),
            SparseConv(dimensions, 4, 5, 2, stride=2),
            SubmanifoldConv(dimensions, 5, 5),
            SparseInverseConv(dimensions, 5, 2, 2, stride=2),
        ]
    ).double()


def run_unet(layers: nn.ModuleList, image: SparseImage) -> SparseImage:
    first, norm, down, deep, up = layers
    fine = norm(first(image)).map(torch.relu)
    return up(deep(down(fine)), fine.sites)


def test_a_network_builds_each_rulebook_once():
    case = random_lattice((8, 8), 0.3)
    image = image_on(case)
    run_unet(unet(2), image)
    kept = dict(case.sites.rulebooks)
    assert {key[0] for key in kept} == {"submanifold", "strided"}
    run_unet(unet(2), image)
    assert all(case.sites.rulebooks[key] is value for key, value in kept.items())
    assert len(case.sites.rulebooks) == len(kept)


@given(lattices((1, 4)))
def test_a_network_is_translation_equivariant_in_steps_of_its_stride(case):
    layers = unet(len(case.sites.shape)).eval()
    image = image_on(case)
    room = [2 * s + 4 for s in case.sites.shape]
    active = torch.zeros(len(case.active), *room, dtype=torch.bool)
    results = []
    for shift in (0, 2):
        active[...] = False
        active[(..., *(slice(shift, shift + s) for s in case.sites.shape))] = case.active
        moved = SparseImage.from_dense(active[:, None].double(), active)
        results.append(run_unet(layers, SparseImage(image.x, moved.sites)).x)
    torch.testing.assert_close(*results, **EXACT)


def test_events_without_sites_and_derivatives_of_a_network():
    case = random_lattice((5, 4), 0.4, events=3)
    assert case.sites.ptr[1] == 0
    layers = unet(2)

    def value(x: Tensor) -> Tensor:
        return GlobalPool((segment_sum,))(run_unet(layers, SparseImage(x, case.sites)))

    x = image_on(case).x.requires_grad_()
    assert value(x).shape == (3, 2)
    assert value(x)[0].abs().max() == 0
    assert torch.autograd.gradcheck(value, (x,))
    assert torch.autograd.gradgradcheck(value, (x,))


def test_no_sites_at_all():
    image = SparseImage.from_dense(torch.zeros(2, 3, 4, 4, dtype=torch.float64))
    layers = unet(2)
    result = run_unet(layers, image)
    assert result.x.shape == (0, 2)
    assert GlobalPool()(result).tolist() == [[0.0] * 4] * 2
    assert result.dense().shape == (2, 2, 4, 4)
    GlobalPool()(result).sum().backward()
    assert layers[1].mean.abs().max() == 0
    assert layers[1].variance.tolist() == [1.0] * 4


def test_norm_is_torch_over_the_active_sites():
    case = random_lattice((6, 6), 0.5)
    norm, dense = SiteNorm(3).double(), nn.BatchNorm1d(3).double()
    for _ in range(3):
        image = image_on(case)
        torch.testing.assert_close(norm(image).x, dense(image.x), **EXACT)
    torch.testing.assert_close(norm.mean, dense.running_mean)
    torch.testing.assert_close(norm.variance, dense.running_var)
    norm.eval(), dense.eval()
    torch.testing.assert_close(norm(image).x, dense(image.x), **EXACT)


def test_norm_of_one_site_uses_the_running_averages_and_keeps_them():
    norm = SiteNorm(2)
    norm.mean += 1.0
    active = torch.zeros(1, 3, dtype=torch.bool)
    active[0, 1] = True
    image = SparseImage.from_dense(torch.tensor([[[0.0, 3, 0], [0, 1, 0]]]), active)
    torch.testing.assert_close(norm(image).x, torch.tensor([[2.0, 0.0]]), rtol=1e-4, atol=0)
    assert norm.mean.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_layers_start_as_torch_draws_them(dimensions):
    pairs = [
        (SparseConv(dimensions, 4, 8, 3), getattr(nn, f"Conv{dimensions}d")),
        (SparseTransposedConv(dimensions, 4, 8, 3), getattr(nn, f"ConvTranspose{dimensions}d")),
    ]
    for layer, dense in pairs:
        torch.manual_seed(1)
        again = type(layer)(dimensions, 4, 8, 3)
        torch.manual_seed(1)
        other = dense(4, 8, 3)
        assert torch.equal(again.weight, other.weight)
        assert torch.equal(again.bias, other.bias)


def test_refuses_what_does_not_fit():
    case = random_lattice((6, 6), 0.5)
    image, grounded = image_on(case), image_on(case, ground=True)
    for layer in (SubmanifoldConv(2, 3, 2), SparseTransposedConv(2, 3, 2)):
        with pytest.raises(ArgumentError, match=f"ground state.* for {type(layer).__name__}"):
            layer.double()(grounded)
    with pytest.raises(ArgumentError, match=r"sites: got .* lead to other sites than the"):
        SparseInverseConv(2, 3, 2, 2, stride=2).double()(image, image.sites)
    with pytest.raises(ArgumentError, match="dimensions: got 5, expected 1 to 4"):
        SparseConv(5, 1, 1)
    with pytest.raises(ArgumentError, match=r"kernel: got \(3, 3\), expected 3 positive sizes"):
        SparseConv(3, 1, 1, (3, 3))
    with pytest.raises(ArgumentError, match="momentum, epsilon: got 2"):
        SiteNorm(3, momentum=2)
