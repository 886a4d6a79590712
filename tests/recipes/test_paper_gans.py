"""Recipes of papers: numbers of parameters, games and optimisers as published."""

from __future__ import annotations

import pytest
import torch

from pcgen.errors import ArgumentError
from pcgen.io import JETS
from pcgen.models.auxiliary_gan import Auxiliary, AuxiliaryGAN
from pcgen.nn import EPiCEncoder, Noise, SetDecoder, weight_normed
from pcgen.objectives import LEAST_SQUARES, WASSERSTEIN
from pcgen.recipes import RECIPES
from pcgen.schema import Quantity, Schema

BARE = Schema((Quantity("x"), Quantity("y")), Quantity("E")).to_dict()


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_epic_gan_has_as_many_parameters_as_published():
    """Counted from EPiC-GAN's networks, which have no condition: 424,850 and 313,170."""
    common = {"hidden": 128, "global_channels": 10, "linear": weight_normed, "sum_scale": 1.0}
    generator = SetDecoder(10, 2, 1, start=Noise(3), layers=6, skips=True, **common)
    critic = EPiCEncoder(3, 1, layers=3, deep_head=True, **common)
    assert (parameters(generator), parameters(critic)) == (424_850, 313_170)
    # The recipe's have the condition beside: log n here, in the first layer of the generator.
    model = RECIPES["epic-gan"](schema=BARE)
    assert parameters(model.generator) == 424_850 + 128


@pytest.mark.parametrize(
    ("name", "rates", "betas"),
    [
        ("epic-gan", (1e-4, 1e-4), (0.9, 0.999)),
        ("mpgan", (3e-5, 1e-5), (0.0, 0.99)),
        ("gapt", (1.5e-4, 0.5e-4), (0.0, 0.99)),
    ],
)
def test_least_squares_without_a_penalty_one_step_each(name, rates, betas):
    model = RECIPES[name](hidden=8)
    assert (model.adversary.game, model.adversary.penalty) == (LEAST_SQUARES, None)
    critic, generator = model.phases()[-2:]
    assert (critic.repeat, generator.repeat) == (1, 1)
    assert (critic.optimiser["lr"], generator.optimiser["lr"]) == rates
    assert critic.optimiser["betas"] == generator.optimiser["betas"] == betas


def test_noise_of_mpgan_and_gapt_is_that_of_the_points():
    assert RECIPES["mpgan"]().noise_channels == (32, 0)
    assert RECIPES["mpgan"]().generator.start == Noise(32, 0.2)
    assert RECIPES["gapt"]().noise_channels == (8, 0)
    assert RECIPES["gapt"](induced=10).noise_channels == (8, 8)


def test_lagan_tells_classes_where_there_are_some():
    model = RECIPES["lagan"](channels=4, latent_dim=3)
    assert isinstance(model, AuxiliaryGAN)
    assert model.representation.grid.shape == (25, 25)
    assert model.auxiliary == Auxiliary(len(JETS.labels), flipping=0.05, generator_flipping=0.09)
    assert (model.adversary.game.flipping, model.adversary.penalty) == (0.05, None)
    plain = RECIPES["lagan"](channels=4, latent_dim=3, grid="x:0:1:9,y:0:1:9", schema=BARE)
    assert not isinstance(plain, AuxiliaryGAN)
    assert [dict(phase.optimiser) for phase in plain.phases()[-2:]] == [
        {"lr": 2e-4, "betas": (0.5, 0.999)}] * 2  # fmt: skip


def test_smearing_gan_is_a_wasserstein_game_of_perceptrons():
    model = RECIPES["smearing-gan"]()
    assert (model.adversary.game, model.adversary.strength) == (WASSERSTEIN, 60.0)
    assert (model.adversary.steps, model.code_channels) == (10, 2)
    # Two values, three conditions, two layers of 256, one logit.
    assert parameters(model.critic) == 6 * 256 + 257 * 256 + 257


@pytest.mark.parametrize("flipping", [-0.1, 0.5, float("nan")])
def test_a_share_of_wrong_labels_is_refused_by_its_name(flipping: float) -> None:
    with pytest.raises(ArgumentError, match=f"label_flipping: got {flipping}, expected a share"):
        RECIPES["lagan"](label_flipping=flipping)
