"""Images on two grids, and a function that writes them: shared by the tests of image files."""

from __future__ import annotations

import torch

from pcgen import io
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
