"""A map that learns the trajectories of a flow, and ends where they end."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from test_flow_learns import SCHEMA, distances, moons
from test_flow_map import NormalMap
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.flow import FlowMatching
from pcgen.models.flow_gan import FlowGAN
from pcgen.models.flow_map import DISTANCE
from pcgen.models.flow_student import LESSON, FlowStudent, _pieces
from pcgen.models.gan import Adversary
from pcgen.models.paths import UNIFORM
from pcgen.models.representations import Points
from pcgen.nn import EPiCField
from pcgen.objectives.flow_matching import Clock
from pcgen.ops.ode import Integrator
from pcgen.training.transfer import take


class NormalFlow(nn.Module):
    """Velocity of the flow of :class:`NormalMap`, for noise N(0, 1) and data N(m, s²)."""

    def __init__(self, mean: float, scale: float, clock: Clock = UNIFORM) -> None:
        super().__init__()
        self.law, self.clock = NormalMap(mean, scale), clock

    def forward(self, clouds, reading: Tensor, condition: Tensor) -> Tensor:
        return self.law.velocity(clouds.pos, self.clock.time(reading)[clouds.batch][:, None])


def networks(hidden: int = 8) -> tuple[EPiCField, EPiCField]:
    def field(further: int) -> EPiCField:
        channels = 1 + further
        return EPiCField(2, condition_channels=channels, hidden=hidden, global_channels=4, layers=2)

    return field(DISTANCE), field(0)


def prepare(model: FlowStudent, clouds: Batch) -> None:
    for phase in model.representation.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])


def normal_student(mean: float) -> tuple[FlowStudent, Batch]:
    """A map that ends at a mean, taught by the flow to 0.7, and clouds of any positions."""
    model = FlowStudent(Points(SCHEMA), NormalMap(mean, 0.4), NormalFlow(0.7, 0.4))
    clouds = cl.make(torch.randn(3000, 2), torch.tensor([1000, 0, 2000]))
    prepare(model, clouds)
    return model, clouds


def test_the_exact_map_has_no_loss_beyond_the_solver():
    # The rule of the lesson ends near the exact trajectory; the exact map ends on it.
    model, clouds = normal_student(0.7)
    terms = model.student_loss(clouds)
    assert terms.keys() == {"whole", "piece"}
    for term in terms.values():
        assert 0 <= float(term.detach()) < 1e-3


def test_another_map_has_the_squared_distance_of_the_ends_as_its_loss():
    model, clouds = normal_student(0.9)
    # From noise both keep the scale of z, and end 0.2 apart.
    assert float(model.student_loss(clouds)["whole"].detach()) == pytest.approx(0.04, rel=0.05)


def test_nodes_are_those_of_the_midpoint_rule():
    law = NormalFlow(0.7, 0.4, Clock(5.0))
    model = FlowStudent(Points(SCHEMA), NormalMap(0.7, 0.4), law, clock=law.clock)
    event = cl.make(torch.zeros(200, 2), torch.tensor([150, 50]))
    times, nodes = model._trajectories(event, torch.zeros(2, 0))
    assert times.tolist() == pytest.approx(LESSON.times())
    end = LESSON(lambda x, t: law.law.velocity(x, torch.tensor(t)), nodes[0])
    torch.testing.assert_close(nodes[-1], end)
    for time, at in zip(times.tolist(), nodes, strict=True):
        exact = law.law.at(nodes[0], torch.tensor(0.0), torch.tensor(time))
        assert float((at - exact).square().mean().sqrt()) < 0.02


def test_pieces_are_ordered_and_all_of_them_occur():
    begin, end = _pieces(20_000, 4, torch.device("cpu"))
    assert (begin >= 0).all()
    assert (end > begin).all()
    assert (end <= 4).all()
    counts = torch.zeros(5, 5).index_put_((begin, end), torch.ones(20_000), accumulate=True)
    for first in range(4):
        share = counts[first, first + 1 :] / 20_000
        assert share.tolist() == pytest.approx([0.25 / (4 - first)] * (4 - first), abs=0.015)


def test_steps_end_at_nodes_of_the_lesson():
    for steps in (1, 2, 4):
        model = FlowStudent(Points(SCHEMA), NormalMap(0, 1), NormalFlow(0, 1), steps=steps)
        nodes = LESSON.times()
        assert all(any(math.isclose(t, node) for node in nodes) for t in model.times())


def student_phase(model: FlowStudent) -> Callable[[list], object]:
    phase = next(phase for phase in model.phases() if phase.name == "student")
    assert phase.prepare is not None
    assert phase.adapt == phase.prepare
    return phase.prepare


def changed(module: nn.Module, by: float) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by)
    return module


def same(a: nn.Module, b: nn.Module) -> bool:
    """Whether two networks have the same parameters in the columns that both have."""
    other = b.state_dict()
    return all(
        torch.equal(v[..., : other[n].shape[-1]], other[n][..., : v.shape[-1]])
        for n, v in a.state_dict().items()
    )


def test_a_student_begins_as_its_teacher_at_any_distance():
    torch.manual_seed(0)
    clouds = moons(50, torch.Generator().manual_seed(0))
    model = FlowStudent(Points(SCHEMA), *networks())
    prepare(model, clouds)
    student_phase(model)([])
    event, condition = model.representation.see(clouds)
    begin = torch.rand(50)
    expected = model.teacher(event, begin, condition)
    for end in (begin, torch.ones(50)):
        found = model.mean_velocity(event, begin, end, condition)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("part", ["field", "teacher=field", "teacher"])
def test_what_a_run_starts_from_is_the_teacher(share, part):
    torch.manual_seed(0)
    model = FlowStudent(Points(SCHEMA), *networks(), share=share)
    if part == "teacher":
        source = FlowStudent(Points(SCHEMA), *networks())
        given = source.teacher
    else:
        source = FlowMatching(Points(SCHEMA), networks()[1])
        given = source.field
    take(model, source, part)
    assert same(model.teacher, given)
    student_phase(model)([])
    assert same(model.field, given)
    assert same(model.teacher, given)


def test_a_whole_student_goes_on_unless_its_teacher_has_learnt_more():
    torch.manual_seed(0)
    source = FlowStudent(Points(SCHEMA), *networks())
    changed(source.field, 1.0)
    for share in (0.0, 0.5):
        model = FlowStudent(Points(SCHEMA), *networks(), share=share)
        take(model, source)
        student_phase(model)([])
        assert same(model.teacher, source.teacher)
        assert same(model.field, source.field if share == 0 else source.teacher)


@pytest.mark.parametrize("part", [None, "teacher.layers=field.layers"])
def test_a_student_without_a_teacher_is_refused(part):
    model = FlowStudent(Points(SCHEMA), *networks(), share=0.0)
    if part is not None:
        take(model, FlowMatching(Points(SCHEMA), networks()[1]), part)
    with pytest.raises(ArgumentError, match="share: got 0 for a student without a teacher"):
        student_phase(model)([])


@pytest.mark.parametrize("part", ["field", "teacher=field"])
@pytest.mark.parametrize("kind", [FlowStudent, FlowGAN])
def test_what_goes_the_whole_way_is_no_teacher(part, kind):
    one, other = networks()[0], networks()[0]
    adversary = Adversary()
    source = (
        FlowGAN(Points(SCHEMA), one, other, adversary, clock=UNIFORM)
        if kind is FlowGAN
        else FlowStudent(Points(SCHEMA), one, other)
    )
    model = FlowStudent(Points(SCHEMA), networks()[0], networks()[0])
    with pytest.raises(ArgumentError, match="start_part: got the field of a Flow"):
        take(model, source, part)


def test_a_part_of_the_student_alone_would_be_lost_and_is_refused():
    model = FlowStudent(Points(SCHEMA), *networks())
    source = FlowMatching(Points(SCHEMA), networks()[1])
    with pytest.raises(ArgumentError, match=r"start_part: got 'field.layers', expected field"):
        take(model, source, "field.layers")


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_leaves_no_step_is_refused(share):
    with pytest.raises(ArgumentError, match="share: got"):
        FlowStudent(Points(SCHEMA), *networks(), share=share)


@pytest.mark.slow
def test_one_step_of_a_student_ends_where_the_flow_ends():
    draw = torch.Generator().manual_seed(0)
    clouds, fresh = moons(4000, draw), moons(2000, draw)
    torch.manual_seed(0)
    model = FlowStudent(Points(SCHEMA), *networks(48), share=0.5)
    prepare(model, clouds)
    for part, loss in ((model.teacher, model.velocity_loss), (model.field, model.student_loss)):
        if part is model.field:
            model._begin([])
        optimiser = torch.optim.Adam(part.parameters(), 4e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, 700)
        for _ in range(700):
            rows = torch.randint(clouds.num_graphs, (128,), generator=draw)
            total = sum(loss(cl.select(clouds, rows)).values())
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
            schedule.step()
    model.eval()

    flow = FlowMatching(model.representation, model.teacher)

    def far(of: FlowMatching, solver: Integrator) -> float:
        of.paths.solver = solver
        drawn = of.sample(number=2000, generator=torch.Generator().manual_seed(1))
        return distances(drawn, fresh)[1]

    one, four = (far(model, Integrator("euler", n, pace=LESSON.pace)) for n in (1, 4))
    worst, best = (far(flow, Integrator("euler", n)) for n in (1, 60))
    assert one < best + 0.25 * (worst - best)
    assert four < best + 0.25 * (worst - best)
