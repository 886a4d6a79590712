"""Sparse images: from clouds and dense images, and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sparse_lattices import lattices

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid
from pcgen.images import image_to_cloud
from pcgen.nn import Cellwise, SparseImage, SubmanifoldConv

GRID = Grid.regular({"eta": (-1, 1, 6), "phi": (-1, 1, 5)})


def pictures(grid: Grid, events: int = 4) -> torch.Tensor:
    value = torch.rand(events, *grid.shape)
    return torch.where(value > 0.7, value, 0.0)


@given(lattices(), st.booleans())
def test_dense_and_back(case, ground):
    image = torch.randn(*case.active.shape, 2).movedim(-1, 1) * case.active[:, None]
    sparse = SparseImage.from_dense(image, case.active, ground=ground)
    assert torch.equal(sparse.sites.cell, case.sites.cell)
    assert torch.equal(sparse.dense(), image)
    assert torch.equal(SparseImage.from_dense(image).dense(), image)


def test_an_image_may_be_active_and_zero():
    active = torch.tensor([[True, False, True]])
    sparse = SparseImage.from_dense(torch.zeros(1, 1, 3), active)
    assert sparse.sites.cell.tolist() == [[0], [2]]
    assert len(SparseImage.from_dense(torch.zeros(1, 1, 3)).sites) == 0


@pytest.mark.parametrize("layers", [(), ("ecal", "hcal", "tail")])
def test_clouds_of_images_and_back(layers):
    grid = Grid(GRID.axes, GRID.edges, layers)
    image = pictures(grid)
    clouds = image_to_cloud(image, grid)
    sparse = SparseImage.from_clouds(clouds, grid.shape)
    assert torch.equal(sparse.dense()[:, 0], image)
    back = sparse.to_clouds(grid)
    assert torch.equal(back.pos, clouds.pos)
    assert torch.equal(back.ptr, clouds.ptr)
    assert torch.equal(back.cell, clouds.cell)
    assert torch.equal(back.x[:, 0], clouds.weight)
    if layers:
        assert torch.equal(back.layer, clouds.layer)
    cells = sparse.to_clouds()
    assert torch.equal(cells.pos, sparse.sites.cell + 0.5)


def test_a_layer_is_equivariant_to_the_order_of_the_points():
    clouds = image_to_cloud(pictures(GRID), GRID)
    sizes = pc.sizes(clouds).tolist()
    starts = zip(sizes, clouds.ptr.tolist(), strict=False)
    order = torch.cat([torch.randperm(n) + p for n, p in starts])
    shuffled = pc.make(
        clouds.pos[order], sizes, weight=clouds.weight[order], cell=clouds.cell[order]
    )
    layer = SubmanifoldConv(2, 1, 4)
    one, other = (
        layer(SparseImage.from_clouds(each, GRID.shape)).at_points() for each in (clouds, shuffled)
    )
    assert not torch.equal(one, other)
    assert torch.equal(one[order], other)


def test_features_of_clouds():
    cell = torch.tensor([[2], [0], [1]])
    pos, weight, x = cell.double(), torch.rand(3).double(), torch.randn(3, 2).double()

    def features(**values):
        image = SparseImage.from_clouds(pc.make(pos, [1, 2], cell=cell, **values), (3,))
        assert image.at_points().equal(image.x)
        return image.x

    assert torch.equal(features(weight=weight, x=x), torch.cat([weight[:, None], x], 1))
    assert torch.equal(features(x=x), x)
    assert torch.equal(features(), torch.ones(3, 1).double())
    clouds = pc.make(pos, [1, 2], cell=cell)
    image = SparseImage.from_clouds(clouds, (3,), x, ground=True)
    assert image.ground.tolist() == [0, 0]
    assert torch.equal(image.x, x)


def test_rows_alone_and_the_ground_state():
    linear = torch.nn.Linear(2, 3)
    image = SparseImage.from_dense(torch.randn(1, 2, 4), ground=True)
    got = Cellwise(linear)(image)
    assert torch.equal(got.x, linear(image.x))
    assert torch.equal(got.ground, linear(torch.zeros(2)))
    empty = SparseImage.from_dense(torch.zeros(1, 2, 4), ground=True)
    expected = got.ground[None, :, None].expand(1, 3, 4)
    assert torch.equal(Cellwise(linear)(empty).dense(), expected)


def test_refuses_what_does_not_fit():
    clouds = image_to_cloud(pictures(GRID), GRID)
    image = SparseImage.from_clouds(clouds, GRID.shape)
    with pytest.raises(DataError, match=r"cell: row \d+ \(event \d\) is .* below \(3, 5\)"):
        SparseImage.from_clouds(clouds, (3, 5))
    twice = pc.make(torch.zeros(2, 1), [2], cell=torch.ones(2, 1, dtype=torch.long))
    with pytest.raises(DataError, match=r"rows 0 and 1 \(event 0\) are both \(1,\)"):
        SparseImage.from_clouds(twice, (3,))
    with pytest.raises(ArgumentError, match="clouds: got no cell, expected lattice clouds"):
        SparseImage.from_clouds(pc.make(torch.zeros(2, 1), [2]), (3,))
    with pytest.raises(ArgumentError, match=r"grid: got shape \(6, 5\), expected \(7, 5\)"):
        SparseImage.from_clouds(clouds, (7, 5)).to_clouds(GRID)
    with pytest.raises(ArgumentError, match=r"x: got \(1, 1\), expected"):
        SparseImage(image.x[:1], image.sites)
    with pytest.raises(ArgumentError, match=r"ground: got \(2,\), expected \[1\]"):
        SparseImage(image.x, image.sites, torch.zeros(2))
    with pytest.raises(ArgumentError, match="active: got"):
        SparseImage.from_dense(torch.zeros(1, 1, 3), torch.zeros(1, 3))
