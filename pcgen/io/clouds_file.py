"""pcgen's own file of clouds: ragged HDF5, read and written in contiguous blocks.

========= ================ ========================================================
dataset   shape            meaning (see :mod:`pcgen.clouds`)
========= ================ ========================================================
/pos      [N, D] float     coordinates
/weight   [N] float        what a point carries, where there is something
/x        [N, F] float     further point features, where there are any
/layer    [N] int64        detector layer, where the geometry has several
/cell     [N, D] int64     cell indices, on lattice clouds
/ptr      [B+1] int64      first row of each cloud, and N
/y        [B, C] float     condition of the cloud
/label    [B] int64        class of the cloud
========= ================ ========================================================

Where clouds are generated from others (:func:`pcgen.clouds.context`), those are beside them with
``context_`` in front of each name: /context_pos, /context_ptr and so on. Either part can be opened
by itself.

Attributes of the file: ``format = "pcgen-clouds"``, ``version = 1``, ``schema`` (JSON of
:class:`pcgen.schema.Schema`) and ``attrs`` (JSON, whatever the writer wants remembered, and the
schema of the contexts as ``context_schema``, and as ``context_attrs`` what else is known of them).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.bounds import COLUMNS
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.atomic import atomic
from pcgen.io.beside import classes
from pcgen.io.hdf5 import Hdf5Output, header, native, opened, read_header, values_of
from pcgen.io.hdf5_door import contents, data_set, listed, names_of, reading
from pcgen.io.image_source import floats
from pcgen.io.source import Array, CloudSink, CloudSource, arrays
from pcgen.schema import Schema

FORMAT = "pcgen-clouds"
VERSION = 1
_WHOLE = ("label", "layer", "cell")


class CloudFile(CloudSource):
    """A pcgen cloud file, open for reading.

    Opening it reads the pointers only; the points are read by :meth:`read` or :meth:`blocks`.
    It can be pickled: the copy opens the file again.

    Args:
        path: Name of the file.
        part: Of a file of pairs the events without their contexts (``"events"``), or the contexts
            as the events (``"context"``); None: events with their contexts, if there are some.

    Raises:
        ArgumentError: a part is given, and the clouds have no contexts.
        FileError: the file is missing, truncated, foreign, of another version, or lacks a data set.
        DataError: the pointers do not fit the points.
    """

    def __init__(self, path: str | Path, part: Literal["events", "context"] | None = None) -> None:
        self.path, self.part = Path(path), part
        with opened(path) as self._file:
            self._open()

    def _open(self) -> None:
        self.schema, self.attrs = read_header(self._file, self.path, FORMAT, VERSION)
        self._rows = _Rows(self._file, self.path, self.schema)
        self._ptr, self._context = self._rows.ptr, None
        known, stored = self._rows.names, self.attrs.pop("context_schema", None)
        if stored is not None:
            self.context_schema = _schema_of_contexts(stored, self.path)
            self._context = _Rows(self._file, self.path, self.context_schema, "context_")
            known |= self._context.names
            if len(self._context.ptr) != len(self._ptr):
                raise FileError(
                    f"{self.path}: got {len(self._context.ptr) - 1} contexts, expected one for "
                    f"each of the {len(self)} clouds"
                )
        self.passed_over = contents(self._file, known, self.path)
        if self.part is not None:
            self._take(self.part)

    def _take(self, part: str) -> None:
        """Be a file of one part of the pairs."""
        if self._context is None or self.context_schema is None:
            raise ArgumentError(
                f"part: got {part!r}, but the clouds of {self.path} have no contexts, expected a "
                "file of pairs"
            )
        facts = self.attrs.pop("context_attrs", {})
        if part == "context":
            self.schema, self.attrs = self.context_schema, dict(facts)
            self._rows, self._ptr = self._context, self._context.ptr
        self.context_schema = self._context = None

    def __reduce__(self) -> tuple[type[CloudFile], tuple[Path, str | None]]:
        return CloudFile, (self.path, self.part)

    def __len__(self) -> int:
        return len(self._ptr) - 1

    def sizes(self) -> Tensor:
        """Number of points of each cloud [B], int64; nothing is read."""
        return torch.from_numpy(np.diff(self._ptr))

    def labels(self) -> Tensor | None:
        """Class of each cloud [B], None where they have none; the points are not read."""
        if "label" not in self._rows.data:
            return None
        values, names = values_of(self._rows.data["label"], self.path), self.schema.labels
        return classes(values, len(self), f"{self.path}: label", names)[0]

    def _read(self, start: int, stop: int) -> Batch:
        with reading(self.path):
            clouds = self._rows.read(start, stop)
            if self._context is None:
                return clouds
            return convention.replace(clouds, context=self._context.read(start, stop))


def _schema_of_contexts(stored: Any, path: Path) -> Schema:
    """What the numbers of the contexts mean.

    Raises:
        FileError: what the file states of it makes no schema.
    """
    try:
        return Schema.from_dict(stored)
    except DataError as error:
        raise FileError(f"{path}: context_schema cannot be read ({error})") from error


class _Rows:
    """The data sets of clouds, or of their contexts, and their pointers.

    Args:
        file: Open for reading.
        path: Its path.
        schema: Of these clouds.
        prefix: In front of the names of their data sets.
    """

    def __init__(self, file: h5py.File, path: Path, schema: Schema, prefix: str = "") -> None:
        self.path, self._prefix = path, prefix
        self.data = _data_sets(file, path, len(schema.axes), prefix)
        with reading(path):
            ptr = self.data.pop("ptr")[:]
        self.ptr = checked_ptr(ptr, self.data["pos"].shape[0], path, prefix)

    @property
    def names(self) -> set[str]:
        """Of all data sets."""
        return {self._prefix + name for name in (*self.data, "ptr")}

    def read(self, start: int, stop: int) -> Batch:
        """The clouds ``start`` to ``stop`` (exclusive)."""
        first, last = int(self.ptr[start]), int(self.ptr[stop])
        values = {}
        for name, data in self.data.items():
            points = name in convention.POINT_ATTRIBUTES
            rows = slice(first, last) if points else slice(start, stop)
            value = native(data[rows], f"{self.path}: /{self._prefix}{name}")
            whole = name in _WHOLE or value.dtype.kind == "f"
            values[name] = torch.from_numpy(value) if whole else floats(value, self.path)
        sizes = torch.from_numpy(np.diff(self.ptr[start : stop + 1]))
        return convention.make(values.pop("pos"), sizes, **values)


class CloudWriter(CloudSink):
    """Writes a pcgen cloud file block after block; use it in a ``with`` statement.

    The file grows with every :meth:`append` and appears under its name when the ``with`` statement
    ends; if it ends with an error, nothing is left behind.

    Args:
        path: Name of the file.
        schema: What the numbers mean.
        attrs: Further facts to store, anything that JSON can say.
        context_schema: What the numbers of the contexts mean; None: contexts are not written.
        compression: gzip level 0 (none) to 9, with byte shuffling.

    Raises:
        FileError: the file cannot be written.

    >>> import tempfile
    >>> from pcgen.schema import Quantity
    >>> schema = Schema(axes=(Quantity("x", "mm"), Quantity("y", "mm")))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with CloudWriter(f"{folder}/a.h5", schema) as writer:
    ...         writer.append(convention.make(torch.rand(3, 2), [1, 0, 2]))
    ...     with CloudFile(f"{folder}/a.h5") as file:
    ...         len(file), file.sizes().tolist(), tuple(file.read(1, 3).pos.shape)
    (3, [1, 0, 2], (2, 2))
    """

    def __init__(
        self,
        path: str | Path,
        schema: Schema,
        *,
        attrs: Mapping[str, Any] | None = None,
        context_schema: Schema | None = None,
        compression: int = 4,
    ) -> None:
        if not 0 <= compression <= 9:
            raise ArgumentError(f"compression: got {compression}, expected a gzip level 0 to 9")
        self.path, self.schema = Path(path), schema
        self.context_schema = context_schema
        known = {} if context_schema is None else {"context_schema": context_schema.to_dict()}
        self._header = header(FORMAT, VERSION, schema, {**(attrs or {}), **known})
        self._compression = compression
        self._kinds: dict[str, str] = {}
        self._written = {"": 0, "context_": 0}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with atomic(self.path) as temporary, Hdf5Output(temporary) as self._file:
            self._file.describe(self._header)
            self._extend("ptr", np.zeros(1, dtype=np.int64))
            if self.context_schema is not None:
                self._extend("context_ptr", np.zeros(1, dtype=np.int64))
            yield
            if not self._kinds:
                # A file of no clouds is legal and still states how many coordinates it would have.
                none = convention.make(torch.zeros(0, len(self.schema.axes)), [])
                if self.context_schema is not None:
                    others = convention.make(torch.zeros(0, len(self.context_schema.axes)), [])
                    none = convention.replace(none, context=others)
                self._append(none)

    def _append(self, block: Batch) -> int:
        sides = {"": block}
        if self.context_schema is not None:
            others = convention.context(block)
            if others is None:
                raise DataError(f"{self.path}: got clouds without contexts, expected them in all")
            sides["context_"] = others
        values = {
            prefix + name: value
            for prefix, clouds in sides.items()
            for name, value in arrays(clouds).items()
        }
        kinds = {name: value.dtype.name for name, value in values.items()}
        self._kinds = self._kinds or kinds
        if kinds != self._kinds:
            raise DataError(
                f"{self.path}: got clouds with {_listed(kinds)} behind clouds with "
                f"{_listed(self._kinds)}, expected the same attributes in all"
            )
        for prefix, clouds in sides.items():
            values[f"{prefix}ptr"] = clouds.ptr[1:].cpu().numpy() + self._written[prefix]
            self._written[prefix] += len(values[f"{prefix}pos"])
        for name, value in values.items():
            self._extend(name, value)
        return block.num_graphs

    def _extend(self, name: str, value: Array) -> None:
        self._file.extend(name, value, compression=self._compression)


def _listed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items())


def _data_sets(
    file: h5py.File, path: Path, dimensions: int, prefix: str
) -> dict[str, h5py.Dataset]:
    """The pointers and the attributes of the clouds, if they have the right shapes and types."""
    known = (*convention.POINT_ATTRIBUTES, *convention.CLOUD_ATTRIBUTES)
    there = names_of(file, path)
    found: dict[str, h5py.Dataset] = {}
    for name in ("pos", "ptr", *known):
        data = data_set(file, prefix + name, path)
        if data is not None and data.shape:
            found[name] = data
        elif name in ("pos", "ptr") or prefix + name in there:
            needed = ("pos", "ptr") if name in ("pos", "ptr") else (name,)
            raise FileError(
                f"{path}: got the data sets {listed(file, path)}, "
                f"expected {' and '.join(prefix + each for each in needed)} among them"
            )
    rows = {"pos": found["pos"].shape[0], "ptr": found["ptr"].shape[0]}
    for name in known:
        if name in found:
            length = rows["pos"] if name in convention.POINT_ATTRIBUTES else rows["ptr"] - 1
            check_shape(name, found[name], length, dimensions, path, prefix)
    return found


def check_shape(
    name: str,
    data: h5py.Dataset | Array,
    length: int,
    dimensions: int,
    path: Path,
    prefix: str = "",
) -> None:
    """Refuse an attribute of clouds that has not the shape or kind of its name.

    Args:
        name: Of the attribute.
        data: Its values, of which shape and type are looked at.
        length: Rows that there must be.
        dimensions: Number of coordinates D.
        path: For messages.
        prefix: In front of its name, for messages.

    Raises:
        FileError: naming the shape.
    """
    columns = {"pos": (dimensions,), "cell": (dimensions,), "x": data.shape[1:2] or (0,)}
    columns["y"] = columns["x"]
    shape = (length, *columns.get(name, ()))
    kinds = "iu" if name in _WHOLE else "fiu"
    if data.shape != shape or data.dtype.kind not in kinds:
        raise FileError(
            f"{path}: /{prefix}{name} has shape {data.shape} of {data.dtype}, "
            f"expected {'whole ' * (kinds == 'iu')}numbers of shape {shape}"
        )
    COLUMNS.check(math.prod(shape[1:]), f"{path}: /{prefix}{name}")


def checked_ptr(ptr: Array, rows: int, path: Path, prefix: str = "") -> Array:
    """The pointers as int64 [B+1], if they lead through so many rows.

    Raises:
        DataError: naming the event.
    """
    if ptr.ndim != 1 or len(ptr) == 0 or ptr.dtype.kind not in "iu" or ptr[0] != 0:
        raise DataError(
            f"{path}: /{prefix}ptr is {ptr.dtype} {ptr.shape} beginning with {ptr[:1].tolist()}, "
            f"expected integers [B+1] that begin with 0"
        )
    bad = ptr[1:] < ptr[:-1]
    if bad.any():
        event = int(bad.argmax())
        raise DataError(
            f"{path}: /{prefix}ptr of event {event} goes from row {ptr[event]} to "
            f"{ptr[event + 1]}, expected pointers that never fall"
        )
    if ptr[-1] != rows:
        raise DataError(
            f"{path}: /{prefix}ptr of event {len(ptr) - 2} ends at row {ptr[-1]}, "
            f"expected the {rows} rows of /{prefix}pos"
        )
    return ptr.astype(np.int64, copy=False)
