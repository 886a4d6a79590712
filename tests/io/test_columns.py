"""Conditions and classes beside the events: from arrays and tables, or refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcgen.errors import ArgumentError, DataError, FileError, PcgenError
from pcgen.io.beside import classes, conditions
from pcgen.io.columns import read_column

NUMBERS = ["f2", "f4", "f8", ">f8", "i1", "i4", "i8", "u1", "u8", "?"]


@given(st.lists(st.integers(0, 1), max_size=5), st.sampled_from(NUMBERS), st.booleans())
def test_conditions_keep_their_values_and_have_columns(values, kind, flat):
    array = np.array(values, dtype=kind)
    read = conditions(array if flat else array[:, None], len(values), "a: y")
    assert read.shape == (len(values), 1)
    assert read.flatten().tolist() == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1, np.nan, 3]), "a: y of event 1 is nan, expected a finite"),
        (np.array([[1, 2], [3, np.inf], [4, 5]]), "a: y of event 1 is inf"),
        (np.array([1, 2, 2**53 + 1]), f"a: y of event 2 is {2**53 + 1}, .*float64 holds"),
        (np.array([1, 2, 2**64 - 1], dtype="u8"), "a: y of event 2"),
        (np.array(["1", "b", "c"]), r"a: y of event 0 is \['1'\], expected a number"),
        (np.array([1j, 2, 3]), "expected a number"),
        (np.ones(4), r"shape \(4,\), expected \[B\] or \[B, C\] for B = 3 events"),
        (np.ones((3, 1, 1)), r"shape \(3, 1, 1\)"),
        (np.array(1.0), r"shape \(\)"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_event(values, message):
    with pytest.raises((DataError, FileError), match=message):
        conditions(values, 3, "a: y")


@given(st.lists(st.integers(0, 1), max_size=5), st.sampled_from(NUMBERS))
def test_whole_numbers_of_any_type_are_classes(values, kind):
    label, names = classes(np.array(values, dtype=kind), len(values), "a: label")
    assert label.tolist() == values
    assert names == ()


@given(st.lists(st.sampled_from(["π", "e", "mu"]), max_size=6), st.booleans())
def test_text_brings_its_names_or_follows_those_given(words, encoded):
    array = np.array([word.encode() for word in words]) if encoded else np.array(words, dtype=str)
    array = array if len(words) else np.array([], dtype="S1" if encoded else "U1")
    label, names = classes(array, len(words), "a: label")
    assert [names[k] for k in label.tolist()] == words
    assert list(names) == sorted(set(words))
    label, names = classes(array, len(words), "a: label", ("mu", "π", "e"))
    assert names == ("mu", "π", "e")
    assert [names[k] for k in label.tolist()] == words


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        (
            [0, 1, np.nan],
            (),
            "a: label of event 2 is nan, expected a class as a whole number from 0",
        ),
        ([0, 1.5, 2], (), "label of event 1 is 1.5"),
        ([0, 1, np.inf], (), "label of event 2 is inf"),
        ([0, -1, 2], (), "label of event 1 is -1"),
        ([0, 1, 1e300], (), "label of event 2 is 1e"),
        ([0, 1, 2], ("e", "pi"), r"event 2 is 2, expected one of the classes e, pi .*\(0 to 1\)"),
        (["e", "mu", "e"], ("e", "pi"), "event 1 is mu, expected one of the classes e, pi$"),
        ([0, 1], (), r"shape \(2,\), expected \[B\] for B = 3 events"),
        ([[0], [1], [2]], (), r"shape \(3, 1\)"),
        ([0j, 1j, 2j], (), "complex128, expected whole numbers or names"),
    ],
)
def test_what_is_no_class_is_refused_with_its_event(values, names, message):
    with pytest.raises((DataError, FileError), match=message):
        classes(np.array(values), 3, "a: label", names)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The same three energies in every kind of file."""
    monkeypatch.chdir(tmp_path)
    energy, momentum = np.array([1.5, 2.5, 4.0]), np.arange(9.0).reshape(3, 3)
    np.save("energy.npy", energy)
    np.save("momentum.npy", momentum)
    np.savez("one.npz", energy=energy)
    np.savez("more.npz", energy=energy, momentum=momentum, trap=np.array([{}], dtype=object))
    with h5py.File("more.h5", "w") as file:
        file["truth/energy"], file["momentum"] = energy, momentum
        file["name"] = ["e", "pi", "µ"]
    Path("a.csv").write_text("\ufeffevent, energy ,name\r\n1,1.5,e\n2,2.5,pi\n3,4,µ\n", "utf-8")
    Path("b.csv").write_text("event;energy\n1;1.5\n2;2.5\n3;4\n")
    Path("a.tsv").write_text("event\tenergy\n1\t1.5\n2\t2.5\n3\t4\n")
    np.savetxt("a.txt", np.stack([[1, 2, 3], energy], 1), header="event energy")
    return tmp_path


@pytest.mark.parametrize(
    "reference",
    ["energy.npy", "one.npz", "one.npz:energy", "more.npz:energy", "more.h5:truth/energy",
     "more.h5:/truth/energy", "a.csv:energy", "b.csv:energy", "a.tsv:energy", "a.txt:energy",
     "./energy.npy"],
)  # fmt: skip
def test_the_same_column_from_every_kind_of_file(here, reference):
    assert read_column(reference, "images.npy")[0].tolist() == [1.5, 2.5, 4.0]


def test_columns_by_number_keys_of_the_source_and_text(here):
    assert read_column("momentum.npy:2", "i.npy")[0].tolist() == [2, 5, 8]
    assert read_column("more.npz:momentum:1", "i.npy")[0].tolist() == [1, 4, 7]
    assert read_column("momentum:0", "more.h5")[0].tolist() == [0, 3, 6]
    assert read_column("energy", "more.npz")[0].tolist() == [1.5, 2.5, 4.0]
    assert read_column("name", "more.h5")[0].tolist() == ["e", "pi", "µ"]
    assert read_column("a.csv:name", "i.npy")[0].tolist() == ["e", "pi", "µ"]
    numbers, where = read_column("a.csv:event", "i.npy")
    assert (numbers.dtype, numbers.tolist(), where) == (np.int64, [1, 2, 3], "a.csv: event")


@pytest.mark.parametrize(
    ("reference", "source", "message"),
    [
        ("none.npy", "i.npy", "none.npy: no such file"),
        (
            "energy",
            "i.npy",
            "got 'energy', and i.npy has no arrays beside its events; .*energy.npy",
        ),
        ("energy", "e_%d.ply", "has no arrays beside its events"),
        ("mass", "more.npz", "more.npz: got mass, expected energy or momentum or trap"),
        (
            "more.h5:energy",
            "i.npy",
            "more.h5: got energy, expected momentum or name or truth/energy",
        ),
        ("more.npz", "i.npy", "more.npz: got no name, expected energy or"),
        ("a.csv:mass", "i.npy", "a.csv: got mass, expected event or energy or name"),
        ("momentum.npy:3", "i.npy", r"got column 3 of an array of shape \(3, 3\)"),
        ("energy.npy:0", "i.npy", r"got column 0 of an array of shape \(3,\)"),
        ("energy.npy:pt", "i.npy", "got the column 'pt' of an .npy file, expected a number from 0"),
        ("more.npz:trap", "i.npy", "more.npz: trap cannot be read .*pickle"),
        ("text.npy", "i.npy", "text.npy cannot be read"),
        ("text.npz:a", "i.npy", "text.npz: truncated or not an .npz file"),
        ("short.csv:b", "i.npy", "short.csv: row 3 has 1 cells, expected the 2 of the first"),
        ("twice.csv:a", "i.npy", "twice.csv: got the columns a, a, expected different names"),
        ("blank.csv", "i.npy", "blank.csv: is empty"),
        ("bytes.csv", "i.npy", "bytes.csv: is no text"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(here, reference, source, message):
    for name in ("text.npy", "text.npz"):
        Path(name).write_text("no array")
    Path("short.csv").write_text("a,b\n1,2\n3\n")
    Path("twice.csv").write_text("a,a\n1,2\n")
    Path("blank.csv").write_text("\n")
    Path("bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PcgenError, match=message) as caught:
        read_column(reference, source)
    assert "\n" not in str(caught.value)


def test_an_archive_whose_names_are_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, énergie=np.ones(3))
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff"))
    with pytest.raises(FileError, match=r"a\.npz: truncated or not an \.npz file .*utf-8"):
        read_column(str(path), "i.npy")


def test_a_cell_that_is_no_number_makes_text_which_no_condition_is(here):
    Path("a.csv").write_text("energy\n1.5\n\n2,5\n", "utf-8")
    with pytest.raises(FileError, match="row 3 has 2 cells"):
        read_column("a.csv:energy", "i.npy")
    Path("a.csv").write_text("energy;n\n1,5;1\n2,5;2\n", "utf-8")
    values, where = read_column("a.csv:energy", "i.npy")
    with pytest.raises(
        DataError, match=r"a.csv: energy of event 0 is \['1,5'\], expected a number"
    ):
        conditions(values, 2, where)


def test_a_name_that_is_not_there_is_an_argument_error(here):
    with pytest.raises(ArgumentError):
        read_column("mass", "more.npz")
