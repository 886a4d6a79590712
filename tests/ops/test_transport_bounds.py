"""Every solver's certificate is sound: primal >= exact >= dual, on random and on hard problems."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transport_problems import Problem, adversarial, known, seeds

from pcgen.ops._kernels import solvers
from pcgen.ops._kernels.problem import Problems
from pcgen.ops.divergences import energy_distance
from pcgen.ops.sides import Sides
from pcgen.ops.sliced_transport import sliced
from pcgen.ops.transport import (
    KullbackLeibler,
    Penalty,
    ToleranceWarning,
    TotalVariation,
    Transport,
    earth_mover,
)

penalties = st.sampled_from([None, 0.5, TotalVariation(0.3)])


def check_flow(problem: Problem, result: Transport, unbalanced: Penalty | float | None) -> None:
    """The plan is feasible and costs what is claimed."""
    flow = result.flow
    total = float(problem.weight_x.sum())
    assert (flow.mass > 0).all()
    for row, weight in ((flow.source, problem.weight_x), (flow.target, problem.weight_y)):
        kept = torch.zeros_like(weight).index_add(0, row, flow.mass)
        assert (kept <= weight + 1e-9 * total).all()
        if unbalanced is None:
            torch.testing.assert_close(kept, weight, rtol=0, atol=1e-9 * total)
            step = problem.x[flow.source] - problem.y[flow.target]
            cost = float((flow.mass * step.norm(dim=1)).sum())
            assert result.cost.item() == pytest.approx(cost, rel=1e-9)


@given(adversarial(), penalties)
def test_sinkhorn_bounds_hold(problem: Problem, unbalanced: Penalty | float | None) -> None:
    options = {**problem.arguments(), "unbalanced": unbalanced}
    exact = earth_mover(**options, solver="exact")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(solvers, "EXACT_UP_TO", 0)
        warnings.simplefilter("ignore", ToleranceWarning)
        result = earth_mover(**options, solver="sinkhorn")
    assert not result.refined.any()
    total = float(problem.weight_x.sum())
    size = float(torch.cdist(problem.x, problem.y).max() * total)
    # Weight that stays unmatched is dearer than all transport in the smallest clouds.
    slack = 0.0 if unbalanced is None else 1e-14 * total
    rounding = 1e-9 * exact.cost.item() + 1e-10 * size + slack
    assert result.cost.item() >= exact.cost.item() - rounding
    assert (result.cost - result.gap).item() <= exact.cost.item() + rounding
    check_flow(problem, result, unbalanced)


@given(adversarial(), st.sampled_from([0.2, 0.01, 1e-4]), st.sampled_from([1, 2]))
def test_the_auction_keeps_what_it_promises(problem: Problem, tolerance: float, p: int) -> None:
    n = min(len(problem.x), len(problem.y))
    ptr = torch.tensor([0, n])
    x, y = problem.x[:n], problem.y[:n]
    exact = earth_mover(x, y, ptr, ptr, p=p, solver="exact")
    result = earth_mover(x, y, ptr, ptr, p=p, solver="auction", tolerance=tolerance)
    rounding = 1e-11 * float(torch.cdist(x, y).max() ** p)
    assert sorted(result.flow.target.tolist()) == list(range(n))
    assert result.cost.item() >= exact.cost.item() - rounding
    assert result.cost.item() <= (1 + tolerance) * exact.cost.item() + rounding
    assert (result.cost - result.gap).item() <= exact.cost.item() + rounding
    assert result.gap.item() <= tolerance * (result.cost - result.gap).item() + rounding


@given(known)
def test_sinkhorn_knows_the_known_answers_to_its_tolerance(problem: Problem) -> None:
    for p, cost in problem.cost.items():
        result = earth_mover(**problem.arguments(), p=p, solver="sinkhorn", tolerance=0.02)
        assert cost * (1 - 1e-9) <= result.cost.item() <= 1.02 * cost * (1 + 1e-9)
        assert (result.cost - result.gap).item() <= cost * (1 + 1e-9)


@given(seeds, st.sampled_from([0.1, 2.0]))
def test_soft_bounds_enclose_the_value_at_a_finer_tolerance(seed: int, penalty: float) -> None:
    random = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(7, 2, generator=random).double() for _ in range(2))
    weight = torch.rand(2, 7, generator=random).double()
    ptr = torch.tensor([0, 7])
    bounds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tolerance in (0.2, 0.01):
            result = earth_mover(
                x, y, ptr, ptr, weight_x=weight[0], weight_y=weight[1],
                unbalanced=KullbackLeibler(penalty), tolerance=tolerance,
            )  # fmt: skip
            bounds.append(((result.cost - result.gap).item(), result.cost.item()))
    (low, high), (finer_low, finer_high) = bounds
    assert low <= finer_high * (1 + 1e-9)
    assert finer_low <= high * (1 + 1e-9)
    assert finer_high - finer_low < high - low


Ragged = tuple[Tensor, Tensor, Tensor, Tensor]


def hard_pairs(number: int, *, equal: bool) -> tuple[Ragged, tuple[Tensor, Tensor], Tensor]:
    """Pairs of all scales, a fifth of each kind: plain, clusters, collinear, duplicates, far away.

    Returns the points and pointers, weights (a third of them 0, unless all are equal) of sum 1 in
    each cloud, and the size of the largest distance of each pair.
    """
    sizes = [torch.randint(1, 10, (number,)) for _ in range(2)]
    sizes[1] = sizes[0] if equal else sizes[1]
    scale = 10.0 ** torch.empty(number).double().uniform_(-8, 8)
    kind = torch.arange(number) % 5
    points, pointers, weights = [], [], []
    for side, size in enumerate(sizes):
        owner = torch.repeat_interleave(torch.arange(number), size)
        z, k = torch.randn(len(owner), 2).double(), kind[owner, None]
        z = torch.where(k == 1, 1000 * z.round() + 1e-6 * z, z)
        z = torch.where(k == 2, z[:, :1], z)
        z = torch.where(k == 3, z.round(), z)
        z = torch.where(k == 4, z + 1e4 * side, z)
        points.append(z * scale[owner, None])
        pointers.append(torch.nn.functional.pad(size.cumsum(0), (1, 0)))
        mass = torch.exp(3 * torch.randn(len(owner)).double())
        first = pointers[-1][:-1]
        mass[(torch.rand(len(owner)) < 1 / 3) & ~torch.isin(torch.arange(len(owner)), first)] = 0.0
        mass = torch.ones_like(mass) if equal else mass
        weights.append(mass / torch.zeros(number).double().index_add(0, owner, mass)[owner])
    extent = scale * torch.tensor([1.0, 1e3, 1.0, 1.0, 1e4]).double()[kind]
    return (*points, *pointers), (weights[0], weights[1]), extent


def test_bounds_of_sinkhorn_hold_on_thousands_of_hard_pairs() -> None:
    clouds, weights, size = hard_pairs(2500, equal=False)
    options = {"weight_x": weights[0], "weight_y": weights[1]}
    exact = earth_mover(*clouds, solver="exact", **options)
    found = earth_mover(*clouds, solver="sinkhorn", **options)
    assert (exact.gap <= 1e-10 * size).all()
    assert found.refined.double().mean() < 0.25
    assert (found.cost >= exact.cost - 1e-10 * size).all()
    assert (found.cost <= 1.03 * exact.cost + 1e-10 * size).all()
    assert (found.cost - found.gap <= exact.cost + 1e-10 * size).all()


@pytest.mark.parametrize("tolerance", [0.1, 0.001])
def test_bounds_of_the_auction_hold_on_thousands_of_hard_pairs(tolerance: float) -> None:
    clouds, _, size = hard_pairs(2500, equal=True)
    exact = earth_mover(*clouds, solver="exact")
    found = earth_mover(*clouds, solver="auction", tolerance=tolerance)
    assert (found.cost >= exact.cost - 1e-10 * size).all()
    assert (found.cost <= (1 + tolerance) * exact.cost + 1e-10 * size).all()
    assert (found.cost - found.gap <= exact.cost + 1e-10 * size).all()
    assert (found.gap <= tolerance * exact.cost + 1e-10 * size).all()


def test_autocast_rounds_nothing() -> None:
    x, y, ptr = equal_clouds(30, 2)
    x, y = x.float(), y.float()
    for function in (sliced, energy_distance, lambda *a: earth_mover(*a).cost):
        torch.manual_seed(0)
        plain = function(x, y, ptr, ptr)
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(function(x, y, ptr, ptr), plain)


def equal_clouds(n: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(n, d).double(), torch.randn(n, d).double(), torch.tensor([0, n])


def test_what_sinkhorn_misses_the_exact_solver_makes_good_and_it_is_reported() -> None:
    x, y = torch.randn(40, 2), torch.randn(40, 2)
    weight = torch.rand(40).softmax(0)
    ptr = torch.tensor([0, 20, 20, 40])
    weight = torch.cat([weight[:20].softmax(0), weight[20:].softmax(0)])
    exact = earth_mover(x, y, ptr, ptr, weight_x=weight, solver="exact")
    strict = earth_mover(x, y, ptr, ptr, weight_x=weight, solver="sinkhorn", tolerance=1e-7)
    assert strict.refined.tolist() == [True, False, True]
    torch.testing.assert_close(strict.cost, exact.cost)
    assert torch.equal(strict.flow.ptr, exact.flow.ptr)
    loose = earth_mover(x, y, ptr, ptr, weight_x=weight, solver="sinkhorn", tolerance=0.5)
    assert not loose.refined.any()


@pytest.mark.parametrize(
    ("n", "tolerance", "approximate"), [(20, 0.05, False), (300, None, True), (300, 0.0, False)]
)
def test_auto_takes_the_auction_for_many_points_of_equal_weight(
    n: int, tolerance: float | None, approximate: bool
) -> None:
    x, y, ptr = equal_clouds(n, 2)
    result = earth_mover(x, y, ptr, ptr, tolerance=tolerance)
    assert (result.gap.item() > 1e-9) == approximate
    assert result.gap.item() <= 0.01 * result.cost.item()
    weight = torch.arange(1.0, n + 1).double()
    weight = weight / weight.sum()
    weighted = earth_mover(x, y, ptr, ptr, weight_x=weight, tolerance=tolerance)
    assert weighted.gap.item() < 1e-9


def test_auto_chooses_pair_by_pair() -> None:
    sizes = [3, 260, 0, 5]
    ptr_x = torch.tensor([0, *sizes]).cumsum(0)
    ptr_y = torch.tensor([0, 4, 260, 0, 5]).cumsum(0)
    x, y = torch.randn(int(ptr_x[-1]), 2).double(), torch.randn(int(ptr_y[-1]), 2).double()
    result = earth_mover(x, y, ptr_x, ptr_y)
    exact = earth_mover(x, y, ptr_x, ptr_y, solver="exact")
    assert (result.gap > 1e-9).tolist() == [False, True, False, False]
    torch.testing.assert_close(result.cost[[0, 2, 3]], exact.cost[[0, 2, 3]])
    assert result.flow.ptr.diff().tolist()[1:] == [260, 0, 5]


@pytest.mark.parametrize(("tolerance", "weighted"), [(None, 2), (0.01, 2), (0.001, 0), (0.0, 0)])
def test_auto_on_a_gpu(tolerance: float | None, weighted: int) -> None:
    """The auction for equal weights; Sinkhorn for others, unless the tolerance is too fine."""
    sizes = torch.tensor([0, 3, 6])
    owner, zero = torch.tensor([0, 0, 0, 1, 1, 1]), torch.zeros(2)
    mass = torch.tensor([1.0, 1, 1, 1, 2, 3])
    on_gpu = SimpleNamespace(is_cuda=True)
    sides = Sides(on_gpu, on_gpu, sizes, sizes, owner, owner, mass, mass, (0.0, 0.0))
    problems = Problems(sides, zero, zero, 0.0, 1)
    expected = [0 if tolerance == 0 else 1, weighted]  # exact, auction, sinkhorn
    assert solvers._choose(problems, "auto", tolerance).tolist() == expected


def test_the_auction_gives_up_on_equal_clouds_and_the_exact_solver_answers() -> None:
    x, _, ptr = equal_clouds(30, 2)
    result = earth_mover(x, x[torch.randperm(30)], ptr, ptr, solver="auction")
    assert result.refined.all()
    assert result.cost.item() == 0.0


def test_the_plan_of_the_auction_carries_the_gradients_of_the_optimum() -> None:
    x, y, ptr = equal_clouds(40, 3)
    grads = []
    for solver, tolerance in (("exact", 0.0), ("auction", 1e-6)):
        leaves = x.clone().requires_grad_(), y.clone().requires_grad_()
        cost = earth_mover(*leaves, ptr, ptr, p=2, solver=solver, tolerance=tolerance).cost
        grads.append(torch.autograd.grad(cost.sum(), leaves))
    torch.testing.assert_close(grads[0], grads[1])


@pytest.mark.parametrize("p", [1, 2])
def test_the_gradients_of_sinkhorn_are_near_those_of_the_optimum(p: int) -> None:
    x, y, ptr = equal_clouds(40, 2)
    weight = torch.rand(40).double().softmax(0)
    grads = []
    for solver, tolerance in (("exact", 0.0), ("sinkhorn", 0.005)):
        leaf = x.clone().requires_grad_()
        cost = earth_mover(
            leaf, y, ptr, ptr, weight_x=weight, p=p, solver=solver, tolerance=tolerance
        )
        assert not cost.refined.any()
        (grad,) = torch.autograd.grad(cost.cost.sum(), leaf)
        grads.append(grad.flatten())
    assert torch.cosine_similarity(*grads, dim=0) > 0.98
    assert (grads[0] - grads[1]).norm() < 0.2 * grads[0].norm()
