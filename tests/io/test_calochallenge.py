"""CaloChallenge's layout: read as showers in a calorimeter, in blocks, with errors by name."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
import torch

from pcgen import io
from pcgen.errors import DataError, FileError
from pcgen.grids import Calorimeter

CALORIMETER = Calorimeter.cylindrical([(0, 1, 2), (0, 5)], [4, 1])


def write(path, events=5, voxels=9, dtype=np.float32, **other):
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["showers"] = rng.exponential(10, (events, voxels)).astype(dtype)
        file["incident_energies"] = rng.uniform(1e3, 1e6, (events, 1)).astype(dtype)
        for name, value in other.items():
            del file[name]
            if value is not None:
                file[name] = value
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_those_of_the_file(tmp_path, dtype):
    path = write(tmp_path / "dataset.hdf5", dtype=dtype)
    images = io.read_showers(path, CALORIMETER)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(images.image.numpy(), file["showers"][:])
        np.testing.assert_array_equal(images.y.numpy(), file["incident_energies"][:])
    assert images.image.dtype == (torch.float32 if dtype == np.float32 else torch.float64)


def test_blocks_are_the_whole_in_order(tmp_path):
    path = write(tmp_path / "dataset.hdf5", events=7)
    with io.ShowerFile(path, CALORIMETER) as file:
        assert (len(file), file.shape, file.schema) == (7, (9,), CALORIMETER.schema)
        blocks = list(file.blocks(3))
        assert [len(block.image) for block in blocks] == [3, 3, 1]
        assert torch.equal(torch.cat([block.image for block in blocks]), file.read().image)
        with pickle.loads(pickle.dumps(file)) as again:
            assert torch.equal(again.read(2, 4).image, file.read().image[2:4])


def test_an_empty_file_has_no_showers(tmp_path):
    assert io.read_showers(write(tmp_path / "none.hdf5", 0), CALORIMETER).image.shape == (0, 9)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"showers": None}, "got the data sets incident_energies, expected CaloChallenge's"),
        ({"incident_energies": None}, "got the data sets showers, expected"),
        ({"showers": np.zeros((5, 8))}, r"showers has shape \(5, 8\), expected \[N, 9\]"),
        ({"incident_energies": np.zeros(5)}, r"incident_energies has shape \(5,\), expected"),
        ({"incident_energies": np.zeros((4, 1))}, "incident_energies has 4 rows, expected the 5"),
    ],
)
def test_other_layouts_are_refused(tmp_path, other, message):
    with pytest.raises(FileError, match=message):
        io.ShowerFile(write(tmp_path / "dataset.hdf5", **other), CALORIMETER)


def test_a_bad_energy_is_named_by_file_and_event(tmp_path):
    showers = np.ones((5, 9), np.float32)
    showers[3, 2] = np.nan
    path = write(tmp_path / "dataset.hdf5", showers=showers)
    message = r"dataset\.hdf5: image of event 3 at \(2,\) is nan"
    with io.ShowerFile(path, CALORIMETER) as file, pytest.raises(DataError, match=message):
        file.read(2, 5)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"none\.hdf5: no such file"):
        io.read_showers(tmp_path / "none.hdf5", CALORIMETER)
