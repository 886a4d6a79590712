"""Where points go that share a voxel: one cell each, energies of layers as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter
from pcgen.images import cloud_to_shower, shower_to_cloud
from pcgen.images.spreading import cell_edges, spread_over_cells

RINGS = Calorimeter.cylindrical([(0, 2, 5, 9), (0, 4, 9), (0, 9)], [6, 4, 1])
PLATES = Calorimeter.planar([(0, 1, 2, 3, 4), (0, 2, 4)], [(0, 1, 2, 3), (0, 3)])
_TILES = [[(x + 0.5 * (y % 2), 0.9 * y) for x in range(4) for y in range(4)] for _ in range(2)]
TILES = Calorimeter.cells(
    [[x for x, _ in layer] for layer in _TILES],
    [[y for _, y in layer] for layer in _TILES],
    [[1.0] * len(layer) for layer in _TILES],
)
POLICIES = [(RINGS, "shift"), (RINGS, "distinct"), (PLATES, "shift"), (TILES, "shift")]


def points(calorimeter: Calorimeter, sizes: Sequence[int], seed: int = 0) -> Batch:
    """Points well inside, dense near the axis."""
    random = torch.Generator().manual_seed(seed)
    number = sum(sizes)
    if calorimeter.cylinder:
        r, turn = 8.9 * torch.rand(2, number, generator=random)
        pos = torch.stack([r * torch.cos(turn), r * torch.sin(turn)], 1)
    else:
        pos = 0.01 + 2.9 * torch.rand(number, 2, generator=random)
    layer = torch.randint(len(calorimeter.layers), (number,), generator=random)
    weight = 0.1 + torch.rand(number, generator=random, dtype=torch.double)
    pos = torch.cat([pos, layer[:, None] + 0.5], 1)
    return cl.make(pos.double(), sizes, weight=weight, layer=layer)


def of_layers(showers: Tensor, calorimeter: Calorimeter) -> Tensor:
    parts = showers.split(torch.tensor(calorimeter.boundaries).diff().tolist(), 1)
    return torch.stack([part.sum(1) for part in parts], 1)


@pytest.mark.parametrize(("calorimeter", "policy"), POLICIES)
def test_energies_of_layers_stay_and_as_many_cells_fill_as_can(calorimeter, policy) -> None:
    clouds = points(calorimeter, [0, 1, 12, 30, 200])
    summed = cloud_to_shower(clouds, calorimeter)
    apart = cloud_to_shower(clouds, calorimeter, multi_hit=policy)
    torch.testing.assert_close(of_layers(apart, calorimeter), of_layers(summed, calorimeter))
    filled = of_layers((apart > 0).double(), calorimeter)
    assert (filled >= of_layers((summed > 0).double(), calorimeter)).all()
    if policy == "shift":
        cells = torch.tensor(calorimeter.boundaries).diff()
        group = clouds.batch * len(cells) + clouds.layer
        number = torch.bincount(group, minlength=5 * len(cells)).view(5, -1)
        assert torch.equal(filled.long(), number.minimum(cells))


def test_distinct_keeps_the_energy_of_rings_and_fills_them() -> None:
    clouds = points(RINGS, [5, 20, 100])
    summed = cloud_to_shower(clouds, RINGS)
    apart = cloud_to_shower(clouds, RINGS, multi_hit="distinct")
    for first, angles, rings in ((0, 6, 3), (18, 4, 2), (26, 1, 1)):
        cells = slice(first, first + angles * rings)
        one, other = (each[:, cells].view(3, angles, rings) for each in (summed, apart))
        torch.testing.assert_close(one.sum(1), other.sum(1))
        place = RINGS.locate(clouds.pos, clouds.layer).voxel - first
        here = (place >= 0) & (place < angles * rings)
        number = torch.zeros(3, rings, dtype=torch.long)
        index = clouds.batch[here], place[here] % rings
        number.index_put_(index, torch.ones_like(index[0]), accumulate=True)
        assert torch.equal((other > 0).sum(1), number.clamp(max=angles))


def test_the_hottest_stays_and_the_others_go_to_the_nearest_free_cell() -> None:
    # Cells of 1 x 1 mm: all three in cell (1, 1); the neighbour in +x is taken by a fourth.
    xy = torch.tensor([[1.6, 1.5], [1.5, 1.6], [1.9, 1.5], [2.5, 1.5]], dtype=torch.double)
    pos = torch.cat([xy, torch.full((4, 1), 0.5, dtype=torch.double)], 1)
    weight = torch.tensor([1.0, 5.0, 2.0, 3.0], dtype=torch.double)
    clouds = cl.make(pos, [4], weight=weight, layer=torch.zeros(4, dtype=torch.long))
    shower = cloud_to_shower(clouds, PLATES, multi_hit="shift")[0, :12].view(4, 3)
    assert shower[1, 1] == 5.0
    assert shower[2, 1] == 3.0
    # The hotter of the two that move chooses first: (1.9, 1.5) is as far from both of its sides.
    assert shower[1, 2] + shower[1, 0] + shower[0, 1] == 3.0


@pytest.mark.parametrize(("calorimeter", "policy"), POLICIES)
def test_showers_that_came_from_cells_stay_as_they_are(calorimeter, policy) -> None:
    showers = torch.rand(4, calorimeter.voxels, generator=torch.Generator().manual_seed(2))
    showers = torch.where(showers > 0.5, showers, 0.0)
    back = cloud_to_shower(shower_to_cloud(showers, calorimeter), calorimeter, multi_hit=policy)
    torch.testing.assert_close(back, showers)


def test_events_do_not_depend_on_those_beside_them() -> None:
    clouds = points(RINGS, [40, 60, 50])
    whole = cloud_to_shower(clouds, RINGS, multi_hit="shift")
    alone = [cloud_to_shower(cl.select(clouds, [k]), RINGS, multi_hit="shift") for k in range(3)]
    torch.testing.assert_close(whole, torch.cat(alone))


def test_a_seed_is_one_shower() -> None:
    clouds = points(RINGS, [60])
    one, two, other = (
        cloud_to_shower(
            clouds, RINGS, multi_hit="distinct", generator=torch.Generator().manual_seed(seed)
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_policies_are_refused_where_they_make_no_sense() -> None:
    with pytest.raises(ArgumentError, match="'distinct' for cells that are in no"):
        cloud_to_shower(points(PLATES, [3]), PLATES, multi_hit="distinct")
    with pytest.raises(ArgumentError, match="'nearest', expected one of sum, shift, distinct"):
        cloud_to_shower(points(PLATES, [3]), PLATES, multi_hit="nearest")  # type: ignore[arg-type]


@pytest.mark.parametrize("calorimeter", [RINGS, PLATES, TILES])
def test_spreading_keeps_the_voxel_and_fills_its_area(calorimeter) -> None:
    clouds = points(calorimeter, [50, 0, 70])
    generator = torch.Generator().manual_seed(3)
    spread = spread_over_cells(clouds, calorimeter, generator=generator)
    torch.testing.assert_close(
        cloud_to_shower(spread, calorimeter), cloud_to_shower(clouds, calorimeter)
    )
    assert not torch.equal(spread.pos[:, :2], clouds.pos[:, :2])
    assert torch.equal(spread.pos[:, 2], clouds.pos[:, 2])


def test_spread_points_of_a_ring_are_uniform_in_its_area() -> None:
    disc = Calorimeter.cylindrical([(0.0, 2.0)], [1])
    pos = torch.tensor([[1.0, 0.0, 0.5]], dtype=torch.double).repeat(4000, 1)
    clouds = cl.make(pos, [4000], weight=torch.ones(4000, dtype=torch.double))
    spread = spread_over_cells(clouds, disc, generator=torch.Generator().manual_seed(4))
    r = spread.pos[:, :2].norm(dim=1)
    assert float((r < math.sqrt(2.0)).double().mean()) == pytest.approx(0.5, abs=0.03)
    assert float(spread.pos[:, 0].mean()) == pytest.approx(0.0, abs=0.06)
    assert cell_edges(disc).shape == (1, 3, 2)
