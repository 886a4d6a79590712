"""Trained models as functions from noise to images: gradients, laws of what is drawn, refusals."""

from __future__ import annotations

import pytest
import stand_in
import torch
import toy_layers

from pcgen import clouds as cl
from pcgen.datasets import sample_jets
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images import splat
from pcgen.images.measurements import Alive
from pcgen.models.blocks import block_generator
from pcgen.models.inverse import Descent, invert
from pcgen.models.noise_to_image import Given, NoiseToImage
from pcgen.recipes import RECIPES

GRID = "eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8:rad"
POINTS = {
    "points-flow": {"hidden": 8, "layers": 1, "integration_steps": 2},
    "points-flow-student": {"hidden": 8, "layers": 1, "integration_steps": 2},
    "points-gan": {"hidden": 8, "layers": 1},
    "points-vae": {"hidden": 8, "layers": 1, "latent_dim": 4},
    "points-latent-gan": {"hidden": 8, "layers": 1, "latent_dim": 4},
}
CELLS = {
    "image-gan": {"grid": GRID},
    "image-flow": {"grid": GRID, "integration_steps": 2},
}


def model(recipe: str, **arguments):
    torch.manual_seed(0)
    return stand_in.fitted(recipe, **arguments)


def grid() -> Grid:
    return Grid.parse(GRID, sample_jets("train").schema.axes)


def started(recipe: str, restarts: int = 2, events: int = 3, **arguments):
    jets = sample_jets("test", max_points=8).read(0, events)
    made = NoiseToImage(model(recipe, **arguments), grid())
    draws = [block_generator(3, event) for event in range(events)]
    return made, made.start(Given(jets.y, jets.label), events, restarts, draws), jets


@pytest.mark.parametrize(("recipe", "arguments"), [*POINTS.items(), *CELLS.items()])
def test_images_are_those_of_the_clouds_and_have_a_gradient(recipe, arguments) -> None:
    made, noise, jets = started(recipe, **arguments)
    rows = tuple(each.requires_grad_(True) for each in noise.rows)
    clouds, image = made.clouds(rows), made(rows)
    assert clouds.num_graphs == len(image) == 6
    assert clouds.label.tolist() == jets.label.repeat_interleave(2).tolist()
    torch.testing.assert_close(clouds.y, jets.y.repeat_interleave(2, 0))
    torch.testing.assert_close(image, splat(clouds, grid(), outside="drop"))
    slopes = torch.autograd.grad(image.square().sum(), rows, allow_unused=True)
    found = [each for each, row in zip(slopes, rows, strict=True) if row.numel()]
    assert any(each is not None and float(each.abs().sum()) > 0 for each in found)
    assert all(each is None or bool(each.isfinite().all()) for each in found)


def test_gradients_of_a_generator_in_double_precision() -> None:
    made, noise, _ = started("points-gan", restarts=1, events=2, **POINTS["points-gan"])
    made.model.double()
    rows = tuple(each.double().requires_grad_(True) for each in noise.rows)
    assert made._drawn is not None
    made._drawn = made._drawn._replace(y=made._drawn.y.double())
    made._laws = tuple(type(law)(*(each.double() for each in law)) for law in made._laws)
    # Away from the seams between cells, where the linear shares have kinks.
    mask = torch.ones(8, 8, dtype=torch.bool)
    operator = Alive(mask)

    def of_total(z: torch.Tensor) -> torch.Tensor:
        return operator(made((rows[0], rows[1], z, *rows[3:])))

    assert torch.autograd.gradcheck(of_total, rows[2], eps=1e-5, atol=1e-3)


def test_starts_are_what_the_model_draws_and_totals_follow_their_law() -> None:
    made, noise, _ = started("points-flow", restarts=5, **POINTS["points-flow"])
    clouds = made.clouds(noise.rows)
    drawn = made._drawn
    assert drawn is not None
    torch.testing.assert_close(cl.total(clouds), drawn.total, rtol=1e-4, atol=0)
    moved = [*noise.rows]
    law = made._laws[0]
    moved[2] = moved[2] + 1
    wider = cl.total(made.clouds(tuple(moved))) / cl.total(clouds)
    torch.testing.assert_close(wider, law.width[:, 0].exp(), rtol=1e-4, atol=0)


def test_an_event_is_answered_as_if_it_were_alone() -> None:
    made, noise, jets = started("points-flow", **POINTS["points-flow"])
    operator = Alive(torch.ones(8, 8, dtype=torch.bool))
    y = operator(splat(jets, grid(), outside="drop"))
    whole = invert(operator, y, made, noise, Descent(2, 5))
    again = made.start(Given(jets.y[1:2], jets.label[1:2]), 1, 2, [block_generator(3, 1)])
    alone = invert(operator, y[1:2], made, again, Descent(2, 5))
    torch.testing.assert_close(whole.misfit[1:2], alone.misfit, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(whole.image[1:2], alone.image, rtol=1e-2, atol=1e-2)
    assert float(whole.misfit.amin()) < 1.0


def test_descent_comes_closer_to_events_of_the_model_itself() -> None:
    made, noise, _ = started("points-flow", restarts=1, **POINTS["points-flow"])
    with torch.no_grad():
        truth = made(noise.rows)
    operator = Alive(torch.ones(8, 8, dtype=torch.bool))
    rows = tuple(each + 0.3 * torch.randn_like(each) for each in noise.rows)
    first, last = (
        invert(operator, operator(truth), made, noise._replace(rows=rows), Descent(1, k, 0.03))
        for k in (1, 60)
    )
    assert float(last.misfit.mean()) < 0.7 * float(first.misfit.mean())


def test_energies_of_layers_are_free_and_empty_layers_stay_empty() -> None:
    torch.manual_seed(0)
    showers = toy_layers.toy_showers(60)
    arguments = {"hidden": 8, "layers": 1, "integration_steps": 2}
    flow = RECIPES["showers-flow"](schema=toy_layers.SCHEMA.to_dict(), **arguments)
    for phase in flow.phases():
        if phase.prepare is not None:
            phase.prepare([showers])
    names = "/".join(toy_layers.SCHEMA.layers)
    axes = ",".join(f"{axis.name}:-60:60:4:{axis.unit}" for axis in toy_layers.SCHEMA.axes)
    made = NoiseToImage(flow.eval(), Grid.parse(f"layers={names},{axes}", toy_layers.SCHEMA.axes))
    given = Given(showers.y[:2], showers.label[:2])
    noise = made.start(given, 2, 2, [block_generator(0, event) for event in range(2)])
    rows = tuple(each.requires_grad_(True) for each in noise.rows)
    clouds = made.clouds(rows)
    assert made._drawn is not None
    sums = made._drawn.layers
    assert sums is not None
    assert cl.sizes(clouds).tolist() == sums.number.sum(1).tolist()
    torch.testing.assert_close(cl.total(clouds), sums.weight.sum(1), rtol=1e-3, atol=1e-6)
    assert bool((sums.number == 0).any())
    assert float(made._laws[0].width.max()) < 3  # layers without points do not count as e^-69
    slopes = torch.autograd.grad(clouds.weight.square().sum(), rows, allow_unused=True)
    assert all(bool(each.isfinite().all()) for each in slopes if each is not None)
    assert all(float(slopes[k].abs().sum()) > 0 for k in (0, 2))


@pytest.mark.parametrize(
    ("recipe", "arguments", "got"),
    [
        ("points-autoencoder", {"hidden": 8, "layers": 1}, "a plain autoencoder"),
        ("points-vae", {"encoder": "list", "hidden": 8, "layers": 1}, "of lists"),
        ("points-classifier", {"hidden": 8, "layers": 1}, "Classifier, which generates nothing"),
        ("points-context-flow", {"hidden": 8, "layers": 1}, "generates events from others"),
        ("points-latent-mixture", {"hidden": 8, "layers": 1}, "the prior Mixture"),
        ("sites-gan", {"grid": GRID}, "a GatedImageDecoder, which draws its active cells"),
        ("image-gan", {"grid": GRID, "network": "points"}, "which draws its active cells"),
        ("sites-flow", {"grid": GRID}, "a model of sites, which draws its active cells"),
        ("image-vae", {"grid": GRID}, "of images"),
    ],
)
def test_models_that_are_no_function_of_noise_are_refused(recipe, arguments, got) -> None:
    with pytest.raises(ArgumentError, match=f"run: got .*{got}.*expected events that are a"):
        NoiseToImage(RECIPES[recipe](**arguments), grid())
