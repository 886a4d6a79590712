from __future__ import annotations

import ot
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from transport_problems import Problem, known, translations

from pcgen.errors import ArgumentError, DataError
from pcgen.ops._kernels import dense as dense_module
from pcgen.ops._kernels.sinkhorn import anneal
from pcgen.ops.divergences import energy_distance, sinkhorn_divergence
from pcgen.ops.transport import earth_mover

PTR_X, PTR_Y = torch.tensor([0, 5, 5, 14]), torch.tensor([0, 7, 7, 11])


def clouds() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, y = torch.randn(14, 2).double(), torch.randn(11, 2).double()
    a = torch.cat([w.softmax(0) for w in torch.randn(14).double().split([5, 9])])
    b = torch.cat([w.softmax(0) for w in torch.randn(11).double().split([7, 4])])
    return x, y, a, b


def test_annealed_potentials_give_a_plan_with_both_marginals() -> None:
    cost = torch.rand(3, 6, 5).double()
    a, b = torch.rand(3, 6).double().softmax(1), torch.rand(3, 5).double().softmax(1)
    epsilon = torch.tensor([0.05, 0.1, 1.0]).double()
    end = anneal(cost, a, b, None, epsilon, steps=300)
    plan = a[:, :, None] * b[:, None]
    plan = plan * ((end.f[:, :, None] + end.g[:, None] - cost) / epsilon[:, None, None]).exp()
    torch.testing.assert_close(plan.sum(2), a, rtol=1e-8, atol=0)
    torch.testing.assert_close(plan.sum(1), b, rtol=1e-8, atol=0)
    torch.testing.assert_close(end.epsilon, epsilon)


def entropic(x: Tensor, y: Tensor, a: Tensor, b: Tensor, epsilon: float) -> float:
    """POT's plan, with the entropy that its value leaves out."""
    cost = torch.cdist(x, y) ** 2
    plan = ot.sinkhorn(
        a, b, cost, epsilon, method="sinkhorn_log", numItermax=3000, stopThr=1e-10, warn=False
    )
    product = a[:, None] * b
    return float((plan * cost).sum() + epsilon * (plan * (plan / product).log()).sum())


def test_divergence_agrees_with_pot() -> None:
    x, y, a, b = clouds()
    got = sinkhorn_divergence(x, y, PTR_X, PTR_Y, epsilon=0.5, weight_x=a, weight_y=b, steps=300)
    for k in (0, 2):
        i, j = slice(PTR_X[k], PTR_X[k + 1]), slice(PTR_Y[k], PTR_Y[k + 1])
        one, two = (x[i], a[i]), (y[j], b[j])
        expected = sum(
            share * entropic(s[0], t[0], s[1], t[1], 0.5)
            for share, s, t in ((1, one, two), (-0.5, one, one), (-0.5, two, two))
        )
        assert got[k].item() == pytest.approx(expected, rel=1e-5)
    assert got[1] == 0


@settings(max_examples=15)
@given(translations())
def test_divergence_of_a_translation_is_its_square_at_any_temperature(problem: Problem) -> None:
    scale = float((problem.x - problem.x.mean(0)).norm(dim=1).max()) ** 2 + problem.cost[2]
    for epsilon in (0.1, 1.0):
        got = sinkhorn_divergence(**problem.arguments(), epsilon=epsilon * scale, steps=200)
        # The iteration ends at a share of the costs, which a short way is much smaller than.
        assert got.item() == pytest.approx(problem.cost[2], rel=0, abs=1e-6 * scale)


@settings(max_examples=15)
@given(known)
def test_divergence_goes_from_transport_to_energy_distance(problem: Problem) -> None:
    hot = sinkhorn_divergence(**problem.arguments(), p=1, epsilon=1e4 * problem_size(problem))
    half_energy = 0.5 * energy_distance(**problem.arguments())
    torch.testing.assert_close(hot, half_energy, rtol=1e-3, atol=1e-12 * problem_size(problem))


def problem_size(problem: Problem) -> float:
    return float(torch.cat([problem.x, problem.y]).abs().max())


def test_cold_divergence_is_transport() -> None:
    x, y, a, b = clouds()
    options = {"weight_x": a, "weight_y": b, "p": 2}
    cold = sinkhorn_divergence(x, y, PTR_X, PTR_Y, epsilon=1e-3, steps=1000, **options)
    transport = earth_mover(x, y, PTR_X, PTR_Y, **options).cost
    torch.testing.assert_close(cold, transport, rtol=5e-3, atol=0)


def test_energy_distance_is_the_double_sum() -> None:
    x, y, a, b = clouds()
    got = energy_distance(x, y, PTR_X, PTR_Y, weight_x=a, weight_y=b)
    for k in (0, 2):
        i, j = slice(PTR_X[k], PTR_X[k + 1]), slice(PTR_Y[k], PTR_Y[k + 1])
        expected = (
            2 * a[i] @ torch.cdist(x[i], y[j]) @ b[j]
            - a[i] @ torch.cdist(x[i], x[i]) @ a[i]
            - b[j] @ torch.cdist(y[j], y[j]) @ b[j]
        )
        torch.testing.assert_close(got[k], expected)


@settings(max_examples=15)
@given(known)
def test_both_are_zero_for_equal_clouds_and_symmetric(problem: Problem) -> None:
    swapped = {
        "x": problem.y, "y": problem.x, "ptr_x": problem.arguments()["ptr_y"],
        "ptr_y": problem.arguments()["ptr_x"], "weight_x": problem.weight_y,
        "weight_y": problem.weight_x,
    }  # fmt: skip
    same = {**problem.arguments(), "y": problem.x, "weight_y": problem.weight_x}
    same["ptr_y"] = same["ptr_x"]
    size = problem_size(problem)
    for function, unit in (
        (energy_distance, size),
        (lambda **k: sinkhorn_divergence(**k, epsilon=0.3 * size**2), size**2),
    ):
        value = function(**problem.arguments())
        assert value.item() >= -1e-9 * unit
        torch.testing.assert_close(function(**swapped), value, rtol=1e-5, atol=1e-9 * unit)
        assert abs(function(**same).item()) <= 1e-9 * unit


@pytest.mark.parametrize("p", [1, 2])
def test_gradients(p: int) -> None:
    x, y, a, b = clouds()

    def normalised(weight: Tensor, sizes: list[int]) -> Tensor:
        return torch.cat([w / w.sum() for w in weight.split(sizes)])

    def divergence(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return sinkhorn_divergence(
            x, y, PTR_X, PTR_Y, epsilon=0.5, p=p, steps=200, period=(None, 7.0),
            weight_x=normalised(a, [5, 9]), weight_y=normalised(b, [7, 4]),
        )  # fmt: skip

    def energy(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return energy_distance(
            x, y, PTR_X, PTR_Y, weight_x=normalised(a, [5, 9]), weight_y=normalised(b, [7, 4])
        )

    leaves = [value.requires_grad_() for value in (x, y, a, b)]
    for function in (divergence, energy):
        assert torch.autograd.gradcheck(function, leaves, atol=1e-5, fast_mode=True)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, a, b = clouds()
    options = {"weight_x": a, "weight_y": b}
    whole = sinkhorn_divergence(x, y, PTR_X, PTR_Y, epsilon=0.5, steps=200, **options)
    plan = earth_mover(x, y, PTR_X, PTR_Y, solver="sinkhorn", **options)
    monkeypatch.setitem(dense_module.CHUNK, "cpu", 1)
    one = sinkhorn_divergence(x, y, PTR_X, PTR_Y, epsilon=0.5, steps=200, **options)
    torch.testing.assert_close(one, whole)
    alone = earth_mover(x, y, PTR_X, PTR_Y, solver="sinkhorn", **options)
    torch.testing.assert_close(alone.cost, plan.cost, rtol=0.02, atol=0)
    assert torch.equal(PTR_X[:-1][alone.flow.ptr.diff() > 0], PTR_X[[0, 2]])


def test_a_dirac_costs_twice_its_distance_and_empty_clouds_what_is_given() -> None:
    x, ptr = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([0, 1, 2, 2])
    y, other = torch.tensor([[3.0, 4.0]]), torch.tensor([0, 1, 1, 1])
    assert energy_distance(x, y, ptr, other, empty=-1.0).tolist() == [10.0, -1.0, 0.0]
    got = sinkhorn_divergence(x, y, ptr, other, epsilon=1.0, p=1, empty=-1.0)
    torch.testing.assert_close(got, torch.tensor([5.0, -1.0, 0.0]))
    with pytest.raises(DataError, match="pair 1: one cloud is empty"):
        energy_distance(x, y, ptr, other)
    with pytest.raises(DataError, match="pair 0: the weights sum to 1 and 3"):
        energy_distance(x[:1], y, other[:2], other[:2], weight_y=torch.tensor([3.0]))
    with pytest.raises(ArgumentError, match="epsilon: got 0"):
        sinkhorn_divergence(x, y, ptr, other, epsilon=0.0)
    with pytest.raises(ArgumentError, match="p: got 3"):
        sinkhorn_divergence(x, y, ptr, other, epsilon=1.0, p=3)


@pytest.mark.parametrize("p", [1, 2])
def test_divergence_agrees_with_geomloss(p: int) -> None:
    geomloss = pytest.importorskip("geomloss")
    x, y, a, b = clouds()
    i, j, blur = slice(0, 5), slice(0, 7), 0.7
    # GeomLoss divides the cost by p, and its temperature is blur ** p.
    loss = geomloss.SamplesLoss("sinkhorn", p=p, blur=blur, scaling=0.99, backend="tensorized")
    expected = p * loss(a[i], x[i], b[j], y[j])
    got = sinkhorn_divergence(
        x[i], y[j], PTR_X[:2], PTR_Y[:2], p=p, epsilon=p * blur**p, steps=300,
        weight_x=a[i], weight_y=b[j],
    )  # fmt: skip
    assert got.item() == pytest.approx(expected.item(), rel=1e-3)
