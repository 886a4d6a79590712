"""Clouds in point files: reading and writing one file, or numbered ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import DataError
from pcgen.io.numbered import OneEventFiles, files_of, writing
from pcgen.io.points import PCD, PLY, XYZ, PointFormat, from_table, kinds_of, schema_of, to_table
from pcgen.io.source import CloudSink, existing_file
from pcgen.schema import Schema


class PointFiles(OneEventFiles):
    """Point files, read as clouds.

    Args:
        path: One file; a folder of them; or a numbered name such as ``event_%05d.ply``.
        format: Their format.

    Raises:
        FileError: there is no such file, or the first one is damaged.
    """

    def __init__(self, path: str | Path, format: PointFormat) -> None:
        self.path, self._format = Path(path), format
        self._files = files_of(self.path, format.ending)
        self.schema = schema_of(format.read(existing_file(self._files[0])), self._files[0])
        self.attrs: dict[str, Any] = {}
        self._kinds: dict[str, str] | None = None

    def sizes(self) -> Tensor:
        """Number of points of each cloud [B], from the headers of the files."""
        return torch.tensor([self._format.count(existing_file(file)) for file in self._files])

    def _read(self, start: int, stop: int) -> Batch:
        if self._kinds is None:
            self._kinds = self._common_kinds()
        # Without an event to read, the first one still shows which attributes there are.
        clouds = [self._event(file) for file in self._files[start:stop] or self._files[:1]]
        return convention.select(convention.concat(clouds), slice(0, stop - start))

    def _event(self, file: Path) -> Batch:
        table = self._format.read(existing_file(file))
        return from_table(table, self.schema, self._kinds or {}, file)

    def _common_kinds(self) -> dict[str, str]:
        """Type of each attribute in all files, so that no block of them has another one."""
        first, *others = self._files
        common = kinds_of(self._format.declared(existing_file(first)), first)
        for file in others:
            kinds = kinds_of(self._format.declared(existing_file(file)), file)
            if set(kinds) != set(common):
                names, expected = (", ".join(each) or "no types" for each in (kinds, common))
                raise DataError(f"{file}: got {names}, expected {expected} as in {first}")
            common = {name: np.result_type(kinds[name], common[name]).name for name in common}
        return common


class PointWriter(CloudSink):
    """Writes point files; use it in a ``with`` statement.

    Args:
        path: One file, for one event; a folder (existing or new), for files ``event_000000`` and so
            on; or a numbered name such as ``event_%05d.ply``.
        schema: What the numbers mean.
        format: Format of the files.
    """

    def __init__(self, path: str | Path, schema: Schema, format: PointFormat) -> None:
        self.path, self.schema, self._format = Path(path), schema, format

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with writing(self.path, self._format.ending) as self._name:
            yield
            if self.written == 0:
                raise DataError(f"{self.path}: got no event, expected at least one for its file")

    def _append(self, block: Batch) -> int:
        for number in range(block.num_graphs):
            table = to_table(convention.select(block, [number]), self.schema)
            self._format.write(self._name(self.written + number), table)
        return block.num_graphs


# As the table of formats names them.
read_ply, write_ply = partial(PointFiles, format=PLY), partial(PointWriter, format=PLY)
read_pcd, write_pcd = partial(PointFiles, format=PCD), partial(PointWriter, format=PCD)
read_xyz, write_xyz = partial(PointFiles, format=XYZ), partial(PointWriter, format=XYZ)
