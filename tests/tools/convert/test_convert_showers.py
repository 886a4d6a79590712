"""pcgen convert from showers to clouds and back: the calorimeter travels, units are converted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from fabricated_showers import CELLS, RINGS, fabricated_showers

from pcgen import io
from pcgen.conversion import convert
from pcgen.errors import DataError, PcgenError
from pcgen.grids import Calorimeter
from pcgen.images import shower_to_cloud
from pcgen.schema import Quantity
from pcgen.tools import cli

XML = """<Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,1,2" n_bin_alpha="4"/>
<Layer id="3" r_edges="0,5" n_bin_alpha="1"/></Bin></Bins>"""


EQUAL = Calorimeter.cylindrical([(0, 1, 2)] * 2, [4] * 2, depth=(0, 3, 9))


@pytest.fixture
def showers(here):
    """Five showers of nine voxels, float32, and their binning."""
    Path("binning.xml").write_text(XML)
    rng = np.random.default_rng(3)
    voxels = (rng.exponential(9, (5, 9)) * (rng.random((5, 9)) < 0.5)).astype("f4")
    voxels[3] = 0
    incident = rng.uniform(1e3, 1e6, (5, 1)).astype("f4")
    with h5py.File("showers.hdf5", "w") as file:
        file["showers"], file["incident_energies"] = voxels, incident
    return voxels, incident


def stored(path):
    """As the challenge's own code reads a file: two data sets, nothing else."""
    with h5py.File(path) as file:
        assert sorted(file) == ["incident_energies", "showers"]
        return file["showers"][:], file["incident_energies"][:]


def test_showers_come_back_from_clouds_without_their_geometry(showers):
    assert cli.main(["convert", "showers.hdf5", "clouds.h5", "--geometry", "binning.xml"]) == 0
    with io.open_cloud_file("clouds.h5") as source:
        assert source.calorimeter == Calorimeter.from_xml("binning.xml")
    assert cli.main(["convert", "clouds.h5", "again.h5", "--max-points", "99"]) == 0
    words = ["convert", "again.h5", "back.hdf5", "--to-format", "calochallenge", "--block", "2"]
    assert cli.main(words) == 0
    for found, expected in zip(stored("back.hdf5"), showers, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    with io.open_file("back.hdf5") as source:
        assert isinstance(source, io.ShowerSource)
        assert source.calorimeter == Calorimeter.from_xml("binning.xml")
    assert cli.main(["convert", "back.hdf5", "once-more.h5"]) == 0
    first, second = (io.read_clouds(path)[0] for path in ("clouds.h5", "once-more.h5"))
    assert torch.equal(first.pos, second.pos)
    assert torch.equal(first.weight, second.weight)


def test_flat_arrays_know_their_calorimeter_too(showers):
    convert("showers.hdf5", "a.npz", geometry="binning.xml", to_format="arrays")
    convert("a.npz", "back.hdf5", to_format="calochallenge")
    np.testing.assert_array_equal(stored("back.hdf5")[0], showers[0])


def test_a_given_geometry_replaces_that_of_the_file(showers):
    convert("showers.hdf5", "a.hdf5", geometry="binning.xml", to_format="calochallenge")
    Path("other.xml").write_text(XML.replace("0,1,2", "0,2,4"))
    convert("a.hdf5", "b.hdf5", geometry="other.xml", to_format="calochallenge")
    np.testing.assert_array_equal(stored("b.hdf5")[0], showers[0])
    with io.open_file("b.hdf5") as source:
        assert source.calorimeter == Calorimeter.from_xml("other.xml")
    # Points of the first binning are inside the second one, in voxels of twice the radius.
    convert("a.hdf5", "c.h5")
    convert("c.h5", "c.hdf5", geometry="other.xml", to_format="calochallenge")
    rings = showers[0][:, :8].reshape(5, 4, 2)
    found = stored("c.hdf5")[0][:, :8].reshape(5, 4, 2)
    np.testing.assert_allclose(found[:, :, 0], rings.sum(2), rtol=1e-6)
    assert not found[:, :, 1].any()


@pytest.mark.parametrize("calorimeter", [RINGS, CELLS])
def test_units_are_converted_and_points_of_a_voxel_add_up(here, calorimeter):
    showers = fabricated_showers(calorimeter, 20, seed=1)
    clouds = shower_to_cloud(showers.voxels, calorimeter, y=showers.incident[:, None])
    own = calorimeter.schema
    axes = tuple(
        dataclasses.replace(each, unit="cm") if each.unit == "mm" else each for each in own.axes
    )
    schema = dataclasses.replace(
        own,
        axes=axes,
        weight=Quantity("energy", "GeV"),
        condition=(Quantity("angle", "rad"), Quantity("incident_energy", "TeV")),
    )
    scale = torch.tensor([10.0 if each.unit == "cm" else 1.0 for each in axes])
    # Each voxel as two points of half its energy.
    halves = torch.arange(len(clouds.pos)).repeat_interleave(2)
    doubled = io.source.convention.make(
        clouds.pos[halves] / scale,
        2 * torch.diff(clouds.ptr),
        weight=clouds.weight[halves] / 2e3,
        layer=clouds.layer[halves],
        y=torch.cat([torch.zeros(20, 1), showers.incident[:, None] / 1e6], 1),
    )
    with io.CloudWriter("a.h5", schema, attrs={"calorimeter": calorimeter.to_dict()}) as writer:
        writer.append(doubled)
    done = convert("a.h5", "b.hdf5", to_format="calochallenge")
    assert done.lost == ("angle",)
    voxels, incident = stored("b.hdf5")
    np.testing.assert_allclose(voxels, showers.voxels, rtol=1e-6)
    np.testing.assert_allclose(incident[:, 0], showers.incident, rtol=1e-6)


def test_points_of_layers_that_differ_become_no_images_without_a_grid(showers, capsys):
    assert cli.main(["convert", "showers.hdf5", "clouds.h5", "--geometry", "binning.xml"]) == 0
    assert cli.main(["convert", "clouds.h5", "a.npz"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "grid: got none and the layers of the calorimeter of clouds.h5 have different" in line
    assert not Path("a.npz").exists()
    assert cli.main(["convert", "clouds.h5", "a.npz", "--grid", "x:-9:9:4,y:-9:9:4"]) == 0


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("plain.h5", {}, "geometry: got none and plain.h5 does not know the voxels"),
        ("plain.h5", {"geometry": "far.xml"}, r"points of event \d are outside the calorimeter"),
        ("joules.h5", {}, "energy: got unit 'J', expected one of eV, keV, MeV, GeV, TeV"),
        ("bare.h5", {}, "condition: got none in bare.h5, expected incident_energy"),
        ("layers.h5", {}, "layers: got front, expected those of the calorimeter: 0, 3"),
        ("damaged.h5", {}, r"damaged\.h5: calorimeter: got .* expected the fields"),
        ("clouds.h5", {"threshold": 1.0}, "threshold: was given"),
        ("clouds.h5", {"labels": "a.npy"}, "labels: was given, .*files of showers"),
        ("images.npy", {"geometry": "binning.xml"}, "showers and images become each other where"),
        (
            "images.npy",
            {"geometry": "equal.json"},
            r"images of shape \(3, 3\), expected the \(2, 4, 2",
        ),
    ],
)
def test_clouds_that_become_no_showers(showers, source, options, message):
    convert("showers.hdf5", "clouds.h5", geometry="binning.xml")
    with io.open_cloud_file("clouds.h5") as file:
        clouds, schema, known = file.read(), file.schema, file.attrs["calorimeter"]
    Path("far.xml").write_text(XML.replace("0,5", "4,5"))
    np.save("images.npy", np.ones((2, 3, 3)))
    io.write_calorimeter("equal.json", EQUAL)
    bare = io.source.convention.replace(clouds, y=None)
    changed = dataclasses.replace
    for name, batch, meaning, cells in (
        ("plain", clouds, schema, None),
        ("joules", clouds, changed(schema, weight=Quantity("energy", "J")), known),
        ("bare", bare, changed(schema, condition=()), known),
        ("layers", clouds, changed(schema, layers=("front", "3")), known),
        ("damaged", clouds, schema, {**known, "kind": "conical"}),
    ):
        attrs = {} if cells is None else {"calorimeter": cells}
        with io.CloudWriter(f"{name}.h5", meaning, attrs=attrs) as writer:
            writer.append(batch)
    with pytest.raises(PcgenError, match=message):
        convert(source, "b.hdf5", to_format="calochallenge", **options)
    assert not Path("b.hdf5").exists()


def test_showers_of_equal_layers_become_images_and_come_back(here):
    showers = fabricated_showers(EQUAL, 6, seed=0, threshold=30.0)
    with io.ShowerWriter("a.hdf5", EQUAL) as writer:
        writer.append(io.Images(showers.voxels.float(), showers.incident[:, None].float()))
    voxels, incident = stored("a.hdf5")
    convert("a.hdf5", "clouds.h5")
    for source in ("a.hdf5", "clouds.h5"):
        convert(source, "images.npz")
        with io.open_file("images.npz") as file:
            assert [axis.name for axis in file.grid.axes] == ["alpha", "r"]
            assert file.schema.layers == ("0", "1")
            images = file.read()
        np.testing.assert_array_equal(images.image.numpy(), voxels.reshape(6, 2, 4, 2))
        np.testing.assert_array_equal(images.y.numpy(), incident)
    io.write_calorimeter("equal.json", EQUAL)
    convert("images.npz", "b.hdf5", geometry="equal.json", to_format="calochallenge")
    for found, expected in zip(stored("b.hdf5"), (voxels, incident), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.savez("plain.npz", image=voxels.reshape(6, 2, 4, 2) / 1e3)
    np.save("energy.npy", incident)
    words = {"weight": "energy [GeV]", "condition": ["incident_energy [MeV]=energy.npy"]}
    convert("plain.npz", "c.hdf5", geometry="equal.json", to_format="calochallenge", **words)
    np.testing.assert_allclose(stored("c.hdf5")[0], voxels, rtol=1e-6)


def test_points_outside_are_dropped_or_clipped_and_counted(showers):
    convert("showers.hdf5", "clouds.h5", geometry="binning.xml")
    Path("far.xml").write_text(XML.replace("0,5", "4,5"))
    filled = int((showers[0][:, 8] > 0).sum())
    for outside, kept in (("drop", 0.0), ("clip", 1.0)):
        done = convert(
            "clouds.h5", "b.hdf5", geometry="far.xml", outside=outside, to_format="calochallenge"
        )
        assert done.outside == filled
        assert done.outside_weight == pytest.approx(showers[0][:, 8].sum())
        np.testing.assert_allclose(stored("b.hdf5")[0][:, 8], kept * showers[0][:, 8])


def test_an_energy_that_float32_does_not_hold_is_refused(tmp_path):
    cells = Calorimeter.planar([(0, 1)], [(0, 1, 2)])
    image = torch.tensor([[1.0, 1e300]], dtype=torch.double)
    with (
        pytest.raises(DataError, match=r"a\.hdf5: showers of event 0 is 1e\+300 MeV"),
        io.ShowerWriter(tmp_path / "a.hdf5", cells) as writer,
    ):
        writer.append(io.Images(image, torch.ones(1, 1)))
    assert not list(tmp_path.iterdir())
