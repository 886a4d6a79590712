"""Validation scores of shapes and of what does not vary; grids that lose points of the clouds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.datasets import open_clouds
from pcgen.errors import DataError
from pcgen.grids import Grid
from pcgen.io import write_clouds
from pcgen.models.representations import Sites
from pcgen.schema import Quantity, Schema
from pcgen.tools.train import train
from pcgen.tools.validation import Validation, lost_points, reconstruction_score, shape_score

SHAPES = Schema(tuple(Quantity(name) for name in "xyz"))
HITS = Schema((Quantity("x", "cm"), Quantity("y", "cm")), Quantity("energy", "GeV"))


def shapes(number: int, seed: int, stretch: float = 1.0, points: int = 40) -> Batch:
    """Ellipsoids of different sizes."""
    draw = torch.Generator().manual_seed(seed)
    pos = torch.randn(number * points, 3, generator=draw)
    size = 1 + torch.rand(number, 1, generator=draw).repeat_interleave(points, 0)
    pos = pos / pos.norm(dim=1, keepdim=True) * size * torch.tensor([1.0, 1.0, stretch])
    return pc.make(pos, [points] * number)


class Fixed(torch.nn.Module):
    """A generator that returns given clouds."""

    context_schema = None

    def __init__(self, clouds: Batch, schema: Schema) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.clouds, self.schema = clouds, schema

    can_sample = True

    def sample(self, *, number: int, generator: object, **conditions: Tensor) -> Batch:
        return pc.select(self.clouds, slice(0, number))


def test_shapes_are_ordered_by_how_near_they_are() -> None:
    validate = Validation(shapes(60, 0))
    found = [validate(Fixed(shapes(60, 1, s), SHAPES)) for s in (1.0, 1.3, 2.0)]
    assert found[0]["score"] < found[1]["score"] < found[2]["score"]
    assert [each["w1_multiplicity"] for each in found] == [0.0] * 3
    assert abs(found[0]["1nna_cd"] - 0.5) < 0.15
    assert found[2]["1nna_cd"] > 0.9
    assert found[0]["mmd_cd"] == pytest.approx(1.0, abs=0.15)
    assert found[1] == validate(Fixed(shapes(60, 1, 1.3), SHAPES))
    assert {f"validation/{name}" for name in found[0]} <= validate.labels(SHAPES).keys()


def test_another_number_of_points_is_worse() -> None:
    validate = Validation(shapes(30, 0))
    right, wrong = (validate(Fixed(shapes(30, 1, points=n), SHAPES)) for n in (40, 60))
    assert wrong["w1_multiplicity"] == 20.0
    # A number that does not vary has no standard deviation: errors count as shares of it.
    assert wrong["score"] - right["score"] == pytest.approx(0.5, abs=0.3)


def test_clouds_without_points_have_no_chamfer_distance() -> None:
    empty = pc.make(torch.zeros(0, 3), [0] * 20)
    found = shape_score(shapes(20, 0), empty, SHAPES)
    assert found == {"score": math.inf, "1nna_cd": 1.0, "mmd_cd": math.inf}
    some = pc.concat([empty, shapes(20, 1)])
    assert shape_score(shapes(20, 0), some, SHAPES) == shape_score(
        shapes(20, 0), shapes(20, 1), SHAPES
    )


def test_reconstructions_are_compared_with_their_originals() -> None:
    real = shapes(20, 0)
    near = pc.replace(real, pos=real.pos.double() + 0.01)
    far = pc.select(real, torch.arange(19, -1, -1))
    assert reconstruction_score(real, real, SHAPES)["score"] == 0.0
    found = [reconstruction_score(real, other, SHAPES)["score"] for other in (near, far)]
    assert 0 < found[0] < 0.1 < found[1]


def test_weighted_clouds_of_a_constant_number_count_shares_of_it() -> None:
    def hits(points: int, seed: int) -> Batch:
        draw = torch.Generator().manual_seed(seed)
        pos = torch.randn(50 * points, 2, generator=draw)
        return pc.make(pos, [points] * 50, weight=torch.rand(50 * points, generator=draw))

    found = Validation(hits(20, 0))(Fixed(hits(22, 1), HITS))
    assert found["w1_multiplicity"] == 2.0
    assert found["score"] < 10.0


RING = Schema((Quantity("phi", "rad", 2 * math.pi),), Quantity("energy", "GeV"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("schema", [HITS, RING])
def test_one_event_has_a_finite_score(schema: Schema) -> None:
    def event(energy: float) -> Batch:
        pos = torch.linspace(0.1, 1.0, 4 * len(schema.axes)).view(4, -1)
        return pc.make(pos, [4], weight=torch.full((4,), energy))

    validate = Validation(event(1.0))
    same, twice = (validate(Fixed(event(energy), schema)) for energy in (1.0, 2.0))
    assert same["score"] == 0.0
    # Of twice the energy one observable is wrong, by as much as it is.
    assert twice["w1_total_energy"] == 4.0
    assert twice["score"] == pytest.approx(1 / (len(twice) - 1))


@pytest.mark.filterwarnings("error")
def test_one_shape_has_no_neighbour_and_an_infinite_score() -> None:
    found = Validation(shapes(1, 0))(Fixed(shapes(1, 1), SHAPES))
    assert found == {
        "score": math.inf,
        "1nna_cd": 1.0,
        "mmd_cd": math.inf,
        "w1_multiplicity": 0.0,
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("recipe", ["points-vae", "points-gan"])
def test_training_on_one_event_warns_of_nothing(recipe: str, tmp_path: Path) -> None:
    """Three events: one to train on, one to validate on."""
    draw = torch.Generator().manual_seed(0)
    pos, weight = torch.randn(9, 2, generator=draw), torch.rand(9, generator=draw)
    write_clouds(tmp_path / "one.h5", pc.make(pos, [3] * 3, weight=weight), HITS)
    train(
        recipe,
        {"hidden": 8, "layers": 1},
        data=[str(tmp_path / "one.h5")],
        output=str(tmp_path / "run"),
        steps=2,
        batch_size=1,
        validate_every=1,
        samples=0,
        progress=False,
    )
    header, *rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("validation/score")
    scores = [float(row.split(",")[column]) for row in rows if row.split(",")[column]]
    assert scores
    assert all(map(math.isfinite, scores))


@pytest.fixture
def hits(tmp_path: Path) -> Path:
    """Points on a ring of radius 10 cm and one in the middle, of twice the weight of a point."""
    angle = torch.linspace(0, 6, 3)
    ring = 10 * torch.stack([angle.cos(), angle.sin()], 1)
    pos = torch.cat([torch.zeros(1, 2), ring]).repeat(40, 1)
    weight = torch.tensor([2.0, 1.0, 1.0, 1.0]).repeat(40)
    write_clouds(tmp_path / "hits.h5", pc.make(pos, [4] * 40, weight=weight), HITS)
    return tmp_path / "hits.h5"


class OnGrid(torch.nn.Module):
    schema = HITS

    def __init__(self, text: str) -> None:
        super().__init__()
        self.representation = Sites(HITS, Grid.parse(text, HITS.axes))


def test_what_a_grid_loses_is_one_line(hits: Path) -> None:
    clouds = open_clouds(hits, "train")
    assert lost_points(OnGrid("x:-11:11:4,y:-11:11:4"), clouds) == ""
    assert lost_points(Fixed(clouds.load(), HITS), clouds) == ""
    line = lost_points(OnGrid("x:-5:5:4,y:-5:5:4"), clouds)
    assert line == (
        "outside the grid x:-5.0:5.0:4:cm,y:-5.0:5.0:4:cm and lost: "
        "0.75 of the points, 0.6 of the energy"
    )
    number = len(clouds)
    message = (
        rf"grid x:20.*got all {4 * number} points of {number} events.*x -9\.9 to 10, y -2\.794"
    )
    with pytest.raises(DataError, match=message):
        lost_points(OnGrid("x:20:30:4,y:-5:5:4"), clouds)


def test_training_refuses_a_grid_that_holds_no_point(hits: Path, tmp_path: Path) -> None:
    options = {"data": [str(hits)], "output": str(tmp_path / "run"), "steps": 2, "samples": 0}
    grid = {"grid": "x:20:30:8,y:-5:5:8"}
    with pytest.raises(
        DataError, match=r"grid x:20\.0:30\.0:8:cm,y:.*got all 112 points of 28 events outside"
    ):
        train("image-gan", grid, batch_size=8, progress=False, **options)


def test_the_best_checkpoint_of_shapes_is_chosen_by_their_shape(tmp_path: Path) -> None:
    write_clouds(tmp_path / "shapes.h5", shapes(80, 0, points=8), SHAPES)
    train(
        "points-vae",
        {"hidden": 8, "layers": 1, "latent_dim": 2},
        data=[str(tmp_path / "shapes.h5")],
        output=str(tmp_path / "run"),
        steps=4,
        batch_size=8,
        validate_every=1,
        samples=0,
        progress=False,
    )
    header, *rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("validation/score")
    scores = [float(row.split(",")[column]) for row in rows if row.split(",")[column]]
    assert len(set(scores)) == len(scores) == 4
    assert min(scores) > 0


def test_on_a_grid_both_sides_are_compared_in_its_cells() -> None:
    """Points that differ within their cells alone are at no distance, nor are those outside."""
    grid = Grid.parse("x:0:2:2:cm,y:0:2:2:cm")
    pos = torch.tensor([[0.2, 0.2], [1.5, 0.5], [0.4, 0.3], [1.2, 1.9]])
    real = pc.make(pos, [2, 2], weight=torch.ones(4))
    moved = torch.tensor([[0.7, 0.9], [1.9, 0.1], [9.0, 0.0], [0.1, 0.1], [1.8, 1.3]])
    generated = pc.make(moved, [3, 2], weight=torch.ones(5))
    assert Validation(real)(Fixed(generated, HITS))["score"] > 0.1
    assert Validation(real, grid)(Fixed(generated, HITS))["score"] == 0
    broken = pc.make(torch.cat([moved, torch.full((1, 2), torch.nan)]), [3, 2, 1],
                     weight=torch.ones(6))  # fmt: skip
    whole = pc.make(pos.repeat(2, 1)[:6], [2, 2, 2], weight=torch.ones(6))
    assert Validation(whole, grid)(Fixed(broken, HITS))["score"] < 1
