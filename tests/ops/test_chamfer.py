"""Chamfer distances against brute force, closed forms and the packages that defined them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ragged_clouds import pointer, problem, problems, squared_distances
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.ops import chamfer_distance as module
from pcgen.ops.chamfer_distance import chamfer, density_aware, f_score


@given(
    case=problems(smallest=1),
    squared=st.booleans(),
    reduction=st.sampled_from(["mean", "sum"]),
    sides=st.sampled_from(["both", "x", "y"]),
    weighted=st.booleans(),
)
def test_is_brute_force(case, squared, reduction, sides, weighted):
    weight_x = torch.rand(len(case.x), dtype=case.x.dtype) + 0.1 if weighted else None
    weight_y = torch.rand(len(case.y), dtype=case.x.dtype) + 0.1 if weighted else None
    got = chamfer(
        *case,
        weight_x=weight_x,
        weight_y=weight_y,
        squared=squared,
        reduction=reduction,
        sides=sides,
    )
    assert got.dtype == case.x.dtype
    for value, (x, y) in zip(got, case.clouds(), strict=True):
        table = squared_distances(case.x[x], case.y[y])
        table = table if squared else table.sqrt()
        expected = 0.0
        for name, distance, weight in (
            ("x", table.amin(1), weight_x if weight_x is None else weight_x[x]),
            ("y", table.amin(0), weight_y if weight_y is None else weight_y[y]),
        ):
            weight = torch.ones_like(distance) if weight is None else weight.double()
            if sides in ("both", name):
                total = (weight * distance).sum()
                expected += float(total / weight.sum() if reduction == "mean" else total)
        assert float(value) == pytest.approx(expected, rel=1e-4, abs=0)


@given(case=problems(smallest=1, dtypes=(torch.float64,)), shift=st.floats(0.1, 5.0))
def test_laws(case, shift):
    """Symmetric, 0 for equal clouds, blind to order, homogeneous of degree 2."""
    x, y, ptr_x, ptr_y = case
    value = chamfer(*case)
    close = {"rtol": 1e-9, "atol": 1e-9 * max(1.0, float(value.max()))}
    torch.testing.assert_close(chamfer(y, x, ptr_y, ptr_x), value, **close)
    assert chamfer(x, x, ptr_x, ptr_x).tolist() == [0.0] * len(value)
    order = torch.cat([torch.randperm(b.stop - b.start) + b.start for b, _ in case.clouds()])
    torch.testing.assert_close(chamfer(x[order], y, ptr_x, ptr_y), value, **close)
    torch.testing.assert_close(chamfer(shift * x, shift * y, ptr_x, ptr_y), shift**2 * value)


def test_translation_of_a_dirac_and_of_a_sparse_cloud():
    grid = 10.0 * torch.arange(5.0)[:, None] + torch.zeros(5, 3)
    step = torch.tensor([3.0, 0.0, 4.0]) / 5
    ptr = torch.tensor([0, 1, 5])
    assert chamfer(grid, grid + step, ptr, ptr).tolist() == pytest.approx([2.0, 2.0], rel=1e-5)
    got = chamfer(grid, grid + step, ptr, ptr, squared=False, sides="x")
    assert got.tolist() == pytest.approx([1.0, 1.0], rel=1e-5)


def test_period_wraps_value_and_gradient():
    x = torch.tensor([[3.1]], dtype=torch.float64, requires_grad=True)
    y, ptr, period = -x.detach(), torch.tensor([0, 1]), [2 * torch.pi]
    value = chamfer(x, y, ptr, ptr, period=period, sides="x")
    gap = 2 * math.pi - 6.2
    assert value.item() == pytest.approx(gap**2)
    value.backward()
    assert x.grad.item() == pytest.approx(-2 * gap)


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("period", [None, [None, 3.0, 2.0]])
def test_first_and_second_derivatives(squared, period):
    case = problem([2, 0, 1], [1, 0, 3], dtype=torch.float64)
    weights = torch.rand(3, dtype=torch.float64) + 0.1, torch.rand(4, dtype=torch.float64) + 0.1
    inputs = [t.requires_grad_() for t in (case.x, case.y, *weights)]

    def value(x: Tensor, y: Tensor, weight_x: Tensor, weight_y: Tensor) -> Tensor:
        weighing = {"weight_x": weight_x, "weight_y": weight_y}
        return chamfer(x, y, *case[2:], **weighing, squared=squared, period=period)

    assert torch.autograd.gradcheck(value, inputs)
    assert torch.autograd.gradgradcheck(value, inputs)


def test_gradient_of_distances_between_coincident_points_is_zero():
    x = torch.ones(3, 2, requires_grad=True)
    ptr = pointer([3])
    chamfer(x, x.detach().clone(), ptr, ptr, squared=False).sum().backward()
    assert x.grad.abs().max() == 0


def test_zero_weight_does_not_count_but_attracts():
    x, y = torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [5.0]])
    ptr, weight = pointer([2]), torch.tensor([1.0, 0.0])
    assert chamfer(x, y, ptr, ptr, weight_x=weight, sides="x").item() == 1.0
    # The second y is at distance 0 although its nearest x has no weight.
    assert chamfer(x, y, ptr, ptr, weight_x=weight, sides="y").item() == 0.5


@pytest.mark.parametrize(
    ("empty", "expected"), [("nan", math.nan), (0.0, 0.0), (7.5, 7.5), (math.inf, math.inf)]
)
def test_empty_sides(empty, expected):
    case = problem([0, 2, 0, 2], [3, 0, 0, 2])
    case.x.requires_grad_()
    got = chamfer(*case, empty=empty)
    assert got[:3].tolist() == pytest.approx([expected, expected, 0.0], nan_ok=True)
    got[3].backward()
    assert case.x.grad[:2].abs().max() == 0
    assert case.x.grad[2:].abs().min() > 0
    with pytest.raises(DataError, match=r"pair 0: one cloud is empty .* or pass empty="):
        chamfer(*case)


def test_cloud_without_weight_is_empty():
    case = problem([2, 2], [2, 2])
    weight = torch.tensor([1.0, 2.0, 0.0, 0.0])
    with pytest.raises(DataError, match="pair 1: one cloud is empty"):
        chamfer(*case, weight_x=weight)
    assert chamfer(*case, weight_x=weight, weight_y=weight).tolist()[1] == 0.0
    assert chamfer(*case, weight_x=weight, empty=-1.0).tolist()[1] == -1.0


def test_everything_empty():
    case = problem([0, 0], [0, 0])
    assert chamfer(*case).tolist() == [0.0, 0.0]
    assert chamfer(*problem([0], [3]), empty="nan").isnan().all()
    assert chamfer(*problem([], [])).shape == (0,)
    assert f_score(*case, threshold=1.0).tolist() == [1.0, 1.0]


def test_mixed_precision_is_computed_in_single():
    case = problem([50], [60], offset=300.0)
    half = [case.x.bfloat16(), case.y.bfloat16(), *case[2:]]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = chamfer(*half)
    assert got.dtype == torch.float32
    assert torch.equal(got, chamfer(half[0].float(), half[1].float(), *case[2:]))


def test_non_contiguous_input():
    case = problem([5, 4], [9, 2])
    x = torch.stack((case.x, case.x), -1)[..., 0]
    assert not x.is_contiguous()
    assert torch.equal(chamfer(x, *case[1:]), chamfer(*case))


def test_compiles_without_graph_breaks():
    case = problem([5, 0, 4], [9, 0, 2])
    weight = torch.rand(9)

    def loss(x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor) -> Tensor:
        return chamfer(x, y, ptr_x, ptr_y, weight_x=weight, period=[None, None, 4.0])

    def gradient(function) -> tuple[Tensor, Tensor]:
        x = case.x.clone().requires_grad_()
        value = function(x, *case[1:])
        value.sum().backward()
        return value, x.grad

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for got, expected in zip(gradient(compiled), gradient(loss), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("n", [1000, 10_000])
def test_memory_is_linear_in_the_points(n):
    """What is kept for the backward pass: some numbers a point, no matrix."""
    case, kept = problem([n], [n]), []

    def keep(value: Tensor) -> Tensor:
        kept.append(value.numel())
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        chamfer(case.x.requires_grad_(), *case[1:]).sum().backward()
    assert sum(kept) < 40 * n


def test_presets_are_the_formulas_of_their_packages():
    """Transcribed: means of squared (Open3D: of plain) distances over both sides."""
    case = problem([20, 7], [13, 30])
    for b, (x, y) in enumerate(case.clouds()):
        table = squared_distances(case.x[x], case.y[y])
        to_y, to_x = table.amin(1), table.amin(0)
        expected = {
            "pytorch3d": to_y.mean() + to_x.mean(),
            "kaolin": to_y.mean() + to_x.mean(),
            "open3d": to_y.sqrt().mean() + to_x.sqrt().mean(),
            "pointflow": to_y.mean() + to_x.mean(),
            "achlioptas": to_y.mean() + to_x.mean(),
        }
        for name, value in expected.items():
            got = getattr(module, name)(*case)[b]
            assert got.item() == pytest.approx(float(value), rel=1e-5), name
        got = module.achlioptas(*case, normalize=False, use_sqrt=True)[b]
        assert got.item() == pytest.approx(float(to_y.sqrt().sum() + to_x.sqrt().sum()), rel=1e-5)
    assert module.pytorch3d(*problem([0], [3])).item() == 0.0


def test_density_aware_is_its_definition():
    case = problem([6, 4], [5, 4], dtype=torch.float64)
    alpha = 2.0
    for got, (x, y) in zip(density_aware(*case, alpha=alpha), case.clouds(), strict=True):
        table = squared_distances(case.x[x], case.y[y])
        expected = 0.0
        for one in (table, table.t()):
            squared, index = one.min(1)
            count = torch.bincount(index, minlength=one.shape[1])[index]
            share = one.shape[0] / one.shape[1] / count
            expected += float((1 - share * torch.exp(-alpha * squared)).mean()) / 2
        assert got.item() == pytest.approx(expected)


@given(case=problems(smallest=1), alpha=st.sampled_from([1e-3, 1.0, 1e3]))
def test_density_aware_is_bounded_and_sees_density(case, alpha):
    value = density_aware(*case, alpha=alpha)
    assert value.min() >= -1e-6
    assert value.max() <= 1 + 1e-6
    # Points that differ: in the lattice, copies would have to share their one nearest neighbour.
    x = torch.arange(3.0)[:, None]
    twice = x.repeat_interleave(2, 0)
    both = density_aware(
        torch.cat((x, twice)), torch.cat((x, x)), *map(pointer, ([3, 6], [3, 3])), alpha=1.0
    )
    assert both[0].item() == pytest.approx(0.0, abs=1e-6)
    lopsided = torch.tensor([[0.0], [0.0], [0.0], [0.0], [1.0], [2.0]])
    assert chamfer(lopsided, x, pointer([6]), pointer([3])).item() == 0.0
    assert density_aware(lopsided, x, pointer([6]), pointer([3]), alpha=1.0).item() > 0.1


def test_density_aware_has_second_derivatives():
    case = problem([3, 0, 1], [2, 0, 2], dtype=torch.float64)

    def value(x: Tensor, y: Tensor) -> Tensor:
        return density_aware(x, y, *case[2:], alpha=0.7)

    inputs = (case.x.requires_grad_(), case.y.requires_grad_())
    assert torch.autograd.gradcheck(value, inputs)
    assert torch.autograd.gradgradcheck(value, inputs)


def test_f_score_by_hand():
    x, y = torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([[0.5], [20.0]])
    ptr = pointer([3]), pointer([2])
    precision, recall = 2 / 3, 1 / 2
    expected = 2 * precision * recall / (precision + recall)
    assert f_score(x, y, *ptr, threshold=0.5).item() == pytest.approx(expected)
    assert f_score(x, y, *ptr, threshold=0.4).item() == 0.0
    assert f_score(x, y, *ptr, threshold=100.0).item() == 1.0
    weight = torch.tensor([1.0, 1.0, 0.0])
    assert f_score(x, y, *ptr, threshold=0.5, weight_x=weight).item() == pytest.approx(2 / 3)
    assert f_score(*problem([0], [3]), threshold=1.0).item() == 0.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"reduction": "max"}, ArgumentError, "reduction: got 'max', expected one of mean, sum"),
        ({"sides": "xy"}, ArgumentError, "sides: got 'xy', expected one of both, x, y"),
        (
            {"empty": "zero"},
            ArgumentError,
            "empty: got 'zero', expected 'raise', 'nan' or a number",
        ),
        ({"weight_x": torch.ones(4)}, ArgumentError, r"weight_x: .*\(4,\).* a float tensor \(3,\)"),
        ({"weight_y": torch.ones(4).long()}, ArgumentError, "weight_y: got torch.int64"),
        ({"weight_y": torch.tensor([1.0, -2, 0, 1])}, DataError, "weight_y: row 1 is -2.0"),
        ({"weight_x": torch.tensor([1, 1, torch.nan])}, DataError, "weight_x: row 2 is nan"),
    ],
)
def test_refuses_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        chamfer(*problem([3], [4]), **options)


def test_refuses_bad_thresholds():
    with pytest.raises(ArgumentError, match=r"threshold: got -1.0"):
        f_score(*problem([3], [4]), threshold=-1.0)
    with pytest.raises(ArgumentError, match=r"alpha: got 0.0"):
        density_aware(*problem([3], [4]), alpha=0.0)


def test_open3d_itself():
    open3d = pytest.importorskip("open3d")
    metric = open3d.t.geometry.Metric.ChamferDistance
    case = problem([40], [60])
    clouds = [open3d.t.geometry.PointCloud(open3d.core.Tensor(t.numpy())) for t in case[:2]]
    parameters = open3d.t.geometry.MetricParameters()
    theirs = clouds[0].compute_metrics(clouds[1], [metric], parameters)
    assert module.open3d(*case).item() == pytest.approx(float(theirs.cpu().numpy()[0]), rel=1e-5)
