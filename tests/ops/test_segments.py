"""Segment reductions against torch on each segment alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ragged_clouds import pointer
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.ops import segments

ORACLES: dict[str, Callable[[Tensor], Tensor]] = {
    "segment_sum": lambda v: v.sum(0),
    "segment_mean": lambda v: v.mean(0),
    "segment_max": lambda v: v.amax(0),
    "segment_min": lambda v: v.amin(0),
    "segment_std": lambda v: v.std(0, correction=0),
    "segment_logsumexp": lambda v: v.logsumexp(0),
}
EMPTY = {"segment_logsumexp": -torch.inf}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@given(sizes=st.lists(st.integers(0, 6), max_size=6), scale=st.sampled_from([1.0, 1e4]))
def test_equal_to_torch_on_each_segment(name, shape, sizes, scale):
    value = torch.randn(sum(sizes), *shape, dtype=torch.float64) * scale
    got = getattr(segments, name)(value, pointer(sizes))
    assert got.shape == (len(sizes), *shape)
    for row, part in zip(got, value.split(sizes), strict=True):
        expected = ORACLES[name](part) if len(part) else torch.full(shape, EMPTY.get(name, 0.0))
        torch.testing.assert_close(row, expected.to(row.dtype))


@given(sizes=st.lists(st.integers(0, 6), max_size=6))
def test_softmax_is_torchs_on_each_segment(sizes):
    value = torch.randn(sum(sizes), 2, dtype=torch.float64) * 300
    got = segments.segment_softmax(value, pointer(sizes))
    parts = [part.softmax(0) for part in value.split(sizes)]
    torch.testing.assert_close(got, torch.cat([*parts, value[:0]]))


def test_empty_value_of_extremes():
    value, ptr = torch.ones(2), torch.tensor([0, 0, 2, 2])
    assert segments.segment_max(value, ptr, empty=-7.0).tolist() == [-7.0, 1.0, -7.0]
    assert segments.segment_min(value, ptr, empty=7.0).tolist() == [7.0, 1.0, 7.0]
    assert segments.segment_max(value[:0], ptr * 0, empty=-7.0).tolist() == [-7.0] * 3


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
@pytest.mark.parametrize("reduce", [segments.segment_max, segments.segment_min])
def test_gradient_at_ties_goes_to_the_first(reduce, level):
    """scatter_reduce would split it, and lose part of it where the extreme value is 0."""
    value = torch.full((6,), level, requires_grad=True)
    reduce(value, torch.tensor([0, 4, 4, 6])).sum().backward()
    assert value.grad.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def test_nan_wins_the_maximum():
    value = torch.tensor([1.0, torch.nan, 2.0, 5.0])
    got = segments.segment_max(value, torch.tensor([0, 3, 4]))
    assert got[0].isnan()
    assert got[1] == 5.0


def test_maximum_of_integers():
    value = torch.tensor([3, 9, -4])
    assert segments.segment_max(value, torch.tensor([0, 2, 3])).tolist() == [9, -4]


def test_infinite_values_do_not_become_nan():
    value, ptr = torch.tensor([-torch.inf, -torch.inf, -torch.inf, 0.0]), torch.tensor([0, 2, 4])
    assert segments.segment_logsumexp(value, ptr).tolist() == [-torch.inf, 0.0]
    assert segments.segment_softmax(value, ptr)[2:].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("name", [*ORACLES, "segment_softmax"])
def test_first_and_second_derivatives(name):
    value = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    ptr = torch.tensor([0, 2, 2, 3, 6])
    if name == "segment_std":  # not differentiable in a segment of one row, where it is 0
        ptr = torch.tensor([0, 2, 2, 6])

    def reduce(value: Tensor) -> Tensor:
        out = getattr(segments, name)(value, ptr)
        return out[out.isfinite()]

    assert torch.autograd.gradcheck(reduce, value)
    assert torch.autograd.gradgradcheck(reduce, value)


def test_spread_has_no_cancellation_and_no_nan_gradient():
    value = torch.tensor([1e6, 1e6 + 1, 1e6 + 2, 5.0, 5.0], requires_grad=True)
    spread = segments.segment_std(value, torch.tensor([0, 3, 5]))
    torch.testing.assert_close(spread[0], torch.tensor((2 / 3) ** 0.5))
    assert spread[1] == 0
    spread.sum().backward()
    assert value.grad[3:].tolist() == [0.0, 0.0]
    assert value.grad.isfinite().all()


def test_half_precision_is_added_in_single():
    value = torch.full((5000,), 1.0, dtype=torch.bfloat16)  # alone it would stop at 256
    assert segments.segment_sum(value, torch.tensor([0, 5000])).item() == 4992.0  # 5000 rounded


@given(
    owner=st.lists(st.integers(0, 4), max_size=12),
    shape=st.sampled_from([(), (3,), (20,), (2, 3)]),
    name=st.sampled_from(["sum", "mean", "max"]),
)
def test_owners_in_any_order(owner, shape, name):
    """The rows of each owner together, in their order, are its segment."""
    value, owner = torch.randn(len(owner), *shape), torch.tensor(owner, dtype=torch.long)
    order = owner.argsort(stable=True)
    ptr = pointer(torch.bincount(owner, minlength=6).tolist())
    got = getattr(segments, f"{name}_by")(value, owner, 6)
    torch.testing.assert_close(got, getattr(segments, f"segment_{name}")(value[order], ptr))


def test_the_maximum_of_mixed_rows_sends_its_gradient_to_the_first():
    value = torch.zeros(5, requires_grad=True)
    segments.max_by(value, torch.tensor([2, 0, 2, 0, 0]), 3).sum().backward()
    assert value.grad.tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", [*ORACLES, "segment_softmax"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_the_result_alone(name, dtype):
    """70000 rows: more than a float16 can count, and their sum beyond it."""
    value, ptr = (torch.rand(70000, 2) * 3).to(dtype), torch.tensor([0, 69000, 70000])
    reduce = getattr(segments, name)
    got, expected = reduce(value, ptr), reduce(value.float(), ptr)
    assert got.dtype == dtype
    torch.testing.assert_close(got, expected.to(dtype))


def test_non_contiguous_values():
    value = torch.randn(4, 6).t()
    ptr = torch.tensor([0, 2, 6])
    for name in ORACLES:
        reduce = getattr(segments, name)
        torch.testing.assert_close(reduce(value, ptr), reduce(value.contiguous(), ptr))


@pytest.mark.parametrize("ptr", [[0, 2], [1, 3], [0, 2, 1, 3], [0, 4], []])
def test_refuses_wrong_pointers(ptr):
    with pytest.raises(ArgumentError, match=r"ptr: got .* expected"):
        segments.segment_sum(torch.ones(3), torch.tensor(ptr, dtype=torch.long))


def test_refuses_wrong_types():
    ptr = torch.tensor([0, 3])
    with pytest.raises(ArgumentError, match=r"ptr: got torch.float32 \(2,\), expected int64"):
        segments.segment_sum(torch.ones(3), ptr.float())
    with pytest.raises(ArgumentError, match=r"value: got torch.int64, expected a float"):
        segments.segment_mean(torch.ones(3).long(), ptr)
    with pytest.raises(ArgumentError, match="on meta, expected"):
        segments.segment_sum(torch.ones(3, device="meta"), ptr)


def test_compiles_without_graph_breaks():
    value, ptr = torch.randn(6, 2), torch.tensor([0, 2, 2, 6])
    for name in [*ORACLES, "segment_softmax"]:
        reduce = getattr(segments, name)
        compiled = torch.compile(reduce, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(value, ptr), reduce(value, ptr))


angles = st.lists(st.floats(-0.24, 0.24), min_size=1, max_size=6)


@given(st.lists(angles, min_size=1, max_size=5), st.floats(-5, 5), st.sampled_from([1.0, 7.5]))
def test_circular_mean_is_the_mean_wherever_the_seam_is(parts, turn, period):
    sizes = [len(part) for part in parts]
    value = period * torch.tensor([v for part in parts for v in part], dtype=torch.float64)
    weight = torch.rand(len(value), dtype=torch.float64) + 0.1
    moved = segments.segment_circular_mean(value + turn * period, weight, pointer(sizes), period)
    for found, v, w in zip(moved, value.split(sizes), weight.split(sizes), strict=True):
        away = (found.item() - turn * period - ((v * w).sum() / w.sum()).item()) / period
        assert abs(away - round(away)) < 1e-9
    assert bool((moved.abs() <= period / 2 * (1 + 1e-12)).all())


def test_circular_mean_without_weight_is_0_and_has_the_gradient_of_a_mean():
    value = torch.tensor([3.0, -3.2, 1.0], dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([1.0, 3.0, 0.0], dtype=torch.float64)
    ptr, period = torch.tensor([0, 2, 2, 3]), 6.0
    found = segments.segment_circular_mean(value, weight, ptr, period)
    assert found[1:].tolist() == [0.0, 0.0]
    assert found[0].item() == pytest.approx((3.0 + 3 * 2.8) / 4)
    found.sum().backward()
    assert value.grad[:2].tolist() == pytest.approx([0.25, 0.75])


def test_a_deviation_of_what_is_not_finite_is_none():
    value = torch.tensor([[1.0], [torch.nan], [2.0], [5.0], [torch.inf]])
    found = segments.segment_std(value, torch.tensor([0, 2, 4, 5]))
    assert found[0].isnan()
    assert float(found[1]) == 1.5
    assert found[2].isnan()


def test_extremes_of_whole_numbers_keep_all_digits():
    value = torch.tensor([2**40 + 1, 3, 2**40 + 3])
    assert segments.segment_max(value, torch.tensor([0, 2, 3])).tolist() == [2**40 + 1, 2**40 + 3]
    assert segments.segment_min(value, torch.tensor([0, 2, 3])).tolist() == [3, 2**40 + 3]
