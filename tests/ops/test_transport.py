"""Transport between clouds of equal totals: known answers, laws, odd inputs, failing solvers."""

from __future__ import annotations

import math
from itertools import pairwise

import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transport_problems import Problem, adversarial, clouds, known, permutations, seeds

from pcgen.errors import ArgumentError, DataError, PcgenError
from pcgen.ops._kernels import exact, solvers
from pcgen.ops.transport import (
    KullbackLeibler,
    ToleranceWarning,
    TotalVariation,
    Transport,
    earth_mover,
)


def marginals(result: Transport, n: int, m: int) -> tuple[Tensor, Tensor]:
    flow = result.flow
    zero = torch.zeros(max(n, m), dtype=flow.mass.dtype)
    return (
        zero[:n].index_add(0, flow.source, flow.mass),
        zero[:m].index_add(0, flow.target, flow.mass),
    )


@given(known)
def test_exact_solver_knows_the_known_answers(problem: Problem) -> None:
    for p, cost in problem.cost.items():
        result = earth_mover(**problem.arguments(), p=p, solver="exact")
        assert result.cost.item() == pytest.approx(cost, rel=1e-7, abs=0)
        assert result.gap.item() <= 1e-9 * cost


@given(permutations(), st.sampled_from(["exact", "sinkhorn"]))
def test_another_order_of_the_points_costs_nothing(problem: Problem, solver: str) -> None:
    for p in problem.cost:
        result = earth_mover(**problem.arguments(), p=p, solver=solver, tolerance=0.01)
        size = float(problem.weight_x.sum() * problem.x.abs().max() ** p)
        assert 0.0 <= result.cost.item() <= 1e-12 * size
        assert result.gap.item() <= 1e-12 * size


@given(seeds, st.sampled_from([1, 2]), st.sampled_from([1e-3, 7.0]))
def test_turned_moved_and_scaled_clouds(seed: int, p: int, scale: float) -> None:
    """A rigid motion changes nothing; lengths count to the power p, weights once."""
    torch.manual_seed(seed)
    x, ptr_x, a = clouds([6, 2], 3)
    y, ptr_y, b = clouds([5, 4], 3)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    moved = (scale * (z @ turn + torch.tensor([1.0, -2.0, 3.0])) for z in (x, y))
    expected = 5.0 * scale**p * earth_mover(x, y, ptr_x, ptr_y, weight_x=a, weight_y=b, p=p).cost
    got = earth_mover(*moved, ptr_x, ptr_y, weight_x=5 * a, weight_y=5 * b, p=p).cost
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=0)


@given(adversarial())
def test_exact_agrees_with_pot_and_proves_it(problem: Problem) -> None:
    a, b = problem.weight_x, problem.weight_y
    cost = torch.cdist(problem.x, problem.y, compute_mode="donot_use_mm_for_euclid_dist")
    expected = ot.emd2((a / a.sum()).numpy(), (b / b.sum()).numpy(), cost.numpy()) * float(a.sum())
    result = earth_mover(**problem.arguments(), solver="exact")
    precision = 1e-12 * float(cost.max() * a.sum())
    assert result.cost.item() == pytest.approx(expected, rel=1e-9, abs=precision)
    assert result.gap.item() <= precision
    kept = marginals(result, len(a), len(b))
    torch.testing.assert_close(kept[0], a, rtol=1e-9, atol=1e-14 * float(a.sum()))
    torch.testing.assert_close(kept[1], b, rtol=1e-9, atol=1e-14 * float(b.sum()))


@pytest.mark.parametrize("p", [1, 2])
def test_clouds_of_a_ragged_batch_do_not_see_each_other(p: int) -> None:
    sizes_x, sizes_y = [4, 0, 1, 30, 7, 0] * 8, [3, 0, 9, 25, 1, 0] * 8
    x, ptr_x, a = clouds(sizes_x)
    y, ptr_y, b = clouds(sizes_y)
    result = earth_mover(x, y, ptr_x, ptr_y, weight_x=a, weight_y=b, p=p)
    for k, ((i0, i1), (j0, j1)) in enumerate(
        zip(pairwise(ptr_x.tolist()), pairwise(ptr_y.tolist()), strict=True)
    ):
        one = earth_mover(
            x[i0:i1], y[j0:j1], torch.tensor([0, i1 - i0]), torch.tensor([0, j1 - j0]),
            weight_x=a[i0:i1], weight_y=b[j0:j1], p=p,
        )  # fmt: skip
        assert one.cost[0] == result.cost[k]
        entries = slice(result.flow.ptr[k], result.flow.ptr[k + 1])
        assert torch.equal(result.flow.source[entries], one.flow.source + i0)
        assert torch.equal(result.flow.target[entries], one.flow.target + j0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_offsets_cost_no_precision(dtype: torch.dtype) -> None:
    x, ptr_x, _ = clouds([20], 3)
    y, ptr_y, _ = clouds([20], 3)
    x, y = (torch.round(8 * z).to(dtype) for z in (x, y))
    near = earth_mover(x, y, ptr_x, ptr_y)
    offset = 0.0 if dtype == torch.bfloat16 else 1024.0
    far = earth_mover(x + offset, y + offset, ptr_x, ptr_y)
    assert torch.equal(near.cost, far.cost)
    assert near.cost.dtype == (torch.float32 if dtype == torch.bfloat16 else dtype)


@given(adversarial(), adversarial())
def test_it_is_a_metric(one: Problem, two: Problem) -> None:
    sides = [one.x, one.y, two.x]
    if len({z.shape[1] for z in sides}) > 1:
        return
    weights = [w / w.sum() for w in (one.weight_x, one.weight_y, two.weight_x)]
    distance = {}
    for i in range(3):
        for j in range(3):
            ptr_i, ptr_j = torch.tensor([0, len(sides[i])]), torch.tensor([0, len(sides[j])])
            distance[i, j] = earth_mover(
                sides[i], sides[j], ptr_i, ptr_j, weight_x=weights[i], weight_y=weights[j]
            ).cost.item()
    size = max(float(z.abs().max()) for z in sides)
    for i in range(3):
        assert distance[i, i] <= 1e-12 * size
        for j in range(3):
            assert distance[i, j] == pytest.approx(distance[j, i], rel=1e-9, abs=1e-12 * size)
            for k in range(3):
                assert distance[i, k] <= distance[i, j] + distance[j, k] + 1e-11 * size


def test_periodic_axis_goes_the_short_way_around() -> None:
    x, y, one = torch.tensor([[0.0, 3.1]]), torch.tensor([[0.0, -3.1]]), torch.tensor([0, 1])
    got = earth_mover(x, y, one, one, period=(None, 2 * math.pi)).cost
    torch.testing.assert_close(got, torch.tensor([2 * math.pi - 6.2]), rtol=1e-5, atol=0)


def test_turning_a_periodic_axis_changes_nothing() -> None:
    x, ptr_x, a = clouds([9, 4])
    y, ptr_y, b = clouds([7, 6])
    turn = torch.tensor([0.0, 1.0]) * torch.randint(-3, 4, (len(x), 1))
    options = {"weight_x": a, "weight_y": b, "period": (None, 2.0)}
    torch.testing.assert_close(
        earth_mover(x + 2.0 * turn, y, ptr_x, ptr_y, **options).cost,
        earth_mover(x, y, ptr_x, ptr_y, **options).cost,
    )


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_it_may_stand_in_compiled_code() -> None:
    x, ptr_x, _ = clouds([6, 3])
    y, ptr_y, _ = clouds([4, 5])

    def loss(x: Tensor) -> Tensor:
        return (earth_mover(2 * x, y, ptr_x, ptr_y).cost ** 2).sum()

    grads = []
    for function in (loss, torch.compile(loss, backend="eager")):
        leaf = x.clone().requires_grad_()
        function(leaf).backward()
        grads.append(leaf.grad)
    torch.testing.assert_close(*grads)


def test_empty_clouds() -> None:
    x, ptr_x, _ = clouds([0, 2, 0])
    y, ptr_y, _ = clouds([0, 0, 3])
    with pytest.raises(DataError, match="pair 1: one cloud is empty"):
        earth_mover(x, y, ptr_x, ptr_y)
    assert earth_mover(x, y, ptr_x, ptr_y, empty=7.0).cost.tolist() == [0.0, 7.0, 7.0]
    assert earth_mover(x, y, ptr_x, ptr_y, empty="nan").cost.isnan().tolist() == [False, True, True]
    for solver in ("exact", "sinkhorn"):
        unbalanced = earth_mover(x, y, ptr_x, ptr_y, unbalanced=1.0, solver=solver)
        torch.testing.assert_close(unbalanced.cost, torch.tensor([0.0, 1.0, 1.0]).double())
    soft = earth_mover(x, y, ptr_x, ptr_y, unbalanced=KullbackLeibler(2.0))
    torch.testing.assert_close(soft.cost, torch.tensor([0.0, 2.0, 2.0]).double())


def test_no_clouds_and_no_points() -> None:
    nothing, ptr = torch.zeros(0, 2), torch.tensor([0])
    assert earth_mover(nothing, nothing, ptr, ptr).cost.shape == (0,)
    assert earth_mover(nothing, nothing, torch.tensor([0, 0]), torch.tensor([0, 0])).cost == 0


def test_weights_of_zero_in_all_points_make_a_cloud_empty() -> None:
    x, ptr, _ = clouds([2])
    none, some = torch.zeros(2).double(), torch.ones(2).double()
    assert earth_mover(x, x, ptr, ptr, weight_x=none, weight_y=none).cost.item() == 0.0
    with pytest.raises(DataError, match="one cloud is empty"):
        earth_mover(x, x, ptr, ptr, weight_x=none, weight_y=some)


def test_a_simplex_that_gives_up_reports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x, ptr, a = clouds([3])
    monkeypatch.setattr(exact, "ITERATIONS", 0)
    with pytest.raises(PcgenError, match=r"network simplex failed on cloud 0 \(3 x 3 points\)"):
        earth_mover(x, x + 1, ptr, ptr, weight_x=a, weight_y=a)


def test_a_tolerance_out_of_reach_warns_with_the_gap_reached() -> None:
    x, ptr_x, a = clouds([6])
    y, ptr_y, b = clouds([6])
    with pytest.warns(ToleranceWarning, match="1 of 1 results miss the tolerance 1e-09"):
        earth_mover(
            x, y, ptr_x, ptr_y, weight_x=a, weight_y=b, unbalanced=KullbackLeibler(1.0),
            tolerance=1e-9,
        )  # fmt: skip


@pytest.mark.parametrize("tolerance", [None, 1e-9])
def test_clouds_too_large_for_the_exact_solver_warn_with_the_gap_reached(
    tolerance: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, ptr, _ = clouds([9, 9])
    y, _, _ = clouds([9, 9])
    monkeypatch.setattr(solvers, "EXACT_UP_TO", 0)
    monkeypatch.setitem(solvers.TOLERANCE, "sinkhorn", 1e-8)
    with pytest.warns(ToleranceWarning, match="1 of 2 results miss the tolerance 1e-0") as caught:
        result = earth_mover(x, y, ptr, ptr, solver="sinkhorn", tolerance=tolerance)
    claimed = float(str(caught[0].message).split("proven to ")[1].split()[0])
    proven = (result.cost / (result.cost - result.gap)).max().item() - 1
    assert claimed == pytest.approx(proven, rel=0.01)
    assert not result.refined.any()


def test_an_auction_that_gave_up_is_never_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    x, ptr, _ = clouds([9])
    monkeypatch.setattr(solvers, "EXACT_UP_TO", 0)
    result = earth_mover(x, x.flip(0), ptr, ptr, solver="auction")  # gives up on equal clouds
    assert result.refined.all()
    assert result.gap.item() == 0.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": torch.zeros(2)}, ArgumentError, r"x: got torch.float32 \(2,\)"),
        ({"x": torch.full((2, 2), math.nan)}, DataError, r"x: row 0 is \[nan, nan\]"),
        ({"y": torch.zeros(2, 3)}, ArgumentError, "expected equal dtypes, D and B"),
        ({"ptr_x": torch.tensor([0, 1])}, ArgumentError, "ptr_x: got a pointer from 0 to 1"),
        ({"weight_x": torch.ones(3)}, ArgumentError, r"weight_x: got torch.float32 \(3,\)"),
        ({"weight_y": torch.tensor([1.0, -1.0])}, DataError, r"weight_y: row 1 is -1.0"),
        ({"weight_y": torch.ones(2)}, DataError, "pair 0: the weights sum to 1 and 2"),
        ({"p": 3}, ArgumentError, "p: got 3, expected 1 or 2"),
        ({"period": (1.0,)}, ArgumentError, "period: got"),
        ({"unbalanced": -1.0}, ArgumentError, "EnergyDifference.radius: got -1.0"),
        ({"unbalanced": TotalVariation}, ArgumentError, "unbalanced: got"),
        ({"solver": "magic"}, ArgumentError, "solver: got 'magic', expected auto, exact"),
        ({"tolerance": -0.1}, ArgumentError, "tolerance: got -0.1"),
        ({"empty": "zero"}, ArgumentError, "empty: got 'zero'"),
        (
            {"solver": "auction", "weight_x": torch.tensor([0.3, 0.7])},
            ArgumentError,
            "solver: got 'auction' for pair 0",
        ),
    ],
)
def test_bad_arguments(change: dict[str, object], error: type[Exception], message: str) -> None:
    ptr = torch.tensor([0, 2])
    arguments = {"x": torch.zeros(2, 2), "y": torch.ones(2, 2), "ptr_x": ptr, "ptr_y": ptr}
    with pytest.raises(error, match=message):
        earth_mover(**(arguments | change))
