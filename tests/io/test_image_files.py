"""Images in npy, npz, HDF5 and PNG: exact, in blocks, self-describing where they can be."""

from __future__ import annotations

import json
import pickle
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pcgen import io
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.grids import Grid
from pcgen.schema import Quantity, Schema

AXES = (Quantity("eta", symbol="$\\eta$"), Quantity("phi", "rad", 6.5))
GRID = Grid(AXES, ((-1, 0, 0.5, 3), (0, 1, 6.5)))
LAYERED = Grid(AXES, GRID.edges, ("ECAL", "HCAL"))


def schema_on(grid):
    return Schema(
        grid.axes,
        Quantity("energy", "MeV"),
        condition=(Quantity("incident", "GeV"),),
        labels=("e", "pi"),
        layers=grid.layers,
    )


def make(number, grid=GRID, dtype=torch.float32, conditions=True):
    image = torch.rand(number, *grid.shape, dtype=dtype)
    if not conditions:
        return io.Images(image)
    return io.Images(image, torch.rand(number, 1), torch.randint(2, (number,)))


def write(path, *blocks, grid=GRID, format=None, number=None):
    total = sum(len(block.image) for block in blocks) if number is None else number
    with io.image_writer(path, total, grid, schema_on(grid), format=format) as writer:
        for block in blocks:
            writer.append(block)


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
                r"images have shape \(3, 2\), expected \(1,\) as its grid",
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


def test_announced_number_and_shape_are_kept_to(tmp_path):
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ArgumentError, match="got 2 events, expected the 3 announced"):
            write(tmp_path / name, make(2), number=3)
        with pytest.raises(ArgumentError, match=r"expected \[b, \(3, 2\)\] of float32"):
            write(tmp_path / name, make(2), make(1, LAYERED), number=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("bits", "top"), [(8, 255), (16, 65535)])
def test_grey_values_of_a_picture_are_energies(tmp_path, bits, top):
    grey = np.zeros((2, 3), dtype=f"u{bits // 8}")  # 2 rows of 3 pixels
    grey[0] = [1, 2, top]  # the upper row
    Image.fromarray(grey).save(tmp_path / "a.png")
    with io.open_file(tmp_path / "a.png") as source:
        assert source.grid.shape == source.shape == (3, 2)
        assert [axis.unit for axis in source.grid.axes] == ["px", "px"]
        assert source.read().image.tolist() == [[[0, 1], [0, 2], [0, top]]]


CUBE = Grid.regular({"x": (0, 1, 2), "y": (0, 1, 3), "z": (0, 1, 2)})


@pytest.mark.parametrize("grid", [GRID, LAYERED, Grid.regular({"r": (0, 1, 5)}), CUBE])
def test_pictures_come_back_within_their_scale(tmp_path, grid):
    image = torch.rand(4, *grid.shape).exp() ** 9 * (torch.rand(4, *grid.shape) < 0.6)
    image[1] = 0
    images = io.Images(image, torch.rand(4, 1), torch.tensor([0, 1, 1, 0]))
    write(tmp_path / "e_%02d.png", images, grid=grid)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"e_0{k}.png" for k in range(4)]
    with io.open_file(tmp_path / "e_%02d.png") as source:
        assert source.grid == grid
        assert source.schema == schema_on(grid)
        back = source.read()
    assert torch.equal(back.y, images.y)
    assert torch.equal(back.label, images.label)
    assert torch.equal(back.image > 0, image > 0)
    scale = image.flatten(1).amax(1) / 65535
    worst = (back.image - image).abs().flatten(1).amax(1)
    assert bool((worst <= 1.001 * scale).all())
    # What was read is on the grey values: writing it again changes nothing.
    write(tmp_path / "again" / "e_%d.png", back, grid=grid)
    with io.open_file(tmp_path / "again") as source:
        assert torch.equal(source.read().image, back.image)


def test_whole_numbers_are_exact_in_a_picture(tmp_path):
    image = torch.tensor([[[0.0, 1], [2, 65535], [7, 0]]])
    write(tmp_path / "a.png", io.Images(image))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "I;16"
        assert np.array(picture).tolist() == [[1, 65535, 0], [0, 2, 7]]  # last axis upwards
        assert picture.text["Description"] == "energy [MeV] = grey value x 1.0"
        assert json.loads(picture.text["pcgen"])["scale"] == 1.0
    with io.open_file(tmp_path / "a.png") as source:
        assert torch.equal(source.read().image, image)


def test_one_picture_holds_one_event(tmp_path):
    with pytest.raises(ArgumentError, match=r"more than one event.* a_%05d\.png"):
        write(tmp_path / "a.png", make(2))
    with pytest.raises(DataError, match="got no event, expected at least one"):
        write(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_pictures_whose_text_is_damaged(tmp_path):
    path = tmp_path / "a.png"
    write(path, make(1))
    with Image.open(path) as picture:
        grey, good = np.array(picture), json.loads(picture.text["pcgen"])
    for bad in ({**good, "version": 2}, {**good, "scale": 0}, {**good, "grid": {}}, {}, 3):
        text = PngInfo()
        text.add_text("pcgen", json.dumps(bad))
        Image.fromarray(grey).save(path, pnginfo=text)
        with pytest.raises(FileError, match=r"a\.png: its text 'pcgen' cannot be used"):
            io.open_file(path)
    write(tmp_path / "e_0%d.png", make(1))
    grid = Grid.regular({"x": (0, 1, 3), "y": (0, 1, 2)})
    write(tmp_path / "e_1%d.png", make(1), grid=grid)
    with io.open_file(tmp_path / "e_%d.png") as source, pytest.raises(FileError, match="same grid"):
        source.read()


def test_folder_of_pictures(tmp_path):
    for event in (1, 10, 2):
        Image.fromarray(np.full((2, 3), event, dtype=np.uint8)).save(tmp_path / f"e{event}.png")
    with io.open_file(tmp_path) as source:
        assert source.read().image[:, 0, 0].tolist() == [1, 2, 10]
        assert source.read(1, 2).image.shape == (1, 3, 2)
    Image.fromarray(np.zeros((3, 3), dtype=np.uint8)).save(tmp_path / "e11.png")
    with (
        io.open_file(tmp_path) as source,
        pytest.raises(FileError, match=r"has \(3, 3\) cells, exp"),
    ):
        source.read()


def test_colours_and_damaged_pictures(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8)).save(path)
    with pytest.raises(FileError, match="mode RGB, expected greyscale of 8 or 16 bits"):
        io.open_file(path)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30), dtype=np.uint8)).save(path)
    data = path.read_bytes()
    for part in (data[:200], b"GIF89a" + data[6:], data[:100] + bytes(40) + data[140:]):
        path.write_bytes(part)
        with pytest.raises(FileError, match=r"a\.png: truncated, damaged or not a PNG"):
            io.open_file(path)


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
    with pytest.raises(ArgumentError, match="got the format 'ply', expected one of images"):
        io.image_writer(tmp_path / "a.ply", 1, GRID, schema_on(GRID))
    with pytest.raises(FileError, match="is a folder with no point files or pictures"):
        io.open_file(tmp_path)
