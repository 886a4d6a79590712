"""What a file or an argument may ask for: regular files, and limits that hold before any work.

A file of a few bytes can announce more than any machine holds: sectors of a ring, nested brackets,
zeros that are packed a thousandfold. Each kind of announcement has one limit, here, and is compared
with it before anything is unpacked, allocated or built. Who needs more sets the environment
variable of the limit, which the error names.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pcgen.errors import ArgumentError, FileError, PcgenError, at_least


class Limit(NamedTuple):
    """The most of one kind.

    Attributes:
        variable: Environment variable that replaces ``most``.
        most: Without that variable.
        kind: What is counted, in the plural.
    """

    variable: str
    most: int
    kind: str

    @property
    def value(self) -> int:
        """The limit that holds now.

        Raises:
            ArgumentError: the environment variable is no whole number.
        """
        text = os.environ.get(self.variable)
        if text is None:
            return self.most
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise ArgumentError(
                f"{self.variable}: got {text[:40]!r}, expected a whole number of {self.kind}"
            )
        return int(text)

    def check(self, number: int, where: str, error: type[PcgenError] = FileError) -> None:
        """Refuse a number beyond the limit.

        Args:
            number: What is announced.
            where: File or argument, for the message.
            error: What is raised.

        Raises:
            PcgenError: ``number`` is larger than the limit.
        """
        if number > self.value:
            raise error(
                f"{where}: got {_shown(number)} {self.kind}, expected at most {self.value} "
                f"({self.variable} sets another limit)"
            )

    def allow(self, **arguments: int | None) -> None:
        """Refuse arguments below 1 or beyond the limit; those that are None are not given.

        Raises:
            ArgumentError: naming the first one.

        >>> STEPS.allow(steps=10**12)
        Traceback (most recent call last):
        pcgen.errors.ArgumentError: steps: got 1000000000000 steps of a solver, expected at most \
10000 (PCGEN_MAX_STEPS sets another limit)
        """
        at_least(1, **arguments)
        for name, value in arguments.items():
            if value is not None:
                self.check(value, name, ArgumentError)


# The edges of an axis are a tuple in memory (about 60 bytes each); detectors have some thousand.
EDGES = Limit("PCGEN_MAX_EDGES", 10**6, "cells along one axis")
# Energies, places and volumes of all voxels are held at once; the CaloChallenge has up to 40,500.
VOXELS = Limit("PCGEN_MAX_VOXELS", 10**7, "voxels")
# An image of float32 takes 1 GiB then; finer grids are for clouds and active sites.
CELLS = Limit("PCGEN_MAX_CELLS", 2**28, "cells of one image")
# Columns of a point: an ASCII line of many numbers costs hundreds of bytes for each.
COLUMNS = Limit("PCGEN_MAX_COLUMNS", 10**5, "numbers of a point")
# What a text, a table of conditions or an array of labels may take at once.
BYTES = Limit("PCGEN_MAX_BYTES", 2**30, "bytes to be held at once")
# The text of a configuration is read by Python, word by word.
TEXT = Limit("PCGEN_MAX_TEXT", 2**24, "bytes of a configuration")
# Values of a configuration or a checkpoint, where each reference counts as what it stands for.
VALUES = Limit("PCGEN_MAX_VALUES", 10**6, "values, with all repetitions")
# Of a recipe in a checkpoint: layers, channels, steps. A network as large would not fit anyway.
ARGUMENT = Limit("PCGEN_MAX_ARGUMENT", 10**6, "layers, channels, steps or the like")
# Of one command. The largest public set of jets, JetClass, has 10^8 in many files.
EVENTS = Limit("PCGEN_MAX_EVENTS", 10**8, "events")
# Those of an event are held at once; the largest events of a detector have some 10^5 hits.
POINTS = Limit("PCGEN_MAX_POINTS", 10**6, "points of an event")
# In float32 a trajectory is exact long before.
STEPS = Limit("PCGEN_MAX_STEPS", 10**4, "steps of a solver")
# Of a detector to each jet; those to a chunk of jets are held at once.
RESPONSES = Limit("PCGEN_MAX_RESPONSES", 1000, "responses")
# Of whatever a command does again: permutations, restarts, iterations, seeds.
REPEATS = Limit("PCGEN_MAX_REPEATS", 10**6, "repetitions")
PROCESSES = Limit("PCGEN_MAX_PROCESSES", 1024, "processes")
_RATIO = 200  # data of detectors shrink by 2 to 50, packed zeros by up to 1,032 (deflate)
DEPTH = 64  # brackets within brackets; a schema has 3
_DIGITS = 18  # of a whole number: all of these fit into 64 bits


def regular_file(path: str | Path) -> Path:
    """The path, if it is a regular file that may be read.

    Devices, FIFOs and sockets can give bytes without end, or none for ever.

    Raises:
        FileError: it does not exist, is a folder or no regular file, or may not be read.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{str(path)[:200]}: cannot be read ({reason})") from error
    if stat.S_ISDIR(mode):
        raise FileError(f"{path}: is a folder, expected a file")
    if not stat.S_ISREG(mode):
        raise FileError(f"{path}: is a device, FIFO or socket, expected a regular file")
    return path


def check_unpacked(size: int, stored: int, where: str) -> None:
    """Refuse packed data that grow beyond both :data:`BYTES` and what data of detectors do.

    Args:
        size: Bytes that are announced.
        stored: Bytes that lie in the file for them.
        where: File and data set, for the message.

    Raises:
        FileError: there are too many of them.
    """
    if size > _RATIO * stored:
        BYTES.check(size, f"{where}, packed into {stored} bytes")


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text, if it is not nested too deep.

    Raises:
        ValueError: it is no JSON, has an integer of too many digits or brackets within brackets
            beyond any use.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"JSON is nested deeper than {DEPTH} brackets") from error
    level = [value]
    for _ in range(DEPTH):
        inner = (each for each in level if isinstance(each, (dict, list)))
        level = [
            member
            for each in inner
            for member in (each.values() if isinstance(each, dict) else each)
            if isinstance(member, (dict, list))
        ]
        if not level:
            return value
    raise ValueError(f"JSON is nested deeper than {DEPTH} brackets")


def leaves(value: Any, where: str, error: type[PcgenError] = FileError) -> Iterator[Any]:
    """What lists, tuples and dictionaries hold in the end: keys, numbers, texts, tensors.

    Where values stand for each other, a few of them can be without number, or without end.

    Args:
        value: Any plain value.
        where: File, for the message.
        error: What is raised.

    Raises:
        PcgenError: they are nested too deep, or more than :data:`VALUES`.

    >>> list(leaves({"a": [1, (2, "x")]}, "here"))
    ['a', 1, 2, 'x']
    """
    number = 0
    within: list[Iterator[Any]] = [iter((value,))]
    while within:
        each = next(within[-1], within)
        if each is within:
            within.pop()
            continue
        number += 1
        VALUES.check(number, where, error)
        if not isinstance(each, (dict, list, tuple)):
            yield each
        elif len(within) > DEPTH:
            raise error(f"{where}: values are nested deeper than {DEPTH} times")
        else:
            within.append(chain(each, each.values()) if isinstance(each, dict) else iter(each))


def whole_number(text: str) -> int | None:
    """The number that digits state; None where it is none, or has too many of them.

    >>> whole_number("12"), whole_number("-1"), whole_number("9" * 5000)
    (12, None, None)
    """
    text = text.strip()
    fits = text.isascii() and text.isdigit() and len(text.lstrip("0")) <= _DIGITS
    return int(text.lstrip("0") or "0") if fits else None


def _shown(number: int) -> str:
    """A number of any size in few letters."""
    return str(number) if abs(number) < 10**18 else f"more than 10^{len(hex(number)) * 6 // 5 - 4}"
