"""Rotations, flips and shifts: groups, the same on images and on clouds, and what they invent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image, image_to_cloud
from pcgen.nn import (
    Affine,
    GridSymmetry,
    ObservedImage,
    PeriodicShift,
    PointNet,
    RandomAffine,
    RandomTransform,
    TIPool,
    flips,
    periodic_shifts,
    quarter_turns,
    rotation,
    symmetries,
    warp,
)
from pcgen.ops.segments import segment_sum

PLANE = Grid.regular({"a": (-4, 4, 8), "b": (-4, 4, 8)})
SPACE = Grid.regular({"a": (-2, 2, 4), "b": (-2, 2, 4), "c": (-2, 2, 4)})


def sparse_images(grid: Grid, occupancy: float, events: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    value = torch.rand(events, *grid.shape, generator=draw, dtype=torch.float64) + 0.1
    return value * (torch.rand(value.shape, generator=draw) < occupancy)


@pytest.mark.parametrize(("dimensions", "order", "rotations"), [(1, 2, 1), (2, 8, 4), (3, 48, 24)])
def test_symmetries_are_a_group(dimensions: int, order: int, rotations: int) -> None:
    every = symmetries(dimensions)
    assert len(set(every)) == order
    assert len(quarter_turns(dimensions)) == rotations
    assert len(flips(dimensions)) == 2**dimensions
    image = torch.arange(3.0**dimensions).view(1, 1, *[3] * dimensions)
    copies = {tuple(each(image).flatten().tolist()) for each in every}
    assert len(copies) == order
    for one in every[:: max(1, order // 8)]:
        assert torch.equal(one.inverse(one(image)), image)
        assert torch.equal(one(one.inverse(image)), image)
        products = {tuple(one(each(image)).flatten().tolist()) for each in every}
        assert products == copies


@pytest.mark.parametrize("grid", [PLANE, SPACE])
def test_symmetries_move_clouds_as_their_images(grid: Grid) -> None:
    image = sparse_images(grid, 0.2, 3)
    clouds = image_to_cloud(image, grid)
    for each in symmetries(len(grid.axes)):
        turned = each(clouds)
        assert turned.get("cell") is None
        assert torch.equal(cloud_to_image(turned, grid), each(image[:, None])[:, 0])


@pytest.mark.parametrize("quarter", range(4))
def test_rotations_agree_with_quarter_turns(quarter: int) -> None:
    image = sparse_images(PLANE, 0.2, 3)
    clouds = image_to_cloud(image, PLANE)
    turn = rotation(quarter * math.pi / 2)
    exact = next(
        each
        for each in quarter_turns(2)
        if torch.allclose(each(clouds).pos, turn(clouds).pos, atol=1e-12)
    )
    torch.testing.assert_close(turn(image[:, None]), exact(image[:, None]), rtol=0, atol=1e-12)


def test_the_third_axis_is_left_alone() -> None:
    turn, image = rotation(0.3), torch.rand(2, 1, 5, 5, 3, dtype=torch.float64)
    for layer in range(3):
        torch.testing.assert_close(turn(image)[..., layer], turn(image[..., layer]))
    clouds = pc.make(torch.randn(4, 3), [4])
    assert torch.equal(turn(clouds).pos[:, 2], clouds.pos[:, 2])
    assert rotation(0.3, (0, 2), 3)(clouds).pos[:, 1].equal(clouds.pos[:, 1])


@given(st.floats(-4, 4), st.floats(0.5, 2), st.integers(-2, 2), st.integers(-2, 2))
def test_interpolation_is_exact_for_what_is_linear(angle, scale, down, right) -> None:
    # A linear image stays linear: away from the edge, warped values are those of the formula.
    rows, columns = torch.meshgrid(*[torch.arange(21.0).double() - 10] * 2, indexing="ij")
    image = (2 + 0.3 * rows - 0.2 * columns)[None, None]
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    move = Affine(((c, -s), (s, c)), (float(down), float(right)))
    u = torch.stack([rows, columns], -1) - image.new_tensor(move.shift)
    source = u @ torch.linalg.inv(image.new_tensor(move.matrix)).mT
    expected = 2 + source @ image.new_tensor([0.3, -0.2])
    inside = (source.abs() < 10).all(-1)
    torch.testing.assert_close(move(image)[0, 0][inside], expected[inside])


def test_whole_shifts_are_exact_and_lose_what_leaves() -> None:
    image = torch.rand(2, 3, 6, 5, dtype=torch.float64)
    moved = Affine(((1, 0), (0, 1)), (2, -1))(image)
    torch.testing.assert_close(moved[:, :, 2:, :-1], image[:, :, :-2, 1:])
    assert moved[:, :, :2].abs().max() < 1e-12
    around = PeriodicShift((2, -1))(image)
    torch.testing.assert_close(around[:, :, 2:, :-1], moved[:, :, 2:, :-1])
    assert around.sum() == pytest.approx(float(image.sum()))


def test_warping_has_the_right_gradients() -> None:
    image = torch.rand(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    matrix = torch.tensor([[0.9, 0.3], [-0.2, 1.1]], dtype=torch.float64, requires_grad=True)
    shift = torch.tensor([0.21, -0.13], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(warp, (image, matrix, shift))


def test_rotating_a_sparse_image_fills_cells_where_rotating_points_fills_none() -> None:
    # Single hits in general position: a cell is reached by the 2 x 2 square about its source,
    # 4 cells on average. Clustered hits share some of theirs.
    grid = Grid.regular({"a": (-10, 10, 20), "b": (-10, 10, 20)})
    draw = torch.Generator().manual_seed(0)
    rows = torch.arange(20.0) - 9.5
    disc = (rows[:, None] ** 2 + rows**2 < 8**2).double()
    image = sparse_images(grid, 0.026, 64) * disc
    cores = 3 * torch.randn(64, 1, 2, generator=draw).clamp(-1, 1)
    jets = cores + torch.randn(64, 12, 2, generator=draw)
    jets = pc.make(jets.flatten(0, 1).double(), [12] * 64)
    clustered = cloud_to_image(jets, grid, outside="clip")
    factors = {}
    for name, each in (("scattered", image), ("clustered", clustered)):
        clouds = image_to_cloud(each, grid)
        filled, energy = [], []
        for angle in (torch.rand(20, generator=draw) * 2 * math.pi).tolist():
            turned = rotation(angle)(each[:, None])
            filled.append(float((turned > 0).sum() / (each > 0).sum()))
            energy.append(float(turned.sum() / each.sum()))
            points = rotation(angle)(clouds)
            assert pc.sizes(points).equal(pc.sizes(clouds))
            assert torch.equal(points.weight, clouds.weight)
            cells = cloud_to_image(points, grid, outside="clip") > 0
            assert cells.sum() <= (each > 0).sum()
        # Measured: 3.83 where hits are scattered, 2.39 where a dozen of them cluster.
        factors[name] = sum(filled) / len(filled)
        assert sum(energy) / len(energy) == pytest.approx(1, abs=0.02)
    assert 3.7 < factors["scattered"] < 4
    assert 2 < factors["clustered"] < 3


def test_what_is_unobserved_stays_so_when_it_is_moved() -> None:
    observed = torch.ones(8, 8, dtype=torch.bool)
    observed[2:4, 5] = False
    image = torch.where(observed, torch.rand(2, 3, 8, 8, dtype=torch.float64), math.nan)
    image = ObservedImage.from_dense(image, observed)
    for each in (*quarter_turns(2), PeriodicShift((1, 3))):
        turned = each(image)
        assert torch.equal(turned.known, each(image.known))
        assert torch.equal(turned.observed, each(image.observed))
    # Where half a cell is known, its value is that of the half: a constant stays constant.
    flat = ObservedImage(torch.where(image.observed > 0, 7.0, math.nan), image.observed)
    turned = rotation(0.4)(flat)
    known = turned.observed > 0
    torch.testing.assert_close(turned.x[known], torch.full_like(turned.x[known], 7.0))
    assert (turned.x[~known] == 0).all()
    assert 0 < turned.observed[known].min() < 1
    assert turned.observed.sum() < image.observed.sum()  # corners left, nothing came in


class Net(nn.Module):
    """A small convolutional network that sees where things are."""

    def __init__(self, size: int, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(2, 4, 3)
        self.out = nn.Linear(4 * (size - 2) ** 2, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(image).tanh().flatten(1))


@pytest.mark.parametrize("reduce", ["max", "mean"])
@pytest.mark.parametrize(
    "group",
    [quarter_turns(2), symmetries(2), flips(2), periodic_shifts((5, 5)), periodic_shifts((1, 5))],
)
def test_pooling_over_a_group_is_exactly_invariant_on_images(group: Sequence, reduce: str) -> None:
    image, net = torch.randn(3, 2, 5, 5, dtype=torch.float64), Net(5).double()
    pooled = TIPool(net, group, reduce)
    code = pooled(image)
    for each in group:
        torch.testing.assert_close(pooled(each(image)), code, rtol=1e-12, atol=1e-12)
    changes = torch.stack([net(each(image)) - net(image) for each in group])
    assert changes.abs().max() > 0.1


@settings(max_examples=10)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.sampled_from(["max", "mean"]))
def test_pooling_over_a_group_is_exactly_invariant_on_clouds(sizes, reduce) -> None:
    clouds = pc.make(torch.randn(sum(sizes), 2, dtype=torch.float64), sizes)
    net = PointNet(2, 3, hidden=(8, 8), head=(8,), pooling=(segment_sum,)).double()
    turns = [rotation(2 * math.pi * k / 24) for k in range(24)]
    pooled = TIPool(net, turns, reduce)
    for each in turns[::5]:
        torch.testing.assert_close(pooled(each(clouds)), pooled(clouds), rtol=1e-10, atol=1e-10)


def test_interpolated_pooling_is_not_exact() -> None:
    image, net = torch.randn(3, 2, 9, 9, dtype=torch.float64), Net(9).double()
    pooled = TIPool(net, [rotation(math.pi * k / 4) for k in range(8)], "mean")
    quarter, eighth = rotation(math.pi / 2), rotation(math.pi / 4)
    torch.testing.assert_close(pooled(quarter(image)), pooled(image), rtol=1e-9, atol=1e-9)
    assert (pooled(eighth(image)) - pooled(image)).abs().max() > 1e-3


def test_random_transforms_are_for_training_one_a_pass() -> None:
    layer = RandomTransform(RandomAffine(shift=1.0, scale=1.5, flip=True))
    image = torch.rand(1, 2, 6, 6).expand(4, 2, 6, 6)
    clouds = pc.make(torch.randn(3, 2), [2, 1], weight=torch.ones(3))
    assert layer.eval()(image) is image
    assert layer(clouds) is clouds
    layer.train()
    draw = [torch.Generator().manual_seed(5) for _ in range(3)]
    moved = layer(image, draw[0])
    assert torch.equal(moved, moved[:1].expand_as(moved))
    assert not torch.equal(moved, image)
    assert torch.equal(layer(image, draw[1]), moved)
    # Points and images are moved alike.
    there = layer(clouds, draw[2])
    matrix, shift = torch.linalg.lstsq(
        torch.cat([clouds.pos, torch.ones(3, 1)], 1), there.pos
    ).solution.split([2, 1])
    torch.testing.assert_close(warp(image, matrix.mT, shift[0]), moved, atol=1e-4, rtol=1e-4)


@given(st.integers(0, 999))
def test_random_affine_maps_stay_within_their_bounds(seed) -> None:
    distribution = RandomAffine(angle=0.5, scale=2.0, shift=3.0, flip=True)
    move = distribution.draw(torch.Generator().manual_seed(seed))
    matrix = torch.tensor(move.matrix, dtype=torch.float64)
    scale = float(torch.linalg.det(matrix).abs().sqrt())
    assert 0.5 <= scale <= 2
    torch.testing.assert_close(matrix.mT @ matrix, scale**2 * torch.eye(2).double())
    assert abs(math.atan2(matrix[1, 0], matrix[0, 0])) <= 0.5 + 1e-12
    assert max(map(abs, move.shift)) <= 3


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(ArgumentError, match=r"axes, signs: got \(0, 0\), \(1, 1\), expected"):
        GridSymmetry((0, 0), (1, 1))
    with pytest.raises(ArgumentError, match="axes, signs: got"):
        GridSymmetry((0, 1), (1, 2))
    with pytest.raises(ArgumentError, match=r"image: got \(1, 1, 3\), expected \[B, C\] and 2"):
        quarter_turns(2)[0](torch.zeros(1, 1, 3))
    with pytest.raises(ArgumentError, match=r"image: got \(1, 1, 3\), expected 2 or 3 axes"):
        rotation(0.1)(torch.zeros(1, 1, 3))
    with pytest.raises(ArgumentError, match="transformations: got none"):
        TIPool(nn.Identity(), [])
    with pytest.raises(ArgumentError, match="reduce: got 'sum', expected 'max' or 'mean'"):
        TIPool(nn.Identity(), quarter_turns(2), "sum")
