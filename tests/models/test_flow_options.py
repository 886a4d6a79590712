"""What a flow of points may see and how it is followed: centre, excess, squash, clock, coupling."""

from __future__ import annotations

import pytest
import torch
from test_flow import NormalField
from torch import Tensor, nn

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.cardinality import describe
from pcgen.models.flow import FlowMatching
from pcgen.models.paths import UNIFORM_SHARE
from pcgen.models.representations import Points
from pcgen.objectives.coupling import optimal_pairs
from pcgen.objectives.flow_matching import Clock
from pcgen.ops.ode import Integrator
from pcgen.recipes import points_flow
from pcgen.schema import Quantity, Schema

PLANE = Schema(
    (Quantity("x", "mm"), Quantity("y", "mm")), Quantity("E", "GeV"), condition=(Quantity("E0"),)
)


def showers(number=200, seed=0, leak=0.0):
    """Clouds off the origin, whose total is the condition but for what has leaked."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(0, 12, (number,), generator=generator)
    sizes[:2] = torch.tensor([1, 2])
    rows = int(sizes.sum())
    pos = 3.0 + torch.randn(rows, 2, generator=generator) ** 3
    weight = torch.rand(rows, generator=generator) + 0.1
    clouds = cl.make(pos, sizes, weight=weight)
    y = 50 * (1 + torch.rand(number, generator=generator))
    lost = leak * torch.rand(number, generator=generator)
    total = cl.total(clouds)
    factor = y * (1 - lost) / torch.where(total > 0, total, 1.0)
    return cl.replace(clouds, weight=weight * factor[clouds.batch], y=y[:, None])


def fitted(see: Points, clouds) -> Points:
    for phase in see.phases():
        phase.prepare([clouds])
    return see


def test_networks_see_clouds_about_their_centres():
    clouds = showers()
    see = fitted(Points(PLANE, recentre=True, centre=True), clouds)
    event, _ = see.see(clouds)
    seen = cl.replace(see.clouds(event, describe(clouds, PLANE)), y=clouds.y)
    # The centre of what is seen is the origin of the standardised axes, wherever the cloud was.
    raw = see.standardize.inverse(cl.replace(event, weight=None), cl.total(clouds))
    filled = cl.sizes(clouds) > 0
    centroid = describe(cl.replace(raw, y=clouds.y), PLANE).centroid[filled]
    torch.testing.assert_close(centroid, torch.zeros_like(centroid), atol=1e-4, rtol=0)
    # And there and back they are what they were.
    torch.testing.assert_close(seen.pos, clouds.pos, atol=1e-4, rtol=1e-4)
    with pytest.raises(ArgumentError, match="centre: got it without recentre"):
        Points(PLANE, centre=True)


@pytest.mark.parametrize("squash", [None, 0.5])
def test_what_is_seen_is_given_back(squash):
    clouds = showers(leak=0.5)
    see = fitted(Points(PLANE, recentre=True, centre=True, excess=True, squash=squash), clouds)
    event, condition = see.see(clouds)
    assert condition.shape == (200, see.condition_channels)
    back = see.clouds(event, describe(clouds, PLANE))
    torch.testing.assert_close(back.pos, clouds.pos, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(back.weight, clouds.weight, atol=1e-3, rtol=1e-3)
    scale = float(event.pos.square().mean())
    assert scale == pytest.approx(1.0, rel=0.3)


def test_the_excess_is_what_the_condition_does_not_say():
    clouds = showers(400, leak=0.5)
    see = fitted(Points(PLANE, excess=True), clouds)
    column = see.see(clouds).condition[:, -1]
    some = cl.sizes(clouds) > 0
    share = (cl.total(clouds) / clouds.y[:, 0])[some].log()
    assert float(torch.corrcoef(torch.stack([column[some], share]))[0, 1]) > 0.97
    assert float(torch.corrcoef(torch.stack([column[some], clouds.y[some, 0]]))[0, 1]) < 0.3
    # Generated events see the column that their drawn total has.
    flow = FlowMatching(see, Listening())
    flow.sample(number=50, generator=torch.Generator().manual_seed(1))
    seen = flow.field.conditions[0][:, -1]
    assert float(seen.std()) == pytest.approx(float(column.std()), rel=0.5)
    bare = Schema((Quantity("x"),))
    with pytest.raises(ArgumentError, match="excess: got points without weight"):
        Points(bare, excess=True)


class Listening(nn.Module):
    """A field that moves nothing and keeps what it has received."""

    def __init__(self) -> None:
        super().__init__()
        self.parameter = nn.Parameter(torch.zeros(()))
        self.conditions: list[Tensor] = []
        self.times: list[Tensor] = []

    def forward(self, event, time, condition):
        self.conditions.append(condition)
        self.times.append(time)
        return torch.zeros(len(event.pos), 3) + 0 * self.parameter


@pytest.mark.parametrize("rule", ["euler", "midpoint", "adaptive"])
def test_the_exact_velocity_gives_the_exact_law_by_any_clock(rule):
    clouds, clock = showers(), Clock(5.0)
    see = fitted(Points(PLANE), clouds)
    exact = NormalField(see, 1.0, 0.5)

    class Read(nn.Module):
        def __init__(self):
            super().__init__()
            self.parameter = exact.parameter

        def forward(self, event, reading, condition):
            return exact(event, clock.time(reading), condition)

    flow = FlowMatching(see, Read(), steps=60, clock=clock)
    flow.paths.solver = Integrator(rule, 60, 1e-4)
    values, inside = [], see.clouds
    see.clouds = lambda event, drawn: (values.append(see.values(event)), inside(event, drawn))[1]
    flow.sample(number=2000, generator=torch.Generator().manual_seed(0))
    assert float(values[0].mean()) == pytest.approx(1.0, abs=0.02)
    assert float(values[0].std()) == pytest.approx(0.5, abs=0.02)


def test_the_clock_gives_more_times_near_the_data():
    see, field = fitted(Points(PLANE), showers()), Listening()
    flow = FlowMatching(see, field, clock=Clock(5.0))
    torch.manual_seed(0)
    for _ in range(30):
        flow.velocity_loss(showers())
    time = flow.paths.clock.time(torch.cat(field.times))
    assert float(time.min()) >= 0
    assert float(time.max()) <= 1
    # A share is uniform, the others are below t with probability reading(t).
    for t in (0.2, 0.5, 0.9):
        expected = UNIFORM_SHARE * t + (1 - UNIFORM_SHARE) * flow.paths.clock.reading(t)
        assert float((time < t).float().mean()) == pytest.approx(expected, abs=0.02)


def test_coupled_pairs_make_the_loss_of_a_field_that_sees_nothing_smaller():
    see = fitted(Points(PLANE), showers())
    losses = []
    for coupling in (None, optimal_pairs):
        torch.manual_seed(0)
        flow = FlowMatching(see, Listening(), coupling=coupling)
        losses.append(float(flow.velocity_loss(showers())["velocity"].detach()))
    assert losses[0] == pytest.approx(2.0, rel=0.15)  # noise and data of variance 1
    assert losses[1] < 0.7 * losses[0]


def test_a_recipe_takes_each_of_them_and_by_default_none():
    plain = points_flow()
    assert (plain.paths.coupling, plain.paths.clock) == (None, Clock(1.0))
    assert plain.representation.squash is None
    flow = points_flow(coupling="optimal", shift=5.0, squash=0.75, centre=True, excess=True)
    assert (flow.paths.coupling, flow.paths.clock) == (optimal_pairs, Clock(5.0))
    assert (flow.representation.squash.width, flow.representation.centre) == (0.75, True)
    channels = [each.representation.condition_channels for each in (plain, flow)]
    assert channels[1] == channels[0] + 1
    with pytest.raises(ArgumentError, match="coupling: got 'optimal', expected independent"):
        points_flow(encoder="list", coupling="optimal")
