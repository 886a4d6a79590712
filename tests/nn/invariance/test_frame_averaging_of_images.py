"""Frames and canonical poses of images: any backbone invariant, any generator equivariant."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pcgen.nn import (
    Canonical,
    FrameAverage,
    GlobalPool,
    GridGroup,
    ObservedImage,
    ObservedPool,
    Posed,
    RandomPose,
    SparseImage,
    SparsityInvariantConv,
    SubmanifoldConv,
    flips,
    quarter_turns,
    symmetries,
)

WRAPPERS = (FrameAverage, Canonical)


class Net(nn.Module):
    def __init__(self, axes: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.out = nn.Linear(2 * 4**axes, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.out(image.flatten(1)).tanh()


GRID_GROUPS = [quarter_turns(2), symmetries(2), flips(2), flips(3), quarter_turns(3), symmetries(1)]


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("elements", GRID_GROUPS)
def test_images_may_lie_as_they_like(wrapper, elements) -> None:
    axes, group = len(elements[0].axes), GridGroup(elements)
    image = torch.randn(6, 2, *[4] * axes, dtype=torch.float64)
    net = wrapper(Net(axes).double(), group)
    code = net(image)
    for each in elements:
        torch.testing.assert_close(net(each(image)), code, rtol=1e-12, atol=1e-12)
    assert (net.backbone(elements[-1](image)) - net.backbone(image)).abs().max() > 1e-2


class Sparse(nn.Module):
    """Convolutions at active sites."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = SubmanifoldConv(2, 2, 4), GlobalPool()

    def forward(self, image: Tensor) -> Tensor:
        return self.pool(self.conv(SparseImage.from_dense(image)))


class Observed(nn.Module):
    """Convolutions of what is observed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SparsityInvariantConv(2, 2, 4, 3, density=True)
        self.pool = ObservedPool(2, "mean")

    def forward(self, image: ObservedImage) -> Tensor:
        return self.pool(self.conv(image)).x.flatten(1)


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("kind", [Sparse, Observed])
def test_invariance_goes_with_either_kind_of_sparse_network(wrapper, kind) -> None:
    image = torch.randn(5, 2, 6, 6, dtype=torch.float64)
    image = image * (torch.rand(5, 1, 6, 6) < 0.3)
    if kind is Observed:
        image = ObservedImage.from_dense(image, torch.rand(5, 6, 6) < 0.6)
    net = wrapper(kind().double(), GridGroup(symmetries(2)))
    code = net(image)
    for each in symmetries(2):
        torch.testing.assert_close(net(each(image)), code, rtol=1e-12, atol=1e-12)
        back = Posed(nn.Identity(), net.group)(each(image))
        if kind is Observed:
            assert torch.equal(back.known, each(image).known)


@pytest.mark.parametrize("elements", GRID_GROUPS)
def test_generated_images_lie_as_what_was_given(elements) -> None:
    axes, group = len(elements[0].axes), GridGroup(elements)
    image = torch.randn(6, 2, *[4] * axes, dtype=torch.float64)
    ramp = torch.arange(4.0**axes).view([4] * axes)

    class Generator(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return (image * ramp).cumsum(-1)

    generator = Posed(Generator(), group)
    for each in elements:
        assert torch.equal(generator(each(image)), each(generator(image)))


def test_random_poses_of_images_are_uniform_and_exact() -> None:
    group = GridGroup(symmetries(2))
    image = torch.arange(9.0).view(1, 1, 3, 3).expand(8000, 1, 3, 3)

    class Same(nn.Module):
        def forward(self, image: Tensor, generator: torch.Generator | None = None) -> Tensor:
            return image

    draw = torch.Generator().manual_seed(0)
    turned = RandomPose(Same(), group)(image, generator=draw)
    kinds, counts = turned.flatten(1).unique(dim=0, return_counts=True)
    assert len(kinds) == 8
    assert (counts - 1000).abs().max() < 5 * math.sqrt(1000)
    pose = group.random(image, draw)
    assert torch.equal(pose.standard(pose.restore(image)), image)
