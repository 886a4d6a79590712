"""Open a file of events in whichever format it is, and write one, by the table of formats.

The table is :data:`pcgen.formats.FORMATS`. The ending of a file decides; HDF5 and .npz files are
read as what their content is.
"""

from __future__ import annotations

import glob
import importlib
import inspect
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError, FileError
from pcgen.formats import (
    FORMATS,
    Kind,
    Layout,
    by_name,
    endings,
    readable,
    tables,
    writable,
    written_format,
)
from pcgen.grids import Calorimeter, Grid
from pcgen.io.atomic import atomic
from pcgen.io.columns import array_names, npz
from pcgen.io.hdf5 import open_hdf5
from pcgen.io.hdf5_door import attribute, listed, names_of
from pcgen.io.image_source import ImageSink, ImageSource, ShowerSink
from pcgen.io.numbered import writing
from pcgen.io.shape_folders import parts_of
from pcgen.io.source import CloudSink, CloudSource, existing_file
from pcgen.io.tables.mapping import Columns
from pcgen.schema import Schema

Result = TypeVar("Result")

_HDF5 = (".h5", ".hdf5")


def read_format(path: str | Path, format: str | None = None, *, table: bool = False) -> str:
    """Format of a file or folder that is there: the chosen one, or that of ending and content.

    Args:
        path: File, folder or numbered name.
        format: The chosen one; None: by ending and content.
        table: It is to be read as a table, whatever else it is.

    Raises:
        ArgumentError: the ending or the format is unknown.
        FileError: the file is missing, or HDF5 that is truncated or of no known layout, or of a
            format that pcgen does not read.
    """
    path = Path(path)
    if format is None and path.is_dir():
        return _folder_format(path, tables() if table else single())
    if table:
        return by_name(path, format, tables())
    if format is None and not path.suffix and not path.exists():
        near = sorted(each.name for each in path.parent.glob(f"{glob.escape(path.name)}.*"))
        hint = f", did you mean {near[0]}?" if near else ", expected a file of events"
        raise FileError(f"{path}: no such file{hint}")
    _check_read(path, format)
    first = by_name(path, format, readable())
    if format is not None:
        return first
    ending = path.suffix.lower()
    if ending in _HDF5:
        return _hdf5_format(path)
    if ending == ".npz":
        with npz(existing_file(path)) as archive:
            return _recognised(array_names(archive), (ending,)) or first
    return first


def _check_read(path: Path, format: str | None) -> None:
    """Refuse what pcgen writes and does not read."""
    for name, layout in FORMATS.items():
        if layout.reader:
            continue
        if format == name or (format is None and layout.ending == path.suffix.lower()):
            raise FileError(
                f"{path}: is {layout.about}, which pcgen writes and does not read, expected .h5 say"
            )


def _recognised(names: Collection[str], of: Collection[str]) -> str | None:
    """The format of one of these endings that has such arrays; else one that needs none."""
    known = [
        (name, FORMATS[name])
        for name in readable()
        if FORMATS[name].ending in of and not FORMATS[name].table
    ]
    for name, layout in known:
        if any(set(each.split()) <= set(names) for each in layout.content):
            return name
    return next((name for name, layout in known if not layout.content), None)


def _hdf5_format(path: Path) -> str:
    """Format of an HDF5 file, by the names of what is in it."""
    with open_hdf5(path) as file:
        found = _recognised(names_of(file, path), _HDF5)
        if found is not None:
            return found
        if attribute(file, "format", path) is not None:
            return "clouds"  # pcgen's own, of which something is missing: its reader names it
        known = [each for each in FORMATS.values() if each.ending in _HDF5 and each.content]
        raise FileError(
            f"{path}: got the data sets {listed(file, path)}, expected "
            f"{'; or '.join(map(_content, known))}; or columns of points, which pcgen convert "
            "reads with --pos or --preset"
        )


def _content(layout: Layout) -> str:
    """``image or images (images [B, ...])``"""
    names = " or ".join(" and ".join(each.split()) for each in layout.content)
    return f"{names} ({layout.about})"


def _folder_format(folder: Path, among: Collection[str]) -> str:
    known = endings(among)
    there = {file.suffix.lower() for file in folder.iterdir() if not file.name.startswith(".")}
    found = sorted(there & set(known))
    if not found and set(among) == set(single()) and (shapes := _shapes_in(folder)):
        return shapes
    if len(found) != 1:
        raise FileError(
            f"{folder}: is a folder with {', '.join(found) or 'no'} {_what(among)}, "
            f"expected files of one ending {', '.join(known[:-1])} or {known[-1]}, or a format"
        )
    return by_name(f"events{found[0]}", None, among)


def _shapes_in(folder: Path) -> str | None:
    """The format of files that lie in it, or in folders for each class."""
    nested = [each for each in folder.iterdir() if each.is_dir() and each.name[:1] != "."]
    for name, layout in FORMATS.items():
        places = (folder, *nested) if layout.folders else ()
        if any(next(parts_of(each, layout.ending), None) is not None for each in places):
            return name
    return None


def single() -> tuple[str, ...]:
    """Names of the formats that pcgen reads whose files hold one event each."""
    return tuple(name for name in readable() if FORMATS[name].one_event)


def _what(among: Collection[str]) -> str:
    return "tables" if set(among) <= set(tables()) else "point files or pictures"


def open_file(
    path: str | Path,
    *,
    format: str | None = None,
    label: str | None = None,
    calorimeter: Calorimeter | None = None,
    columns: str | Columns | Sequence[Columns] | None = None,
    part: Literal["events", "context"] | None = None,
) -> CloudSource | ImageSource:
    """Open a file of clouds, images or showers, whichever it is.

    Args:
        path: File; for point files and pictures also a folder or a name such as ``event_%05d.ply``.
        format: A name of the table of formats; None: by ending and content.
        label: Class of all jets of a JetNet file; None: as the file or its name states it.
        calorimeter: The voxels of a file of showers; None: those that the file knows, and in a file
            of others only their number is known.
        columns: What the columns of a table are (:mod:`pcgen.io.tables`), or several choices, of
            which the first one that fits is taken; the file is then read as a table. As text, what
            the four columns of hits of CaloClouds are, with units, which such a file cannot state:
            ``"x [mm],layer,y [mm],energy [GeV]"``.
        part: Of a file of pairs the events without their contexts, or the contexts as the events;
            None: events with their contexts, if there are some.

    Raises:
        ArgumentError: the ending or the format is unknown, has no use for ``columns`` or ``part``,
            or a column is not there.
        FileError: the file is missing, truncated or of another layout.
        DataError: the class of an event cannot be used.
        MissingExtraError: the format needs a package that is not installed.
    """
    tabular = columns is not None and not isinstance(columns, str)
    chosen = read_format(path, format, table=tabular)
    reader = _loaded(FORMATS[chosen].reader)
    if columns is not None and "columns" not in inspect.signature(reader).parameters:
        raise ArgumentError(
            f"columns: got {columns!r}, but {path} is of the format {chosen}, expected none: its "
            "columns are known"
        )
    if part is not None and "part" not in inspect.signature(reader).parameters:
        raise ArgumentError(
            f"part: got {part!r}, but {path} is of the format {chosen}, expected a file of pairs "
            "of pcgen (.h5)"
        )
    options = {"label": label, "calorimeter": calorimeter, "columns": columns, "part": part}
    source: CloudSource | ImageSource = _call(reader, path, **options)
    return source


def open_cloud_file(
    path: str | Path, *, format: str | None = None, label: str | None = None
) -> CloudSource:
    """Open a file of clouds, in whichever layout it is; arguments as in :func:`open_file`.

    Raises:
        ArgumentError: the ending or the format is unknown.
        FileError: the file is missing, truncated, or holds no clouds.
    """
    source = open_file(path, format=format, label=label)
    if isinstance(source, CloudSource):
        return source
    source.close()
    what = source.kind
    raise FileError(f"{path}: holds {what}, expected clouds; pcgen convert makes them from {what}")


def cloud_writer(
    path: str | Path,
    schema: Schema,
    *,
    format: str | None = None,
    attrs: Mapping[str, Any] | None = None,
    particles: int = 150,
    context_schema: Schema | None = None,
) -> CloudSink:
    """A writer of clouds for a ``with`` statement.

    Args:
        path: File; for point files also a folder or a name such as ``event_%05d.ply``.
        schema: What the numbers mean.
        format: A format of clouds; None: by the ending.
        attrs: Further facts to store, where the format can (``"clouds"``, ``"arrays"``).
        particles: Particles per jet in JetNet's layout.
        context_schema: What the contexts of the clouds mean, which pcgen's own files (``"clouds"``)
            store; None: they are not written.

    Raises:
        ArgumentError: the ending or the format is unknown, or holds no clouds or no contexts.
    """
    if context_schema is not None and written_format(path, format) != "clouds":
        raise ArgumentError(f"{path}: got contexts, which only pcgen's own files (.h5) store")
    writer: Callable[..., CloudSink] = _writer(path, format, "clouds")
    options = {"attrs": attrs, "particles": particles, "context_schema": context_schema}
    return _call(writer, path, schema, **options)


def image_writer(
    path: str | Path,
    number: int,
    grid: Grid,
    schema: Schema,
    *,
    format: str | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> ImageSink:
    """A writer of images for a ``with`` statement.

    Args:
        path: File; for pictures also a folder or a name such as ``event_%05d.png``.
        number: How many events will come.
        grid: The cells.
        schema: Of the clouds that the images stand for.
        format: A format of images; None: by the ending.
        attrs: Further facts to store, where the format can (``"images"``, ``"npz"``).

    Raises:
        ArgumentError: the ending or the format is unknown, or holds no images.
    """
    writer: Callable[..., ImageSink] = _writer(path, format, "images")
    facts = {"number": number, "shape": grid.shape, "grid": grid, "schema": schema, "attrs": attrs}
    return _call(writer, path, **facts)


def shower_writer(
    path: str | Path,
    calorimeter: Calorimeter,
    *,
    format: str | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> ShowerSink:
    """A writer of showers for a ``with`` statement.

    Args:
        path: File.
        calorimeter: The voxels.
        format: A format of showers; None: by the ending.
        attrs: Further facts to store, where the format can (``"calochallenge"``).

    Raises:
        ArgumentError: the ending or the format is unknown, or holds no showers.
    """
    writer: Callable[..., ShowerSink] = _writer(path, format, "showers")
    return _call(writer, path, calorimeter=calorimeter, attrs=attrs)


def read_clouds(
    path: str | Path, *, format: str | None = None, label: str | None = None
) -> tuple[Batch, Schema]:
    """All clouds of a file and what they mean; arguments as in :func:`open_file`.

    Raises:
        ArgumentError: the ending or the format is unknown.
        FileError: the file is missing, truncated or holds no clouds.
        DataError: a value is NaN, infinite or a negative weight.
    """
    with open_cloud_file(path, format=format, label=label) as source:
        return source.read(), source.schema


def write_clouds(
    path: str | Path,
    clouds: Batch,
    schema: Schema,
    *,
    format: str | None = None,
    attrs: Mapping[str, Any] | None = None,
    grid: Grid | None = None,
    calorimeter: Calorimeter | None = None,
    context_schema: Schema | None = None,
) -> None:
    """Write all clouds to a file, at once or not at all; arguments as in :func:`cloud_writer`.

    Args:
        path: File.
        clouds: B clouds.
        schema: What the numbers mean.
        format: As in :func:`cloud_writer`.
        attrs: As in :func:`cloud_writer`.
        grid: Cells that the points come from, stored in pcgen's own files (``"clouds"``), so that
            they become images again without being given the grid.
        calorimeter: Voxels that the points come from, stored in the same way.
        context_schema: As in :func:`cloud_writer`.

    Raises:
        ArgumentError: the ending or the format is unknown, or holds no such clouds, no grid or no
            calorimeter; or these have other axes than the schema.
        FileError: the file cannot be written.
        DataError: a value is NaN, infinite or a negative weight, or disagrees with the schema.
    """
    for name, cells in (("grid", grid), ("calorimeter", calorimeter)):
        if cells is not None:
            if written_format(path, format) != "clouds":
                raise ArgumentError(
                    f"{path}: got a {name}, which only pcgen's own files (.h5) store"
                )
            cells.columns(schema.axes)
            attrs = {**(attrs or {}), name: cells.to_dict()}
    largest = max(convention.sizes(clouds).tolist(), default=0)
    writer = cloud_writer(
        path,
        schema,
        format=format,
        attrs=attrs,
        particles=max(largest, 1),
        context_schema=context_schema,
    )
    with writer:
        writer.append(clouds)


class _TriedError(Exception):
    """Ends the trial of an output, of which nothing stays."""


def check_output(
    path: str | Path, format: str | None = None, /, **inputs: str | Path | None
) -> None:
    """Refuse an output that cannot be written before the work whose result it will be.

    Args:
        path: File; for point files and pictures also a folder or a numbered name.
        format: A name of the table of formats; None: a file of no events.
        inputs: Files that are read, by the names of their arguments; None where none was given.

    Raises:
        ArgumentError: it would replace one of the inputs, or a number in the name has too many
            digits.
        FileError: it cannot be written, or such files are there already.
    """
    for name, source in inputs.items():
        if source is not None and os.path.realpath(source) == os.path.realpath(path):
            raise ArgumentError(f"{name}: got the output {path} itself, expected another file")
    several = None if format is None or not FORMATS[format].one_event else FORMATS[format].ending
    file = atomic(path) if several is None else writing(Path(path), several)
    with suppress(_TriedError), file:
        raise _TriedError


def _writer(path: str | Path, format: str | None, kind: Kind) -> Callable[..., Any]:
    chosen = written_format(path, format)
    if FORMATS[chosen].kind != kind:
        raise ArgumentError(
            f"{path}: got the format {chosen!r}, expected one of {', '.join(writable(kind))}"
        )
    return _loaded(FORMATS[chosen].writer)


def _loaded(place: str) -> Callable[..., Any]:
    """A reader or writer, as ``module:name`` of this package."""
    module, name = place.split(":")
    found: Callable[..., Any] = getattr(importlib.import_module(f"pcgen.io.{module}"), name)
    return found


def _call(function: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
    """Call a reader or a writer with those of the options that its signature takes."""
    takes = inspect.signature(function).parameters
    return function(*arguments, **{n: value for n, value in options.items() if n in takes})
