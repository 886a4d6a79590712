"""Distances of coordinates of any size: right where their type holds them, refused otherwise."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch.autograd import gradcheck

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.chamfer_distance import chamfer, f_score
from pcgen.ops.neighbors import nearest
from pcgen.ops.sliced_transport import sliced
from pcgen.ops.transport import TotalVariation, earth_mover

SCALES = st.integers(-25, 25).map(lambda power: 10.0**power)
PTR = torch.tensor([0, 5, 12])


def clouds(seed, dtype=torch.float32, points=12):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(points, 3, generator=generator, dtype=dtype) for _ in range(2)]


def lengths(x, y, **options):
    return chamfer(x, y, PTR, PTR, squared=False, **options)


def mover(solver, **options):
    return lambda x, y: earth_mover(x, y, PTR, PTR, solver=solver, **options).cost


def slices(x, y, **options):
    generator = torch.Generator().manual_seed(1)
    return sliced(x, y, PTR, PTR, generator=generator, **options)


DISTANCES = {
    "chamfer": lengths,
    "exact": mover("exact"),
    "auction": mover("auction", tolerance=1e-3),
    "sinkhorn": mover("sinkhorn"),
    "sliced": slices,
}


@pytest.mark.parametrize("name", DISTANCES)
@given(seed=st.integers(0, 9), scale=SCALES)
def test_scales_with_the_coordinates(name, seed, scale):
    x, y = clouds(seed)
    one, scaled = DISTANCES[name](x, y), DISTANCES[name](x * scale, y * scale)
    tolerance = 0.02 if name in ("sinkhorn", "auction") else 1e-5
    np.testing.assert_allclose(scaled.double() / scale, one.double(), rtol=tolerance)


@pytest.mark.parametrize("name", ["chamfer", "exact"])
@given(seed=st.integers(0, 9), scale=SCALES)
def test_gradient_of_lengths_is_the_same_at_any_scale(name, seed, scale):
    x, y = clouds(seed)
    slopes = []
    for factor in (1.0, scale):
        moved = (factor * x).requires_grad_()
        DISTANCES[name](moved, factor * y).sum().backward()
        slopes.append(moved.grad)
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("power", [-600, -3, 7, 900])
def test_powers_of_two_change_no_bit_in_float64(name, power):
    x, y = clouds(3, torch.float64)
    scale = 2.0**power
    assert torch.equal(DISTANCES[name](x * scale, y * scale), DISTANCES[name](x, y) * scale)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_is_scipys_assignment(scale):
    x, y = (z * scale for z in clouds(4))
    expected = []
    for rows in (slice(0, 5), slice(5, 12)):
        cost = cdist(x[rows].double(), y[rows].double())
        expected.append(cost[linear_sum_assignment(cost)].mean())
    found = earth_mover(x, y, PTR, PTR)
    np.testing.assert_allclose(found.cost.double(), expected, rtol=1e-6)
    assert (found.gap <= 1e-6 * found.cost).all()


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_chamfer_of_many_points_is_brute_force(scale):
    """More points than one block of the search, whose fast sweep is in float32."""
    x, y = (z * scale for z in clouds(5, points=300))
    ptr = torch.tensor([0, 300])
    apart = cdist(x.double(), y.double())
    expected = apart.min(1).mean() + apart.min(0).mean()
    found = chamfer(x, y, ptr, ptr, squared=False)
    np.testing.assert_allclose(found.double(), [expected], rtol=1e-6)
    np.testing.assert_array_equal(nearest(x, y), apart.argmin(1))


@pytest.mark.parametrize("scale", [1e200, 1e-200])
@pytest.mark.parametrize("points", [300, 9000])
def test_neighbours_in_float64_are_those_of_ordinary_size(scale, points):
    x, y = clouds(6, torch.float64, points)
    assert torch.equal(nearest(x * scale, y * scale), nearest(x, y))


def test_tiny_and_huge_clouds_share_a_batch():
    x, y = clouds(7)
    scale = torch.tensor([1e-30] * 5 + [1e30] * 7)[:, None]
    found = lengths(x * scale, y * scale).double()
    np.testing.assert_allclose(found, lengths(x, y).double() * torch.tensor([1e-30, 1e30]), 1e-5)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_gradients_are_those_of_ordinary_size(scale):
    for distance in (lengths, mover("exact"), slices):
        gradients = []
        for factor in (1.0, scale):
            x, y = (z.mul(factor).requires_grad_() for z in clouds(8))
            gradients.append(torch.autograd.grad(distance(x, y).sum() / factor, (x, y)))
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(other * scale, one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1e180, 1e-180])
@pytest.mark.parametrize("distance", [lengths, mover("exact"), slices])
def test_gradients_are_finite_differences(scale, distance):
    """Of the function of y = x / scale, since a step must suit the size of its variable."""
    one, other = (z.requires_grad_() for z in clouds(9, torch.float64))
    assert gradcheck(lambda a, b: distance(a * scale, b * scale) / scale, (one, other))


@pytest.mark.parametrize("period", [(2 * math.pi, None, None), (None, 1e30, 1e31)])
def test_periods_are_kept(period):
    x, y = (z * 1e30 for z in clouds(10, torch.float64))
    for distance in (lengths, lambda x, y, period: earth_mover(x, y, PTR, PTR, period=period).cost):
        scaled = [p and p * 2.0**600 for p in period]
        expected = distance(x, y, period=period) * 2.0**600
        assert torch.equal(distance(x * 2.0**600, y * 2.0**600, period=scaled), expected)


def test_penalties_are_kept():
    x, y = clouds(11, torch.float64)
    heavy = torch.ones(12, dtype=torch.float64)
    weights = {"weight_x": heavy, "weight_y": 2 * heavy}
    expected = earth_mover(x, y, PTR, PTR, unbalanced=3.0, **weights).cost
    scale = 2.0**600
    big = (x * scale, y * scale, PTR, PTR)
    assert torch.equal(earth_mover(*big, unbalanced=3.0 * scale, **weights).cost, expected)
    partial = earth_mover(x, y, PTR, PTR, unbalanced=TotalVariation(1.0), **weights).cost
    found = earth_mover(*big, unbalanced=TotalVariation(scale), **weights).cost
    assert torch.equal(found, partial * scale)
    with pytest.raises(ArgumentError, match="the radius 1e"):
        earth_mover(x, y, PTR, PTR, unbalanced=1e200, p=2, **weights)


@pytest.mark.parametrize("scale", [1e200, 1.0])
def test_a_value_for_empty_clouds_is_not_scaled(scale):
    x, y = (z * scale for z in clouds(12, torch.float64, 5))
    found = earth_mover(x, y[:2], torch.tensor([0, 2, 5]), torch.tensor([0, 2, 2]), empty=7.0)
    assert found.cost[1] == 7.0
    assert 0 < found.cost[0] < math.inf


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_squares_beyond_the_type_are_refused(scale):
    x, y = (z * scale for z in clouds(13))
    message = "pair 0: the .* is (beyond the largest|below the smallest) float32 .* or float64"
    for distance in (
        lambda: chamfer(x, y, PTR, PTR),
        lambda: earth_mover(x, y, PTR, PTR, p=2),
        lambda: slices(x, y, p=2),
    ):
        with pytest.raises(DataError, match=message):
            distance()
    wide = x.double(), y.double()
    one = [z.double() for z in clouds(13)]
    torch.testing.assert_close(
        chamfer(*wide, PTR, PTR) / scale**2, chamfer(*one, PTR, PTR), rtol=1e-5, atol=0.0
    )


def test_identical_clouds_cost_nothing():
    x = clouds(14)[0] * 1e-30
    assert (chamfer(x, x, PTR, PTR) == 0).all()
    assert (earth_mover(x, x, PTR, PTR, p=2).cost == 0).all()
    assert (slices(x, x, p=2) == 0).all()
    turn = torch.tensor([[1.0, 0.0, 0.0]])
    assert (earth_mover(x * 0, x * 0 + turn, PTR, PTR, period=(1.0, None, None)).cost == 0).all()


def test_means_are_right_where_sums_overflow():
    x, y = clouds(15)
    huge = torch.full((12,), 3e38)
    weights = {"weight_x": huge, "weight_y": huge}
    torch.testing.assert_close(lengths(x, y, **weights), lengths(x, y))
    torch.testing.assert_close(lengths(x * 3e37, y * 3e37) / 3e37, lengths(x, y))
    with pytest.raises(DataError, match="pair 0: the distance is beyond the largest float32"):
        lengths(x, y, reduction="sum", **weights)
    light = slices(x, y, weight_x=huge / 3e38, weight_y=huge / 3e38)
    torch.testing.assert_close(slices(x, y, weight_x=huge / 100, weight_y=huge / 100) / 3e36, light)
    with pytest.raises(DataError, match="pair 0: the cost is beyond the largest float32"):
        slices(x * 100, y * 100, **weights)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_f_score_compares_lengths(scale):
    x, y = clouds(16)
    expected = f_score(x, y, PTR, PTR, threshold=1.0)
    assert torch.equal(f_score(x * scale, y * scale, PTR, PTR, threshold=scale), expected)


@pytest.mark.parametrize("period", [0.0, -1.0, math.nan, math.inf])
def test_a_period_is_positive(period):
    x, y = clouds(17)
    with pytest.raises(ArgumentError, match="expected a positive number or None"):
        lengths(x, y, period=(period, None, None))
