"""Flat arrays give back what was written, are read without a schema, and are checked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_clouds_file import SCHEMA, make

from pcgen import clouds, io
from pcgen.errors import DataError, FileError
from pcgen.io.arrays_file import ArraysFile, ArraysWriter
from pcgen.schema import Quantity


def same(a, b):
    left, right = clouds.attributes(a), clouds.attributes(b)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert torch.equal(a.ptr, b.ptr)


@pytest.mark.parametrize("plain", [False, True])
def test_what_is_written_in_blocks_is_read(tmp_path, plain):
    schema = SCHEMA if not plain else io.JETS
    first, second = (make(sizes, seed=sum(sizes), plain=plain) for sizes in ([2, 0, 3], [0, 1]))
    with ArraysWriter(tmp_path / "a.npz", schema, {"seed": 3}) as writer:
        writer.append(first)
        writer.append(second)
    with io.open_cloud_file(tmp_path / "a.npz") as file:
        assert isinstance(file, ArraysFile)
        assert (file.schema, file.attrs, file.passed_over) == (schema, {"seed": 3}, ())
        assert file.sizes().tolist() == [2, 0, 3, 0, 1]
        same(file.read(), clouds.concat([first, second]))
        same(file.read(1, 3), clouds.select(first, slice(1, 3)))
        if not plain:
            assert torch.equal(file.labels(), torch.cat([first.label, second.label]))


def test_numpy_reads_it_as_documented(tmp_path):
    io.write_clouds(tmp_path / "a.npz", make([2, 0, 1]), SCHEMA, format="arrays")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["ptr"].tolist() == [0, 2, 2, 3]
        assert arrays["pos"].shape == (3, 2)
        assert arrays["y"].shape == (3, 1)
        assert arrays["weight"].dtype == np.float32


def test_a_file_without_events_is_legal(tmp_path):
    with ArraysWriter(tmp_path / "a.npz", SCHEMA):
        pass
    assert io.read_clouds(tmp_path / "a.npz")[0].num_graphs == 0


def test_arrays_of_others_need_no_schema(tmp_path):
    values = {"pos": np.arange(8.0).reshape(2, 4), "ptr": [0, 2, 2], "weight": [1, 2]}
    np.savez(tmp_path / "a.npz", **values, y=[5.0, 6.0], label=["pi", "e"], more=[1])
    with io.open_cloud_file(tmp_path / "a.npz") as file:
        assert [axis.name for axis in file.schema.axes] == ["x", "y", "z", "axis_3"]
        assert file.schema.weight == Quantity("weight")
        assert file.schema.labels == ("e", "pi")
        assert file.passed_over == ("more",)
        file.passed_over = ()
        block = file.read()
    assert block.pos.tolist() == values["pos"].tolist()
    assert block.weight.tolist() == [1.0, 2.0]
    assert (block.y.tolist(), block.label.tolist()) == ([[5.0], [6.0]], [1, 0])


def test_images_in_npz_are_still_images(tmp_path):
    np.savez(tmp_path / "a.npz", image=np.ones((2, 3, 3)))
    with pytest.raises(FileError, match=r"a\.npz: holds images, expected clouds"):
        io.open_cloud_file(tmp_path / "a.npz")


GOOD = {"pos": np.zeros((3, 2)), "ptr": np.array([0, 3])}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"ptr": np.array([0, 2])}, DataError, "ptr of event 0 ends at row 2, expected the 3"),
        ({"ptr": np.array([0, 4, 3])}, DataError, "ptr of event 1 goes from row 4 to 3"),
        ({"pos": np.zeros(3)}, FileError, r"pos has shape \(3,\), expected \[N, D\]"),
        ({"weight": np.zeros(2)}, FileError, r"weight has shape \(2,\) of float64, expected"),
        ({"layer": np.zeros(3)}, FileError, "layer has shape .* expected whole numbers"),
        ({"pos": np.full((3, 2), np.nan)}, DataError, r"pos of event 0 is \[nan, nan\], expected"),
        ({"weight": np.array([1, -1, 1])}, DataError, "weight of event 0 is -1.0, expected a"),
        ({"y": np.zeros(2)}, FileError, r"y has shape \(2,\), expected \[B\]"),
        ({"label": np.array([-1])}, DataError, "label of event 0 is -1, expected a class"),
        ({"pos": np.array([["a", "b"]] * 3)}, FileError, "pos has shape .* expected numbers"),
        ({"schema": np.array("{")}, FileError, "its schema cannot be read"),
        ({"schema": np.array('{"axes": []}'), "attrs": np.array("3")}, FileError, "its schema"),
        ({"pos": np.array([[{}, {}]] * 3)}, FileError, "pos cannot be read .*no Python objects"),
    ],
)
def test_damage_is_named(tmp_path, change, error, message):
    np.savez(tmp_path / "a.npz", **{**GOOD, **change})
    with pytest.raises(error, match=rf"a\.npz: .*{message}"):
        io.read_clouds(tmp_path / "a.npz")


def test_a_schema_of_other_columns_is_refused(tmp_path):
    io.write_clouds(tmp_path / "a.npz", make([2]), SCHEMA, format="arrays")
    with np.load(tmp_path / "a.npz") as file:
        arrays = dict(file)
    np.savez(
        tmp_path / "b.npz", **{**arrays, "pos": np.zeros((2, 3)), "cell": np.zeros((2, 3), int)}
    )
    with pytest.raises(DataError, match="pos has 3 columns, expected the 2 of the schema"):
        io.read_clouds(tmp_path / "b.npz")


def test_other_attributes_than_in_the_first_block_are_refused(tmp_path):
    with ArraysWriter(tmp_path / "a.npz", SCHEMA) as writer:
        writer.append(make([2]))
        with pytest.raises(DataError, match="expected the same attributes in all"):
            writer.append(make([2], plain=True))
