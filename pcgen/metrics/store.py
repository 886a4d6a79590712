"""Where a matrix is filled tile by tile: in memory, or in a file that outlives the process.

The file is a plain .npy matrix; beside it lies a .npy.tiles with a fingerprint of the clouds and
one byte for each tile. A tile is marked after its values are on the disk, so that whatever
happens, a marked tile is whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import FileError
from pcgen.io import atomic

FINGERPRINT = 32


class Store:
    """A matrix and which of its tiles are finished.

    Attributes:
        fraction: Part of the tiles that is finished.
    """

    def __init__(self, values: np.ndarray, marks: np.ndarray) -> None:
        self._values, self._marks = values, marks

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush(self._values)
        self._flush(self._marks)

    @property
    def fraction(self) -> float:
        done = self._marks[FINGERPRINT:]
        return float(done.mean()) if len(done) else 1.0

    def missing(self) -> list[int]:
        """Tiles that are not finished."""
        return np.flatnonzero(self._marks[FINGERPRINT:] == 0).tolist()

    def write(self, row: np.ndarray, column: np.ndarray, value: np.ndarray) -> None:
        """Set entries of the matrix."""
        self._values[row, column] = value

    def finish(self, k: int) -> None:
        """Mark tile k, all of whose values have been written."""
        self._flush(self._values)
        self._marks[FINGERPRINT + k] = 1
        self._flush(self._marks)

    def matrix(self) -> Tensor:
        """The matrix, in memory."""
        return torch.from_numpy(np.array(self._values))

    @staticmethod
    def _flush(array: np.ndarray) -> None:
        if isinstance(array, np.memmap):
            array.flush()


def open_store(
    path: str | Path | None,
    shape: tuple[int, int],
    tiles: int,
    sides: Sequence[Batch | None],
    tile: int,
) -> Store:
    """A matrix in memory (no path), or the one in a file, begun where there is none.

    Raises:
        FileError: the file was not begun with these clouds and this tile, or cannot be used.
    """
    if path is None:
        return Store(np.zeros(shape), np.zeros(FINGERPRINT + tiles, np.uint8))
    target = Path(path)
    marks_path = target.with_name(target.name + ".tiles")
    key = _fingerprint(sides, tile)
    if not target.exists() and not marks_path.exists():
        with atomic(target) as temporary:
            _create(temporary, np.zeros(shape))
        with atomic(marks_path) as temporary:
            _create(temporary, np.concatenate([key, np.zeros(tiles, np.uint8)]))
    try:
        values, marks = (np.load(p, mmap_mode="r+") for p in (target, marks_path))
    except (OSError, ValueError) as error:
        raise FileError(
            f"{target}: cannot go on ({error}); expected a matrix that pairwise began, with "
            f"{marks_path.name} beside it, or neither of them"
        ) from error
    same = marks.shape == (FINGERPRINT + tiles,) and bool((marks[:FINGERPRINT] == key).all())
    if not same or values.shape != shape or values.dtype != np.float64:
        raise FileError(
            f"{target}: was begun with other clouds or another tile than these {shape[0]} x "
            f"{shape[1]} and {tile}; pass the same, or another file"
        )
    return Store(values, marks)


def _create(path: Path, array: np.ndarray) -> None:
    # Opened here: np.save would add .npy to a temporary name.
    with path.open("wb") as file:
        np.save(file, array)


def _fingerprint(sides: Sequence[Batch | None], tile: int) -> np.ndarray:
    """SHA-256 of the clouds and the tile, [32] bytes."""
    digest = hashlib.sha256(f"{tile}".encode())
    for clouds in sides:
        values = {} if clouds is None else {**pc.attributes(clouds), "ptr": clouds.ptr}
        digest.update(f"{len(values)}".encode())
        for name, value in sorted(values.items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
