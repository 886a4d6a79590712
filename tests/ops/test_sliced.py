from __future__ import annotations

import ot
import pytest
import torch
from hypothesis import given
from torch import Tensor
from transport_problems import Problem, known

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.sliced_transport import sliced
from pcgen.ops.transport import earth_mover

PTR_X, PTR_Y = torch.tensor([0, 5, 5, 14]), torch.tensor([0, 7, 7, 11])


def weights(sizes: list[int]) -> Tensor:
    return torch.cat([torch.randn(n).double().softmax(0) for n in sizes])


@pytest.mark.parametrize("p", [1, 2])
def test_agrees_with_pot_on_the_same_directions(p: int) -> None:
    x, y = torch.randn(14, 3).double(), torch.randn(11, 3).double()
    a, b = weights([5, 9]), weights([7, 4])
    direction = torch.randn(3, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    direction = direction / direction.norm(dim=0)
    got = sliced(
        x, y, PTR_X, PTR_Y, weight_x=a, weight_y=b, p=p, projections=16,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    for k in (0, 2):
        i, j = slice(PTR_X[k], PTR_X[k + 1]), slice(PTR_Y[k], PTR_Y[k + 1])
        expected = ot.sliced_wasserstein_distance(
            x[i], y[j], a[i], b[j], projections=direction, p=p
        )
        torch.testing.assert_close(got[k], expected**p)
    assert got[1] == 0


@given(known)
def test_exact_on_a_line_and_a_lower_bound_elsewhere(problem: Problem) -> None:
    for p in (1, 2):
        options = {**problem.arguments(), "p": p}
        transport = earth_mover(**options).cost.item()
        assert sliced(**options, projections=8).item() <= transport * (1 + 1e-9)
        options["x"], options["y"] = problem.x[:, :1], problem.y[:, :1]
        transport = earth_mover(**options).cost.item()
        scale = float(torch.cat([problem.x, problem.y]).abs().max()) ** p
        assert sliced(**options).item() == pytest.approx(transport, rel=1e-6, abs=1e-12 * scale)


@pytest.mark.parametrize("p", [1, 2])
def test_gradients(p: int) -> None:
    x, y = torch.randn(14, 2).double(), torch.randn(11, 2).double()

    def cost(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
        weight_x = torch.cat([w.softmax(0) for w in a.split([5, 9])])
        weight_y = torch.cat([w.softmax(0) for w in b.split([7, 4])])
        return sliced(
            x, y, PTR_X, PTR_Y, weight_x=weight_x, weight_y=weight_y, p=p, projections=4,
            generator=torch.Generator().manual_seed(0),
        )  # fmt: skip

    leaves = [
        v.requires_grad_() for v in (x, y, torch.randn(14).double(), torch.randn(11).double())
    ]
    assert torch.autograd.gradcheck(cost, leaves, atol=1e-6, fast_mode=True)


def test_weight_gradient_at_ties_is_a_one_sided_derivative() -> None:
    x, y = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[0.0], [2.0]]).double()
    ptr = torch.tensor([0, 2])
    weight = torch.full((2,), 0.5).double().requires_grad_()
    (slope,) = torch.autograd.grad(sliced(x, y, ptr, ptr, weight_x=weight).sum(), weight)
    direction = torch.tensor([1.0, -1.0]).double()

    def moved(step: float) -> float:
        return sliced(x, y, ptr, ptr, weight_x=(weight + step * direction).detach()).item()

    sides = sorted((moved(step) - moved(0.0)) / step for step in (1e-6, -1e-6))
    assert sides[0] - 1e-6 <= float(slope @ direction) <= sides[1] + 1e-6


def test_zero_weights_and_clouds_without_weight() -> None:
    x = torch.tensor([[5.0], [0.0], [9.0], [1.0], [7.0]]).double()
    weight = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0]).double()
    ptr = torch.tensor([0, 3, 5])
    y, other = torch.tensor([[2.0], [4.0]]).double(), torch.tensor([0, 1, 2])
    assert sliced(x, y, ptr, other, weight_x=weight).tolist() == [2.0, 3.0]
    nothing = torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0]).double()
    got = sliced(x, y, ptr, other, weight_x=nothing, empty="nan")
    assert got.isnan().tolist() == [True, False]
    with pytest.raises(DataError, match="pair 0: one cloud is empty"):
        sliced(x, y, ptr, other, weight_x=nothing)
    with pytest.raises(ArgumentError, match="p, projections: got 1, 0"):
        sliced(x, y, ptr, other, weight_x=weight, projections=0)
