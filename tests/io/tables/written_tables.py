"""The same columns in every format of tables, and a table in memory, for tests."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pcgen.io.tables import arrays, combined, parquet, root, table, text
from pcgen.io.tables.table import Column, Table, Values

Array = np.ndarray[Any, Any]
FLAT = ("csv", "parquet", "root", "hdf5-table", "npz-table")
JAGGED = ("root", "rntuple", "parquet", "awkward", "hdf5-table", "npz-table")
ENDINGS = {
    "csv": ".csv",
    "parquet": ".parquet",
    "awkward": ".parquet",
    "root": ".root",
    "rntuple": ".root",
    "hdf5-table": ".h5",
    "npz-table": ".npz",
}
WITH_OFFSETS = ("npz-table",)
"""Formats whose jagged files have an array ``offsets``."""


def small_chunks(monkeypatch: pytest.MonkeyPatch, rows: int = 3) -> None:
    """Chunks of a few rows, so that events and lists lie across them."""
    for module, name in (
        *((each, "CHUNK_ROWS") for each in (arrays, combined, parquet, root, table)),
        (text, "_ROWS"),
    ):
        monkeypatch.setattr(module, name, rows)


def write_flat(folder: Path, format: str, columns: Mapping[str, Array]) -> Path:
    """A file with a row for each point."""
    path = folder / f"flat{ENDINGS[format]}"
    if format == "csv":
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(columns)
            rows.writerows(
                zip(*(map(_word, each.tolist()) for each in columns.values()), strict=True)
            )
    elif format == "parquet":
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.table(dict(columns)), path, row_group_size=5)
    elif format == "root":
        uproot = pytest.importorskip("uproot")
        with uproot.recreate(path) as file:
            tree = file.mktree("hits", {name: each.dtype for name, each in columns.items()})
            if len(next(iter(columns.values()))):
                tree.extend(dict(columns))
    elif format == "hdf5-table":
        with h5py.File(path, "w") as file:
            for name, each in columns.items():
                file[name] = each
    else:
        np.savez(path, **columns)
    return path


def _word(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def write_jagged(
    folder: Path, format: str, lists: Mapping[str, Sequence[Array]], single: Mapping[str, Array]
) -> Path:
    """A file with a row for each event: lists for its points, and single values."""
    path = folder / f"jagged{ENDINGS[format]}"
    if format in ("root", "rntuple", "awkward"):
        awkward = pytest.importorskip("awkward")
        values = {name: _ragged(awkward, each) for name, each in lists.items()} | dict(single)
        if format == "awkward":
            pytest.importorskip("pyarrow")
            awkward.to_parquet(awkward.zip(values, depth_limit=1), path, row_group_size=3)
            return path
        uproot = pytest.importorskip("uproot")
        with uproot.recreate(path) as file:
            kinds = {name: each[0].dtype for name, each in lists.items()}
            if format == "rntuple":
                file.mkrntuple("events", values)
                return path
            types = {name: f"var * {kind}" for name, kind in kinds.items()}
            tree = file.mktree(
                "events", types | {name: each.dtype for name, each in single.items()}
            )
            tree.extend(values)
    elif format == "parquet":
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        columns = {name: [each.tolist() for each in rows] for name, rows in lists.items()}
        types = {n: arrow.list_(arrow.from_numpy_dtype(rows[0].dtype)) for n, rows in lists.items()}
        table = {n: arrow.array(each, types[n]) for n, each in columns.items()}
        parquet.write_table(arrow.table(table | dict(single)), path, row_group_size=3)
    elif format == "hdf5-table":
        with h5py.File(path, "w") as file:
            for name, rows in lists.items():
                data = file.create_dataset(name, len(rows), h5py.vlen_dtype(rows[0].dtype))
                for row, each in enumerate(rows):
                    data[row] = each
            for name, each in single.items():
                file[name] = each
    else:
        flat = {name: np.concatenate(rows) for name, rows in lists.items()}
        sizes = [len(each) for each in next(iter(lists.values()))]
        np.savez(path, offsets=np.cumsum([0, *sizes]), **flat, **single)
    return path


def _ragged(awkward: Any, rows: Sequence[Array]) -> Any:
    return awkward.unflatten(np.concatenate(rows), [len(each) for each in rows])


class InMemory(Table):
    """A table of arrays and of lists of arrays, in chunks of some rows."""

    def __init__(self, columns: Mapping[str, Values], chunk: int = 3) -> None:
        self.path, self._values, self._chunk = Path("table"), dict(columns), chunk
        self.columns = {
            name: Column(str(each.content.dtype), int(each.offsets is not None))
            for name, each in columns.items()
        }

    def rows(self) -> int:
        return next(iter(self._values.values())).rows

    def stream(self, names: Sequence[str], start: int) -> Iterator[dict[str, Values]]:
        for first in [*range(start, self.rows(), self._chunk)] or [start]:
            stop = min(first + self._chunk, self.rows())
            yield {name: self._values[name].part(first, stop) for name in names}


def ragged(rows: Sequence[Sequence[float]], kind: str = "f4") -> Values:
    """A column of lists."""
    content = np.array([value for row in rows for value in row], kind)
    return Values.of_sizes(content, np.array([len(row) for row in rows], np.int64))
