"""Clouds from files, PyTorch Geometric style: by number, by range, by random batch.

A :class:`CloudDataset` is a list of event numbers over one or several files (pcgen's ragged HDF5,
JetNet's own files). Requested events are read in contiguous ranges of the file, a few for
thousands of events, and put in order in memory. Its floats are of torch's default type, that of the
networks, whatever type the file has.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import Batch, Data

from pcgen import clouds as convention
from pcgen.datasets.batches import Batches
from pcgen.datasets.contexts import Agreement, check_pairs, open_contexts
from pcgen.datasets.provenance import digest
from pcgen.datasets.splits import SEED, split_index
from pcgen.datasets.voxel_clouds import open_events
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter, Grid
from pcgen.io import CloudSource
from pcgen.schema import Schema

_GAP = 16_384  # points between two wanted events that are read rather than jumped over
_RANGE = 1 << 20  # points that one read may span, about
_MEMORY = 4_000_000  # a data set of up to so many points stays in memory after its first read


def open_clouds(
    paths: str | Path | Sequence[str | Path],
    split: str = "train",
    *,
    seed: int = SEED,
    classes: Sequence[str] | None = None,
    max_points: int | None = None,
    check: bool = True,
    context: str | Path | Sequence[str | Path] | None = None,
) -> CloudDataset:
    """Open one or several files of clouds as one data set.

    Each file is split by itself (see :func:`pcgen.datasets.splits.split_index`), so that adding a
    file does not move events of another one between the splits.

    Args:
        paths: Files; all must mean the same by their numbers.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``.
        seed: Seed of the split.
        classes: Names of the classes to keep; None keeps all.
        max_points: Keep that many points of each cloud, the heaviest; without weights evenly spaced
            ones. None keeps all.
        check: Refuse values that must not be, as they are read; False leaves that to the caller.
        context: Files with the same events in the same order, one for each of ``paths``: the
            contexts of the clouds (:func:`pcgen.clouds.context`). Images become their active cells.
            None: as the files themselves have them.

    Raises:
        ArgumentError: an unknown split or class, no path, or ``max_points`` is not positive.
        DataError: the files disagree, or no event is left.
        FileError: a file is missing, truncated or of an unknown kind.
    """
    listed = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not listed:
        raise ArgumentError("paths: got none, expected at least one file")
    if max_points is not None and max_points < 1:
        raise ArgumentError(f"max_points: got {max_points}, expected a positive number or None")
    files = [open_events(path) for path in listed]
    schema = _common_schema(files)
    others = [] if context is None else [context] if isinstance(context, (str, Path)) else context
    contexts = [open_contexts(path) for path in others]
    if context is not None:
        check_pairs(files, contexts)
    wanted = None if classes is None else _class_numbers(schema, classes)
    index, start = [], 0
    for file in files:
        chosen = split_index(len(file), split, seed=seed)
        if wanted is not None:
            chosen = chosen[torch.isin(_labels(file)[chosen], wanted)]
        index.append(chosen + start)
        start += len(file)
    chosen_events = torch.cat(index)
    pairs = None
    if contexts:
        pairs = CloudDataset(contexts, chosen_events, _common_schema(contexts), check=check)
    dataset = CloudDataset(
        files, chosen_events, schema, max_points=max_points, check=check, contexts=pairs
    )
    if len(dataset) == 0:
        names = ", ".join(str(path) for path in listed)
        kind = "" if classes is None else f" of class {', '.join(classes)}"
        raise DataError(f"{names}: got {start} events, none{kind} in split {split!r}")
    return dataset


class CloudDataset(Dataset[Data]):
    """Chosen events of one or several files of clouds; built by :func:`open_clouds`.

    It has a length, gives one cloud as PyG's ``Data`` by its number, works in PyG's ``DataLoader``
    (worker processes open the files for themselves) and can be pickled.

    Attributes:
        schema: What the numbers mean.
        contexts: The data set of the contexts, where they have files of their own.
        context_schema: What the numbers of the contexts mean; None where there are none.
    """

    def __init__(
        self,
        files: Sequence[CloudSource],
        index: Tensor,
        schema: Schema,
        *,
        max_points: int | None = None,
        check: bool = True,
        contexts: CloudDataset | None = None,
    ) -> None:
        """Events ``index`` [n] of the files, counted through all of them."""
        self.schema, self.contexts = schema, contexts
        self.context_schema = files[0].context_schema
        if contexts is not None:
            self.context_schema = contexts.schema
            self._agreement = Agreement(schema, contexts.schema, contexts.path)
        self._index, self._max_points, self._check = index, max_points, check
        self._files: list[CloudSource] = list(files)
        self._process = os.getpid()
        lengths = torch.tensor([len(file) for file in files])
        self._starts = lengths.cumsum(0) - lengths
        self._file_sizes = torch.cat([file.sizes() for file in files])
        self._points = int(self.sizes().sum())
        self._everything: Batch | None = None

    def __len__(self) -> int:
        return len(self._index)

    def sizes(self) -> Tensor:
        """Number of points of each cloud [n], without reading the points."""
        sizes = self._file_sizes[self._index]
        return sizes if self._max_points is None else sizes.clamp(max=self._max_points)

    def __getitem__(self, item: int) -> Data:
        if not -len(self) <= item < len(self):
            raise IndexError(f"event: got {item}, expected {-len(self)} to {len(self) - 1}")
        return self.gather([item % len(self)])[0]

    def __getitems__(self, items: Sequence[int]) -> list[Data]:
        return self.gather(items).to_data_list()

    def read(self, start: int, stop: int) -> Batch:
        """The clouds ``start`` to ``stop`` (exclusive) of this data set, in order.

        Raises:
            ArgumentError: the range is not within the data set.
        """
        if not 0 <= start <= stop <= len(self):
            raise ArgumentError(
                f"range: got {start} to {stop}, expected one within 0 to {len(self)}"
            )
        return self.gather(torch.arange(start, stop))

    def load(self) -> Batch:
        """All clouds, in memory."""
        return self.read(0, len(self))

    @property
    def grid(self) -> Grid | None:
        """The grid on which the files say that their points lie; None where they do not agree."""
        stored = [file.attrs.get("grid") for file in self._files]
        return self._files[0].grid if stored == stored[:1] * len(stored) else None

    @property
    def path(self) -> Path:
        """The first file."""
        return self._files[0].path

    @property
    def in_memory(self) -> bool:
        """Whether the data set is so small that it stays in memory once it was read."""
        return self._points <= _MEMORY and (self.contexts is None or self.contexts.in_memory)

    @property
    def calorimeter(self) -> Calorimeter | None:
        """The calorimeter that the files know their points to be of; None where they disagree.

        Raises:
            FileError: what a file states of it makes none.
        """
        first, *others = [file.calorimeter for file in self._files]
        return first if all(other == first for other in others) else None

    def digests(self) -> list[str]:
        """The digest of each file, see :func:`pcgen.datasets.provenance.digest`."""
        return [digest(file) for file in self._open()]

    def batches(self, batch_size: int, seed: int = 0) -> Batches:
        """Random batches for training, a pure function of seed and step (see :class:`Batches`)."""
        return Batches(self, batch_size, seed)

    def gather(self, items: Tensor | Sequence[int]) -> Batch:
        """The clouds with the given numbers (0 to n - 1), in that order, repeats allowed.

        A small data set is read once and stays in memory. Of a large one the file is read in
        contiguous ranges: neighbours, and events that are so close that jumping over what lies
        between them would be slower than reading it, come in one read.
        """
        items = torch.as_tensor(items, dtype=torch.long)
        clouds = self._own(items)
        if self.contexts is None:
            return clouds
        contexts = self.contexts.gather(items)
        self._agreement.check(clouds, contexts)
        return convention.replace(clouds, context=contexts)

    def _own(self, items: Tensor) -> Batch:
        """Without the contexts of other files."""
        if not self.in_memory:
            return self._gather(self._index[items])
        if self._everything is None:
            self._everything = self._gather(self._index)
        return convention.select(self._everything, items)

    def _gather(self, events: Tensor) -> Batch:
        """Events of the files, in any order, from the files."""
        ascending, place = torch.unique(events, return_inverse=True)
        clouds = convention.concat(self._read(group) for group in self._groups(ascending))
        if torch.equal(place, torch.arange(len(place))):
            return clouds
        return convention.select(clouds, place)

    def _groups(self, events: Tensor) -> Sequence[Tensor]:
        """Cut ascending event numbers into the pieces that are worth one read each."""
        if len(events) < 2:
            return [events]
        last = self._file_sizes.cumsum(0)
        end, begin = last[events], (last - self._file_sizes)[events]
        file = torch.searchsorted(self._starts, events, right=True)
        cut = (begin[1:] - end[:-1] > _GAP) | (file[1:] != file[:-1])
        cut |= end[1:] // _RANGE != end[:-1] // _RANGE
        return torch.tensor_split(events, cut.nonzero().flatten() + 1)

    def _read(self, events: Tensor) -> Batch:
        """Ascending events of one file, by one read of the range they span."""
        if len(events) == 0:
            return _default(self._open()[0].read(0, 0), self._files[0])
        number = int(torch.searchsorted(self._starts, events[0], right=True)) - 1
        local = events - self._starts[number]
        first, stop = int(local[0]), int(local[-1]) + 1
        clouds = self._open()[number].read(first, stop, check=self._check)
        clouds = _default(clouds, self._files[number])
        if stop - first > len(local):
            clouds = convention.select(clouds, local - first)
        return clouds if self._max_points is None else convention.at_most(clouds, self._max_points)

    def _open(self) -> list[CloudSource]:
        if self._process != os.getpid():  # an open HDF5 file must not be shared with a fork
            self._files = [copy.copy(file) for file in self._files]  # opens them again
            self._process = os.getpid()
        return self._files

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_everything": None}


def _default(clouds: Batch, file: CloudSource) -> Batch:
    """Clouds with floats of torch's default type."""
    try:
        return convention.cast(clouds, torch.get_default_dtype())
    except DataError as error:
        raise DataError(f"{file.path}: {error}") from error


def _common_schema(files: Sequence[CloudSource]) -> Schema:
    first, *others = files
    for other in others:
        difference = first.schema.difference(other.schema)
        if difference is not None:
            raise DataError(f"{other.path}: {difference} as in {first.path}")
        one, two = first.context_schema, other.context_schema
        difference = None if one is None or two is None else one.difference(two)
        if difference is not None or (one is None) != (two is None):
            reason = difference or "got contexts in one of the two, expected them in both or none"
            raise DataError(f"{other.path}: context: {reason} (as in {first.path})")
    return first.schema


def _class_numbers(schema: Schema, classes: Sequence[str]) -> Tensor:
    unknown = [name for name in classes if name not in schema.labels]
    if unknown or not classes:
        known = ", ".join(schema.labels) or "none (the file has no classes)"
        raise ArgumentError(
            f"classes: got {', '.join(unknown) or 'none'}, expected some of {known}"
        )
    return torch.tensor([schema.labels.index(name) for name in classes])


def _labels(file: CloudSource) -> Tensor:
    labels = file.labels()
    if labels is None:
        raise DataError(f"{file.path}: got clouds without label, expected one to choose classes by")
    return labels
