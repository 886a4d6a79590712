"""pcgen convert with a user's own conditions, classes and thresholds; CaloChallenge."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pcgen import clouds as pc
from pcgen import images, io
from pcgen.errors import ArgumentError, DataError, PcgenError
from pcgen.grids import Calorimeter, Grid
from pcgen.images import shower_to_cloud
from pcgen.schema import Quantity, Schema
from pcgen.tools.cli import main
from pcgen.tools.convert import convert

GRID = "x:0:1:4,y:0:1:2"
ENERGY = [10.0, 20.0, 40.0]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Three images, and what belongs to them, in files of all kinds; the same as point clouds."""
    monkeypatch.chdir(tmp_path)
    image = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    np.save("images.npy", image)
    np.save("energy.npy", ENERGY)
    np.save("labels.npy", [1, 0, 1])
    np.savez("a.npz", images=image, energy=ENERGY, kind=["pi", "e", "pi"], meta=np.ones(9))
    with h5py.File("a_images.h5", "w") as file:
        file["image"], file["truth/energy"], file["label"] = image, ENERGY, [1, 0, 1]
    Path("table.csv").write_text("energy,kind,angle\n10,pi,0\n20,e,1\n40,pi,2\n")
    schema = Schema((Quantity("x"), Quantity("y")), Quantity("E"), labels=("old",))
    batch = pc.make(torch.rand(6, 2), [1, 2, 3], weight=torch.ones(6), label=torch.zeros(3).long())
    io.write_clouds("points.h5", batch, schema)
    with h5py.File("points.h5", "r+") as file:
        file["energy"] = ENERGY
    io.write_clouds("e_%d.ply", batch, schema)
    return tmp_path


@pytest.mark.parametrize("source", ["images.npy", "a.npz", "a_images.h5", "points.h5", "e_%d.ply"])
@pytest.mark.parametrize(("where", "kind"), [("energy.npy", "labels.npy"),
                                             ("table.csv:energy", "table.csv:kind")])  # fmt: skip
@pytest.mark.parametrize("block", [1, 2, 5])
def test_own_energies_and_classes_go_with_every_source(here, source, where, kind, block):
    grid = None if source in ("points.h5", "e_%d.ply") else GRID
    own = {"condition": [f"E [GeV]={where}"], "labels": kind, "classes": ["e,pi"]}
    convert(source, "out.h5", grid=grid, block=block, **own)
    clouds, schema = io.read_clouds("out.h5")
    assert clouds.y.tolist() == [[value] for value in ENERGY]
    assert clouds.label.tolist() == [1, 0, 1]
    assert schema.condition == (Quantity("E", "GeV"),)
    assert schema.labels == ("e", "pi")
    convert(source, "one.h5", grid=grid, event=2, **own)
    assert io.read_clouds("one.h5")[0].y.tolist() == [[40.0]]


def test_arrays_of_the_source_itself(here, capsys):
    convert("a.npz", "b.h5", grid=GRID, condition=["E [GeV]=energy"], labels="kind")
    clouds, schema = io.read_clouds("b.h5")
    assert (clouds.y.flatten().tolist(), clouds.label.tolist()) == (ENERGY, [1, 0, 1])
    assert schema.labels == ("e", "pi")
    assert "passed over: meta (" in capsys.readouterr().out
    convert("a_images.h5", "b.h5", grid=GRID, condition=["E [GeV]=truth/energy"])
    assert io.read_clouds("b.h5")[0].y.flatten().tolist() == ENERGY
    assert "passed over" not in capsys.readouterr().out
    convert("points.h5", "b.h5", condition=["E=energy"])
    assert io.read_clouds("b.h5")[0].y.flatten().tolist() == ENERGY
    convert("a.npz", "b.h5", grid=GRID)
    assert "passed over: energy, kind, meta (--condition" in capsys.readouterr().out


def test_several_conditions_stay_in_their_order_also_in_images(here):
    conditions = ["angle [rad]=table.csv:angle", "E [GeV]=energy.npy"]
    convert("images.npy", "b.npz", grid=GRID, condition=conditions)
    with io.open_file("b.npz") as source:
        assert [q.label for q in source.schema.condition] == ["angle [rad]", "E [GeV]"]
        assert source.read().y.tolist() == [[0, 10], [1, 20], [2, 40]]


def test_what_images_cannot_keep_is_named(here, capsys):
    schema = Schema((Quantity("x"), Quantity("y")), Quantity("E"), (Quantity("time"),),
                    (Quantity("energy"),), ("e",))  # fmt: skip
    batch = pc.make(torch.rand(6, 2), [1, 2, 3], weight=torch.ones(6), x=torch.ones(6, 1),
                    y=torch.ones(3, 1), label=torch.zeros(3).long())  # fmt: skip
    io.write_clouds("timed.h5", batch, schema)
    for target, lost in (("b.npy", "time, energy, classes"), ("b.npz", "time")):
        convert("timed.h5", target, grid=GRID)
        line = f"lost, as {target[2:]} has no place for it: {lost}\n"
        assert capsys.readouterr().out.endswith(line)
    convert("timed.h5", "b_%d.ply")
    assert "lost" not in capsys.readouterr().out


def test_names_for_the_classes_that_a_file_has(here):
    convert("a_images.h5", "b.h5", grid=GRID, classes=["e", "pi"])
    clouds, schema = io.read_clouds("b.h5")
    assert (clouds.label.tolist(), schema.labels) == ([1, 0, 1], ("e", "pi"))
    with pytest.raises(
        ArgumentError, match=r"classes: .* images\.npy has no array label; .*--labels"
    ):
        convert("images.npy", "b.h5", grid=GRID, classes=["e,pi"])


def test_a_condition_without_a_name_is_kept_as_y(here):
    np.savez("y.npz", images=np.ones((3, 4, 2)), y=ENERGY)
    convert("y.npz", "b.h5", grid=GRID)
    clouds, schema = io.read_clouds("b.h5")
    assert (clouds.y.flatten().tolist(), schema.condition) == (ENERGY, (Quantity("y"),))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"condition": ["E [GeV]"]}, r"condition: got 'E \[GeV\]', expected a name, a unit and wh"),
        ({"condition": ["E [GeV=energy.npy"]}, "condition: got 'E .GeV', expected a name and a u"),
        (
            {"condition": ["E=energy.npy", "E=energy.npy"]},
            "condition: got the names E, E, expected",
        ),
        ({"condition": ["E=energy"]}, "condition: got 'energy', and images.npy has no arrays"),
        ({"condition": ["E=table.csv:mass"]}, "condition: table.csv: got mass, expected energy or"),
        ({"condition": ["E=wide.npy"]}, "condition: got 2 columns of wide.npy, .*wide.npy:0"),
        (
            {"condition": ["E=short.npy"]},
            r"short.npy has shape \(2,\), expected .* for B = 3 events",
        ),
        ({"condition": ["E=nan.npy"]}, "nan.npy of event 1 is nan, expected a finite number"),
        (
            {"condition": ["E=table.csv:kind"]},
            r"table.csv: kind of event 0 is \['pi'\], expected a n",
        ),
        ({"labels": "short.npy"}, r"short.npy has shape \(2,\)"),
        ({"labels": "half.npy"}, "half.npy of event 1 is 0.5, expected a class as a whole number"),
        ({"labels": "labels.npy", "classes": ["e"]}, "labels.npy of event 0 is 1, expected one of"),
        (
            {"labels": "table.csv:kind", "classes": ["e,mu"]},
            "kind of event 0 is pi, expected one of",
        ),
        ({"labels": "labels.npy", "classes": ["e,e"]}, "classes: got 'e, e', expected different"),
        ({"labels": "labels.npy", "classes": ["e,"]}, "classes: got 'e, '"),
        (
            {"nan": "unobserved", "target": "b.npz"},
            "nan: was given, but plays no part unless images",
        ),
        ({"condition": ["E=energy.npy"], "target": "b.npy"}, "condition: .* in .npy, which keeps"),
        ({"geometry": "a.xml"}, "a.xml: no such file"),
    ],
)
def test_what_does_not_fit_is_one_line_with_file_event_and_value(here, options, message):
    np.save("wide.npy", np.ones((3, 2)))
    np.save("short.npy", np.ones(2))
    np.save("nan.npy", [1, np.nan, 3])
    np.save("half.npy", [1, 0.5, 1])
    before = sorted(here.iterdir())
    with pytest.raises(PcgenError, match=message) as caught:
        convert("images.npy", **{"target": "b.h5", "grid": GRID, **options})
    assert "\n" not in str(caught.value)
    assert sorted(here.iterdir()) == before


def test_the_command_line_takes_several_conditions(here, capsys):
    words = ["--grid", GRID, "--condition", "E [GeV]=energy", "--condition", "n=meta.npy"]
    np.save("meta.npy", [1, 2, 3])
    assert main(["convert", "a.npz", "b.h5", *words, "--labels", "kind", "--classes", "pi,e"]) == 0
    clouds, schema = io.read_clouds("b.h5")
    assert clouds.y.tolist() == [[10, 1], [20, 2], [40, 3]]
    assert (clouds.label.tolist(), schema.labels) == ([0, 1, 0], ("pi", "e"))
    assert main(["convert", "a.npz", "c.h5", "--grid", GRID, "--condition", "E=mass"]) == 1
    assert capsys.readouterr().err.startswith("pcgen: condition: a.npz: got mass, expected images")


@pytest.mark.parametrize("name", ["noise.npy", "noise.npz"])
def test_noise_below_a_threshold_is_empty_and_refused_without_one(here, capsys, name):
    noise = np.random.default_rng(0).normal(0, 0.2, (3, 4, 2))
    noise[:, 1, 1] = 5
    (np.save if name == "noise.npy" else np.savez)(name, noise)
    with pytest.raises(DataError, match="expected a finite value that is not negative; a --thresh"):
        convert(name, "b.h5", grid=GRID)
    convert(name, "b.h5", grid=GRID, threshold=3.0)
    assert io.read_clouds("b.h5")[0].weight.tolist() == [5, 5, 5]
    message = f"{int((noise < 0).sum())} negative cells gave no point"
    assert message in capsys.readouterr().out


def test_dead_channels_are_named_or_refused(here, capsys):
    image = np.load("images.npy")
    image[1, 2, 1] = np.nan
    np.save("dead.npy", image)
    message = r"dead\.npy: image of event 1 at \(2, 1\) is nan, .*--nan unobserved"
    with pytest.raises(DataError, match=message):
        convert("dead.npy", "b.h5", grid=GRID, threshold=0.5)
    convert("dead.npy", "b.h5", grid=GRID, nan="unobserved", block=1)
    assert "1 unobserved cell gave no point" in capsys.readouterr().out
    image[1, 2, 1] = 0
    clouds = io.read_clouds("b.h5")[0]
    expected = images.image_to_cloud(torch.from_numpy(image), Grid.parse(GRID))
    assert torch.equal(clouds.weight, expected.weight)
    assert torch.equal(clouds.ptr, expected.ptr)
    image[0, 0, 0] = -np.inf
    np.save("dead.npy", image)
    with pytest.raises(DataError, match=r"image of event 0 at \(0, 0, 0\)|at \(0, 0\) is -inf"):
        convert("dead.npy", "c.h5", grid=GRID, nan="unobserved", threshold=0.5)


XML = """<Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,1,2" n_bin_alpha="4"/>
<Layer id="3" r_edges="0,5" n_bin_alpha="1"/></Bin>
<Bin pid="211" name="pion"><Layer id="0" r_edges="0,5" n_bin_alpha="2"/></Bin></Bins>"""


@pytest.fixture
def showers(here):
    """Three showers of nine voxels in MeV, and their binning."""
    Path("binning.xml").write_text(XML)
    voxels = np.random.default_rng(1).exponential(1, (3, 9))
    voxels[voxels < 1] = 0
    with h5py.File("showers.hdf5", "w") as file:
        file["showers"], file["incident_energies"] = voxels, np.array(ENERGY)[:, None]
    return torch.from_numpy(voxels)


def test_showers_become_clouds_with_their_geometry(showers):
    calorimeter = Calorimeter.from_xml("binning.xml", "photon")
    own = {"geometry": "binning.xml", "particle": "photon", "dtype": "float64"}
    convert("showers.hdf5", "b.h5", block=2, **own)
    clouds, schema = io.read_clouds("b.h5")
    expected = shower_to_cloud(showers, calorimeter)
    for name in ("pos", "weight", "layer", "ptr"):
        assert torch.equal(clouds[name], expected[name].to(clouds[name].dtype)), name
    assert schema == calorimeter.schema
    assert clouds.y.flatten().tolist() == ENERGY
    assert torch.equal(images.cloud_to_shower(clouds, calorimeter), showers)
    convert("showers.hdf5", "b.h5", threshold=1.5, **own)
    assert len(io.read_clouds("b.h5")[0].pos) == int((showers > 1.5).sum())


def test_one_threshold_means_the_same_for_images_and_showers():
    row = torch.tensor([[1.0, 2.0, 3.0]])
    calorimeter = Calorimeter.cylindrical([(0, 1, 2, 3)], [1])
    grid = Grid.regular({"x": (0, 3, 3)})
    assert shower_to_cloud(row, calorimeter, threshold=2.0).weight.tolist() == [3.0]
    assert images.image_to_cloud(row, grid, threshold=2.0).weight.tolist() == [3.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "geometry: got none and showers.hdf5 does not know the voxels"),
        ({"geometry": "binning.xml"}, r"binning\.xml: .*photon.*pion"),
        ({"geometry": "binning.xml", "particle": "pion"}, r"showers has shape \(3, 9\)"),
        ({"geometry": "none.xml"}, r"none\.xml: no such file"),
        (
            {"geometry": "binning.xml", "particle": "photon", "grid": GRID},
            "grid: was given, .*geom",
        ),
        (
            {"geometry": "binning.xml", "particle": "photon", "target": "b.npz"},
            "where all layers of the calorimeter have the same cells",
        ),
        (
            {"source": "images.npy", "geometry": "binning.xml", "particle": "pion"},
            "geometry: was gi",
        ),
        ({"particle": "photon"}, "particle: was given, but plays no part without --geometry"),
    ],
)
def test_showers_that_cannot_be_converted(showers, options, message):
    with pytest.raises(PcgenError, match=message):
        convert(**{"source": "showers.hdf5", "target": "b.h5", **options})
    assert not Path("b.h5").exists()


def test_showers_are_read_with_the_path_of_their_geometry(showers):
    Path("one.xml").write_text(XML.split('<Bin pid="211"')[0] + "</Bins>")
    assert torch.equal(io.read_showers("showers.hdf5", "one.xml").image, showers)
    for bad in (3, GRID.encode()):
        with pytest.raises(ArgumentError, match="calorimeter: got a "):
            io.read_showers("showers.hdf5", bad)
    with pytest.raises(
        PcgenError, match="holds showers, expected clouds; pcgen convert makes them"
    ):
        io.read_clouds("showers.hdf5")
