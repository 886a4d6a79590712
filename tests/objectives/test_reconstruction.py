"""Losses of clouds against loops over clouds, across the seam of φ, and their gradients."""

from __future__ import annotations

import math

import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.objectives import ChamferLoss, EarthMoverLoss, Scaled
from pcgen.schema import Quantity, Schema
from pcgen.standardize import Standardize
from pcgen.testing import random_clouds

JETS = Schema(
    axes=(Quantity("eta"), Quantity("phi", "rad", 2 * math.pi)), weight=Quantity("pt", "GeV")
)
sizes_lists = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def jets(sizes: list[int], seed: int, centre: float = 0.0) -> Batch:
    clouds = random_clouds(sizes, spread=0.4, seed=seed, dtype=torch.float64)
    return pc.replace(clouds, pos=clouds.pos + torch.tensor([0.0, centre]))


def by_hand(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    distance = torch.cdist(x, y).square()
    one, other = distance.amin(1), distance.amin(0)
    return (a * one).sum() / a.sum() + (b * other).sum() / b.sum()


@settings(max_examples=20)
@given(sizes_lists, st.integers(0, 99))
def test_chamfer_of_all_channels_or_of_weighted_positions(sizes: list[int], seed: int) -> None:
    physical = jets(sizes, seed), jets([n + 1 for n in sizes], seed + 100)
    standardize = Standardize(JETS).fit(physical)
    one, other = standardize(physical[0]), standardize(physical[1])
    channels, weighted = [], []
    for i in range(len(sizes)):
        a, b = one[i], other[i]
        left, right = torch.cat([a.pos, a.x], 1), torch.cat([b.pos, b.x], 1)
        channels.append(by_hand(left, right, torch.ones(len(left)), torch.ones(len(right))))
        weighted.append(by_hand(a.pos, b.pos, a.weight, b.weight))
    torch.testing.assert_close(ChamferLoss()(one, other), torch.stack(channels))
    torch.testing.assert_close(ChamferLoss(weighted=True)(one, other), torch.stack(weighted))


@settings(max_examples=20)
@given(sizes_lists, st.integers(0, 99))
def test_earth_mover_of_fractions(sizes: list[int], seed: int) -> None:
    physical = jets(sizes, seed), jets([n + 1 for n in sizes], seed + 100)
    standardize = Standardize(JETS).fit(physical)
    one, other = standardize(physical[0]), standardize(physical[1])
    expected = []
    for i in range(len(sizes)):
        cost = torch.cdist(one[i].pos, other[i].pos).numpy()
        b = other[i].weight * (one[i].weight.sum() / other[i].weight.sum())
        expected.append(ot.emd2(one[i].weight.numpy(), b.numpy(), cost))
    torch.testing.assert_close(
        EarthMoverLoss()(one, other), torch.tensor(expected, dtype=torch.float64)
    )


@pytest.mark.parametrize("loss", [ChamferLoss, EarthMoverLoss, lambda **k: ChamferLoss(True, **k)])
def test_distances_go_around_the_circle(loss: type[ChamferLoss]) -> None:
    """Jets at φ = 0 and the same jets turned by π, half of them beyond the seam."""
    sizes = [4, 3, 5]
    here = jets(sizes, 0), jets(sizes, 1)
    there = jets(sizes, 0, math.pi), jets(sizes, 1, math.pi)
    standardize = Standardize(JETS).fit(here)
    expected = loss()(*(standardize(side) for side in here))
    turned = [standardize(side) for side in there]
    torch.testing.assert_close(loss(standardize=standardize)(*turned), expected)
    assert (loss()(*turned) - expected).abs().max() > 1e-3


def test_gradients_reach_positions_and_logarithms_of_fractions() -> None:
    physical = jets([4, 1, 3], 0)
    standardize = Standardize(JETS).fit(physical)
    real = standardize(physical)
    pos = torch.randn_like(real.pos).requires_grad_(True)
    x = torch.randn_like(real.x).requires_grad_(True)
    generated = pc.make(pos, pc.sizes(real), x=x)
    generated = pc.replace(generated, weight=standardize.fractions(x, generated.ptr))
    for loss in (ChamferLoss(), ChamferLoss(weighted=True), EarthMoverLoss(), EarthMoverLoss(p=2)):
        of_pos, of_x = torch.autograd.grad(loss(generated, real).sum(), [pos, x], retain_graph=True)
        assert torch.isfinite(of_pos).all()
        assert torch.isfinite(of_x).all()
        assert of_pos.abs().sum() > 0
        assert of_x[:4].abs().sum() > 0


def test_identical_clouds_cost_nothing_and_empty_pairs_too() -> None:
    clouds = pc.make(torch.randn(3, 2), [3, 0], weight=torch.tensor([0.5, 0.25, 0.25]))
    for loss in (ChamferLoss(), ChamferLoss(weighted=True), EarthMoverLoss()):
        torch.testing.assert_close(loss(clouds, clouds), torch.zeros(2))


def test_one_empty_side_is_refused_or_priced() -> None:
    some, none = pc.make(torch.randn(2, 2), [2]), pc.make(torch.zeros(0, 2), [0])
    for loss in (ChamferLoss, EarthMoverLoss):
        with pytest.raises(ValueError, match="empty"):
            loss()(some, none)
        assert loss(empty=7.0)(some, none).tolist() == [7.0]


def test_scaled_loss() -> None:
    one, other = jets([3, 2], 0), jets([3, 2], 1)
    loss = ChamferLoss(weighted=True)
    torch.testing.assert_close(Scaled(0.5, loss)(one, other), 0.5 * loss(one, other))


def test_half_precision_meets_single() -> None:
    one, other = pc.make(torch.randn(3, 2).bfloat16(), [3]), pc.make(torch.randn(3, 2), [3])
    for loss in (ChamferLoss(), EarthMoverLoss()):
        assert loss(one, other).dtype == torch.float32


def test_weights_on_one_side_only_are_refused() -> None:
    one, other = jets([2], 0), pc.replace(jets([2], 1), weight=None)
    for loss in (ChamferLoss(weighted=True), EarthMoverLoss()):
        with pytest.raises(ArgumentError, match="got none in the real clouds, expected it in both"):
            loss(one, other)
        with pytest.raises(ArgumentError, match="got none in the generated clouds"):
            loss(other, one)
