"""pcgen convert on tables: options, what is refused, conditions of columns, memory; pcgen info."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from toy_files import files

import pcgen
from pcgen import clouds as pc
from pcgen import io
from pcgen.errors import ArgumentError, DataError, FileError, MissingExtraError, PcgenError
from pcgen.io.tables import arrays, text
from pcgen.tools import cli
from pcgen.tools.convert import convert


@pytest.fixture
def hits(here):
    """Three events in hits.csv, and all four in events.csv."""
    (here / "hits.csv").write_text(
        "event_id,x,y,z,energy,time,charge,run\n7,1,2,3,0.5,10,1,5\n7,4,5,6,0.25,-3,-1,5\n"
        "9007199254740993,7,8,9,1,0,0,5\n3,0,0,0,2,1,0,6\n"
    )
    (here / "events.csv").write_text(
        "event_id,E,kind\n7,100,pi\n8,200,e\n9007199254740993,300,pi\n3,400,e\n"
    )
    return here


OPTIONS = {"event": "event_id", "pos": ["x", "y", "z:mm"], "weight": "energy:GeV"}


def test_the_command_of_the_docs(hits, capsys):
    words = "convert hits.csv clouds.h5 --event event_id --pos x,y,z:mm --weight energy:GeV"
    assert cli.main([*words.split(), "--x", "time:ns", "charge:-1/0/1"]) == 0
    assert capsys.readouterr().out == "clouds.h5: 3 events, 4 points\n"
    found, schema = io.read_clouds("clouds.h5")
    assert found.ptr.tolist() == [0, 2, 3, 4]
    assert found.pos.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 0, 0]]
    assert found.weight.tolist() == [0.5, 0.25, 1, 2]
    assert found.x.tolist() == [[10, 2], [-3, 0], [0, 1], [1, 1]]
    labels = [q.label for q in (*schema.axes, schema.weight, *schema.features)]
    assert labels == ["x [mm]", "y [mm]", "z [mm]", "energy [GeV]", "time [ns]", "charge"]
    assert schema.features[1].categories == ("-1", "0", "1")


def test_conditions_and_classes_of_columns_and_of_a_table_of_events(hits):
    own = {"condition": ["E [GeV]=events.csv:E"], "labels": "events.csv:kind"}
    convert("hits.csv", "a.h5", **OPTIONS, **own, events="events.csv:event_id")
    found, schema = io.read_clouds("a.h5")
    assert found.ptr.tolist() == [0, 2, 2, 3, 4]
    assert (found.y[:, 0].tolist(), found.label.tolist()) == ([100, 200, 300, 400], [1, 0, 1, 0])
    assert (schema.condition[0].label, schema.labels) == ("E [GeV]", ("e", "pi"))
    with pytest.raises(FileError, match=r"events\.csv: E has shape \(4,\), .*B = 3 events"):
        convert("hits.csv", "b.h5", **OPTIONS, **own)
    with pytest.raises(DataError, match=r"energy of event 0 is 0\.5 and 0\.25, expected the same"):
        convert("hits.csv", "b.h5", **OPTIONS, condition=["E [GeV]=energy"])
    convert("hits.csv", "b.h5", **OPTIONS, where=["charge == 0"], condition=["run=run"])
    found, _ = io.read_clouds("b.h5")
    assert (found.ptr.tolist(), found.y[:, 0].tolist()) == ([0, 0, 1, 2], [5, 5, 6])
    with pytest.raises(DataError, match="event_id of event 1 is 9007199254740993, expected a fin"):
        convert("hits.csv", "b.h5", **OPTIONS, condition=["id=event_id"])
    with pytest.raises(ArgumentError, match=r"condition: hits\.csv: got no column mass, expected"):
        convert("hits.csv", "b.h5", **OPTIONS, condition=["m=mass"])


def test_events_in_a_row_are_chosen_by_number_and_rows_by_their_event(hits):
    convert("hits.csv", "all.h5", **OPTIONS)
    np.savez("hits.npz", a=np.arange(6.0), offsets=np.array([0, 1, 1, 6]))
    done = convert("hits.npz", "one.h5", pos=["a"], offsets="offsets", event=2)
    assert (done.events, done.points) == (1, 5)
    assert io.read_clouds("one.h5")[0].pos[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_images_of_a_table(hits):
    convert("hits.csv", "a.npz", **OPTIONS, grid="x:0:10:2:mm,y:0:10:2:mm")
    with io.open_file("a.npz") as source:
        images = source.read().image.tolist()
    # (1, 2) and (4, 5) of the first event, (7, 8) and (0, 0); cells are 5 mm wide.
    assert images == [[[0.5, 0.25], [0, 0]], [[0, 0], [0, 1]], [[2, 0], [0, 0]]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pos": ["x"]}, r"event: got none, and x of hits\.csv is one number in each row"),
        (
            {"pos": ["x"], "event": "nr"},
            "got no column nr, expected one of its columns, such as ev",
        ),
        ({"event": "event_id"}, "event: got 'event_id', expected the number of an event"),
        ({"x": ["time"]}, "hits.csv: is a table, and nothing says what its columns are"),
        ({"preset": "jetclas"}, "preset: got 'jetclas', expected a file .* jetclass "),
        ({"preset": "trackml"}, "got no column volume_id, expected"),
        (
            {**OPTIONS, "table": "t"},
            r"table: was given, but hits\.csv is csv, expected one of root",
        ),
        ({**OPTIONS, "event": "", "offsets": "o"}, "event: got ''|offsets: was given"),
        ({**OPTIONS, "threshold": 1.0}, "threshold: .*images become clouds"),
        ({**OPTIONS, "geometry": "g.xml"}, "g.xml"),
        ({**OPTIONS, "sort": True, "event": "file"}, "sort: got True, expected --event with the"),
        ({**OPTIONS, "events": "e.csv:a", "event": "file"}, "events: got 'e.csv:a', expected --ev"),
        ({**OPTIONS, "classes": ["a"]}, "classes: was given without --labels, expected the column"),
        ({**OPTIONS, "where": ["energy"]}, "where: got 'energy', expected a column, one of <"),
        ({**OPTIONS, "layer": "z:1"}, "layer: got 'z:1', expected a column of whole numbers, or"),
        ({**OPTIONS, "weight": "x:GeV,y"}, "weight: got 2 columns, expected one: energy:GeV"),
        ({**OPTIONS, "event": 1.5}, "event: got 1.5, expected a whole number or text"),
        ({**OPTIONS, "from_format": "ply"}, "format: got 'ply', expected .*csv"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(hits, arguments, message):
    before = files(hits)
    with pytest.raises(PcgenError, match=message) as caught:
        convert("hits.csv", "a.h5", **arguments)
    assert "\n" not in str(caught.value)
    assert files(hits) == before


@pytest.mark.parametrize(
    "option",
    [
        {"x": ["t"]}, {"layer": "l"}, {"offsets": "o"}, {"events": "e"}, {"where": ["x > 1"]},
        {"sort": True}, {"table": "t"},
    ],
)  # fmt: skip
def test_options_of_tables_are_refused_elsewhere(here, jets, option):
    (name,) = option
    message = f"{name}: was given, but plays no part unless --pos, --momentum or --preset"
    with pytest.raises(ArgumentError, match=message):
        convert("jets.h5", "a.h5", **option)
    with pytest.raises(ArgumentError, match=r"got the ending '\.ply', expected one of .*\.root"):
        convert("a.ply", "a.h5", pos=["x"])


def test_hdf5_of_no_layout_is_a_table_where_columns_are_named(here):
    with h5py.File("a.h5", "w") as file:
        file["run/x"], file["run/n"] = np.arange(4.0), np.array([1, 1, 2, 2])
    with pytest.raises(FileError, match=r"or columns of points, .*--pos or --preset"):
        convert("a.h5", "b.h5")
    assert convert("a.h5", "b.h5", pos=["x"], event="n", table="run").events == 2
    assert convert("a.h5", "b.h5", pos=["run/x"], event="run/n").points == 4


def test_features_of_a_preset_are_replaced_or_left_out(here):
    pytest.importorskip("pyhepmc")
    convert_jets = pc.make(torch.zeros(2, 2), [1, 1], weight=torch.ones(2), y=torch.ones(2, 1))
    io.write_clouds("a.hepmc", convert_jets, io.JETS)
    for x, names in ((None, ["pdg"]), (["none"], []), (["status"], ["status"])):
        convert("a.hepmc", "b.h5", x=x)
        assert [f.name for f in io.read_clouds("b.h5")[1].features] == names
    assert convert("a.hepmc", "b.h5", where=["eta > -1"]).points == 2
    with pytest.raises(DataError, match="2 events without"):
        convert("a.hepmc", "b.h5", where=["eta > 1"])


@pytest.mark.parametrize("format", ["csv", "npz", "h5"])
def test_memory_is_bounded_by_the_block(here, monkeypatch, format):
    """Chunks and blocks are held, not columns; of .npz files alone they are held as a whole."""
    monkeypatch.setattr(arrays, "CHUNK_ROWS", 1000)
    monkeypatch.setattr(text, "_ROWS", 200)
    columns = pcgen.io.tables.from_words({"event": "n", "pos": ["x,y:mm"], "weight": "E:GeV"})
    rows = 40_000 if format == "csv" else 200_000
    values = {name: np.random.default_rng(0).random(rows) for name in ("x", "y", "E")}
    values["n"] = np.arange(rows) // 100
    path = Path(f"a.{format}")
    if format == "csv":
        table = np.stack([values[name] for name in values], 1)
        np.savetxt(path, table, delimiter=",", header=",".join(values), fmt="%.6g", comments="")
    elif format == "npz":
        np.savez(path, **values)
    else:
        with h5py.File(path, "w") as file:
            for name, each in values.items():
                file[name] = each
    with io.open_file(path, columns=columns) as source:
        tracemalloc.start()
        points = sum(len(block.pos) for block in source.blocks(10))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert points == rows
    size = sum(each.nbytes for each in values.values())
    assert size < peak if format == "npz" else peak < size / 2


@pytest.mark.parametrize(
    ("path", "module", "extra"),
    [
        ("a.root", "uproot", "uproot"),
        ("a.root", "awkward", "uproot"),
        ("a.parquet", "pyarrow", "parquet"),
        ("a.hepmc", "pyhepmc", "hepmc"),
    ],
)
def test_a_missing_library_names_its_extra(here, monkeypatch, path, module, extra):
    pytest.importorskip(module)
    monkeypatch.setitem(sys.modules, module, None)
    Path(path).write_bytes(b"x")
    with pytest.raises(MissingExtraError, match=rf"{module} is needed here .*'{extra}'") as caught:
        convert(path, "b.h5", pos=["x"])
    assert "\n" not in str(caught.value)


def shown(capsys, *words):
    assert cli.main(["info", *words]) == 0
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_info_lists_columns_and_presets_that_fit(hits, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    found = shown(capsys, "hits.csv")
    assert "rows 4 columns event_id text or numbers x text or numbers" in found
    assert "pcgen convert makes clouds, with --pos and --weight (and --event)" in found
    np.savez("QG_jets.npz", X=np.zeros((5, 3, 4)), y=np.zeros(5))
    found = shown(capsys, "QG_jets.npz")
    assert "rows 5" in found
    assert "X.3 float64[]" in found
    assert "presets that fit quarkgluon (EnergyFlow" in found
    assert "with --preset quarkgluon" in found
    np.savez("velo.npz", x=np.zeros(9), offsets=np.zeros(3))
    assert "x float64 offsets float64 (3 rows)" in shown(capsys, "velo.npz")
    text = shown(capsys, "trackml")
    assert text == " ".join(io.tables.presets.text("trackml").split())
    names = [f"a_{k}" for k in range(20)] + ["b"]
    np.savez("wide.npz", **{name: np.zeros(2) for name in names})
    assert "columns b float64 a_*: 0 float64, 1 float64" in shown(capsys, "wide.npz")


def test_other_commands_say_how_a_table_becomes_clouds(hits, capsys):
    assert cli.main(["view", "hits.csv", "--output", "a.html"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("pcgen: hits.csv: is a table, and nothing says what its columns are; ")
    assert len(error.splitlines()) == 1


def test_very_many_columns_are_listed_by_the_first_of_each_prefix(here, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    names = [f"{prefix}_{k}" for prefix in ("Jet", "HLT") for k in range(110)]
    np.savez("wide.npz", **{name: np.zeros(2) for name in names})
    text = shown(capsys, "wide.npz")
    assert "Jet_*: 0 float64, 1 float64, 2 float64, 3 float64, 4 float64, 5 float64 and 104" in text
    assert "HLT_*:" in text
    assert "(and --event or --offsets)" in text


def test_columns_in_place_of_images_are_said_to_be_a_table(here, capsys):
    np.savez("velo.npz", x=np.zeros(9), z=np.zeros(9), offsets=np.array([0, 9]))
    assert cli.main(["view", "velo.npz", "--output", "a.png"]) == 1
    assert "or columns of points, which pcgen convert reads with --pos" in capsys.readouterr().err


def test_energies_that_are_all_zero_are_doubted(hits, capsys):
    lines = Path("hits.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines]
    Path("zero.csv").write_text("\n".join(",".join([*r[:4], "0", *r[5:]]) for r in rows[1:]))
    Path("zero.csv").write_text(f"{lines[0]}\n{Path('zero.csv').read_text()}\n")
    words = "--event event_id --pos x,y,z:mm --weight energy:GeV"
    for file, doubted in (("zero.csv", True), ("hits.csv", False)):
        assert cli.main(["convert", file, "a.h5", *words.split()]) == 0
        text = capsys.readouterr().out
        assert ("energy of every point is 0: does the file not have it?" in text) is doubted
