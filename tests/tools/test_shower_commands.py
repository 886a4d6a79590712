"""info, convert, train, sample, view and evaluate on small files of every layout of showers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from fabricated_showers import CELLS, RINGS, fabricated_showers

from pcgen import io
from pcgen.datasets.voxel_clouds import open_events
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.images import shower_to_cloud
from pcgen.io.calogan import CALORIMETER
from pcgen.metrics import protocols
from pcgen.metrics.showers import CALOCHALLENGE, own_facts
from pcgen.tools import cli
from pcgen.tools.shower_files import shower_pair


def write_showers(path, calorimeter=RINGS, events=60, seed=0, **options):
    """Showers in the challenge's layout, whose file stores the calorimeter."""
    showers = fabricated_showers(calorimeter, events, seed=seed, threshold=30.0, **options)
    with io.ShowerWriter(path, calorimeter) as writer:
        writer.append(io.Images(showers.voxels, showers.incident[:, None]))
    return showers


def stripped(path):
    """The file as others write it: without pcgen's attributes."""
    with h5py.File(path, "r+") as file:
        for name in list(file.attrs):
            del file.attrs[name]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def files(here):
    """A file of each layout."""
    write_showers("own.hdf5")
    write_showers("plain.hdf5")
    stripped("plain.hdf5")
    io.write_calorimeter("rings.json", RINGS)
    cells = np.random.default_rng(0).exponential(1, (20, 2, 4)).astype("f4")
    cells[:, 1, 3:] = 0
    np.savez(
        "cells.npz",
        x=[[-1.0, 1, -1, 1], [0, 1, 2, 0]],
        y=[[-1.0, -1, 1, 1], [0, 0, 0, 0]],
        size=np.ones((2, 4)),
        ncells=[4, 3],
    )
    with h5py.File("hgcal.h5", "w") as file:
        file["showers"], file["gen_info"] = cells, np.ones((20, 3), "f4")
    rng = np.random.default_rng(1)
    with h5py.File("calogan.hdf5", "w") as file:
        file["energy"] = rng.uniform(1, 100, (20, 1))
        for k, shape in enumerate(((3, 96), (12, 12), (12, 6))):
            file[f"layer_{k}"] = rng.exponential(5, (20, *shape)) * (rng.random(shape) < 0.1)
    events = np.zeros((20, 6, 4), "f4")
    events[:, :4] = rng.uniform(0.5, 9, (20, 4, 4))
    with h5py.File("caloclouds.hdf5", "w") as file:
        file["events"], file["energy"] = events, rng.uniform(10, 90, (20, 1))
    words = ["convert", "own.hdf5", "showerdata.h5", "--to", "showerdata"]
    assert cli.main(words) == 0
    return here


OPTIONS = {
    "own.hdf5": [],
    "plain.hdf5": ["--geometry", "rings.json"],
    "hgcal.h5": ["--geometry", "cells.npz"],
    "calogan.hdf5": [],
    "caloclouds.hdf5": [],
    "showerdata.h5": [],
}


@pytest.mark.parametrize(
    ("file", "parts"),
    [
        ("own.hdf5", ("showers 60", f"4 layers of rings, {RINGS.voxels} voxels, 0 to 80 mm deep")),
        ("plain.hdf5", ("showers 60", "makes clouds, with --geometry")),
        ("hgcal.h5", ("showers 20", "voxels 8", "1000 to 1000 MeV", "with --geometry")),
        ("calogan.hdf5", ("3 layers of rectangles, 504 voxels, -240 to 240 mm deep",)),
        ("caloclouds.hdf5", ("events 20", "points 80", "incident_energy [GeV]", "any clouds")),
        ("showerdata.h5", ("events 60", "layers 0, 1, 2, 3", "energy [GeV]", "direction_x")),
    ],
)
def test_info_shows_what_a_file_holds(files, capsys, file, parts):
    capsys.readouterr()
    assert cli.main(["info", file]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for part in parts:
        assert part in text, part


def test_info_of_clouds_names_their_calorimeter(files, capsys):
    assert cli.main(["convert", "hgcal.h5", "clouds.h5", "--geometry", "cells.npz"]) == 0
    assert cli.main(["info", "clouds.h5"]) == 0
    assert "2 layers of listed cells, 7 voxels" in capsys.readouterr().out


@pytest.mark.parametrize("file", OPTIONS)
def test_every_layout_becomes_clouds_and_is_viewed(files, file):
    assert cli.main(["convert", file, "clouds.h5", *OPTIONS[file]]) == 0
    with io.open_cloud_file("clouds.h5") as source:
        clouds, number = source.read(), len(source)
        assert {"x", "y", "z"} == {axis.name for axis in source.schema.axes}
        assert source.schema.weight.unit in ("MeV", "GeV")
    assert clouds.y.shape[0] == number
    assert cli.main(["view", file, *OPTIONS[file], "--output", "event.png"]) == 0
    assert Path("event.png").stat().st_size > 1000
    if "--geometry" not in OPTIONS[file]:
        # Files that know their cells are as good as those of clouds.
        with open_events(file) as direct:
            assert torch.equal(direct.sizes(), torch.diff(clouds.ptr))


@pytest.mark.parametrize("file", ["own.hdf5", "showerdata.h5", "caloclouds.hdf5"])
def test_files_train_as_they_are_unless_their_voxels_have_no_place(files, capsys, file):
    words = ["train", "points-gan", "--output", "run", "--steps", "1", "--batch-size", "4"]
    words += ["--samples", "2", "--hidden", "8", "--validate-events", "4"]
    assert cli.main([*words, "--data", file]) == 0
    with io.open_cloud_file("run/samples/samples.h5") as samples:
        assert samples.calorimeter == (RINGS if file == "own.hdf5" else None)
    assert cli.main([*words, "--data", "plain.hdf5"]) == 1
    assert "holds showers and not the places of their voxels" in capsys.readouterr().err


def test_showers_as_clouds_are_those_of_convert(files):
    assert cli.main(["convert", "own.hdf5", "clouds.h5"]) == 0
    clouds, schema = io.read_clouds("clouds.h5")
    with open_events("own.hdf5") as source:
        direct = source.read()
        assert source.schema == schema
        assert source.sizes().tolist() == torch.diff(clouds.ptr).tolist()
        assert source.calorimeter == RINGS
    for name in ("pos", "weight", "layer", "ptr", "y"):
        assert torch.equal(direct[name], clouds[name]), name


def test_a_negative_voxel_is_no_silent_loss(here):
    write_showers("own.hdf5")
    with h5py.File("own.hdf5", "r+") as file:
        file["showers"][7, 3] = -1.0
    with open_events("own.hdf5") as source, pytest.raises(DataError, match="event 7 at"):
        source.read()


def test_the_calorimeter_of_a_file_is_written_as_xml(files, capsys):
    assert cli.main(["convert", "own.hdf5", "a.xml", "--particle", "pion"]) == 0
    assert f"the calorimeter, {RINGS.voxels} voxels" in capsys.readouterr().out
    assert io.read_calorimeter("a.xml", "pion").layers == RINGS.layers
    assert cli.main(["convert", "plain.hdf5", "b.json", "--geometry", "a.xml"]) == 0
    assert cli.main(["convert", "calogan.hdf5", "c.json"]) == 0
    assert io.read_calorimeter("c.json") == CALORIMETER
    for words, message in (
        (["plain.hdf5", "d.xml"], "does not store its calorimeter"),
        (["calogan.hdf5", "d.xml"], "got planar cells, expected rings"),
        (["own.hdf5", "d.xml", "--threshold", "1"], "threshold: was given, but plays no part"),
    ):
        assert cli.main(["convert", *words]) == 1
        assert message in capsys.readouterr().err
    assert not Path("d.xml").exists()


# --- evaluate -------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """The protocol with its separation powers alone, for few events."""
    whole = protocols.calochallenge

    def few(*words, **options):
        protocol = whole(*words, **options)
        return dataclasses.replace(protocol, parts=protocol.parts[:1], need=10)

    monkeypatch.setattr(protocols, "calochallenge", few)


def scores(folder):
    (values,) = json.loads((Path(folder) / "evaluation.json").read_text()).values()
    return {each["name"]: each["value"] for each in values["scores"]}


def test_showers_are_compared_with_clouds_of_other_units(here, small):
    real, fake = write_showers("real.hdf5", seed=1), write_showers("fake.hdf5", seed=2, radius=9.0)
    clouds = shower_to_cloud(fake.voxels / 1e3, RINGS, y=fake.incident[:, None] / 1e3)
    schema = dataclasses.replace(
        RINGS.schema,
        weight=dataclasses.replace(RINGS.schema.weight, unit="GeV"),
        condition=(dataclasses.replace(RINGS.schema.condition[0], unit="GeV"),),
    )
    with io.CloudWriter("fake.h5", schema, attrs={"calorimeter": RINGS.to_dict()}) as writer:
        writer.append(clouds)
    words = ["--protocol", "calochallenge", "--permutations", "2"]
    for file, folder in (("fake.hdf5", "one"), ("fake.h5", "two")):
        assert cli.main(["evaluate", "real.hdf5", file, *words, "--output", folder]) == 0
    one, two = scores("one"), scores("two")
    assert one.keys() == two.keys()
    assert len(one) > 3
    for name, value in one.items():
        assert two[name] == pytest.approx(value, abs=0.02), name
    facts = own_facts(real, RINGS)
    assert facts.threshold == pytest.approx(30.0, rel=0.2)
    assert facts.centre == pytest.approx(float(RINGS.geometry().centre[:, :2].abs().max()))


def test_files_and_geometry_must_be_of_one_calorimeter(files):
    for words, error, message in (
        (("own.hdf5", "calogan.hdf5", None, None), DataError, "calogan.hdf5: got a calorimeter of"),
        (("own.hdf5", "plain.hdf5", None, None), FileError, "not the places of their voxels"),
        (("showerdata.h5", "own.hdf5", None, None), ArgumentError, "geometry: got none and show"),
        (("own.hdf5", "plain.hdf5", "none.xml", None), FileError, "no such file"),
        (
            ("own.hdf5", "own.hdf5", "cells.npz", None),
            FileError,
            r"has shape .*, expected \[N, 7\]",
        ),
    ):
        with pytest.raises(error, match=message):
            shower_pair(*words)
    pair = shower_pair("own.hdf5", "plain.hdf5", "rings.json", None)
    assert torch.equal(pair.real.weight, pair.generated.weight)
    assert pair.facts.threshold == pair.real.weight.min()
    # Hits of ShowerData have their layers, and need no depth.
    pair = shower_pair("own.hdf5", "showerdata.h5", "rings.json", None)
    torch.testing.assert_close(pair.generated.weight, pair.real.weight)
    torch.testing.assert_close(pair.generated.y, pair.real.y)
    torch.testing.assert_close(pair.generated.pos, pair.real.pos)


def test_the_facts_of_a_data_set_are_the_challenge_s(here):
    challenge = CALOCHALLENGE["1-photons"]
    write_showers("a.hdf5", CELLS)
    pair = shower_pair("a.hdf5", "a.hdf5", None, "1-photons")
    assert pair.facts == challenge
    assert pair.calorimeter == CELLS


def test_points_outside_and_missing_energies_are_refused(here):
    showers = write_showers("real.hdf5")
    clouds = shower_to_cloud(showers.voxels.float(), RINGS, y=showers.incident[:, None].float())
    far = clouds.clone()
    far.pos[5, 0] = 1e4
    io.write_clouds("far.h5", far, RINGS.schema, calorimeter=RINGS)
    bare = dataclasses.replace(RINGS.schema, condition=())
    plain = io.source.convention.replace(clouds, y=None)
    io.write_clouds("bare.h5", plain, bare, calorimeter=RINGS)
    with pytest.raises(DataError, match=r"far\.h5: 1 points of event 0 are outside"):
        shower_pair("real.hdf5", "far.h5", None, None)
    with pytest.raises(ArgumentError, match=r"bare\.h5: got the conditions none, expected incid"):
        shower_pair("real.hdf5", "bare.h5", None, None)


def test_info_of_a_calorimeter_says_how_it_is_used(files, capsys):
    io.write_calorimeter("rings.xml", RINGS, "photon")
    for file, what in (
        ("cells.npz", "2 layers of listed cells, 7 voxels"),
        ("rings.json", f"4 layers of rings, {RINGS.voxels} voxels, 0 to 80 mm deep"),
        ("rings.xml", f"4 layers of rings, {RINGS.voxels} voxels"),
    ):
        capsys.readouterr()
        assert cli.main(["info", file]) == 0
        text = " ".join(capsys.readouterr().out.replace("│", " ").split())
        assert what in text
        assert f"--geometry {file}" in text


def test_showers_that_store_their_calorimeter_need_no_geometry(files, capsys):
    capsys.readouterr()
    assert cli.main(["info", "own.hdf5"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "points-*, latent, image-*, sites-*, hits-* and showers-* recipes" in text
    assert "--geometry" not in text


def test_missing_cells_of_the_hgcal_challenge_are_a_list(files, capsys):
    assert cli.main(["convert", "hgcal.h5", "a.h5"]) == 1
    assert "for instance --geometry cells.npz, a list of its cells" in capsys.readouterr().err
    assert cli.main(["convert", "plain.hdf5", "a.h5"]) == 1
    assert "--geometry binning_dataset_2.xml of the CaloChallenge" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "name", "factor", "said"),
    [
        ("own.hdf5", "incident_energies", 1e-3, True),
        ("own.hdf5", "incident_energies", 1.0, False),
        ("caloclouds.hdf5", "energy", 1e-3, True),
        ("caloclouds.hdf5", "energy", 1e3, True),
        ("caloclouds.hdf5", "energy", 1.0, False),
        ("calogan.hdf5", "energy", 1e3, True),
    ],
)
def test_energies_of_another_unit_are_doubted(files, capsys, file, name, factor, said):
    with h5py.File(file, "r+") as opened:
        opened[name][...] = opened[name][...] * factor
    capsys.readouterr()
    assert cli.main(["convert", file, "a.h5"]) == 0
    text = capsys.readouterr().out
    assert ("times that of the incoming particles: another unit of one of them?" in text) is said


def test_links_give_data_sets_their_known_names(files):
    with h5py.File("plain.hdf5", "r+") as file:
        before = file["showers"][()]
        for name, other in (("showers", "events"), ("incident_energies", "kinetic")):
            file.move(name, other)
            file[name] = h5py.SoftLink(f"/{other}")
    with io.open_file("plain.hdf5", calorimeter=RINGS) as source:
        assert source.passed_over == ("events", "kinetic")  # by their other names
        source.passed_over = ()
        np.testing.assert_array_equal(source.read().image, before)
