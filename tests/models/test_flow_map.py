"""Mean velocities: they carry noise to data in one step where a flow needs many."""

from __future__ import annotations

import math

import pytest
import torch
from test_flow_learns import SCHEMA, distances, moons
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.flow_map import DISTANCE, FlowMap, distance
from pcgen.models.representations import Points
from pcgen.nn import EPiCField
from pcgen.objectives.flow_map import LONGEST, SHORTEST, calmed, fractions, jump
from pcgen.objectives.flow_matching import Clock


class NormalMap(nn.Module):
    """Mean velocities of a flow between normal laws, per point: noise N(0, 1), data N(m, s²).

    With independent pairs x_t = a_t z + m t, a_t² = (1 - t)² + s² t², along a trajectory z is
    constant.
    """

    def __init__(self, mean: float, scale: float) -> None:
        super().__init__()
        self.mean, self.scale = mean, scale
        self.unused = nn.Parameter(torch.zeros(()))

    def std(self, t: Tensor) -> Tensor:
        return ((1 - t).square() + (self.scale * t).square()).sqrt()

    def at(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Where a trajectory through x at t is at s."""
        return (x - self.mean * t) / self.std(t) * self.std(s) + self.mean * s

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        slope = (t * self.scale**2 - (1 - t)) / self.std(t)
        return (x - self.mean * t) / self.std(t) * slope + self.mean

    def forward(self, clouds, time: Tensor, condition: Tensor) -> Tensor:
        # distance() is injective in its first column: 1 - cos(π d).
        apart = torch.acos((1 - condition[:, -DISTANCE]).clamp(-1, 1)) / math.pi
        t, d = time[clouds.batch][:, None].double(), apart[clouds.batch][:, None].double()
        x = clouds.pos.double()
        moved = (self.at(x, t, t + d) - x) / torch.where(d > 1e-4, d, 1.0)
        return torch.where(d > 1e-4, moved, self.velocity(x, t)).float() + self.unused


def exact(steps: int = 1) -> FlowMap:
    return FlowMap(Points(SCHEMA), NormalMap(0.7, 0.4), steps=steps)


def test_a_short_step_does_not_change_where_a_trajectory_ends():
    law = NormalMap(0.7, 0.4)
    x = torch.randn(1000, 1, dtype=torch.float64)
    t, s = torch.rand(2, 1000, 1, dtype=torch.float64).sort(0).values
    s = s + 0.05

    def mean(x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return (law.at(x, t, s) - x) / (s - t)

    errors = []
    for r in (0.04, 0.02):
        v, between = law.velocity(x, t), t + r * (s - t)
        rest = mean(x + r * (s - t) * v, between, s)
        errors.append(float(jump(mean(x, t, s), v, rest, torch.tensor(r)).abs().mean()))
    # What is left is the error of the short step, r² (s - t)² over r: half of r leaves half.
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.1)
    assert errors[1] < 0.02


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_exact_mean_velocities_are_exact_in_any_number_of_steps(steps):
    model = exact(steps)
    noise = torch.randn(300, 2)
    event = cl.make(noise, torch.tensor([100, 0, 200]))
    generated = model.follow(event, torch.zeros(3, 0))
    torch.testing.assert_close(generated.pos, 0.7 + 0.4 * noise, atol=2e-3, rtol=0)


def test_no_distance_has_no_features_and_all_distances_differ():
    readings = torch.linspace(0, 1, 200)
    features = distance(readings)
    assert features.shape == (200, DISTANCE)
    assert torch.equal(features[0], torch.zeros(DISTANCE))
    assert (features[1:, 0].diff() > 0).all()


def test_fractions_cover_their_range_evenly_in_the_logarithm():
    drawn = fractions(torch.linspace(0, 1, 1001))
    assert drawn[0] == pytest.approx(SHORTEST)
    assert drawn[-1] == pytest.approx(LONGEST)
    assert drawn[500] == pytest.approx(math.sqrt(SHORTEST * LONGEST), rel=1e-4)


def test_large_jumps_pull_by_their_length_alone():
    square = torch.tensor([25.0, 100.0], requires_grad=True)
    weight = calmed(square)
    assert not weight.requires_grad
    assert (weight * square.detach()).tolist() == pytest.approx([5.0, 10.0], rel=0.01)


def test_times_are_ordered_and_the_share_is_kept():
    model = FlowMap(Points(SCHEMA), NormalMap(0, 1), clock=Clock(5.0), share=0.3)
    torch.manual_seed(0)
    begin, end, share, far = model._times_of_maps(20_000, torch.zeros(1))
    assert ((share >= SHORTEST) & (share <= LONGEST)).all()
    assert far.double().mean() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(begin[~far], end[~far])
    assert (end[far] >= begin[far]).all()
    assert (end[far] == 1).double().mean() == pytest.approx(0.5, abs=0.03)
    assert (begin[far] == 0).double().mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ArgumentError, match="share: got"):
        FlowMap(Points(SCHEMA), NormalMap(0, 1), share=share)


@pytest.mark.slow
def test_one_step_of_a_map_does_what_many_of_a_flow_do():
    draw = torch.Generator().manual_seed(0)
    clouds, fresh = moons(4000, draw), moons(2000, draw)
    torch.manual_seed(0)
    field = EPiCField(2, condition_channels=1 + DISTANCE, hidden=48, global_channels=16, layers=2)
    model = FlowMap(Points(SCHEMA), field, share=0.5)
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])
    optimiser = torch.optim.Adam(field.parameters(), 4e-3)
    steps = 1200
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    for _ in range(steps):
        rows = torch.randint(clouds.num_graphs, (128,), generator=draw)
        loss = sum(model.map_loss(cl.select(clouds, rows)).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    model.eval()

    def distance_of(by: FlowMap) -> float:
        drawn = by.sample(number=2000, generator=torch.Generator().manual_seed(1))
        return distances(drawn, fresh)[1]

    one = distance_of(model)
    # One Euler step of the velocity takes all noise to the mean of the data.
    straight = FlowMap(model.representation, _Velocity(field))
    euler = distance_of(straight)
    print(one, euler)
    assert one < 0.15 * euler


class _Velocity(nn.Module):
    """The velocity that a field of mean velocities knows, whatever the distance."""

    def __init__(self, field: nn.Module) -> None:
        super().__init__()
        self.field = field

    def forward(self, clouds, time: Tensor, condition: Tensor) -> Tensor:
        return self.field(clouds, time, F.pad(condition[:, :-DISTANCE], (0, DISTANCE)))
