"""Images in HDF5: data sets and attributes that do not fit each other are refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from images_to_write import make, write

from pcgen import io
from pcgen.errors import DataError, FileError


def test_wrong_hdf5(tmp_path):
    def change(name, value):
        write(tmp_path / "a.h5", make(2), format="images")
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            if name in file:
                del file[name]
                file[name] = value
            else:
                file.attrs[name] = value

    for name, value, message in (
        ("image", np.zeros(3), r"/image has shape \(3,\), expected images"),
        ("image", np.zeros((2, 4, 2)), r"images have shape \(4, 2\), expected \(3, 2\)"),
        ("y", np.zeros(3), r"y has shape \(3,\), expected \[B\] or \[B, C\] for B = 2 events"),
        ("y", np.zeros((2, 4)), r"y has 4 columns, expected the 1 of its schema \(incident\)"),
        ("label", np.zeros(5), r"label has shape \(5,\)"),
        ("label", np.array([0, 2]), "label of event 1 is 2, expected one of the classes e, pi"),
        ("version", 3, "version 3 of pcgen-images, expected 1"),
        ("format", "pcgen-clouds", "format 'pcgen-clouds' .* expected .* 'pcgen-images'"),
        ("attrs", "{}", "grid: got {}"),
    ):
        change(name, value)
        with pytest.raises((FileError, DataError), match=message):
            io.open_file(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["other"] = 1
    with pytest.raises(FileError, match="data sets other, expected image among them"):
        io.open_file(tmp_path / "b.h5", format="images")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["image"] = np.array([[b"a"]])
    with io.open_file(tmp_path / "c.h5") as source, pytest.raises(DataError, match="real numbers"):
        source.read()
