"""Files of some kilobytes that unpack to, or stand for, more than a machine holds."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from fuzz_samples import HDF5

_SIZE = 3 << 30
_BLOCK = 1 << 20


@cache
def _zeros(head: bytes = b"") -> bytes:
    """``head`` and zeros of 3 GiB, as a raw deflate stream."""
    first = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = first.compress(head) + first.flush(zlib.Z_FULL_FLUSH)
    block = first.compress(bytes(_BLOCK)) + first.flush(zlib.Z_FULL_FLUSH)
    return start + block * (_SIZE // _BLOCK) + b"\x03\x00"


def _zip_of_zeros(name: str, shape: str, announced: int = _SIZE) -> bytes:
    """A zip of one array that is packed a thousandfold; its check sum is wrong."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n"
    data, called = _zeros(head), name.encode()
    sizes = struct.pack("<3I", 0, len(data), announced + len(head))
    local = struct.pack("<4s5H", b"PK\3\4", 20, 0, 8, 0, 33) + sizes
    local += struct.pack("<2H", len(called), 0) + called + data
    central = struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, 8, 0, 33) + sizes
    central += struct.pack("<5H2I", len(called), 0, 0, 0, 0, 0, 0) + called
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def _archive(member: str, shape: str, announced: int = _SIZE) -> Callable[[Path], None]:
    """Put such a member into the archive, in place of its own one."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            others = {name: archive.read(name) for name in archive.namelist() if name != member}
        path.write_bytes(_zip_of_zeros(member, shape, announced))
        with zipfile.ZipFile(path, "a") as archive:
            for name, value in others.items():
                archive.writestr(name, value)

    return write


def _laid_over(path: Path) -> None:
    """A zip whose members are all the same bytes."""
    with zipfile.ZipFile(path) as archive:
        large = max(archive.infolist(), key=lambda member: member.file_size)
    data = path.read_bytes()
    place = data.index(b"PK\1\2")
    end = data.rindex(b"PK\5\6")
    central, number = data[place:end], 60_000
    name = large.filename.encode()
    start = central.index(name) - 46
    entry = central[start : start + 46] + name
    entry = entry[:30] + struct.pack("<2H", 0, 0) + entry[34:]
    many = entry * number
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, number, number, len(many), place, 0)
    path.write_bytes(data[:place] + many + tail)


def _chunk_of_zeros(path: Path) -> None:
    """An HDF5 data set of one packed chunk."""
    with h5py.File(path, "r+") as file:
        name = max(file, key=lambda each: getattr(file[each], "size", 0) or 0)
        columns = int(np.prod(file[name].shape[1:])) or 1
        shape = (_SIZE // 4 // columns, *file[name].shape[1:])
        del file[name]
        made = file.create_dataset(name, shape, "f4", chunks=shape, compression="gzip")
        made.id.write_direct_chunk((0,) * len(shape), b"\x78\x9c" + _zeros() + bytes(4))


def _many_pixels(path: Path) -> None:
    """A picture of 2^32 pixels."""
    head = struct.pack(">2I5B", 2**16, 2**16, 8, 0, 0, 0, 0)
    body = b"\x78\x9c" + _zeros() + bytes(4)
    path.write_bytes(_png((b"IHDR", head), (b"IDAT", body), (b"IEND", b"")))


def _long_text(path: Path) -> None:
    """The picture with a packed text of 3 GiB."""
    data = path.read_bytes()
    text = _png((b"zTXt", b"pcgen\0\0\x78\x9c" + _zeros() + bytes(4)))
    path.write_bytes(data[:33] + text[8:] + data[33:])


def _png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in chunks:
        check = struct.pack(">I", zlib.crc32(kind + data))
        parts.append(struct.pack(">I", len(data)) + kind + data + check)
    return b"".join(parts)


def _lzf(announced: int) -> Callable[[Path], None]:
    """Runs of LZF, 264 bytes for three."""

    def write(path: Path) -> None:
        head, word, _ = path.read_bytes().partition(b"binary_compressed\n")
        packed = b"\x00a" + b"\xe0\xff\x00" * 400_000
        path.write_bytes(head + word + struct.pack("<2I", len(packed), announced) + packed)

    return write


def _replaced(old: bytes, new: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data.replace(old, new) if old else new)

    return write


def _many_points(path: Path) -> None:
    """Twice 10^12 of them announced."""
    old, new = rb"(?m)^(element vertex|WIDTH|POINTS) \d+$", rb"\1 2000000000000"
    path.write_bytes(re.sub(old, new, path.read_bytes()))


def _many_properties(path: Path) -> None:
    """A point of a hundred thousand columns and a list."""
    lines = b"".join(b"property double c%d\n" % k for k in range(100_001))
    lines += b"property list uint double l\n"
    path.write_bytes(path.read_bytes().replace(b"end_header", lines + b"end_header"))


def _laughs(line: str, first: str, last: str) -> Callable[[Path], None]:
    """Names for ten times the name before: 10^12 values after twelve lines."""
    lines = [line.format(k=k, j=k - 1) for k in range(1, 13)]
    return _replaced(b"", "\n".join([first, *lines, last]).encode())


_TEN = ", ".join(["*a{j}"] * 10)
_YAML = (
    _laughs(f"n{{k}}: &a{{k}} [{_TEN}]", "names: &a0 [e]", "condition: *a12"),
    _laughs(f"n{{k}}: &a{{k}} {{{{<<: [{_TEN}]}}}}", "n0: &a0 {b: 1}", "condition: *a12"),
    _replaced(b"cells: [1, 2, 3]", b"cells: &c [1, *c]"),
    _replaced(b"", b"[" * 200_000),
    _replaced(b"number: 5", b"number: " + b"9" * 4000 + b":59" * 2000),
)
_XML = (
    _laughs(
        f'<!ENTITY a{{k}} "{"&a{j};" * 10}">',
        '<!DOCTYPE Bins [<!ENTITY a0 "0">',
        "]><Bins>&a12;</Bins>",
    ),
    _replaced(b"", b"<Bins>" * 1_000_000),
    _replaced(b'"3"', b'"2147483647"'),
    _replaced(b'"0,5,10"', b'"' + b",".join(b"%d" % k for k in range(200_000)) + b'"'),
)
_LONG_WORD = b"a" * 100_000 + b",pi,3\n" + b"1,pi,3\n" * 10_000
_SHAPE = f"({_SIZE // 80}, 4, 5)"

BOMBS: dict[str, tuple[Callable[[Path], Any], ...]] = {
    **dict.fromkeys(HDF5, (_chunk_of_zeros,)),
    "npz": (
        _archive("image.npy", _SHAPE),
        _archive("image.npy", _SHAPE, 5000),
        _archive("more.npy", _SHAPE),
        _laid_over,
    ),
    "arrays": (
        _archive("pos.npy", f"({_SIZE // 8}, 2)"),
        _archive("weight.npy", f"({_SIZE // 4},)", 5000),
        _archive("schema.npy", f"({_SIZE // 4},)"),
        _laid_over,
    ),
    "cells": (
        _archive("x.npy", f"({_SIZE // 12}, 3)"),
        _archive("type.npy", f"({_SIZE // 12}, 3)", 5000),
        _archive("more.npy", _SHAPE),
        _laid_over,
    ),
    "table_npz": (
        _archive("x.npy", f"({_SIZE // 4},)"),
        _archive("x.npy", f"({_SIZE // 4},)", 5000),
        _archive("offsets.npy", f"({_SIZE // 4},)"),
        _laid_over,
    ),
    "table_csv": (_replaced(b"7,1.5,0,1,1\n", b"7" * 5_000_000 + b",1,1,1,1\n"),),
    "preset": (
        *_YAML[:2],
        _replaced(b"about: hits", b"about: " + b"[" * 200_000),
        _replaced(b"pos: [x,", b"pos: [" + b"x:" * 100_000 + b","),
    ),
    "hepmc": (
        _replaced(b"\nE 1 ", b"\nE 1 2000000000 2000000000\nE 2 "),
        _replaced(b"\nP 2 ", b"\nP 2000000000 "),
    ),
    "conditions_npz": (
        _archive("beam.npy", f"({_SIZE // 4},)"),
        _archive("beam.npy", f"({_SIZE // 4},)", 5000),
        _archive("more.npy", _SHAPE),
        _laid_over,
    ),
    "checkpoint": (
        _archive("archive/data/0", _SHAPE),
        _archive("archive/more", _SHAPE),
        _archive("archive/data.pkl", _SHAPE),
        _laid_over,
    ),
    "weights": (
        _replaced(b'"shape":[8192]', b'"shape":[1000000000000]'),
        _replaced(b"{", b"{" + b" " * 20_000_000),
    ),
    "npy": (_replaced(b"(3, 4, 5)", b"(1000000000000, 4, 5)"),),
    "shapenet": (_replaced(b"(6, 3)", b"(1000000000000, 3)"),),
    "off": (
        _replaced(b"OFF4", b"OFF999999999999999999"),
        _replaced(b"3 0 2 1", b"999999999 0 2 1"),
        _replaced(b"3 0 2 1", b"900000" + b" 0" * 900_000),
    ),
    "conditions_npy": (_replaced(b"(2,)", b"(1000000000000,)"),),
    **dict.fromkeys(("ply", "ply_text"), (_many_points, _many_properties)),
    **dict.fromkeys(("pcd", "pcd_text"), (_many_points, _replaced(b"COUNT 1", b"COUNT 99999999"))),
    **dict.fromkeys(
        ("xyz", "xyz_commas"), (_replaced(b"", b"1 " * 200_001), _replaced(b"", b"9" * 500_000))
    ),
    "png": (_many_pixels, _long_text),
    "pcd_packed": (_lzf(12), _lzf(144), _lzf(2**32 - 1)),
    "xml": _XML,
    "config": _YAML,
    "columns": (_replaced(b"1.5,pi,3\n", _LONG_WORD),),
    "conditions_csv": (_replaced(b"1.5,pi,3\n", _LONG_WORD),),
    "run": (_replaced(b'"steps": 100', b'"steps": ' + b"[" * 500 + b"]" * 500),),
}
"""Bombs of each reader that unpacks, or multiplies, what it reads."""
