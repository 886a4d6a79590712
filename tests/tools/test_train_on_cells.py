"""Training on the cells of a file: its own grid, its layers, and what a command prints of both."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import pcgen
from pcgen import clouds, io
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images import image_to_cloud
from pcgen.recipes.find import find_recipe
from pcgen.schema import Quantity, Schema
from pcgen.tools import cli

XY = (Quantity("x", "cm"), Quantity("y", "cm"))
SMALL = "--channels 4 --steps 2 --batch-size 8 --validate-events 4 --samples 0 --accelerator cpu"


def images_in(path: Path, layers: tuple[str, ...] = (), *, stored: bool = True) -> Grid:
    """Forty events on a grid of 6 x 5 cells, or on two layers of it."""
    grid = Grid.parse("x:-3:3:6:cm,y:-2:3:5:cm")
    grid = Grid(grid.axes, grid.edges, layers)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(40, *grid.shape, generator=generator)
    events = image_to_cloud(torch.where(image > 0.6, image, 0.0), grid)
    schema = Schema(XY, Quantity("energy", "GeV"), layers=layers)
    io.write_clouds(path, events, schema, grid=grid if stored else None)
    return grid


def test_a_grid_that_the_file_has_is_the_default(tmp_path: Path) -> None:
    grid = images_in(tmp_path / "cells.h5")
    for recipe in ("image-gan", "sites-vae"):
        words = f"train {recipe} --data {tmp_path}/cells.h5 --output {tmp_path}/{recipe} {SMALL}"
        assert cli.main(f"{words} --latent-dim 2".split()) == 0
        assert pcgen.load(tmp_path / recipe).representation.grid == grid
    other = f"--grid x:-3:3:3,y:-2:3:4 --output {tmp_path}/other {SMALL}"
    words = f"train image-flow --data {tmp_path}/cells.h5 {other} --integration-steps 2"
    assert cli.main(words.split()) == 0
    assert pcgen.load(tmp_path / "other").representation.grid.shape == (3, 4)


def test_without_any_grid_the_option_is_named(tmp_path: Path, capsys) -> None:
    images_in(tmp_path / "cells.h5", stored=False)
    words = f"train image-gan --data {tmp_path}/cells.h5 --output {tmp_path}/run {SMALL}"
    assert cli.main(words.split()) == 1
    error = capsys.readouterr().err
    assert "grid: got none" in error
    assert "--grid x:-1:1:24,y:-1:1:24" in error


def test_points_leave_layers_out_and_say_so(tmp_path: Path, capsys) -> None:
    images_in(tmp_path / "cells.h5", ("ECAL", "HCAL"))
    words = f"train points-vae --data {tmp_path}/cells.h5 --output {tmp_path}/run --hidden 4"
    words += " --steps 2 --batch-size 8 --validate-events 4 --samples 0 --accelerator cpu"
    assert cli.main(words.split()) == 0
    assert "the layers of the points (ECAL, HCAL) are left out" in capsys.readouterr().out
    assert cli.main(f"sample {tmp_path}/run {tmp_path}/generated.h5 --number 3".split()) == 0
    generated, schema = io.read_clouds(tmp_path / "generated.h5")
    assert (schema.layers, "layer" in clouds.attributes(generated)) == ((), False)


def test_cells_keep_their_layers(tmp_path: Path) -> None:
    images_in(tmp_path / "cells.h5", ("ECAL", "HCAL"))
    words = f"train sites-vae --data {tmp_path}/cells.h5 --output {tmp_path}/run {SMALL}"
    assert cli.main(f"{words} --latent-dim 2".split()) == 0
    assert cli.main(f"sample {tmp_path}/run {tmp_path}/generated.h5 --number 3".split()) == 0
    generated, schema = io.read_clouds(tmp_path / "generated.h5")
    assert (schema.layers, "layer" in clouds.attributes(generated)) == (("ECAL", "HCAL"), True)


def test_a_forgotten_ending_and_a_file_for_a_module(tmp_path: Path, capsys) -> None:
    images_in(tmp_path / "cells.h5")
    assert cli.main(f"train points-vae --data {tmp_path}/cells".split()) == 1
    assert "no such file, did you mean cells.h5?" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match=r"did you mean my_recipes:small\?"):
        find_recipe("my_recipes.py:small")
