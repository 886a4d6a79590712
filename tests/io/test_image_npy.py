"""Images in npy and npz: in blocks, without pickles, refused where damaged."""

from __future__ import annotations

import json
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from images_to_write import GRID, LAYERED, make, write

from pcgen import io
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.grids import Grid


def test_numpy_reads_what_is_written(tmp_path):
    images = make(3, LAYERED)
    write(tmp_path / "a.npy", images, grid=LAYERED)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), images.image.numpy())
    write(tmp_path / "a.npz", images, grid=LAYERED)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["image"], images.image.numpy())
        np.testing.assert_array_equal(file["edges_eta"], GRID.edges[0])
        assert file["axes"].tolist() == ["eta", "phi"]
        assert file["units"].tolist() == ["", "rad"]
        assert file["layers"].tolist() == ["ECAL", "HCAL"]
        np.testing.assert_array_equal(file["periods"], [np.nan, 6.5])
        assert json.loads(file["schema"].item())["weight"]["unit"] == "MeV"


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_large_files_are_never_in_memory_as_a_whole(tmp_path, name):
    grid = Grid.regular({"x": (0, 1, 256), "y": (0, 1, 256)})  # 256 kB an event
    block = io.Images(torch.zeros(8, *grid.shape))
    tracemalloc.start()
    write(tmp_path / name, *[block] * 32, grid=grid, number=256)
    with io.open_file(tmp_path / name) as source:
        total = sum(float(images.image.sum()) for images in source.blocks(8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 0
    assert peak < 16e6  # of 67 MB


class Evil:
    """Unpickling this would leave a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_nothing_is_unpickled(tmp_path):
    trap = np.array([Evil(str(tmp_path / "trace"))], dtype=object)
    np.save(tmp_path / "a.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "a.npz", image=trap)
    np.savez(tmp_path / "b.npz", image=np.zeros((2, 3, 2)), axes=trap)
    (tmp_path / "c.npy").write_bytes(pickle.dumps(trap))
    for name in ("a.npy", "a.npz", "b.npz", "c.npy"):
        with pytest.raises((FileError, DataError)):
            io.open_file(tmp_path / name)
    assert not (tmp_path / "trace").exists()


def test_damage_inside_an_archive(tmp_path):
    path = tmp_path / "a.npz"
    write(path, make(200))
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("image.npy").header_offset + 1000
    data[start : start + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"a\.npz: damaged"), io.open_file(path) as source:
        source.read()


def test_wrong_keys_and_shapes(tmp_path):
    image = np.zeros((2, 3, 2))
    for number, (arrays, message) in enumerate(
        (
            ({"a": image, "b": image}, "arrays a, b, expected image among them"),
            ({"image": np.zeros(3)}, r"array of shape \(3,\), expected images"),
            ({"image": image, "y": np.zeros(3)}, r"y has shape \(3,\), expected \[B\] or \[B, C\]"),
            ({"image": image, "label": [1]}, r"label has shape \(1,\), expected \[B\]"),
            ({"image": image, "axes": ["x", "y"]}, "its grid cannot be read .*edges_x"),
            (
                {"image": image, "axes": ["x"], "edges_x": [0.0, 1]},
                r"images have shape \(3, 2\), expected \(1,\) as in its grid",
            ),
            (
                {"image": image, "axes": ["x"], "edges_x": [0.0, 1], "schema": "{"},
                "its grid cannot be read",
            ),
        )
    ):
        np.savez(tmp_path / f"{number}.npz", **arrays)
        with pytest.raises(FileError, match=message):
            io.open_file(tmp_path / f"{number}.npz")
    np.save(tmp_path / "complex.npy", image.astype(complex))
    with pytest.raises(DataError, match="array of complex128, expected real numbers"):
        io.open_file(tmp_path / "complex.npy")


def test_announced_number_and_shape_are_kept_to(tmp_path):
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ArgumentError, match="got 2 events, expected the 3 announced"):
            write(tmp_path / name, make(2), number=3)
        with pytest.raises(ArgumentError, match=r"expected \[b, \(3, 2\)\] of float32"):
            write(tmp_path / name, make(2), make(1, LAYERED), number=3)
    assert list(tmp_path.iterdir()) == []
