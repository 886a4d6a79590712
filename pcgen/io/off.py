"""OFF, the object file format: a mesh as text, of which a cloud is sampled.

First the word ``OFF``, then the numbers of vertices, faces and edges, on a line of their own or
glued to the word as in some files of ModelNet (``OFF490 518 0``); then a line x, y, z for each
vertex, and for each face its number of corners and the numbers of these vertices, behind which a
colour may stand. ``#`` begins a comment. A face of more than three corners is cut into triangles
from its first corner. Edges are not listed.

Geomview manual, section "OFF Files".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcgen.bounds import whole_number
from pcgen.errors import DataError, FileError
from pcgen.io.source import existing_file
from pcgen.ops.surfaces import in_unit_box, sample_surface

POINTS = 2048
"""Points that are sampled of a mesh."""
_BLOCK = 1 << 16  # lines that are held as words at a time
_DIGITS = 20  # of a number of vertices


class Mesh(NamedTuple):
    """Corners [V, 3] float64, and the numbers of those of each triangle [T, 3] int64."""

    vertices: Tensor
    triangles: Tensor


def read(path: Path) -> Mesh:
    """The mesh of a file.

    Raises:
        FileError: the file is not OFF, or does not hold what its header announces.
    """
    with existing_file(path).open("rb") as file:
        lines = _lines(file)
        try:
            vertices, faces = _header(lines)
            mesh = Mesh(_vertices(lines, vertices), _triangles(lines, faces, vertices))
            if (further := sum(1 for _ in lines)) > 0:
                raise ValueError(f"{further} further lines")
        except (ValueError, OverflowError, UnicodeDecodeError) as error:
            raise FileError(f"{path}: truncated or damaged OFF ({str(error)[:200]})") from error
    return mesh


def sampled(path: Path) -> Tensor:
    """Points [:data:`POINTS`, 3] float32 on the surface, with a centred box of diagonal 1.

    ModelNet's meshes have units of their own, so their size means nothing. The points are a
    function of the content of the file.

    Raises:
        FileError: the file is damaged, or its mesh has no surface.
    """
    mesh = read(path)
    seed = zlib.crc32(mesh.vertices.numpy().tobytes())
    try:
        vertices = in_unit_box(*mesh)
        draw = torch.Generator().manual_seed(seed)
        return sample_surface(vertices, mesh.triangles, POINTS, draw).float()
    except DataError as error:
        raise FileError(f"{path}: {error}") from error


def _lines(file: IO[bytes]) -> Iterator[list[bytes]]:
    """The words of each line that has some."""
    for line in file:
        if words := line.partition(b"#")[0].split():
            yield words


def _header(lines: Iterator[list[bytes]]) -> tuple[int, int]:
    """Numbers of vertices and faces."""
    first, *words = next(lines, [b""])
    if first[:3].upper() != b"OFF":
        raise ValueError(f"it begins with {first[:8]!r}, expected OFF")
    words = [first[3:], *words] if first[3:] else words
    words = words or next(lines, [])
    numbers = [whole_number(word[:40].decode("ascii")) for word in words[:2]]
    if len(words) not in (2, 3) or None in numbers:
        got = b" ".join(words)[:40]
        raise ValueError(f"got {got!r}, expected the numbers of vertices, faces and edges")
    return numbers[0] or 0, numbers[1] or 0


def _vertices(lines: Iterator[list[bytes]], number: int) -> Tensor:
    parts, left = [np.zeros((0, 3))], number
    while left:
        block = list(islice(lines, min(left, _BLOCK)))
        if not block:
            raise ValueError(f"{number - left} of {number} vertices are there")
        if any(len(words) < 3 for words in block):
            raise ValueError("a vertex has fewer than 3 numbers")
        parts.append(np.array([[float(word) for word in words[:3]] for words in block]))
        left -= len(block)
    vertices = np.concatenate(parts)
    if not np.isfinite(vertices).all():
        raise ValueError("a vertex is not finite")
    return torch.from_numpy(vertices)


def _triangles(lines: Iterator[list[bytes]], number: int, vertices: int) -> Tensor:
    parts, left = [np.zeros((0, 3), np.int64)], number
    while left:
        block = list(islice(lines, min(left, _BLOCK)))
        if not block:
            raise ValueError(f"{number - left} of {number} faces are there")
        found = [triangle for words in block for triangle in _face(words, vertices)]
        parts.append(np.array(found, np.int64).reshape(-1, 3))
        left -= len(block)
    return torch.from_numpy(np.concatenate(parts))


def _whole(word: bytes) -> int:
    """A whole number; Python reads no more than some thousand digits."""
    if len(word) > _DIGITS:
        raise ValueError(f"a number of {len(word)} digits")
    return int(word)


def _face(words: list[bytes], vertices: int) -> list[tuple[int, int, int]]:
    """The triangles of a face; points and edges have none."""
    number = _whole(words[0])
    corners = [_whole(word) for word in words[1 : 1 + number]] if number > 0 else []
    if number < 1 or len(corners) < number:
        raise ValueError(f"a face of {number} corners has {len(corners)}")
    if not 0 <= min(corners) <= max(corners) < vertices:
        raise ValueError(f"a face has a vertex that is none of the {vertices}")
    return [(corners[0], b, c) for b, c in pairwise(corners[1:])]
