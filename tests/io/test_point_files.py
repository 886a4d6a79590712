"""PLY, PCD and XYZ: exact round trips, and the files that others write."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds, io
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.schema import Quantity, Schema

ENDINGS = [".ply", ".pcd", ".xyz"]
AXES = (Quantity("a", "mm"), Quantity("b", "mm"), Quantity("phi", "rad", 6.28), Quantity("time"))


def assert_same(a, b):
    assert a.ptr.tolist() == b.ptr.tolist()
    left, right = clouds.attributes(a), clouds.attributes(b)
    assert set(left) == set(right)
    for name, value in left.items():
        assert value.dtype == right[name].dtype
        assert torch.equal(value, right[name]), name


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=20)
@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    dimensions=st.integers(1, 4),
    double=st.booleans(),
    plain=st.booleans(),
    seed=st.integers(0, 99),
)
def test_round_trip_is_exact(tmp_path_factory, ending, sizes, dimensions, double, plain, seed):
    folder, g = tmp_path_factory.mktemp("points"), torch.Generator().manual_seed(seed)
    dtype = torch.float64 if double else torch.float32
    rows, number = sum(sizes), len(sizes)
    # Names that collide with columns, or with each other once they are words.
    features = (Quantity("y"), Quantity("weight"), Quantity("time of flight", "ns"), Quantity("z"))
    schema = Schema(
        AXES[:dimensions],
        Quantity("energy", "MeV"),
        features,
        condition=(Quantity("p"), Quantity("q")),
        labels=("e", "mu"),
        layers=("one", "two"),
    )
    batch = clouds.make(1e3 * torch.randn(rows, dimensions, generator=g, dtype=dtype), sizes)
    if not plain:
        batch = clouds.replace(
            batch,
            weight=torch.rand(rows, generator=g, dtype=dtype),
            x=torch.randn(rows, 4, generator=g),
            y=torch.randn(number, 2, generator=g, dtype=dtype),
            label=torch.randint(2, (number,), generator=g),
            layer=torch.randint(2, (rows,), generator=g),
            cell=torch.randint(100, (rows, dimensions), generator=g),
        )
    io.write_clouds(folder / f"event_%d{ending}", batch, schema)
    with io.open_cloud_file(folder) as source:
        assert source.schema == schema
        assert source.sizes().tolist() == sizes
        assert_same(source.read(), batch)
        assert_same(source.read(1, number), clouds.select(batch, slice(1, None)))


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_event_one_file(tmp_path, ending):
    schema = Schema(AXES[:3])
    path = tmp_path / f"a{ending}"
    io.write_clouds(path, clouds.make(torch.rand(5, 3), [5]), schema)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert len(io.open_cloud_file(path)) == 1
    with pytest.raises(ArgumentError, match=r"more than one event, .* a_%05d"):
        io.write_clouds(path, clouds.make(torch.rand(5, 3), [2, 3]), schema)
    with pytest.raises(DataError, match="got no event"):
        io.write_clouds(path, clouds.make(torch.rand(0, 3), []), schema)
    assert io.read_clouds(path)[0].ptr.tolist() == [0, 5]


def test_numbered_files_are_in_the_order_of_their_numbers(tmp_path):
    batch = clouds.make(torch.arange(12.0)[:, None].expand(12, 3).contiguous(), [1] * 12)
    io.write_clouds(tmp_path / "new" / "e_%d.xyz", batch, Schema(AXES[:3]))
    (tmp_path / "new" / "e_x.xyz").write_text("")
    for path in (tmp_path / "new" / "e_%d.xyz", tmp_path / "new" / "e_%05d.xyz"):
        assert io.read_clouds(path)[0].pos[:, 0].tolist() == list(range(12))


def test_old_and_new_events_do_not_mix(tmp_path):
    batch, schema = clouds.make(torch.rand(3, 3), [1] * 3), Schema(AXES[:3])
    io.write_clouds(tmp_path / "e_%d.ply", batch, schema)
    for path in (tmp_path / "e_%d.ply", tmp_path):
        with pytest.raises(FileError, match=r"3 such files are there already \(e_0\.ply\)"):
            io.write_clouds(path, batch, schema, format="ply")
    io.write_clouds(tmp_path / "folder", batch, schema, format="ply")
    names = sorted(file.name for file in (tmp_path / "folder").iterdir())
    assert names == ["event_000000.ply", "event_000001.ply", "event_000002.ply"]


def test_failed_event_takes_the_others_with_it(tmp_path):
    bad = clouds.make(torch.tensor([[0.0] * 3, [float("nan")] * 3]), [1, 1])

    def write():
        with io.cloud_writer(tmp_path / "e_%d.ply", Schema(AXES[:3])) as writer:
            writer.append(clouds.select(bad, [0]))
            writer.append(bad)

    with pytest.raises(DataError, match="pos of event 2"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_folder_must_agree(tmp_path):
    (tmp_path / "0.xyz").write_text("# x y z\n1 2 3\n")
    (tmp_path / "1.xyz").write_text("# x y z energy\n1 2 3 4\n")
    with pytest.raises(DataError, match=r"1\.xyz: got the columns x, y, z, energy of another"):
        io.read_clouds(tmp_path)
    with pytest.raises(FileError, match=r"expected some ending in \.ply"):
        io.open_file(tmp_path, format="ply")
    schema = Schema(AXES[:3], Quantity("e"))
    io.write_clouds(tmp_path / "a" / "0_%d.ply", clouds.make(torch.rand(1, 3), [1]), schema)
    weighted = clouds.make(torch.rand(1, 3), [1], weight=torch.ones(1))
    io.write_clouds(tmp_path / "a" / "1_%d.ply", weighted, schema)
    with pytest.raises(DataError, match=r"1_0\.ply: got pos, weight, expected pos as in"):
        io.read_clouds(tmp_path / "a")


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


def test_damaged_comment_of_pcgen(tmp_path):
    path = tmp_path / "a.xyz"
    io.write_clouds(path, clouds.make(torch.rand(1, 3), [1]), Schema(AXES[:3]))
    text = path.read_text()
    for old, new in (('{"schema"', "{schema"), ("float32", "float8"), ('"attributes"', '"other"')):
        path.write_text(text.replace(old, new))
        with pytest.raises(FileError, match=r"a\.xyz: pcgen's comment is damaged"):
            io.read_clouds(path)
    path.write_text(text.replace("# x y z", "# x y w"))
    with pytest.raises(FileError, match="expected z too as its pcgen comment says"):
        io.read_clouds(path)


@pytest.mark.slow
def test_open3d_reads_and_writes_the_same(tmp_path):
    o3d = pytest.importorskip("open3d", exc_type=ImportError)
    points = np.random.default_rng(0).normal(size=(500, 3))
    points[100:300] = 0.25  # something to compress
    batch = clouds.make(torch.from_numpy(points), [500], weight=torch.ones(500))
    schema = Schema((Quantity("x"), Quantity("y"), Quantity("z")), Quantity("energy"))
    theirs = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    theirs.colors = o3d.utility.Vector3dVector(np.linspace(0, 1, 1500).reshape(500, 3))
    for ending in ENDINGS:
        path = tmp_path / f"ours{ending}"
        io.write_clouds(path, batch, schema)
        read = np.asarray(o3d.io.read_point_cloud(str(path)).points)
        np.testing.assert_allclose(read, points, atol=1e-5)
        for text in (False, True):
            path = tmp_path / f"theirs{text}{ending}"
            assert o3d.io.write_point_cloud(
                str(path), theirs, write_ascii=text, compressed=not text
            )
            back, found = io.read_clouds(path)
            np.testing.assert_allclose(back.pos.numpy(), points, atol=1e-5)
            if ending != ".xyz":
                assert [f.name for f in found.features] == ["red", "green", "blue"]
                np.testing.assert_allclose(
                    back.x.numpy() / 255, np.asarray(theirs.colors), atol=1 / 255
                )
