"""Laws that every velocity field on clouds keeps; a new one is tested by adding a row."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import (
    AttentionField,
    DeepSetField,
    EdgeConvField,
    EPiCField,
    ListField,
    weight_normed,
)
from pcgen.nn.points.fields import CloudLinear
from pcgen.ops.segments import segment_max
from pcgen.standardize import channels
from pcgen.testing import assert_independent_of_batch, assert_permutation_equivariant, random_clouds

FIELDS: dict[str, Callable[[], nn.Module]] = {
    "epic": lambda: EPiCField(3, condition_channels=2, hidden=8, global_channels=5, layers=2),
    "epic, weight norm": lambda: EPiCField(
        3, condition_channels=2, hidden=8, global_channels=5, layers=2, linear=weight_normed
    ),
    "epic, identity skips": lambda: EPiCField(
        3, condition_channels=2, hidden=8, global_channels=5, layers=2, identity=True
    ),
    "deep set, one round": lambda: DeepSetField(
        3, condition_channels=2, hidden=(6, 8), rounds=1, pooling=(segment_max,)
    ),
    "deep set": lambda: DeepSetField(3, condition_channels=2, hidden=(8, 8)),
    "attention": lambda: AttentionField(3, condition_channels=2, hidden=8, heads=2, layers=2),
    "edgeconv": lambda: EdgeConvField(3, condition_channels=2, k=4, hidden=8, layers=2),
    "edgeconv, dynamic": lambda: EdgeConvField(
        3, condition_channels=2, k=3, hidden=8, layers=2, dynamic=True
    ),
    "list": lambda: ListField(3, max_points=8, condition_channels=2, hidden=(8,)),
}
every_field = pytest.mark.parametrize("name", FIELDS)
every_field_of_sets = pytest.mark.parametrize("name", [n for n in FIELDS if n != "list"])
sizes_lists = st.lists(st.integers(0, 7), min_size=1, max_size=5)


def build(name: str) -> nn.Module:
    """In double precision, away from layers that start as zero or as the identity."""
    torch.manual_seed(1)
    field = FIELDS[name]().double()
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return field


def drawn(sizes: list[int], seed: int = 0) -> tuple[Batch, Tensor, Tensor]:
    """Clouds, times and conditions."""
    draw = {"features": 1, "conditions": 3, "seed": seed, "dtype": torch.float64}
    clouds = random_clouds(sizes, weight=False, **draw)
    return pc.replace(clouds, y=None), clouds.y[:, 0], clouds.y[:, 1:]


def at(clouds: Batch, values: Tensor) -> Batch:
    """The same clouds with other channels."""
    return pc.replace(clouds, pos=values[:, :2], x=values[:, 2:])


@every_field_of_sets
@settings(max_examples=10)
@given(sizes_lists, st.integers(0, 99))
def test_permuted_points_have_permuted_velocities(name: str, sizes: list[int], seed: int) -> None:
    field, (clouds, time, y) = build(name), drawn([2, *sizes], seed)
    assert field(*drawn(sizes)).shape == (sum(sizes), 3)
    assert_permutation_equivariant(field, clouds, time, y, rtol=1e-9, atol=1e-10)


@every_field
@settings(max_examples=10)
@given(sizes_lists, st.integers(0, 99))
def test_a_cloud_does_not_see_the_others(name: str, sizes: list[int], seed: int) -> None:
    field, (clouds, time, y) = build(name), drawn([2, *sizes], seed)
    assert_independent_of_batch(field, clouds, time, y, rows="points", rtol=1e-9, atol=1e-10)


@every_field
def test_points_time_and_condition_matter_in_their_own_cloud(name: str) -> None:
    field, (clouds, time, y) = build(name), drawn([4, 1, 3, 0])
    velocity, own = field(clouds, time, y), clouds.batch == 0
    first = torch.tensor([1.0, 0.0, 0.0, 0.0]).double()
    one_point = torch.zeros(8, 3).double().index_fill(0, torch.tensor([0]), 0.5)
    for moved in (
        field(at(clouds, channels(clouds) + one_point), time, y),
        field(clouds, time + 0.3 * first, y),
        field(clouds, time, y + first[:, None]),
    ):
        # The velocity of every point of the cloud, the unmoved ones included, and of no other.
        assert torch.equal((moved - velocity).abs().amax(1) > 1e-9, own)


@every_field
def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    field = build(name)
    field(*drawn([6, 1, 0, 2])).square().sum().backward()
    for label, parameter in field.named_parameters():
        assert parameter.grad is not None, label
        assert torch.isfinite(parameter.grad).all(), label
        assert parameter.grad.abs().sum() > 0, label


@every_field
def test_derivatives_are_right(name: str) -> None:
    field, (clouds, time, y) = build(name), drawn([3, 1, 0])

    def velocity(values: Tensor, time: Tensor, y: Tensor) -> Tensor:
        return field(at(clouds, values), time, y)

    inputs = [value.clone().requires_grad_() for value in (channels(clouds), time, y)]
    assert torch.autograd.gradcheck(velocity, inputs)
    assert torch.autograd.gradgradcheck(lambda values: velocity(values, time, y), inputs[0])


@every_field
def test_single_precision_and_double_agree(name: str) -> None:
    field, (clouds, time, y) = build(name), drawn([7, 5])
    expected = field(clouds, time, y)
    single = at(clouds, channels(clouds).float())
    got = field.float()(single, time.float(), y.float())
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-5)


@every_field
def test_refusals(name: str) -> None:
    field, (clouds, time, y) = build(name), drawn([2, 1])
    with pytest.raises(ArgumentError, match=r"condition: got None, expected \(2, 2\)"):
        field(clouds, time)
    with pytest.raises(ArgumentError, match=r"time: got \(1,\), expected \(2,\)"):
        field(clouds, time[:1], y)


def test_a_linear_layer_beside_the_cloud_is_one_on_both() -> None:
    layer = CloudLinear(3, 2, 4)
    x, c, batch = torch.randn(5, 3), torch.randn(2, 2), torch.tensor([0, 0, 1, 1, 1])
    expected = layer.linear(torch.cat([x, c[batch]], 1))
    torch.testing.assert_close(layer(x, c, batch), expected)


def test_without_condition_and_features_only_positions_are_moved() -> None:
    field, clouds = EPiCField(2, hidden=8), pc.make(torch.randn(3, 2), [3, 0])
    assert field(clouds, torch.zeros(2)).shape == (3, 2)


@every_field
def test_clouds_of_other_channels_are_refused(name: str) -> None:
    three = pc.make(torch.randn(4, 3), [4], x=torch.randn(4, 1))
    with pytest.raises(ArgumentError, match=r"pos \[4, 3\], x \[4, 1\], .* 4 .* expected 3"):
        FIELDS[name]()(three, torch.zeros(1), torch.zeros(1, 2))
    foreign = Batch.from_data_list([Data(x=torch.randn(4, 3))])
    with pytest.raises(ArgumentError, match=r"pos: got none among .*'x'.*, expected a batch"):
        FIELDS[name]()(foreign, torch.zeros(1), torch.zeros(1, 2))
