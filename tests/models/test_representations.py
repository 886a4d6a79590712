"""Representations: an event is the same in every representation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image, snap
from pcgen.models.cardinality import describe
from pcgen.models.representations import Images, Points, Representation, Sites
from pcgen.schema import Quantity, Schema

AXES = (Quantity("eta_rel"), Quantity("phi_rel", "rad"))
JETS = Schema(AXES, Quantity("pt", "GeV"), (), (Quantity("jet_pt", "GeV"),), ("q", "t"))
GRID = Grid.parse("eta_rel:-1:1:6,phi_rel:-1:1:5", AXES)


def jets(sizes: list[int], seed: int = 0, spread: float = 0.9) -> cl.Batch:
    generator = torch.Generator().manual_seed(seed)
    number, rows = len(sizes), sum(sizes)
    return cl.make(
        (2 * torch.rand(rows, 2, generator=generator) - 1) * spread,
        sizes,
        weight=torch.rand(rows, generator=generator).exp() * 10,
        y=900 + 200 * torch.rand(number, 1, generator=generator),
        label=torch.arange(number) % 2,
    )


def fitted(representation: Representation, clouds: cl.Batch) -> Representation:
    for phase in representation.phases():
        assert phase.prepare is not None
        phase.prepare([clouds])
    return representation


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("kind", ["points", "sites", "images"])
def test_an_event_comes_back_from_what_networks_see(kind: str, sizes: list[int], seed: int) -> None:
    clouds = jets(sizes, seed)
    see = fitted(Points(JETS) if kind == "points" else _on_grid(kind), clouds)
    expected = clouds if kind == "points" else snap(clouds, GRID)
    back = see.clouds(see.see(clouds).event, describe(expected, JETS))
    assert cl.sizes(back).tolist() == cl.sizes(expected).tolist()
    torch.testing.assert_close(back.pos, expected.pos)
    torch.testing.assert_close(back.weight, expected.weight, rtol=1e-4, atol=1e-4)
    assert torch.equal(back.y, clouds.y)
    assert torch.equal(back.label, clouds.label)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_rescaled_clouds_have_the_spread_that_was_drawn(sizes: list[int], seed: int) -> None:
    """Whatever is decoded: centre and spread are those of the row, and one point stays one."""
    clouds = jets(sizes, seed)
    see = fitted(Points(JETS, recentre=True, rescale=True), clouds)
    drawn = describe(clouds, JETS)
    event = see.complete(cl.replace(see.see(clouds).event, weight=None))
    noisy = cl.replace(event, pos=event.pos + torch.randn(event.pos.shape), weight=None)
    back = describe(see.clouds(noisy, drawn), JETS)
    several = drawn.sizes > 1
    torch.testing.assert_close(back.spread[several], drawn.spread[several], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(back.centroid, drawn.centroid, rtol=0, atol=1e-5)
    assert (back.spread[~several] == 0).all()


def test_the_spread_is_a_condition_of_real_and_of_drawn_clouds() -> None:
    clouds = jets([5, 9, 1, 0, 7])
    plain, see = fitted(Points(JETS), clouds), fitted(Points(JETS, rescale=True), clouds)
    assert see.condition_channels == plain.condition_channels + 1
    condition = see.see(clouds).condition
    assert condition.shape == (5, see.condition_channels)
    torch.testing.assert_close(condition[:, :-1], plain.see(clouds).condition)
    torch.testing.assert_close(see.condition(describe(clouds, JETS)), condition)
    assert condition[:, -1].mean().item() == pytest.approx(0.0, abs=1e-5)
    assert condition[:, -1].std(correction=0).item() == pytest.approx(1.0, abs=1e-5)


def test_the_spread_of_a_narrow_jet_is_its_mass_over_its_momentum() -> None:
    """m² = (Σ p)² of massless particles, by four-vectors."""
    clouds = jets([40], spread=0.05)
    pt, eta, phi = clouds.weight.double(), *clouds.pos.double().unbind(1)
    energy, z = pt * eta.cosh(), pt * eta.sinh()
    square = energy.sum() ** 2 - z.sum() ** 2
    square = square - (pt * phi.cos()).sum() ** 2 - (pt * phi.sin()).sum() ** 2
    spread = describe(clouds, JETS).spread
    assert float(spread) == pytest.approx(float(square.sqrt() / pt.sum()), rel=2e-3)


def test_the_spread_goes_round_the_period() -> None:
    schema = Schema((Quantity("phi", "rad", 6.0),), Quantity("E"))
    clouds = cl.make(torch.tensor([[2.9], [-2.9]]), [2], weight=torch.ones(2))
    # About a centre of 0 both are 2.9 away; wrapped, no distance is above half the period.
    assert float(describe(clouds, schema).spread) <= 3.0


def test_images_and_sites_show_the_same_cells() -> None:
    clouds = jets([9, 0, 4])
    sites, images = fitted(_on_grid("sites"), clouds), fitted(_on_grid("images"), clouds)
    seen, image = sites.see(clouds), images.see(clouds)
    assert torch.equal(seen.condition, image.condition)
    active = image.event[:, 0] != 0
    assert torch.equal(active, cloud_to_image(clouds, GRID) > 0)
    assert torch.equal(active.nonzero()[:, 1:], seen.event.cell)
    values = image.event[:, 0][active]
    assert float(values.min()) == pytest.approx(1.0)
    torch.testing.assert_close(values - values.min(), (seen.event.x - seen.event.x.min())[:, 0])


def test_the_condition_gives_the_number_of_what_there_is() -> None:
    """Two particles in one cell are one active cell."""
    clouds = cl.replace(jets([2, 3]), pos=torch.full((5, 2), 0.01))
    sites, points = fitted(_on_grid("sites"), clouds), fitted(Points(JETS), clouds)
    counts = [int(r.cardinality.sizes[: r.cardinality.stored].sum()) for r in (points, sites)]
    assert counts == [5, 2]
    drawn = describe(snap(clouds, GRID), JETS)
    assert torch.equal(sites.see(clouds).condition, sites.condition(drawn))


def test_layers_are_the_first_axis_of_cells() -> None:
    grid = Grid.parse("layers=A/B,eta_rel:-1:1:4,phi_rel:-1:1:4", AXES)
    clouds = jets([7, 5])
    layer = torch.arange(12) % 2
    clouds = cl.replace(clouds, layer=layer)
    for kind in (Sites, Images):
        see = fitted(kind(JETS, grid), clouds)
        event = see.see(clouds).event
        back = see.clouds(event, describe(snap(clouds, grid), JETS))
        expected = snap(clouds, grid)
        assert torch.equal(back.layer, expected.layer)
        assert torch.equal(back.cell, expected.cell)
        torch.testing.assert_close(back.weight, expected.weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["points", "sites", "images"])
def test_values_are_put_where_they_were_taken(kind: str) -> None:
    clouds = jets([4, 0, 3])
    see = fitted(Points(JETS) if kind == "points" else _on_grid(kind), clouds)
    event = see.see(clouds).event
    values = see.values(event)
    doubled = see.with_values(event, 2 * values)
    expected = clouds if kind == "points" else snap(clouds, GRID)
    assert torch.equal(see.sizes(event), cl.sizes(expected))
    assert torch.equal(see.values(doubled), 2 * values)
    if kind == "points":
        assert torch.equal(see.values(see.blank(cl.sizes(clouds))), torch.zeros_like(values))
    if kind == "images":
        assert torch.equal(see.blank(torch.tensor([1, 2, 3])), torch.zeros_like(values))


def test_lists_show_the_hardest_point_first() -> None:
    clouds = jets([4, 0, 3])
    see = fitted(Points(JETS, listed=True), clouds)
    event = see.see(clouds).event
    falls = event.weight.diff() <= 0
    falls[event.ptr[1:-1] - 1] = True  # from one cloud to the next it may rise
    assert bool(falls.all())
    back = see.clouds(event, describe(clouds, JETS))
    assert torch.equal(back.ptr, clouds.ptr)
    torch.testing.assert_close(back.weight.sort().values, clouds.weight.sort().values)


def test_what_a_grid_cannot_hold_is_refused() -> None:
    charged = Schema(AXES, Quantity("pt", "GeV"), (Quantity("charge"),))
    with pytest.raises(ArgumentError, match="schema: got points with charge"):
        Sites(charged, GRID)
    with pytest.raises(ArgumentError, match="no weight"):
        Images(Schema(AXES), GRID)
    with pytest.raises(ArgumentError, match="support: got none"):
        _on_grid("sites").blank(torch.tensor([1]))


def test_generated_events_carry_the_total_that_was_drawn() -> None:
    clouds = jets([5, 8, 2])
    for kind in ("sites", "images"):
        see = fitted(_on_grid(kind), clouds)
        event = see.see(clouds).event
        noisy = see.with_values(event, see.values(event) + 0.2)
        drawn = describe(snap(clouds, GRID), JETS)
        torch.testing.assert_close(cl.total(see.clouds(noisy, drawn)), drawn.total)


def _on_grid(kind: str) -> Sites:
    return Sites(JETS, GRID) if kind == "sites" else Images(JETS, GRID)


def test_a_cell_that_is_no_number_is_reported_and_not_left_out() -> None:
    clouds = jets([4, 3])
    see = fitted(_on_grid("images"), clouds)
    event = see.see(clouds).event
    event[1, 0, 0, 0] = torch.nan
    generated = see.clouds(event, describe(snap(clouds, GRID), JETS))
    whole = generated.weight.isfinite()
    assert whole[generated.batch == 0].all()
    assert not whole[generated.batch == 1].any()


@given(st.lists(st.integers(0, 8), min_size=1, max_size=5).filter(any), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("kind", [Sites, Images])
def test_the_order_in_which_a_grid_names_its_axes_changes_nothing(
    kind: type[Sites], sizes: list[int], seed: int
) -> None:
    swapped = Grid.parse("phi_rel:-1:1:5,eta_rel:-1:1:6", AXES)
    clouds = jets(sizes, seed)
    one, other = fitted(kind(JETS, GRID), clouds), fitted(kind(JETS, swapped), clouds)
    assert other.grid == GRID
    drawn = describe(snap(clouds, GRID), JETS)
    a, b = (see.clouds(see.see(clouds).event, drawn) for see in (one, other))
    assert torch.equal(a.pos, b.pos)
    assert torch.equal(a.weight, b.weight)


@pytest.mark.parametrize("kind", [Sites, Images])
@pytest.mark.parametrize(
    "text", ["eta:-1:1:6,phi_rel:-1:1:5", "eta_rel:-1:1:6:cm,phi_rel:-1:1:5", "eta_rel:-1:1:6"]
)
def test_a_grid_of_other_axes_is_refused(kind: type[Sites], text: str) -> None:
    with pytest.raises(ArgumentError, match=r"of grid: got .*expected"):
        kind(JETS, Grid.parse(text, AXES))


def test_the_loss_is_that_of_the_points_outside_the_grid() -> None:
    clouds = cl.make(
        torch.tensor([[0.0, 0.0], [1.5, 0.0], [0.0, -3.0], [0.5, 0.5]]),
        [2, 0, 2],
        weight=torch.tensor([5.0, 1.0, 2.0, 2.0]),
    )
    for kind in ("sites", "images"):
        assert _on_grid(kind).loss_of(clouds) == (0.5, 0.3)
    assert Points(JETS).loss_of(clouds) == (0.0, 0.0)
    empty = cl.make(torch.zeros(0, 2), [0], weight=torch.zeros(0))
    assert _on_grid("sites").loss_of(empty) == (0.0, 0.0)


@pytest.mark.parametrize("kind", ["sites", "images"])
def test_a_grid_without_any_point_is_refused_by_its_name(kind: str) -> None:
    far = cl.replace(jets([3, 2]), pos=torch.full((5, 2), 7.0))
    with pytest.raises(DataError, match=r"grid eta_rel:-1\.0:1\.0:6,.*: got 5 points, all of them"):
        fitted(_on_grid(kind), far)


def test_points_without_any_weight_on_a_grid_are_named() -> None:
    clouds = jets([3, 2])
    clouds = cl.replace(clouds, weight=torch.zeros(5))
    with pytest.raises(DataError, match="pt: got 5 points, all of 0, expected some with more"):
        fitted(Sites(JETS, GRID), clouds)
    outside = cl.replace(jets([3, 2]), pos=torch.full((5, 2), 3.0))
    with pytest.raises(DataError, match="got 5 points, all of them outside"):
        fitted(Sites(JETS, GRID), outside)
