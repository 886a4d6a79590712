"""Training at one density of dead channels and testing at others, on a few jets."""

from __future__ import annotations

import pytest
import torch

from pcgen.datasets.jets import SAMPLE
from pcgen.errors import ArgumentError
from pcgen.tools.comparison.dead_channels import NETWORKS, PERCENTAGES, Jets, Trial, load, run

TINY = {"steps": 4, "batch_size": 8, "events": 20}


@pytest.fixture(scope="module")
def jets() -> tuple[Jets, Jets, Jets]:
    return load([SAMPLE], 8)


def test_images_hold_the_jets_and_targets_are_standardised(jets):
    train, validation, test = jets
    assert [len(part) for part in jets] == [6312, 1344, 1344]
    torch.testing.assert_close(train.target.mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(train.target.std(0), torch.ones(2))
    for part in (validation, test):
        assert part.target.mean(0).abs().max() < 0.1
    # Particles of 1 TeV jets, of which 1 in 200 lies outside the grid.
    assert 900 < train.image.expm1().flatten(1).sum(1).mean() < 1000


def test_the_cells_determine_the_girth():
    """A ratio of sums over cells, whose centres stand for the particles in them."""
    fine = load([SAMPLE], 64)[2]
    image, target = fine.image.double().expm1(), fine.target[:, 0].double()
    centre = (torch.arange(64).double() + 0.5) / 80 - 0.4
    distance = torch.hypot(centre[:, None], centre)
    girth = (image * distance).sum((1, 2)) / image.sum((1, 2))
    assert torch.corrcoef(torch.stack([girth, target]))[0, 1] > 0.998


@pytest.mark.parametrize("name", list(NETWORKS))
def test_dead_cells_do_not_matter(name, jets):
    image = jets[0].image[:6]
    alive = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)) > 0.4
    network = NETWORKS[name]
    torch.manual_seed(0)
    model = network.build((8, 8))
    seen = network.predict(model, image, alive)
    assert seen.shape == (6, 2)
    for other in (torch.rand_like(image), torch.full_like(image, torch.nan)):
        assert torch.equal(network.predict(model, torch.where(alive, image, other), alive), seen)
    # What is alive does: one cell less.
    where = tuple((image * alive).nonzero()[0])
    fewer = alive.clone()
    fewer[where] = False
    changed = network.predict(model, image, fewer) != seen
    assert changed[where[0]].all()
    assert changed.any(1).sum() == 1


def test_a_row_is_a_function_of_its_seed():
    first = run("image-mask", 8, 0, **TINY)
    state = torch.random.get_rng_state()
    again = run("image-mask", 8, 0, **TINY)
    assert torch.equal(torch.random.get_rng_state(), state)
    timeless = [
        {k: v for k, v in row.items() if "curve" != k != "cpu_seconds"}
        for row in (first, again, run("image-mask", 8, 1, **TINY))
    ]
    assert timeless[0] == timeless[1]
    assert all(timeless[0][f"mae_{p:02d}"] != timeless[2][f"mae_{p:02d}"] for p in PERCENTAGES)
    assert [point["step"] for point in first["curve"]] == [1, 2, 3, 4]
    assert first["status"] == "done"
    assert 0 < first["cpu_seconds"] < 60


def test_errors_are_mean_absolute_errors(jets):
    """A network that always gives the mean has the error of the guess."""
    row = run("image", 8, 0, **TINY)
    test = jets[2].first(TINY["events"])
    assert row["guess_mae"] == pytest.approx(test.target.abs().mean().item())
    trial = Trial(NETWORKS["image"], *jets[:2], 30, 8, 0)
    zero = NETWORKS["image"].build((8, 8))
    for parameter in zero.parameters():
        torch.nn.init.zeros_(parameter)
    assert trial.error(zero, test, 30) == pytest.approx(row["guess_mae"])


def test_a_budget_becomes_steps(jets):
    trial = Trial(NETWORKS["image"], *jets[:2], 30, 8, 0)
    assert 2 <= trial.affordable(1.0) <= 2000
    assert trial.affordable(0.0) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": "dense"}, "network: got 'dense', expected one of image, image-mask"),
        ({"dead": 100}, "dead: got 100, expected a percentage"),
        ({"steps": 0}, "steps: got 0, expected at least one"),
        ({"batch_size": 0}, "batch_size: got 0, expected at least one"),
        ({"events": 1}, "events: got 1, expected at least 2"),
        ({"budget": 0.0}, "budget: got 0.0, expected"),
    ],
)
def test_refuses_what_makes_no_row(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        run(**{"network": "image", "resolution": 8, "seed": 0, **TINY, **arguments})
