"""Calorimeters: the order of the voxels, their places and volumes, and where points are."""

from __future__ import annotations

import json
import math
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter, Grid
from pcgen.schema import Quantity

OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "calochallenge_binning"


@st.composite
def rising(draw: st.DrawFn, low: int = 0) -> tuple[float, ...]:
    steps = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    return tuple(float(edge) / 2 for edge in np.cumsum([draw(st.integers(low, 5)), *steps]))


@st.composite
def cylinders(draw: st.DrawFn) -> Calorimeter:
    layers = draw(st.integers(1, 4))
    edges = [draw(rising()) for _ in range(layers)]
    sectors = [draw(st.integers(1, 7)) for _ in range(layers)]
    depth = np.cumsum([0.0, *(draw(st.integers(1, 5)) for _ in range(layers))])
    return Calorimeter.cylindrical(edges, sectors, depth=draw(st.sampled_from([(), depth])))


@st.composite
def boxes(draw: st.DrawFn) -> Calorimeter:
    layers = draw(st.integers(1, 4))
    x, y = ([draw(rising(-9)) for _ in range(layers)] for _ in range(2))
    return Calorimeter.planar(x, y, numbers=range(3, 3 + layers))


calorimeters = st.one_of(cylinders(), boxes())


@given(cylinders())
def test_the_order_is_r_then_alpha_then_layer(calorimeter: Calorimeter) -> None:
    """Written out as the CaloChallenge describes it."""
    expected, layers = [], []
    for layer, grid in enumerate(calorimeter.layers):
        sectors, edges = len(grid.edges[0]) - 1, grid.edges[1]
        for sector in range(sectors):
            alpha = -math.pi + 2 * math.pi * (sector + 0.5) / sectors
            for inner, outer in pairwise(edges):
                r = (inner + outer) / 2
                expected.append((r * math.cos(alpha), r * math.sin(alpha)))
                layers.append(layer)
    geometry = calorimeter.geometry()
    assert geometry.layer.tolist() == layers
    torch.testing.assert_close(geometry.centre[:, :2], torch.tensor(expected, dtype=torch.double))
    assert calorimeter.boundaries == tuple(np.searchsorted(layers, range(max(layers) + 2)))


@given(boxes())
def test_planar_cells_are_those_of_meshgrid(calorimeter: Calorimeter) -> None:
    geometry, first = calorimeter.geometry(), calorimeter.boundaries
    for number, grid in enumerate(calorimeter.layers):
        edges = [np.array(each) for each in grid.edges]
        x, y = np.meshgrid(*[(e[1:] + e[:-1]) / 2 for e in edges], indexing="ij")
        area = np.diff(edges[0])[:, None] * np.diff(edges[1])
        part = slice(first[number], first[number + 1])
        centre = geometry.centre[part].numpy()
        np.testing.assert_allclose(centre[:, :2], np.stack([x.ravel(), y.ravel()], 1))
        np.testing.assert_allclose(geometry.volume[part], area.ravel())
        np.testing.assert_allclose(geometry.r[part], np.hypot(x, y).ravel())


@given(calorimeters, st.sampled_from([torch.float32, torch.float64]), st.booleans())
def test_centres_are_in_their_voxels(
    calorimeter: Calorimeter, dtype: torch.dtype, named: bool
) -> None:
    geometry = calorimeter.geometry()
    layer = geometry.layer if named else None
    voxel, inside = calorimeter.locate(geometry.centre.to(dtype), layer)
    assert voxel.tolist() == list(range(calorimeter.voxels))
    assert bool(inside.all())


@given(cylinders())
def test_volumes_sum_to_hollow_cylinders(calorimeter: Calorimeter) -> None:
    total = 0.0
    for number, grid in enumerate(calorimeter.layers):
        depth = calorimeter.depth or range(len(calorimeter.layers) + 1)
        area = math.pi * (grid.edges[1][-1] ** 2 - grid.edges[1][0] ** 2)
        total += area * (depth[number + 1] - depth[number])
    assert calorimeter.geometry().volume.sum().item() == pytest.approx(total)


@given(calorimeters, st.integers(0, 99))
def test_points_are_located_as_by_a_search_of_all_voxels(calorimeter: Calorimeter, seed: int):
    generator = torch.Generator().manual_seed(seed)
    pos = torch.empty(60, 3, dtype=torch.double).uniform_(-8, 8, generator=generator)
    voxel, inside = calorimeter.locate(pos)
    depth = calorimeter.depth or tuple(range(len(calorimeter.layers) + 1))
    for row, (x, y, z) in enumerate(pos.tolist()):
        plane = (math.atan2(y, x), math.hypot(x, y)) if calorimeter.cylinder else (x, y)
        layer = int(np.digitize(z, depth)) - 1
        found = -1
        if 0 <= layer < len(calorimeter.layers):
            edges = calorimeter.layers[layer].edges
            cell = [int(np.digitize(p, e)) - 1 for p, e in zip(plane, edges, strict=True)]
            if all(0 <= c < len(e) - 1 for c, e in zip(cell, edges, strict=True)):
                found = calorimeter.boundaries[layer] + cell[0] * (len(edges[1]) - 1) + cell[1]
        assert bool(inside[row]) == (found >= 0)
        assert found in (-1, int(voxel[row]))


def test_outside_gets_the_nearest_voxel_and_layer() -> None:
    calorimeter = Calorimeter.cylindrical([(0, 1, 2), (0, 5)], [4, 1], depth=(0, 10, 30))
    pos = torch.tensor([[0.0, 9.0, 4.0], [0.1, 0.1, 99.0], [0.1, 0.1, -1.0], [7.0, 0.0, 20.0]])
    voxel, inside = calorimeter.locate(pos)
    assert voxel.tolist() == [7, 8, 4, 8]
    assert not bool(inside.any())


def test_the_angle_closes_at_pi() -> None:
    calorimeter = Calorimeter.cylindrical([(0, 1)], [4])
    pos = torch.tensor([[-0.5, 0.0, 0.5], [-0.5, -0.0, 0.5], [0.5, 0.0, 0.5]])
    voxel, inside = calorimeter.locate(pos)
    assert voxel.tolist() == [0, 0, 2]
    assert bool(inside.all())


def test_equal_calorimeters_are_equal_and_travel() -> None:
    calorimeter = Calorimeter.cylindrical([(0, 1, 2), (0, 5)], [4, 1], numbers=(0, 12))
    calorimeter.geometry()
    again = pickle.loads(pickle.dumps(calorimeter))
    assert again == calorimeter == Calorimeter(calorimeter.layers, (0, 12))
    assert hash(again) == hash(calorimeter)
    assert again.schema.layers == ("0", "12")
    assert [axis.unit for axis in again.schema.axes] == ["mm", "mm", ""]


def test_what_makes_no_calorimeter_is_refused() -> None:
    ring, square = Calorimeter.cylindrical([(0, 1)], [1]), Calorimeter.planar([(0, 1)], [(0, 1)])
    with pytest.raises(ArgumentError, match="expected at least one, all with the same axes"):
        Calorimeter((*ring.layers, *square.layers))
    with pytest.raises(ArgumentError, match=r"got 1 \(phi\), expected .*, alpha and r or x and y"):
        Calorimeter((Grid((Quantity("phi"),), ((0, 1),)),))
    with pytest.raises(ArgumentError, match=r"numbers: got \(3, 3\), expected 2 rising"):
        Calorimeter(2 * ring.layers, (3, 3))
    with pytest.raises(ArgumentError, match="depth: got 2 edges, expected 3"):
        Calorimeter(2 * ring.layers, depth=(0, 1))
    with pytest.raises(ArgumentError, match=r"pos: got torch.float32 \(4, 2\)"):
        ring.locate(torch.zeros(4, 2))
    with pytest.raises(ArgumentError, match="layer of point 1: got 1, expected 0 to 0"):
        ring.locate(torch.zeros(2, 3), torch.tensor([0, 1]))


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official files are not here")
@pytest.mark.parametrize(
    ("name", "particle", "voxels", "layers"),
    [
        ("1_photons", "photon", 368, (0, 1, 2, 3, 12)),
        ("1_pions", "pion", 533, (0, 1, 2, 3, 12, 13, 14)),
        ("2", "electron", 6480, tuple(range(45))),
        ("3", "electron", 40500, tuple(range(45))),
    ],
)
def test_the_official_calorimeters(
    name: str, particle: str, voxels: int, layers: tuple[int, ...]
) -> None:
    calorimeter = Calorimeter.from_xml(OFFICIAL / f"binning_dataset_{name}.xml", particle)
    assert calorimeter.voxels == voxels
    assert calorimeter.numbers == layers
    located = calorimeter.locate(calorimeter.geometry().centre.float())
    assert located.voxel.tolist() == list(range(voxels))


def test_from_xml_is_the_same_as_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "binning.xml"
    path.write_text(
        '<Bins><Bin name="pion"><Layer id="0" r_edges="0,1,2" n_bin_alpha="4"/>'
        '<Layer id="1" r_edges="0" n_bin_alpha="1"/>'
        '<Layer id="12" r_edges="0,5" n_bin_alpha="1"/></Bin></Bins>'
    )
    by_hand = Calorimeter.cylindrical([(0, 1, 2), (0, 5)], [4, 1], numbers=(0, 12), depth=(0, 2, 9))
    assert Calorimeter.from_xml(path, "pion", depth=(0, 2, 9)) == by_hand


def test_columns_are_found_by_name_and_unit() -> None:
    calorimeter = Calorimeter.planar([(0, 1)], [(0, 1)])
    x, y, z = calorimeter.schema.axes
    assert calorimeter.columns((z, x, Quantity("time", "ns"), y)) == (1, 3, 0)
    with pytest.raises(ArgumentError, match="axes of grid: got 'y', expected one of"):
        calorimeter.columns((x, z))
    with pytest.raises(ArgumentError, match=r"axis .x. of grid: got unit .mm.*expected .cm"):
        calorimeter.columns((Quantity("x", "cm"), y, z))


@given(calorimeters)
def test_a_calorimeter_survives_json_exactly(calorimeter: Calorimeter) -> None:
    assert Calorimeter.from_dict(json.loads(json.dumps(calorimeter.to_dict()))) == calorimeter


def test_angles_that_are_not_equal_survive_too() -> None:
    uneven = Calorimeter.cylindrical([(0, 1, 3)], [(-1.0, 0.5, 2.0)], numbers=(4,), depth=(0, 1))
    assert uneven.voxels == 4
    assert uneven.to_dict()["sectors"] == [[-1.0, 0.5, 2.0]]
    assert Calorimeter.from_dict(uneven.to_dict()) == uneven


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "from_xml"},
        {"kind": ["planar"]},
        {"sectors": [10**9]},
        {"sectors": ["4"]},
        {"sectors": [2.5]},
        {"sectors": [0]},
        {"sectors": [4, 4]},
        {"sectors": [10**6], "r_edges": [list(range(100))]},
        {"r_edges": [[1, 0]]},
        {"r_edges": [[0, float("nan")]]},
        {"r_edges": None},
        {"r_edges": ["ab"]},
        {"numbers": [1.5]},
        {"numbers": ["0"]},
        {"depth": [1]},
        {"path": "/etc/passwd"},
    ],
)
def test_what_is_no_calorimeter_is_refused(change: dict[str, object]) -> None:
    good = Calorimeter.cylindrical([(0, 1, 2)], [4], numbers=(0,), depth=(0, 1)).to_dict()
    with pytest.raises(DataError, match="calorimeter: "):
        Calorimeter.from_dict(good | change)
    for entry in ("kind", "r_edges"):
        with pytest.raises(DataError, match=entry):
            Calorimeter.from_dict({name: good[name] for name in good if name != entry})
