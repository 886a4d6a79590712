"""Images and clouds: exact round trips, conservation, gradients, refusals that name the event."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pcgen import clouds as cloud
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid
from pcgen.images import (
    cloud_to_image,
    image_to_cloud,
    jitter,
    overflow,
    project,
    snap,
    splat,
)
from pcgen.schema import Quantity

PHI = Quantity("phi", "rad", 2 * math.pi)
GRIDS = (
    Grid.regular({"x": (-1.0, 1.0, 5)}),
    Grid.regular({"eta": (-0.5, 0.5, 6), PHI: (-math.pi, math.pi, 7)}),
    Grid.parse("layers=ECAL/HCAL/tracks,x:0/0.1/0.7/5:mm,y:-3:3:4:mm"),
    Grid.parse("layers=a/b,r:0.1/0.2/3:mm,phi:-pi:pi:5:rad:2pi,z:0:1:3"),
)
grids = st.sampled_from(GRIDS)


@st.composite
def sparse_images(draw: st.DrawFn) -> tuple[Grid, Tensor]:
    grid, events, seed = draw(grids), draw(st.integers(0, 4)), draw(st.integers(0, 999))
    dtype = draw(st.sampled_from((torch.float32, torch.float64)))
    filled = draw(st.sampled_from((0.0, 0.1, 0.5, 1.0)))
    generator = torch.Generator().manual_seed(seed)
    shape = (events, *grid.shape)
    image = torch.rand(shape, generator=generator, dtype=dtype).exp() * 10 ** draw(st.floats(-6, 6))
    return grid, image * (torch.rand(shape, generator=generator) < filled)


def scattered(grid: Grid, points: int = 60, dtype: torch.dtype = torch.float64) -> Any:
    """Random points inside ``grid``, in four clouds of which two are empty."""
    low = torch.tensor([edges[0] for edges in grid.edges], dtype=dtype)
    high = torch.tensor([edges[-1] for edges in grid.edges], dtype=dtype)
    pos = low + torch.rand(points, len(low), dtype=dtype) * (high - low)
    layer = torch.randint(0, len(grid.layers), (points,)) if grid.layers else None
    weight = torch.rand(points, dtype=dtype)
    return cloud.make(pos, [points // 3, 0, points - points // 3, 0], weight=weight, layer=layer)


def same(a: Any, b: Any) -> bool:
    left, right = cloud.attributes(a), cloud.attributes(b)
    equal = all(torch.equal(left[name], right[name]) for name in left)
    return left.keys() == right.keys() and torch.equal(a.ptr, b.ptr) and equal


@given(sparse_images(), st.booleans())
def test_image_to_cloud_to_image_is_the_identity(
    given_image: tuple[Grid, Tensor], moved: bool
) -> None:
    grid, image = given_image
    points = image_to_cloud(image, grid, jitter=moved)
    assert points.num_graphs == len(image)
    assert len(points.pos) == int((image > 0).sum())
    assert points.pos.dtype == points.weight.dtype == image.dtype
    assert torch.equal(cloud_to_image(points, grid), image)


@given(sparse_images())
def test_only_cells_above_the_threshold_survive(given_image: tuple[Grid, Tensor]) -> None:
    grid, image = given_image
    threshold = float(image.median()) if image.numel() else 1.0
    back = cloud_to_image(image_to_cloud(image, grid, threshold=threshold), grid)
    assert torch.equal(back, torch.where(image > threshold, image, 0))


def test_a_cloud_knows_where_its_cells_are() -> None:
    grid = Grid.parse("layers=ECAL/HCAL,x:0:4:2:mm,y:0/1/10:mm")
    image = torch.zeros(3, *grid.shape)
    image[0, 1, 0, 1], image[2, 0, 1, 0], image[2, 1, 1, 1] = 5.0, 6.0, 7.0
    label, y = torch.tensor([4, 5, 6]), torch.tensor([[1.0], [2.0], [3.0]])
    points = image_to_cloud(image, grid, label=label, y=y)
    assert points.pos.tolist() == [[1.0, 5.5], [3.0, 0.5], [3.0, 5.5]]
    assert points.weight.tolist() == [5.0, 6.0, 7.0]
    assert points.layer.tolist() == [1, 0, 1]
    assert points.cell.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert points.ptr.tolist() == [0, 1, 1, 3]
    assert torch.equal(points.label, label)
    assert torch.equal(points.y, y)


@pytest.mark.parametrize("grid", GRIDS)
def test_cloud_to_image_to_cloud_is_idempotent(grid: Grid) -> None:
    once = image_to_cloud(cloud_to_image(scattered(grid), grid), grid)
    assert same(once, image_to_cloud(cloud_to_image(once, grid), grid))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_total_weight_is_conserved(grid: Grid, dtype: torch.dtype) -> None:
    points = scattered(grid, dtype=dtype)
    for image in (cloud_to_image(points, grid), splat(points, grid)):
        assert image.dtype == dtype
        torch.testing.assert_close(image.flatten(1).sum(1), cloud.total(points))


def test_cells_agree_with_numpy_for_each_reduction() -> None:
    grid = GRIDS[2]
    points = scattered(grid)
    expected: dict[tuple[int, ...], list[float]] = {}
    for number in range(len(points.pos)):
        bins = [
            int(np.searchsorted(edges, value, "right")) - 1
            for edges, value in zip(grid.edges, points.pos[number].tolist(), strict=True)
        ]
        key = (int(points.batch[number]), int(points.layer[number]), *bins)
        expected.setdefault(key, []).append(float(points.weight[number]))
    assert max(map(len, expected.values())) > 2
    reductions: dict[Any, Any] = {"sum": sum, "max": max, "count": len, "mean": np.mean}
    for name, function in reductions.items():
        image: Any = np.zeros((4, *grid.shape))
        for key, values in expected.items():
            image[key] = function(values)
        got = cloud_to_image(points, grid, reduce=name)
        np.testing.assert_allclose(got.numpy(), image, rtol=1e-12, err_msg=name)


def test_points_without_weight_share_one() -> None:
    grid = GRIDS[0]
    points = cloud.make(torch.tensor([[0.0], [0.0], [0.9], [0.0]]), [3, 0, 1])
    image = cloud_to_image(points, grid)
    assert image.sum(1).tolist() == [1.0, 0.0, 1.0]
    assert image[0, 2].item() == pytest.approx(2 / 3)


def test_jitter_fills_the_cell_evenly_and_snap_undoes_it() -> None:
    grid = GRIDS[3]
    image = torch.rand(40, *grid.shape)
    centred = image_to_cloud(image, grid)
    moved = jitter(centred, grid, generator=torch.Generator().manual_seed(1))
    assert same(snap(moved, grid), centred)
    inner = (moved.pos - centred.pos) / grid.widths(centred.cell)
    assert inner.abs().max() <= 0.5 + 1e-5
    # Mean 0 and variance 1/12 of a uniform number, within four standard errors.
    error = (1 / 12 / len(inner)) ** 0.5
    assert inner.mean(0).abs().max() < 4 * error
    assert (inner.var(0) - 1 / 12).abs().max() < 4 * (1 / 180 / len(inner)) ** 0.5


def test_jitter_is_seeded() -> None:
    grid, image = GRIDS[1], torch.rand(2, *GRIDS[1].shape)

    def draw(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return image_to_cloud(image, grid, jitter=True, generator=generator).pos

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


@given(grids, st.integers(0, 30), st.sampled_from(("error", "drop", "clip")))
def test_snap_is_the_way_through_the_dense_image(grid: Grid, points: int, outside: Any) -> None:
    ragged = scattered(grid, points)
    if outside != "error":
        ragged = cloud.replace(ragged, pos=ragged.pos * 1.3 + 0.2)
    dense = image_to_cloud(cloud_to_image(ragged, grid, outside=outside), grid)
    merged = snap(ragged, grid, outside=outside)
    assert merged.ptr.tolist() == dense.ptr.tolist()
    assert torch.equal(merged.cell, dense.cell)
    torch.testing.assert_close(merged.weight, dense.weight)
    assert same(snap(merged, grid), merged)


def test_snap_leaves_out_cells_without_weight_and_keeps_conditions() -> None:
    points = cloud.make(
        torch.tensor([[0.0], [0.1], [0.8]]),
        [2, 1],
        weight=torch.tensor([0.0, 0.0, 2.0]),
        y=torch.ones(2, 1),
        label=torch.tensor([1, 0]),
    )
    merged = snap(points, GRIDS[0])
    assert cloud.sizes(merged).tolist() == [0, 1]
    assert merged.label.tolist() == [1, 0]
    assert torch.equal(merged.y, points.y)


def outside_points() -> Any:
    pos = torch.tensor([[0.0], [0.5], [1.5], [-7.0], [0.0]])
    weight = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    return cloud.make(pos, [1, 3, 0, 1], weight=weight)


def test_points_outside_are_counted_then_dropped_clipped_or_refused() -> None:
    points, grid = outside_points(), GRIDS[0]
    assert overflow(points, grid).points.tolist() == [0, 2, 0, 0]
    assert overflow(points, grid).weight.tolist() == [0.0, 12.0, 0.0, 0.0]
    message = (
        r"2 of 5 points outside the grid x:-1.0:1.0:5 in 1 of 4 events \(first: event 1, \[1.5"
    )
    for function in (cloud_to_image, splat, snap, jitter):
        with pytest.raises(DataError, match=message):
            function(points, grid)
    for function in (cloud_to_image, splat):
        assert function(points, grid, outside="drop").sum(1).tolist() == [1.0, 2.0, 0.0, 16.0]
        clipped = function(points, grid, outside="clip")
        assert clipped[1, 0].item() == 8.0
        assert clipped[1, 4].item() == pytest.approx(4.0 if function is cloud_to_image else 4.5)
        assert clipped.sum(1).tolist() == [1.0, 14.0, 0.0, 16.0]
    assert jitter(points, grid, outside="drop").ptr.tolist() == [0, 1, 2, 2, 3]
    assert overflow(jitter(points, grid, outside="clip"), grid).points.sum() == 0


def test_a_clipped_point_of_an_open_angle_keeps_to_the_nearest_cell() -> None:
    grid = Grid.regular({PHI: (-1.0, 1.0, 4)})
    # 2π - 2 is nearer to the lower end than to the upper one.
    points = cloud.make(torch.tensor([[2 * math.pi - 2], [2.0]]), [1, 1])
    for function in (cloud_to_image, splat):
        image = function(points, grid, outside="clip")
        assert image.tolist() == [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


def hat(grid: Grid, axis: int, value: float) -> Tensor:
    """Share of each cell along one axis, from the definition: linear between centres."""
    edges, period = grid.edges[axis], grid.axes[axis].period if grid.closed[axis] else None
    centres = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
    share = torch.zeros(len(centres), dtype=torch.float64)
    nodes = list(enumerate(centres))
    if period:
        nodes = [(len(centres) - 1, centres[-1] - period), *nodes, (0, centres[0] + period)]
    if value <= nodes[0][1] or value >= nodes[-1][1]:
        share[nodes[0][0] if value <= nodes[0][1] else nodes[-1][0]] = 1
        return share
    for (lower, low), (upper, high) in itertools.pairwise(nodes):
        if low <= value < high:
            share[upper] += (value - low) / (high - low)
            share[lower] += 1 - (value - low) / (high - low)
    return share


@pytest.mark.parametrize("grid", [*GRIDS, Grid.regular({PHI: (0, 2 * math.pi, 1)})])
def test_splat_agrees_with_the_product_of_hats(grid: Grid) -> None:
    points = scattered(grid, 40)
    expected = torch.zeros(4, *grid.shape, dtype=torch.float64)
    for number in range(len(points.pos)):
        share = points.weight[number]
        for axis, value in enumerate(points.pos[number].tolist()):
            share = share[..., None] * hat(grid, axis, value)
        event = int(points.batch[number])
        target = expected[event, points.layer[number]] if grid.layers else expected[event]
        target += share
    torch.testing.assert_close(splat(points, grid), expected)


@given(sparse_images())
def test_splatting_cell_centres_gives_the_image(given_image: tuple[Grid, Tensor]) -> None:
    grid, image = given_image
    assert torch.equal(splat(image_to_cloud(image, grid), grid), image)


@pytest.mark.parametrize("grid", GRIDS)
def test_gradients_of_splat(grid: Grid) -> None:
    points = scattered(grid, 6)

    def image(pos: Tensor, weight: Tensor) -> Tensor:
        return splat(cloud.replace(points, pos=pos, weight=weight), grid)

    assert torch.autograd.gradcheck(image, (points.pos.requires_grad_(), points.weight + 0))
    inputs = (points.pos.detach().requires_grad_(), points.weight.requires_grad_())
    assert torch.autograd.gradcheck(image, inputs)


def test_splat_moves_smoothly_through_the_seam() -> None:
    grid = Grid.regular({PHI: (-math.pi, math.pi, 8)})

    def at(angle: float) -> Tensor:
        return splat(cloud.make(torch.tensor([[angle]], dtype=torch.float64), [1]), grid)[0]

    assert at(math.pi)[[0, -1]].tolist() == pytest.approx([0.5, 0.5])
    torch.testing.assert_close(at(math.pi - 1e-9), at(math.pi + 1e-9), atol=1e-8, rtol=0)
    torch.testing.assert_close(at(1.0), at(1.0 - 6 * math.pi))


def test_gradient_of_cell_sums_reaches_the_weights() -> None:
    points = scattered(GRIDS[1], 9)
    weight = points.weight.requires_grad_()
    image = cloud_to_image(cloud.replace(points, weight=weight), GRIDS[1])
    (image * torch.arange(image.numel()).view_as(image)).sum().backward()
    rows = image_to_cloud(image.detach(), GRIDS[1])
    assert weight.grad is not None
    assert weight.grad.unique().numel() == len(rows.pos)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_bad_cells_are_refused_unless_unobserved(bad: float) -> None:
    grid = Grid.regular({"x": (0, 1, 2), "y": (0, 1, 3)})
    image = torch.ones(4, *grid.shape)
    image[2, 1, 0] = bad
    with pytest.raises(DataError, match=r"image of event 2, cell \(1, 0\): got (-1.0|nan|inf)"):
        image_to_cloud(image, grid)
    observed = torch.ones(grid.shape, dtype=torch.bool)
    observed[1, 0] = False
    points = image_to_cloud(image, grid, observed=observed)
    assert cloud.sizes(points).tolist() == [5, 5, 5, 5]
    each = torch.isfinite(image) & (image > 0)
    assert cloud.sizes(image_to_cloud(image, grid, observed=each)).tolist() == [6, 6, 5, 6]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.bool])
def test_pictures_of_integers_become_floats(dtype: torch.dtype) -> None:
    image = torch.tensor([[0, 1, 0, 1, 1]]).to(dtype)
    points = image_to_cloud(image, GRIDS[0])
    assert points.weight.dtype == torch.get_default_dtype()
    assert torch.equal(cloud_to_image(points, GRIDS[0]), image.float())


def test_a_bad_call_names_what_was_expected() -> None:
    grid, layered = GRIDS[1], GRIDS[2]
    image, points = torch.ones(2, *grid.shape), scattered(grid)
    unknown: Any = "median"
    with pytest.raises(
        ArgumentError, match=r"image: got .*\(2, 6\), expected real numbers \['B', 6, 7\]"
    ):
        image_to_cloud(image[..., 0], grid)
    with pytest.raises(ArgumentError, match=r"threshold: got -1"):
        image_to_cloud(image, grid, threshold=-1)
    with pytest.raises(ArgumentError, match=r"observed: got torch.float32 \(2, 6, 7\), expected"):
        image_to_cloud(image, grid, observed=image)
    with pytest.raises(ArgumentError, match=r"reduce: got 'median'"):
        cloud_to_image(points, grid, reduce=unknown)
    with pytest.raises(ArgumentError, match=r"outside: got 'median'"):
        cloud_to_image(points, grid, outside=unknown)
    with pytest.raises(ArgumentError, match=r"got no layer, expected.*'ECAL', 'HCAL', 'tracks'"):
        cloud_to_image(points, layered)
    with pytest.raises(ArgumentError, match=r"got layer, expected.*none"):
        cloud_to_image(scattered(layered), grid)
    with pytest.raises(DataError, match=r"pos: got 2 columns, expected 3"):
        cloud_to_image(scattered(layered), GRIDS[3])
    with pytest.raises(DataError, match=r"weight of event 0: got a negative value"):
        cloud_to_image(cloud.replace(points, weight=points.weight - 2), grid)


def test_projection_keeps_the_rest() -> None:
    points = image_to_cloud(torch.rand(3, *GRIDS[3].shape), GRIDS[3])
    flat = project(points, [2, 0])
    assert torch.equal(flat.pos, points.pos[:, [2, 0]])
    assert torch.equal(flat.cell, points.cell[:, [2, 0]])
    assert torch.equal(flat.weight, points.weight)
    assert torch.equal(flat.layer, points.layer)
    side = Grid.parse("z:0:1:3")
    image = cloud_to_image(cloud.replace(project(points, [2]), layer=None), side)
    torch.testing.assert_close(image, cloud_to_image(points, GRIDS[3]).sum((1, 2, 3)))
    for columns in ([], [0, 0], [3]):
        with pytest.raises(ArgumentError, match="expected different columns of 0 to 2"):
            project(points, columns)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("grid", GRIDS)
def test_the_same_on_a_gpu(grid: Grid) -> None:
    image = torch.rand(7, *grid.shape) * (torch.rand(7, *grid.shape) < 0.3)
    host, device = image_to_cloud(image, grid), image_to_cloud(image.cuda(), grid)
    assert same(device.cpu(), host)
    assert torch.equal(cloud_to_image(device, grid).cpu(), image)
    assert torch.equal(splat(device, grid).cpu(), image)
    moved = jitter(device, grid, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        moved.pos.cpu(), jitter(host, grid, generator=torch.Generator().manual_seed(0)).pos
    )
    assert same(snap(moved, grid).cpu(), host)
