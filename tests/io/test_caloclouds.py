"""CaloClouds's tables of hits: both orders, both sides of padding, columns by name, damage."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds, io
from pcgen.conversion import convert
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.caloclouds import CaloCloudsFile
from pcgen.tools import cli

LAYERED = "x [mm],layer,y [cm],energy [MeV]"


def hits_of(sizes, seed=0):
    """x, layer, y, energy of each shower [n, 4]."""
    rng = np.random.default_rng(seed)
    found = [rng.uniform(1, 9, (n, 4)).astype("f4") for n in sizes]
    for each in found:
        each[:, 1] = rng.integers(0, 30, len(each))
    return found


def table(hits, points, front=False):
    """All showers [n, points, 4] with padding behind or in front."""
    padded = np.zeros((len(hits), points, 4), "f4")
    for row, each in zip(padded, hits, strict=True):
        row[slice(points - len(each), None) if front else slice(0, len(each))] = each
    return padded


def write(path, events, energy=None, **other):
    number = max(events.shape[0], events.shape[1] if events.shape[0] == 1 else 0)
    with h5py.File(path, "w") as file:
        file["events"] = events
        file["energy"] = np.full((number, 1), 50.0) if energy is None else energy
        for name, value in other.items():
            file[name] = value
    return path


@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=5),
    front=st.booleans(),
    across=st.booleans(),
    extra=st.integers(0, 2),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_every_shape_and_padding_holds_the_same_hits(tmp_path_factory, sizes, front, across, extra):
    hits = hits_of(sizes)
    events = table(hits, 7, front)
    events = events.swapaxes(1, 2) if across else events
    path = tmp_path_factory.mktemp("a") / "a.hdf5"
    number = len(sizes)
    energy = np.arange(1.0, number + 1).reshape((1,) * extra + (number, 1))
    write(path, events.reshape((1,) * extra + events.shape), energy, n_points=np.zeros(number))
    with io.open_file(path, columns=LAYERED) as file:
        assert isinstance(file, CaloCloudsFile)
        assert file.passed_over == ()
        whole = file.read()
        parts = list(file.blocks(2))
        assert torch.equal(torch.cat([each.pos for each in parts]), whole.pos)
        assert file.sizes().tolist() == sizes == clouds.sizes(whole).tolist()
        axes = [(axis.name, axis.unit) for axis in file.schema.axes]
        layers, unit = file.schema.layers, file.schema.weight.unit
        with pickle.loads(pickle.dumps(file)) as again:
            assert torch.equal(again.read().pos, whole.pos)
    flat = np.concatenate(hits)
    assert axes == [("x", "mm"), ("y", "cm"), ("z", "")]
    assert unit == "MeV"
    np.testing.assert_array_equal(whole.pos, flat[:, [0, 2, 1]] + np.array([0, 0, 0.5], "f4"))
    np.testing.assert_array_equal(whole.layer, flat[:, 1])
    np.testing.assert_array_equal(whole.weight, flat[:, 3])
    np.testing.assert_array_equal(whole.y[:, 0], np.arange(1.0, number + 1))
    assert len(layers) == (int(flat[:, 1].max()) + 1 if len(flat) else 0)


def test_without_names_the_columns_are_those_of_caloclouds(tmp_path):
    hits = hits_of([3, 2])
    with io.open_file(write(tmp_path / "a.hdf5", table(hits, 5))) as file:
        assert [(each.name, each.unit) for each in file.schema.axes] == [
            ("x", "mm"),
            ("y", "mm"),
            ("z", "mm"),
        ]
        assert file.schema.weight.unit == file.schema.condition[0].unit == "GeV"
        assert file.schema.layers == ()
        np.testing.assert_array_equal(file.read().pos, np.concatenate(hits)[:, :3])


def test_a_large_table_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("pcgen.io.caloclouds._NUMBERS", 50)
    hits = hits_of([3, 0, 5, 1, 4])
    with io.open_file(write(tmp_path / "a.hdf5", table(hits, 6))) as file:
        whole = file.read()
        np.testing.assert_array_equal(whole.pos, np.concatenate(hits)[:, :3])
        assert clouds.sizes(whole).tolist() == [3, 0, 5, 1, 4]
        assert file.read(2, 2).num_graphs == 0


@pytest.mark.parametrize(
    ("events", "energy", "message"),
    [
        (np.ones((2, 5)), None, r"events has shape \(2, 5\), expected \[n, P, 4\]"),
        (np.ones((2, 5, 3)), None, r"events has shape \(2, 5, 3\)"),
        (np.ones((2, 4, 4)), None, r"events has shape \(2, 4, 4\), .*, and not both"),
        (np.ones((2, 3, 5, 4)), None, r"events has shape \(2, 3, 5, 4\)"),
        (np.ones((2, 5, 4)), np.ones((3, 1)), r"energy has shape \(3, 1\), expected that of each"),
        (np.ones((2, 5, 4)), np.ones((2, 2)), r"energy has shape \(2, 2\)"),
        (np.full((2, 5, 4), b"x"), None, "events holds"),
    ],
)
def test_other_shapes_are_refused(tmp_path, events, energy, message):
    with pytest.raises(FileError, match=message):
        CaloCloudsFile(write(tmp_path / "a.hdf5", events, energy))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (3, -1.0, "energy of a point of event 1 is -1.0"),
        (3, np.nan, "energy of a point of event 1 is nan"),
        (1, 3.4, r"layer of a point of event 1 is 3\.4"),
        (0, np.nan, "pos of event 1 is"),
    ],
)
def test_bad_hits_are_named(tmp_path, column, value, message):
    hits = hits_of([2, 3])
    hits[1][1, column] = value
    path = write(tmp_path / "a.hdf5", table(hits, 5))
    with pytest.raises(DataError, match=message), CaloCloudsFile(path, LAYERED) as file:
        file.read()


@pytest.mark.parametrize(
    "columns", ["", "x,y,z", "x,y,z,E", "x,x,z,energy", "x,layer,z,energy", "x,y,z,layer,energy"]
)
def test_columns_that_no_reader_can_use_are_refused(tmp_path, columns):
    path = write(tmp_path / "a.hdf5", table(hits_of([2]), 5))
    with pytest.raises(ArgumentError, match=r"columns: got .*, expected energy with x, y and z"):
        CaloCloudsFile(path, columns)


def test_hits_become_those_of_showerdata(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hits = hits_of([3, 1])
    write("a.hdf5", table(hits, 5))
    words = ["convert", "a.hdf5", "b.h5", "--columns", LAYERED, "--to", "showerdata"]
    assert cli.main(words) == 0
    with io.open_file("b.h5") as file:
        again = file.read()
    flat = np.concatenate(hits)
    np.testing.assert_allclose(again.weight, flat[:, 3] / 1000, rtol=1e-6)
    np.testing.assert_allclose(again.pos[:, 1], 10 * flat[:, 2], rtol=1e-6)
    assert again.y[:, 0].tolist() == [50, 50]
    assert cli.main(["convert", "b.h5", "c.h5", "--columns", LAYERED]) == 1
    assert "is of the format showerdata, expected none" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match="x: got unit '', expected one of nm"):
        convert("a.hdf5", "d.h5", to_format="showerdata", columns="x,y,z,energy")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("x [mm],y [mm],z [mm],energy [furlong]", "energy: got unit 'furlong', expected one of eV"),
        ("x [mm],y [mm],z [mm],energy", "columns: energy: got unit '', expected one of eV"),
        ("x,layer,y,energy [GeV]", "columns: x: got unit '', expected one of nm"),
    ],
)
def test_units_are_those_of_lengths_and_energies(tmp_path, columns, message):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["events"], file["energy"] = np.ones((2, 3, 4)), np.ones((2, 1))
    with pytest.raises(ArgumentError, match=message):
        io.open_file(tmp_path / "a.hdf5", columns=columns)
