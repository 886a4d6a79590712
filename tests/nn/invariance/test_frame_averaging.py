"""Frames and canonical poses of clouds: any backbone invariant, any generator equivariant."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import (
    Canonical,
    EPiCEncoder,
    Euclidean,
    FrameAverage,
    PointNet,
    Posed,
    RandomPose,
    SetDecoder,
    rotation,
)
from pcgen.ops.segments import segment_mean, segment_sum

GROUPS = [
    Euclidean(d, *parts)
    for d in (1, 2, 3)
    for parts in itertools.product((True, False), repeat=3)
    if any(parts)
]
WRAPPERS = (FrameAverage, Canonical)
sizes_lists = st.lists(st.integers(0, 8), min_size=1, max_size=5)


def clouds_of(sizes: list[int], dimensions: int, seed: int = 0) -> Batch:
    """Weighted clouds with a feature, one coordinate more than what turns, of unequal axes."""
    draw = torch.Generator().manual_seed(seed)
    kind = {"generator": draw, "dtype": torch.float64}
    pos = torch.randn(sum(sizes), dimensions + 1, **kind) * torch.arange(1, dimensions + 2)
    x, weight = torch.randn(sum(sizes), 1, **kind), torch.rand(sum(sizes), **kind) + 0.1
    return pc.make(pos, sizes, x=x, weight=weight)


def backbone(dimensions: int) -> nn.Module:
    torch.manual_seed(1)
    net = PointNet(dimensions + 2, 3, hidden=(8, 8), head=(8,), pooling=(segment_sum, segment_mean))
    return net.double()


def somewhere(clouds: Batch, group: Euclidean, seed: int = 0) -> tuple[Batch, Tensor, Tensor]:
    """The clouds moved by a random element of the group for each, and these."""
    draw = torch.Generator().manual_seed(seed)
    matrix = group.random(clouds, draw).matrix
    shift = torch.zeros(clouds.num_graphs, group.dimensions, dtype=torch.float64)
    if group.translations:
        shift = 3 * torch.randn(shift.shape, generator=draw, dtype=torch.float64)
    return act(clouds, matrix, shift), matrix, shift


def act(clouds: Batch, matrix: Tensor, shift: Tensor) -> Batch:
    d = shift.shape[1]
    u = torch.einsum("nj,nij->ni", clouds.pos[:, :d], matrix[clouds.batch]) + shift[clouds.batch]
    return pc.replace(clouds, pos=torch.cat([u, clouds.pos[:, d:]], 1))


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=8)
@given(sizes_lists, st.integers(0, 99))
def test_clouds_may_lie_as_they_like(wrapper, group: Euclidean, sizes, seed) -> None:
    clouds = clouds_of(sizes, group.dimensions, seed)
    net = wrapper(backbone(group.dimensions), group)
    other, _, _ = somewhere(clouds, group, seed)
    torch.testing.assert_close(net(other), net(clouds), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_is_not_in_the_group_still_matters(wrapper) -> None:
    clouds, mirror = (
        clouds_of([6, 7], 2),
        torch.tensor([[-1.0, 0], [0, 1]]).double().expand(2, 2, 2),
    )
    net = wrapper(backbone(2), Euclidean(2, reflections=False))
    assert (net(act(clouds, mirror, torch.zeros(2, 2).double())) - net(clouds)).abs().min() > 1e-6
    fixed = wrapper(backbone(2), Euclidean(2, translations=False))
    still = torch.eye(2).double().expand(2, 2, 2)
    assert (fixed(act(clouds, still, torch.ones(2, 2).double())) - fixed(clouds)).abs().min() > 1e-6
    assert (net(pc.replace(clouds, x=clouds.x + 1)) - net(clouds)).abs().min() > 1e-6


@pytest.mark.parametrize("name", ["epic", "pointnet"])
def test_any_encoder_goes_in(name) -> None:
    torch.manual_seed(0)
    made = {"epic": EPiCEncoder(3, 4, hidden=8, global_channels=4), "pointnet": PointNet(3, 4)}
    group = Euclidean(2)
    clouds = clouds_of([5, 0, 9, 1], 2)
    clouds = pc.replace(clouds, pos=clouds.pos[:, :2])
    net = FrameAverage(made[name].double(), group)
    other, _, _ = somewhere(clouds, group)
    torch.testing.assert_close(net(other), net(clouds), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_frames_are_the_principal_axes(dimensions) -> None:
    clouds = clouds_of([30], dimensions)
    upright = Euclidean(dimensions).canonical(clouds).standard(clouds)
    weight = clouds.weight / clouds.weight.sum()
    u = upright.pos[:, :dimensions]
    assert (weight @ u).abs().max() < 1e-12
    second = (weight[:, None] * u).mT @ u
    assert (second - second.diagonal().diag()).abs().max() < 1e-12
    assert (second.diagonal().diff() < 0).all()
    assert (weight @ u**3 > 0).all()
    assert torch.equal(upright.pos[:, dimensions:], clouds.pos[:, dimensions:])
    rotations = Euclidean(dimensions, reflections=False)
    for pose in rotations.frames(clouds):
        assert float(torch.linalg.det(pose.matrix)) == pytest.approx(1)
    assert len(rotations.frames(clouds)) == 2 ** (dimensions - 1)
    assert len(Euclidean(dimensions).frames(clouds)) == 2**dimensions


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("group", [Euclidean(3), Euclidean(3, reflections=False)])
def test_clouds_without_extent_in_a_direction_are_exact(wrapper, group) -> None:
    # Empty, one point, copies of one, two points, and points on a line: eigenvalues of 0 agree.
    line = torch.linspace(-1, 1, 5)[:, None].double() ** 2 * torch.tensor([1.0, 2.0, -1.0]).double()
    pos = torch.cat([torch.ones(1, 3), torch.ones(3, 3), torch.randn(2, 3)]).double()
    clouds = pc.make(torch.cat([pos, line]), [0, 1, 3, 2, 5])
    net = wrapper(PointNet(3, 3, hidden=(8, 8), head=(8,), pooling=(segment_sum,)).double(), group)
    other, _, _ = somewhere(clouds, group)
    torch.testing.assert_close(net(other), net(clouds), rtol=1e-10, atol=1e-10)
    assert group.isotropy(clouds).tolist() == [0, 0, 0, 0, 0]


def test_weights_of_zero_are_taken_as_equal_ones() -> None:
    clouds = clouds_of([4], 2)
    zero = pc.replace(clouds, weight=torch.zeros_like(clouds.weight))
    equal = pc.replace(clouds, weight=torch.ones_like(clouds.weight))
    group = Euclidean(2)
    assert torch.equal(group.canonical(zero).matrix, group.canonical(equal).matrix)


def polygon(corners: int, chiral: bool) -> Batch:
    """A regular polygon, with a second one inside, turned by less than half a side."""
    angle = torch.arange(corners).double() * 2 * math.pi / corners + 0.2
    pos = torch.stack([angle.cos(), angle.sin()], 1)
    within = rotation(0.3)(pc.make(0.6 * pos, [corners])).pos
    return pc.make(torch.cat([pos, within]) if chiral else pos, [corners * (1 + chiral)])


@pytest.mark.parametrize("reflections", [True, False])
@pytest.mark.parametrize("chiral", [True, False])
@pytest.mark.parametrize("corners", [3, 4, 5, 6])
def test_regular_polygons_are_exact_in_the_plane(corners, chiral, reflections) -> None:
    clouds, group = polygon(corners, chiral), Euclidean(2, reflections=reflections)
    assert float(group.isotropy(clouds)) == pytest.approx(1)
    net = PointNet(2, 3, hidden=(8, 8), head=(8,), pooling=(segment_sum,)).double()
    for wrapper in WRAPPERS:
        if wrapper is Canonical and (corners == 5 or (chiral and reflections)):
            continue  # two different poses that no third moment distinguishes
        posed = wrapper(net, group)
        for seed in range(4):
            other, _, _ = somewhere(clouds, group, seed)
            torch.testing.assert_close(posed(other), posed(clouds), rtol=1e-9, atol=1e-9)


def test_equal_moments_without_symmetry_are_exact_in_the_plane() -> None:
    # Equal second moments without any symmetry: whitened points.
    pos = clouds_of([7], 1).pos
    pos = pos - pos.mean(0)
    pos = pos @ torch.linalg.inv(torch.linalg.cholesky(pos.mT @ pos)).mT
    clouds, group = pc.make(pos, [7]), Euclidean(2)
    assert float(group.isotropy(clouds)) == pytest.approx(1)
    net = PointNet(2, 3, hidden=(8, 8), head=(8,), pooling=(segment_sum,)).double()
    net = FrameAverage(net, group)
    for seed in range(4):
        other, _, _ = somewhere(clouds, group, seed)
        torch.testing.assert_close(net(other), net(clouds), rtol=1e-9, atol=1e-9)


def test_a_cube_has_no_frame_and_an_isotropy_of_one() -> None:
    cube = pc.make(torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * 3), [8])
    group = Euclidean(3)
    assert float(group.isotropy(cube)) == pytest.approx(1)
    net = PointNet(3, 3, hidden=(8, 8), head=(8,), pooling=(segment_sum,)).double()
    net, turn = FrameAverage(net, group), rotation(0.3, dimensions=3)
    assert (net(turn(cube)) - net(cube)).abs().max() > 1e-6
    # ... but the least asymmetry gives it one
    nearly = pc.replace(cube, pos=cube.pos * torch.tensor([1.02, 1.0, 0.99]).double())
    assert 0.9 < float(group.isotropy(nearly)) < 1
    torch.testing.assert_close(net(turn(nearly)), net(nearly), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_gradients_are_right_and_finite(dimensions) -> None:
    group = Euclidean(dimensions)
    net = FrameAverage(backbone(dimensions), group)
    clouds = clouds_of([4, 5], dimensions)

    def value(pos: Tensor) -> Tensor:
        return net(pc.replace(clouds, pos=pos))

    assert torch.autograd.gradcheck(value, clouds.pos.clone().requires_grad_())
    # Invariance of the value is invariance of the gradient: no force or torque.
    pos = clouds.pos.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(pos).sum(), pos)
    force = segment_sum(gradient[:, :dimensions], clouds.ptr)
    torque = gradient[:, 0] * pos[:, 1] - gradient[:, 1] * pos[:, 0]
    assert force.abs().max() < 1e-10
    assert segment_sum(torque, clouds.ptr).abs().max() < 1e-9
    ones = torch.ones(3, dimensions + 1, dtype=torch.float64, requires_grad=True)
    poor = pc.make(ones, [0, 1, 2], x=torch.ones(3, 1).double())
    net(poor).sum().backward()
    assert poor.pos.grad.isfinite().all()


def test_second_derivatives_of_frames_are_right() -> None:
    net = FrameAverage(backbone(2), Euclidean(2))
    clouds = clouds_of([4], 2)

    def value(pos: Tensor) -> Tensor:
        return net(pc.replace(clouds, pos=pos)).sum(1)

    assert torch.autograd.gradgradcheck(value, clouds.pos.clone().requires_grad_())


class Wobble(nn.Module):
    """A generator from clouds to other clouds that sees where they lie, one point less each."""

    def forward(self, clouds: Batch, push: float = 0.1) -> Batch:
        keep = torch.ones_like(clouds.batch, dtype=torch.bool)
        first = clouds.ptr[:-1][pc.sizes(clouds) > 0]
        keep[first] = False
        smaller = pc.select_points(clouds, keep)
        return pc.replace(smaller, pos=smaller.pos.sin() + push)


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_generated_lies_as_what_was_given(group: Euclidean) -> None:
    clouds = clouds_of([7, 0, 1, 5], group.dimensions)
    generator = Posed(Wobble(), group)
    other, matrix, shift = somewhere(clouds, group)
    expected = act(generator(clouds, push=0.3), matrix, shift)
    got = generator(other, push=0.3)
    assert torch.equal(got.ptr, expected.ptr)
    torch.testing.assert_close(got.pos, expected.pos, rtol=1e-10, atol=1e-10)


def test_standard_and_restored_is_what_was_given() -> None:
    clouds = clouds_of([5, 0, 3], 2)
    for pose in Euclidean(2).frames(clouds):
        torch.testing.assert_close(pose.restore(pose.standard(clouds)).pos, clouds.pos)


@pytest.mark.parametrize("group", [Euclidean(2), Euclidean(3, reflections=False)])
def test_random_poses_keep_the_shape_of_what_was_generated(group: Euclidean) -> None:
    decoder = SetDecoder(4, group.dimensions, 1, hidden=8, global_channels=4).double()
    code, sizes = torch.randn(3, 4, dtype=torch.float64), torch.tensor([4, 0, 6])
    turned = RandomPose(decoder, group)(code, sizes, generator=torch.Generator().manual_seed(3))
    plain = decoder(code, sizes, generator=torch.Generator().manual_seed(3))
    assert not torch.allclose(turned.pos, plain.pos)
    still = Euclidean(group.dimensions, group.rotations, group.reflections, False)
    one, other = (still.canonical(each).standard(each) for each in (turned, plain))
    torch.testing.assert_close(one.pos, other.pos)
    assert torch.equal(turned.x, plain.x)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_random_poses_are_uniform(dimensions) -> None:
    number, draw = 20_000, torch.Generator().manual_seed(0)
    clouds = pc.make(torch.zeros(number, dimensions).double(), [1] * number)
    for reflections in (True, False):
        matrix = Euclidean(dimensions, reflections=reflections).random(clouds, draw).matrix
        eye = torch.eye(dimensions).double().expand_as(matrix)
        torch.testing.assert_close(matrix.mT @ matrix, eye)
        # Haar: entries have mean 0, variance 1/D; the trace squared has mean 1 (2 in SO(2)).
        assert matrix.mean(0).abs().max() < 4 / math.sqrt(number * dimensions)
        assert matrix.square().mean(0) == pytest.approx(1 / dimensions, abs=0.01)
        trace = matrix.diagonal(dim1=1, dim2=2).sum(1).square().mean()
        commutes = dimensions == 2 and not reflections
        assert float(trace) == pytest.approx(2 if commutes else 1, abs=0.05)
        hand = torch.linalg.det(matrix).mean()
        assert float(hand) == pytest.approx(0 if reflections else 1, abs=0.03)


def test_refuses_clouds_of_too_few_columns() -> None:
    with pytest.raises(ArgumentError, match="pos: got 2 columns, expected at least 3"):
        Euclidean(3).frames(pc.make(torch.zeros(2, 2), [2]))


@pytest.mark.gpu
def test_device_does_not_matter() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    clouds, net = clouds_of([5, 0, 1], 3), FrameAverage(backbone(3), Euclidean(3))
    expected = net(clouds)
    torch.testing.assert_close(net.cuda()(clouds.to("cuda")).cpu(), expected)


@pytest.mark.parametrize("wrapper", [FrameAverage, Canonical])
def test_a_condition_is_passed_on_to_the_backbone(wrapper: type[nn.Module]) -> None:
    clouds = pc.make(torch.randn(5, 2), [3, 2])
    encoder = EPiCEncoder(2, 3, hidden=8, condition_channels=2)
    net, y = wrapper(encoder, Euclidean(2)), torch.randn(2, 2)
    torch.testing.assert_close(net(clouds, y), net(pc.replace(clouds, y=y)))
