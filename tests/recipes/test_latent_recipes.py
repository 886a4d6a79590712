"""Latent terms and priors as options of recipes: trained, resumed, started from, and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import pcgen
from pcgen import clouds as cl
from pcgen.datasets.batches import Batches
from pcgen.errors import ArgumentError
from pcgen.io import JETS
from pcgen.models.base import GenerativeModel
from pcgen.recipes import RECIPES
from pcgen.recipes.code_assembly import PRIORS, TERMS
from pcgen.testing import InMemory, clouds_of_schema, random_sizes
from pcgen.tools.code_scores import autoencoder_of, code_scores
from pcgen.tools.validation import Validation
from pcgen.training import Reports, train, transfer

GRID = "eta_rel:-0.5:0.5:8,phi_rel:-0.5:0.5:8"
SMALL: dict[str, dict[str, Any]] = {
    "points": {"latent_dim": 3, "hidden": 8, "layers": 1},
    "image": {"latent_dim": 3, "channels": 4, "grid": GRID},
    "sites": {"latent_dim": 3, "channels": 4, "grid": GRID},
}


def events(number: int = 60):
    clouds = clouds_of_schema(JETS, random_sizes(number, 1, 6), spread=0.2)
    return cl.replace(clouds, y=900 + 200 * clouds.y)


def trained(name: str, folder: Path, steps: int = 4, **options: Any) -> GenerativeModel:
    arguments = SMALL[name.split("-")[0]] | options
    torch.manual_seed(0)
    return train(
        RECIPES[name](**arguments),
        Batches(InMemory(events()), 8, seed=0),
        folder=folder,
        steps=steps,
        reports=Reports(progress=False, checkpoint_every=2),
        recipe=name,
        arguments=arguments,
    )


@pytest.mark.parametrize("latent", TERMS)
@pytest.mark.parametrize("kind", ["points", "sites"])
def test_every_term_is_trained_scored_and_loaded(kind: str, latent: str, tmp_path: Path) -> None:
    model = trained(f"{kind}-vae", tmp_path, latent=latent)
    again = pcgen.load(tmp_path)
    assert model.can_sample == (latent != "none")
    codec = autoencoder_of(again)
    assert codec is not None
    scores = code_scores(codec, events())
    known = {"active_units", "blur", "hit_count_bias"}
    known |= {"code_mmd"} if latent != "none" else set()
    if latent in ("gaussian", "density-ratio"):
        known |= {"information"} | ({"bound_1", "bound_16"} if kind == "sites" else set())
    assert set(scores) == known
    assert all(value == value for value in scores.values())
    if kind == "points":
        assert scores["hit_count_bias"] == 0.0
    validate = Validation(events())
    assert scores.items() <= validate(again).items()
    assert {f"validation/{each}" for each in scores} <= set(validate.labels(JETS))
    if latent != "none":
        one, two = (m.sample(number=6, generator=torch.Generator().manual_seed(1))
                    for m in (model, again))  # fmt: skip
        assert torch.equal(one.pos, two.pos)


@pytest.mark.parametrize("latent", ["adversarial", "density-ratio"])
def test_phases_of_terms_resume_exactly(latent: str, tmp_path: Path) -> None:
    whole = trained("points-vae", tmp_path / "whole", 4, latent=latent)
    trained("points-vae", tmp_path / "parts", 2, latent=latent)
    parts = trained("points-vae", tmp_path / "parts", 4, latent=latent)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_takes_the_codes_of_a_run_and_leaves_it_as_it_is(
    prior: str, tmp_path: Path
) -> None:
    kind = {"gan": "points", "flow": "sites"}.get(prior, "image")
    latent = "adversarial" if prior == "gan" else "gaussian"
    source = trained(f"{kind}-vae", tmp_path / "source", latent=latent)
    arguments = SMALL[kind] | {"latent": latent, "prior": prior, "width": 8, "share": 0.0}
    model = RECIPES[f"{kind}-latent"](**arguments)
    transfer.take(model, source, "autoencoder")
    before = {k: v.clone() for k, v in source.state_dict().items() if "cardinality" not in k}
    train(
        model,
        Batches(InMemory(events()), 8, seed=0),
        folder=tmp_path / "run",
        steps=4,
        reports=Reports(progress=False),
        recipe=f"{kind}-latent",
        arguments=arguments,
        started=True,
    )
    after = model.autoencoder.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    again = pcgen.load(tmp_path / "run")
    one, two = (m.sample(number=6, generator=torch.Generator().manual_seed(1))
                for m in (model, again))  # fmt: skip
    assert torch.equal(one.pos, two.pos)
    assert one.pos.isfinite().all()


def test_a_game_on_codes_goes_before_a_prior_that_is_one(tmp_path: Path) -> None:
    model = RECIPES["points-latent"](**SMALL["points"], latent="adversarial", prior="gan")
    names = [phase.name for phase in model.phases() if phase.loss is not None]
    assert names == ["reconstruction", "code_critic", "code_generator", "critic", "generator"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent": "vq"}, "latent: got 'vq', expected one of gaussian, density-ratio, none"),
        ({"latent": "mmd", "free_bits": 0.1}, "free_bits: got 0.1, expected 0 with latent mmd"),
        ({"latent": "adversarial", "beta": 1.0}, "beta: got 1.0, expected none with latent adv"),
        ({"prior_shape": "ring"}, "prior_shape: got 'ring', expected normal with latent gauss"),
        ({"prior_shape": "cube"}, "prior_shape: got 'cube', expected one of normal, ring, roll"),
        ({"beta": -1.0}, "beta: got -1.0, expected >= 0"),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        RECIPES["points-vae"](**SMALL["points"], **options)


def test_an_unknown_prior_is_refused() -> None:
    with pytest.raises(ArgumentError, match="prior: got 'pixelcnn', expected one of normal"):
        RECIPES["image-latent"](**SMALL["image"], prior="pixelcnn")
