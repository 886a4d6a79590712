"""Message passing between all points: against loops, in groups, padded, and its derivatives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen.nn import MessageLayer, MessagePassingDecoder, MessagePassingEncoder
from pcgen.nn.points import message_passing
from pcgen.nn.points.message_passing import all_pairs, grouped
from pcgen.ops.padding import Padding
from pcgen.testing import random_clouds

SIZES = [3, 0, 1, 2]


def layer(**options) -> MessageLayer:
    torch.manual_seed(0)
    given = {"edge": (5, 6), "node": (7,), "condition_channels": 2, **options}
    return MessageLayer(3, 4, **given).double()


def by_loops(of: MessageLayer, x, ptr, y):
    """The formulas of the head of the file, point by point."""
    rows = []
    for b, (start, stop) in enumerate(zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True)):
        for i in range(start, stop):
            received = 0.0
            for j in range(start, stop):
                apart = ((x[i] - x[j]).square().sum() + 1e-6).sqrt()[None]
                edge = [x[i], x[j], *([apart] if of.distance else []), y[b]]
                hidden = torch.nn.functional.leaky_relu(of.edge_in(torch.cat(edge)), 0.2)
                received = received + of.edge(hidden)
            rows.append(of.node_out(of.node(torch.cat([received, x[i], y[b]]))))
    return torch.stack(rows)


@pytest.mark.parametrize("distance", [True, False])
@pytest.mark.parametrize("edges", [1 << 17, 4, 1])
def test_layer_is_that_of_loops_whatever_the_groups(distance, edges, monkeypatch):
    monkeypatch.setattr(message_passing, "EDGES", edges)
    clouds, y = random_clouds(SIZES, weight=False, dtype=torch.float64), torch.randn(4, 2).double()
    x = torch.randn(6, 3).double()
    found = layer(distance=distance)(x, clouds.ptr, y)
    expected = by_loops(layer(distance=distance), x, clouds.ptr, y)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("edges", [1 << 17, 4])
def test_first_and_second_derivatives_also_in_groups(edges, monkeypatch):
    monkeypatch.setattr(message_passing, "EDGES", edges)
    ptr = torch.tensor([0, 3, 3, 4, 6])
    x = torch.randn(6, 3).double().requires_grad_()
    y = torch.randn(4, 2).double().requires_grad_()
    of = layer()
    assert torch.autograd.gradcheck(lambda *at: of(at[0], ptr, at[1]), (x, y))
    assert torch.autograd.gradgradcheck(lambda *at: of(at[0], ptr, at[1]), (x, y))


def test_gradients_of_parameters_do_not_depend_on_the_groups(monkeypatch):
    ptr, x = torch.tensor([0, 3, 3, 4, 6]), torch.randn(6, 3).double()
    y, found = torch.randn(4, 2).double(), []
    for edges in (1 << 17, 4):
        monkeypatch.setattr(message_passing, "EDGES", edges)
        of = layer()
        of(x, ptr, y).square().sum().backward()
        found.append([parameter.grad for parameter in of.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_padded_rows_are_those_of_ragged_ones():
    present = torch.arange(3) < torch.tensor(SIZES)[:, None]
    x, y = torch.randn(6, 3).double(), torch.randn(4, 2).double()
    padded = torch.full((12, 3), 7.0).double()
    padded[present.flatten()] = x
    of = layer()
    found = of(padded, Padding(present), y)[present.flatten()]
    torch.testing.assert_close(found, of(x, torch.tensor([0, 3, 3, 4, 6]), y))


def test_points_in_one_place_have_finite_gradients():
    x = torch.zeros(3, 3).double().requires_grad_()
    layer()(x, torch.tensor([0, 3]), torch.zeros(1, 2).double()).sum().backward()
    assert x.grad.isfinite().all()


@given(st.lists(st.integers(0, 6), max_size=6))
def test_all_pairs_of_each_cloud_and_no_others(sizes):
    receiver, sender, ptr = all_pairs(torch.tensor(sizes, dtype=torch.long))
    owner = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes, dtype=torch.long))
    together = (owner[:, None] == owner[None]).nonzero()
    assert torch.stack([receiver, sender], 1).tolist() == together.tolist()
    assert torch.bincount(receiver, minlength=len(owner)).tolist() == ptr.diff().tolist()


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20), st.integers(1, 40))
def test_groups_are_all_members_in_turn_and_no_larger_than_need_be(costs, most):
    groups = grouped(costs, most)
    assert [place for start, stop in groups for place in range(start, stop)] == [*range(len(costs))]
    assert all(sum(costs[a:b]) <= most or b - a == 1 for a, b in groups)


def test_dropout_is_of_training_alone():
    clouds = random_clouds([4, 2], weight=False, features=1)
    critic = MessagePassingEncoder(3, 1, hidden=4, edge=(8,), node=(8,), dropout=0.5)
    assert not torch.equal(critic(clouds), critic(clouds))
    critic.eval()
    assert torch.equal(critic(clouds), critic(clouds))


def test_as_many_parameters_as_the_published_networks():
    """Counted from the layers of MPGAN's repository, for three features and 32 between layers."""
    generator = MessagePassingDecoder(0, 2, 1, distance=False)
    critic = MessagePassingEncoder(3, 1, distance=False)
    counts = [sum(p.numel() for p in net.parameters()) for net in (generator, critic)]
    assert counts == [361_123, 355_617]


def test_a_decoder_needs_no_code():
    decoder = MessagePassingDecoder(0, 2, 1, hidden=4, edge=(5,), node=(6,))
    clouds = decoder(torch.zeros(3, 0), torch.tensor([2, 0, 4]))
    assert pc.sizes(clouds).tolist() == [2, 0, 4]


def test_messages_are_not_kept_for_the_gradient(monkeypatch):
    """What autograd keeps: without groups the messages, with them what belongs to points."""
    ptr, x = torch.arange(0, 101, 20), torch.randn(100, 3).double().requires_grad_()
    y, kept = torch.randn(5, 2).double(), []
    for edges in (1 << 17, 400):
        monkeypatch.setattr(message_passing, "EDGES", edges)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda value, sizes=sizes: sizes.append(value.numel()) or value, lambda value: value
        ):
            layer()(x, ptr, y)
        kept.append(max(sizes))
    assert kept[0] >= 2000 * 5  # numbers of each of 5 x 20² messages
    assert kept[1] <= 100 * 11  # the widest row of a point
