"""Tables with a row for each event, in all formats, beside a loop over events."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from written_tables import (
    JAGGED,
    WITH_OFFSETS,
    InMemory,
    ragged,
    small_chunks,
    write_jagged,
)

from pcgen import clouds as pc
from pcgen import io
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.tables import from_words
from pcgen.io.tables.arrays import Hdf5Table
from pcgen.io.tables.grouping import Rows
from pcgen.io.tables.table import Values, Window
from pcgen.io.tables.terms import Cut

WORDS = {
    "pos": ["x,y:mm"],
    "weight": "E*0.001:GeV",
    "x": ["time=t:ns", "q:-1/0/1"],
    "condition": ["beam:GeV"],
    "label": "kind",
    "classes": ["e", "pi"],
}


def events(sizes, seed=0):
    """Random events of these sizes: lists, and single values."""
    rng = np.random.default_rng(seed)
    lists = {
        "x": [rng.normal(size=n).astype("f4") for n in sizes],
        "y": [rng.normal(size=n) for n in sizes],
        "E": [rng.exponential(size=n).astype("f4") for n in sizes],
        "t": [rng.integers(-99, 99, n).astype("i4") for n in sizes],
        "q": [rng.integers(-1, 2, n).astype("i4") for n in sizes],
    }
    single = {"beam": rng.normal(size=len(sizes)), "kind": rng.integers(0, 2, len(sizes))}
    return lists, single


def read(path, words=WORDS, block=2, **more):
    given = {**words, **more}
    if path.suffix == ".npz":
        given["offsets"] = "offsets"
    with io.open_file(path, columns=from_words(given)) as source:
        parts = list(source.blocks(block))
        found = pc.concat(parts) if parts else source.read()
        assert source.sizes().tolist() == pc.sizes(found).tolist()
        assert len(source) == found.num_graphs
        return found, source.schema


def assert_equal(found, lists, single, kept=None):
    """The clouds are the events ``kept``, point by point."""
    kept = range(len(lists["x"])) if kept is None else kept
    for cloud, event in zip(found.to_data_list(), kept, strict=True):
        values = {name: torch.from_numpy(rows[event].astype("f8")) for name, rows in lists.items()}
        torch.testing.assert_close(cloud.pos.double(), torch.stack([values["x"], values["y"]], 1))
        torch.testing.assert_close(cloud.weight.double(), values["E"] * 0.001)
        expected = torch.stack([values["t"], values["q"] + 1], 1)
        torch.testing.assert_close(cloud.x.double(), expected)
        assert cloud.y.item() == single["beam"][event]
        assert cloud.label.item() == single["kind"][event]


@given(
    format=st.sampled_from(JAGGED),
    sizes=st.lists(st.integers(0, 7), min_size=1, max_size=9),
    chunk=st.integers(1, 5),
    block=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_lists_are_events_of_any_size(format, sizes, chunk, block):
    lists, single = events(sizes)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        small_chunks(patch, chunk)
        found, schema = read(write_jagged(Path(folder), format, lists, single), block=block)
    assert_equal(found, lists, single)
    assert schema.features[1].categories == ("-1", "0", "1")
    assert [q.label for q in (*schema.axes, schema.weight, *schema.features)] == [
        "x [mm]", "y [mm]", "E [GeV]", "time [ns]", "q",
    ]  # fmt: skip
    assert schema.labels == ("e", "pi")


@pytest.mark.parametrize("format", JAGGED)
def test_cuts_remove_points_or_events_by_what_the_column_is(tmp_path, monkeypatch, format):
    small_chunks(monkeypatch, 2)
    lists, single = events([3, 0, 5, 2, 4, 1])
    single["beam"][:] = [1, 9, 9, 1, 9, 9]
    path = write_jagged(tmp_path, format, lists, single)
    found, _ = read(path, where=["beam > 5", "x > 0, t != 7"])
    kept = [1, 2, 4, 5]
    cut = [(row > 0) & (t != 7) for row, t in zip(lists["x"], lists["t"], strict=True)]
    masked = {n: [r[c] for r, c in zip(rows, cut, strict=True)] for n, rows in lists.items()}
    assert_equal(found, masked, single, kept)
    nothing, _ = read(path, where=["beam > 100"])
    assert nothing.num_graphs == 0


@pytest.mark.parametrize("format", [f for f in JAGGED if f not in WITH_OFFSETS])
def test_lists_of_different_lengths_name_the_event(tmp_path, format):
    lists, single = events([3, 0, 2])
    lists["y"][2] = np.zeros(3)
    path = write_jagged(tmp_path, format, lists, single)
    with pytest.raises(DataError, match="y of event 2 has 3 values, expected 2 as x has"):
        read(path)


@pytest.mark.parametrize("format", JAGGED)
def test_options_of_flat_tables_are_refused(tmp_path, format):
    path = write_jagged(tmp_path, format, *events([1, 2]))
    either = r"event: (was given, but x of .* is a list in each row|got 'kind', expected no --offs)"
    with pytest.raises(ArgumentError, match=either):
        read(path, event="kind")
    with pytest.raises(ArgumentError, match="column beam has one value in each row, expected a li"):
        read(path, weight="beam:GeV")
    with pytest.raises(ArgumentError, match="column x is a list in each row, expected one value"):
        read(path, condition=["x:mm"])


def test_a_value_outside_its_kinds_names_the_event(tmp_path):
    lists, single = events([3, 2])
    lists["q"][1][1] = 2
    path = write_jagged(tmp_path, "root", lists, single)
    with pytest.raises(DataError, match="q of event 1 is 2, expected one of the kinds -1, 0, 1"):
        read(path)
    found, schema = read(path, x=["q:0/other"])
    expected = torch.from_numpy((np.concatenate(lists["q"]) != 0).astype("f4"))
    assert torch.equal(found.x[:, 0], expected)
    assert schema.features[0].categories == ("0", "other")
    with pytest.raises(DataError, match="kind of event 1 is 7, expected one of the classes e, pi"):
        read(write_jagged(tmp_path, "root", lists, {**single, "kind": np.array([0, 7])}), x=[])


def test_layers_are_whole_numbers_or_bits_of_them(tmp_path):
    cells = [np.array([(7 << 9) | 3, (511 << 9) | 511]), np.array([5 << 9])]
    lists = {
        "x": [np.zeros(2), np.ones(1)],
        "cell": cells,
        "plane": [np.array([4, 2]), np.array([0])],
    }
    path = write_jagged(tmp_path, "root", lists, {})
    read_layer = {"pos": ["x"]}
    assert read(path, {**read_layer, "layer": "cell:9:9"})[0].layer.tolist() == [7, 511, 5]
    assert read(path, {**read_layer, "layer": "plane"})[0].layer.tolist() == [4, 2, 0]
    with pytest.raises(DataError, match="layer x holds float64, expected whole numbers"):
        read(
            write_jagged(tmp_path, "root", {"x": [np.full(2, 0.5)]}, {}),
            {**read_layer, "layer": "x"},
        )
    huge = {"x": [np.zeros(1)], "cell": [np.array([2**64 - 1], np.uint64)]}
    path = write_jagged(tmp_path, "hdf5-table", huge, {})
    assert read(path, {**read_layer, "layer": "cell:60:4"})[0].layer.tolist() == [15]


def test_arrays_of_points_and_columns_and_padding(tmp_path):
    """[B, P, K] has columns events.0, ...; a cut removes the padding; places choose in [B, M]."""
    rng = np.random.default_rng(0)
    padded = rng.exponential(size=(5, 4, 3)).astype("f4")
    present = np.arange(4) < np.array([[4], [0], [2], [1], [3]])
    padded[~present] = 0
    block = np.concatenate([padded.transpose(0, 2, 1).reshape(5, 12), np.arange(5.0)[:, None]], 1)
    words = {"pos": ["a.0", "a.1:mm"], "weight": "a.2:GeV", "where": ["a.2 > 0"]}
    places = {
        "pos": ["x=b[0:4],y=b[4:8]:mm"],
        "weight": "E=b[8:12]:GeV",
        "where": ["b[8:12] > 0"],
        "condition": ["n=b[-1]"],
    }
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"], file["b"] = padded, block
        file["records"] = np.array([(1.5, r) for r in block], [("E", "f4"), ("row", "f8", 13)])
    np.savez(tmp_path / "a.npz", a=padded, b=block)
    for path in (tmp_path / "a.h5", tmp_path / "a.npz"):
        for chosen in (words, places):
            with io.open_file(path, columns=from_words(chosen)) as source:
                found = source.read()
            assert pc.sizes(found).tolist() == [4, 0, 2, 1, 3]
            expected = torch.from_numpy(padded[present])
            values = torch.cat([found.pos, found.weight[:, None]], 1).float()
            torch.testing.assert_close(values, expected)
        assert found.y[:, 0].tolist() == [0, 1, 2, 3, 4]
    of_records = {"pos": ["x=row[0:4]"], "condition": ["E"], "table": "records"}
    with io.open_file(tmp_path / "a.h5", columns=from_words(of_records)) as source:
        assert source.read().pos.shape == (20, 1)
        assert source.read().y[0].item() == 1.5
    with Hdf5Table(tmp_path / "a.h5", "records") as table:
        assert {n: c.depth for n, c in table.columns.items() if "." not in n} == {"E": 0, "row": 1}


def test_offsets_that_are_none_are_refused(tmp_path):
    x = np.zeros(4)
    for offsets in ([0, 3, 2, 4], [1, 4], [], [0.0, 4]):
        np.savez(tmp_path / "a.npz", x=x, offsets=np.array(offsets))
        with pytest.raises(FileError, match="expected where each event begins"):
            read(tmp_path / "a.npz", {"pos": ["x"]})
    np.savez(tmp_path / "a.npz", x=x, offsets=np.array([0, 3]))
    with pytest.raises(ArgumentError, match="event: got none, and x of"):
        read(tmp_path / "a.npz", {"pos": ["x"]})  # x has four values, the events three
    np.savez(tmp_path / "a.npz", x=x)
    with pytest.raises(ArgumentError, match="got the offsets offsets, expected one of x"):
        read(tmp_path / "a.npz", {"pos": ["x"]})


def test_as_many_points_as_events(tmp_path):
    """Then an array alone does not show whether it is of points or of events."""
    path, words = tmp_path / "a.npz", {"pos": ["x"], "condition": ["beam"]}
    np.savez(path, x=np.arange(3.0), beam=np.array([7.0, 8, 9]), offsets=np.array([0, 2, 2, 3]))
    found, _ = read(path, words)
    assert (found.ptr.tolist(), found.y.tolist()) == ([0, 2, 2, 3], [[7], [8], [9]])
    assert read(path, words, where=["x > 0"])[0].ptr.tolist() == [0, 1, 1, 2]
    with io.open_file(path, columns=from_words({"pos": ["x"], "offsets": "offsets"})) as source:
        assert source.values("beam").tolist() == [7, 8, 9]
    with pytest.raises(ArgumentError, match=r"where: beam of .* may be of points or of events"):
        read(path, {"pos": ["x"]}, where=["beam > 7"])
    # Where it is a condition too, it is known to be of events.
    assert read(path, words, where=["beam > 7"])[0].y.tolist() == [[8], [9]]


def test_a_root_file_of_several_trees_has_the_columns_in_one_or_names_them(tmp_path):
    uproot = pytest.importorskip("uproot")
    path, words = tmp_path / "a.root", {"pos": ["x"], "event": "file"}
    with uproot.recreate(path) as file:
        for name, value in (("one", 1.0), ("two", 2.0)):
            file.mktree(f"d/{name}", {"x": "f8"}).extend({"x": np.full(2, value)})
        file.mktree("runs", {"run": "i4"}).extend({"run": [1]})
    with pytest.raises(ArgumentError, match=r"the columns in the tables d/one, d/two, .*--table"):
        read(path, words)
    assert read(path, words, table="d/two")[0].pos.tolist() == [[2.0], [2.0]]
    with pytest.raises(ArgumentError, match="got the tree three, expected one of d/one"):
        read(path, words, table="three")
    with pytest.raises(ArgumentError, match="got no column z, expected one of its columns, such"):
        read(path, words, pos=["x,z"])
    with uproot.recreate(tmp_path / "b.root") as file:
        file["h"] = np.histogram([1.0])
    with pytest.raises(FileError, match=r"holds h \(TH1D\), expected a TTree or an RNTuple"):
        read(tmp_path / "b.root", words)


def test_what_is_no_list_of_numbers_is_refused_by_name(tmp_path):
    awkward = pytest.importorskip("awkward")
    pytest.importorskip("pyarrow")
    nested = awkward.Array([[[1.0], [2.0, 3.0]], []])
    awkward.to_parquet(awkward.zip({"x": nested}, depth_limit=1), tmp_path / "a.parquet")
    with pytest.raises(ArgumentError, match=r"column x holds float64\[\]\[\], expected a number"):
        read(tmp_path / "a.parquet", {"pos": ["x"]})
    missing = awkward.Array([[1, None], [2]])
    awkward.to_parquet(awkward.zip({"x": missing}, depth_limit=1), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"column x of type int64 lacks a value"):
        read(tmp_path / "b.parquet", {"pos": ["x"]})


def test_records_in_lists_have_members(tmp_path):
    """As podio's Arrow files: a list of structs, with structs in it."""
    awkward = pytest.importorskip("awkward")
    pytest.importorskip("pyarrow")
    hits = awkward.Array(
        [[{"p": {"x": 1.0, "y": 2.0}, "E": 0.5}], [], [{"p": {"x": 3.0, "y": 4.0}, "E": 0.25}] * 2]
    )
    for extension in (True, False):
        awkward.to_parquet(
            awkward.Array({"hits": hits}), tmp_path / "a.parquet", extensionarray=extension
        )
        found, _ = read(
            tmp_path / "a.parquet", {"pos": ["x=hits.p.x,y=hits.p.y"], "weight": "E=hits.E"}
        )
        assert found.ptr.tolist() == [0, 1, 1, 3]
        assert found.pos.tolist() == [[1, 2], [3, 4], [3, 4]]


@given(
    rows=st.lists(st.lists(st.integers(-9, 9), max_size=4), min_size=1, max_size=12),
    chunk=st.integers(1, 5),
    ranges=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=6),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_window_reads_any_ranges_in_any_order(rows, chunk, ranges):
    for from_start in (False, True):
        table = InMemory({"a": ragged(rows), "b": Values(np.arange(len(rows)))}, chunk)
        table.from_start = from_start
        window = Window(table, ["a", "b", "a"])
        for first, second in ranges:
            start, stop = sorted((min(first, len(rows)), min(second, len(rows))))
            found = window.read(start, stop)
            parts = np.split(found["a"].content, found["a"].offsets[1:-1]) if stop > start else []
            assert [each.tolist() for each in parts] == rows[start:stop]
            assert found["b"].content.tolist() == list(range(start, stop))
        with pytest.raises(FileError, match=f"ends after row {len(rows)}"):
            window.read(0, len(rows) + 1)


@given(
    energies=st.lists(st.integers(0, 9), min_size=1, max_size=40),
    block=st.integers(1, 7),
    least=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_events_that_pass_a_cut_are_read_with_others_between(energies, block, least):
    columns = {
        "x": ragged([[k] * (k % 3) for k in range(len(energies))]),
        "E": Values(np.array(energies)),
    }
    words = from_words({"pos": ["x"]})
    rows = Rows(InMemory(columns), dataclasses.replace(words, where=(Cut("E", ">=", least),)))
    kept = [k for k, energy in enumerate(energies) if energy >= least]
    assert len(rows) == len(kept)
    for start in range(0, len(kept), block):
        stop = min(start + block, len(kept))
        found = rows.read(start, stop)
        assert found.clouds["E"].tolist() == [energies[k] for k in kept[start:stop]]
        expected = [float(k) for k in kept[start:stop] for _ in range(k % 3)]
        assert found.points["x"].content.tolist() == expected
