"""Images as PNG pictures: exact grey values, a scale and a grid in their text."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from images_to_write import GRID, LAYERED, make, schema_on, write
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pcgen import io
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.grids import Grid


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
