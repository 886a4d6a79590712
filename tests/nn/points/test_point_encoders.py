"""Laws that every encoder keeps, whatever it is made of: a new one is tested by adding a row."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import (
    DGCNN,
    AttentionEncoder,
    EPiCEncoder,
    ListEncoder,
    MessagePassingEncoder,
    PointNet,
    scaled_sum,
    weight_normed,
)
from pcgen.ops.segments import segment_max, segment_mean, segment_std
from pcgen.testing import (
    assert_independent_of_batch,
    assert_permutation_equivariant,
    assert_permutation_invariant,
    random_clouds,
    shuffled,
)

ALL = (segment_max, segment_mean, scaled_sum(0.1), segment_std)
SMALL = {"hidden": (8, 12), "head": (8,), "condition_channels": 2}

ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "pointnet": lambda: PointNet(3, 4, **SMALL),
    "pointnet, all poolings": lambda: PointNet(3, 4, pooling=ALL, norm=None, **SMALL),
    "pointnet, transforms": lambda: PointNet(3, 4, transform=True, **SMALL),
    "dgcnn, dynamic": lambda: DGCNN(3, 4, k=3, embedding=8, **SMALL),
    "dgcnn, static": lambda: DGCNN(3, 4, k=3, embedding=8, dynamic=False, **SMALL),
    "epic": lambda: EPiCEncoder(3, 4, hidden=8, global_channels=5, condition_channels=2),
    "epic, weight norm": lambda: EPiCEncoder(
        3, 4, hidden=8, global_channels=5, condition_channels=2, linear=weight_normed
    ),
    "attention": lambda: AttentionEncoder(
        3, 4, hidden=8, heads=2, layers=2, condition_channels=2, seeds=2
    ),
    "attention, seeds alone": lambda: AttentionEncoder(
        3, 4, hidden=8, heads=2, layers=1, condition_channels=2, pooling=()
    ),
    "attention, sums": lambda: AttentionEncoder(
        3, 4, hidden=8, heads=2, layers=1, condition_channels=2, seeds=0
    ),
    "attention, induced": lambda: AttentionEncoder(
        3, 4, hidden=8, heads=2, layers=2, condition_channels=2, pooling=(), induced=3
    ),
    "epic, deep head": lambda: EPiCEncoder(
        3, 4, hidden=8, global_channels=5, condition_channels=2, deep_head=True
    ),
    "message passing": lambda: MessagePassingEncoder(
        3, 4, hidden=5, edge=(6, 7), node=(8,), condition_channels=2
    ),
    "message passing, no distance": lambda: MessagePassingEncoder(
        3, 4, hidden=5, edge=(6,), node=(8, 8), condition_channels=2, distance=False
    ),
    "list": lambda: ListEncoder(3, 4, max_points=9, condition_channels=2, hidden=(8,)),
}
every_encoder = pytest.mark.parametrize("name", ENCODERS)
sizes_lists = st.lists(st.integers(0, 7), min_size=1, max_size=5)


def build(name: str) -> nn.Module:
    """In double precision, with the T-Nets away from their start as the identity."""
    torch.manual_seed(1)
    encoder = ENCODERS[name]().double()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return encoder


clouds_of = partial(random_clouds, weight=False, features=1, conditions=2, dtype=torch.float64)


@every_encoder
@settings(max_examples=10)
@given(sizes_lists, st.integers(0, 99))
def test_order_of_points_does_not_matter(name: str, sizes: list[int], seed: int) -> None:
    encoder, clouds = build(name), clouds_of([2, *sizes], seed=seed)
    assert encoder(clouds_of(sizes)).shape == (len(sizes), encoder.out_channels)
    assert_permutation_invariant(encoder, clouds, rtol=1e-9, atol=1e-9)
    if not isinstance(encoder, ListEncoder):  # it has no features of points
        assert_permutation_equivariant(encoder.features, clouds, rtol=1e-9, atol=1e-9)


@every_encoder
@settings(max_examples=10)
@given(sizes_lists, st.integers(0, 99))
def test_a_cloud_does_not_see_the_others(name: str, sizes: list[int], seed: int) -> None:
    encoder, clouds = build(name), clouds_of([2, *sizes], seed=seed)
    assert_independent_of_batch(encoder, clouds, rows="clouds", rtol=1e-9, atol=1e-9)


@every_encoder
def test_points_and_condition_matter(name: str) -> None:
    encoder, clouds = build(name), clouds_of([5, 1, 0])
    code = encoder(clouds)
    moved = pc.replace(clouds, pos=clouds.pos + 0.1 * torch.randn_like(clouds.pos))
    assert ((encoder(moved) - code).abs().amax(1) > 1e-6).tolist() == [True, True, False]
    other = pc.replace(clouds, y=clouds.y + 1)
    assert ((encoder(other) - code).abs().amax(1) > 1e-6).all()


@every_encoder
def test_a_condition_may_be_given_beside_the_clouds(name: str) -> None:
    encoder, clouds = build(name), clouds_of([5, 1, 0])
    bare = pc.replace(clouds, y=None)
    assert torch.equal(encoder(bare, clouds.y), encoder(clouds))
    assert torch.equal(encoder(clouds, clouds.y + 1), encoder(bare, clouds.y + 1))


@every_encoder
@pytest.mark.parametrize("sizes", [[5, 1, 3], [2, 0, 4, 0], [0]])
def test_the_tensors_of_pyg_give_what_a_batch_does(name: str, sizes: list[int]) -> None:
    """Networks of PyG are called with (x, pos, batch); so are these."""
    encoder, clouds = build(name), clouds_of(sizes)
    x, pos, batch, y, number = clouds.x, clouds.pos, clouds.batch, clouds.y, len(sizes)
    expected = encoder(clouds)
    assert torch.equal(encoder(x, pos, batch, y, batch_size=number), expected)
    assert torch.equal(encoder(x=x, pos=pos, batch=batch, condition=y, batch_size=number), expected)
    assert torch.equal(encoder(clouds=clouds, condition=y), expected)
    if sizes[-1]:
        data = Batch.from_data_list(
            [Data(x=each.x, pos=each.pos) for each in clouds.to_data_list()]
        )
        assert torch.equal(encoder(data.x, data.pos, data.batch, y), expected)


@every_encoder
def test_without_a_batch_all_points_are_one_cloud(name: str) -> None:
    encoder, clouds = build(name), clouds_of([4])
    assert torch.equal(encoder(clouds.x, clouds.pos, None, clouds.y), encoder(clouds))


def test_points_without_features_are_their_coordinates() -> None:
    encoder, pos = PointNet(2, 4), torch.randn(5, 2)
    assert torch.equal(encoder(None, pos, torch.zeros(5).long()), encoder(pc.make(pos, [5])))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((None, torch.zeros(3, 2), torch.tensor([0, 1, 0])), "batch: got numbers out of order"),
        ((None, torch.zeros(3, 2), torch.tensor([-1, 0, 0])), "batch: got numbers out of order"),
        ((None, torch.zeros(3, 2), torch.zeros(3)), r"batch: got torch.float32 \(3,\), expected"),
        (
            (None, torch.zeros(3, 2), torch.zeros(2).long()),
            r"batch: .*\(2,\), expected int64 \[3\]",
        ),
        ((torch.zeros(3, 2), None), "pos: got NoneType, expected a tensor"),
        ((torch.zeros(2, 1), torch.zeros(3, 2)), "x: got"),
        ((torch.zeros(3, 2), torch.zeros(3, 2)), "4 channels of a point, expected 2"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(inputs, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        PointNet(2, 4)(*inputs)


def test_a_cloud_beyond_the_batch_is_refused() -> None:
    with pytest.raises(ArgumentError, match="got a cloud 2, expected numbers below 2"):
        PointNet(2, 4)(None, torch.zeros(3, 2), torch.tensor([0, 1, 2]), batch_size=2)


@every_encoder
def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    encoder = build(name)
    clouds = clouds_of([9, 1, 0, 2])
    encoder(clouds).square().sum().backward()
    for label, parameter in encoder.named_parameters():
        assert parameter.grad is not None, label
        assert torch.isfinite(parameter.grad).all(), label
        assert parameter.grad.abs().sum() > 0, label


@every_encoder
def test_coincident_points_have_finite_gradients(name: str) -> None:
    encoder, clouds = build(name), clouds_of([4, 3])
    pos = torch.zeros_like(clouds.pos, requires_grad=True)
    clouds = pc.replace(clouds, pos=pos, x=torch.zeros_like(clouds.x))
    encoder(clouds).sum().backward()
    assert pos.grad is not None
    assert torch.isfinite(pos.grad).all()


@every_encoder
def test_second_derivatives_are_right(name: str) -> None:
    encoder, clouds = build(name), clouds_of([4, 1, 0])

    def value(pos: Tensor) -> Tensor:
        return encoder(pc.replace(clouds, pos=pos)).sum(1)

    assert torch.autograd.gradgradcheck(value, clouds.pos.clone().requires_grad_(True))


@every_encoder
def test_copies_and_saved_state_give_the_same(name: str) -> None:
    encoder, clouds = build(name), clouds_of([3, 2])
    loaded = ENCODERS[name]().double()
    loaded.load_state_dict(encoder.state_dict())
    for other in (loaded, copy.deepcopy(encoder)):
        assert torch.equal(other(clouds), encoder(clouds))


@every_encoder
def test_single_precision_keeps_six_digits(name: str) -> None:
    encoder, clouds = build(name).float(), clouds_of([7, 5])
    values = {n: v.float() for n, v in pc.attributes(clouds).items()}
    clouds = pc.replace(clouds, **values)
    other, _ = shuffled(clouds, 3)
    torch.testing.assert_close(encoder(other), encoder(clouds), rtol=1e-5, atol=1e-6)


@every_encoder
def test_a_missing_condition_is_named(name: str) -> None:
    clouds = pc.replace(clouds_of([2]), y=torch.zeros(1, 3))
    with pytest.raises(ArgumentError, match=r"condition: got \(1, 3\), expected \(1, 2\)"):
        build(name)(clouds)


@pytest.mark.gpu
@every_encoder
def test_device_does_not_matter(name: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    encoder, clouds = build(name), clouds_of([5, 0, 1])
    expected = encoder(clouds)
    code = encoder.to("cuda")(clouds.to("cuda"))
    torch.testing.assert_close(code.cpu(), expected)


@every_encoder
def test_clouds_of_other_channels_are_refused(name: str) -> None:
    encoder = ENCODERS[name]()
    three = pc.make(torch.randn(4, 3), [4], x=torch.randn(4, 1), y=torch.randn(1, 2))
    with pytest.raises(ArgumentError, match=r"pos \[4, 3\], x \[4, 1\], .* 4 .* expected 3"):
        encoder(three)
    foreign = Batch.from_data_list([Data(x=torch.randn(4, 3), y=torch.randn(1, 2))])
    with pytest.raises(ArgumentError, match=r"pos: got none among .*'x', 'y'.*, expected a batch"):
        encoder(foreign)
