"""Columns of ROOT, by uproot: the branches of a TTree, the fields of an RNTuple.

A branch is called by its own name, ``Jet.PT`` or ``hits.position.x``; by its full one where two
have the same. Leaves of a branch are ``branch.leaf``. Fields of an RNTuple are called as branches
would be: ``_collection3.PFCands_pt``, as CMS' importer writes it, is ``PFCands_pt``.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pcgen.bounds import COLUMNS
from pcgen.errors import ArgumentError, FileError, MissingExtraError, PcgenError, require
from pcgen.io.source import existing_file
from pcgen.io.tables.table import CHUNK_BYTES, CHUNK_ROWS, Column, Table, Values

if TYPE_CHECKING:
    from typing_extensions import Self

_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")
_IMPORTED = re.compile(r"_collection\d+\.")


def trees(path: str | Path) -> list[str]:
    """Names of the TTrees and RNTuples of a file.

    Raises:
        FileError: it is missing, damaged or no ROOT file, or has none.
        MissingExtraError: uproot is not installed.
    """
    path = existing_file(path)
    with _reading(path), _Bounded(path) as raw, _opened(raw) as file:
        kinds = {name.split(";")[0]: kind for name, kind in file.classnames().items()}
    found = [name for name, kind in kinds.items() if kind in _TREES]
    if not found:
        held = ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "nothing"
        raise FileError(f"{path}: holds {held[:300]}, expected a TTree or an RNTuple")
    return found


def root_table(path: str | Path, tree: str) -> Table:
    """A TTree or an RNTuple of a ROOT file.

    Raises:
        ArgumentError: there is no such one.
        FileError: the file is missing, damaged or no ROOT file.
        MissingExtraError: uproot is not installed.
    """
    path = existing_file(path)
    known = trees(path)
    if tree not in known:
        raise ArgumentError(f"{path}: got the tree {tree}, expected one of {', '.join(known)}")
    raw = _Bounded(path)
    try:
        with _reading(path):
            file = _opened(raw)
            found = file[tree]
            fields = hasattr(found, "to_akform") and not hasattr(found, "branches")
            return _Fields(path, raw, found) if fields else _Branches(path, raw, found)
    except BaseException:
        raw.close()
        raise


class _Bounded:
    """An open file of which no more is read than there is, whatever is requested."""

    def __init__(self, path: Path) -> None:
        self._raw, self._size = path.open("rb"), path.stat().st_size

    @property
    def name(self) -> str:
        return str(self._raw.name)

    @property
    def closed(self) -> bool:
        return self._raw.closed

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._raw.tell(), 0)
        return self._raw.read(left if size < 0 else min(size, left))

    def seek(self, place: int, whence: int = 0) -> int:
        return self._raw.seek(place, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def close(self) -> None:
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _opened(raw: _Bounded) -> Any:
    """A ROOT file; without awkward, uproot reads no lists."""
    uproot = require("uproot", "uproot")
    require("awkward", "uproot")
    # Its caches know files by what these state as their number, and would outlive them.
    return uproot.open(raw, object_cache=None, array_cache=None)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Damage comes up in uproot as any kind of error."""
    try:
        yield
    except (PcgenError, MissingExtraError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileError(f"{path}: damaged, or no ROOT file that can be read ({reason})") from error


class _RootTable(Table):
    """What TTrees and RNTuples share.

    Args:
        path: File.
        raw: The open file, which it closes.
        tree: Uproot's object.
    """

    def __init__(self, path: Path, raw: _Bounded, tree: Any) -> None:
        self.path, self._raw, self._tree = path, raw, tree
        self._number = int(tree.num_entries)
        if self._number < 0:
            raise FileError(f"{path}: announces {self._number} rows")
        self._find()
        COLUMNS.check(len(self.columns), str(path))

    @abstractmethod
    def _find(self) -> None:
        """Set the columns."""

    def _check_rows(self, name: str) -> None:
        """Refuse a column that does not have all rows."""
        return

    @abstractmethod
    def _array(self, name: str, start: int, stop: int) -> Any:
        """An awkward array of the values of a column in some rows."""

    @abstractmethod
    def _size(self, name: str) -> float:
        """Bytes of a column in a row, about."""

    def rows(self) -> int:
        return self._number

    def close(self) -> None:
        self._raw.close()

    def stream(self, names: Sequence[str], start: int) -> Iterator[dict[str, Values]]:
        with _reading(self.path):
            for name in names:
                self._check_rows(name)
            size = sum(map(self._size, names)) + 1
        most = min(max(int(CHUNK_BYTES / size), 1), CHUNK_ROWS)
        while True:
            stop = min(start + most, self._number)
            with _reading(self.path):
                chunk = {name: _plain(self._array(name, start, stop)) for name in names}
            yield chunk
            start = stop
            if start >= self._number:
                return


class _Branches(_RootTable):
    """A TTree."""

    def _find(self) -> None:
        branches = dict(self._tree.iteritems(recursive=True, full_paths=True))
        times = Counter(branch.name for branch in branches.values())
        self._found: dict[str, tuple[Any, str | None]] = {}
        self.columns = {}
        for path, branch in branches.items():
            name = branch.name if times[branch.name] == 1 else path
            kind = _interpretation(branch)
            fields = getattr(getattr(kind, "from_dtype", None), "names", None) or ()
            if len(branch.branches):
                continue  # its branches hold what it would
            for field in fields:
                self._found[f"{name}.{field}"] = branch, field
                self.columns[f"{name}.{field}"] = _column_of(kind.to_dtype[field], branch.typename)
            if not fields:
                self._found[name] = branch, None
                self.columns[name] = self._column(branch, kind)

    @staticmethod
    def _column(branch: Any, kind: Any) -> Column:
        content: Any = getattr(kind, "content", None)
        if kind is None:
            return Column("of a type that uproot does not know", -1)
        name = type(kind).__name__
        if name == "AsDtype":
            return _column_of(kind.to_dtype, branch.typename)
        if name == "AsJagged" and type(content).__name__ == "AsDtype":
            inner = content.to_dtype
            if inner.subdtype is None and inner.names is None:
                return Column(inner.name, 1)
        return Column(str(branch.typename), -1)

    def _check_rows(self, name: str) -> None:
        branch = self._found[name][0]
        held = int(branch.entry_offsets[-1])
        if not held == branch.num_entries == self._number:
            raise FileError(
                f"{self.path}: branch {name} holds {held} entries, expected the {self._number} of "
                "its tree"
            )

    def _array(self, name: str, start: int, stop: int) -> Any:
        branch, field = self._found[name]
        array = branch.array(entry_start=start, entry_stop=stop, library="ak")
        return array if field is None else array[field]

    def _size(self, name: str) -> float:
        return float(self._found[name][0].uncompressed_bytes) / max(self._number, 1)


class _Fields(_RootTable):
    """An RNTuple."""

    def _find(self) -> None:
        form = self._tree.to_akform()
        form = form[0] if isinstance(form, tuple) else form
        self._found: dict[str, tuple[str, ...]] = {}
        self.columns = {}
        for path, column in _of_form(form, (), 0):
            name = _IMPORTED.sub("", ".".join(path))
            if name not in self.columns or len(path) > len(self._found[name]):
                self._found[name], self.columns[name] = path, column

    def _array(self, name: str, start: int, stop: int) -> Any:
        path = self._found[name]
        wanted = ".".join(path)
        array = self._tree.arrays(filter_name=[wanted], entry_start=start, entry_stop=stop)
        for step in path:
            array = array[step]
        return array

    def _size(self, name: str) -> float:
        return float(self._raw.seek(0, 2)) / max(self._number * len(self.columns), 1) * 4


def _interpretation(branch: Any) -> Any:
    """How uproot reads a branch; None where it does not know."""
    try:
        found = branch.interpretation
    except Exception:  # whatever its rules for types raise
        return None
    # Of an unknown type uproot returns an error, which raises itself when it is looked at.
    return None if isinstance(found, Exception) else found


def _of_form(
    form: Any, path: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], Column]]:
    """The columns within a form of awkward, by the names on the way to them."""
    kind = type(form).__name__
    if kind == "RecordForm" and len(path) < 8:
        for name in form.fields:
            yield from _of_form(form.content(name), (*path, name), depth)
    elif kind in ("ListOffsetForm", "ListForm", "RegularForm") and depth == 0:
        yield from _of_form(form.content, path, 1)
    elif kind == "NumpyForm" and not form.inner_shape:
        yield path, Column(str(form.primitive), depth)
    elif path:
        yield path, Column(str(form.type), -1)


def _column_of(kind: np.dtype[Any], typename: Any) -> Column:
    """What a branch of one value, or of as many, in each entry holds."""
    if kind.subdtype is None and kind.kind in "biuf":
        return Column(kind.name)
    if kind.subdtype is not None and len(kind.subdtype[1]) == 1 and kind.base.kind in "biuf":
        return Column(kind.base.name, 1)
    return Column(str(typename), -1)


def _plain(array: Any) -> Values:
    """Content and offsets of an awkward array of numbers, or of lists of them."""
    awkward = require("awkward", "uproot")
    layout = awkward.to_layout(awkward.to_packed(array))
    if layout.is_list and not layout.is_regular:
        content = awkward.to_numpy(layout.content)
        return Values(content, np.asarray(layout.offsets, np.int64))
    content = awkward.to_numpy(layout)
    if content.ndim == 2:
        length = content.shape[1]
        return Values(content.reshape(-1), length * np.arange(len(content) + 1))
    return Values(content)
