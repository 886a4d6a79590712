"""Transport between clouds of unequal totals: what unmatched weight costs."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from torch import Tensor
from transport_problems import clouds

from pcgen.ops.transport import (
    EnergyDifference,
    KullbackLeibler,
    TotalVariation,
    earth_mover,
)


def with_slack(
    x: Tensor, y: Tensor, a: Tensor, b: Tensor, cost: float, slack_x: float, slack_y: float
) -> float:
    """The slack particles written out in the dense problem, solved by POT."""
    n, m = len(x), len(y)
    matrix = torch.zeros(n + 1, m + 1, dtype=torch.float64)
    matrix[:n, :m] = torch.cdist(x, y)
    matrix[n, :m], matrix[:n, m] = cost, cost
    mass_x, mass_y = (torch.cat([w, w.new_tensor([s])]) for w, s in ((a, slack_x), (b, slack_y)))
    total = mass_x.sum()
    return float(ot.emd2(mass_x / total, mass_y / mass_y.sum(), matrix) * total)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_unequal_totals_cost_as_in_energyflow(scale: float) -> None:
    x, ptr_x, a = clouds([12])
    y, ptr_y, b = clouds([9])
    b, radius = scale * b, 0.8
    got = earth_mover(x, y, ptr_x, ptr_y, weight_x=a, weight_y=b, unbalanced=radius)
    more = float(a.sum() - b.sum())
    expected = with_slack(x, y, a, b, radius, max(-more, 0.0), max(more, 0.0)) / radius
    assert got.cost.item() == pytest.approx(expected, rel=1e-9)
    assert got.flow.mass.sum().item() == pytest.approx(min(1.0, scale))
    squared = earth_mover(
        x, y, ptr_x, ptr_y, weight_x=a, weight_y=b, p=2, unbalanced=EnergyDifference(radius)
    )
    scaled = earth_mover(
        x / radius, y / radius, ptr_x, ptr_y, weight_x=a, weight_y=b, p=2, unbalanced=1.0
    )
    torch.testing.assert_close(squared.cost, scaled.cost)


@pytest.mark.parametrize("penalty", [0.05, 0.5, 5.0])
def test_total_variation_is_partial_transport(penalty: float) -> None:
    x, ptr_x, a = clouds([12])
    y, ptr_y, b = clouds([9])
    got = earth_mover(
        x, y, ptr_x, ptr_y, weight_x=a, weight_y=0.7 * b, unbalanced=TotalVariation(penalty)
    )
    expected = with_slack(x, y, a, 0.7 * b, penalty, 0.7, 1.0)
    assert got.cost.item() == pytest.approx(expected, rel=1e-9)
    moved = (x[got.flow.source] - y[got.flow.target]).norm(dim=1)
    assert (moved <= 2 * penalty + 1e-9).all()


@pytest.mark.parametrize("penalty", [0.1, 1.0, 10.0])
def test_soft_marginals_agree_with_majorisation_minimisation(penalty: float) -> None:
    x, ptr_x, a = clouds([8])
    y, ptr_y, b = clouds([6])
    b = 0.7 * b
    got = earth_mover(
        x, y, ptr_x, ptr_y, weight_x=a, weight_y=b, unbalanced=KullbackLeibler(penalty),
        tolerance=0.05,
    )  # fmt: skip
    cost = torch.cdist(x, y).numpy()
    plan = ot.unbalanced.mm_unbalanced(
        a.numpy(), b.numpy(), cost, penalty, div="kl", numItermax=5000, stopThr=1e-10
    )

    def divergence(kept: np.ndarray, mass: Tensor) -> float:
        return float((kept * np.log(kept / mass.numpy()) - kept + mass.numpy()).sum())

    reference = (plan * cost).sum() + penalty * (
        divergence(plan.sum(1), a) + divergence(plan.sum(0), b)
    )
    assert got.gap.item() <= 0.05 * got.cost.item()
    assert (got.cost - got.gap).item() <= reference * (1 + 1e-9)
    assert got.cost.item() == pytest.approx(reference, rel=0.02)


def test_soft_marginals_tend_to_hard_ones() -> None:
    x, ptr_x, a = clouds([8])
    y, ptr_y, b = clouds([6])
    options = {"weight_x": a, "weight_y": b}
    hard = earth_mover(x, y, ptr_x, ptr_y, **options).cost
    soft = earth_mover(x, y, ptr_x, ptr_y, unbalanced=KullbackLeibler(1e3), **options)
    assert soft.cost.item() == pytest.approx(hard.item(), rel=0.03)


def test_energy_difference_obeys_the_triangle_inequality_from_half_the_largest_distance() -> None:
    points = torch.rand(60, 2, dtype=torch.float64)
    parts = [(points[k : k + 6], (k + 1) * torch.rand(6).double()) for k in range(0, 54, 6)]
    ptr = torch.tensor([0, 6])
    radius = 0.5 * 2**0.5

    def distance(one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor]) -> float:
        return earth_mover(
            one[0], two[0], ptr, ptr, weight_x=one[1], weight_y=two[1], unbalanced=radius
        ).cost.item()

    for first, second, third in zip(parts, parts[1:], parts[2:], strict=False):
        assert distance(first, third) <= distance(first, second) + distance(second, third) + 1e-12
