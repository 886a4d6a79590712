"""Gradients of the transport cost by positions and weights are those of the optimum."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transport_problems import clouds

from pcgen.ops.transport import (
    EnergyDifference,
    KullbackLeibler,
    Penalty,
    TotalVariation,
    earth_mover,
)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("unbalanced", [None, EnergyDifference(1.5), TotalVariation(0.6)])
def test_gradients_are_those_of_the_optimum(p: int, unbalanced: Penalty | None) -> None:
    x, ptr_x, a = clouds([5, 3])
    y, ptr_y, b = clouds([4, 3])
    y, b = y + 0.3, 0.7 * b if unbalanced else b

    def cost(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
        if unbalanced is None:
            a = torch.cat([w / w.sum() for w in a.split([5, 3])])
            b = torch.cat([w / w.sum() for w in b.split([4, 3])])
        return earth_mover(
            x, y, ptr_x, ptr_y, weight_x=a, weight_y=b, p=p, unbalanced=unbalanced,
            period=(None, 9.0),
        ).cost  # fmt: skip

    leaves = [value.clone().requires_grad_() for value in (x, y, a, b)]
    assert torch.autograd.gradcheck(cost, leaves, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("p", [1, 2])
def test_second_derivatives_by_the_positions(p: int) -> None:
    """The optimal plan is constant around almost all positions."""
    x, ptr_x, a = clouds([5, 3])
    y, ptr_y, b = clouds([4, 3])

    def cost(x: Tensor, y: Tensor) -> Tensor:
        options = {"weight_x": a, "weight_y": b, "period": (None, 9.0)}
        return earth_mover(x, y + 0.3, ptr_x, ptr_y, p=p, **options).cost

    assert torch.autograd.gradgradcheck(cost, (x.requires_grad_(), y.requires_grad_()))


def test_soft_gradients_are_those_of_the_optimum() -> None:
    x, ptr_x, a = clouds([4])
    y, ptr_y, b = clouds([3])

    def cost(x: Tensor, a: Tensor) -> Tensor:
        return earth_mover(
            x, y, ptr_x, ptr_y, weight_x=a, weight_y=b, p=2, unbalanced=KullbackLeibler(0.7),
            tolerance=0.002,
        ).cost  # fmt: skip

    leaves = [value.clone().requires_grad_() for value in (x, a)]
    # The plan is optimal to the tolerance only, and so are its gradients.
    assert torch.autograd.gradcheck(cost, leaves, eps=1e-2, atol=2e-2, rtol=5e-2)


def test_balanced_weight_gradients_carry_half_of_the_cost_on_each_side() -> None:
    x, ptr_x, a = clouds([6])
    y, ptr_y, b = clouds([5])
    a, b = (3.0 * weight.requires_grad_() for weight in (a, b))
    cost = earth_mover(x, y, ptr_x, ptr_y, weight_x=a, weight_y=b).cost
    slope_a, slope_b = torch.autograd.grad(cost.sum(), (a, b))
    torch.testing.assert_close((slope_a * a).sum(), 0.5 * cost[0])
    torch.testing.assert_close((slope_b * b).sum(), 0.5 * cost[0])


def test_a_point_without_weight_has_the_price_of_adding_some() -> None:
    x, ptr, one = torch.tensor([[0.0], [5.0]]).double(), torch.tensor([0, 2]), torch.tensor([0, 1])
    a = torch.tensor([1.0, 0.0]).double().requires_grad_()
    cost = earth_mover(
        x, x[:1], ptr, one, weight_x=a, weight_y=torch.ones(1).double(), unbalanced=2.0
    ).cost
    (slope,) = torch.autograd.grad(cost.sum(), a)
    # More weight at 5 is too much weight on the side of x, and costs 1 per unit, not 5 / 2.
    assert slope[1].item() == pytest.approx(1.0)


def test_coincident_points_have_gradient_zero() -> None:
    x = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    ptr = torch.tensor([0, 2])
    earth_mover(x, torch.zeros(2, 3).double(), ptr, ptr).cost.sum().backward()
    assert x.grad is not None
    assert (x.grad == 0).all()
