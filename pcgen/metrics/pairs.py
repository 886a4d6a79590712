"""All pairs: the matrix of distances between every cloud of one set and every cloud of another.

The matrix is filled tile by tile; no tensor ever holds the points of all pairs. Tiles can be shared
between processes, devices or the workers of a cluster, and kept in a file from which a later call
goes on. Each pair is
computed on its own, so the matrix does not depend on how the work was shared.

The file is a plain .npy matrix; beside it lies a .npy.tiles with a fingerprint of the clouds and
one byte for each tile. A tile is marked after its values are on the disk, so that whatever
happens, a marked tile is whole.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, FileError
from pcgen.io import atomic
from pcgen.metrics.distances import Distance


class Workers(Protocol):
    """Who computes tiles: :meth:`pcgen.cluster.Cluster.in_order`, for example."""

    def __call__(
        self,
        function: Callable[..., np.ndarray],
        arguments: Iterable[tuple[Any, ...]],
        *,
        shared: tuple[Any, ...] = (),
    ) -> Iterator[np.ndarray]:
        """Results of ``function(*shared, *arguments)`` for each tuple of arguments, in order."""


SHARED = 1024
"""Pairs of a tile that a worker of a cluster computes: some tenths of a second."""


def pairwise(
    distance: Distance,
    a: Batch,
    b: Batch | None = None,
    *,
    tile: int = 4096,
    processes: int = 1,
    devices: Sequence[str | torch.device] | None = None,
    workers: Workers | None = None,
    store: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Distance of every cloud of ``a`` to every cloud of ``b``.

    Args:
        distance: Takes two batches of equally many clouds and returns one number per pair.
        a: A clouds.
        b: B clouds; None means ``a`` itself, and then the distance is taken to be symmetric: only
            the pairs above the diagonal are computed, and the diagonal is 0.
        tile: Pairs computed at once.
        processes: Processes that share the tiles. More than one need a distance that can be
            pickled (a function of a module, or ``functools.partial`` of one) and, in a script, the
            usual ``if __name__ == "__main__":``.
        devices: One process for each of these devices, instead of ``processes`` on the clouds' own.
        workers: Who computes the tiles instead, on their CPUs.
        store: A .npy file to fill, with a file of finished tiles beside it (``.npy.tiles``).
            Where both are there from an interrupted call with the same clouds and the same
            ``tile``, only what is missing is computed. That the distance is the same is up to you.
        progress: Called with the fraction done after each tile.

    Returns:
        [A, B], float64 on the CPU.

    Raises:
        ArgumentError: ``tile`` or ``processes`` is not positive, ``distance`` returns another shape
            or cannot be pickled.
        FileError: ``store`` is the file of other clouds or another tile, or of something else.
    """
    if tile < 1 or processes < 1 or (devices is not None and not devices):
        raise ArgumentError(
            f"tile, processes, devices: got {tile}, {processes}, {devices}, "
            "expected at least 1 of each"
        )
    pairs = _Pairs(distance, a, b, tile)
    with open_store(store, pairs.shape, pairs.tiles, [a, b], tile) as table:
        missing = table.missing()
        places = [torch.device(d) for d in devices or [a.pos.device] * processes]
        here = len(places) == 1 and devices is None
        if workers is not None:
            tiles = (pairs.indices(k) for k in missing)
            values = distances_by(workers, distance, a, a if b is None else b, tiles)
        else:
            values = map(pairs.compute, missing) if here else _shared(pairs, places, missing)
        for k, value in zip(missing, values, strict=True):
            row, column = (side.numpy() for side in pairs.indices(k))
            table.write(row, column, value)
            if b is None:
                table.write(column, row, value)
            table.finish(k)
            if progress is not None:
                progress(table.fraction)
        return table.matrix()


class _Pairs(NamedTuple):
    """The pairs of two sets, numbered row by row and cut into tiles."""

    distance: Distance
    a: Batch
    b: Batch | None
    tile: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.a.num_graphs, (self.a if self.b is None else self.b).num_graphs

    @property
    def number(self) -> int:
        rows, columns = self.shape
        return rows * (rows - 1) // 2 if self.b is None else rows * columns

    @property
    def tiles(self) -> int:
        return -(-self.number // self.tile)

    def indices(self, k: int) -> tuple[Tensor, Tensor]:
        """Row and column of the pairs of tile k; row < column within one set."""
        flat = torch.arange(k * self.tile, min((k + 1) * self.tile, self.number))
        if self.b is None:
            return _triangle(flat)
        return flat // self.shape[1], flat % self.shape[1]

    def compute(self, k: int) -> np.ndarray:
        """Distances of tile k."""
        return distances(
            self.distance, self.a, self.a if self.b is None else self.b, *self.indices(k)
        )


def distances_by(
    workers: Workers,
    distance: Distance,
    a: Batch,
    b: Batch,
    tiles: Iterable[tuple[Tensor, Tensor]],
) -> Iterator[np.ndarray]:
    """Distances of the pairs of each tile, in order, float64.

    Args:
        workers: Who computes them.
        distance: Of paired clouds; it can be pickled.
        a: First clouds.
        b: Second ones.
        tiles: Numbers of the clouds of each pair, [T] among ``a`` and [T] among ``b``.
    """
    sides = (_arrays(a), None if b is a else _arrays(b))
    numbers = ((row.numpy(), column.numpy()) for row, column in tiles)
    return workers(_of_arrays, numbers, shared=(distance, *sides))


def _of_arrays(
    distance: Distance, a: _Arrays, b: _Arrays | None, row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """Distances of one tile, in a worker."""
    first = _batch(a, "cpu")
    other = first if b is None else _batch(b, "cpu")
    return distances(distance, first, other, torch.tensor(row), torch.tensor(column))


def distances(distance: Distance, a: Batch, b: Batch, row: Tensor, column: Tensor) -> np.ndarray:
    """Distances of the pairs (row, column) [T]."""
    first = pc.select(a, row.to(a.ptr.device))
    value = distance(first, pc.select(b, column.to(b.ptr.device)))
    if value.shape != row.shape:
        raise ArgumentError(
            f"distance: returned shape {tuple(value.shape)}, expected {tuple(row.shape)}"
        )
    array: np.ndarray = value.detach().double().cpu().numpy()
    return array


def _triangle(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column (row < column) of the strict upper triangle, counted column by column."""
    column = ((1 + (1 + 8 * flat.double()).sqrt()) / 2).long()
    # The square root may be off by one for large numbers; put it right in integers.
    column = column - (column * (column - 1) // 2 > flat).long()
    column = column + (column * (column + 1) // 2 <= flat).long()
    return flat - column * (column - 1) // 2, column


def _shared(
    pairs: _Pairs, places: Sequence[torch.device], missing: Sequence[int]
) -> Iterator[np.ndarray]:
    """Distances of the missing tiles, in their order, by one process for each place."""
    try:
        pickle.dumps(pairs.distance)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ArgumentError(
            f"distance: got {pairs.distance}, which other processes cannot be given ({error}); "
            "expected a function of a module, or functools.partial of one"
        ) from None
    # Plain arrays: tensors would be shared through file descriptors, of which there are few.
    a, b = _arrays(pairs.a), None if pairs.b is None else _arrays(pairs.b)
    # Spawned, not forked: threads and CUDA do not survive a fork.
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    for place in places:
        queue.put(str(place))
    threads = max(1, torch.get_num_threads() // len(places))
    start = partial(_start, pairs.distance, a, b, pairs.tile, queue, threads)
    workers = min(len(places), max(len(missing), 1))
    pool = ProcessPoolExecutor(workers, context, initializer=start)
    try:
        yield from pool.map(_compute, missing)
    finally:
        pool.shutdown(cancel_futures=True)


_Arrays = dict[str, np.ndarray]


def _arrays(clouds: Batch) -> _Arrays:
    values = {**pc.attributes(clouds), "sizes": pc.sizes(clouds)}
    return {name: value.detach().cpu().numpy() for name, value in values.items()}


def _batch(arrays: _Arrays, device: str) -> Batch:
    values = {name: torch.tensor(value, device=device) for name, value in arrays.items()}
    return pc.make(values.pop("pos"), values.pop("sizes"), **values)


_work: Callable[[int], np.ndarray] | None = None


def _start(
    distance: Distance,
    a: _Arrays,
    b: _Arrays | None,
    tile: int,
    places: SimpleQueue[str],
    threads: int,
) -> None:
    """Give a process of the pool its device and its clouds."""
    global _work
    torch.set_num_threads(threads)
    device = places.get()
    other = None if b is None else _batch(b, device)
    _work = partial(_Pairs.compute, _Pairs(distance, _batch(a, device), other, tile))


def _compute(k: int) -> np.ndarray:
    if _work is None:
        raise RuntimeError("pairwise: a process computes before it was started")
    return _work(k)


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
