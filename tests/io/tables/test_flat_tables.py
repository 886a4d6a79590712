"""Tables with a row for each point, in all formats, beside a loop over rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from written_tables import ENDINGS, FLAT, small_chunks, write_flat

from pcgen import clouds as pc
from pcgen import io
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.tables import from_words

WORDS = {"event": "event", "pos": ["x,y:mm"], "weight": "E:GeV", "x": ["t:ns"]}


def columns(sizes, ids, seed=0):
    """Random hits of events of these sizes and numbers."""
    rng = np.random.default_rng(seed)
    number = sum(sizes)
    return {
        "event": np.repeat(np.array(ids, np.int64), sizes),
        "x": rng.normal(size=number),
        "y": rng.normal(size=number).astype("f4"),
        "E": rng.exponential(size=number),
        "t": rng.integers(-50, 50, number).astype("i4"),
    }


def by_loops(table):
    """Events in the order of their first row, as lists of rows."""
    events: dict[int, list[list[float]]] = {}
    for row in range(len(table["event"])):
        hit = [float(table[name][row]) for name in ("x", "y", "E", "t")]
        events.setdefault(int(table["event"][row]), []).append(hit)
    return list(events.values())


def read(path, words=WORDS, block=2, **more):
    with io.open_file(path, columns=from_words({**words, **more})) as source:
        parts = list(source.blocks(block))
        assert source.sizes().tolist() == [n for part in parts for n in pc.sizes(part).tolist()]
        return pc.concat(parts), source.schema


def as_lists(clouds):
    rows = torch.cat([clouds.pos, clouds.weight[:, None], clouds.x], 1).double()
    return [each.tolist() for each in rows.split(pc.sizes(clouds).tolist())]


sizes_of_events = st.lists(st.integers(1, 9), min_size=1, max_size=8)


@given(
    format=st.sampled_from(FLAT),
    sizes=sizes_of_events,
    start=st.integers(-(2**62), 2**62),
    step=st.sampled_from([1, -1, 7]),
    chunk=st.integers(1, 6),
    block=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_rows_are_events_whatever_is_cut_where(format, sizes, start, step, chunk, block):
    """Numbers of events near 2^62 differ by one: no float would tell them apart."""
    table = columns(sizes, [start + step * k for k in range(len(sizes))])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        small_chunks(patch, chunk)
        found, schema = read(write_flat(Path(folder), format, table), block=block)
    assert as_lists(found) == by_loops(table)
    assert [axis.label for axis in (*schema.axes, schema.weight, *schema.features)] == [
        "x [mm]", "y [mm]", "E [GeV]", "t [ns]",
    ]  # fmt: skip


@pytest.mark.parametrize("format", FLAT)
def test_an_event_that_comes_again_is_refused_with_its_row_and_sorted_if_wanted(
    tmp_path, monkeypatch, format
):
    small_chunks(monkeypatch)
    table = columns([2, 3, 1, 2], [5, 2**60 + 1, 5, 2**60])
    path = write_flat(tmp_path, format, table)
    with pytest.raises(DataError, match=r"event of row 5 is 5 again, as in row 0.*--sort"):
        read(path)
    found, _ = read(path, sort=True)
    order = np.argsort(table["event"], kind="stable")
    assert as_lists(found) == by_loops({name: each[order] for name, each in table.items()})


@pytest.mark.parametrize("format", FLAT)
def test_events_without_a_row_are_empty_where_a_table_has_all(tmp_path, monkeypatch, format):
    small_chunks(monkeypatch)
    path = write_flat(tmp_path, format, columns([2, 4], [11, 13]))
    assert pc.sizes(read(path)[0]).tolist() == [2, 4]
    Path(tmp_path / "all.csv").write_text("id,E\n10,1\n11,2\n12,3\n13,4\n14,5\n")
    found, _ = read(path, events=f"{tmp_path}/all.csv:id")
    assert pc.sizes(found).tolist() == [0, 2, 0, 4, 0]
    for ids, message in (
        ("13,11", "event of row 2 comes before that of the row before it"),
        ("11,12", "event of row 2 is not among the 2 events"),
        ("11,13,11", "events: got equal ones"),
    ):
        (tmp_path / "all.csv").write_text("id\n" + ids.replace(",", "\n"))
        with pytest.raises(DataError, match=message):
            read(path, events=f"{tmp_path}/all.csv:id")


@pytest.mark.parametrize("format", FLAT)
def test_nan_is_an_error_that_names_the_event_unless_a_cut_removes_it(tmp_path, format):
    table = columns([2, 3, 1], [0, 1, 2])
    for name in ("x", "E"):
        spoilt = {**table, name: table[name].copy()}
        spoilt[name][3] = np.nan
        path = write_flat(tmp_path, format, spoilt)
        attribute = {"x": "pos", "E": "weight"}[name]
        with pytest.raises(DataError, match=rf"{attribute} of event 1 is .*nan"):
            read(path)
        found, _ = read(path, where=[f"{name} > -1e9"])
        assert pc.sizes(found).tolist() == [2, 2, 1]


def test_a_cut_leaves_events_empty_and_does_not_move_the_others(tmp_path):
    table = columns([3, 2, 4], [0, 1, 2])
    table["E"][3:5] = 0
    path = write_flat(tmp_path, "parquet", table)
    found, _ = read(path, where=["E > 0", "x<1"])
    kept = (table["E"] > 0) & (table["x"] < 1)
    assert pc.sizes(found).tolist() == np.bincount(table["event"][kept], minlength=3).tolist()
    torch.testing.assert_close(found.weight.double(), torch.from_numpy(table["E"][kept]))


@pytest.mark.parametrize("format", FLAT)
def test_an_unknown_column_names_those_like_it(tmp_path, format):
    path = write_flat(tmp_path, format, columns([2], [0]) | {"energy_sum": np.ones(2)})
    with pytest.raises(ArgumentError, match=r"got no column energysum, expected .*energy_sum"):
        read(path, weight="energysum:GeV")


@pytest.mark.parametrize("format", FLAT)
def test_without_an_event_number_rows_are_points_of_nobody(tmp_path, format):
    path = write_flat(tmp_path, format, columns([2, 3], [0, 1]))
    with pytest.raises(ArgumentError, match=r"event: got none, and x of .*--event file"):
        read(path, event="")
    assert pc.sizes(read(path, event="file")[0]).tolist() == [5]


@pytest.mark.parametrize("format", FLAT)
def test_numbered_files_are_read_one_behind_the_other(tmp_path, monkeypatch, format):
    small_chunks(monkeypatch)
    tables = [columns([2, 3], [0, 1], 1), columns([1], [2], 2), columns([4, 1], [3, 4], 3)]
    for number, table in enumerate(tables):
        write_flat(tmp_path, format, table).rename(
            tmp_path / f"hits_{number + 8:03d}{ENDINGS[format]}"
        )
    path = tmp_path / f"hits_%03d{ENDINGS[format]}"
    assert as_lists(read(path)[0]) == [event for table in tables for event in by_loops(table)]
    assert pc.sizes(read(path, event="file")[0]).tolist() == [5, 1, 5]
    write_flat(tmp_path, format, {"event": np.array([9]), "x": np.zeros(1)}).rename(
        tmp_path / f"hits_011{ENDINGS[format]}"
    )
    with pytest.raises((ArgumentError, FileError), match=r"hits_011.* column "):
        read(path)


def test_values_of_an_event_are_the_same_in_all_its_rows(tmp_path):
    table = columns([2, 3], [0, 1]) | {"beam": np.array([7.5, 7.5, 1, 1, 1])}
    table["kind"] = np.array([1, 1, 0, 0, 0])
    path = write_flat(tmp_path, "root", table)
    words = {"condition": ["beam:GeV"], "label": "kind", "classes": ["e", "pi"]}
    found, schema = read(path, **words)
    assert (found.y.tolist(), found.label.tolist()) == ([[7.5], [1.0]], [1, 0])
    assert (schema.condition[0].label, schema.labels) == ("beam [GeV]", ("e", "pi"))
    table["beam"][3] = 2
    path = write_flat(tmp_path, "root", table)
    with pytest.raises(DataError, match=r"beam of event 1 is 1\.0 and 2\.0, expected the same"):
        read(path, **words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("event,x\n0,1\n0,two\n", "x of event 0 is 'two', expected a number"),
        ("event,x\n0,1\n1.5,2\n", "event of row 1 is 1.5, expected a whole number"),
        ("event,x\n0,1\n0\n", "row 1 has 1 fields, expected 2 as the line of names"),
        ("event,x\n0,1\n,2\n", "event of row 1 is nan, expected a whole number"),
        ("0,1\n0,2\n", "got the first line '0,1', expected the names of the columns"),
        ("x,x\n0,2\n", "got the name 'x' twice"),
        ("", "the file is empty"),
        ("event,x\n0," + "9" * (1 << 20) + "\n", "got a line of more than 1048576 letters"),
    ],
)
def test_damaged_text_names_the_place(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises((DataError, FileError), match=message):
        read(tmp_path / "a.csv", {"event": "event", "pos": ["x"]})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", '\ufeff"event", x\r\n9007199254740993,"1.5"\r\n\r\n9007199254740993,2\r\n'),
        ("a.csv", "# event x\n9007199254740993   1.5\n9007199254740993 2\n"),
        ("a.csv", "event;x\n9007199254740993;1.5\n9007199254740993;2\n"),
        ("a.tsv", "event\tx\n9007199254740993\t1.5\n9007199254740993\t2\n"),
    ],
)
def test_text_has_its_separators_and_exact_numbers(tmp_path, name, text):
    (tmp_path / name).write_text(text, "utf-8")
    with io.open_file(
        tmp_path / name, columns=from_words({"event": "event", "pos": ["x"]})
    ) as source:
        assert source.read().pos.tolist() == [[1.5], [2.0]]
        assert source.values("event").tolist() == [2**53 + 1]
