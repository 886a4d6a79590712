"""The HGCal challenge's lists of cells and CaloGAN's three layers: order, units, damage."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
import torch

from pcgen import io
from pcgen.conversion import convert
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.grids import Calorimeter
from pcgen.io.calogan import CALORIMETER, CaloganFile
from pcgen.io.hgcal import HgcalFile

COUNTS = (3, 1, 4)
LISTS = Calorimeter.cells(
    [[0, 10, 20], [0], [0, 10, 0, 10]],
    [[0, 0, 0], [5], [0, 0, 10, 10]],
    [[10, 10, 10], [40], [10, 10, 10, 10]],
)


def hgcal(path, events=5, wide=6, **other):
    """Random cells [N, 3, wide] whose rows end with the layer's cells, and the particles."""
    rng = np.random.default_rng(0)
    cells = rng.exponential(1, (events, len(COUNTS), wide)).astype("f4")
    for layer, count in enumerate(COUNTS):
        cells[:, layer, count:] = 0
    particles = rng.uniform(1, 9, (events, 3)).astype("f4")
    with h5py.File(path, "w") as file:
        for name, value in {"showers": cells, "gen_info": particles, **other}.items():
            if value is not None:
                file[name] = value
    return cells, particles


def test_cells_of_the_lists_are_the_voxels_in_mev(tmp_path):
    cells, particles = hgcal(tmp_path / "a.h5")
    with io.open_file(tmp_path / "a.h5", calorimeter=LISTS) as file:
        assert isinstance(file, HgcalFile)
        assert (len(file), file.shape) == (5, (8,))
        whole = file.read()
        assert torch.equal(torch.cat([part.image for part in file.blocks(2)]), whole.image)
        with pickle.loads(pickle.dumps(file)) as again:
            assert torch.equal(again.read(1, 3).image, whole.image[1:3])
        names = [(each.name, each.unit) for each in file.schema.condition]
        np.testing.assert_allclose(file.incident(), 1000 * particles[:, 0], rtol=1e-6)
    flat = np.concatenate([cells[:, layer, :count] for layer, count in enumerate(COUNTS)], 1)
    np.testing.assert_allclose(whole.image, 1000 * flat, rtol=1e-6)
    np.testing.assert_allclose(whole.y[:, 0], 1000 * particles[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(whole.y[:, 1:], particles[:, 1:])
    assert names == [("incident_energy", "MeV"), ("eta", ""), ("phi", "rad")]


def test_without_lists_the_rows_are_the_voxels(tmp_path):
    cells, _ = hgcal(tmp_path / "a.h5")
    with io.open_file(tmp_path / "a.h5") as file:
        assert file.calorimeter is None
        assert file.shape == (18,)
        np.testing.assert_allclose(file.read().image, 1000 * cells.reshape(5, 18), rtol=1e-6)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"gen_info": None}, r"\(gen_info: none\), expected the HGCal challenge's"),
        ({"showers": np.zeros((5, 9))}, r"\(showers: one of shape \(5, 9\)\)"),
        ({"gen_info": np.zeros((5, 2))}, r"gen_info has shape \(5, 2\), expected \(5, 3\)"),
        ({"gen_info": np.zeros((4, 3))}, r"gen_info has shape \(4, 3\), expected \(5, 3\)"),
        (
            {"showers": np.zeros((5, 2, 6))},
            "has 2 layers of up to 6 cells, expected the 3 of up to",
        ),
        (
            {"showers": np.zeros((5, 3, 3))},
            "has 3 layers of up to 3 cells, expected the 3 of up to",
        ),
    ],
)
def test_other_layouts_are_refused(tmp_path, other, message):
    hgcal(tmp_path / "a.h5", **other)
    with pytest.raises(FileError, match=message):
        HgcalFile(tmp_path / "a.h5", LISTS)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((3, 1, 4), 1.0, "showers of event 3 has energies behind the last cell of a layer"),
        ((3, 1, 4), np.nan, "showers of event 3 has energies behind the last cell of a layer"),
        ((3, 1, 0), -1.0, r"image of event 3 at \(3,\) is -1000.0, expected a finite value"),
        ((3, 1, 0), np.nan, r"image of event 3 at \(3,\) is nan"),
    ],
)
def test_bad_energies_are_named(tmp_path, place, value, message):
    cells, _ = hgcal(tmp_path / "b.h5")
    cells[place] = value
    hgcal(tmp_path / "a.h5", showers=cells)
    with HgcalFile(tmp_path / "a.h5", LISTS) as file, pytest.raises(DataError, match=message):
        file.read(2, 5)


def calogan(path, events=4, **other):
    """Energies whose values are their places, and the particles in GeV."""
    shapes = {"layer_0": (3, 96), "layer_1": (12, 12), "layer_2": (12, 6)}
    values = {
        name: np.arange(events * x * y, dtype="f8").reshape(events, x, y)
        for name, (x, y) in shapes.items()
    }
    values["energy"] = np.linspace(1, 100, events)[:, None]
    values["overflow"] = np.ones((events, 3))
    values |= other
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            if value is not None:
                file[name] = value
    return values


def test_the_three_layers_are_a_calorimeter_with_x_before_y(tmp_path):
    values = calogan(tmp_path / "eplus.hdf5")
    with io.open_file(tmp_path / "eplus.hdf5") as file:
        assert isinstance(file, CaloganFile)
        assert file.passed_over == ("overflow",)
        file.passed_over = ()
        block = file.read(1, 3)
        np.testing.assert_allclose(file.incident(), 1000 * values["energy"][:, 0])
        assert file.calorimeter == CALORIMETER
    first = CALORIMETER.boundaries
    geometry = CALORIMETER.geometry()
    # The cell in the middle of the first layer, third from the lower end of y.
    voxel = int(CALORIMETER.locate(torch.tensor([[0.0, -229.0, -200.0]])).voxel)
    assert geometry.centre[voxel].tolist() == [0.0, -227.5, -195.0]
    assert block.image[0, voxel] == values["layer_0"][1, 1, 2]
    voxel = int(CALORIMETER.locate(torch.tensor([[-230.0, 239.0, 230.0]])).voxel)
    assert voxel == first[2] + 5
    assert block.image[1, voxel] == values["layer_2"][2, 0, 5]
    np.testing.assert_allclose(block.y, 1000 * values["energy"][1:3])
    assert geometry.volume.reshape(-1)[0] == 160 * 5 * 90


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"layer_1": None}, "expected CaloGAN's energy, layer_0, layer_1 and layer_2"),
        (
            {"layer_1": np.zeros((4, 12, 6))},
            r"layer_1 has shape \(4, 12, 6\), expected \(4, 12, 12",
        ),
        ({"layer_2": np.zeros((3, 12, 6))}, r"layer_2 has shape \(3, 12, 6\), expected \(4, 12, 6"),
        ({"energy": np.zeros(4)}, r"energy has shape \(4,\), expected \(4, 1\)"),
    ],
)
def test_other_layers_are_refused(tmp_path, other, message):
    calogan(tmp_path / "a.hdf5", **other)
    with pytest.raises(FileError, match=message):
        CaloganFile(tmp_path / "a.hdf5")


def test_another_calorimeter_must_have_as_many_voxels(tmp_path):
    calogan(tmp_path / "a.hdf5")
    with pytest.raises(ArgumentError, match="got 8 voxels, expected the 504"):
        CaloganFile(tmp_path / "a.hdf5", LISTS)


@pytest.mark.filterwarnings("ignore:.*overflow passed over")
def test_both_become_clouds_and_showers_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells, particles = hgcal("hgcal.h5")
    io.write_calorimeter("lists.json", LISTS)
    values = calogan("calogan.hdf5")
    for source, geometry in (("hgcal.h5", "lists.json"), ("calogan.hdf5", None)):
        assert convert(source, "clouds.h5", geometry=geometry).lost == ()
        done = convert("clouds.h5", "back.hdf5", to_format="calochallenge")
        assert done.lost == (("eta", "phi") if source == "hgcal.h5" else ())
        with io.open_file("back.hdf5") as file:
            back, known = file.read(), file.calorimeter
        direct = convert(source, "direct.hdf5", geometry=geometry, to_format="calochallenge")
        assert direct.points == done.points
        with io.open_file("direct.hdf5") as file:
            assert torch.equal(file.read().image, back.image)
        if source == "hgcal.h5":
            assert known == LISTS
            np.testing.assert_allclose(back.image.sum(1), 1000 * cells.sum((1, 2)), rtol=1e-6)
            np.testing.assert_allclose(back.y[:, 0], 1000 * particles[:, 0], rtol=1e-6)
        else:
            assert known == CALORIMETER
            total = sum(values[f"layer_{k}"].sum((1, 2)) for k in range(3))
            np.testing.assert_allclose(back.image.double().sum(1), total, rtol=1e-6)
