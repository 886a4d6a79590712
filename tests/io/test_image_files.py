"""What all image files share: round trips, files of others, damage, formats by their ending."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from images_to_write import GRID, LAYERED, make, schema_on, write

from pcgen import io
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.grids import Grid
from pcgen.schema import Quantity


def joined(blocks):
    columns = zip(*blocks, strict=True)
    return io.Images(*(None if c[0] is None else torch.cat(c) for c in columns))


@pytest.mark.parametrize("ending", [".npy", ".npz", ".h5"])
@settings(max_examples=10)
@given(
    numbers=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    layered=st.booleans(),
    double=st.booleans(),
    conditions=st.booleans(),
    block=st.integers(1, 5),
)
def test_round_trip_in_blocks(
    tmp_path_factory, ending, numbers, layered, double, conditions, block
):
    path, grid = tmp_path_factory.mktemp("images") / f"a{ending}", LAYERED if layered else GRID
    dtype = torch.float64 if double else torch.float32
    blocks = [make(number, grid, dtype, conditions) for number in numbers]
    write(path, *blocks, grid=grid, format="images" if ending == ".h5" else None)
    whole = joined(blocks)
    with io.open_file(path) as source:
        assert isinstance(source, io.ImageSource)
        assert len(source) == sum(numbers)
        assert source.shape == grid.shape
        read = [source.read(), *([joined(source.blocks(block))] if len(source) else [])]
        for images in read:
            assert images.image.dtype == dtype
            assert torch.equal(images.image, whole.image)
        if ending == ".npy":
            assert source.grid is None
            return
        assert source.grid == grid
        assert source.schema == schema_on(grid)
        for images in read:
            assert (images.y is None) == (not conditions)
            if conditions:
                assert torch.equal(images.y, whole.y)
                assert torch.equal(images.label, whole.label)


def test_no_image_at_all_is_a_file(tmp_path):
    for name in ("a.npy", "a.npz", "a.h5"):
        write(tmp_path / name, format="images" if name == "a.h5" else None)
        with io.open_file(tmp_path / name) as source:
            assert len(source) == 0
            assert source.read().image.shape == (0, 3, 2)


def test_images_of_others(tmp_path):
    image = np.arange(24).reshape(4, 3, 2)
    np.save(tmp_path / "rows.npy", image)
    np.save(tmp_path / "columns.npy", np.asfortranarray(image.astype(np.uint8)))
    np.savez(tmp_path / "alone.npz", whatever=image.astype(np.float16))
    np.savez_compressed(
        tmp_path / "grid.npz",
        images=image > 3,
        label=[0, 1, 0, 1],
        axes=["x", "y"],
        edges_x=[0.0, 1, 2, 3],
        edges_y=[0.0, 1, 2],
    )
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = image.astype(">f8")
    for name, dtype in (
        ("rows.npy", torch.float64),  # int64 does not fit into float32
        ("columns.npy", torch.float32),
        ("alone.npz", torch.float32),
        ("grid.npz", torch.float32),
        ("other.h5", torch.float64),
    ):
        expected = torch.from_numpy(image > 3 if name == "grid.npz" else image)
        with io.open_file(tmp_path / name) as source:
            assert source.read(1, 3).image.dtype == dtype
            assert torch.equal(source.read(1, 3).image, expected[1:3].to(dtype))
            assert torch.equal(source.read(0, 2).image, expected[:2].to(dtype))
            if name == "grid.npz":
                assert source.grid == Grid.regular({"x": (0, 3, 3), "y": (0, 2, 2)})
                assert source.schema.weight == Quantity("weight")
                assert source.read(1, 3).label.tolist() == [1, 0]
            else:
                assert source.grid is None


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5"])
def test_missing_empty_foreign_and_truncated(tmp_path, name):
    path, format = tmp_path / name, "images" if name == "a.h5" else None
    with pytest.raises(FileError, match="no such file"):
        io.open_file(path)
    path.touch()
    with pytest.raises(FileError, match=r"the file is empty \(0 bytes\)"):
        io.open_file(path)
    path.write_text("energy, eta, phi\n" * 99)
    with pytest.raises(FileError, match=name):
        io.open_file(path)
    write(path, make(200), format=format)
    data = path.read_bytes()
    for share in (0.001, 0.3, 0.99):
        path.write_bytes(data[: max(int(len(data) * share), 1)])
        with pytest.raises(FileError, match=name) as caught:
            io.open_file(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.5])
@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5"])
def test_bad_values_name_event_and_cell(tmp_path, name, bad):
    image = torch.zeros(5, 3, 2)
    image[3, 2, 1] = bad
    format = "images" if name == "a.h5" else None
    with pytest.raises(DataError, match=r"image of event 5 at \(2, 1\) is .*not negative"):
        write(tmp_path / name, make(2, conditions=False), io.Images(image), format=format)
    assert list(tmp_path.iterdir()) == []
    if name == "a.npy":
        np.save(tmp_path / name, image.numpy())
    elif name == "a.npz":
        np.savez(tmp_path / name, image=image.numpy())
    else:
        with h5py.File(tmp_path / name, "w") as file:
            file["image"] = image.numpy()
    with io.open_file(tmp_path / name) as source:
        assert source.read(0, 3).image.sum() == 0
        with pytest.raises(DataError, match=rf"{name}: image of event 3 at \(2, 1\) is"):
            source.read(2, 4)


def test_no_permission_to_read(tmp_path, monkeypatch):
    # Root may read everything, so the refusal of the system is played.
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    paths = [tmp_path / f"a.{ending}" for ending in ("npy", "npz", "h5", "png", "ply", "pcd")]
    for path in paths:
        path.write_text("something")
    monkeypatch.setattr("pathlib.Path.open", refuse)
    for path in paths:
        with pytest.raises(FileError, match=rf"{path.name}: cannot be read \(Permission denied\)"):
            io.open_file(path)


def test_formats_by_ending_content_and_request(tmp_path):
    images = make(2)
    write(tmp_path / "a.dat", images, format="npy")
    with pytest.raises(
        ArgumentError, match=r"a\.dat: got the ending '\.dat', expected one of \.h5"
    ):
        io.open_file(tmp_path / "a.dat")
    with io.open_file(tmp_path / "a.dat", format="npy") as source:
        assert torch.equal(source.read().image, images.image)
    with pytest.raises(
        ArgumentError, match=r"got 'gif', expected clouds \(\.h5\), jetnet \(\.hdf5\)"
    ):
        io.open_file(tmp_path / "a.dat", format="gif")
    write(tmp_path / "a.h5", images, format="images")
    with pytest.raises(FileError, match="holds images, expected clouds; pcgen convert makes"):
        io.read_clouds(tmp_path / "a.h5")
    with pytest.raises(ArgumentError, match="got the format 'npy', expected one of clouds"):
        io.cloud_writer(tmp_path / "a.npy", schema_on(GRID))
    with pytest.raises(
        ArgumentError, match="got the format 'ply', expected one of npy, npz, png, images"
    ):
        io.image_writer(tmp_path / "a.ply", 1, GRID, schema_on(GRID))
    with pytest.raises(FileError, match="is a folder with no point files or pictures"):
        io.open_file(tmp_path)
