"""PCD: the files that others write, and those that must be refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch

from pcgen import io
from pcgen.errors import DataError, FileError


def pcd(data, body, fields="x y z intensity", size="4 4 4 2", kind="F F F U", count="1 1 1 1"):
    head = f"""# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS {fields}
SIZE {size}
TYPE {kind}
COUNT {count}
WIDTH 2
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS 2
DATA {data}
"""
    return head.encode() + body


def lzf(plain, packed):
    return struct.pack("<II", len(packed), plain) + packed


COLUMNS = struct.pack("<6f2H", 1, 4, 2, 5, 3, 6, 7, 8)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ("ascii", b"1 2 3 7\n4 5 6 8\n"),
        ("binary", struct.pack("<fffHfffH", 1, 2, 3, 7, 4, 5, 6, 8)),
        ("binary_compressed", lzf(28, bytes([27]) + COLUMNS)),
    ],
)
def test_pcd_of_all_three_kinds(tmp_path, data, body):
    (tmp_path / "a.pcd").write_bytes(pcd(data, body))
    batch, schema = io.read_clouds(tmp_path / "a.pcd")
    assert batch.pos.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert batch.pos.dtype == torch.float32
    assert batch.x.tolist() == [[7], [8]]
    assert [feature.name for feature in schema.features] == ["intensity"]
    for cut in (2, 9):
        (tmp_path / "a.pcd").write_bytes(pcd(data, body)[:-cut])
        with pytest.raises(FileError, match="truncated or damaged PCD, expected 2 points"):
            io.read_clouds(tmp_path / "a.pcd")


def test_lzf_copies_may_overlap_themselves(tmp_path):
    # 3 literal bytes, then copies of them: 9 (= 7 + 2 + 0) bytes and 8 bytes at a distance of 3.
    # 32 more zeros come as one literal byte and a copy of 31 at a distance of 1.
    far = bytes([7 << 5, 0, 2, 6 << 5, 2])
    packed = bytes([2]) + b"abc" + far + bytes([0, 0, 7 << 5, 22, 0])
    plain = b"abc" * 6 + b"ab" + bytes(32)
    body = lzf(len(plain), packed)
    (tmp_path / "a.pcd").write_bytes(
        pcd("binary_compressed", body, "a x y z", "2 8 8 8", "U F F F").replace(b"x y z", b"x y z")
    )
    # 2 points of 2 + 3 * 8 bytes are 52.
    batch, _ = io.read_clouds(tmp_path / "a.pcd")
    assert batch.x[:, 0].tolist() == [*struct.unpack("<2H", plain[:4])]
    expected = np.frombuffer(plain, "<f8", offset=4).reshape(3, 2).T
    np.testing.assert_array_equal(batch.pos.numpy(), expected)


def test_pcd_colours_padding_and_counts(tmp_path):
    rgb = struct.unpack("<f", struct.pack("<I", 0xFF902030))[0]
    assert np.isnan(rgb)  # what a float makes of an opaque colour
    body = struct.pack("<fffIBB", 1, 2, 3, 0xFF902030, 9, 9)
    body += struct.pack("<fffIBB", 4, 5, 6, 0x00FF00FF, 9, 9)
    data = pcd("binary", body, "x y z rgb _", "4 4 4 4 1", "F F F F U", "1 1 1 1 2")
    (tmp_path / "a.pcd").write_bytes(data)
    batch, schema = io.read_clouds(tmp_path / "a.pcd")
    assert batch.x.tolist() == [[0x90, 0x20, 0x30], [0xFF, 0, 0xFF]]
    assert [feature.name for feature in schema.features] == ["red", "green", "blue"]
    data = pcd("ascii", b"1 2 3 4 5 6 7 8 9 0", "x y z f", "4 4 4 4", "F F F F", "1 1 1 2")
    (tmp_path / "a.pcd").write_bytes(data)
    batch, schema = io.read_clouds(tmp_path / "a.pcd")
    assert batch.x.tolist() == [[4, 5], [9, 0]]
    assert [feature.name for feature in schema.features] == ["f_0", "f_1"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"FIELDS", b"COLOURS", "not PCD, expected a header with FIELDS"),
        (b"DATA ascii", b"DATA morse", "DATA morse is unknown"),
        (b"POINTS 2", b"POINTS 3", "POINTS 3 is not WIDTH 2 times HEIGHT 1"),
        (b"TYPE F", b"TYPE Q", "not PCD"),
        (b"SIZE 4", b"SIZE 5", "not PCD"),
        (b"SIZE 4 4 4 2", b"SIZE 4 4", "not PCD"),
        (b"COUNT 1", b"COUNT 0", "COUNT below 1"),
        (b"7", b"seven", "truncated or damaged PCD"),
    ],
)
def test_damaged_pcd(tmp_path, old, new, message):
    data = pcd("ascii", b"1 2 3 7\n4 5 6 8\n")
    head, body = data.split(b"DATA ascii\n")
    changed = (head + b"DATA ascii\n").replace(old, new) + (
        body.replace(old, new) if old == b"7" else body
    )
    (tmp_path / "a.pcd").write_bytes(changed)
    with pytest.raises(FileError, match=message):
        io.read_clouds(tmp_path / "a.pcd")


@pytest.mark.parametrize("packed", [bytes([7 << 5, 0, 0]), bytes([32, 200]), bytes([0, 1])])
def test_damaged_lzf(tmp_path, packed):
    (tmp_path / "a.pcd").write_bytes(pcd("binary_compressed", lzf(28, packed)))
    with pytest.raises(FileError, match="truncated or damaged PCD"):
        io.read_clouds(tmp_path / "a.pcd")


def read(path, data):
    path.write_bytes(data)
    return io.read_clouds(path)


def in_all_kinds(rows, fields, size, kind, count="1 1 1 1"):
    """A file of two points as text, binary and compressed (as literals); nothing is padding."""
    codes = {"F4": "f", "F8": "d", "U1": "B", "U8": "Q", "I8": "q"}
    codes = [codes[k + s] for k, s in zip(kind.split(), size.split(), strict=True)]
    codes = [code for code, n in zip(codes, count.split(), strict=True) if n != "0"]
    text = "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()
    binary = b"".join(struct.pack("<" + "".join(codes), *row) for row in rows)
    columns = zip(codes, zip(*rows, strict=True), strict=True)
    plain = b"".join(struct.pack(f"<2{code}", *column) for code, column in columns)
    parts = [plain[place : place + 32] for place in range(0, len(plain), 32)]
    packed = b"".join(bytes([len(part) - 1]) + part for part in parts)
    bodies = {"ascii": text, "binary": binary, "binary_compressed": lzf(len(plain), packed)}
    return [pcd(name, body, fields, size, kind, count) for name, body in bodies.items()]


def test_whole_numbers_of_64_bits_are_exact_or_refused(tmp_path):
    rows = [(1, 2, 3, 2**53), (4, 5, 6, 1600000000000000000)]
    for data in in_all_kinds(rows, "x y z t", "4 4 4 8", "F F F U"):
        batch, _ = read(tmp_path / "a.pcd", data)
        assert [int(value) for value in batch.x[:, 0]] == [2**53, 1600000000000000000]
    for bad, kind in ((1600000000000000001, "U"), (2**64 - 1, "U"), (-(2**53) - 1, "I")):
        rows = [(1, 2, 3, 4), (4, 5, 6, bad)]
        for data in in_all_kinds(rows, "x y z t", "4 4 4 8", f"F F F {kind}"):
            with pytest.raises(
                FileError, match=f"t of point 1 is {bad}, expected a number that fl"
            ):
                read(tmp_path / "a.pcd", data)


def test_padding_of_no_values(tmp_path):
    rows = [(1, 2, 3, 7), (4, 5, 6, 8)]
    fields, size, kind, count = "x y z _ intensity", "4 4 4 1 4", "F F F U F", "1 1 1 0 1"
    for data in in_all_kinds(rows, fields, size, kind, count):
        batch, schema = read(tmp_path / "a.pcd", data)
        assert batch.x.tolist() == [[7], [8]]
        assert [feature.name for feature in schema.features] == ["intensity"]


def test_equal_names_are_refused_and_others_found(tmp_path):
    rows = [(1, 2, 3, 9), (4, 5, 6, 9)]
    for name in ("x", "z"):
        for data in in_all_kinds(rows, f"x y z {name}", "4 4 4 4", "F F F F"):
            with pytest.raises(FileError, match=rf"a\.pcd: got the name '{name}' twice"):
                read(tmp_path / "a.pcd", data)
    for data in in_all_kinds(rows, "x y z X", "4 4 4 4", "F F F F"):
        batch, schema = read(tmp_path / "a.pcd", data)
        assert batch.pos.tolist() == [[1, 2, 3], [4, 5, 6]]
        assert [feature.name for feature in schema.features] == ["X"]


def test_points_are_as_many_as_announced(tmp_path):
    rows = [(1, 2, 3, 9), (4, 5, 6, 9)]
    for data in in_all_kinds(rows, "x y z t", "4 4 4 4", "F F F F"):
        for wrong in (data[:-3], data + b"1 2 3 4\n"):
            with pytest.raises(FileError, match="truncated or damaged PCD, expected 2 points"):
                read(tmp_path / "a.pcd", wrong)
        few = data.replace(b"WIDTH 2", b"WIDTH 1").replace(b"POINTS 2", b"POINTS 1")
        with pytest.raises(FileError, match="truncated or damaged PCD, expected 1 points"):
            read(tmp_path / "a.pcd", few)
        bare = data.replace(b"POINTS 2\n", b"").replace(b"VIEWPOINT 0 0 0 1 0 0 0\n", b"")
        assert read(tmp_path / "a.pcd", bare)[0].pos.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(FileError, match="a line does not hold the 4 numbers"):
        read(
            tmp_path / "a.pcd", pcd("ascii", b"1 2 3 4 5\n6 7 8\n", size="4 4 4 4", kind="F F F F")
        )


def test_the_page_that_old_pcl_wrote_behind_the_points(tmp_path):
    data = pcd("binary", struct.pack("<fffHfffH", 1, 2, 3, 7, 4, 5, 6, 8))
    page = data + bytes(4096 + 28 - len(data))
    assert read(tmp_path / "a.pcd", page)[0].x.tolist() == [[7], [8]]
    for wrong in (data + bytes(14), page + bytes(14)):  # zeros that may be points
        with pytest.raises(FileError, match="expected 2 points"):
            read(tmp_path / "a.pcd", wrong)


@pytest.mark.parametrize("kind", ["ascii", "binary", "binary_compressed"])
def test_no_points(tmp_path, kind):
    data = pcd(kind, struct.pack("<II", 0, 0) if "_" in kind else b"")
    data = data.replace(b"WIDTH 2", b"WIDTH 0").replace(b"POINTS 2", b"POINTS 0")
    assert read(tmp_path / "a.pcd", data)[0].pos.shape == (0, 3)


@pytest.mark.parametrize(
    ("word", "value"),
    [("255", 255), ("255.0", 255), ("300", None), ("-1", None), ("7.5", None), ("nan", None)],
)
def test_numbers_fit_their_declared_type_or_are_refused(tmp_path, word, value):
    data = pcd("ascii", f"1 2 3 4\n1 2 3 {word}\n".encode(), size="4 4 4 1")
    if value is None:
        with pytest.raises(FileError, match=f"intensity of point 1 is {word}, expected"):
            read(tmp_path / "a.pcd", data)
    else:
        assert read(tmp_path / "a.pcd", data)[0].x.tolist() == [[4], [value]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"COUNT 1 1 1 1", b"COUNT 1 1 1 0", "COUNT below 1 of intensity"),
        (b"COUNT 1 1 1 1", b"COUNT 1 1 1 9999999999999", "more than 100000"),
        (b"SIZE 4 4 4 2", b"SIZE 4 4 4 16", "has the type u16"),
        (b"WIDTH 2\n", b"WIDTH 2\nWIDTH 2\n", "WIDTH is there twice"),
        (b"WIDTH 2\nHEIGHT 1", b"WIDTH -2\nHEIGHT -1", "POINTS 2 is not"),
    ],
)
def test_headers_that_contradict_themselves(tmp_path, old, new, message):
    with pytest.raises(FileError, match=message):
        read(tmp_path / "a.pcd", pcd("ascii", b"1 2 3 7\n4 5 6 8\n").replace(old, new))


def test_colours_that_text_has_lost_are_refused(tmp_path):
    data = pcd("ascii", b"1 2 3 nan\n4 5 6 0\n", "x y z rgb", "4 4 4 4", "F F F F")
    with pytest.raises(FileError, match="rgb is nan"):
        read(tmp_path / "a.pcd", data)


def test_points_without_coordinates_are_refused_with_the_way_out(tmp_path):
    nan = float("nan")
    for data in in_all_kinds([(nan, nan, nan, 1), (4, 5, 6, 2)], "x y z t", "4 4 4 4", "F F F F"):
        with pytest.raises(DataError, match=r"a\.pcd: pos of event 0 is \[nan.*--missing drop"):
            read(tmp_path / "a.pcd", data)
