"""Training at one density of dead channels and testing at others, on a few jets."""

from __future__ import annotations

from pathlib import Path

import dead_channels
import pytest
import torch
from dead_channels import ALL, ERRORS, NETWORKS, PERCENTAGES, Regression, regression
from torch_geometric.data import Batch

from pcgen.datasets.jets import sample_jets
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.io import JETS, write_clouds
from pcgen.metrics import evaluate
from pcgen.tools import compare
from pcgen.tools.comparison import study_file, trial
from pcgen.tools.comparison.study import STUDIES

GRID = "eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8"


@pytest.fixture(scope="module")
def jets() -> Batch:
    return sample_jets("train").read(0, 400)


def model_of(network: str = "image", dead: int = 30) -> Regression:
    torch.manual_seed(0)
    return regression(network, GRID, dead, JETS.to_dict())


def test_images_hold_the_jets_and_targets_are_standardised(jets):
    model = model_of()
    model.fit([jets])
    image, target = model.seen(jets)
    torch.testing.assert_close(target.mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(target.std(0), torch.ones(2))
    # Particles of 1 TeV jets, of which 1 in 200 lies outside the grid.
    assert 900 < image.expm1().flatten(1).sum(1).mean() < 1000


def test_the_cells_hold_the_girth(jets):
    """A ratio of sums over cells, whose centres stand for the particles in them."""
    fine = Regression(JETS, Grid.parse(GRID.replace(":8", ":64"), JETS.axes), NETWORKS["image"], 0)
    image, target = fine.seen(jets)
    image, girth = image.double().expm1(), target[:, 0].double()
    centre = (torch.arange(64).double() + 0.5) / 80 - 0.4
    distance = torch.hypot(centre[:, None], centre)
    found = (image * distance).sum((1, 2)) / image.sum((1, 2))
    assert torch.corrcoef(torch.stack([found, girth]))[0, 1] > 0.99


@pytest.mark.parametrize("name", list(NETWORKS))
def test_dead_cells_do_not_matter(name, jets):
    model = model_of(name)
    image = model.seen(jets)[0][:6]
    alive = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)) > 0.4
    seen = model.predict(image, alive)
    assert seen.shape == (6, 2)
    for other in (torch.rand_like(image), torch.full_like(image, torch.nan)):
        assert torch.equal(model.predict(torch.where(alive, image, other), alive), seen)
    # What is alive does: one cell less.
    where = tuple((image * alive).nonzero()[0])
    fewer = alive.clone()
    fewer[where] = False
    changed = model.predict(image, fewer) != seen
    assert changed[where[0]].all()
    assert changed.any(1).sum() == 1


def test_scores_are_mean_absolute_errors_of_the_same_dead_cells(jets):
    model, other = model_of(), model_of("image")
    model.fit([jets])
    other.fit([jets])
    real, made, schema = dead_channels.residuals(model, jets, torch.Generator())
    assert (real.num_graphs, made.num_graphs, schema) == (800, 400, ERRORS)
    protocol = dead_channels.errors(schema, None, trained_at=30)
    found = evaluate(real, made, schema, protocol=protocol, permutations=0)
    scores = {score.name: (score.value, score.floor) for score in found.scores}
    assert found.scores[0].name == "mae_30"
    assert set(scores) == {*(f"mae_{p:02d}" for p in PERCENTAGES), "guess_mae"}
    image, target = model.seen(jets)
    with torch.no_grad():
        plain = (model.predict(image, torch.ones_like(image, dtype=torch.bool)) - target).abs()
    assert scores["mae_00"] == (pytest.approx(plain.mean().item(), rel=1e-5), 0)
    assert scores["guess_mae"][0] == pytest.approx(target.abs().mean().item(), rel=1e-5)
    # What a network is shown does not depend on who looks.
    again = dead_channels.residuals(other, jets, torch.Generator().manual_seed(9))[1]
    assert torch.equal(again.x, made.x)
    # A network that always gives the mean has the error of the guess everywhere.
    for parameter in model.network.parameters():
        torch.nn.init.zeros_(parameter)
    zero = dead_channels.residuals(model, jets, torch.Generator())[1].x.view(400, -1, 2)
    assert torch.equal(zero[:, 0], zero[:, -1])
    assert (made.pos.view(400, -1)[0] == torch.tensor([*PERCENTAGES, ALL])).all()


def test_new_cells_die_at_each_step(jets):
    model = model_of()
    model.fit([jets])
    first, second = (model.loss(jets)["error"].item() for _ in range(2))
    assert first != second
    alone = model_of(dead=0)
    alone.fit([jets])
    assert alone.loss(jets)["error"] == alone.loss(jets)["error"]


def test_a_row_is_trained_and_judged_as_all_others(tmp_path, jets):
    write_clouds(tmp_path / "jets.h5", jets, JETS)
    entry = next(
        r for r in study_file.read("sparsity").rows if r.recipe == "dead_channels:regression"
    )
    settings = {"data": {"files": [str(tmp_path / "jets.h5")]}, "budget": {"steps": 4}}
    study = study_file.read("sparsity", settings)
    row = next(each for each in study.rows if each.name == entry.name)
    (job,) = compare._jobs(study, [row], tmp_path / "out")
    found = trial.run(job.row, job.files, job.digests, job.run)
    assert found["status"] == "done"
    assert [point["step"] for point in found["curve"]] == [2, 4]
    assert 0.3 < found["mae_30"] < found["guess_mae"] * 1.3
    assert found["trained_at"] == 30
    assert found["planned_steps"] == 4


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ArgumentError, match="dead: got 100, expected a percentage"):
        model_of(dead=100)
    with pytest.raises(ArgumentError, match="grid, schema: got none"):
        regression()
    model = model_of()
    assert not model.can_sample
    with pytest.raises(ArgumentError, match="generates no events"):
        model.sample(number=2)


def test_the_module_is_beside_the_study():
    assert Path(dead_channels.__file__).parent.resolve() == (STUDIES / "sparsity").resolve()
