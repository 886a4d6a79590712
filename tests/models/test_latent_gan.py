"""Latent GAN: the losses in closed form, who learns from them, and that it learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.models.gan import Adversary
from pcgen.models.latent import Encoded
from pcgen.models.priors import WGAN_GP, AdversarialPrior
from pcgen.objectives.adversarial import NON_SATURATING, RELATIVISTIC
from pcgen.objectives.penalties import r1


class Linear(nn.Module):
    """A linear map of code and condition."""

    def __init__(self, code: int, condition: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(code + condition, out)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.linear(torch.cat([x, y], 1))


class Deep(Linear):
    """A small network of code and condition."""

    def __init__(self, code: int, condition: int, out: int) -> None:
        super().__init__(code, condition, 32)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, out))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.head(super().forward(x, y))


class Source:
    """Codes from a function."""

    def __init__(self, function: Callable[[], Encoded]) -> None:
        self.function = function

    def encode(self, clouds: Batch) -> Encoded:
        return self.function()

    draw = encode


def test_losses_of_a_linear_critic_are_those_of_the_paper() -> None:
    """D(e) = a · e: the game is a · (mean of generated - mean of real), the penalty (|a| - 1)²."""
    gan = AdversarialPrior(Linear(2, 1, 2), Linear(2, 1, 1), 2, replace(WGAN_GP, strength=7.0))
    nn.init.zeros_(gan.generator.linear.weight)
    nn.init.constant_(gan.generator.linear.bias, 5.0)
    with torch.no_grad():
        gan.critic.linear.weight.copy_(torch.tensor([[3.0, 4.0, 0.0]]))
    number = 50_000
    code, condition = torch.randn(number, 2), torch.ones(number, 1)
    terms = gan.critic_loss(code, condition)
    # Generated: N(0, 1) + 5, of which a · 5 = 35.
    assert terms["critic"].item() == pytest.approx(35.0, abs=0.3)
    assert terms["penalty"].item() == pytest.approx(7.0 * 16.0, rel=1e-4)
    bias = gan.critic.linear.bias.item()
    generated = gan.generator_loss(code, condition)["generator"]
    assert generated.item() == pytest.approx(-35.0 - bias, abs=0.3)


@pytest.mark.parametrize("game", [NON_SATURATING, RELATIVISTIC])
def test_other_games_and_penalties_take_its_place(game: object) -> None:
    gan = AdversarialPrior(Deep(2, 1, 2), Deep(2, 1, 1), 2, Adversary(game, r1, strength=0.5))
    code, condition = torch.randn(30, 2), torch.randn(30, 1)
    assert set(gan.critic_loss(code, condition)) == {"critic", "penalty"}
    assert gan.generator_loss(code, condition)["generator"].isfinite()


def test_phases_and_their_gradients() -> None:
    gan = AdversarialPrior(Deep(2, 1, 2), Deep(2, 1, 1), 2, replace(WGAN_GP, steps=3))
    part = Encoded(torch.randn(20, 2), torch.randn(20, 1), None)
    critic, generator = gan.phases(Source(lambda: part))
    clouds = cl.make(torch.zeros(0, 2), [])
    assert (critic.name, critic.repeat) == ("critic", 3)
    assert (generator.name, generator.repeat) == ("generator", 1)
    assert critic.loss is not None
    sum(critic.loss(clouds).values(), torch.zeros(())).backward()
    assert all(p.grad is None for p in gan.generator.parameters())
    # The last bias shifts real and generated alike: its gradient is 0.
    assert all(p.grad is not None for p in gan.critic.parameters())
    assert generator.loss is not None
    sum(generator.loss(clouds).values(), torch.zeros(())).backward()
    assert all(p.grad is not None and p.grad.any() for p in gan.generator.parameters())


def test_it_learns_what_a_normal_distribution_cannot_be() -> None:
    """Two modes at ±s, where the condition is s."""
    generator = torch.Generator().manual_seed(0)

    def batch(number: int) -> tuple[Tensor, Tensor]:
        size = torch.randint(1, 3, (number, 1), generator=generator).float()
        sign = torch.randint(0, 2, (number, 1), generator=generator) * 2.0 - 1
        return sign * size + 0.1 * torch.randn(number, 1, generator=generator), size

    gan = AdversarialPrior(Deep(1, 1, 1), Deep(1, 1, 1), 1, replace(WGAN_GP, strength=0.3))
    phases = gan.phases(Source(lambda: Encoded(*batch(128), None)))
    adam = [torch.optim.Adam(p.parameters(), 5e-3, betas=(0.5, 0.9)) for p in phases]
    empty = cl.make(torch.zeros(0, 2), [])
    for _ in range(200):
        for phase, optimiser in zip(phases, adam, strict=True):
            for _ in range(phase.repeat):
                optimiser.zero_grad()
                assert phase.loss is not None
                sum(phase.loss(empty).values(), torch.zeros(())).backward()
                optimiser.step()
    for size in (1.0, 2.0):
        generated = gan.sample(torch.full((2000, 1), size), None, generator).detach().flatten()
        # A normal distribution of the same width has 38% of its codes in the gap.
        assert (generated.abs() < size / 2).float().mean() < 0.15
        assert 0.4 < (generated > 0).float().mean() < 0.6
        assert generated.abs().mean().item() == pytest.approx(size, rel=0.25)


def test_equal_seeds_give_equal_codes() -> None:
    gan = AdversarialPrior(Deep(2, 1, 2), Deep(2, 1, 1), 2)
    a, b, c = (
        gan.sample(torch.zeros(4, 1), None, torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
