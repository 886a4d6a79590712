"""PLY: the files that others write, and those that must be refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import io
from pcgen.errors import DataError, FileError
from pcgen.schema import Quantity

PLY = """ply
format ascii 1.0
comment from elsewhere
obj_info too
element camera 2
property list uchar float view
property int number
element vertex 3
property float x
property double y
property float z
property uchar red
property list uchar int neighbours
property float Energy
element face 1
property list uchar int vertex_indices
end_header
2 1.5 2.5 7
0 8
1 2 3 255 2 0 1 0.5
4 5 6 0 0 0.25
7 8 9 16 1 2 0.125
3 0 1 2
"""


def _binary(order):
    """The same as PLY in binary."""
    head = PLY[: PLY.index("end_header")]
    name = "little" if order == "<" else "big"
    head = head.replace("ascii", f"binary_{name}_endian") + "end_header\n"
    body = struct.pack(f"{order}BffiBi", 2, 1.5, 2.5, 7, 0, 8)
    body += struct.pack(f"{order}fdfBBiif", 1, 2, 3, 255, 2, 0, 1, 0.5)
    body += struct.pack(f"{order}fdfBBf", 4, 5, 6, 0, 0, 0.25)
    body += struct.pack(f"{order}fdfBBif", 7, 8, 9, 16, 1, 2, 0.125)
    body += struct.pack(f"{order}Biii", 3, 0, 1, 2)
    return head.encode() + body


@pytest.mark.parametrize(
    "data",
    [PLY.encode(), PLY.replace("\n", "\r\n").encode(), _binary("<"), _binary(">")],
    ids=["ascii", "crlf", "little", "big"],
)
def test_ply_with_lists_and_other_elements(tmp_path, data):
    (tmp_path / "a.ply").write_bytes(data)
    batch, schema = io.read_clouds(tmp_path / "a.ply")
    assert batch.pos.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert batch.pos.dtype == torch.float64  # y is a double
    assert batch.weight.tolist() == [0.5, 0.25, 0.125]
    assert batch.x.tolist() == [[255], [0], [16]]
    assert [feature.name for feature in schema.features] == ["red"]
    assert schema.weight == Quantity("energy")
    assert io.open_cloud_file(tmp_path / "a.ply").sizes().tolist() == [3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "plx" + text[3:], "expected a PLY file"),
        (lambda text: text[: text.index("end_header")], "expected a header with format and end"),
        (lambda text: text.replace("format ascii 1.0\n", ""), "expected a header with format"),
        (lambda text: text.replace("ascii", "rot13"), "header line b'format rot13"),
        (lambda text: text.replace("float z", "quad z"), "header line b'property quad z"),
        (lambda text: text.replace("vertex 3", "vertex -3"), "header line b'element vertex -3"),
        (lambda text: text.replace("vertex 3", "point 3"), "elements camera, point, face, exp"),
        (lambda text: text.replace("obj_info", "colour"), "header line b'colour too"),
        (lambda text: text.replace("vertex 3", "vertex 300"), "truncated or damaged PLY, .* 300"),
        (lambda text: text.replace("0.125", "many"), "truncated or damaged PLY"),
        (lambda text: text.replace("float x", "float u"), "expected x and y among them"),
    ],
)
def test_damaged_ply(tmp_path, change, message):
    (tmp_path / "a.ply").write_text(change(PLY))
    with pytest.raises(FileError, match=message):
        io.read_clouds(tmp_path / "a.ply")


def test_truncated_binary_ply(tmp_path):
    for cut in (14, 30, 70):  # 13 bytes of faces behind the vertices are not needed
        (tmp_path / "a.ply").write_bytes(_binary("<")[:-cut])
        with pytest.raises(FileError, match=r"a\.ply: truncated or damaged PLY, expected 3 vert"):
            io.read_clouds(tmp_path / "a.ply")


def ply(body, properties="float x|float y|float z", vertices=2, format="ascii", more=""):
    lines = "".join(f"property {each}\n" for each in properties.split("|"))
    head = f"ply\nformat {format} 1.0\nelement vertex {vertices}\n{lines}{more}end_header\n"
    return head.encode() + (body.encode() if isinstance(body, str) else body)


TRIANGLES = "element face 2\nproperty list uchar int vertex_indices\n"
LITTLE = "binary_little_endian"


def read(path, data):
    path.write_bytes(data)
    return io.read_clouds(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"ply\n", b"ply \t\n").replace(b"1.0\n", b"1.0  \n"),
        lambda data: data.replace(b"end_header\n", b"end_header \n"),
        lambda data: data.replace(b"\n", b"\r"),
        lambda data: data.replace(b"element", b"comment x y\nobj_info\nelement"),
        lambda data: data.replace(b"1 2 3\n4", b"1 2 3 4"),
        lambda data: data.replace(b"1 2", b"1D0 2.0d+00"),
        lambda data: data + b"\n\n",
    ],
)
def test_blanks_comments_and_ends_of_lines(tmp_path, change):
    batch, _ = read(tmp_path / "a.ply", change(ply("1 2 3\n4 5 6\n")))
    assert batch.pos.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(("ending", "first"), [(b"\r", b"\n"), (b"\r\n", b"\n"), (b"\n", b"\r")])
def test_a_byte_of_data_is_no_end_of_a_header_line(tmp_path, ending, first):
    body = first * 4 + struct.pack("<5f", *range(5))
    data = ply(b"", format=LITTLE).replace(b"\n", ending) + body
    batch, _ = read(tmp_path / "a.ply", data)
    np.testing.assert_array_equal(batch.pos.numpy().ravel(), np.frombuffer(body, "<f4"))


@pytest.mark.parametrize("format", ["ascii", LITTLE])
def test_no_vertices(tmp_path, format):
    batch, schema = read(tmp_path / "a.ply", ply("", vertices=0, format=format))
    assert batch.pos.shape == (0, 3)
    assert len(schema.axes) == 3


@pytest.mark.parametrize("numbers", [(3, 3), (3, 4), (0, 1)])
def test_faces_of_any_lengths_behind_the_vertices(tmp_path, numbers):
    text = "".join(f"{n} {' '.join(['1'] * n)}\n" for n in numbers)
    binary = b"".join(struct.pack(f"<B{n}i", n, *[1] * n) for n in numbers)
    points = struct.pack("<6f", 1, 2, 3, 4, 5, 6)
    for body, format, cut in (
        (f"1 2 3\n4 5 6\n{text}".encode(), "ascii", 2),
        (points + binary, LITTLE, 1),
    ):
        batch, _ = read(tmp_path / "a.ply", ply(body, format=format, more=TRIANGLES))
        assert batch.pos.tolist() == [[1, 2, 3], [4, 5, 6]]
        for wrong in (body[:-cut], body + b"7 "):
            with pytest.raises(FileError, match="truncated or damaged PLY, expected 2 vertices"):
                read(tmp_path / "a.ply", ply(wrong, format=format, more=TRIANGLES))


@given(lengths=st.lists(st.integers(0, 3), max_size=5), seed=st.integers(0, 99))
def test_lists_among_the_properties_are_passed_over(tmp_path_factory, lengths, seed):
    values = np.random.default_rng(seed).normal(size=(len(lengths), 3)).astype("f4")
    text, binary = "", b""
    for (x, y, t), n in zip(values.tolist(), lengths, strict=True):
        text += " ".join(f"{v:.9g}" for v in (x, y, n, *range(n), t)) + "\n"
        binary += struct.pack(f"<ffB{n}if", x, y, n, *range(n), t)
    properties = "float x|float y|list uchar int hits|float t"
    for body, format in ((text, "ascii"), (binary, LITTLE)):
        path = tmp_path_factory.mktemp("ply") / "a.ply"
        batch, _ = read(path, ply(body, properties, len(lengths), format))
        assert torch.equal(torch.cat([batch.pos, batch.x], 1), torch.from_numpy(values))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ply("1 2 3\n4 5 6\n7 8 9\n"), "3 numbers follow"),
        (ply("1 2 3\n"), "only 3 of 6 numbers"),
        (ply("1 2 3 4\n5 6\n"), "a line holds another number of values"),
        (ply("1 2 3 4\n5 6 7 8\n9 9 9 9\n", vertices=4), "a line holds another number"),
        (ply(struct.pack("<9f", *range(9)), format=LITTLE), "12 bytes follow"),
        (ply(struct.pack("<5f", *range(5)), format=LITTLE), "only 20 bytes are left"),
        (ply("1 2 3\n4 5 6\n-1\n-1\n", more=TRIANGLES.replace("uchar", "char")), "list of -1"),
        (ply("", more=TRIANGLES.replace("uchar", "float")), "length of a list is no integer"),
        (ply("", more="format ascii 1.0\n"), "a second format"),
        (ply("", more="element vertex 1\n"), "'element vertex' twice"),
        (ply("1 2 3 4\n" * 2, "float x|float y|float z|float x"), "name 'x' twice"),
        (ply(b"0" * 32, "float x|float y|float z|float x", format=LITTLE), "name 'x' twice"),
        (ply("1 2 3\n" * 2, "float x|float y|float X|float Z"), "only 6 of 8"),
        (ply("1 2 3\n" * 2, "float X|float Y|float x"), "names are alike"),
    ],
)
def test_what_the_header_announces_must_be_there(tmp_path, data, message):
    with pytest.raises(FileError, match=message):
        read(tmp_path / "a.ply", data)


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        ("uchar", "255", 255),
        ("uchar", "255.0", 255),
        ("uchar", "2.55e2", 255),
        ("short", "-32768.", -32768),
        ("uint", "4294967295", 4294967295),
        ("float", "16777216", 16777216),
        ("float", "123456790.0", 123456792),  # the shortest digits of a float
        ("double", "9007199254740992", 2**53),
        ("uchar", "256", None),
        ("uchar", "-1", None),
        ("uchar", "0.5", None),
        ("uchar", "nan", None),
        ("ushort", "70000", None),
        ("int", "1e400", None),
        ("int", "1e999999999", None),
        ("float", "1e39", None),
        ("float", "16777217", None),
        ("float", "1_0", None),
        ("double", "9007199254740993", None),
        ("double", "1600000000000000001", None),
        ("double", "1600000000000000001.0", None),
    ],
)
def test_numbers_fit_their_declared_type_or_are_refused(tmp_path, kind, word, value):
    data = ply(f"1 2 3 4\n1 2 3 {word}\n", f"float x|float y|float z|{kind} red")
    if value is None:
        with pytest.raises(FileError, match=rf"a\.ply: .*red of point 1 is {word}, expected"):
            read(tmp_path / "a.ply", data)
    else:
        assert read(tmp_path / "a.ply", data)[0].x.tolist() == [[4], [value]]


def test_names_that_differ_by_case_alone(tmp_path):
    data = ply(
        "0 0 0 9 5 6\n1 2 3 9 5 6\n", "float x|float y|float z|float X|int energy|int Energy"
    )
    batch, schema = read(tmp_path / "a.ply", data)
    assert batch.pos.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert batch.weight.tolist() == [5, 5]
    assert batch.x.tolist() == [[9, 6], [9, 6]]
    assert [feature.name for feature in schema.features] == ["X", "Energy"]


def test_types_are_those_of_all_files(tmp_path):
    for number, kind in enumerate(("float", "double", "float")):
        data = ply("0.5 0.25 0.125\n", "|".join(f"{kind} {axis}" for axis in "xyz"), 1)
        (tmp_path / f"{number}.ply").write_bytes(data)
    with io.open_cloud_file(tmp_path) as source:
        assert {block.pos.dtype for block in source.blocks(1)} == {torch.float64}
    (tmp_path / "1.ply").unlink()
    assert io.read_clouds(tmp_path)[0].pos.dtype == torch.float32


def test_points_without_coordinates_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(DataError, match=r"a\.ply: pos of event 0 is \[nan.*--missing drop"):
        read(tmp_path / "a.ply", ply("nan 2 3\n4 5 6\n"))
