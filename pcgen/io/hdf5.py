"""What pcgen's own HDF5 files share: opening, the header, and damage reported in one line.

Header (attributes of the root): ``format`` and ``version`` say what follows, ``schema`` is the JSON
of :class:`pcgen.schema.Schema`, ``attrs`` is JSON of the writer's choice.
"""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from pcgen.bounds import BYTES, parse_json
from pcgen.errors import DataError, FileError
from pcgen.io.hdf5_door import attribute, listed, reading
from pcgen.io.source import Array, existing_file
from pcgen.schema import Schema

if TYPE_CHECKING:
    from typing_extensions import Self

_CHUNK = 1 << 16  # bytes


def open_hdf5(path: str | Path) -> h5py.File:
    """Open an HDF5 file for reading.

    Raises:
        FileError: it is missing, empty, truncated or not HDF5.
    """
    path = existing_file(path)
    try:
        return h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise FileError(
            f"{path}: cannot be opened as HDF5, it is truncated, unreadable or of another format "
            f"({error})"
        ) from error


@contextmanager
def opened(path: str | Path) -> Iterator[h5py.File]:
    """An HDF5 file that stays open, unless looking at it inside the ``with`` statement fails.

    Raises:
        FileError: it is missing, truncated or not HDF5.
    """
    file = open_hdf5(path)
    try:
        yield file
    except BaseException:
        file.close()
        raise


def values_of(data: h5py.Dataset, path: Path) -> Array:
    """A whole data set; text of HDF5's several kinds becomes NumPy's.

    Raises:
        FileError: it cannot be read, or is no text in UTF-8.
    """
    with reading(path):
        BYTES.check(data.size * data.dtype.itemsize, f"{path}: {data.name}")
        if h5py.check_string_dtype(data.dtype) is None:
            return np.asarray(data[()])
        try:
            return np.array(data.asstr()[()], dtype=str)
        except UnicodeDecodeError as error:
            raise FileError(f"{path}: {data.name} is no text in UTF-8 ({error})") from error


def native(values: Array, where: str) -> Array:
    """Numbers in a type of this machine that torch knows: other byte orders, sizes and signs.

    Raises:
        DataError: a whole number does not fit into 64 bits with a sign.
    """
    kind = values.dtype
    if kind.kind == "u" and kind.itemsize > 1:
        if kind.itemsize == 8 and values.size and int(values.max()) >= 2**63:
            raise DataError(f"{where}: got {int(values.max())}, expected numbers below 2^63")
        return values.astype(np.int64)
    if kind.kind == "f" and kind.itemsize > 8:
        return values.astype(np.float64)
    return values.astype(kind.newbyteorder("="), copy=False)


def header(
    format: str, version: int, schema: Schema | None, attrs: Mapping[str, Any]
) -> dict[str, Any]:
    """Attributes that :func:`read_header` understands."""
    values = {"format": format, "version": version, "attrs": json.dumps(dict(attrs))}
    if schema is not None:
        values["schema"] = json.dumps(schema.to_dict())
    return values


def read_header(
    file: h5py.File, path: Path, format: str, version: int
) -> tuple[Schema, dict[str, Any]]:
    """Schema and further attributes of a file of the given format.

    Raises:
        FileError: it is of another format or version, or its header cannot be read.
    """
    found = attribute(file, "format", path)
    if found != format:
        raise FileError(
            f"{path}: got format {found!r} with the data sets {listed(file, path)}, "
            f"expected a file of format {format!r}"
        )
    if (got := attribute(file, "version", path)) != version:
        raise FileError(
            f"{path}: got version {got} of {format}, expected {version}; "
            f"read it with the pcgen that wrote it"
        )
    texts = [attribute(file, name, path) for name in ("schema", "attrs")]
    try:
        schema, attrs = (parse_json(str(text)) for text in texts)
        if not isinstance(attrs, dict):
            raise ValueError(f"attrs is {type(attrs).__name__}, not a dictionary")
        return Schema.from_dict(schema), attrs
    except (ValueError, DataError) as error:
        raise FileError(
            f"{path}: header cannot be read ({error}), expected schema and attrs as JSON"
        ) from error


class Hdf5Output:
    """An HDF5 file that is being written, row after row.

    HDF5 writes behind the caller's back: it reports a full disk late, often not at all, and then
    cannot close its file and takes the process with it. So it writes through an object of ours that
    remembers the system's error, pretends that all is well, and has it raised by the next
    :meth:`extend` or at the end. Signals that end the program wait until HDF5 has returned.

    Args:
        path: Name of the file; what it holds is lost.
    """

    def __init__(self, path: Path) -> None:
        self._bytes = _Bytes(path)

    def __enter__(self) -> Self:
        with _undisturbed():
            self._file = h5py.File(self._bytes, "w")
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with _undisturbed():
            self._file.close()
            self._bytes.close()
        if error is None:
            self._bytes.check()

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes of the file."""
        with _undisturbed():
            self._file.attrs.update(attributes)

    def extend(self, name: str, value: Array, *, compression: int = 4) -> None:
        """Write rows behind those of a data set, which is created with the first of them.

        Chunks of about 64 kB: small beside HDF5's cache of 1 MB, so that small blocks stay cheap.

        Args:
            name: Of the data set.
            value: Rows [b, ...].
            compression: gzip level 0 (none) to 9, with byte shuffling.

        Raises:
            OSError: the disk is full, or fails.
        """
        with self._calls():
            self._extend(name, value, compression)

    def _extend(self, name: str, value: Array, compression: int) -> None:
        if name not in self._file:
            row = max(value.itemsize * math.prod(value.shape[1:]), 1)
            filters = {"compression": "gzip", "compression_opts": compression, "shuffle": True}
            self._file.create_dataset(
                name,
                data=value[:0],
                maxshape=(None, *value.shape[1:]),
                chunks=(max(_CHUNK // row, 1), *(max(length, 1) for length in value.shape[1:])),
                **(filters if compression else {}),
            )
        data = self._file[name]
        data.resize(len(data) + len(value), axis=0)
        data[len(data) - len(value) :] = value

    def extend_ragged(self, name: str, values: Sequence[Array]) -> None:
        """Write rows of lengths of their own, float32, behind those of a data set [N].

        Args:
            name: Of the data set.
            values: Rows, each [n].

        Raises:
            OSError: the disk is full, or fails.
        """
        with self._calls():
            self._extend_ragged(name, values)

    def _extend_ragged(self, name: str, values: Sequence[Array]) -> None:
        kind = h5py.vlen_dtype(np.dtype(np.float32))
        if name not in self._file:
            self._file.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(1024,))
        rows = np.empty(len(values), dtype=kind)
        for number, value in enumerate(values):
            rows[number] = np.asarray(value, dtype=np.float32)
        data = self._file[name]
        data.resize(len(data) + len(rows), axis=0)
        if len(rows):
            # h5py's assignment takes rows of equal lengths for a table (h5py/h5py#2429).
            place = data.id.get_space()
            place.select_hyperslab((len(data) - len(rows),), (len(rows),))
            memory = h5py.h5s.create_simple((len(rows),))
            data.id.write(memory, place, rows, h5py.h5t.py_create(kind))

    @contextmanager
    def _calls(self) -> Iterator[None]:
        """Around calls of HDF5: what went wrong in them is raised behind them."""
        with _undisturbed():
            yield
        self._bytes.check()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait: raised while HDF5 calls :class:`_Bytes`, they would break it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    waiting: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: waiting.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if waiting:
            signal.raise_signal(waiting[0])


class _Bytes:
    """A file, as h5py wants it, whose writing never seems to fail."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("w+b", buffering=0)
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the error that was remembered."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self._raw.close()

    def seek(self, place: int, whence: int = 0) -> int:
        return self._raw.seek(place, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def read(self, size: int = -1) -> bytes:
        return self._raw.read(size) or b""

    def readinto(self, buffer: memoryview) -> int:
        return self._raw.readinto(buffer) or 0

    def write(self, data: memoryview) -> int:
        left = memoryview(data).cast("B")
        try:
            while left and self._error is None:
                left = left[self._raw.write(left) :]
        except OSError as error:
            self._error = error
        return memoryview(data).nbytes

    def truncate(self, size: int) -> int:
        try:
            self._raw.truncate(size)
        except OSError as error:
            self._error = self._error or error
        return size

    def flush(self) -> None:
        """Nothing waits: the file has no buffer."""
