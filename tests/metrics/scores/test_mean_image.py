"""Mean images: against dense images, of a blurred generator, and of one without variety."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from pcgen import clouds as pc
from pcgen import metrics
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image, snap
from pcgen.metrics import protocols
from pcgen.metrics.scores.occupancy import MeanImage, jensen_shannon
from pcgen.schema import Quantity, Schema

SCHEMA = Schema((Quantity("x", "mm"), Quantity("y", "mm")), Quantity("E", "MeV"))
GRID = Grid.parse("x:-1:1:6,y:-1:1:5", SCHEMA.axes)


def events(number: int, points: int, seed: int) -> pc.Batch:
    random = torch.Generator().manual_seed(seed)
    pos = torch.randn(number * points, 2, generator=random).mul(0.4).clamp(-0.99, 0.99)
    weight = 0.1 + torch.rand(number * points, generator=random)
    return pc.make(pos, [points] * number, weight=weight)


def test_means_are_those_of_dense_images():
    clouds = snap(events(40, 4, 0), GRID, outside="drop")
    images = cloud_to_image(clouds, GRID).double()
    found = MeanImage(clouds, GRID)
    a, b = torch.tensor([0, 1, 1, 5]), torch.arange(20, 40)
    first, second = images[a].mean(0).flatten(), images[b].mean(0).flatten()
    torch.testing.assert_close(found.mean(a), first)
    filled = abs(float((first > 0).double().mean() - (second > 0).double().mean()))
    expected = torch.stack([jensen_shannon(first, second), torch.tensor(filled).double()])
    torch.testing.assert_close(found.compare(a[None], b[None])[:, 0], expected)
    assert found.compare(a[None], a[None]).abs().max() < 1e-12


def scores(real: pc.Batch, made: pc.Batch) -> dict[str, float]:
    protocol = protocols.image(GRID)
    result = metrics.evaluate(real, made, SCHEMA, protocol=protocol, permutations=0)
    return {score.name: score.z for score in result.scores}


def test_each_score_sees_its_own_fault():
    real = events(400, 4, 1)
    same = scores(real, events(200, 4, 2))
    assert set(same) == {"JSD mean image", "filled share of the mean image",
                         "W1 cells of an event", "W1 log10 E of a cell"}  # fmt: skip
    assert max(same.values()) < 4
    # The mean of four events each: right mean image, but each image is dense.
    blurred = events(200, 16, 3)
    blurred = pc.replace(blurred, weight=blurred.weight / 4)
    found = scores(real, blurred)
    assert found["JSD mean image"] < 4
    assert min(found["W1 cells of an event"], found["W1 log10 E of a cell"]) > 10
    # One event again and again: each is right, and the mean image has few cells.
    one = pc.select(real, torch.zeros(200, dtype=torch.long))
    found = scores(real, one)
    assert min(found["JSD mean image"], found["filled share of the mean image"]) > 10


def test_layers_are_cells_of_their_own():
    schema = Schema((Quantity("x"),), Quantity("E"), layers=("a", "b"))
    grid = Grid.parse("x:0:1:2", schema.axes)
    grid = dataclasses.replace(grid, layers=schema.layers)
    clouds = pc.make(
        torch.tensor([[0.2], [0.2], [0.7]]), [1, 2], weight=torch.tensor([1.0, 2.0, 3.0]),
        layer=torch.tensor([1, 0, 1]))  # fmt: skip
    found = MeanImage(snap(clouds, grid), grid)
    assert found.mean(torch.tensor([0, 1])).tolist() == [1.0, 0.0, 0.5, 1.5]


def test_points_without_a_weight_are_refused():
    schema = Schema(SCHEMA.axes)
    clouds = pc.replace(events(60, 2, 0), weight=None)
    with pytest.raises(ArgumentError, match="points without a weight, expected one for cells"):
        metrics.evaluate(clouds, clouds, schema, protocol=protocols.image(GRID))
