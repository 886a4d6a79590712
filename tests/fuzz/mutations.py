"""What damage, chance and malice make of a file: the kinds that any reader may meet.

Each input is made from a seed alone. Bytes are flipped, cut, repeated and replaced by lengths at
the edge of their type, by other types and by brackets within brackets; what has a structure (HDF5,
zip, JSON, PNG, checkpoints) is also changed within it (:mod:`structures`), and a bomb of the layout
is put in its place (:mod:`bombs`). What points at something outside of the file may never be read,
and is marked as such.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import bombs
import structures
from fuzz_samples import HDF5

EDGES = (-1, 0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
WORDS = ("-1", "0", "1e400", "nan", "inf", "-", "", "9" * 5000, str(2**31), str(2**63), str(2**70),
         "[" * 30_000, "0" * 400 + "1", "1_0", "0x7", "٣", "\x1b[2J", "null", "true")  # fmt: skip
# Types by the names that the layouts have for them.
TYPES = (b"float", b"double", b"uchar", b"int", b"list uchar int", b"<f4", b">f8", b"<i8", b"|O",
         b"<U9", b"|S0", b"F", b"U", b"I", b"ascii", b"binary", b"binary_compressed", b"NoneType",
         b"binary_big_endian", b"binary_little_endian", b"False", b"True", b"!!int",
         b"!!python/name:os.system", b"!!timestamp", b"!!binary", b"!!set", b"&x", b"*x",
         b"<<")  # fmt: skip
NESTS = (b"[", b"{", b"(", b"<a>", b"- ", b'{"a":', b"((", b"[[", b"? ")


def mutated(reader: str, data: bytes, dice: random.Random, path: Path) -> bool:
    """Write a mutated file; whether it points outside of itself and must be refused."""
    _remove(path)
    chance = dice.random()
    if chance < 0.01:
        return _elsewhere(path, dice)
    path.write_bytes(data)
    if chance < 0.03:
        return False  # as it is: such a file is read
    if chance < 0.05 and reader in bombs.BOMBS:
        dice.choice(bombs.BOMBS[reader])(path)
        return False
    structured = dice.random() < 0.6
    if structured and reader in HDF5:
        return dice.choice(structures.HDF5)(path, dice)
    if structured and reader in structures.OTHERS:
        path.write_bytes(structures.OTHERS[reader](data, dice))
    elif structured and b'{"' in data:
        path.write_bytes(structures.json_within(data, dice))
    else:
        for _ in range(dice.choice((1, 1, 2, 4))):
            data = dice.choice(BYTES)(data, dice)
        path.write_bytes(data)
    return False


def _remove(path: Path) -> None:
    """What an earlier input left, of any kind."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)


def _elsewhere(path: Path, dice: random.Random) -> bool:
    """No file, but something that stands for another one, never ends, or waits for ever."""
    way = dice.randrange(5)
    if way == 0:
        os.mkfifo(path)
    elif way == 1:
        path.mkdir()
    else:
        path.symlink_to(("/dev/zero", "nowhere", path.name)[way - 2])
    return True


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
    places = [match.start() for match in re.finditer(rb"\d", data)] or [0]
    start = dice.choice(places)
    stop = start
    while stop < len(data) and chr(data[stop]) in "0123456789.e-":
        stop += 1
    return data[:start] + dice.choice(WORDS).encode() + data[stop:]


def _type(data: bytes, dice: random.Random) -> bytes:
    """Another type where one is named; elsewhere a name in front of a word."""
    here = [kind for kind in TYPES if len(kind) > 1 and kind in data]
    if here and dice.random() < 0.8:
        return data.replace(dice.choice(here), dice.choice(TYPES), 1)
    places = [match.start() for match in re.finditer(rb"[ \n]", data)] or [0]
    start = dice.choice(places) + 1
    return data[:start] + dice.choice(TYPES) + b" " + data[start:]


def _nest(data: bytes, dice: random.Random) -> bytes:
    """Brackets within brackets, that are never closed."""
    start = dice.randrange(len(data) + 1)
    return data[:start] + dice.choice(NESTS) * dice.choice((80, 2000, 30_000)) + data[start:]


BYTES = (_flip, _flip, _cut, _drop, _repeat, _length, _word, _word, _type, _nest)
