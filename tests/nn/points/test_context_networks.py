"""Networks that read a context: symmetries in both clouds, empty ones, and what stays apart."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Batch
from toy_pairs import moved

from pcgen import clouds as pc
from pcgen import testing
from pcgen.errors import ArgumentError
from pcgen.nn import ContextEncoder, ContextField, ContextReader, CrossAttention
from pcgen.objectives.penalties import r1
from pcgen.recipes import networks
from pcgen.schema import Quantity, Schema

NAMES = ("epic", "pointnet", "edgeconv", "attention")
SUMMARY, HIDDEN, CONDITION = 5, 8, 3
SCHEMA = Schema((Quantity("x"), Quantity("y")), Quantity("w"))
SIZES = ([3, 0, 1, 6, 0, 4], [2, 5, 0, 1, 0, 7])  # of events and of contexts


def event(seed: int = 0) -> Batch:
    """Standardised events with contexts; some of each are empty."""
    draw = torch.Generator().manual_seed(seed)
    clouds = []
    for sizes, columns in zip(SIZES, (0, SUMMARY), strict=True):
        points = sum(sizes)
        y = torch.randn(len(sizes), columns, generator=draw) if columns else None
        clouds.append(
            pc.make(torch.randn(points, 2, generator=draw), sizes,
                    x=torch.randn(points, 1, generator=draw), y=y)
        )  # fmt: skip
    return pc.replace(clouds[0], context=clouds[1])


def reader(name: str) -> ContextReader:
    torch.manual_seed(0)
    own = networks.Wide(SCHEMA, 3, SUMMARY)
    return ContextReader(networks.of_points(name, HIDDEN, 2).encoder(own, HIDDEN))


def field(name: str, read: ContextReader) -> ContextField:
    torch.manual_seed(1)
    rows = read.out_channels
    inner = networks.of_points(name, HIDDEN, 2).field(
        networks.Wide(SCHEMA, 3 + HIDDEN, CONDITION + rows)
    )
    return ContextField(
        inner, 3, read.feature_channels, rows, condition_channels=CONDITION, hidden=HIDDEN
    )


def critic(name: str) -> ContextEncoder:
    read = reader(name)
    inner = networks.of_points(name, HIDDEN, 2).encoder(
        networks.Wide(SCHEMA, 3 + HIDDEN, CONDITION + read.out_channels), 1
    )
    return ContextEncoder(read, inner, 3, condition_channels=CONDITION, hidden=HIDDEN)


@pytest.mark.parametrize("name", NAMES)
def test_a_critic_does_not_see_an_order_and_knows_whose_context_it_is(name) -> None:
    judge, clouds, condition = critic(name), event(), torch.randn(6, CONDITION)

    def run(some: Batch) -> torch.Tensor:
        return judge(some, condition)

    testing.assert_permutation_invariant(run, clouds)
    logits = run(clouds)
    for k in range(6):
        alone = judge(pc.select(clouds, [k]), condition[[k]])
        torch.testing.assert_close(alone, logits[[k]], rtol=1e-4, atol=1e-5)
    context = pc.context(clouds)
    pushed = pc.replace(context, pos=context.pos + (context.batch == 3)[:, None].float())
    apart = (run(pc.replace(clouds, context=pushed)) - logits).abs().flatten() > 1e-6
    assert apart.tolist() == [k == 3 for k in range(6)]


@pytest.mark.parametrize("name", NAMES)
def test_the_penalty_of_a_critic_has_a_gradient(name) -> None:
    """Of its slope in the event, by differences of the penalty in a parameter."""
    judge, clouds = critic(name).double(), pc.cast(event(), torch.float64)
    condition = torch.randn(6, CONDITION).double()
    parameter = judge.query.point_in.weight

    def penalty() -> torch.Tensor:
        def of_positions(pos: torch.Tensor) -> torch.Tensor:
            return judge(pc.replace(clouds, pos=pos), condition)

        return r1(of_positions, clouds.pos, clouds.pos, ptr=clouds.ptr).sum()

    (slope,) = torch.autograd.grad(penalty(), parameter)
    way, step = torch.randn_like(parameter), 1e-6
    values = []
    for sign in (1.0, -1.0):
        with torch.no_grad():
            parameter += sign * step * way
        values.append(penalty().item())
        with torch.no_grad():
            parameter -= sign * step * way
    measured = (values[0] - values[1]) / (2 * step)
    assert (slope * way).sum().item() == pytest.approx(measured, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_field_is_equivariant_and_does_not_see_the_order_of_the_context(name) -> None:
    read, clouds = reader(name), event()
    velocity = field(name, read)
    time, condition = torch.rand(6), torch.randn(6, CONDITION)

    def run(some: Batch) -> torch.Tensor:
        return velocity(read(some), time, condition)

    testing.assert_permutation_equivariant(run, clouds)
    context = pc.context(clouds)
    order = torch.cat([torch.randperm(n) + first for n, first in
                       zip(SIZES[1], context.ptr[:-1].tolist(), strict=True)])  # fmt: skip
    other = pc.replace(clouds, context=moved(context, order))
    torch.testing.assert_close(run(other), run(clouds), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_each_event_depends_on_its_own_context_alone(name) -> None:
    read, clouds = reader(name), event()
    velocity = field(name, read)
    time, condition = torch.rand(6), torch.randn(6, CONDITION)
    together = velocity(read(clouds), time, condition)
    for k in range(6):
        alone = velocity(read(pc.select(clouds, [k])), time[[k]], condition[[k]])
        mine = together[clouds.ptr[k] : clouds.ptr[k + 1]]
        torch.testing.assert_close(alone, mine, rtol=1e-4, atol=1e-5)
    # Event 3 changes with its context, and no other one does.
    context = pc.context(clouds)
    pushed = pc.replace(context, pos=context.pos + (context.batch == 3)[:, None].float())
    changed = velocity(read(pc.replace(clouds, context=pushed)), time, condition)
    apart = (changed - together).abs().amax(1) > 1e-6
    assert bool(apart[clouds.batch == 3].all())
    assert not bool(apart[clouds.batch != 3].any())


@pytest.mark.parametrize("fused", [False, True])
def test_attention_across_clouds_is_that_of_torch(fused) -> None:
    torch.manual_seed(0)
    layer = CrossAttention(8, 6, 2, fused=fused).double()
    x, other = torch.randn(sum(SIZES[0]), 8).double(), torch.randn(sum(SIZES[1]), 6).double()
    ptrs = [torch.tensor([0, *torch.tensor(sizes).cumsum(0).tolist()]) for sizes in SIZES]
    found = layer(x, ptrs[0], other, ptrs[1])
    key, value = layer.read(other).chunk(2, 1)
    for k, (own, theirs) in enumerate(zip(*SIZES, strict=True)):
        rows, read = slice(*ptrs[0][k : k + 2]), slice(*ptrs[1][k : k + 2])
        query = layer.query(x[rows])
        heads = []
        for h in range(2):
            part = slice(4 * h, 4 * h + 4)
            score = query[:, part] @ key[read, part].T / 2
            heads.append(score.softmax(1) @ value[read, part])
        expected = torch.cat(heads, 1) if theirs else query.new_zeros(own, 8)
        torch.testing.assert_close(found[rows], layer.out(expected))


def test_written_out_it_has_a_second_derivative() -> None:
    torch.manual_seed(0)
    layer = CrossAttention(4, 3, 2).double()
    ptrs = torch.tensor([0, 2, 2, 3]), torch.tensor([0, 1, 2, 4])
    inputs = torch.randn(3, 4).double().requires_grad_(), torch.randn(4, 3).double()

    def run(x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return layer(x, ptrs[0], other, ptrs[1])

    inputs = (inputs[0], inputs[1].requires_grad_())
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_features_and_rows_of_one_pass_are_those_of_two(name) -> None:
    encoder, context = reader(name).encoder, pc.context(event())
    features, rows = encoder.read(context)
    assert features.shape == (len(context.pos), encoder.feature_channels)
    assert torch.equal(features, encoder.features(context))
    assert torch.equal(rows, encoder.encode(context))
    assert torch.equal(rows, encoder(context))


def test_events_without_contexts_are_refused() -> None:
    read = reader("epic")
    clouds = pc.replace(event(), context=None)
    with pytest.raises(ArgumentError, match="context: got clouds without one"):
        read(clouds)
    with pytest.raises(ArgumentError, match="context: got clouds without one"):
        field("epic", read)(clouds, torch.rand(6), torch.randn(6, CONDITION))
    with pytest.raises(ArgumentError, match="heads: got 3, expected a divisor of 8"):
        CrossAttention(8, 8, 3)
