"""Flow matching: exact velocities give exact laws, whatever the representation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.models.flow import FlowMatching
from pcgen.models.representations import Event, Images, Points, Representation, Sites
from pcgen.objectives.flow_matching import straight_path
from pcgen.schema import Quantity, Schema

SCHEMA = Schema((Quantity("x", "mm"),), Quantity("E", "GeV"))
GRID = Grid.parse("x:0:8:8:mm")


def clouds(sizes: list[int], seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    rows = sum(sizes)
    pos = 8 * torch.rand(rows, 1, generator=generator)
    return cl.make(pos, sizes, weight=torch.randn(rows, generator=generator).exp())


def prepared(representation: Representation, batch: Batch) -> Representation:
    for phase in representation.phases():
        assert phase.prepare is not None
        phase.prepare([batch])
    return representation


class NormalField(nn.Module):
    """The velocity from N(0, 1) to N(m, s²), which is known."""

    def __init__(self, see: Representation, mean: float, std: float) -> None:
        super().__init__()
        self.see, self.mean, self.std = [see], mean, std
        self.parameter = nn.Parameter(torch.zeros(()))

    def forward(self, event: Event, time: Tensor, condition: Tensor) -> Tensor:
        x = self.see[0].values(event)
        if isinstance(event, Tensor):
            t = time.view(-1, *[1] * (x.dim() - 1))
        else:
            t = time[event.batch][:, None]
        variance = (1 - t) ** 2 + (self.std * t) ** 2
        pull = (self.std**2 * t - (1 - t)) / variance
        return self.mean + pull * (x - self.mean * t)


class EveryCell(nn.Module):
    """Support: all cells of a grid of 8 are active."""

    def __init__(self) -> None:
        super().__init__()
        self.parameter = nn.Parameter(torch.zeros(()))

    def losses(self, code: Tensor, condition: Tensor, event: Event) -> dict[str, Tensor]:
        return {"occupancy": self.parameter.square().expand(event.num_graphs)}

    def sample(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor,
        generator: torch.Generator | None = None,
    ) -> Batch:
        assert code.shape == (len(sizes), 0)
        cell = torch.arange(8).repeat(len(sizes))[:, None]
        return cl.make(cell + 0.5, [8] * len(sizes), x=torch.zeros(len(cell), 1), cell=cell)


def test_the_path_is_straight() -> None:
    noise, data = torch.randn(2, 5, 3)
    at, velocity = straight_path(noise, data, torch.tensor([[0.0], [1.0], [0.5], [0.5], [0.25]]))
    torch.testing.assert_close(at[0], noise[0])
    torch.testing.assert_close(at[1], data[1])
    torch.testing.assert_close(at[2], (noise[2] + data[2]) / 2)
    torch.testing.assert_close(velocity, data - noise)
    with pytest.raises(ArgumentError, match="noise: got"):
        straight_path(noise[:2], data, torch.zeros(1))


@pytest.mark.parametrize("kind", ["points", "sites", "images"])
def test_the_exact_velocity_gives_the_exact_law(kind: str) -> None:
    batch = clouds([6] * 50)
    see = {"points": Points(SCHEMA), "sites": Sites(SCHEMA, GRID), "images": Images(SCHEMA, GRID)}
    chosen = prepared(see[kind], batch)
    support = EveryCell() if kind == "sites" else None
    flow = FlowMatching(chosen, NormalField(chosen, 3.0, 0.5), support=support, steps=40)
    drawn: list[Tensor] = []
    inside = chosen.clouds
    chosen.clouds = lambda event, d: (drawn.append(chosen.values(event)), inside(event, d))[1]
    generated = flow.sample(number=2000, generator=torch.Generator().manual_seed(0))
    values = drawn[0]
    assert float(values.mean()) == pytest.approx(3.0, abs=0.02)
    assert float(values.std()) == pytest.approx(0.5, abs=0.02)
    assert generated.num_graphs == 2000
    if kind != "points":
        assert (cl.sizes(generated) == 8).all()


@pytest.mark.parametrize("kind", ["points", "sites", "images"])
def test_the_exact_velocity_has_the_smallest_loss(kind: str) -> None:
    """Of data of variance s² the best linear velocity leaves s² + 1 - E[cov² / var(x_t)].

    var(x_t) = (1 - t)² + s² t² and cov = s² t - (1 - t) is that of x_t with x_1 - x_0.
    """
    batch = clouds([6] * 4000) if kind == "points" else clouds([40] * 400)
    see = {"points": Points(SCHEMA), "sites": Sites(SCHEMA, GRID), "images": Images(SCHEMA, GRID)}
    chosen = prepared(see[kind], batch)
    torch.manual_seed(0)
    data = chosen.values(chosen.see(batch).event)
    mean, std = float(data.mean()), float(data.std())

    support = EveryCell() if kind == "sites" else None

    def loss(mean: float, std: float) -> float:
        torch.manual_seed(1)
        flow = FlowMatching(chosen, NormalField(chosen, mean, std), support=support)
        return float(flow.velocity_loss(batch)["velocity"])

    best = loss(mean, std)
    times = (torch.arange(1000) + 0.5) / 1000
    spread = (1 - times) ** 2 + (std * times) ** 2
    known = (std**2 * times - (1 - times)) ** 2 / spread
    assert best == pytest.approx(float((std**2 + 1 - known).mean()), rel=0.05)
    assert best < loss(mean + 0.5, std)
    assert best < loss(mean, 2 * std)


def test_the_field_knows_how_many_cells_the_support_drew() -> None:
    batch = clouds([6] * 50)
    see = prepared(Sites(SCHEMA, GRID), batch)
    conditions: list[Tensor] = []

    class Listening(NormalField):
        def forward(self, event: Event, time: Tensor, condition: Tensor) -> Tensor:
            conditions.append(condition)
            return super().forward(event, time, condition)

    flow = FlowMatching(see, Listening(see, 0.0, 1.0), support=EveryCell(), steps=1)
    flow.sample(number=5)
    eight = see.standardize.condition(None, None, torch.full((5,), 8))
    assert torch.equal(conditions[0], eight)
    assert [phase.name for phase in flow.phases()][-2:] == ["velocity", "support"]
    assert set(flow.support_loss(batch)) == {"occupancy"}


def test_empty_events_are_generated_and_learnt_from() -> None:
    batch = clouds([3, 0, 2])
    for see in (Points(SCHEMA), Sites(SCHEMA, GRID), Images(SCHEMA, GRID)):
        chosen = prepared(see, batch)
        support = EveryCell() if type(chosen) is Sites else None
        flow = FlowMatching(chosen, NormalField(chosen, 0.0, 1.0), support=support, steps=2)
        assert bool(flow.velocity_loss(batch)["velocity"].isfinite())
        generated = flow.sample(sizes=[0, 4], generator=torch.Generator().manual_seed(0))
        assert generated.num_graphs == 2
        assert generated.weight.isfinite().all()
        assert float(cl.total(generated)[0]) == 0
        assert float(cl.total(generated)[1]) > 0
        if type(chosen) is Points:
            assert cl.sizes(generated).tolist() == [0, 4]


def test_a_support_that_cannot_learn_is_refused() -> None:
    see = prepared(Points(SCHEMA), clouds([3]))
    with pytest.raises(ArgumentError, match="support: got function, expected a module"):
        FlowMatching(see, NormalField(see, 0.0, 1.0), support=lambda: None)
    sites = Sites(SCHEMA, GRID)
    with pytest.raises(ArgumentError, match="support: got none, expected a model of which cells"):
        FlowMatching(sites, NormalField(sites, 0.0, 1.0))
