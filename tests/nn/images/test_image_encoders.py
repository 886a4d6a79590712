"""Encoders of the three readings of an image: equal where they must be, and nowhere by chance."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import (
    DenseReading,
    ImageEncoder,
    ObservedImage,
    ObservedReading,
    SiteReading,
    SparseImage,
    SparsityInvariantConv,
)
from pcgen.nn.lattice import dense_positions, level_shapes

EXACT = {"rtol": 0, "atol": 1e-10}
SHAPE = (9, 6)
DENSE, OBSERVED, MISSING, SITES = (
    DenseReading(),
    ObservedReading(),
    ObservedReading(empty="missing"),
    SiteReading(),
)


def sparse(shape: tuple[int, ...], events: int = 4, occupancy: float = 0.1) -> Tensor:
    """Images with an empty event in front and values of at least 1 where they are filled."""
    filled = torch.rand(events, 1, *shape) < occupancy
    filled[0] = False
    return torch.where(filled, 1 + torch.rand(filled.shape), 0).double()


def clouds_of(image: Tensor) -> pc.Batch:
    filled = image[:, 0] != 0
    index = filled.nonzero()
    cell, sizes = index[:, 1:], filled.flatten(1).sum(1)
    return pc.make(cell.double() + 0.5, sizes, x=image[:, 0][filled][:, None], cell=cell)


def trio(shape: tuple[int, ...], **options: int) -> list[nn.Module]:
    return [
        ImageEncoder(shape, 2, reading, channels=3, hidden=5, **options).double()
        for reading in (DENSE, OBSERVED, SITES)
    ]


@pytest.mark.parametrize(
    ("shape", "halved"),
    [((25, 25), [25, 13, 7, 4]), ((32, 32), [32, 16, 8, 4]), ((4,), [4]), ((1,), [1])],
)
def test_levels_end_at_about_four_cells(shape, halved):
    assert [each[0] for each in level_shapes(shape)] == halved


@given(st.integers(1, 300))
def test_the_last_level_is_as_near_to_four_cells_as_halving_can_bring_it(size):
    last = level_shapes((size,))[-1][0]
    assert min(size, 3) <= last <= 6


@pytest.mark.parametrize("shape", [(11,), (9, 6), (5, 8, 3)])
def test_dense_and_sparse_networks_have_the_same_weights(shape):
    dense, observed, sites = trio(shape)
    shapes = {name: value.shape for name, value in dense.state_dict().items()}
    assert {name: value.shape for name, value in sites.state_dict().items()} == shapes
    without = {n: v.shape for n, v in observed.state_dict().items() if not n.endswith("density")}
    assert without == shapes


@pytest.mark.parametrize("shape", [(11,), (9, 6), (5, 8, 3)])
def test_where_all_cells_are_active_sites_give_the_dense_network(shape):
    dense, _, sites = trio(shape, condition_channels=3, levels=2)
    sites.load_state_dict(dense.state_dict())
    event, condition = torch.randn(3, 1, *shape).double(), torch.randn(3, 3).double()
    torch.testing.assert_close(sites(event, condition), dense(event, condition), **EXACT)
    torch.testing.assert_close(sites(clouds_of(event), condition), sites(event, condition), **EXACT)


def test_where_all_is_observed_the_interior_is_that_of_the_dense_network():
    """What is beyond the edge is unobserved to the one and zero to the other."""
    dense, observed, _ = trio((20, 20), levels=1)
    observed.load_state_dict(dense.state_dict(), strict=False)
    event = torch.randn(2, 1, 20, 20).double()
    event = torch.cat([event, dense_positions((20, 20), event)], 1)
    got, wanted = observed.pyramid(ObservedImage.from_dense(event)).x, dense.pyramid(event)
    inside = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(got[inside], wanted[inside], **EXACT)
    assert not torch.allclose(got[..., 0, :], wanted[..., 0, :])


def test_the_observed_network_is_one_of_sparsity_invariant_convolutions():
    """With weights K times larger, since what is unobserved is not read again."""
    observed = trio((9, 9), levels=1)[1]
    for parameter in observed.pyramid.parameters():
        nn.init.normal_(parameter)
    mean = nn.Sequential(
        SparsityInvariantConv(2, 3, 3, padding=1, density=True),
        observed.pyramid[1],
        SparsityInvariantConv(2, 3, 6, 2, stride=2, padding=1, density=True),
        observed.pyramid[3],
        SparsityInvariantConv(2, 6, 6, padding=1, density=True),
        observed.pyramid[5],
    ).double()
    mean.load_state_dict(observed.pyramid.state_dict())
    with torch.no_grad():
        for layer in (mean[0], mean[2], mean[4]):
            layer.weight.mul_(layer.taps)
    event = torch.randn(2, 3, 9, 9).double()
    image = ObservedImage.from_dense(event, torch.rand(2, 9, 9) < 0.1)
    assert bool((image.observed == 0).any())
    torch.testing.assert_close(mean(image).known, observed.pyramid(image).known, **EXACT)


READINGS = {
    "dense": DENSE,
    "active channel": DenseReading(active_channel=True),
    "observed": OBSERVED,
    "missing": MISSING,
    "sites": SITES,
}


@pytest.fixture(params=READINGS)
def encoder(request) -> nn.Module:
    reading, sizes = READINGS[request.param], {"channels": 3, "hidden": 5, "levels": 2}
    return ImageEncoder(SHAPE, 1, reading, condition_channels=2, **sizes).double()


def test_an_event_does_not_depend_on_the_rest_of_its_batch(encoder):
    event, condition = sparse(SHAPE), torch.randn(4, 2).double()
    alone = [encoder(event[i : i + 1], condition[i : i + 1]) for i in range(4)]
    together = encoder(event, condition)
    assert together.shape == (4, 1)
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-12)


def test_events_without_anything_have_values_and_derivatives(encoder):
    event = torch.zeros(2, 1, *SHAPE).double().requires_grad_()
    score = encoder(event, torch.randn(2, 2).double()).sum()
    (gradient,) = torch.autograd.grad(score, event, create_graph=True)
    penalty = gradient.square().sum()
    penalty.backward()
    assert bool(score.isfinite())
    assert bool(gradient.isfinite().all())
    derivatives = [p.grad for p in encoder.parameters() if p.grad is not None]
    assert all(bool(each.isfinite().all()) for each in derivatives)


def test_a_batch_of_no_events(encoder):
    assert encoder(torch.zeros(0, 1, *SHAPE).double(), torch.zeros(0, 2).double()).shape == (0, 1)


def test_a_network_of_conditions_wants_them(encoder):
    with pytest.raises(ArgumentError, match="condition: got None"):
        encoder(sparse(SHAPE))


def test_images_of_another_shape_are_refused(encoder):
    with pytest.raises(ArgumentError, match="event: got"):
        encoder(sparse((6, 9)), torch.zeros(4, 2).double())


def test_first_and_second_derivatives(encoder):
    """With respect to filled cells, moved so little that none becomes empty; R1 needs both."""
    event, condition = sparse(SHAPE, 2, 0.2), torch.randn(2, 2).double()
    event[:, 0, 3, 4] = 1.5
    weight = encoder.pyramid[0].weight.detach().clone().requires_grad_()
    bias = encoder.pyramid[0].bias.detach().clone() + 0.05

    def score(value: Tensor, weight: Tensor) -> Tensor:
        # Squared, since a network of leaky ReLUs alone is piecewise linear.
        changed = event.index_put(torch.where(event != 0), value)
        parameters = {"pyramid.0.weight": weight, "pyramid.0.bias": bias}
        return torch.func.functional_call(encoder, parameters, (changed, condition)).square()

    inputs = (event[event != 0].requires_grad_(), weight)
    assert torch.autograd.gradcheck(score, inputs, eps=1e-7, fast_mode=True)
    assert torch.autograd.gradgradcheck(score, inputs, eps=1e-7, fast_mode=True)


def test_the_mask_is_seen_and_passes_no_gradient():
    encoder = ImageEncoder(SHAPE, 1, DenseReading(active_channel=True), channels=3).double()
    with torch.no_grad():
        encoder.pyramid[0].weight[:, 0] = 0  # the values are not looked at
    event = sparse(SHAPE).requires_grad_()
    score = encoder(event)
    assert not torch.allclose(score[1:], score[0])
    (gradient,) = torch.autograd.grad(score.sum(), event)
    assert bool((gradient == 0).all())


def test_what_was_not_observed_does_not_matter():
    encoder = ImageEncoder(SHAPE, 2, OBSERVED, channels=3).double()
    event, observed = sparse(SHAPE), torch.rand(4, *SHAPE) > 0.3
    hidden = torch.where(observed[:, None], event, torch.nan)
    torch.testing.assert_close(encoder(hidden, observed=observed), encoder(event, None, observed))
    assert not torch.allclose(encoder(event), encoder(event, observed=observed))
    everywhere = observed[0].expand(4, *SHAPE)
    torch.testing.assert_close(
        encoder(event, observed=observed[0]), encoder(event, observed=everywhere)
    )


def full_and_scattered() -> Tensor:
    """Ones in all cells, and in every third one, so that each window of 3 holds one."""
    event = torch.ones(2, 1, 12, dtype=torch.float64)
    event[1, 0] = (torch.arange(12) % 3 == 1).double()
    return event


@pytest.mark.parametrize("density", [False, True])
def test_empty_as_missing_forgets_occupancy_unless_it_keeps_the_density(density):
    reading = ObservedReading(empty="missing", density=density)
    encoder = ImageEncoder((12,), 2, reading, channels=3, levels=0).double()
    with torch.no_grad():
        # Where a cell is does not matter here, neither in the lattice nor in the window.
        encoder.pyramid[0].weight.copy_(encoder.pyramid[0].weight.mean(2, keepdim=True))
        encoder.pyramid[0].weight[:, 1] = 0
        if density:
            encoder.pyramid[0].density.fill_(1.0)
    full, scattered = encoder(full_and_scattered())
    assert torch.allclose(full, scattered, rtol=0, atol=1e-10) is not density


def test_empty_as_missing_passes_no_gradient_to_empty_cells_and_sites_do_beside_filled_ones():
    event = torch.zeros(1, 1, 9, 9).double()
    event[0, 0, 4, 4] = 1.5
    beside = torch.nn.functional.max_pool2d(event, 3, stride=1, padding=1) > 0

    def reached(encoder: nn.Module) -> Tensor:
        leaf = event.clone().requires_grad_()
        return torch.autograd.grad(encoder.double()(leaf).sum(), leaf)[0] != 0

    assert torch.equal(reached(ImageEncoder((9, 9), 1, MISSING)), event != 0)
    assert torch.equal(reached(ImageEncoder((9, 9), 1, SITES)), beside)
    assert bool(reached(ImageEncoder((9, 9), 1)).all())


def test_the_order_of_the_points_does_not_matter():
    encoder = ImageEncoder(SHAPE, 2, SITES, channels=3).double()
    clouds = clouds_of(sparse(SHAPE, occupancy=0.3))
    order = torch.argsort(clouds.batch + torch.rand(len(clouds.batch)) * 0.9)
    shuffled = pc.make(
        clouds.pos[order], pc.sizes(clouds), x=clouds.x[order], cell=clouds.cell[order]
    )
    torch.testing.assert_close(encoder(shuffled), encoder(clouds), rtol=0, atol=1e-12)


def test_one_site_depends_on_where_it_is():
    encoder = ImageEncoder(SHAPE, 2, SITES, channels=3).double()
    cell = torch.tensor([[0, 0], [8, 5]])
    scores = encoder(pc.make(cell.double(), [1, 1], x=torch.ones(2, 1).double(), cell=cell))
    assert not torch.allclose(scores[0], scores[1])


@given(st.integers(1, 30), st.integers(0, 2**31))
def test_sites_fall_from_level_to_level_and_reach_no_further_than_windows(number, seed):
    """The cost: at most the sites of the level before, and all descend from filled cells."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(2, 1, 25, 25)
    image[1].view(-1)[torch.randperm(625, generator=generator)[:number]] = 1.0
    encoder = ImageEncoder((25, 25), 1, SITES, channels=2)
    step, numbers = SparseImage.from_clouds(clouds_of(image.double()), (25, 25)), []
    step = SparseImage(step.x.float().expand(-1, 3), step.sites)
    for layer in encoder.pyramid:
        step = layer(step)
        numbers.append(len(step.sites))
        cells = step.sites.shape[0] * step.sites.shape[1]
        assert bool((step.sites.owner == 1).all())
        assert len(step.sites) <= min(number, cells)
    assert all(later <= earlier for earlier, later in pairwise(numbers))


def test_gain_keeps_the_size_of_signals_through_the_levels():
    x = torch.randn(64, 3, 25, 25)
    last = ImageEncoder((25, 25), 1).pyramid(x).detach()
    assert 0.3 < float(last.square().mean().sqrt()) < 1.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImageEncoder((4, 4, 4, 4), 1), "shape: got 4 axes, expected 1 to 3"),
        (lambda: ImageEncoder((4, 0), 1), r"shape: got \(4, 0\), expected positive"),
        (lambda: ImageEncoder((4, 4), 1, SITES, levels=-1), "levels: got -1"),
        (lambda: ObservedReading(empty="zero"), "empty: got 'zero'"),
        (
            lambda: ImageEncoder((4, 4), 1, OBSERVED, continuous=True),
            "continuous: got True, expected False with ObservedReading",
        ),
    ],
)
def test_refuses_what_does_not_fit(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize("observed", [torch.ones(4, 4), torch.ones(2, 4, 4) > 0])
def test_what_was_observed_must_be_given_for_each_cell(observed):
    with pytest.raises(ArgumentError, match="observed: got"):
        ImageEncoder((4, 4), 1, OBSERVED)(torch.zeros(3, 1, 4, 4), observed=observed)


@pytest.mark.parametrize("reading", [DENSE, SITES])
def test_a_map_of_what_was_observed_has_no_meaning_for_the_other_readings(reading):
    encoder, observed = ImageEncoder((4, 4), 1, reading), torch.ones(4, 4) > 0
    with pytest.raises(ArgumentError, match=f"expected none with {type(reading).__name__}"):
        encoder(torch.zeros(3, 1, 4, 4), observed=observed)


@pytest.mark.parametrize(
    ("reading", "continuous", "opened", "jumps"),
    [
        (SITES, True, (9, 9), False),
        (SITES, False, (9, 9), True),
        (SITES, True, (3, 5), True),
        (DENSE, True, (3, 5), False),
        (DENSE, False, (3, 5), False),
    ],
)
def test_where_a_cell_opens_sites_jump_unless_continuous_and_far_from_others(
    reading, continuous, opened, jumps
):
    """Without a jump a cell of value h changes the result by O(h), though sites are new."""
    torch.manual_seed(1)
    images = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    images[0, 0, 2, 3] = 5.0
    critic = ImageEncoder((12, 12), 1, reading, channels=4, continuous=continuous).double()
    changes = []
    for height in (1e-4, 1e-7):
        other = images.clone()
        other[(0, 0, *opened)] = height
        changes.append(float((critic(other) - critic(images)).detach().abs()))
    if jumps:
        assert changes[1] > 0.5 * changes[0] > 0
    else:
        assert changes[1] == pytest.approx(1e-3 * changes[0], rel=0.01)


def test_continuous_critics_of_sites_and_of_images_are_the_same_network_too():
    dense, sites = (
        ImageEncoder((6, 5), 2, reading, channels=4, continuous=True).double()
        for reading in (DENSE, SITES)
    )
    sites.load_state_dict(dense.state_dict())
    image = 1 + torch.rand(3, 1, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(sites(image), dense(image), rtol=1e-10, atol=1e-10)
    assert not any(name.endswith("bias") for name, _ in dense.pyramid.named_parameters())


def test_an_empty_image_receives_no_gradient_from_a_critic_at_active_sites():
    """A generator of empty images cannot recover; dense layers pass it a gradient."""
    for reading, received in ((SITES, False), (DENSE, True)):
        empty = torch.zeros(2, 1, 9, 9).requires_grad_()
        score = ImageEncoder((9, 9), 1, reading, channels=3)(empty).sum()
        (gradient,) = torch.autograd.grad(score, empty)
        assert bool(gradient.any()) is received
