"""A file decides nothing but its own contents: HDF5 that points elsewhere, devices, odd types."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pcgen import clouds, io
from pcgen.bounds import regular_file
from pcgen.errors import DataError, FileError, PcgenError
from pcgen.grids import Calorimeter
from pcgen.schema import Quantity, Schema

SHOWERS: dict[str, dict[str, tuple[int, ...]]] = {
    "calochallenge": {"showers": (3, 9), "incident_energies": (3, 1)},
    "hgcal": {"showers": (3, 2, 5), "gen_info": (3, 3)},
    "calogan": {
        "energy": (3, 1),
        "layer_0": (3, 3, 96),
        "layer_1": (3, 12, 12),
        "layer_2": (3, 12, 6),
    },
    "caloclouds": {"events": (3, 5, 4), "energy": (3, 1)},
}
"""Shapes of the data sets of files of showers."""
LAYOUTS = ("clouds", "images", "jetnet", *SHOWERS)


def layout(folder: Path, kind: str) -> tuple[Path, list[str]]:
    """A sound file of an HDF5 layout, and the data sets that are read."""
    path = folder / f"{kind}.h5"
    if kind == "clouds":
        batch = clouds.make(torch.ones(3, 1), [2, 1], weight=torch.ones(3), y=torch.ones(2, 1))
        io.write_clouds(path, batch, Schema((Quantity("x"),), Quantity("E"), (), (Quantity("T"),)))
        return path, ["pos", "weight", "ptr", "y"]
    with h5py.File(path, "w") as file:
        if kind == "images":
            file["image"], file["y"], file["label"] = np.ones((3, 4, 5)), np.ones(3), [0, 1, 0]
        elif kind == "jetnet":
            file["particle_features"] = np.ones((3, 2, 4))
            file["jet_features"], file["label"] = np.full((3, 4), 2.0), [0, 1, 2]
        else:
            file.update({name: np.ones(shape) for name, shape in SHOWERS[kind].items()})
        return path, list(file)


def read_all(path: Path) -> None:
    with io.open_file(path) as source:
        source.read()


def outside(file: h5py.File, name: str, other: Path, way: str) -> None:
    """Let a data set stand for numbers of another file, which is there and fits."""
    data = file[name][()]
    with h5py.File(other, "w") as twin:
        twin[name] = data
    other.with_suffix(".raw").write_bytes(data.tobytes())
    del file[name]
    if way == "external link":
        file[name] = h5py.ExternalLink(str(other), name)
    elif way == "soft link through an external one":
        file["way"], file[name] = h5py.ExternalLink(str(other), "/"), h5py.SoftLink(f"way/{name}")
    elif way == "virtual":
        source = h5py.VirtualLayout(data.shape, data.dtype)
        source[...] = h5py.VirtualSource(str(other), name, data.shape)
        file.create_virtual_dataset(name, source)
    else:
        raw = [(str(other.with_suffix(".raw")), 0, data.nbytes)]
        file.create_dataset(name, data.shape, data.dtype, external=raw)


WAYS = {
    "external link": "is a link to another file",
    "soft link through an external one": "is a link to another file",
    "virtual": "is a virtual data set",
    "external storage": "keeps its numbers in another file",
}


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("way", WAYS)
def test_no_data_set_stands_for_another_file(tmp_path: Path, kind: str, way: str) -> None:
    for name in layout(tmp_path, kind)[1]:
        path, _ = layout(tmp_path, kind)
        with h5py.File(path, "r+") as file:
            outside(file, name, tmp_path / "other.h5", way)
        with pytest.raises(FileError, match=rf"{kind}\.h5: /{name} {WAYS[way]}"):
            read_all(path)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_links_within_the_file_are_followed_and_circles_refused(tmp_path: Path, kind: str) -> None:
    path, names = layout(tmp_path, kind)
    with h5py.File(path, "r+") as file:
        file.create_group("deep/er")
        for name in names:
            file.move(name, f"deep/er/{name}")
            file[name] = h5py.SoftLink(f"/deep/./er/{name}")
    with pytest.warns(UserWarning, match=r"deep \(a group\) passed over"):
        read_all(path)
    for target in (f"/{names[0]}", "/second"):
        with h5py.File(path, "r+") as file:
            del file[names[0]]
            file[names[0]] = h5py.SoftLink(target)
            if file.get("second", getlink=True) is None:
                file["second"] = h5py.SoftLink(f"/{names[0]}")
        with pytest.raises(FileError, match=rf"/{names[0]} is a link that leads in a circle"):
            read_all(path)


ODD = {
    "type": lambda file, name: file.__setitem__(name, np.dtype("f4")),
    "null space": lambda file, name: file.__setitem__(name, h5py.Empty("f4")),
    "compound": lambda file, name: file.__setitem__(name, np.zeros(3, [("a", "f4")])),
    "references": lambda file, name: file.create_dataset(name, (3,), h5py.ref_dtype),
    "ragged": lambda file, name: file.create_dataset(name, (3,), h5py.vlen_dtype("f4")),
    "opaque": lambda file, name: file.__setitem__(name, np.zeros(3, "V5")),
    "zeros announced": lambda file, name: file.create_dataset(name, (10**12, 4), "f8", chunks=True),
}


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_data_set_of_numbers_or_text(tmp_path: Path, kind: str, odd: str) -> None:
    for name in layout(tmp_path, kind)[1]:
        path, _ = layout(tmp_path, kind)
        with h5py.File(path, "r+") as file:
            del file[name]
            ODD[odd](file, name)
        with pytest.raises(FileError, match=rf"{kind}\.h5: /{name}") as caught:
            read_all(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["format", "version", "schema", "attrs"])
@pytest.mark.parametrize("value", [[1, 2], h5py.Empty("f4"), "[" * 30_000, "[]", "{", 7, "null"])
def test_attributes_are_one_text_or_number(tmp_path: Path, name: str, value: object) -> None:
    path, _ = layout(tmp_path, "clouds")
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value
    with pytest.raises(FileError, match=r"clouds\.h5: "):
        read_all(path)


def test_other_byte_orders_and_sizes_are_read_right(tmp_path: Path) -> None:
    for kind in (">f4", ">f8", "<f8", "g", ">u2", "<u4", ">i8"):
        path, _ = layout(tmp_path, "clouds")
        with h5py.File(path, "r+") as file:
            del file["weight"], file["ptr"]
            file["weight"] = np.array([1, 2, 3]).astype(kind)
            file["ptr"] = np.array([0, 2, 3], ">u8")
        batch, _ = io.read_clouds(path)
        assert batch.weight.tolist() == [1, 2, 3]
        assert clouds.sizes(batch).tolist() == [2, 1]


def test_unsigned_pointers_that_fall_are_refused(tmp_path: Path) -> None:
    path, _ = layout(tmp_path, "clouds")
    with h5py.File(path, "r+") as file:
        del file["ptr"], file["y"]
        file["ptr"] = np.array([0, 4, 3], np.uint64)
        file["y"] = np.ones((2, 1))
    with pytest.raises(DataError, match=r"/ptr of event 1 goes from row 4 to 3"):
        io.open_file(path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((1, 0, 3), 0.0, "particle 0 of event 1 is .* under the mask 0"),
        ((1, 1), 0.0, "event 1 has 1 particles, expected 2 as jet_features states"),
    ],
)
def test_mask_numbers_and_count_of_jets_agree(tmp_path, place, value, message) -> None:
    particles, jets = np.ones((3, 4, 4)), np.full((3, 4), 2.0)
    particles[:, 2:] = 0
    for path in (tmp_path / "good.hdf5", tmp_path / "bad.hdf5"):
        with h5py.File(path, "w") as file:
            file["particle_features"], file["jet_features"] = particles, jets
        particles[place] = value
    read_all(tmp_path / "good.hdf5")
    with pytest.raises(DataError, match=rf"bad\.hdf5: {message}"):
        read_all(tmp_path / "bad.hdf5")


@pytest.mark.parametrize("ending", [".h5", ".hdf5", ".npy", ".npz", ".png", ".ply", ".pcd", ".xyz"])
def test_devices_fifos_and_sockets_are_no_files(tmp_path, monkeypatch, ending) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    device, fifo, plug = (tmp_path / f"{name}{ending}" for name in ("device", "fifo", "plug"))
    device.symlink_to("/dev/zero")
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(plug.name)
    for path in (device, fifo, plug):
        with pytest.raises(FileError, match=rf"{re.escape(str(path))}: is a device, FIFO or sock"):
            io.open_file(path)
        with pytest.raises(FileError, match="is a device, FIFO or socket"):
            Calorimeter.from_xml(path)
        if ending != ".png":
            continue
        with pytest.raises(PcgenError, match="is a device, FIFO or socket"):
            io.open_file(tmp_path)


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "no/such", "b.h5/c"])
def test_names_that_no_system_takes_are_missing_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "b.h5").write_bytes(b"x")
    with pytest.raises(FileError):
        regular_file(tmp_path / name)
