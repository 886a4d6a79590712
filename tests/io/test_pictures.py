"""Pictures say what their axes are, in which units, and what the colours mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from pcgen import io
from pcgen.errors import DataError
from pcgen.grids import Grid
from pcgen.io.pictures import draw
from pcgen.schema import Quantity, Schema

X, Y, Z = (Quantity(name, unit) for name, unit in (("x", "mm"), ("phi", "rad"), ("z", "cm")))


def grid(*axes, layers=()):
    return Grid.regular(dict.fromkeys(axes, (0, 2, 2)), layers)


def schema(cells):
    return Schema(cells.axes, Quantity("E", "GeV"), layers=cells.layers)


def panels(figure):
    return [axes for axes in figure.axes if axes.get_xlabel()]


def test_two_dimensions_are_cells_with_the_first_axis_to_the_right():
    cells, image = grid(X, Y), np.array([[1.0, 2.0], [0.0, 8.0]])
    figure = draw(image, cells, schema(cells), "event 3")
    (panel,) = panels(figure)
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("x [mm]", "phi [rad]")
    assert figure.get_suptitle() == "event 3"
    shown = panel.collections[0].get_array()
    # Rows of a mesh are along its vertical axis; the empty cell is not drawn.
    np.testing.assert_array_equal(shown.filled(-1), [[1, -1], [2, 8]])
    assert panel.collections[0].colorbar.ax.get_ylabel() == "E [GeV] per cell"


def test_one_dimension_is_a_histogram():
    cells = grid(X)
    (panel,) = panels(draw(np.array([1.0, 3.0]), cells, schema(cells), ""))
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("x [mm]", "E [GeV] per cell")
    assert panel.patches[0].get_data().values.tolist() == [1, 3]


def test_three_dimensions_are_three_projections_that_keep_the_energy():
    cells, image = grid(X, Y, Z), np.arange(8.0).reshape(2, 2, 2)
    drawn = panels(draw(image, cells, schema(cells), ""))
    labels = [(panel.get_xlabel(), panel.get_ylabel()) for panel in drawn]
    assert labels == [("x [mm]", "phi [rad]"), ("x [mm]", "z [cm]"), ("phi [rad]", "z [cm]")]
    for panel, axis in zip(drawn, (2, 1, 0), strict=True):
        shown = panel.collections[0].get_array().filled(0)
        np.testing.assert_array_equal(shown, image.sum(axis).T)


def test_layers_are_rows_with_their_names():
    cells = grid(X, Y, layers=("ECAL", "HCAL"))
    drawn = panels(draw(np.ones((2, 2, 2)), cells, schema(cells), ""))
    assert [panel.get_title() for panel in drawn] == ["ECAL", "HCAL"]


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_empty_and_uniform_images_can_be_drawn(tmp_path, value):
    cells = grid(X, Y)
    with io.image_writer(tmp_path / "a.png", 1, cells, schema(cells)) as writer:
        writer.append(io.Images(torch.full((1, 2, 2), value)))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] > 300


def test_one_file_is_the_mean_and_numbered_files_are_events(tmp_path, monkeypatch):
    cells, drawn = grid(X, Y), []

    def remember(image, grid, schema, title):
        drawn.append((title, image.tolist()))
        return draw(image, grid, schema, title)

    monkeypatch.setattr("pcgen.io.pictures.draw", remember)
    images = torch.tensor([[[1.0, 0], [0, 0]], [[3.0, 2], [0, 0]]])
    for name, number in (("mean.png", 2), ("one.png", 1), ("e_%02d.png", 2)):
        with io.image_writer(tmp_path / name, number, cells, schema(cells), first=7) as writer:
            for image in images[:number]:
                writer.append(io.Images(image[None]))
    assert [title for title, _ in drawn] == ["mean of 2 events", "event 7", "event 7", "event 8"]
    assert drawn[0][1] == [[2, 1], [0, 0]]
    assert drawn[3][1] == images[1].tolist()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["e_00.png", "e_01.png", "mean.png", "one.png"]


def test_nothing_to_draw(tmp_path):
    cells = grid(X)
    writer = io.image_writer(tmp_path / "a.png", 0, cells, schema(cells)).__enter__()
    with pytest.raises(DataError, match=r"a\.png: got no event, expected at least one to draw"):
        writer.__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []
