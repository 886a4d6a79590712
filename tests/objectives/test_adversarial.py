"""Adversarial games: the gradients and divergences that their papers prove."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.objectives import (
    HINGE,
    LEAST_SQUARES,
    NON_SATURATING,
    RELATIVISTIC,
    SATURATING,
    WASSERSTEIN,
    Game,
)

GAMES = {
    "non-saturating": NON_SATURATING,
    "saturating": SATURATING,
    "wasserstein": WASSERSTEIN,
    "hinge": HINGE,
    "least squares": LEAST_SQUARES,
    "relativistic": RELATIVISTIC,
}


def slope(loss: Tensor, logit: Tensor) -> Tensor:
    return torch.autograd.grad(loss.sum(), logit)[0]


def test_generator_gradients_saturate_or_not() -> None:
    """Goodfellow 2016, section 3.2.3: d/da log(1 - s(a)) = -s(a); d/da -log s(a) = -(1 - s(a))."""
    logit = torch.linspace(-30, 30, 41, dtype=torch.float64, requires_grad=True)
    sigmoid = torch.sigmoid(logit.detach())
    saturating = slope(SATURATING.generator_loss(logit), logit)
    torch.testing.assert_close(saturating, -sigmoid)
    not_saturating = slope(NON_SATURATING.generator_loss(logit), logit)
    torch.testing.assert_close(not_saturating, -(1 - sigmoid))
    assert saturating[0].abs() < 1e-12 < 0.999 < not_saturating[0].abs()


def test_loss_of_the_critic_is_cross_entropy() -> None:
    real, generated = torch.randn(2, 7, dtype=torch.float64)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = entropy(real, torch.ones_like(real), reduction="none")
    expected = expected + entropy(generated, torch.zeros_like(real), reduction="none")
    torch.testing.assert_close(NON_SATURATING.critic_loss(real, generated), expected)


@given(st.integers(2, 8), st.integers(0, 999))
def test_best_critic_measures_the_jensen_shannon_divergence(states: int, seed: int) -> None:
    """V(D*) = 2 JSD(p, q) - log 4 for D* = log p/q, and no other critic does better."""
    draw = torch.Generator().manual_seed(seed)
    p, q = torch.randn(2, states, generator=draw, dtype=torch.float64).softmax(1)
    middle = (p + q) / 2
    divergence = 0.5 * (p * (p / middle).log()).sum() + 0.5 * (q * (q / middle).log()).sum()

    def value(logit: Tensor) -> Tensor:
        zero = torch.full_like(logit, -1e9)  # f(-1e9) = 0 leaves one term of the loss
        at_real = NON_SATURATING.critic_loss(logit, zero)
        at_generated = NON_SATURATING.critic_loss(-zero, logit)
        return -(p * at_real).sum() - (q * at_generated).sum()

    best = (p / q).log()
    torch.testing.assert_close(value(best), 2 * divergence - math.log(4))
    assert value(best + 0.1 * torch.randn(states, generator=draw)) < value(best)


def test_other_games_by_hand() -> None:
    real, generated = torch.tensor([2.0, 0.5, -3.0]), torch.tensor([-2.0, 0.5, 1.0])
    cases = {
        "wasserstein": ([-4.0, 0.0, 4.0], [2.0, -0.5, -1.0]),
        "hinge": ([0.0, 2.0, 6.0], [2.0, -0.5, -1.0]),
        "least squares": ([2.0, 2.5, 20.0], [9.0, 0.25, 0.0]),
    }
    for name, (critic, generator) in cases.items():
        assert GAMES[name].critic_loss(real, generated).tolist() == critic, name
        assert GAMES[name].generator_loss(generated).tolist() == generator, name


def test_paired_game_sees_differences_only() -> None:
    real, generated = torch.randn(2, 6, dtype=torch.float64)
    critic = RELATIVISTIC.critic_loss(real, generated)
    torch.testing.assert_close(critic, torch.nn.functional.softplus(generated - real))
    generator = RELATIVISTIC.generator_loss(generated, real)
    torch.testing.assert_close(generator, torch.nn.functional.softplus(real - generated))
    torch.testing.assert_close(RELATIVISTIC.critic_loss(real + 5, generated + 5), critic)


@pytest.mark.parametrize("name", GAMES)
def test_every_game_pulls_the_right_way(name: str) -> None:
    game = GAMES[name]
    real = torch.tensor([[0.3], [-0.2]], requires_grad=True)
    generated = torch.tensor([[0.1], [0.4]], requires_grad=True)
    loss = game.critic_loss(real, generated)
    assert loss.shape == (2,)
    assert (slope(game.critic_loss(real, generated), real) < 0).all()
    assert (slope(loss, generated) > 0).all()
    toward = game.generator_loss(generated, real)
    assert toward.shape == (2,)
    assert (slope(toward, generated) < 0).all()


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="got 3 real and 2 generated, expected as many"):
        WASSERSTEIN.critic_loss(torch.zeros(3), torch.zeros(2))
    with pytest.raises(ArgumentError, match="real: got None, expected logits"):
        Game(torch.nn.functional.softplus, paired=True).generator_loss(torch.zeros(2))
