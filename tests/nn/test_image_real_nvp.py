"""Multi-scale Real NVP is invertible, its Jacobian is that of autograd, and it integrates to 1."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd.functional import jacobian

from pcgen.errors import ArgumentError
from pcgen.nn import ImageRealNVP

SHAPES = [(1,), (8,), (5, 3), (8, 8), (6, 10), (2, 2, 12), (7, 16, 3)]


def drawn(shape: tuple[int, ...], condition_channels: int = 2) -> ImageRealNVP:
    torch.manual_seed(0)
    flow = ImageRealNVP(shape, condition_channels=condition_channels, hidden=5).double()
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return flow


@pytest.mark.parametrize("shape", SHAPES)
def test_the_inverse_gives_the_image_again(shape: tuple[int, ...]) -> None:
    flow, image = drawn(shape), torch.randn(3, 1, *shape, dtype=torch.float64)
    condition = torch.randn(3, 2, dtype=torch.float64)
    noise, _ = flow(image, condition)
    assert noise.shape == (3, math.prod(shape))
    torch.testing.assert_close(flow.inverse(noise, condition), image, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES[:6])
def test_the_volume_is_the_determinant_of_the_jacobian(shape: tuple[int, ...]) -> None:
    flow, image = drawn(shape), torch.randn(2, 1, *shape, dtype=torch.float64)
    condition = torch.randn(2, 2, dtype=torch.float64)
    volume = flow(image, condition)[1]
    for event in range(2):
        slope = jacobian(lambda x, c=condition[event]: flow(x[None], c[None])[0][0], image[event])
        found = torch.linalg.slogdet(slope.reshape(math.prod(shape), -1)).logabsdet
        torch.testing.assert_close(found, volume[event])


def test_the_density_integrates_to_one() -> None:
    flow = drawn((2,), 0)
    axis = torch.linspace(-12, 12, 601, dtype=torch.float64)
    image = torch.cartesian_prod(axis, axis)[:, None]
    with torch.no_grad():
        noise, volume = flow(image)
    density = (volume - 0.5 * noise.square().sum(1)).exp() / (2 * math.pi)
    assert float(density.sum()) * 0.04**2 == pytest.approx(1, abs=1e-6)


def test_it_starts_as_a_reordering() -> None:
    image = torch.randn(2, 1, 8, 4)
    noise, volume = ImageRealNVP((8, 4), hidden=3)(image)
    assert torch.equal(noise.sort(1).values, image.flatten(1).sort(1).values)
    assert volume.tolist() == [0, 0]


def test_every_cell_is_mapped_and_depends_on_the_others() -> None:
    flow = drawn((8, 8), 0)
    slope = jacobian(lambda x: flow(x[None])[0][0], torch.randn(1, 8, 8, dtype=torch.float64))
    assert int((slope.reshape(64, 64) != 0).sum(1).min()) > 1


def test_reset_parameters_draws_what_the_constructor_drew() -> None:
    torch.manual_seed(3)
    new = ImageRealNVP((8, 8), condition_channels=2, hidden=5).double()
    old = drawn((8, 8))
    torch.manual_seed(3)
    old.float().reset_parameters()
    for name, value in new.state_dict().items():
        assert torch.equal(old.state_dict()[name].double(), value), name


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ArgumentError, match="expected 1 to 3 axes"):
        ImageRealNVP((2, 2, 2, 2))
    with pytest.raises(ArgumentError, match=r"image: got \(2, 1, 4\), expected \(events, 1, 8\)"):
        ImageRealNVP((8,))(torch.zeros(2, 1, 4))
    with pytest.raises(ArgumentError, match="condition: got None"):
        ImageRealNVP((8,), condition_channels=2)(torch.zeros(2, 1, 8))
