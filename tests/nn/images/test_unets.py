"""Velocity fields on dense images and on active sites: one function where all is active."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import DenseReading, ImageUNet, ObservedReading, SiteReading

EXACT = {"rtol": 0, "atol": 1e-10}
DENSE, SITES = DenseReading(), SiteReading()
every_reading = pytest.mark.parametrize("reading", [DENSE, SITES])


def net(reading: DenseReading | SiteReading, shape: tuple[int, ...], **options: int) -> ImageUNet:
    """In float64, with a last layer that is not zero."""
    field = ImageUNet(shape, reading, **{"channels": 3, "hidden": 5} | options).double()
    for parameter in field.net.leave.parameters():
        nn.init.normal_(parameter)
    return field


def lattice_clouds(shape: tuple[int, ...], occupancy: float, events: int = 3) -> pc.Batch:
    """Clouds of active cells with random values; the first is empty unless all is active."""
    active = torch.rand(events, *shape) < occupancy
    active[0] &= occupancy == 1
    index = active.nonzero()
    x = torch.randn(len(index), 1).double()
    sizes = active.flatten(1).sum(1)
    return pc.make(index[:, 1:].double() + 0.5, sizes, x=x, cell=index[:, 1:])


def at_cells(image: Tensor, clouds: pc.Batch) -> Tensor:
    """Dense images [B, C, *shape] at the cells of the points [N, C]."""
    return image.movedim(1, -1)[(clouds.batch, *clouds.cell.unbind(1))]


@pytest.mark.parametrize("shape", [(11,), (25, 25), (8, 6), (5, 7, 3), (1, 4)])
def test_where_all_cells_are_active_the_two_are_one_function(shape):
    dense, sites = (net(reading, shape, condition_channels=2) for reading in (DENSE, SITES))
    sites.load_state_dict(dense.state_dict())
    clouds, condition = lattice_clouds(shape, 1.0), torch.randn(3, 2).double()
    image, time = clouds.x.view(3, 1, *shape), torch.rand(3).double()
    velocity = dense(image, time, condition)
    assert velocity.shape == image.shape
    torch.testing.assert_close(sites(clouds, time, condition), at_cells(velocity, clouds), **EXACT)


@every_reading
def test_it_starts_as_a_field_of_zeros_that_learns(reading):
    field = ImageUNet((9, 9), reading, channels=3)
    clouds, time = lattice_clouds((9, 9), 1.0), torch.rand(3)
    clouds.x = clouds.x.float()
    event = clouds.x.view(3, 1, 9, 9) if reading is DENSE else clouds
    velocity = field(event, time)
    assert bool((velocity == 0).all())
    (velocity - 1).square().sum().backward()
    assert float(field.net.leave.weight.grad.abs().sum()) > 0


def test_the_order_of_the_points_is_the_order_of_their_velocities():
    field, time = net(SITES, (9, 7)), torch.rand(3).double()
    clouds = lattice_clouds((9, 7), 0.3)
    order = torch.argsort(clouds.batch + torch.rand(len(clouds.batch)) * 0.9)
    assert bool((order.diff() < 0).any())
    shuffled = pc.make(
        clouds.pos[order], pc.sizes(clouds), x=clouds.x[order], cell=clouds.cell[order]
    )
    torch.testing.assert_close(
        field(shuffled, time), field(clouds, time)[order], rtol=0, atol=1e-12
    )


def test_an_event_does_not_depend_on_the_rest_of_its_batch():
    field, time = net(SITES, (9, 7)), torch.rand(4).double()
    clouds = lattice_clouds((9, 7), 0.3, events=4)
    alone = [field(pc.select(clouds, [i]), time[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(field(clouds, time), torch.cat(alone), rtol=0, atol=1e-12)
    dense, image = net(DENSE, (9, 7)), torch.randn(4, 1, 9, 7).double()
    alone = [dense(image[i : i + 1], time[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(dense(image, time), torch.cat(alone), rtol=0, atol=1e-12)


@pytest.mark.parametrize("sizes", [[], [0], [0, 0, 0]])
def test_events_without_active_cells(sizes):
    field = net(SITES, (9, 9))
    cell = torch.zeros(0, 2, dtype=torch.long)
    clouds = pc.make(cell.double(), sizes, x=torch.zeros(0, 1).double(), cell=cell)
    velocity = field(clouds, torch.rand(len(sizes)).double())
    assert velocity.shape == (0, 1)
    velocity.sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in field.parameters() if p.grad is not None)


def test_one_cell_and_a_batch_of_no_images():
    cell = torch.tensor([[24, 24]])
    clouds = pc.make(cell.double(), [1], x=torch.ones(1, 1).double(), cell=cell)
    assert net(SITES, (25, 25))(clouds, torch.rand(1).double()).shape == (1, 1)
    none = torch.zeros(0, 1, 25, 25).double()
    assert net(DENSE, (25, 25))(none, torch.zeros(0).double()).shape == none.shape


@every_reading
def test_derivatives(reading):
    field, time = net(reading, (5, 3), condition_channels=2, levels=1), torch.rand(3).double()
    clouds = lattice_clouds((5, 3), 1.0 if reading is DENSE else 0.4)

    def velocity(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        event = x.view(3, 1, 5, 3) if reading is DENSE else pc.replace(clouds, x=x)
        return field(event, time, condition)

    inputs = (clouds.x, time, torch.randn(3, 2).double())
    inputs = tuple(each.clone().requires_grad_() for each in inputs)
    assert torch.autograd.gradcheck(velocity, inputs)
    assert torch.autograd.gradgradcheck(velocity, inputs, fast_mode=True)


def test_each_event_has_its_own_time_and_condition():
    field = net(SITES, (6, 6), condition_channels=1)
    one = lattice_clouds((6, 6), 1.0, events=1)
    two = pc.concat([one, one])
    same, zero = torch.full((2,), 0.4).double(), torch.zeros(2, 1).double()

    def differ(time: Tensor, condition: Tensor) -> bool:
        first, second = field(two, time, condition).chunk(2)
        return not torch.allclose(first, second)

    assert not differ(same, zero)
    assert differ(torch.tensor([0.4, 0.5]).double(), zero)
    assert differ(same, torch.tensor([[0.0], [1.0]]).double())


def test_sites_far_apart_depend_on_each_other():
    field = net(SITES, (64, 64))
    cell = torch.tensor([[2, 2], [60, 60]])
    x = torch.ones(2, 1).double().requires_grad_()
    velocity = field(pc.make(cell.double(), [2], x=x, cell=cell), torch.ones(1).double())
    (gradient,) = torch.autograd.grad(velocity[0].sum(), x)
    assert bool((gradient != 0).all())


@every_reading
def test_refuses_what_does_not_fit(reading):
    field, clouds = net(reading, (4, 4), condition_channels=2), lattice_clouds((4, 4), 1.0)
    event = clouds.x.view(3, 1, 4, 4) if reading is DENSE else clouds
    with pytest.raises(ArgumentError, match=r"time: got \(2,\), expected \(3,\)"):
        field(event, torch.zeros(2).double(), torch.zeros(3, 2).double())
    with pytest.raises(ArgumentError, match="condition: got None"):
        field(event, torch.zeros(3).double())
    with pytest.raises(ArgumentError, match="levels: got -1"):
        ImageUNet((4, 4), reading, levels=-1)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ArgumentError, match="event: got"):
        net(DENSE, (4, 4))(torch.zeros(3, 1, 4, 5).double(), torch.zeros(3).double())


def test_images_at_active_sites_and_observed_images_are_refused():
    with pytest.raises(ArgumentError, match="expected clouds of active cells"):
        net(SITES, (4, 4))(torch.zeros(3, 1, 4, 4).double(), torch.zeros(3).double())
    with pytest.raises(ArgumentError, match="got ObservedReading, expected DenseReading"):
        net(ObservedReading(), (4, 4))
