"""The formats of files of events: one table, for reading, writing, recognising, help and messages.

A reader and a writer are named as ``module:name`` in :mod:`pcgen.io` and loaded when a file needs
them: this module itself loads neither torch nor a file library, so that the help of the command
line can list the formats. Each is called with what its signature takes of the following:

================= ================ =================================================
what              always           where the signature has them
================= ================ =================================================
reader            ``path``         ``label``, ``calorimeter``, ``columns``
writer of clouds  ``path, schema`` ``attrs``, ``particles``
writer of images  ``path``         ``number``, ``shape``, ``grid``, ``schema``, ``attrs``
writer of showers ``path``         ``calorimeter``, ``attrs``
================= ================ =================================================

A reader is a :class:`~pcgen.io.CloudSource`, an :class:`~pcgen.io.ImageSource` or a
:class:`~pcgen.io.ShowerSource`, by its kind; a writer is a :class:`~pcgen.io.CloudSink`, an
:class:`~pcgen.io.ImageSink` or a :class:`~pcgen.io.ShowerSink`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pcgen.errors import ArgumentError

Kind = Literal["clouds", "images", "showers"]
"""What the events of a file are: clouds, images on a grid, or showers on the voxels of a
calorimeter."""


class Layout(NamedTuple):
    """A format of files.

    Attributes:
        kind: What its events are.
        ending: Of its files' names.
        about: What it is, in a few words, for messages and the docs.
        reader: Who opens it for reading; empty where pcgen does not read it.
        writer: Who writes it; empty where pcgen does not.
        content: Names of arrays by which HDF5 and .npz files are recognised: one of these is there,
            where a blank joins names that belong together. Empty: such a file is what no other
            format of its ending is.
        one_event: A file holds one event; many are a folder, or a name such as ``event_%05d.ply``.
        folders: A file holds one event; many are a folder, with a folder for each class.
        table: A file holds columns, and options or a preset state what they are: it is read so
            where these are given (:mod:`pcgen.io.tables`).
    """

    kind: Kind
    ending: str
    about: str
    reader: str = ""
    writer: str = ""
    content: tuple[str, ...] = ()
    one_event: bool = False
    folders: bool = False
    table: bool = False


FORMATS: dict[str, Layout] = {
    "clouds": Layout(
        "clouds",
        ".h5",
        "clouds that pcgen wrote",
        reader="clouds_file:CloudFile",
        writer="clouds_file:CloudWriter",
        content=("pos ptr",),
    ),
    "jetnet": Layout(
        "clouds",
        ".hdf5",
        "JetNet's jets",
        reader="jetnet:JetNetFile",
        writer="jetnet:JetNetWriter",
        content=("particle_features",),
    ),
    "ply": Layout(
        "clouds",
        ".ply",
        "points",
        reader="point_files:read_ply",
        writer="point_files:write_ply",
        one_event=True,
    ),
    "pcd": Layout(
        "clouds",
        ".pcd",
        "points",
        reader="point_files:read_pcd",
        writer="point_files:write_pcd",
        one_event=True,
    ),
    "xyz": Layout(
        "clouds",
        ".xyz",
        "points as text",
        reader="point_files:read_xyz",
        writer="point_files:write_xyz",
        one_event=True,
    ),
    "npy": Layout(
        "images",
        ".npy",
        "images alone",
        reader="npy:NpyFile",
        writer="npy:NpyWriter",
    ),
    "npz": Layout(
        "images",
        ".npz",
        "images with grid, conditions and classes",
        reader="npy:NpzFile",
        writer="npy:NpzWriter",
    ),
    "png": Layout(
        "images",
        ".png",
        "images as greyscale pictures of 16 bits",
        reader="png:PngFiles",
        writer="png:PngWriter",
        one_event=True,
    ),
    "images": Layout(
        "images",
        ".h5",
        "images [B, ...]",
        reader="image_hdf5:ImageFile",
        writer="image_hdf5:ImageWriter",
        content=("image", "images"),
    ),
    "arrays": Layout(
        "clouds",
        ".npz",
        "clouds as flat arrays",
        reader="arrays_file:ArraysFile",
        writer="arrays_file:ArraysWriter",
        content=("pos ptr",),
    ),
    "shapenet": Layout(
        "clouds",
        ".npy",
        "shapes as points in folders, as ShapeNet's PC15k",
        reader="shape_folders:read_shapenet",
        folders=True,
    ),
    "modelnet": Layout(
        "clouds",
        ".off",
        "meshes in folders, as ModelNet's; points are sampled",
        reader="shape_folders:read_modelnet",
        folders=True,
    ),
    "hepmc": Layout(
        "clouds",
        ".hepmc",
        "HepMC3 (and HepMC2 for reading)",
        reader="tables.reader:read_hepmc",
        writer="hepmc:HepMCWriter",
        table=True,
    ),
    "calochallenge": Layout(
        "showers",
        ".hdf5",
        "the CaloChallenge's showers",
        reader="calochallenge:ShowerFile",
        writer="calochallenge:ShowerWriter",
        content=("showers incident_energies",),
    ),
    "hgcal": Layout(
        "showers",
        ".h5",
        "showers of the CMS HGCal challenge",
        reader="hgcal:HgcalFile",
        content=("showers gen_info",),
    ),
    "calogan": Layout(
        "showers",
        ".hdf5",
        "CaloGAN's showers in three layers",
        reader="calogan:CaloganFile",
        content=("energy layer_0 layer_1 layer_2",),
    ),
    "caloclouds": Layout(
        "clouds",
        ".hdf5",
        "hits of CaloClouds or CaloHadronic",
        reader="caloclouds:CaloCloudsFile",
        content=("events energy",),
    ),
    "showerdata": Layout(
        "clouds",
        ".h5",
        "hits of showers in ShowerData's layout",
        reader="showerdata:ShowerDataFile",
        writer="showerdata:ShowerDataWriter",
        content=("showers shape energies",),
    ),
    "root": Layout(
        "clouds",
        ".root",
        "columns of a TTree or RNTuple",
        reader="tables.reader:read_root",
        table=True,
    ),
    "parquet": Layout(
        "clouds",
        ".parquet",
        "columns of Arrow and awkward",
        reader="tables.reader:read_parquet",
        table=True,
    ),
    "csv": Layout(
        "clouds",
        ".csv",
        "columns of text, also .tsv and .csv.gz",
        reader="tables.reader:read_csv",
        table=True,
    ),
    "hdf5-table": Layout(
        "clouds",
        ".h5",
        "columns of HDF5",
        reader="tables.reader:read_hdf5",
        table=True,
    ),
    "npz-table": Layout(
        "clouds",
        ".npz",
        "columns of NumPy",
        reader="tables.reader:read_npz",
        table=True,
    ),
}
"""Every format; the first one of an ending is what is written by that ending alone."""

_ALSO = {
    ".hdf5": ".h5",
    ".hepmc3": ".hepmc",
    ".tsv": ".csv",
    ".csv.gz": ".csv",
    ".tsv.gz": ".csv",
    ".hepmc.gz": ".hepmc",
    ".hepmc3.gz": ".hepmc",
}
"""Endings of tables that are read as another one."""


def readable(kind: Kind | None = None) -> tuple[str, ...]:
    """Names of the formats that pcgen reads, those of one kind or all."""
    return tuple(n for n, each in FORMATS.items() if each.reader and kind in (None, each.kind))


def tables() -> tuple[str, ...]:
    """Names of the formats of tables."""
    return tuple(name for name, each in FORMATS.items() if each.table)


def writable(kind: Kind | None = None) -> tuple[str, ...]:
    """Names of the formats that pcgen writes, those of one kind or all."""
    return tuple(n for n, each in FORMATS.items() if each.writer and kind in (None, each.kind))


if TYPE_CHECKING:
    Format = str
    Readable = str
    Writable = str
else:
    # The choices of the command line.
    Format, Readable, Writable = (Literal[n] for n in (tuple(FORMATS), readable(), writable()))


def named(names: Collection[str]) -> str:
    """Names of formats with their endings, for messages.

    >>> named(["clouds", "npy"])
    'clouds (.h5), npy (.npy)'
    """
    return ", ".join(f"{name} ({FORMATS[name].ending})" for name in names)


def endings(names: Collection[str]) -> tuple[str, ...]:
    """The endings of formats, each once.

    >>> endings(["clouds", "images", "npy"])
    ('.h5', '.npy')
    """
    return tuple(dict.fromkeys(FORMATS[name].ending for name in names))


def ending_of(path: str | Path) -> str:
    """The ending of a file's name, with that of what is packed in it.

    >>> ending_of("a.H5"), ending_of("event.1.csv.gz")
    ('.h5', '.csv.gz')
    """
    suffixes = Path(path).suffixes
    packed = suffixes[-1:] == [".gz"] and len(suffixes) > 1
    return "".join(suffixes[-2:] if packed else suffixes[-1:]).lower()


def _first(ending: str | None, among: Collection[str]) -> str | None:
    return next((name for name in among if FORMATS[name].ending == ending), None)


def by_name(path: str | Path, format: str | None, among: Collection[str]) -> str:
    """The format that is chosen, or else the first one of the ending of a file's name.

    Args:
        path: File; it need not be there.
        format: One of ``among``; None: by the ending.
        among: Names of formats.

    Raises:
        ArgumentError: the ending or the format is not among these.
    """
    ending = ending_of(path)
    found = format or _first(ending, among) or _first(_ALSO.get(ending), among)
    if found in among:
        return str(found)
    if format is not None:
        raise ArgumentError(f"format: got {format!r}, expected {named(among)}")
    packed = "; unpack it with gunzip" if ending.endswith(".gz") else ""
    raise ArgumentError(
        f"{path}: got the ending {ending!r}, expected one of {', '.join(endings(among))}, "
        f"or a format (--from and --to of pcgen convert): {named(among)}{packed}"
    )


def written_format(path: str | Path, format: str | None = None) -> str:
    """Format of a file to be written: the one that is chosen, or that of its ending.

    Raises:
        ArgumentError: pcgen writes no such ending or format.
    """
    return by_name(path, format, writable())
