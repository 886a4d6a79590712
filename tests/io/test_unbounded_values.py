"""Values without end: references that repeat, tables and archives that unpack to more than data."""

from __future__ import annotations

import io as bytes_io
import struct
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcgen import bounds, io
from pcgen.errors import ArgumentError, CheckpointError, DataError, FileError
from pcgen.io.columns import read_array, read_column
from pcgen.io.npy_array import read_header
from pcgen.plain_yaml import parse_yaml
from pcgen.schema import Quantity, Schema
from pcgen.tools.conditions import of_table

BEAM = Schema((Quantity("x", "mm"),), condition=(Quantity("E", "GeV"),), labels=("photon", "pion"))


def doubled(times: int) -> Any:
    """A list that stands for 2^times values."""
    value: Any = []
    for _ in range(times):
        value = [value, value]
    return value


def circle() -> Any:
    value: list[Any] = [1]
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (doubled(40), "here: got 10001 values, with all repetitions, expected at most 10000"),
        (doubled(70), "here: values are nested deeper than 64 times"),
        (circle(), "here: values are nested deeper than 64 times"),
    ],
)
def test_values_without_end_are_refused(value, message, monkeypatch):
    monkeypatch.setenv("PCGEN_MAX_VALUES", "10000")
    with pytest.raises(CheckpointError, match=message):
        list(bounds.leaves(value, "here", CheckpointError))


def test_all_values_are_found_once():
    assert list(bounds.leaves([{"a": (1, [2])}, "x", {}], "here")) == ["a", 1, 2, "x"]


def test_a_message_is_one_line_whatever_a_name_holds():
    for kind in (FileError, ArgumentError, DataError):
        assert str(kind("a\nb\x1b[2J\u2028c: got 'ü'")) == "a b [2J c: got 'ü'"
    assert FileError(2, "no such file").errno == 2


# --- YAML -----------------------------------------------------------------------------------------


def laughs(line: str, first: str) -> str:
    return "\n".join([first, *(line.format(k=k, j=k - 1) for k in range(1, 15))])


@pytest.mark.parametrize(
    "text",
    [
        laughs("n{k}: &a{k} [" + "*a{j}, " * 10 + "]", "n0: &a0 [e]"),
        laughs("n{k}: &a{k} {{<<: [" + "*a{j}, " * 10 + "]}}", "n0: &a0 {x: 1}"),
        "a: &a [1, *a]",
        "[" * 100_000,
        "[" * 70 + "]" * 70,
        f"number: {2**70}",
        "number: " + "9" * 5000,
        "when: !!timestamp never",
        "number: !!int ''",
        "flag: !!bool perhaps",
        "a: !!python/object/apply:os.getcwd []",
        "a: *b",
        "{[1]: 2}",
        "a: 1\n--- \nb: 2",
        "a: \x00",
    ],
)
def test_yaml_without_end_or_sense_is_refused_at_once(text):
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"."):
        parse_yaml(text)
    assert time.monotonic() - start < 5


def test_names_in_yaml_stand_for_their_values():
    text = "base: &rates {lr: 0.5, betas: [0.1, 0.9]}\nsame: *rates\nmore: {<<: *rates, lr: 1}\n"
    rates = {"lr": 0.5, "betas": [0.1, 0.9]}
    assert parse_yaml(text) == {"base": rates, "same": rates, "more": {**rates, "lr": 1}}
    assert parse_yaml("") is None


# --- tables and arrays ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    [[("E", "<f8"), ("class", "<U9"), ("points", ">i4")], [("é", "f4")], [("η", "f4")]],
)
def test_tables_that_numpy_writes_are_read_as_numpy_does(dtype):
    value = np.zeros(3, dtype)
    file = bytes_io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Greek names need version 3, of which NumPy warns
        np.lib.format.write_array(file, value)
    file.seek(0)
    assert read_header(file).dtype == value.dtype
    file.seek(0)
    assert np.array_equal(read_array(file, "a.npy"), value)


@pytest.mark.parametrize(
    "descr",
    ["[]", "[('a', '<f4'), ('a', '<f4')]", "[('a', '|O')]", "[('a', '<f4', (3,))]", "['a']",
     "[('a', [('b', '<f4')])]", "[('a', '<U999999999')]", "[('a', '<f4')"],
)  # fmt: skip
def test_tables_of_something_else_are_refused(descr):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (3,), }}\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(1000)
    with pytest.raises(FileError, match=r"a\.npy cannot be read"):
        read_array(bytes_io.BytesIO(data), "a.npy")


def test_a_table_is_no_image(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3, [("E", "f4"), ("eta", "f4")]))
    with pytest.raises(FileError, match="got a table of E, eta, expected an array of numbers"):
        io.open_file(tmp_path / "a.npy")


def test_members_that_are_not_needed_are_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, E=np.ones(3), more=np.zeros(10**6))
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(DataError, match=r"got the columns E, more, expected some of E, class"):
        of_table(str(path), BEAM)


def test_members_that_unpack_to_more_than_data_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, E=np.zeros(10**6))
    assert of_table(str(path), BEAM).number == 10**6
    monkeypatch.setenv("PCGEN_MAX_BYTES", "32000000")
    with pytest.raises(FileError, match=r"a\.npz: E: got 64000000 bytes to be held at once"):
        of_table(str(path), BEAM)
    monkeypatch.setenv("PCGEN_MAX_BYTES", "1000000")
    with pytest.raises(FileError, match=r"array E, packed into .*got 8000128 bytes to be held"):
        of_table(str(path), BEAM)
    np.save(tmp_path / "a.npy", np.zeros(10**6))
    with pytest.raises(FileError, match=r"a\.npy: got 8000000 bytes to be held at once"):
        of_table(str(tmp_path / "a.npy"), BEAM)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("E\n1_0\n", "E of event 0 is '1_0', expected a finite number"),
        ("E\n1\n1e39\n", r"E of event 1 is 1e\+39, expected a number that torch.float32 holds"),
        ("points\n1e300\n", "points of event 0 is '1e300', expected a whole number"),
        ('"a\nb"\n1\n', "got the columns a b, expected some of E, class, points"),
    ],
)
def test_conditions_that_would_be_other_numbers_are_refused(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        of_table(str(tmp_path / "a.csv"), BEAM)


def test_columns_of_text_are_bounded(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("kind\n" + "a" * 10_000 + "\n" + "b\n" * 1000)
    assert len(read_column(f"{path}:kind", path)[0]) == 1001
    monkeypatch.setenv("PCGEN_MAX_BYTES", "1000000")
    with pytest.raises(FileError, match=r"a\.csv: kind: got 40040000 bytes to be held at once"):
        read_column(f"{path}:kind", path)


def test_a_cell_that_is_longer_than_any_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('kind\n"' + "a" * 200_000 + "\n")
    with pytest.raises(FileError, match=r"a\.csv: is no table that can be read \(field larger"):
        read_column(f"{path}:kind", path)


def test_a_word_with_an_underscore_is_no_number(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("E\n1_0\n2\n")
    assert read_column(f"{path}:E", path)[0].tolist() == ["1_0", "2"]


@pytest.mark.parametrize("word", ["9" * 500_000, "9" * 500_000 + "." + "9" * 500_000])
def test_a_number_of_many_digits_takes_no_time(tmp_path, word):
    path = tmp_path / "a.xyz"
    path.write_text(f"{word} 1 2\n")
    start = time.monotonic()
    with pytest.raises(FileError, match=r"a\.xyz: "):
        io.read_clouds(path)
    assert time.monotonic() - start < 10


def test_a_device_is_no_table(tmp_path: Path):
    (tmp_path / "a.csv").symlink_to("/dev/zero")
    with pytest.raises(FileError, match=r"a\.csv: is a device, FIFO or socket"):
        of_table(str(tmp_path / "a.csv"), BEAM)
