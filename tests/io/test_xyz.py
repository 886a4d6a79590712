"""XYZ: text as people and programs write it, and what is unclear in it is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcgen import io
from pcgen.errors import DataError, FileError
from pcgen.schema import Quantity


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1 2 3\n4 5 6\n", []),
        ("# made by hand\n\n1, 2, 3\n4,5,6\n", []),
        ("2\n1 2 3\n4 5 6\n", []),
        ("//X Y Z\n1 2 3\n4 5 6\n", []),
        ("X Y Z\n1 2 3\n4 5 6\n", []),
        ("\ufeff1\t2\t3\t9\n4\t5\t6\t9\n", ["column_3"]),
        ("# x y z time\n1 2 3 9\n4 5 6 9\n", ["time"]),
    ],
)
def test_xyz_as_people_write_it(tmp_path, text, names):
    (tmp_path / "a.xyz").write_text(text)
    batch, schema = io.read_clouds(tmp_path / "a.xyz")
    assert batch.pos.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert [feature.name for feature in schema.features] == names
    assert io.open_cloud_file(tmp_path / "a.xyz").sizes().tolist() == [2]


def test_damaged_xyz(tmp_path):
    path = tmp_path / "a.xyz"
    for text, message in (
        ("1 2 3\n4 5\n", "line 2 has 2 columns, expected the 3 of x y z"),
        ("1 2 3\n4 5 six\n", "expected numbers in column 'z'"),
        ("1 2\n3 4\n", "line 1 has 2 columns"),
        ("# x y z\n", None),
    ):
        path.write_text(text)
        if message is None:
            assert io.read_clouds(path)[0].ptr.tolist() == [0, 0]
            continue
        with pytest.raises(FileError, match=message):
            io.read_clouds(path)
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(FileError, match="is not text"):
        io.read_clouds(path)
    path.write_text("1 2 nan\n")
    with pytest.raises(DataError, match=r"a\.xyz: pos of event 0 is \[1\.0, 2\.0, nan\]"):
        io.read_clouds(path)
    path.write_text("# x y z energy\n1 2 3 -4\n")
    with pytest.raises(DataError, match=r"weight of event 0 is -4\.0"):
        io.read_clouds(path)


def read(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return io.read_clouds(path)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("# hit id,x,y,z,energy\n7,1,2,3,5\n", {}),
        ("hit id;x;y;z;energy\n7;1;2;3;5\n", {}),
        ("hit id\tx [mm]\ty [mm]\tz [mm]\tenergy [GeV]\r\n7\t1\t2\t3\t5\r\n", {"x": "mm"}),
        ("\ufeff//hit id,X(mm),Y(mm),Z(mm),Energy (GeV),\n7,1,2,3,5,\n", {"x": "mm"}),
        ("# made by hand\n# columns: id x y z energy\n7 1 2 3 5\n", {}),
        ("# made by hand\nid x [mm] y [mm] z [mm] energy [GeV]\n1\n7 1 2 3 5\n", {"x": "mm"}),
        ('"hit id","x","y","z","energy"\n"7","1","2","3","5"\n', {}),
        ("'hit id';'x';'y';'z';'energy'\n7;1,0;2,0;3;5\n", {}),
        ("# hit id, x, y, z, energy\n7 1.0D+00 20d-1 3 5\n", {}),
        ("//id;x;y;z;energy\n1\n7;1;2;3;5\n", {}),
        ("1\nid x y z energy\n7 1 2 3 5\n", {}),
    ],
)
def test_columns_are_found_by_name(tmp_path, text, units):
    batch, schema = read(tmp_path / "a.xyz", text)
    assert batch.pos.tolist() == [[1, 2, 3]]
    assert batch.weight.tolist() == [5]
    assert batch.x.tolist() == [[7]]
    assert [feature.name for feature in schema.features] in (["hit id"], ["id"])
    assert schema.axes[0] == Quantity("x", units.get("x", ""))
    assert schema.weight == Quantity("energy", "GeV" if units else "")


@pytest.mark.parametrize(
    "text",
    [
        "# hit id x y z energy\n7 1 2 3 5\n",
        "# x and y in mm\n7 1 2 3 5\n",
        "# id x_mm y_mm z_mm\n7 1 2 3\n",
        "# hit eta phi energy\n7 1 2 3\n",
        "# eta,phi,pt\n1,2,3\n",
        "# x y z energy\n# x y z time\n1 2 3 4\n",
        "# x y z energy\n1 2 3\n",
        "id eta phi energy\n7 1 2 3\n",
        "x y z x\n1 2 3 4\n",
        ",x,y,z\n0,1,2,3\n",
        "x\ty\tz\tt\n1\t2\t\t4\n",
        "2\nwater\nO 1 2 3\nH 4 5 6\n",
    ],
)
def test_names_that_are_unclear_are_refused(tmp_path, text):
    with pytest.raises(FileError, match=r"a\.xyz: .*names?.*x and y among them"):
        read(tmp_path / "a.xyz", text)


@pytest.mark.parametrize(
    "comment", ["x y z in mm", "x, y, z in mm", "made by Open3D, x y z.", "exported on Monday", ""]
)
def test_prose_names_nothing(tmp_path, comment):
    assert read(tmp_path / "a.xyz", f"# {comment}\n1 2 3\n")[0].pos.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("separator", [";", "\t", " ; ", '"'])
def test_decimal_commas_where_nothing_else_is_possible(tmp_path, separator):
    line = separator.join(["1,5", "-2,25", "3,5e2"])
    line = '"1,5","-2,25","3,5e2"' if separator == '"' else line
    assert read(tmp_path / "a.xyz", f"{line}\n")[0].pos.tolist() == [[1.5, -2.25, 350]]


@pytest.mark.parametrize(
    "text",
    [
        "1,5 2,5 3,5\n4,25 5,25 6,25\n",
        "1,5   2 3\n",
        "1,5, 2,5, 3,5\n",
        "1,500;2,500;3,500\n",
        "1,5;2.5;3,5\n",
        "1.234,5;2,5;3,5\n",
        "1 2 3\n4,5,6\n",
    ],
)
def test_commas_of_two_meanings_are_refused(tmp_path, text):
    with pytest.raises(FileError, match=r"a\.xyz: .*comma.*expected a decimal point"):
        read(tmp_path / "a.xyz", text)


@given(
    rows=st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 4), min_size=1, max_size=5),
    separator=st.sampled_from([" ", "  ", "\t", ",", ", ", ";", " ; "]),
    ending=st.sampled_from(["\n", "\r\n"]),
    trailing=st.booleans(),
    where=st.sampled_from(["line", "# ", "//"]),
    counted=st.booleans(),
)
def test_every_separator_gives_the_same_numbers(
    tmp_path_factory, rows, separator, ending, trailing, where, counted
):
    end, name = separator.strip() * trailing, "loss" if separator.isspace() else "energy loss"
    lines = [("" if where == "line" else where) + separator.join(["x", "y", "z", name])]
    lines += [str(len(rows))] * counted + [separator.join(map(repr, row)) + end for row in rows]
    batch, _ = read(tmp_path_factory.mktemp("xyz") / "a.xyz", ending.join([*lines, ""]))
    found = np.concatenate([batch.pos.numpy(), batch.x.numpy()], 1)
    np.testing.assert_array_equal(found, np.array(rows))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5\n1 2 3\n4 5 6\n", "got 2 lines of points, expected the 5"),
        ("1\n1 2 3\n4 5 6\n", "got 2 lines of points, expected the 1"),
        ("//x y z\n3\n1 2 3\n", "got 1 lines of points, expected the 3"),
        ("5\n", "got 0 lines of points, expected the 5"),
        ("1\n1 2 3\n1\n4 5 6\n", "got 3 lines of points, expected the 1"),
        ("1\n2\n3\n", "line 1 has 1 columns"),
        ("1,,3\n", "line 1 has nothing in column 'y'"),
        ("x;y;z\n1;2;3\n4;;6\n", "line 3 has nothing in column 'y'"),
        ("1,2,3,\n4,5,6\n", "line 1 has nothing in column 'column_3'"),
        ("1_0 2 3\n", "x of point 0 is 1_0"),
        ("1\u00a0234 2 3\n", "x of point 0 is 1\u00a0234"),
        ("\u0661 2 3\n", "x of point 0 is"),
        ("1 2 9007199254740993\n", "z of point 0 is 9007199254740993, expected a whole number"),
        ("1600000000000000001 2 3\n", "x of point 0 is 1600000000000000001, expected"),
        ("x y z\nmm mm mm\n1 2 3\n", "x of point 0 is mm"),
        ("x y z Energy ENERGY\n1 2 3 4 5\n", "names are alike"),
        ("1 2 3 # first\n", "expected numbers"),
    ],
)
def test_lines_that_are_refused(tmp_path, text, message):
    with pytest.raises(FileError, match=message):
        read(tmp_path / "a.xyz", text)


def test_names_that_differ_by_unit_alone_keep_it(tmp_path):
    batch, schema = read(tmp_path / "a.xyz", "x y z t[ns] t[s] v[m/s]\n1 2 3 4 5 6\n")
    assert batch.x.tolist() == [[4, 5, 6]]
    assert schema.features == (Quantity("t[ns]"), Quantity("t[s]"), Quantity("v", "m/s"))


def test_a_count_of_zero_and_a_lone_header_are_empty_clouds(tmp_path):
    for text in ("0\n", "x y z\n", "# x y z\n0\n", "# nothing\n"):
        assert read(tmp_path / "a.xyz", text)[0].ptr.tolist() == [0, 0]


def test_infinite_coordinates_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"pos of event 0 is \[1\.0, 2\.0, inf\].*--missing drop"):
        read(tmp_path / "a.xyz", "1 2 inf\n")
