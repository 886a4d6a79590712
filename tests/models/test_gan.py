"""GAN on events: the game and R1 in closed form on points and on images, and that it learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.models.gan import GAN, Adversary
from pcgen.models.representations import Event, Images, Points, Representation
from pcgen.objectives.penalties import wgan_gp
from pcgen.ops.segments import segment_sum
from pcgen.schema import Quantity, Schema
from pcgen.standardize import channels

BARE = Schema((Quantity("x"), Quantity("y")))
ENERGY = Schema((Quantity("x"), Quantity("y")), Quantity("E", "GeV"))


class Slope(nn.Module):
    """Critic a · (sum of the values of an event)."""

    def __init__(self, slope: list[float]) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, event: Event, condition: Tensor) -> Tensor:
        if isinstance(event, Tensor):
            return self.slope * event.flatten(1).sum(1, keepdim=True)
        return (segment_sum(channels(event), event.ptr) * self.slope).sum(1, keepdim=True)


class Shifted(nn.Module):
    """Generator of points: code plus a learnt shift, the same for all points of a cloud."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(dimensions))

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor,
        generator: torch.Generator | None = None,
    ) -> Batch:
        return cl.make((code + self.shift).repeat_interleave(sizes, 0), sizes)


def prepared(representation: Representation, clouds: Batch) -> Representation:
    for phase in representation.phases():
        assert phase.prepare is not None
        phase.prepare([clouds])
    return representation


def test_losses_of_points_are_those_of_the_papers() -> None:
    """Of clouds of n points the gradient of a · Σ x is a at each, so R1 is n |a|²."""
    clouds = cl.make(torch.randn(5, 2), [2, 3])
    see = prepared(Points(BARE), clouds)
    gan = GAN(see, Shifted(2), Slope([0.6, 0.8]), 2, Adversary(strength=10.0))
    terms = gan.critic_loss(clouds)
    assert float(terms["penalty"].detach()) == pytest.approx(10.0 * (2 + 3) / 2)
    real = gan.critic(*see.see(clouds))
    generated = gan.critic(gan._make(*see.see(clouds)), see.see(clouds).condition)
    assert generated.shape == real.shape == (2, 1)
    gan.critic.slope.data.zero_()
    game = {name: float(t.detach()) for name, t in gan.critic_loss(clouds).items()}
    # An undecided critic costs 2 log 2 and the generator log 2.
    assert game == pytest.approx({"critic": 2 * F.softplus(torch.zeros(())).item(), "penalty": 0})
    assert float(gan.generator_loss(clouds)["generator"].detach()) == pytest.approx(0.693147, 1e-5)


def test_r1_of_images_counts_every_cell() -> None:
    grid = Grid.regular({"x": (-3, 3, 4), "y": (-3, 3, 5)})
    clouds = cl.make(torch.rand(6, 2), [4, 2], weight=torch.rand(6) + 0.1)
    see = prepared(Images(ENERGY, grid), clouds)
    gan = GAN(see, nn.Identity(), Slope([0.5]), 1, Adversary(strength=2.0))
    event, condition = see.see(clouds)
    penalty = gan.adversary.slope(gan._critic(condition), event, torch.zeros_like(event), see)
    torch.testing.assert_close(penalty, torch.full((2,), 0.25 * 20))


def test_each_side_learns_with_its_own_parameters_only() -> None:
    clouds = cl.make(torch.randn(5, 2), [2, 3])
    gan = GAN(prepared(Points(BARE), clouds), Shifted(2), Slope([1.0, 2.0]), 2, Adversary(steps=3))
    names = {phase.name: phase for phase in gan.phases()}
    assert list(names) == ["standardize", "cardinality", "critic", "generator"]
    assert names["critic"].repeat == 3
    sum(gan.critic_loss(clouds).values()).backward()
    assert gan.generator.shift.grad is None
    assert gan.critic.slope.grad is not None
    gan.generator_loss(clouds)["generator"].backward()
    assert gan.generator.shift.grad is not None


def test_there_is_no_in_between_of_two_sets() -> None:
    clouds = cl.make(torch.randn(5, 2), [2, 3])
    gan = GAN(
        prepared(Points(BARE), clouds), Shifted(2), Slope([1.0, 2.0]), 2, Adversary(penalty=wgan_gp)
    )
    with pytest.raises(ArgumentError, match="no in between"):
        gan.critic_loss(clouds)


def test_it_learns_where_points_are() -> None:
    """One-point clouds N(0, 1) against noise that starts 2 away: the shift is found."""
    torch.manual_seed(0)
    data = cl.make(torch.randn(4096, 2) * 3 + 50, [1] * 4096)
    gan = GAN(
        prepared(Points(BARE), data), Shifted(2), Slope([0.0, 0.0]), 2, Adversary(strength=0.5)
    )
    gan.generator.shift.data.fill_(2.0)
    sides = {
        "critic": torch.optim.SGD(gan.critic.parameters(), 0.2),
        "generator": torch.optim.SGD(gan.generator.parameters(), 0.2),
    }
    for step in range(300):
        batch = cl.select(data, slice(64 * step % 4096, 64 * step % 4096 + 64))
        for name, loss in (("critic", gan.critic_loss), ("generator", gan.generator_loss)):
            sides[name].zero_grad()
            sum(loss(batch).values()).backward()
            sides[name].step()
    assert gan.generator.shift.detach().abs().max() < 0.2
    generated = gan.sample(number=4000, generator=torch.Generator().manual_seed(1))
    # In physical units, within what the shift that is left and 4000 samples allow.
    torch.testing.assert_close(generated.pos.mean(0), torch.full((2,), 50.0), rtol=0, atol=0.8)
    torch.testing.assert_close(generated.pos.std(0), torch.full((2,), 3.0), rtol=0, atol=0.15)
