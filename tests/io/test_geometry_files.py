"""Files that describe calorimeters: lists of cells, XML and JSON, there and back, and damage."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from fabricated_showers import CELLS, RINGS

from pcgen import io
from pcgen.errors import ArgumentError, FileError
from pcgen.grids import Calorimeter

HEXAGONS = {
    "x": np.array([[0, 1, 2, 9], [0, 0.5, 7, 7]], "f4"),
    "y": np.array([[0, 0, 0, 9], [0, 0, 7, 7]], "f4"),
    "ncells": np.array([3, 2], "i4"),
    "type": np.array([[1, 2, 0, -1], [20, 11, -1, -1]], "i2"),
}


def test_lists_of_cells_are_cut_and_converted(tmp_path):
    np.savez(tmp_path / "a.npz", **HEXAGONS, cell_id=np.arange(8))
    found = io.read_calorimeter(tmp_path / "a.npz")
    assert [layer.x for layer in found.layers] == [(0, 10, 20), (0, 5)]
    assert [layer.size for layer in found.layers] == [(12.09, 12.09, 8.06), (5, 12.09)]
    assert (found.numbers, found.depth) == ((0, 1), ())
    given = {"size": HEXAGONS["x"] + 1, "unit": np.array("mm"), "numbers": np.array([2, 5])}
    np.savez(tmp_path / "b.npz", **HEXAGONS, **given, depth=np.array([0, 3, 4]))
    found = io.read_calorimeter(tmp_path / "b.npz")
    assert found.layers[0].size == (1, 2, 3)
    assert found.layers[0].x == (0, 1, 2)
    assert (found.numbers, found.depth) == ((2, 5), (0, 3, 4))
    area = found.geometry().volume[2].item()
    assert area == pytest.approx(3 * math.sqrt(3) / 2 * 3**2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ncells": None}, "got the arrays .*, expected x, y and ncells among them"),
        ({"type": None}, "got neither size nor type"),
        ({"type": np.ones((2, 4))}, "type is float64, expected whole numbers"),
        ({"ncells": np.array([3, 5])}, "ncells is 3 to 5, expected 1 to 4"),
        ({"ncells": np.array([3, 0])}, "ncells is 0 to 3"),
        ({"ncells": np.array([3.0, 2.0])}, r"ncells \(2,\) of float64"),
        ({"ncells": np.array([3])}, r"x has shape \(2, 4\) and ncells \(1,\)"),
        ({"y": np.zeros((2, 3))}, r"y has shape \(2, 3\), expected \(2, 4\)"),
        ({"x": np.full((2, 4), np.nan)}, "finite coordinates"),
        ({"size": np.zeros((2, 4))}, "or a size that is not positive"),
        ({"unit": np.array("inch")}, "unit: got unit 'inch', expected one of nm"),
        ({"numbers": np.array([5, 2])}, "numbers: got"),
        ({"depth": np.array([0, 1])}, "depth: got 2 edges, expected 3"),
        ({"x": np.array([["a"] * 4] * 2)}, "could not convert string"),
        ({"x": np.array([[None] * 4] * 2)}, r"a\.npz"),
    ],
)
def test_what_is_no_list_of_cells_is_refused(tmp_path, change, message):
    values = {name: v for name, v in (HEXAGONS | change).items() if v is not None}
    np.savez(tmp_path / "a.npz", **values)
    with pytest.raises(FileError, match=message):
        io.read_calorimeter(tmp_path / "a.npz")


def test_rings_come_back_from_the_xml_of_the_challenge(tmp_path):
    flat = Calorimeter(RINGS.layers, RINGS.numbers)
    io.write_calorimeter(tmp_path / "a.xml", RINGS, "pion")
    assert io.read_calorimeter(tmp_path / "a.xml", "pion") == flat
    # The challenge's code finds layers by their place: there is one for each number.
    assert (tmp_path / "a.xml").read_text().count("<Layer id=") == RINGS.numbers[-1] + 1
    odd = Calorimeter.cylindrical([(0.1, 0.30000000000000004, 1e-7 + 1)], [3])
    io.write_calorimeter(tmp_path / "b.xml", odd)
    assert io.read_calorimeter(tmp_path / "b.xml", "electron") == odd


@pytest.mark.parametrize("calorimeter", [RINGS, CELLS])
def test_every_calorimeter_comes_back_from_json(tmp_path, calorimeter):
    io.write_calorimeter(tmp_path / "a.json", calorimeter)
    assert io.read_calorimeter(tmp_path / "a.json") == calorimeter


def test_what_describes_nothing_is_refused(tmp_path):
    for text in ("[1]", "{", '{"kind": "planar"}', "[" * 1000, json.dumps({"kind": 3})):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(FileError, match=r"a\.json"):
            io.read_calorimeter(tmp_path / "a.json")
    with pytest.raises(ArgumentError, match=r"expected one of the endings \.xml"):
        io.read_calorimeter(tmp_path / "a.pkl")
    io.write_calorimeter(tmp_path / "a.json", RINGS)
    with pytest.raises(ArgumentError, match="describes no particles"):
        io.read_calorimeter(tmp_path / "a.json", "pion")
    with pytest.raises(FileError, match="no such file"):
        io.read_calorimeter(tmp_path / "none.npz")
    for path, calorimeter, message in (
        ("b.npz", RINGS, "expected .xml or .json"),
        ("b.xml", CELLS, "got planar cells, expected rings"),
        ("b.xml", Calorimeter.cylindrical([(0, 1)], [(0.0, 1.0, 3.0)]), "got cylindrical cells"),
    ):
        with pytest.raises(ArgumentError, match=message):
            io.write_calorimeter(tmp_path / path, calorimeter)
        assert not (tmp_path / path).exists()
