"""Encoders beside generators, critics of a batch and adaptive noise as options of recipes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from toy_games import QUIET, TINY, batches, model, player, steps_of

import pcgen
from pcgen import clouds as cl
from pcgen.datasets.batches import Batches
from pcgen.io import JETS
from pcgen.models.gan import GAN
from pcgen.models.mode_gan import MDGAN, VAEGAN, RegGAN
from pcgen.nn.spectral import SpectralCritic
from pcgen.recipes import RECIPES, adversaries, games, images, points
from pcgen.testing import clouds_of_schema
from pcgen.training import Machine, Reports, train

MODES = {"none": GAN, "reg-gan": RegGAN, "mdgan": MDGAN, "vae-gan": VAEGAN}


@pytest.mark.parametrize("recipe", ["points-gan", "image-gan", "sites-gan"])
def test_modes_and_critics_step_in_every_combination(recipe: str) -> None:
    """Encoder, deviation of the batch and feature matching, with a penalty and without."""
    assert get_args(games.Modes) == tuple(adversaries.MODES) == tuple(MODES)
    batch = batches()(0, 0, 1)
    choices = itertools.product(MODES, (False, True), (False, True), ("r1", "spectral"))
    for modes, statistics, matching, regulariser in choices:
        case = {"modes": modes, "minibatch_statistics": statistics, "feature_matching": matching,
                "regulariser": regulariser}  # fmt: skip
        found = model(recipe, **case)
        assert type(found) is MODES[modes]
        assert found.adversary.matching is matching
        for phase in found.phases():
            if phase.prepare is not None:
                phase.prepare([batch])
        steps_of(found, batch, tuple(case.values()))


@pytest.mark.parametrize("recipe", ["points-gan", "image-gan", "sites-gan"])
@pytest.mark.parametrize("modes", list(MODES)[1:])
def test_models_with_encoders_are_trained_and_loaded_again(
    recipe: str, modes: str, tmp_path: Path
) -> None:
    """Conditions of class and y, sizes, and what is sampled are as of a GAN."""
    options = {**TINY[recipe], "modes": modes, "mode_strength": 0.5}
    found = RECIPES[recipe](**options)
    train(found, batches(), folder=tmp_path, steps=2, machine=Machine("cpu"), reports=QUIET,
          recipe=recipe, arguments=options)  # fmt: skip
    again = pcgen.load(tmp_path)
    assert again.strength == 0.5
    request = {"number": 3, "classes": ["q"], "condition": {"jet_pt": 1000.0}}
    one, other = (
        each.sample(**request, generator=torch.Generator().manual_seed(2))
        for each in (again, again)
    )
    assert torch.equal(one.pos, other.pos)
    assert one.label.tolist() == [1] * 3
    assert one.y.flatten().tolist() == [1000.0] * 3
    if recipe == "points-gan":
        assert cl.sizes(again.sample(sizes=[3, 1])).tolist() == [3, 1]


@pytest.mark.parametrize(
    ("recipe", "option", "network"),
    [("points-gan", "encoder", name) for name in get_args(points.Encoder)]
    + [("image-gan", "network", name) for name in images.GAME_NETWORKS],
)
def test_every_network_is_critic_and_encoder(recipe: str, option: str, network: str) -> None:
    """Empty clouds and clouds of one point among them."""
    clouds = clouds_of_schema(JETS, torch.tensor([0, 1, 4, 2]), spread=0.2)
    for modes in ("reg-gan", "vae-gan"):
        found = model(recipe, modes=modes, minibatch_statistics=True, **{option: network})
        for phase in found.phases():
            if phase.prepare is not None:
                phase.prepare([clouds])
        steps_of(found, clouds, (network, modes))
        assert found.reconstruct(clouds).num_graphs == 4


def test_customary_strengths_of_modes() -> None:
    strengths = {"reg-gan": 0.2, "mdgan": 0.2, "vae-gan": 1.0}
    assert {name: model("image-gan", modes=name).strength for name in strengths} == strengths
    assert model("image-gan", modes="mdgan", mode_strength=0.0).strength == 0.0


def test_two_critics_of_mdgan_keep_the_same_rules_and_start_apart() -> None:
    found = model("points-gan", modes="mdgan", regulariser="clip", game="wasserstein", penalty=0.01)
    phases = {phase.name: phase for phase in found.phases()}
    for name in ("critic", "manifold-critic"):
        (network,) = phases[name].modules
        phases[name].after()
        assert max(float(p.detach().abs().max()) for p in network.parameters()) <= 0.01
    found = model("points-gan", modes="mdgan", regulariser="spectral")
    assert isinstance(found.manifold_critic, SpectralCritic)
    own, other = found.critic.parameters(), found.manifold_critic.parameters()
    assert not all(torch.equal(a, b) for a, b in zip(own, other, strict=True))


class Stopped(Batches):
    """Ctrl-C while a batch is drawn."""

    at = -1

    def __call__(self, step: int, rank: int, world: int) -> Any:
        if step == self.at:
            raise KeyboardInterrupt
        return super().__call__(step, rank, world)


@pytest.mark.parametrize("recipe", ["points-gan", "image-gan", "points-latent-gan"])
def test_adaptive_noise_is_resumed_exactly(recipe: str, tmp_path: Path) -> None:
    """The level of the noise is part of the checkpoint: a run in two pieces is the same run."""
    options = {"instance_noise": 0.5, "adaptive_noise": 0.0}
    reports = Reports(progress=False, log_every=100, validate_every=100, checkpoint_every=2)
    common: dict[str, Any] = {"steps": 8, "seed": 1, "machine": Machine("cpu"), "reports": reports}
    whole, pieces, again = (model(recipe, **options) for _ in range(3))
    for each in (whole, pieces):
        player(each).level.value.fill_(0.5)
    train(whole, batches(), folder=tmp_path / "whole", **common)
    level = float(player(whole).level.value)
    assert level != pytest.approx(0.5, abs=1e-6)
    source = Stopped(batches().dataset, 6, seed=0)
    source.at = 8
    with pytest.raises(KeyboardInterrupt):
        train(pieces, source, folder=tmp_path / "pieces", **common)
    assert float(player(pieces).level.value) != level
    train(again, batches(), folder=tmp_path / "pieces", **common)
    mine, theirs = whole.state_dict(), again.state_dict()
    assert [key for key in theirs if not torch.equal(mine[key], theirs[key])] == []
    assert any(key.endswith("level.value") for key in theirs)
