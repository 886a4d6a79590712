"""Small files of every layout that pcgen reads, and what damage, chance and malice make of them.

Each input is made from a seed alone. Bytes are flipped, cut, repeated and replaced by lengths at
the edge of their type; what has a structure (HDF5, zip, JSON) is also changed within it. What
points at something outside of the file may never be read, and is marked as such.
"""

from __future__ import annotations

import io as bytes_io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pcgen import clouds, io
from pcgen.grids import Grid
from pcgen.io import pcd
from pcgen.io.points import to_table
from pcgen.schema import Quantity, Schema

SCHEMA = Schema(
    (Quantity("x", "mm"), Quantity("phi", "rad", 6.5)),
    Quantity("E", "GeV"),
    (Quantity("t", "ns"),),
    (Quantity("beam", "GeV"),),
    ("e", "pi"),
)
GRID = Grid.regular({"x": (0, 1, 4), "y": (0, 1, 5)})
EDGES = (-1, 0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
WORDS = ("-1", "0", "1e400", "nan", "inf", "-", "", "9" * 5000, str(2**31), str(2**63), str(2**70),
         "[" * 30_000, "0" * 400 + "1", "1_0", "0x7", "٣", "\x1b[2J", "null", "true")  # fmt: skip
VALUES = (None, True, -1, 0, 0.5, 2**31, 2**63, 2**70, 1e300, float("nan"), "", "x", [], [[]], {})


def sample(reader: str, folder: Path) -> bytes:
    """A sound file of the layout."""
    path = folder / f"sample.{ENDINGS[reader]}"
    if reader in ("clouds", "ply_text", "ply", "pcd", "pcd_text", "pcd_packed", "xyz"):
        batch = clouds.make(
            torch.rand(3 if reader == "clouds" else 6, 2).double().float(),
            [2, 1] if reader == "clouds" else [6],
            weight=torch.rand(3 if reader == "clouds" else 6),
            x=torch.rand(3 if reader == "clouds" else 6, 1),
            y=torch.ones(2 if reader == "clouds" else 1, 1),
            label=torch.tensor([1, 0] if reader == "clouds" else [1]),
        )
        io.write_clouds(path, batch, SCHEMA)
        text = to_table(batch, SCHEMA) if reader.endswith("_text") else None
        if reader == "ply_text" and text is not None:
            return _ply_text(text)
        if reader == "pcd_text" and text is not None:
            wide = {name: column.astype("f8") for name, column in text.columns.items()}
            pcd.write(path, text._replace(columns=wide))
        return _packed(path) if reader == "pcd_packed" else path.read_bytes()
    return _others(reader, path)


def _others(reader: str, path: Path) -> bytes:
    if reader == "xml":
        return (
            b'<Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,5,10" n_bin_alpha="3"/>'
            b'<Layer id="1" r_edges="0" n_bin_alpha="1"/></Bin></Bins>'
        )
    if reader == "npy":
        np.save(path, np.ones((3, 4, 5), np.float32))
    elif reader in ("npz", "images", "png"):
        schema = Schema(GRID.axes, Quantity("E"), condition=(Quantity("T"),), labels=("e", "pi"))
        count = 1 if reader == "png" else 3
        with io.image_writer(path, count, GRID, schema, format=reader) as sink:
            label = torch.arange(count) % 2
            sink.append(io.Images(torch.ones(count, 4, 5), torch.ones(count, 1), label))
    else:
        with h5py.File(path, "w") as file:
            if reader == "jetnet":
                particles = np.zeros((3, 4, 4), np.float32)
                particles[:, :2] = 1
                file["particle_features"] = particles
                file["jet_features"] = np.full((3, 4), 2, np.float32)
                file["label"] = [0, 1, 4]
            else:
                file["showers"], file["incident_energies"] = np.ones((3, 9)), np.ones((3, 1))
    return path.read_bytes()


def _ply_text(table: Any) -> bytes:
    lines = ["ply", "format ascii 1.0", *(f"comment {each}" for each in table.comments)]
    lines += [f"element vertex {table.rows}", *(f"property float {name}" for name in table.columns)]
    rows = zip(*(column.tolist() for column in table.columns.values()), strict=True)
    return "\n".join(
        [*lines, "end_header", *(" ".join(map(str, row)) for row in rows), ""]
    ).encode()


def _packed(path: Path) -> bytes:
    """The binary file as one of LZF literals, field by field."""
    data = path.read_bytes()
    head, _, body = data.partition(b"DATA binary\n")
    columns = np.frombuffer(body, "<f4").reshape(6, -1).T.tobytes()
    runs = [columns[place : place + 32] for place in range(0, len(columns), 32)]
    packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
    sizes = np.array([len(packed), len(columns)], "<u4").tobytes()
    return head + b"DATA binary_compressed\n" + sizes + packed


ENDINGS = {
    "clouds": "h5",
    "jetnet": "hdf5",
    "images": "h5",
    "calochallenge": "hdf5",
    "npy": "npy",
    "npz": "npz",
    "png": "png",
    "ply": "ply",
    "ply_text": "ply",
    "pcd": "pcd",
    "pcd_text": "pcd",
    "pcd_packed": "pcd",
    "xyz": "xyz",
    "xml": "xml",
}
HDF5 = ("clouds", "jetnet", "images", "calochallenge")


def mutated(reader: str, data: bytes, dice: random.Random, path: Path) -> bool:
    """Write a mutated file; whether it points outside of itself and must be refused."""
    path.write_bytes(data)
    if dice.random() < 0.02:
        return False  # as it is: such a file is read
    structured = dice.random() < 0.6
    if structured and reader in HDF5:
        return dice.choice(_HDF5)(path, dice)
    if structured and reader == "npz":
        path.write_bytes(_archive(data, dice))
    elif structured and reader == "png":
        _picture(path, dice)
    elif structured and b'{"' in data:
        start = data.index(b'{"')
        stop = data.index(b"\n", start)
        text = _json(data[start:stop].decode(), dice)
        path.write_bytes(data[:start] + text.encode() + data[stop:])
    else:
        for _ in range(dice.choice((1, 1, 2, 4))):
            data = dice.choice(_BYTES)(data, dice)
        path.write_bytes(data)
    return False


def _flip(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 2, 8))):
        if changed:
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def _drop(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data) + 1)
    return data[:start] + data[start + dice.choice((1, 4, 32)) :]


def _repeat(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data) + 1)
    return data[:start] + data[start : start + dice.choice((1, 8, 60))] * 1000 + data[start:]


def _length(data: bytes, dice: random.Random) -> bytes:
    """A number at the edge of its type, anywhere."""
    size = dice.choice((1, 2, 4, 8))
    number = (dice.choice(EDGES) % 2 ** (8 * size)).to_bytes(size, dice.choice(("little", "big")))
    start = dice.randrange(len(data) + 1)
    return data[:start] + number + data[start + size :]


def _word(data: bytes, dice: random.Random) -> bytes:
    """Another word in place of one, as text has them."""
    places = [place for place, letter in enumerate(data) if chr(letter).isdigit()] or [0]
    start = dice.choice(places)
    stop = start
    while stop < len(data) and chr(data[stop]) in "0123456789.e-":
        stop += 1
    return data[:start] + dice.choice(WORDS).encode() + data[stop:]


_BYTES = (_flip, _flip, _cut, _drop, _repeat, _length, _word, _word)


def _json(text: str, dice: random.Random) -> str:
    """JSON with one value replaced, missing or buried."""
    value = json.loads(text)
    place: Any = value
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = dice.choice(keys)
        if not isinstance(place[key], (dict, list)) or not place[key] or dice.random() < 0.3:
            break
        place = place[key]
    chance = dice.random()
    if chance < 0.2:
        del place[key]
    else:
        place[key] = dice.choice(VALUES)
    deep = dice.choice(("[" * 40_000, "[" * 500 + "]" * 500, "9" * 5000, text[:-5]))
    return deep if chance > 0.9 else json.dumps(value)


def _picture(path: Path, dice: random.Random) -> None:
    with Image.open(path) as picture:
        grey, text = np.array(picture), picture.text["pcgen"]
    info = PngInfo()
    info.add_text("pcgen", _json(text, dice))
    kind = dice.choice(("L", "I;16", "I;16", "RGB", "1"))
    image = Image.fromarray(grey) if kind == "I;16" else Image.new(kind, (4, 5))
    image.save(path, format="PNG", pnginfo=info)


def _archive(data: bytes, dice: random.Random) -> bytes:
    """A zip with one member renamed, damaged, doubled or packed otherwise."""
    target = bytes_io.BytesIO()
    with zipfile.ZipFile(bytes_io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        chosen = dice.choice(old.namelist())
        for name in old.namelist():
            value, method = old.read(name), zipfile.ZIP_DEFLATED
            if name == chosen:
                action = dice.randrange(5)
                if action == 0:
                    name = dice.choice(("image", "../image.npy", "y.npy.npy", "ÿ.npy", ""))
                elif action == 1:
                    method = dice.choice((zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED))
                elif action == 2:
                    value = bytes(10**6)
                else:
                    value = dice.choice(_BYTES)(value, dice)
            new.writestr(name or "-", value, method)
    return target.getvalue()


def _name(file: h5py.File, dice: random.Random) -> str:
    return dice.choice(sorted(file))


def _outside(path: Path, dice: random.Random) -> bool:
    """An object that stands for other files."""
    with h5py.File(path, "r+") as file:
        name = _name(file, dice)
        shape, kind = file[name].shape, file[name].dtype
        del file[name]
        way = dice.randrange(4)
        if way == 0:
            file[name] = h5py.ExternalLink("other.h5", "/image")
        elif way == 1:
            file["way"], file[name] = h5py.ExternalLink("other.h5", "/"), h5py.SoftLink("/way/pos")
        elif way == 2:
            layout = h5py.VirtualLayout(shape, kind)
            layout[...] = h5py.VirtualSource("other.h5", name, shape)
            file.create_virtual_dataset(name, layout)
        else:
            file.create_dataset(name, shape, kind, external=[("/etc/hostname", 0, 2**40)])
    return True


def _object(path: Path, dice: random.Random) -> bool:
    """Something else in place of a data set."""
    with h5py.File(path, "r+") as file:
        name = _name(file, dice)
        values = file[name][()]
        del file[name]
        ways: tuple[Callable[[], Any], ...] = (
            lambda: file.create_group(name),
            lambda: file.__setitem__(name, np.dtype("f4")),
            lambda: file.__setitem__(name, h5py.SoftLink(f"/{name}")),
            lambda: file.__setitem__(name, h5py.SoftLink("/nothing")),
            lambda: file.__setitem__(name, h5py.Empty("f4")),
            lambda: file.create_dataset(name, (10**12, *values.shape[1:]), "f8", chunks=True),
            lambda: file.create_dataset(name, data=values.astype(dice.choice((">f8", ">i2", "g")))),
            lambda: file.create_dataset(name, data=values.astype(dice.choice(("c16", "?", "S3")))),
            lambda: file.create_dataset(name, data=values.reshape(-1)[:1]),
            lambda: file.create_dataset(name, data=float(values.reshape(-1)[0])),
            lambda: file.create_dataset(name, data=np.full(values.shape, np.nan)),
            lambda: file.create_dataset(name, data=np.zeros(3, [("a", "f4"), ("b", "i4")])),
            lambda: file.create_dataset(name, (3,), h5py.ref_dtype),
            lambda: file.create_dataset(name, (3,), h5py.vlen_dtype("f4")),
            lambda: file.create_dataset(name, data=np.full(values.shape, 2**64 - 1, np.uint64)),
            lambda: None,
        )
        dice.choice(ways)()
    return False


def _attribute(path: Path, dice: random.Random) -> bool:
    """Another value of an attribute of the file."""
    with h5py.File(path, "r+") as file:
        names = sorted(file.attrs) or ["class"]
        name = dice.choice(names)
        old = file.attrs.get(name)
        del_or = dice.random()
        if del_or < 0.1 and old is not None:
            del file.attrs[name]
        elif isinstance(old, str) and old.startswith("{") and len(old) > 2 and del_or < 0.8:
            file.attrs[name] = _json(old, dice)
        else:
            file.attrs[name] = dice.choice((1, "x", [1, 2], 0.5, "[" * 30_000, h5py.Empty("f4")))
    return False


_HDF5 = (_outside, _object, _object, _attribute)
