"""A decoder that is a flow draws what a code leaves open; a distance of sets takes it away."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.autoencoder import Autoencoder, Gaussian
from pcgen.models.flow_decoder import FlowDecoder
from pcgen.models.priors import FlowPrior
from pcgen.models.representations import Points
from pcgen.nn import CodeField, EPiCEncoder, EPiCField, Ranks, SetDecoder
from pcgen.objectives.coupling import optimal_pairs
from pcgen.objectives.reconstruction import EarthMoverLoss
from pcgen.ops.segments import segment_mean
from pcgen.schema import Quantity, Schema

SCHEMA = Schema((Quantity("x", "mm"), Quantity("y", "mm")), Quantity("E", "GeV"))
POINTS, CODE = 12, 2


def spots(number: int, seed: int):
    """Clouds of 12 points with equal weights, N(c, 0.5²) about a centre c that is N(0, 1)."""
    draw = torch.Generator().manual_seed(seed)
    centre = torch.randn(number, 2, generator=draw).repeat_interleave(POINTS, 0)
    pos = centre + 0.5 * torch.randn(number * POINTS, 2, generator=draw)
    return cl.make(pos, [POINTS] * number, weight=torch.ones(len(pos)))


def width(clouds) -> float:
    """Mean squared distance of points from the centre of their cloud, 0.5 · 11/12 for spots."""
    centre = segment_mean(clouds.pos, clouds.ptr)
    return float((clouds.pos - centre[clouds.batch]).square().sum(1).mean())


def autoencoder(kind: str) -> Autoencoder:
    torch.manual_seed(0)
    see = Points(SCHEMA)
    encoder = EPiCEncoder(3, 16, hidden=16, global_channels=8, layers=1, condition_channels=1)
    latent = Gaussian(16, CODE, beta=1e-3)
    if kind == "flow":
        field = EPiCField(3, condition_channels=1 + CODE, hidden=24, global_channels=8, layers=2)
        decoder: nn.Module = FlowDecoder(see, field, coupling=optimal_pairs)
        return Autoencoder(see, encoder, latent, decoder)
    inner = SetDecoder(
        CODE, 2, 1, condition_channels=1, hidden=24, global_channels=8, layers=2,
        start=Ranks(),
    )  # fmt: skip
    distance = {"emd": EarthMoverLoss(standardize=see.standardize)}
    return Autoencoder(see, encoder, latent, inner, distance)


def trained(kind: str, steps: int) -> Autoencoder:
    model, clouds = autoencoder(kind), spots(1000, 0)
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, steps)
    draw = torch.Generator().manual_seed(0)
    for _ in range(steps):
        rows = torch.randint(1000, (64,), generator=draw)
        loss = sum(model.loss(cl.select(clouds, rows)).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


@pytest.mark.slow
def test_a_flow_keeps_the_width_that_a_distance_of_sets_takes_away():
    fresh = spots(400, 1)
    real, kept = width(fresh), {}
    for kind, steps in (("flow", 500), ("emd", 200)):
        generated = trained(kind, steps).reconstruct(fresh, torch.Generator().manual_seed(0))
        kept[kind] = width(generated) / real
        # The code holds where the cloud is.
        centres = [segment_mean(c.pos, c.ptr) for c in (generated, fresh)]
        assert float((centres[0] - centres[1]).square().mean()) < 0.15
    print(kept)
    assert kept["flow"] == pytest.approx(1.0, abs=0.12)
    assert kept["emd"] < 0.8


def test_a_flow_has_no_likelihood_and_draws_what_its_generator_fixes():
    model, clouds = autoencoder("flow"), spots(20, 2)
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])
    with pytest.raises(ArgumentError, match="without a likelihood"):
        model.log_likelihood(clouds)
    assert [phase.name for phase in model.phases()][-1] == "bound"
    model.eval()
    drawn = [model.sample(number=5, generator=torch.Generator().manual_seed(k)) for k in (1, 1, 2)]
    assert torch.equal(drawn[0].pos, drawn[1].pos)
    assert not torch.equal(drawn[0].pos, drawn[2].pos)


class NormalVelocity(nn.Module):
    """Of a flow to N(2, 0.3²) in each column, independent pairs."""

    def forward(self, code: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        t = time[:, None]
        std = ((1 - t).square() + (0.3 * t).square()).sqrt()
        return (code - 2 * t) / std.square() * (0.09 * t - (1 - t)) + 2


def test_a_flow_of_codes_ends_where_its_velocity_leads():
    prior = FlowPrior(NormalVelocity(), 3, steps=40)
    drawn = prior.sample(torch.zeros(4000, 1), None, torch.Generator().manual_seed(0))
    assert drawn.mean() == pytest.approx(2.0, abs=0.01)
    assert drawn.std() == pytest.approx(0.3, rel=0.02)


def test_a_flow_of_codes_learns_two_islands_and_the_condition():
    torch.manual_seed(0)
    prior = FlowPrior(CodeField(2, condition_channels=1, hidden=(64, 64)), 2)
    optimiser = torch.optim.Adam(prior.parameters(), 5e-3)

    def islands(number: int) -> tuple[Tensor, Tensor]:
        condition = torch.rand(number, 1)
        side = torch.where(torch.rand(number, 1) < condition, 1.0, -1.0)
        return torch.cat([side, condition], 1) + 0.1 * torch.randn(number, 2), condition

    for _ in range(500):
        loss = prior.loss(*islands(256))["velocity"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        for condition in (0.2, 0.8):
            drawn = prior.sample(torch.full((2000, 1), condition), None)
            assert (drawn[:, 0] > 0).double().mean() == pytest.approx(condition, abs=0.1)
            assert (drawn[:, 0].abs() - 1).abs().median() < 0.2
            assert drawn[:, 1].mean() == pytest.approx(condition, abs=0.08)
