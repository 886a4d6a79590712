"""pcgen convert of point files: types of floats, missing coordinates, and training on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pcgen import clouds, io
from pcgen.datasets import open_clouds
from pcgen.errors import ArgumentError, DataError
from pcgen.schema import Quantity, Schema
from pcgen.tools.convert import convert
from pcgen.tools.train import train

SPACE = Schema(tuple(Quantity(axis) for axis in "xyz"))
TWO = {"steps": 2, "batch_size": 4, "samples": 0, "validate_events": 4, "accelerator": "cpu",
       "progress": False}  # fmt: skip


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def shape(seed=0, points=8):
    return np.random.default_rng(seed).normal(size=(points, 3))


def write_doubles(name, points):
    """A foreign file of doubles; text of 18 digits for xyz, as numpy.savetxt writes it."""
    text = "\n".join(" ".join(map(repr, row)) for row in points.tolist())
    if name.endswith(".xyz"):
        np.savetxt(name, points)
        return
    head = (
        "ply\nformat ascii 1.0\nelement vertex {0}\nproperty double x\nproperty double y\n"
        "property double z\nend_header\n"
        if name.endswith(".ply")
        else "FIELDS x y z\nSIZE 8 8 8\nTYPE F F F\nWIDTH {0}\nHEIGHT 1\nPOINTS {0}\nDATA ascii\n"
    )
    with open(name, "w") as file:
        file.write(head.format(len(points)) + text + "\n")


@pytest.mark.parametrize("ending", ["xyz", "ply", "pcd"])
def test_a_folder_of_double_precision_is_converted_and_trained_on(tmp_path, ending, capsys):
    folder = tmp_path / "shapes"
    folder.mkdir()
    for number in range(16):
        write_doubles(f"shapes/{number}.{ending}", shape(number))
    convert("shapes", "a.h5", block=5)
    assert "rounded to float32 (--dtype float64 keeps all digits)" in capsys.readouterr().out
    batch, _ = io.read_clouds("a.h5")
    assert batch.pos.dtype == torch.float32
    expected = np.concatenate([shape(number) for number in range(16)])
    np.testing.assert_array_equal(batch.pos.numpy(), expected.astype("f4"))
    train("points-autoencoder", {}, data=["a.h5"], output="run", **TWO)
    convert("shapes", "b.h5", dtype="float64")
    exact, _ = io.read_clouds("b.h5")
    np.testing.assert_array_equal(exact.pos.numpy(), expected)
    train("points-autoencoder", {}, data=["b.h5"], output="double", **TWO)


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ([1.0, 16777217.0], "x of event 1 is [16777217.0]"),
        ([1.0, 1e39], "x of event 1 is [1e+39]"),
        ([1.0, -1e-40], "x of event 1 is [-1e-40]"),
    ],
)
def test_values_that_need_double_precision_keep_it_in_all_events(column, why, capsys):
    write = "x y z t\n{0[0]!r} {0[1]!r} {0[2]!r} {1!r}\n"
    for number, value in enumerate(column):
        with open(f"e_{number}.xyz", "w") as file:
            file.write(write.format(shape()[0].tolist(), value))
    for block in (1, 2):
        convert("e_%d.xyz", "a.h5", block=block)
        batch, _ = io.read_clouds("a.h5")
        assert batch.pos.dtype == batch.x.dtype == torch.float64
        assert batch.x[:, 0].tolist() == column
        assert f"stored as float64, since e_%d.xyz: {why}" in capsys.readouterr().out
        with pytest.raises(DataError, match=r"expected values that float32 holds, or --dtype fl"):
            convert("e_%d.xyz", "b.h5", dtype="float32", block=block)


@pytest.mark.parametrize(("offset", "kind"), [(0.0, torch.float32), (5e6, torch.float64)])
def test_coordinates_far_from_the_origin_keep_their_distances(offset, kind):
    points = shape() + np.array([offset, 0, 0])
    np.savetxt("a.xyz", points)
    convert("a.xyz", "a.h5")
    batch, _ = io.read_clouds("a.h5")
    assert batch.pos.dtype == kind
    apart = torch.from_numpy(points).diff(dim=0)
    torch.testing.assert_close(batch.pos.double().diff(dim=0), apart, rtol=1e-3, atol=1e-5)


def test_a_flat_cloud_with_noise_of_rounding_is_float32():
    points = shape()
    points[:, 2] = 1 + 1e-15 * points[:, 2]
    np.savetxt("a.xyz", points)
    convert("a.xyz", "a.h5")
    assert io.read_clouds("a.h5")[0].pos.dtype == torch.float32


@pytest.mark.parametrize("block", [1, 2, 3])
def test_float_and_double_files_are_of_one_type(block):
    points = clouds.make(torch.tensor([[0.5, 0.25, 0.125]]), [1])
    io.write_clouds("0_0.ply", points, SPACE)
    write_doubles("0_1.ply", points.pos.double().numpy())
    io.write_clouds("0_2.ply", clouds.cast(points, torch.float64), SPACE)
    convert("0_%d.ply", "a.h5", block=block)
    batch, _ = io.read_clouds("a.h5")
    assert batch.pos.dtype == torch.float32
    assert batch.pos.tolist() == points.pos.expand(3, 3).tolist()


@pytest.mark.parametrize("name", ["a.pcd", "a.ply", "a.xyz", "a.h5"])
@pytest.mark.parametrize("target", ["b.h5", "b.npy"])
def test_points_without_coordinates_are_left_out_and_counted(name, target, capsys):
    points = np.array([[0, 0, 0], [np.nan] * 3, [4, 5, np.inf], [0.5, 0.5, 0.5]])
    if name == "a.h5":
        import h5py

        io.write_clouds(name, clouds.make(torch.zeros(4, 3), [4]), SPACE)
        with h5py.File(name, "r+") as file:
            file["pos"][:] = points
    else:
        write_doubles(name, points)
    grid = {"grid": "x:0:1:2,y:0:1:2,z:0:1:2"} if target == "b.npy" else {}
    with pytest.raises(DataError, match=rf"{name}: pos of event 0 is \[nan.*--missing drop"):
        convert(name, target, **grid)
    convert(name, target, missing="drop", **grid)
    assert "2 points; 2 without coordinates were left out" in capsys.readouterr().out
    if target == "b.h5":
        assert io.read_clouds(target)[0].pos.tolist() == [[0, 0, 0], [0.5, 0.5, 0.5]]
    else:
        assert np.load(target).sum() == np.load(target)[0, 0, 0, 0] + np.load(target)[0, 1, 1, 1]


def test_other_bad_values_stay_refused():
    with open("a.xyz", "w") as file:
        file.write("x y z t\n1 2 3 nan\nnan 2 3 4\n")
    with pytest.raises(
        DataError, match=r"a\.xyz: x of event 0 is \[nan\], expected finite values$"
    ):
        convert("a.xyz", "b.h5", missing="drop")


def test_options_that_would_do_nothing_are_refused():
    np.save("a.npy", np.ones((1, 2, 2), dtype="f4"))
    grid = "x:0:1:2,y:0:1:2"
    with pytest.raises(ArgumentError, match="missing: was given, but plays no part"):
        convert("a.npy", "b.h5", grid=grid, missing="drop")
    with pytest.raises(ArgumentError, match="dtype: was given, but plays no part"):
        convert("a.npy", "b.npz", grid=grid, dtype="float64")


def test_a_data_set_has_the_default_type_of_torch():
    doubles = clouds.make(torch.rand(6, 3, dtype=torch.float64), [2] * 3)
    io.write_clouds("a.h5", doubles, SPACE)
    batch = open_clouds("a.h5", "all").load()
    assert torch.equal(batch.pos, doubles.pos.float())
    assert open_clouds("a.h5", "all").read(0, 0).pos.dtype == torch.float32
    io.write_clouds("a.h5", clouds.replace(doubles, pos=doubles.pos + 1e300), SPACE)
    with pytest.raises(
        DataError, match=r"a\.h5: pos: got 1e\+300, expected numbers that torch\.fl"
    ):
        open_clouds("a.h5", "all").load()


def test_a_weight_that_no_point_carries_is_refused(tmp_path: Path) -> None:
    """A schema must not name a weight that the file does not hold."""
    (tmp_path / "a.xyz").write_text("# x y z edep\n1 2 3 4\n5 6 7 8\n")
    with pytest.raises(
        ArgumentError, match=r"weight: got 'edep \[MeV\]', but the points of .*edep"
    ):
        convert(str(tmp_path / "a.xyz"), str(tmp_path / "a.h5"), weight="edep [MeV]")
