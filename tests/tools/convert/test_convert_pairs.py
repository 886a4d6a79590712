"""``pcgen convert --context`` and ``--part``: two files become one of pairs, and two again."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from toy_pairs import CONTEXT, SCHEMA, equal, pairs, truths, write_pairs

import pcgen
from pcgen import clouds as pc
from pcgen.conversion import blocks
from pcgen.conversion import pairs as pairs_module
from pcgen.datasets import open_clouds
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter, Grid
from pcgen.images import cloud_to_image, image_to_cloud
from pcgen.io import CloudFile, open_file, read_clouds, write_clouds
from pcgen.schema import Quantity, Schema
from pcgen.tools import cli

GRID = Grid.parse("x:-2:2:8:mm,y:-2:2:8:mm")


@pytest.fixture
def files(tmp_path, monkeypatch) -> tuple[str, str]:
    """events.h5 and truth.h5 of 100 pairs, in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path)
    return "events.h5", "truth.h5"


def convert(words: str) -> None:
    assert cli.main(["convert", *words.split()]) == 0


def fails(words: str, capsys) -> str:
    capsys.readouterr()
    assert cli.main(["convert", *words.split()]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_two_files_become_one_and_two_again_byte_by_byte(files, capsys) -> None:
    convert("events.h5 p.h5 --context truth.h5 --block 7")
    points = [len(read_clouds(name)[0].pos) for name in files]
    text = f"p.h5: 100 events, {points[0]} points; contexts of {points[1]} points\n"
    assert capsys.readouterr().out == text
    write_clouds("python.h5", pairs(100), SCHEMA, context_schema=CONTEXT)
    with CloudFile("p.h5") as found, CloudFile("python.h5") as expected:
        assert (found.schema, found.context_schema) == (SCHEMA, CONTEXT)
        assert equal(found.read(), expected.read())
        assert found.passed_over == ()
    for part, file in zip(("events", "context"), files, strict=True):
        convert(f"p.h5 {part}-again.h5 --part {part}")
        assert Path(f"{part}-again.h5").read_bytes() == Path(file).read_bytes()
    # A data set of one file is the data set of the two.
    both = open_clouds(files[0], "test", context=files[1]).load()
    for more in (None, "p.h5"):  # of pairs, --context takes the contexts
        assert equal(open_clouds("p.h5", "test", context=more).load(), both)


def test_what_changes_events_leaves_their_contexts_alone(files) -> None:
    convert("events.h5 p.h5 --context truth.h5")
    clouds = pairs(100)
    convert("p.h5 few.h5 --max-points 2 --block 9")
    assert equal(read_clouds("few.h5")[0], pc.at_most(clouds, 2))
    convert("p.h5 one.h5 --event 3")
    assert equal(read_clouds("one.h5")[0], pc.select(clouds, [3]))
    convert("events.h5 same.h5 --context truth.h5 --event 3")
    assert equal(read_clouds("same.h5")[0], pc.select(clouds, [3]))
    convert("p.h5 front.h5 --observe layer=front --missing drop --dtype float64")
    front = read_clouds("front.h5")[0]
    assert front.layer.unique().tolist() == [0]
    assert equal(pc.context(front), pc.cast(pc.context(clouds), torch.float64))
    convert("p.h5 t.h5 --part context --max-points 2 --classes one,two")
    thinned, schema = read_clouds("t.h5")
    assert schema.labels == ("one", "two")
    assert equal(thinned, pc.at_most(pc.context(clouds), 2))
    # Seen and hidden points of the same events are pairs too.
    convert("truth.h5 seen.h5 --observe x=:0 --seed 1")
    convert("truth.h5 hidden.h5 --hide x=:0 --seed 1 --context seen.h5")
    hidden = read_clouds("hidden.h5")[0]
    assert equal(pc.context(hidden), read_clouds("seen.h5")[0])


def test_classes_of_contexts_are_their_own(files) -> None:
    others = pc.replace(truths(100), label=torch.arange(100) % 3)
    schema = Schema(CONTEXT.axes, CONTEXT.weight, condition=CONTEXT.condition, labels=tuple("uvw"))
    write_clouds("other.h5", others, schema)
    convert("events.h5 p.h5 --context other.h5")
    convert("p.h5 t.h5 --part context --classes one,two,three")
    found, schema = read_clouds("t.h5")
    assert found.label.tolist() == others.label.tolist()
    assert schema.labels == ("one", "two", "three")
    with pytest.raises(ArgumentError, match=r"expected the unit GeV of pt in p\.h5"):
        pcgen.convert("p.h5", "u.h5", part="context", condition=["pt [MeV]=context_y"])


@pytest.mark.parametrize("cells", [1 << 23, 100])
def test_images_and_showers_are_contexts_by_their_filled_cells(cells, files, monkeypatch) -> None:
    monkeypatch.setattr(pairs_module, "CELLS", cells)  # a few events at a time, or all
    truth = pc.replace(truths(100), y=None)
    image = cloud_to_image(truth, GRID)
    np.savez("truth.npz", image=image, label=truth.label)
    convert(f"truth.npz truth-cells.npz --grid {GRID}")
    convert("events.h5 p.h5 --context truth-cells.npz")
    with CloudFile("p.h5") as source:
        context = pc.context(source.read())
        assert [axis.name for axis in source.context_schema.axes] == ["x", "y"]
    expected = pc.replace(image_to_cloud(image, GRID, label=truth.label), cell=None)
    assert equal(context, expected)
    # The grid of the contexts is kept: they become images again.
    convert("p.h5 again.npz --part context")
    np.testing.assert_allclose(np.load("again.npz")["image"], image, rtol=1e-6)
    # Images become the events, beside their contexts.
    convert("truth-cells.npz q.h5 --context truth.h5 --block 30")
    with CloudFile("q.h5") as source:
        clouds = source.read()
        assert "grid" in source.attrs
    assert torch.equal(clouds.pos, expected.pos)
    assert equal(pc.context(clouds), truths(100))


def test_showers_are_contexts_by_their_filled_voxels(files) -> None:
    calorimeter = Calorimeter.planar([(-2, 0, 2)] * 2, [(-2, 0, 2)] * 2, depth=[0, 1, 2])
    truth = truths(100)
    schema = dataclasses.replace(
        calorimeter.schema, condition=(Quantity("incident_energy", "MeV"),)
    )
    hits = pc.replace(
        truth,
        pos=torch.cat([truth.pos, torch.full((len(truth.pos), 1), 0.5)], 1),
        layer=torch.zeros(len(truth.pos), dtype=torch.long),
        label=None,
        y=torch.full((100, 1), 50.0),
    )
    write_clouds("hits.h5", hits, schema, calorimeter=calorimeter)
    convert("hits.h5 hits.hdf5 --to calochallenge")
    convert("events.h5 r.h5 --context hits.hdf5")
    with CloudFile("r.h5") as source:
        context = pc.context(source.read())
        assert source.calorimeter is None
    torch.testing.assert_close(pc.total(context), pc.total(truth))
    convert("r.h5 again.hdf5 --part context --to calochallenge")
    with h5py.File("hits.hdf5") as one, h5py.File("again.hdf5") as other:
        np.testing.assert_allclose(one["showers"][:], other["showers"][:], rtol=1e-6)


def test_other_formats_lose_contexts_and_the_command_names_them(files, capsys) -> None:
    convert("events.h5 p.h5 --context truth.h5")
    capsys.readouterr()
    convert("p.h5 a.npz --to arrays")
    assert "lost, as arrays has no place for it: the contexts" in capsys.readouterr().out
    with open_file("a.npz", format="arrays") as source:
        assert "context_attrs" not in source.attrs
    done = pcgen.convert("p.h5", "b.npz", to_format="arrays", part="events")
    assert (done.lost, done.context) == ((), None)


def test_values_of_contexts_decide_on_the_type_too(files) -> None:
    truth = pc.cast(truths(100), torch.float64)
    wide = pc.replace(truth, pos=truth.pos + 1e9)
    write_clouds("wide.h5", wide, CONTEXT)
    done = pcgen.convert("events.h5", "p.h5", context="wide.h5")
    assert done.wide.startswith("events.h5, context: pos of event 0 is [")
    assert equal(pc.context(read_clouds("p.h5")[0]), wide)
    with pytest.raises(DataError, match="context: pos of event 0"):
        pcgen.convert("events.h5", "q.h5", context="wide.h5", dtype="float32")
    write_clouds("digits.h5", pc.replace(truth, pos=truth.pos / 3), CONTEXT)
    assert pcgen.convert("events.h5", "q.h5", context="digits.h5").rounded


def test_other_events_are_no_contexts(files, capsys) -> None:
    write_clouds("few.h5", truths(7), CONTEXT)
    line = fails("events.h5 p.h5 --context few.h5", capsys)
    assert "few.h5: got 7 events, expected the 100 of events.h5" in line
    truth = truths(100)
    late = truth.y.clone()
    late[60] = 7
    write_clouds("late.h5", pc.replace(truth, y=late), CONTEXT)
    line = fails("events.h5 p.h5 --context late.h5 --block 7", capsys)
    assert "late.h5: got pt 7 GeV in event 60, expected " in line
    write_clouds("swapped.h5", pc.replace(truth, label=1 - truth.label), CONTEXT)
    line = fails("events.h5 p.h5 --context swapped.h5", capsys)
    assert "swapped.h5: got class " in line
    assert "in event 0, expected" in line
    assert not Path("p.h5").exists()


def test_what_does_not_fit_is_refused_in_a_line(files, capsys) -> None:
    convert("events.h5 p.h5 --context truth.h5")
    line = fails("p.h5 q.h5 --context truth.h5", capsys)
    assert "have contexts already, expected none; --part events takes the events alone" in line
    convert("p.h5 q.h5 --part events --context p.h5")
    assert Path("q.h5").read_bytes() == Path("p.h5").read_bytes()
    line = fails("events.h5 truth.h5 --context truth.h5", capsys)
    assert "context: got the output truth.h5 itself" in line
    for target in ("a.npz --to arrays", f"a.npz --grid {GRID}", "a.hdf5", "e_%d.ply"):
        line = fails(f"events.h5 {target} --context truth.h5", capsys)
        assert "context: was given, but plays no part unless pcgen's own file" in line
    for part in ("events", "context"):
        line = fails(f"events.h5 a.h5 --part {part}", capsys)
        assert f"part: got '{part}', but the clouds of events.h5 have no contexts" in line
    np.save("i.npy", np.ones((2, 3)))
    line = fails("i.npy a.h5 --grid x:0:1:3 --part context", capsys)
    assert "i.npy is of the format npy, expected a file of pairs of pcgen (.h5)" in line
    line = fails("events.h5 a.h5 --context i.npy", capsys)
    assert "i.npy: holds images on unknown cells" in line
    with pytest.raises(ArgumentError, match="part: got 'both', expected events, context"):
        pcgen.convert("p.h5", "a.h5", part="both")
    assert not Path("a.h5").exists()


def test_contexts_are_checked_where_points_are_dropped(files, capsys) -> None:
    convert("events.h5 p.h5 --context truth.h5")
    with h5py.File("p.h5", "r+") as file:
        file["context_pos"][0, 0] = np.nan
    for more in ("", " --missing drop"):
        assert "p.h5, context: pos of event " in fails(f"p.h5 a.h5{more}", capsys)
    convert("p.h5 t.h5 --part context --missing drop")
    assert "; 1 without coordinates was left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"context_schema": {}}, "context_schema cannot be read (schema: got {}, expected"),
        ({"context_schema": "x"}, "context_schema cannot be read (schema: got 'x', expected"),
        ({}, "/context_ptr of event 4 goes from row "),
    ],
)
def test_damaged_contexts_are_named(files, capsys, damage, message) -> None:
    convert("events.h5 p.h5 --context truth.h5")
    with h5py.File("p.h5", "r+") as file:
        file.attrs["attrs"] = json.dumps(json.loads(file.attrs["attrs"]) | damage)
        if not damage:
            file["context_ptr"][5] = 0
    for words in ("p.h5 a.h5", "p.h5 a.h5 --part events"):
        line = fails(words, capsys)
        assert line.startswith("pcgen: p.h5: ")
        assert message in line
    assert not Path("a.h5").exists()


def test_a_part_is_a_file_of_its_own(files) -> None:
    convert("events.h5 p.h5 --context truth.h5")
    for part, file in zip(("events", "context"), files, strict=True):
        with CloudFile("p.h5", part=part) as source, CloudFile(file) as expected:
            again = pickle.loads(pickle.dumps(source))
            for each in (source, again):
                assert (each.schema, each.context_schema) == (expected.schema, None)
                assert each.attrs == expected.attrs
                assert torch.equal(each.sizes(), expected.sizes())
                assert torch.equal(each.labels(), expected.labels())
                assert equal(each.read(20, 30), expected.read(20, 30))
            again.close()
    assert blocks.CELLS == pairs_module.CELLS


def test_info_shows_the_contexts(files, capsys) -> None:
    convert("events.h5 p.h5 --context truth.h5")
    capsys.readouterr()
    for name, shown in (("p.h5", True), ("events.h5", False)):
        assert cli.main(["info", name]) == 0
        text = capsys.readouterr().out
        assert ("contexts: weight" in text) == shown
        assert ("energy [GeV]" in text) == shown


def test_commands_read_one_file_as_they_read_two(files) -> None:
    convert("events.h5 p.h5 --context truth.h5")
    small = "--hidden 8 --context-layers 1 --layers 1 --batch-size 8 --validate-events 8"
    small += " --accelerator cpu --progress false --steps 2 --samples 0"
    models = []
    for name, data in (("one", "p.h5"), ("two", "events.h5 --context truth.h5")):
        words = f"train points-context-flow --data {data} {small} --output {name}"
        assert cli.main(words.split()) == 0
        words = f"sample {name} {name}.h5 --split test --context"
        assert cli.main([*words.split(), "p.h5" if name == "one" else "truth.h5"]) == 0
        models.append(pcgen.load(name).state_dict())
    assert all(torch.equal(value, models[1][key]) for key, value in models[0].items())
    assert equal(read_clouds("one.h5")[0], read_clouds("two.h5")[0])
    words = "evaluate p.h5 one.h5 --protocol conditional --context p.h5 --split test --subset 0"
    assert cli.main(words.split()) == 0
