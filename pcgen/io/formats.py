"""Which layout a file has, and who reads and writes it.

============= ============= ===================================================
format        ending        what
============= ============= ===================================================
clouds        .h5           pcgen's ragged clouds
jetnet        .hdf5         JetNet's layout of jets
ply pcd xyz   of that name  clouds as point files, one event each
npy npz       of that name  images
png           .png          images as greyscale pictures, one event each
arrays        (.npz)        clouds as flat arrays
hepmc         .hepmc        jets as HepMC3 events, for writing
images        (.h5)         images in HDF5
calochallenge (.hdf5)       the CaloChallenge's showers, for reading
============= ============= ===================================================

The ending decides; HDF5 and .npz files are read as what their content says.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import h5py
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError, FileError
from pcgen.grids import Calorimeter, Grid
from pcgen.io.arrays_file import ArraysFile, ArraysWriter, is_arrays
from pcgen.io.calochallenge import ShowerFile, is_showers
from pcgen.io.clouds_file import CloudFile, CloudWriter
from pcgen.io.hdf5 import open_hdf5
from pcgen.io.hdf5_door import attribute, listed, names_of
from pcgen.io.hepmc import HepMCWriter, unread
from pcgen.io.image_hdf5 import ImageFile, ImageWriter
from pcgen.io.image_source import ImageSink, ImageSource
from pcgen.io.jetnet import JetNetFile, is_jetnet
from pcgen.io.jetnet_writer import JetNetWriter
from pcgen.io.npy import NpyFile, NpyWriter, NpzFile, NpzWriter
from pcgen.io.png import PngFiles, PngWriter
from pcgen.io.point_files import PointFiles, PointWriter
from pcgen.io.points import PCD, PLY, XYZ, PointFormat
from pcgen.io.source import CloudSink, CloudSource
from pcgen.schema import Schema

CloudFormat = Literal["clouds", "jetnet", "ply", "pcd", "xyz", "arrays", "hepmc"]
ImageFormat = Literal["images", "npy", "npz", "png"]
Format = Literal[
    "clouds",
    "jetnet",
    "ply",
    "pcd",
    "xyz",
    "npy",
    "npz",
    "png",
    "images",
    "arrays",
    "hepmc",
    "calochallenge",
]


class Layout(NamedTuple):
    """A layout of files.

    Attributes:
        ending: Of its files' names.
        opens: Opens a file for reading.
    """

    ending: str
    opens: Callable[[str | Path], CloudSource | ImageSource]


_POINTS: dict[str, PointFormat] = {"ply": PLY, "pcd": PCD, "xyz": XYZ}

FORMATS: dict[Format, Layout] = {
    "clouds": Layout(".h5", CloudFile),
    "jetnet": Layout(".hdf5", JetNetFile),
    "ply": Layout(".ply", partial(PointFiles, format=PLY)),
    "pcd": Layout(".pcd", partial(PointFiles, format=PCD)),
    "xyz": Layout(".xyz", partial(PointFiles, format=XYZ)),
    "npy": Layout(".npy", NpyFile),
    "npz": Layout(".npz", NpzFile),
    "png": Layout(".png", PngFiles),
    "images": Layout(".h5", ImageFile),
    "arrays": Layout(".npz", ArraysFile),
    "hepmc": Layout(".hepmc", unread),
    "calochallenge": Layout(".hdf5", ShowerFile),
}
"""Every layout; the first one of an ending is what is written by that ending alone."""


def _known(formats: Iterable[Format] = FORMATS) -> str:
    return ", ".join(f"{name} ({FORMATS[name].ending})" for name in formats)


def written_format(path: str | Path, format: str | None = None) -> Format:
    """Format of a file to be written: as asked, or as its ending says.

    Raises:
        ArgumentError: the ending or the format is unknown.
    """
    ending = Path(path).suffix.lower()
    for known, layout in FORMATS.items():
        if known == format or (format is None and layout.ending == ending):
            return known
    if format is not None:
        raise ArgumentError(f"format: got {format!r}, expected {_known()}")
    endings = dict.fromkeys(layout.ending for layout in FORMATS.values())
    raise ArgumentError(
        f"{path}: got the ending {ending!r}, expected one of {', '.join(endings)}, "
        f"or a format: {_known()}"
    )


def read_format(path: str | Path, format: str | None = None) -> Format:
    """Format of a file or folder that is there: as asked, or as ending and content say.

    Raises:
        ArgumentError: the ending or the format is unknown.
        FileError: the file is missing, or HDF5 that is truncated or of no known layout.
    """
    path = Path(path)
    if format is None and path.is_dir():
        return _folder_format(path)
    if format is None and not path.suffix and not path.exists():
        near = sorted(each.name for each in path.parent.glob(f"{glob.escape(path.name)}.*"))
        hint = f", did you mean {near[0]}?" if near else ", expected a file of events"
        raise FileError(f"{path}: no such file{hint}")
    if format is None and path.suffix.lower() == ".npz":
        return "arrays" if is_arrays(path) else "npz"
    if format is not None or path.suffix.lower() not in (".h5", ".hdf5"):
        return written_format(path, format)
    with open_hdf5(path) as file:
        return _hdf5_format(file, path)


def _hdf5_format(file: h5py.File, path: Path) -> Format:
    """Layout of an HDF5 file, by the names of what is in it."""
    names = names_of(file, path)
    if is_jetnet(names):
        return "jetnet"
    if is_showers(names):
        return "calochallenge"
    if "image" in names or "images" in names:
        return "images"
    if attribute(file, "format", path) is not None or ("pos" in names and "ptr" in names):
        return "clouds"
    raise FileError(
        f"{path}: got the data sets {listed(file, path)}, expected image or images "
        "[B, ...], JetNet's particle_features and jet_features, CaloChallenge's showers and "
        "incident_energies, or clouds that pcgen wrote"
    )


def _folder_format(folder: Path) -> Format:
    endings = {file.suffix.lower() for file in folder.iterdir() if not file.name.startswith(".")}
    found = sorted(endings & {".ply", ".pcd", ".xyz", ".png"})
    if len(found) != 1:
        raise FileError(
            f"{folder}: is a folder with {', '.join(found) or 'no'} point files or pictures, "
            f"expected files of one ending .ply, .pcd, .xyz or .png, or a format"
        )
    return written_format(f"events{found[0]}")


def open_file(
    path: str | Path,
    *,
    format: str | None = None,
    label: str | None = None,
    calorimeter: Calorimeter | None = None,
) -> CloudSource | ImageSource:
    """Open a file of clouds, images or showers, whichever it is.

    Args:
        path: File; for point files and pictures also a folder or a name such as ``event_%05d.ply``.
        format: One of the formats above; None: by ending and content.
        label: Class of all jets of a JetNet file; None: as the file or its name states it.
        calorimeter: The voxels of a file of showers; without it only their number is known.

    Raises:
        ArgumentError: the ending or the format is unknown.
        FileError: the file is missing, truncated or of another layout.
        DataError: the class of an event cannot be used.
    """
    chosen = read_format(path, format)
    if chosen == "jetnet":
        return JetNetFile(path, label)
    if chosen == "calochallenge":
        return ShowerFile(path, calorimeter)
    return FORMATS[chosen].opens(path)


def open_cloud_file(
    path: str | Path, *, format: CloudFormat | None = None, label: str | None = None
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
    what = "showers" if isinstance(source, ShowerFile) else "images"
    raise FileError(f"{path}: holds {what}, expected clouds; pcgen convert makes them from {what}")


def cloud_writer(
    path: str | Path,
    schema: Schema,
    *,
    format: str | None = None,
    attrs: Mapping[str, Any] | None = None,
    particles: int = 150,
) -> CloudSink:
    """A writer of clouds for a ``with`` statement.

    Args:
        path: File; for point files also a folder or a name such as ``event_%05d.ply``.
        schema: What the numbers mean.
        format: ``"clouds"``, ``"jetnet"``, ``"ply"``, ``"pcd"``, ``"xyz"``, ``"arrays"`` or
            ``"hepmc"``; None: by the ending.
        attrs: Further facts to store, where the format can (``"clouds"``, ``"arrays"``).
        particles: Particles per jet in JetNet's layout.

    Raises:
        ArgumentError: the ending or the format is unknown, or holds no clouds.
    """
    chosen = written_format(path, format)
    if chosen == "clouds":
        return CloudWriter(path, schema, attrs=attrs)
    if chosen == "jetnet":
        return JetNetWriter(path, schema, particles=particles)
    if chosen == "arrays":
        return ArraysWriter(path, schema, attrs)
    if chosen == "hepmc":
        return HepMCWriter(path, schema, attrs)
    if chosen in _POINTS:
        return PointWriter(path, schema, _POINTS[chosen])
    raise ArgumentError(
        f"{path}: got the format {chosen!r}, expected one of {', '.join(get_args(CloudFormat))}"
    )


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
        format: ``"images"``, ``"npy"``, ``"npz"`` or ``"png"``; None: by the ending.
        attrs: Further facts to store, where the format can (``"images"``, ``"npz"``).

    Raises:
        ArgumentError: the ending or the format is unknown, or holds no images.
    """
    chosen = written_format(path, format)
    if chosen == "npy":
        return NpyWriter(path, number, grid.shape)
    if chosen == "npz":
        return NpzWriter(path, number, grid, schema, attrs)
    if chosen == "images":
        return ImageWriter(path, grid, schema, attrs)
    if chosen == "png":
        return PngWriter(path, grid, schema)
    raise ArgumentError(
        f"{path}: got the format {chosen!r}, expected one of {', '.join(get_args(ImageFormat))}"
    )


def read_clouds(
    path: str | Path, *, format: CloudFormat | None = None, label: str | None = None
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
    format: CloudFormat | None = None,
    attrs: Mapping[str, Any] | None = None,
    grid: Grid | None = None,
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

    Raises:
        ArgumentError: the ending or the format is unknown, or holds no such clouds or no grid; or
            the grid has other axes than the schema.
        FileError: the file cannot be written.
        DataError: a value is NaN, infinite or a negative weight, or disagrees with the schema.
    """
    if grid is not None:
        if written_format(path, format) != "clouds":
            raise ArgumentError(f"{path}: got a grid, which only pcgen's own files (.h5) store")
        grid.columns(schema.axes)
        attrs = {**(attrs or {}), "grid": grid.to_dict()}
    largest = max(convention.sizes(clouds).tolist(), default=0)
    writer = cloud_writer(path, schema, format=format, attrs=attrs, particles=max(largest, 1))
    with writer:
        writer.append(clouds)
