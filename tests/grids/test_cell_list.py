"""Layers whose cells are a list: the nearest centre, hexagons, and places within voxels."""

from __future__ import annotations

import base64
import json
import math
import zlib

import pytest
import torch
from fabricated_showers import CELLS, RINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter, CellList, Grid
from pcgen.images import cloud_to_shower, shower_to_cloud


def hexagons(rings: int, pitch: float) -> CellList:
    """Hexagons of one size about the origin."""
    span = range(-rings, rings + 1)
    axial = [(q, r) for q in span for r in span if abs(q + r) <= rings]
    x = [pitch * (q + r / 2) for q, r in axial]
    y = [pitch * r * math.sqrt(3) / 2 for _, r in axial]
    return CellList(tuple(x), tuple(y), (pitch,) * len(x))


TILED = Calorimeter((hexagons(2, 10.0), hexagons(3, 6.0)), (1, 4), (0.0, 5.0, 7.0))
ONE = Calorimeter.cells([[3.0]], [[4.0]], [[2.0]])


@given(st.integers(0, 99), st.sampled_from([torch.float32, torch.float64]))
@settings(deadline=None, derandomize=True)
def test_a_point_is_in_the_cell_of_the_nearest_centre(seed: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(seed)
    pos = 60 * torch.rand(200, 3, generator=generator, dtype=dtype) - 30
    layer = torch.randint(0, 2, (200,), generator=generator)
    found = TILED.locate(pos, layer)
    geometry = TILED.geometry()
    apart = (pos[:, None, :2].double() - geometry.centre[None, :, :2]).norm(dim=2)
    apart = apart.masked_fill(layer[:, None] != geometry.layer, math.inf)
    assert torch.equal(found.voxel, apart.argmin(1))
    corner = torch.tensor([10.0, 6.0], dtype=torch.double)[layer] / math.sqrt(3)
    assert torch.equal(found.inside, apart.amin(1) <= corner * (1 + 5e-10))


def test_hexagons_side_by_side_leave_no_gap() -> None:
    """The area of cells is that of the points nearest to them, and all of those are inside."""
    cells = hexagons(3, 10.0)
    middle = len(cells.x) // 2
    generator = torch.Generator().manual_seed(0)
    pos = 20 * torch.rand(200_000, 2, generator=generator, dtype=torch.double) - 10
    found = cells.locate(pos)
    assert bool(found.inside.all())
    share = (found.cell[:, 0] == middle).double().mean().item() * 400
    assert share == pytest.approx(cells.areas[middle].item(), rel=0.02)
    assert cells.areas[0].item() == pytest.approx(10**2 * math.sqrt(3) / 2)


def test_voxels_are_in_the_order_of_the_lists() -> None:
    geometry = TILED.geometry()
    assert TILED.boundaries == (0, 19, 19 + 37)
    first, second = TILED.layers
    assert isinstance(first, CellList)
    assert isinstance(second, CellList)
    assert geometry.centre[:, 0].tolist() == [*first.x, *second.x]
    assert geometry.centre[:, 1].tolist() == [*first.y, *second.y]
    assert geometry.centre[:, 2].unique().tolist() == [2.5, 6.0]
    torch.testing.assert_close(geometry.volume[20], second.areas[0] * 2)
    assert torch.equal(TILED.locate(geometry.centre).voxel, torch.arange(TILED.voxels))
    assert not TILED.cylinder
    assert Calorimeter.from_dict(TILED.to_dict()) == TILED
    assert TILED.schema.layers == ("1", "4")


def test_showers_of_lists_come_back_from_clouds() -> None:
    generator = torch.Generator().manual_seed(1)
    voxels = torch.rand(6, TILED.voxels, generator=generator).clamp(min=0.5) - 0.5
    for jitter in (False, True):
        batch = shower_to_cloud(voxels, TILED, jitter=jitter, generator=generator)
        assert torch.equal(cloud_to_shower(batch, TILED), voxels)


@pytest.mark.parametrize(
    ("x", "y", "size", "message"),
    [
        ((), (), (), "got 0 x, 0 y and 0 sizes"),
        ((1,), (1, 2), (1,), "got 1 x, 2 y and 1 sizes"),
        ((1,), (1,), (0,), "or a size that is not positive"),
        ((math.nan,), (1,), (1,), "got NaN"),
        ((1,), (math.inf,), (1,), "got NaN, infinity"),
    ],
)
def test_what_is_no_list_is_refused(x, y, size, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        CellList(x, y, size)
    with pytest.raises(DataError, match="calorimeter: "):
        Calorimeter.from_dict({"kind": "cells", "x": [x], "y": [y], "size": [size]})


def test_a_calorimeter_of_many_cells_is_a_short_dictionary() -> None:
    """As many as the HGCal challenge has for photons: JSON of a checkpoint stays within bounds."""
    rings = hexagons(26, 12.09)
    many = Calorimeter((rings,) * 47)
    text = json.dumps(many.to_dict())
    assert many.voxels > 95_000
    assert len(text) < 2**20
    assert Calorimeter.from_dict(json.loads(text)) == many
    plain = {"kind": "cells"} | {n: [list(getattr(rings, n))] for n in ("x", "y", "size")}
    assert Calorimeter.from_dict(plain) == Calorimeter((rings,))


@pytest.mark.parametrize(
    "change",
    [
        {"x": "?"},
        {"x": ""},
        {"x": 3},
        {"x": base64.b64encode(b"no zip").decode()},
        {"x": base64.b64encode(zlib.compress(bytes(8 * 55))).decode()},
        {"x": base64.b64encode(zlib.compress(bytes(8 * 57))).decode()},
        {"x": base64.b64encode(zlib.compress(bytes(10**8))).decode()},
        {"x": base64.b64encode(zlib.compress(bytes(8 * 56))[:-5]).decode()},
        {"size": base64.b64encode(zlib.compress(bytes(8 * 56))).decode()},
        {"counts": [19]},
        {"counts": [19.0, 37]},
        {"counts": [0, 56]},
        {"counts": [10**8, 1]},
        {"counts": []},
        {"counts": 5},
    ],
)
def test_packed_lists_that_are_damaged_are_refused(change) -> None:
    good = TILED.to_dict()
    with pytest.raises(DataError, match="calorimeter: "):
        Calorimeter.from_dict(good | change)


def test_layers_of_several_kinds_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"got 2 \(cells, planar\), expected at least one"):
        Calorimeter((hexagons(1, 1.0), CELLS.layers[0]))
    with pytest.raises(ArgumentError, match=r"got 1 \(u and v\), expected at least one"):
        Calorimeter((Grid.regular({"u": (0, 1, 2), "v": (0, 1, 2)}),))
    with pytest.raises(ArgumentError, match=r"got 0 \(none\), expected at least one"):
        Calorimeter(())


def test_rings_and_depths_are_filled_evenly() -> None:
    """A single ring: angles are uniform, and so are the area within a radius and the depth."""
    ring = Calorimeter.cylindrical([(3.0, 5.0)], [1], depth=(0.0, 10.0))
    voxels, generator = torch.ones(50_000, 1), torch.Generator().manual_seed(0)
    x, y, z = shower_to_cloud(voxels, ring, jitter=True, generator=generator).pos.double().unbind(1)
    area = (torch.hypot(x, y).square() - 9) / 16
    angle = torch.atan2(y, x) / (2 * math.pi) + 0.5
    for values in (area, angle, z / 10):
        uniform = torch.linspace(0, 1, 50_000, dtype=torch.double)
        assert (values.sort().values - uniform).abs().max() < 0.01  # Kolmogorov and Smirnov


@pytest.mark.parametrize("calorimeter", [RINGS, CELLS, TILED, ONE])
def test_the_jitter_of_showers_is_the_generator_s_and_stays_in_the_voxel(calorimeter) -> None:
    voxels = torch.ones(30, calorimeter.voxels)
    plain = shower_to_cloud(voxels, calorimeter)
    one, two, other = (
        shower_to_cloud(
            voxels, calorimeter, jitter=True, generator=torch.Generator().manual_seed(seed)
        )
        for seed in (0, 0, 1)
    )
    assert torch.equal(one.pos, two.pos)
    assert not torch.equal(one.pos, other.pos)
    assert not torch.equal(one.pos, plain.pos)
    assert torch.equal(cloud_to_shower(one, calorimeter), voxels)
    # The layer by z is the same as that of the points.
    bare = one.clone()
    del bare.layer
    assert torch.equal(cloud_to_shower(bare, calorimeter), voxels)
