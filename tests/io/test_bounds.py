"""What a file merely announces costs nothing: each kind has a limit, which comes before work."""

from __future__ import annotations

import json
import re
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import nullcontext, suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pcgen import bounds, clouds, io
from pcgen.errors import ArgumentError, DataError, FileError, PcgenError
from pcgen.grids import Calorimeter, Grid
from pcgen.images import cloud_to_image
from pcgen.io.npy_array import read_header
from pcgen.schema import Quantity, Schema

GRID = Grid.regular({"x": (0, 1, 4), "y": (0, 1, 5)})


@pytest.fixture
def small():
    """Nothing may take 200 MB."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def npy(text: str, body: bytes = b"", version: int = 1) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + body


def header(shape: str, descr: str = "'<f4'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


HEADERS = {
    "negative": header("(-3, 4, 5)"),
    "twice negative": header("(-3, -4, 5)"),
    "2^70": header(f"({2**70}, 4, 5)"),
    "2^63": header(f"({2**63}, 0, 5)"),
    "product": header(f"({2**40}, {2**40}, 5)"),
    "5,000 digits": header(f"({'9' * 5000}, 4)"),
    "no cells": header("(1000000000, 0)"),
    "bracket": "{'descr': (",
    "brackets": "[" * 9000,
    "long": header("(3, 4, 5)") + " " * 20_000,
    "signs": "-" * 9000,
    "call": header("(3, 4, 5)").replace("False", "print(1)"),
    "objects": header("(3, 4, 5)", "'|O'"),
    "structure": header("(3, 4, 5)", "[('a', '<f4')]"),
    "large text": header("(3, 4, 5)", "'<U999999999'"),
    "key twice": "{'shape': (3,), 'shape': (3, 4, 5), 'descr': '<f4', 'fortran_order': False}",
    "key missing": "{'shape': (3, 4, 5), 'descr': '<f4'}",
    "dimensions": header(f"({'1, ' * 40})"),
    "truncated": header("(3, 4, 6)"),
}


@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("version", [1, 2])
def test_headers_of_npy(tmp_path: Path, kind: str, version: int) -> None:
    data = npy(HEADERS[kind], bytes(240), version)
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(FileError, match=r"a\.npy: ") as caught:
        io.open_file(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)
    good = npy(header("(3, 4, 5)"), bytes(240))
    for name in ("image", "y", "label"):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            for each in {"image", name}:
                archive.writestr(f"{each}.npy", data if each == name else good)
        with pytest.raises(PcgenError, match=r"a\.npz: "):
            io.open_file(tmp_path / "a.npz")


kinds = st.sampled_from(
    ["?", "<i1", "<u2", ">i4", "<i8", "<f4", ">f8", "<f2", "<U3", "|S4", "<c16"]
)


@given(kinds, st.lists(st.integers(0, 3), max_size=4), st.booleans())
def test_headers_that_numpy_writes_are_read_as_numpy_does(kind, shape, fortran) -> None:
    import io as bytes_io

    value = np.ones(shape).astype(kind)
    file = bytes_io.BytesIO()
    np.lib.format.write_array(file, np.asfortranarray(value) if fortran else value)
    file.seek(0)
    found = read_header(file)
    place = file.tell()
    file.seek(0)
    np.lib.format.read_magic(file)
    assert (found.shape, found.fortran, found.dtype) == np.lib.format.read_array_header_1_0(file)
    assert place == file.tell()


def test_old_and_odd_but_legal_headers_are_read(tmp_path: Path) -> None:
    value = np.arange(12, dtype="<f4").reshape(3, 4)
    for text in ("{'shape':(3L,4L),'descr':'<f4','fortran_order':False}", header("(3, 4)")):
        (tmp_path / "a.npy").write_bytes(npy(text, value.tobytes()))
        with io.open_file(tmp_path / "a.npy") as source:
            assert np.array_equal(source.read().image.numpy(), value)


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as target:
        for name, value in members.items():
            target.writestr(name, value)
    return path


IMAGE = npy(header("(3, 4, 5)"), bytes(240))


def bomb(path: Path, name: str, size: int, text: str) -> Path:
    """An archive whose member announces ``size`` bytes of zeros, and holds them packed."""
    members = {} if name == "image.npy" else {"image.npy": IMAGE}
    archive(path, members)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as target,
        target.open(name, "w", force_zip64=True) as file,
    ):
        file.write(npy(text))
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return path


@pytest.mark.parametrize("name", ["image", "y", "label"])
def test_archives_that_unpack_to_far_more_than_data_do(tmp_path, monkeypatch, name) -> None:
    monkeypatch.setenv("PCGEN_MAX_BYTES", str(1 << 20))
    shape = "(3, 1048576)" if name == "image" else "(3145728,)"
    path = bomb(tmp_path / "a.npz", f"{name}.npy", 12 << 20, header(shape))
    with pytest.raises(FileError, match=rf"a\.npz: array {name}, packed .*PCGEN_MAX_BYTES"):
        io.open_file(path)


def test_what_nobody_reads_of_an_archive_may_be_any_size(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PCGEN_MAX_BYTES", str(1 << 20))
    path = bomb(tmp_path / "a.npz", "extra.npy", 12 << 20, header("(3145728,)"))
    with pytest.warns(UserWarning, match="extra passed over"), io.open_file(path) as source:
        assert source.read().image.shape == (3, 4, 5)


def test_members_that_are_doubled_or_packed_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as target:
        for _ in range(2):
            with (
                pytest.warns(UserWarning, match="Duplicate") if target.namelist() else nullcontext()
            ):
                target.writestr("image.npy", IMAGE)
    with pytest.raises(FileError, match="got 2 arrays image"):
        io.open_file(path)
    archive(path, {"image.npy": IMAGE}, zipfile.ZIP_LZMA)
    with pytest.raises(FileError, match="array image is packed by method 14 of zip"):
        io.open_file(path)
    letters = np.array([[0x110000, 65]], "<u4").tobytes()
    label = npy(header("(1,)", "'<U2'"), letters)
    archive(path, {"image.npy": npy(header("(1, 2)"), bytes(8)), "label.npy": label})
    with pytest.raises(FileError, match="array label cannot be read"):
        io.open_file(path)


def test_columns_first_are_read_within_the_limit(tmp_path, monkeypatch) -> None:
    value = np.asfortranarray(np.arange(60.0).reshape(3, 4, 5))
    np.save(tmp_path / "a.npy", value)
    with io.open_file(tmp_path / "a.npy") as source:
        assert np.array_equal(source.read().image.numpy(), value)
    monkeypatch.setenv("PCGEN_MAX_BYTES", "100")
    with pytest.raises(FileError, match=r"a\.npy: an array with its columns first"):
        io.open_file(tmp_path / "a.npy")


def test_a_chunk_that_unpacks_to_more_than_it_announces(tmp_path: Path, small) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("image", (3, 4), "f4", chunks=(3, 4), compression="gzip")
        data.id.write_direct_chunk((0, 0), zlib.compress(bytes(50_000_000)))
    with pytest.raises(FileError, match=r"/image is packed into .* expected at most the 48"):
        io.open_file(path)


def test_lzf_stops_at_what_the_header_announces(tmp_path: Path, small) -> None:
    head = b"FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 1\nHEIGHT 1\nDATA binary_compressed\n"
    runs = b"\0a" + bytes([0xE0, 0xFF, 0x00]) * 1_000_000
    (tmp_path / "a.pcd").write_bytes(head + struct.pack("<II", len(runs), 12) + runs)
    with pytest.raises(FileError, match=r"a\.pcd: .*instead of 12"):
        io.open_file(tmp_path / "a.pcd")
    many = head.replace(b"WIDTH 1", b"WIDTH 1000000")
    (tmp_path / "a.pcd").write_bytes(many + struct.pack("<II", 2, 12_000_000) + b"\0a")
    with pytest.raises(FileError, match="2 bytes cannot unpack to 12000000"):
        io.open_file(tmp_path / "a.pcd")


def test_points_of_a_million_numbers(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PCGEN_MAX_COLUMNS", "1000")
    (tmp_path / "a.xyz").write_text("1 " * 5000)
    with pytest.raises(
        FileError, match=r"a\.xyz: .*5000 numbers of a point, expected at most 1000"
    ):
        io.open_file(tmp_path / "a.xyz")


def binning(path: Path, **changes: str) -> Path:
    values = {"id": "0", "r_edges": "0,5,10", "n_bin_alpha": "4"} | changes
    text = " ".join(f'{name}="{value}"' for name, value in values.items())
    path.write_text(f'<Bins><Bin name="photon"><Layer {text}/></Bin></Bins>')
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_bin_alpha": str(2**31)}, "n_bin_alpha: got '2147483648'"),
        ({"n_bin_alpha": str(2**30)}, "n_bin_alpha: got 1073741824 cells along one axis"),
        ({"n_bin_alpha": "9" * 5000}, r"n_bin_alpha: got '9+\.\.\. of 5000 letters'"),
        ({"id": "9" * 5000}, r"id: got '9+\.\.\. of 5000 letters'"),
        ({"n_bin_alpha": "٤"}, "n_bin_alpha: got '٤'"),
        ({"r_edges": ",".join(map(str, range(20))), "n_bin_alpha": "1000000"}, "19000000 voxels"),
    ],
)
def test_voxels_and_numbers_of_a_binning(small, tmp_path: Path, changes, message) -> None:
    path = binning(tmp_path / "a.xml", **changes)
    with pytest.raises(FileError, match=rf"a\.xml, line 1: .*{message}"):
        Calorimeter.from_xml(path)
    assert Calorimeter.from_xml(binning(path)).voxels == 8


def test_binnings_that_are_large_or_of_unknown_letters(tmp_path: Path, small) -> None:
    path = tmp_path / "a.xml"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(FileError, match="has 1073741824 bytes"):
        Calorimeter.from_xml(path)
    for name in ("utf-7", "nonsense", "base64"):
        path.write_bytes(f'<?xml version="1.0" encoding="{name}"?><Bins/>'.encode())
        with pytest.raises(FileError, match=r"a\.xml: is no XML"):
            Calorimeter.from_xml(path)


def test_cells_of_a_grid(small, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="'x': got 10000000000 cells along one axis"):
        Grid.parse("x:0:1:10000000000")
    fine = Grid.parse("x:0:1:100000,y:0:1:100000")
    batch = clouds.make(torch.rand(3, 2), [3], weight=torch.ones(3))
    with pytest.raises(ArgumentError, match="100000 x 100000 cells: got 10000000000 cells of one"):
        cloud_to_image(batch, fine)
    monkeypatch.setenv("PCGEN_MAX_CELLS", "19")
    with pytest.raises(ArgumentError, match=r"at most 19 \(PCGEN_MAX_CELLS sets another limit"):
        cloud_to_image(batch, GRID)
    monkeypatch.setenv("PCGEN_MAX_CELLS", "20")
    assert cloud_to_image(batch, GRID).shape == (1, 4, 5)
    monkeypatch.setenv("PCGEN_MAX_CELLS", "many")
    with pytest.raises(ArgumentError, match="PCGEN_MAX_CELLS: got 'many'"):
        cloud_to_image(batch, GRID)


def picture(path: Path, text: str) -> Path:
    info = PngInfo()
    info.add_text("pcgen", text)
    Image.fromarray(np.ones((5, 4), np.uint16)).save(path, pnginfo=info)
    return path


@pytest.mark.parametrize(
    "change",
    [{"label": 2**70}, {"label": 2**63}, {"label": -1}, {"y": 10**400}, {"scale": 10**400},
     {"grid": 10**400}, {"schema": {"axes": [{"name": 1}]}},
     {"schema": {"axes": [], "labels": "a"}}],
)  # fmt: skip
def test_texts_of_pictures(tmp_path: Path, change: dict) -> None:
    facts = {"format": "pcgen-png", "version": 1, "grid": GRID.to_dict(), "scale": 1.0}
    facts |= {"schema": Schema(GRID.axes, Quantity("E")).to_dict(), "y": None, "label": None}
    with io.open_file(picture(tmp_path / "a.png", json.dumps(facts))) as source:
        assert source.read().image.shape == (1, 4, 5)
    with pytest.raises(FileError, match=r"a\.png: its text 'pcgen' cannot be used"):
        io.open_file(picture(tmp_path / "a.png", json.dumps(facts | change)))


def test_pixels_are_counted_before_they_are_unpacked(tmp_path: Path, small) -> None:
    path = picture(tmp_path / "a.png", "{}")
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 2**16, 2**16)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"a\.png: got 65536 x 65536 pixels, expected at most"):
        io.open_file(path)


@pytest.mark.parametrize(
    "text", ["[" * 60_000, "[" * 100 + "]" * 100, '{"a":' * 70 + "1" + "}" * 70]
)
def test_json_is_not_nested_beyond_use(text: str) -> None:
    with pytest.raises(ValueError, match="nested deeper than 64"):
        bounds.parse_json(text)


@given(st.recursive(st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(
    st.text(), each), max_leaves=20))  # fmt: skip
def test_other_json_is_read_as_it_is(value) -> None:
    assert bounds.parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("facts", [
    {"label": 2**70}, {"label": "a"}, {"y": [1, 2]}, {"y": {}}, {"attributes": {"pos": "int8"}},
    {"schema": {"axes": []}}, {"schema": {"axes": [{"name": "x", "period": "long"}]}},
])  # fmt: skip
@pytest.mark.parametrize("ending", ["ply", "pcd", "xyz"])
def test_comments_of_point_files(tmp_path: Path, facts: dict, ending: str) -> None:
    schema = Schema((Quantity("x"), Quantity("y")), None, (), (Quantity("T"),), ("a", "b"))
    batch = clouds.make(torch.ones(1, 2), [1], y=torch.ones(1, 1), label=torch.tensor([1]))
    path = tmp_path / f"a.{ending}"
    io.write_clouds(path, batch, schema)
    data = path.read_bytes()
    found = re.search(rb"pcgen (\{.*\})", data)
    changed = {**json.loads(found[1]), **facts}
    path.write_bytes(data.replace(found[1], json.dumps(changed).encode()))
    with pytest.raises((FileError, DataError), match=rf"a\.{ending}: "):
        io.read_clouds(path)


@pytest.mark.parametrize(
    "text", ["x [" * 30_000, " " * 100_000 + "x", "x(a" * 30_000, "x " * 50_000]
)
def test_long_comments_and_names_take_no_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.xyz"
    for line in (f"# {text}", text):
        path.write_text(f"{line}\n1 2 3\n")
        with suppress(PcgenError):
            io.read_clouds(path)
