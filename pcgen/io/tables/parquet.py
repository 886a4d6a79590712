"""Columns of Parquet, by pyarrow: numbers, lists of them, and both within structs.

Awkward Array writes such files too; its extension types stand for plain ones. A struct's member is
called ``photons.t``, also where it is a list of structs. Blocks are bounded by what the file
allows: the writer's pages and groups of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pcgen.bounds import COLUMNS, check_unpacked
from pcgen.errors import DataError, FileError, PcgenError, require
from pcgen.io.source import Array, existing_file
from pcgen.io.tables.table import CHUNK_BYTES, CHUNK_ROWS, Column, Table, Values

_NAMES = {"double": "float64", "float": "float32", "halffloat": "float16"}
_DEPTH = 8  # structs within structs


class _Leaf(NamedTuple):
    """A column of numbers in the tree of a schema.

    Attributes:
        path: Names of members on the way to it, None where a list begins.
        stored: Its name in the file.
        kind: Of its values.
    """

    path: tuple[str | None, ...]
    stored: str
    kind: Any

    @property
    def depth(self) -> int:
        return self.path.count(None)


class ParquetTable(Table):
    """A Parquet file.

    Args:
        path: File.

    Raises:
        FileError: it is missing, damaged or no Parquet.
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = existing_file(path)
        self._arrow = require("pyarrow", "parquet")
        self._compute = require("pyarrow.compute", "parquet")
        parquet = require("pyarrow.parquet", "parquet")
        with self._reading():
            self._file = parquet.ParquetFile(self.path)
            meta = self._file.metadata
            groups = [meta.row_group(place) for place in range(meta.num_row_groups)]
            self._starts = np.cumsum([0, *(group.num_rows for group in groups)]).tolist()
            size = sum(group.total_byte_size for group in groups)
            stored = [meta.schema.column(place).path for place in range(meta.num_columns)]
            leaves = list(self._leaves(self._file.schema_arrow))
        COLUMNS.check(len(leaves), str(path))
        if min(self._starts) < 0 or self._starts[-1] != meta.num_rows or len(stored) != len(leaves):
            raise FileError(f"{path}: its groups of rows and its columns do not add up")
        check_unpacked(size, self.path.stat().st_size, str(path))
        self._row = size / max(meta.num_rows * len(leaves), 1)
        self._found = {
            ".".join(name for name in path if name is not None): _Leaf(path, place, kind)
            for (path, kind), place in zip(leaves, stored, strict=True)
        }
        self.columns = {name: self._column(leaf) for name, leaf in self._found.items()}

    def _column(self, leaf: _Leaf) -> Column:
        types, kind = self._arrow.types, leaf.kind
        usable = any(
            check(kind)
            for check in (types.is_integer, types.is_floating, types.is_boolean, self._is_text)
        )
        depth = leaf.depth if usable and leaf.depth < 2 else -1
        name = _NAMES.get(str(kind), str(kind))
        return Column(f"{name}{'[]' * leaf.depth * (depth < 0)}", depth)

    def _is_text(self, kind: Any) -> bool:
        types = self._arrow.types
        return bool(types.is_string(kind) or types.is_large_string(kind))

    def rows(self) -> int:
        return int(self._starts[-1])

    def close(self) -> None:
        self._file.close()

    def stream(self, names: Sequence[str], start: int) -> Iterator[dict[str, Values]]:
        leaves = {name: self._found[name] for name in names}
        group = max(k for k, first in enumerate(self._starts) if first <= start)
        skip, given = start - self._starts[group], False
        size = int(CHUNK_BYTES / (self._row * len(leaves) + 1))
        batches = self._batches(
            [self._wanted(leaf) for leaf in leaves.values()],
            list(range(group, len(self._starts) - 1)),
            min(max(size, 1), CHUNK_ROWS),
        )
        for batch in batches:
            if skip >= len(batch) > 0:
                skip -= len(batch)
                continue
            with self._reading():
                part = batch.slice(skip)
                values = {n: self._values(n, leaf, part) for n, leaf in leaves.items()}
            yield values
            skip, given = 0, True
        if not given:
            yield {name: self._nothing(name) for name in names}

    def _batches(self, stored: list[str], groups: list[int], size: int) -> Iterator[Any]:
        with self._reading():
            batches = self._file.iter_batches(size, row_groups=groups, columns=stored)
        while True:
            with self._reading():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _wanted(self, leaf: _Leaf) -> str:
        """What is read for a column: an extension type exists with all its members alone."""
        top = self._file.schema_arrow.field(leaf.path[0]).type
        extended = isinstance(top, self._arrow.BaseExtensionType)
        return str(leaf.path[0]) if extended else leaf.stored

    def _nothing(self, name: str) -> Values:
        return Values(np.zeros(0), np.zeros(1, np.int64) if self.columns[name].depth else None)

    def _leaves(self, schema: Any) -> Iterator[tuple[tuple[str | None, ...], Any]]:
        for field in schema:
            yield from self._within((field.name,), field.type, 0)

    def _within(
        self, path: tuple[str | None, ...], kind: Any, level: int
    ) -> Iterator[tuple[tuple[str | None, ...], Any]]:
        """Each column of numbers of a type, in the order of the file."""
        types, kind = self._arrow.types, self._plain(kind)
        if level > _DEPTH:
            raise FileError(f"{self.path}: types are nested deeper than {_DEPTH} times")
        if types.is_struct(kind):
            for place in range(kind.num_fields):
                field = kind.field(place)
                yield from self._within((*path, field.name), field.type, level + 1)
        elif self._is_list(kind):
            yield from self._within((*path, None), kind.value_type, level + 1)
        elif types.is_map(kind):
            yield from self._within((*path, None, "key"), kind.key_type, level + 1)
            yield from self._within((*path, None, "value"), kind.item_type, level + 1)
        else:
            yield path, kind

    def _plain(self, kind: Any) -> Any:
        """The type that an extension stands for, and that of the values of a dictionary."""
        while isinstance(kind, self._arrow.BaseExtensionType):
            kind = kind.storage_type
        return kind.value_type if self._arrow.types.is_dictionary(kind) else kind

    def _is_list(self, kind: Any) -> bool:
        types = self._arrow.types
        return bool(
            types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        )

    def _values(self, name: str, leaf: _Leaf, batch: Any) -> Values:
        """The values of a column in a batch of rows."""
        array, sizes = batch.column(batch.schema.get_field_index(leaf.path[0])), None
        for step in (*leaf.path[1:], ""):
            while isinstance(array.type, self._arrow.BaseExtensionType):
                array = array.storage
            if step == "":
                break
            if array.null_count:
                row = int(np.asarray(array.is_null()).argmax())
                raise DataError(f"{self.path}: {name} has no value in row {row} of a batch, ")
            if step is not None:
                array = array.field(step)
                continue
            sizes = self._compute.list_value_length(array).to_numpy(zero_copy_only=False)
            array = array.flatten()
        content = self._content(name, array)
        return Values(content) if sizes is None else Values.of_sizes(content, sizes)

    def _content(self, name: str, array: Any) -> Array:
        if self._arrow.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if array.null_count and not self._arrow.types.is_floating(array.type):
            raise DataError(
                f"{self.path}: column {name} of type {array.type} lacks a value (null), expected "
                "one in each place"
            )
        content = array.to_numpy(zero_copy_only=False)
        return content.astype(str) if self._is_text(array.type) else content

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except PcgenError:
            raise
        except (
            self._arrow.ArrowException,
            OSError,
            ValueError,
            TypeError,
            KeyError,
            IndexError,
        ) as error:
            reason = " ".join(str(error).split())[:300]
            raise FileError(
                f"{self.path}: damaged, or no Parquet that can be read ({reason})"
            ) from error
