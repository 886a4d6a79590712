"""Showers and clouds: exact round trips on ragged binnings, conservation, refusals by event."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pcgen import clouds as cloud
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter
from pcgen.images import cloud_to_shower, shower_overflow, shower_to_cloud

CALORIMETERS = (
    Calorimeter.cylindrical([(0, 1, 2.5, 10), (0, 5), (0, 2, 4)], [4, 1, 3], numbers=(0, 3, 12)),
    Calorimeter.cylindrical([(0.5, 1, 4), (0.5, 1, 4)], [5, 5], depth=(0, 3.4, 6.8)),
    Calorimeter.planar([(-2, 0, 1), (-1, 1)], [(-3, 0, 0.1, 3), (0, 1, 2, 3, 4)]),
)


@st.composite
def showers(draw: st.DrawFn) -> tuple[Calorimeter, Tensor]:
    calorimeter = draw(st.sampled_from(CALORIMETERS))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    shape = (draw(st.integers(0, 4)), calorimeter.voxels)
    dtype = draw(st.sampled_from((torch.float32, torch.float64)))
    voxels = torch.rand(shape, generator=generator, dtype=dtype).exp() * 10 ** draw(
        st.floats(-6, 6)
    )
    return calorimeter, voxels * (torch.rand(shape, generator=generator) < draw(st.floats(0, 1)))


@given(showers(), st.booleans())
def test_there_and_back_is_exact(case: tuple[Calorimeter, Tensor], named: bool) -> None:
    calorimeter, voxels = case
    clouds = shower_to_cloud(voxels, calorimeter, y=voxels.new_ones(len(voxels), 1))
    assert cloud.sizes(clouds).tolist() == (voxels > 0).sum(1).tolist()
    clouds = clouds if named else cloud.replace(clouds, layer=None)
    assert torch.equal(cloud_to_shower(clouds, calorimeter), voxels)
    assert not bool(shower_overflow(clouds, calorimeter).points.any())


@given(showers(), st.floats(0, 3))
def test_what_is_not_above_the_threshold_is_empty(
    case: tuple[Calorimeter, Tensor], cut: float
) -> None:
    calorimeter, voxels = case
    back = cloud_to_shower(shower_to_cloud(voxels, calorimeter, threshold=cut), calorimeter)
    assert torch.equal(back, torch.where(voxels > cut, voxels, 0))


@given(st.sampled_from(CALORIMETERS), st.integers(0, 99), st.booleans())
def test_points_anywhere_conserve_energy(calorimeter: Calorimeter, seed: int, clip: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    pos = torch.empty(30, 3, dtype=torch.double).uniform_(-6, 6, generator=generator)
    weight = torch.rand(30, dtype=torch.double, generator=generator)
    clouds = cloud.make(pos, [12, 0, 18], weight=weight)
    back = cloud_to_shower(clouds, calorimeter, outside="clip" if clip else "drop")
    lost = 0 if clip else shower_overflow(clouds, calorimeter).weight
    torch.testing.assert_close(back.sum(1) + lost, cloud.total(clouds))


def test_several_points_in_a_voxel_add_up() -> None:
    calorimeter = CALORIMETERS[0]
    pos = torch.tensor([[0.1, 0.1, 0.5], [0.2, 0.3, 0.7], [3.0, 0.0, 1.5]])
    back = cloud_to_shower(cloud.make(pos, [3], weight=torch.tensor([1.0, 2.0, 4.0])), calorimeter)
    assert back.nonzero()[:, 1].tolist() == [6, 12]
    assert back[0, [6, 12]].tolist() == [3.0, 4.0]


def test_the_gradient_of_a_voxel_is_one_to_each_of_its_points() -> None:
    calorimeter, weight = CALORIMETERS[0], torch.ones(2, requires_grad=True)
    clouds = cloud.make(torch.tensor([[0.1, 0.1, 0.5], [3.0, 0.0, 1.5]]), [2], weight=weight)
    (cloud_to_shower(clouds, calorimeter) * torch.arange(19.0)).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [6.0, 12.0]


@pytest.mark.parametrize("bad", [-1.0, torch.nan, torch.inf])
def test_bad_energies_are_named_by_event(bad: float) -> None:
    voxels = torch.ones(4, CALORIMETERS[0].voxels)
    voxels[2, 13] = bad
    with pytest.raises(DataError, match=r"voxel 13 \(layer 12\) of event 2: got (-1.0|nan|inf)"):
        shower_to_cloud(voxels, CALORIMETERS[0])
    good = shower_to_cloud(voxels.new_ones(voxels.shape), CALORIMETERS[0])
    with pytest.raises(DataError, match=r"weight of event 2"):
        cloud_to_shower(cloud.replace(good, weight=voxels.flatten()), CALORIMETERS[0])


def test_points_outside_are_counted_or_refused() -> None:
    calorimeter = CALORIMETERS[0]
    pos = torch.tensor([[0.0, 0.5, 0.5], [0.0, 11.0, 0.5], [0.0, 0.5, 3.5]])
    clouds = cloud.make(pos, [1, 2], weight=torch.tensor([1.0, 2.0, 4.0]))
    over = shower_overflow(clouds, calorimeter)
    assert (over.points.tolist(), over.weight.tolist()) == ([0, 2], [0.0, 6.0])
    with pytest.raises(DataError, match=r"got 2 of 3 points outside .* in 1 of 2 .* event 1"):
        cloud_to_shower(clouds, calorimeter)
    assert cloud_to_shower(clouds, calorimeter, outside="drop").sum() == 1
    clipped = cloud_to_shower(clouds, calorimeter, outside="clip")
    assert clipped[1].nonzero().flatten().tolist() == [11, 17]


def test_what_does_not_fit_is_refused() -> None:
    calorimeter = CALORIMETERS[0]
    with pytest.raises(ArgumentError, match=r"voxels: got torch.float32 \(2, 3\)"):
        shower_to_cloud(torch.ones(2, 3), calorimeter)
    with pytest.raises(ArgumentError, match="threshold: got -1"):
        shower_to_cloud(torch.ones(2, 19), calorimeter, threshold=-1)
    with pytest.raises(ArgumentError, match="outside: got 'keep'"):
        cloud_to_shower(cloud.make(torch.ones(1, 3), [1]), calorimeter, outside="keep")
    with pytest.raises(DataError, match="pos: got 2 columns, expected 3"):
        cloud_to_shower(cloud.make(torch.ones(1, 2), [1]), calorimeter)


def test_integers_are_energies_too() -> None:
    voxels = torch.zeros(1, 19, dtype=torch.int32)
    voxels[0, 3] = 7
    assert shower_to_cloud(voxels, CALORIMETERS[0]).weight.tolist() == [7.0]


def test_noise_below_a_threshold_is_empty() -> None:
    voxels = torch.zeros(2, 19)
    voxels[0, 3], voxels[1, 5] = -0.3, 7.0
    assert shower_to_cloud(voxels, CALORIMETERS[0], threshold=1.0).weight.tolist() == [7.0]
    with pytest.raises(DataError, match=r"voxel 3 .*of event 0: got -0\.3"):
        shower_to_cloud(voxels, CALORIMETERS[0])
    for bad in (torch.nan, torch.inf, -torch.inf):
        voxels[0, 3] = bad
        with pytest.raises(DataError, match="voxel 3"):
            shower_to_cloud(voxels, CALORIMETERS[0], threshold=1.0)


def test_numpy_is_taken_as_torch_is() -> None:
    voxels = torch.rand(2, 19)
    clouds = shower_to_cloud(voxels.numpy(), CALORIMETERS[0], y=voxels[:, :1].numpy())
    assert torch.equal(clouds.weight, voxels.flatten())
    assert torch.equal(clouds.y, voxels[:, :1])
