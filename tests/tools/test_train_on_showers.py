"""A run that was trained on showers knows their calorimeter, and writes its samples as showers."""

from __future__ import annotations

import h5py
import pytest
import torch
from fabricated_showers import RINGS, fabricated_showers

from pcgen import io
from pcgen.images import cloud_to_shower, in_calorimeter, shower_to_cloud
from pcgen.tools import cli
from pcgen.training import weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a few steps on showers of RINGS."""
    folder = tmp_path_factory.mktemp("showers")
    showers = fabricated_showers(RINGS, 60, seed=0, threshold=30.0)
    clouds = shower_to_cloud(showers.voxels.float(), RINGS, y=showers.incident[:, None].float())
    io.write_clouds(folder / "showers.h5", clouds, RINGS.schema, calorimeter=RINGS)
    words = ["train", "points-flow", "--data", str(folder / "showers.h5"), "--steps", "2"]
    words += ["--output", str(folder / "run"), "--batch-size", "8", "--samples", "5"]
    assert cli.main(words) == 0
    return folder / "run"


def test_checkpoint_and_samples_know_the_calorimeter(run):
    state = weights.read_model(run / "checkpoints" / "last.ckpt")
    assert state.config["calorimeter"] == RINGS.to_dict()
    with io.open_cloud_file(run / "samples" / "samples.h5") as samples:
        assert samples.calorimeter == RINGS


def test_samples_as_showers_are_those_of_the_clouds(run, tmp_path):
    words = ["--number", "6", "--seed", "3"]
    assert cli.main(["sample", str(run), str(tmp_path / "a.h5"), *words]) == 0
    showers = str(tmp_path / "a.hdf5")
    assert cli.main(["sample", str(run), showers, *words, "--to-format", "calochallenge"]) == 0
    clouds, schema = io.read_clouds(tmp_path / "a.h5")
    expected = cloud_to_shower(in_calorimeter(clouds, schema, RINGS), RINGS, outside="clip")
    with io.open_file(showers) as file:
        assert file.calorimeter == RINGS
        found = file.read()
    torch.testing.assert_close(found.image, expected)
    torch.testing.assert_close(found.y, clouds.y)
    with h5py.File(showers) as file:
        assert (file["showers"].dtype, file["incident_energies"].dtype) == ("f4", "f4")
