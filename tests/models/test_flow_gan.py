"""A critic finishes a map: what it sees, what it costs, and that it mends a blurred one."""

from __future__ import annotations

import pytest
import torch
from test_flow_learns import moons
from torch import nn

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.flow_gan import FlowGAN
from pcgen.models.flow_map import DISTANCE
from pcgen.models.gan import Adversary
from pcgen.models.representations import Points
from pcgen.nn import EPiCEncoder, EPiCField
from pcgen.objectives.adversarial import RELATIVISTIC
from pcgen.objectives.flow_matching import Clock
from pcgen.objectives.penalties import finite_r1_r2, r1_r2
from pcgen.ops.segments import segment_mean
from pcgen.recipes import points_flow_gan
from pcgen.schema import Quantity, Schema

PLANE = Schema((Quantity("x", "mm"), Quantity("y", "mm")))
SHOWER = Schema(PLANE.axes, Quantity("E", "GeV"))


def gan(schema: Schema = PLANE, nearness: float = 0.01) -> FlowGAN:
    torch.manual_seed(0)
    see = Points(schema)
    further = 0 if schema.weight is None else 3
    field = EPiCField(
        see.value_channels, condition_channels=1 + DISTANCE, hidden=32, global_channels=8, layers=2
    )
    critic = EPiCEncoder(
        see.value_channels + further, 1, condition_channels=1, hidden=32, global_channels=8,
        layers=2,
    )  # fmt: skip
    adversary = Adversary(RELATIVISTIC, finite_r1_r2, strength=0.1)
    return FlowGAN(see, field, critic, adversary, clock=Clock(), nearness=nearness)


def test_the_mean_of_what_the_critic_sees_is_the_first_two_moments():
    draw = torch.Generator().manual_seed(0)
    sizes = torch.tensor([3, 0, 1, 6])
    clouds = cl.make(
        torch.randn(10, 2, generator=draw), sizes, weight=torch.rand(10, generator=draw) + 0.1
    )
    model = gan(SHOWER)
    for phase in model.representation.phases():
        phase.prepare([clouds])
    event, _ = model.representation.see(clouds)
    seen = model.seen_by_critic(event)
    means = segment_mean(seen.x[:, 1:], seen.ptr)
    for each, (start, stop) in enumerate(zip(clouds.ptr[:-1], clouds.ptr[1:], strict=True)):
        f = clouds.weight[start:stop] / clouds.weight[start:stop].sum()
        u = event.pos[start:stop]
        expected = torch.cat([(f[:, None] * u).sum(0), (f * u.square().sum(1)).sum()[None]])
        torch.testing.assert_close(means[each], expected, atol=1e-5, rtol=1e-5)


def test_without_weights_the_critic_sees_the_points():
    model, clouds = gan(), moons(5, torch.Generator().manual_seed(0))
    for phase in model.representation.phases():
        phase.prepare([clouds])
    event, _ = model.representation.see(clouds)
    assert model.seen_by_critic(event).get("x") is None


def test_differences_are_on_average_the_squared_gradients():
    torch.manual_seed(0)
    hidden = nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 1)).double()
    real, generated = torch.randn(2, 6, 3, dtype=torch.float64)
    exact = r1_r2(hidden, real, generated).detach()
    draws = torch.stack([finite_r1_r2(hidden, real, generated).detach() for _ in range(4000)])
    error = draws.std(0) / 4000**0.5
    assert ((draws.mean(0) - exact).abs() < 4 * error + 1e-4).all()


def test_differences_move_the_critic_alone():
    critic = nn.Linear(2, 1)
    real = torch.randn(4, 2, requires_grad=True)
    finite_r1_r2(critic, real, torch.randn(4, 2)).sum().backward()
    assert real.grad is None
    assert critic.weight.grad.abs().sum() > 0
    assert critic.bias.grad is None or critic.bias.grad.abs().sum() < 1e-3


def test_the_way_is_counted_once():
    model, clouds = gan(nearness=0.5), moons(20, torch.Generator().manual_seed(0))
    for phase in model.representation.phases():
        phase.prepare([clouds])
    nn.init.zeros_(model.field.point_out.linear.weight)
    with torch.no_grad():
        model.field.point_out.linear.bias.copy_(torch.tensor([3.0, 4.0]))
    # Each point goes (3, 4): the mean square of its two columns is 12.5.
    assert model.generator_loss(clouds)["near"].item() == pytest.approx(0.5 * 12.5, rel=1e-4)
    with pytest.raises(ArgumentError, match="nearness: got -1"):
        points_flow_gan(nearness=-1.0)


def islands(number: int, seed: int):
    """Clouds of 6 points about one place each, 0.3 wide; the places are N(0, 1)."""
    draw = torch.Generator().manual_seed(seed)
    place = torch.randn(number, 2, generator=draw).repeat_interleave(6, 0)
    return cl.make(place + 0.3 * torch.randn(6 * number, 2, generator=draw), [6] * number)


def width(clouds) -> float:
    """Mean squared distance of points from the centre of their cloud."""
    centre = segment_mean(clouds.pos, clouds.ptr)
    return float((clouds.pos - centre[clouds.batch]).square().mean())


@pytest.mark.slow
def test_a_critic_gathers_points_that_a_map_leaves_apart():
    model, clouds = gan(), islands(2000, 0)
    for phase in model.representation.phases():
        phase.prepare([clouds])
    nn.init.zeros_(model.field.point_out.linear.weight)
    critic, generator = (
        torch.optim.Adam(module.parameters(), 2e-3, betas=(0.0, 0.9))
        for module in (model.critic, model.field)
    )
    draw = torch.Generator().manual_seed(0)

    def generated_width() -> float:
        return width(model.sample(number=1000, generator=torch.Generator().manual_seed(1)))

    before = generated_width()
    for _ in range(250):
        for optimiser, loss in ((critic, model.critic_loss), (generator, model.generator_loss)):
            total = sum(
                loss(cl.select(clouds, torch.randint(2000, (32,), generator=draw))).values()
            )
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
    print(before, generated_width(), width(clouds))
    assert before > 8 * width(clouds)
    assert generated_width() < 2 * width(clouds)
