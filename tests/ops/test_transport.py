from __future__ import annotations

import math

import ot
import pytest
import torch
from torch import Tensor

from pcgen.errors import DataError
from pcgen.ops.transport import EnergyDifference, earth_mover


def clouds(sizes: list[int], dimensions: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Random points, pointer and weights that sum to 1 in each cloud; float64."""
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    points = torch.randn(sum(sizes), dimensions, dtype=torch.float64)
    weight = [torch.rand(n, dtype=torch.float64) for n in sizes]
    return points, ptr, torch.cat([w / w.sum() for w in weight])


@pytest.mark.parametrize("p", [1, 2])
def test_agrees_with_pot_on_ragged_weighted_clouds(p: int) -> None:
    x, ptr_x, a = clouds([4, 1, 30, 7])
    y, ptr_y, b = clouds([3, 9, 25, 1])
    result = earth_mover(x, y, ptr_x, ptr_y, weight_x=a, weight_y=b, p=p)
    for k in range(4):
        i, j = slice(ptr_x[k], ptr_x[k + 1]), slice(ptr_y[k], ptr_y[k + 1])
        expected = ot.emd2(a[i], b[j], torch.cdist(x[i], y[j]) ** p)
        torch.testing.assert_close(result.cost[k], expected, rtol=1e-9, atol=0)
    assert (result.gap < 1e-12).all()


def energyflow(x: Tensor, y: Tensor, a: Tensor, b: Tensor, radius: float, beta: int) -> Tensor:
    """EnergyFlow's definition, the slack particle written out in the dense problem."""
    cost = (torch.cdist(x, y) / radius) ** beta
    more = a.sum() - b.sum()
    if more > 0:
        cost, b = torch.cat([cost, torch.ones(len(x), 1).double()], 1), torch.cat([b, more[None]])
    else:
        cost, a = torch.cat([cost, torch.ones(1, len(y)).double()]), torch.cat([a, -more[None]])
    return ot.emd2(a / a.sum(), b / b.sum(), cost) * a.sum()


@pytest.mark.parametrize("beta", [1, 2])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_unequal_totals_cost_what_energyflow_says(beta: int, scale: float) -> None:
    x, ptr_x, a = clouds([12])
    y, ptr_y, b = clouds([9])
    got = earth_mover(
        x, y, ptr_x, ptr_y, weight_x=a, weight_y=scale * b, p=beta, unbalanced=EnergyDifference(0.8)
    )
    expected = energyflow(x, y, a, scale * b, 0.8, beta)
    torch.testing.assert_close(got.cost[0], expected, rtol=1e-9, atol=0)
    assert got.flow.mass.sum().item() == pytest.approx(min(1.0, scale))


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("unbalanced", [None, 1.5])
def test_gradients_are_those_of_the_optimum(p: int, unbalanced: float | None) -> None:
    x, ptr_x, a = clouds([5, 3])
    y, ptr_y, b = clouds([4, 3])
    y, b = y + 0.3, 0.7 * b if unbalanced else b

    def cost(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
        if unbalanced is None:
            a = torch.cat([w / w.sum() for w in a.split([5, 3])])
            b = torch.cat([w / w.sum() for w in b.split([4, 3])])
        return earth_mover(
            x, y, ptr_x, ptr_y, weight_x=a, weight_y=b, p=p, unbalanced=unbalanced
        ).cost

    leaves = [value.clone().requires_grad_() for value in (x, y, a, b)]
    assert torch.autograd.gradcheck(cost, leaves, eps=1e-6, atol=1e-6)


def test_periodic_axis_goes_the_short_way_around() -> None:
    ptr = torch.tensor([0, 1])
    x, y = torch.tensor([[0.0, 3.1]]), torch.tensor([[0.0, -3.1]])
    got = earth_mover(x, y, ptr, ptr, period=(None, 2 * math.pi)).cost
    torch.testing.assert_close(got, torch.tensor([2 * math.pi - 6.2]), rtol=1e-5, atol=0)


def test_empty_clouds() -> None:
    x, ptr_x, _ = clouds([0, 2, 0])
    y, ptr_y, _ = clouds([0, 0, 3])
    with pytest.raises(DataError, match="pair 1: one cloud is empty"):
        earth_mover(x, y, ptr_x, ptr_y)
    cost = earth_mover(x, y, ptr_x, ptr_y, empty=7.0).cost
    assert cost.tolist() == [0.0, 7.0, 7.0]
    assert earth_mover(x, y, ptr_x, ptr_y, empty="nan").cost.isnan().tolist() == [False, True, True]
    assert earth_mover(x, y, ptr_x, ptr_y, unbalanced=1.0).cost.tolist() == [0.0, 1.0, 1.0]
