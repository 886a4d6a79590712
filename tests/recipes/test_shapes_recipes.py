"""Recipes on shapes: the sizes of the paper, any schema, and the score of a file of shapes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pcgen import clouds as pc
from pcgen.datasets.shapes import SHAPES, generate, to_clouds
from pcgen.errors import ArgumentError
from pcgen.io import write_clouds
from pcgen.recipes import RECIPES, shapes
from pcgen.schema import Quantity
from pcgen.tools import cli

ALL = [name for name in RECIPES if name.startswith("shapes-")]
ON_POINTS = ("points-gan", "points-latent-gan", "points-latent-mixture", "points-latent-flow",
             "points-vae", "points-flow")  # fmt: skip
SMALL = ["--steps", "2", "--batch-size", "8", "--validate-every", "2", "--validate-events", "8",
         "--samples", "16", "--accelerator", "cpu", "--progress", "false"]  # fmt: skip


def widths(module: nn.Module) -> list[int]:
    """Columns of each linear layer, of the first one's input too."""
    layers = [each for each in module.modules() if isinstance(each, nn.Linear)]
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def test_networks_have_the_widths_of_the_paper() -> None:
    """Achlioptas et al., section 4.1 and appendix, of 2048 points of three coordinates."""
    schema: dict[str, Any] = {"schema": {"axes": [{"name": axis} for axis in "xyz"]}}
    gan = shapes.shapes_gan(**schema)
    assert widths(gan.generator)[1:] == [64, 128, 512, 1024, 3 * 2048]
    assert widths(gan.critic)[:6] == [3, 64, 128, 256, 256, 512]
    assert widths(gan.critic)[6:] == [128, 64, 1]
    codec = shapes.shapes_latent_mixture(**schema).autoencoder
    assert widths(codec.encoder) == [3, 64, 128, 128, 256, 128, 128]
    assert widths(codec.decoder)[1:] == [256, 256, 3 * 2048]
    model = shapes.shapes_latent_gan(**schema)
    prior: Any = model.prior
    assert widths(prior.generator)[1:] == [128, 128]
    assert widths(prior.critic)[1:] == [256, 512, 1]
    played = {phase.name: phase.repeat for phase in model.phases()}
    assert played["critic"] == 1
    rules: Any = shapes.shapes_latent_gan(wgan=True, **schema).prior
    assert (rules.adversary.steps, rules.adversary.strength) == (5, 10.0)


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="list_length: got 0"):
        shapes.shapes_gan(list_length=0)
    with pytest.raises(ArgumentError, match="latent_dim: got 0"):
        shapes.shapes_latent_flow(latent_dim=0)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 shapes of two classes and 16 points."""
    path: Path = tmp_path_factory.mktemp("shapes") / "s.h5"
    clouds = to_clouds(generate(0, 0, 120, ["cone", "torus"], 16, "upright"))
    write_clouds(path, clouds, SHAPES)
    return path


@pytest.mark.parametrize("name", ["shapes-gan", "points-gan", "points-flow"])
def test_a_list_that_is_too_short_is_refused_before_there_is_a_run(
    name: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weighed = tmp_path / "s.h5"  # the list of points-* sorts by weight
    clouds = to_clouds(generate(0, 0, 20, ["cone", "torus"], 16, "upright"))
    schema = SHAPES if name == "shapes-gan" else dataclasses.replace(SHAPES, weight=Quantity("w"))
    write_clouds(weighed, pc.replace(clouds, weight=torch.ones(320)), schema)
    words = ["train", name, "--data", str(weighed), "--output", f"{tmp_path}/run", *SMALL]
    own = [] if name == "shapes-gan" else ["--encoder", "list"]
    assert cli.main([*words, *own, "--list-length", "15"]) == 1
    error = capsys.readouterr().err
    assert "list_length: got 15, expected 16 or more" in error
    assert "--list-length 16, or --max-points 15" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ALL, *ON_POINTS])
def test_every_recipe_of_shapes_from_training_to_scores(
    name: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ["--list-length", "16"] if name in ALL else ["--hidden", "8"]
    words = ["train", name, "--data", str(file), "--output", f"{tmp_path}/run", *SMALL, *own]
    assert cli.main(words) == 0
    made = f"{tmp_path}/run/samples/samples.h5"
    words = ["evaluate", str(file), made, "--split", "all", "--protocol", "pointflow"]
    assert cli.main([*words, "--permutations", "0", "--output", f"{tmp_path}/e"]) == 0
    scores = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    text = json.dumps(scores)
    for score in ("JSD", "COV", "MMD", "1-NNA"):
        assert score in text


@pytest.mark.parametrize("distance", ["chamfer", "emd"])
def test_both_distances_are_learnt_from(distance: str) -> None:
    """The loss falls, and every parameter of encoder and decoder has a gradient."""
    torch.manual_seed(0)
    clouds = to_clouds(generate(0, 0, 8, ["cone", "torus"], 16, "upright"))
    model = shapes.shapes_latent_mixture(
        list_length=16, latent_dim=8, reconstruction=distance, schema=SHAPES.to_dict()  # type: ignore[arg-type]
    )  # fmt: skip
    codec = model.autoencoder
    codec.representation.standardize.fit(clouds)
    optimiser = torch.optim.Adam(codec.parameters(), 5e-3)
    losses = []
    for _ in range(25):
        terms = codec.loss(clouds)
        assert set(terms) == {distance}
        optimiser.zero_grad()
        terms[distance].backward()
        optimiser.step()
        losses.append(terms[distance].item())
    assert losses[-1] < 0.7 * losses[0]
    for part in (codec.encoder, codec.latent, codec.decoder):
        assert all(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
    assert pc.sizes(codec.reconstruct(clouds)).tolist() == [16] * 8
