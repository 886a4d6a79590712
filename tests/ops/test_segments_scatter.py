"""Reductions by torch-scatter: the same values and derivatives as in plain torch."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ragged_clouds import pointer

from pcgen.ops import segments
from pcgen.ops._kernels import segments_scatter

NAMES = ("sum", "mean", "min", "max", "std", "softmax", "logsumexp")
installed = pytest.mark.skipif(
    segments_scatter._kernels() is None, reason="torch-scatter is not installed"
)


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve small problems too."""
    monkeypatch.setattr(segments_scatter, "SUM_NUMBERS", 0)


def plainly(name, value, ptr):
    """The same without torch-scatter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments_scatter, "_kernels", lambda: None)
        return getattr(segments, f"segment_{name}")(value, ptr)


def gradient(out, value):
    direction = torch.arange(1.0, out.numel() + 1).view(out.shape).to(out.dtype)
    out = torch.where(out.isfinite(), out, 0)
    return torch.autograd.grad((out * direction).sum(), value)[0]


@installed
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@given(
    sizes=st.lists(st.integers(0, 6), max_size=6).filter(any),
    shape=st.sampled_from([(), (1,), (3,), (2, 3), (20,)]),
    levels=st.sampled_from([1, 3, 1000]),
)
def test_values_and_gradients_are_the_same_at_ties_too(name, dtype, sizes, shape, levels):
    value = torch.randint(-levels, levels, (sum(sizes), *shape)).to(dtype) / 4
    value.requires_grad_()
    ptr = pointer(sizes)
    got, expected = getattr(segments, f"segment_{name}")(value, ptr), plainly(name, value, ptr)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(gradient(got, value), gradient(expected, value))


@installed
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, torch.finfo(torch.float32).min])
@pytest.mark.parametrize("name", ["max", "min", "logsumexp"])
def test_extremes_of_what_its_kernels_overlook(name, bad):
    value = torch.tensor([1.0, bad, bad, bad, 2.0, -1.0]).requires_grad_()
    ptr = torch.tensor([0, 2, 4, 4, 6])
    got, expected = getattr(segments, f"segment_{name}")(value, ptr), plainly(name, value, ptr)
    torch.testing.assert_close(got, expected, equal_nan=True)
    if name != "logsumexp":
        grads = [torch.autograd.grad(out.sum(), value)[0] for out in (got, expected)]
        assert torch.equal(*grads)


@installed
@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_derivatives(name):
    value = torch.randn(7, 2, dtype=torch.float64, requires_grad=True)
    ptr = torch.tensor([0, 2, 2, 7])

    def reduce(value):
        out = getattr(segments, f"segment_{name}")(value, ptr)
        return out[out.isfinite()]

    assert torch.autograd.gradcheck(reduce, value, check_forward_ad=name in ("sum", "mean"))
    assert torch.autograd.gradgradcheck(reduce, value)


@installed
def test_it_is_used_for_few_columns_of_many_rows(monkeypatch):
    monkeypatch.setattr(segments_scatter, "SUM_NUMBERS", 100)
    for rows, columns, adds, compares in (
        (100, 1, 1, 1),
        (99, 1, 0, 1),
        (99, 8, 1, 0),
        (9, 16, 0, 0),
    ):
        value = torch.zeros(rows, columns)
        assert segments_scatter.adds(value) == adds
        assert segments_scatter.compares(value) == compares
    assert not segments_scatter.adds(torch.zeros(200, dtype=torch.long))
    assert not segments_scatter.adds(torch.zeros(200, device="meta"))


@pytest.fixture
def _search_again(monkeypatch):
    segments_scatter._kernels.cache_clear()
    yield
    segments_scatter._kernels.cache_clear()


@pytest.mark.usefixtures("_search_again")
def test_without_libraries_torch_does_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_scatter", None)
    monkeypatch.setitem(sys.modules, "pyg_lib", None)
    assert segments_scatter._kernels() is None
    assert segments.segment_sum(torch.ones(3, 1), torch.tensor([0, 1, 3])).tolist() == [[1], [2]]


@pytest.mark.usefixtures("_search_again")
def test_pyg_lib_takes_the_place_of_torch_scatter(monkeypatch):
    """Its operators have the same names; an old version without them is passed over."""
    library = ModuleType("pyg_lib")
    library.__spec__ = SimpleNamespace(name="pyg_lib")
    monkeypatch.setitem(sys.modules, "torch_scatter", None)
    monkeypatch.setitem(sys.modules, "pyg_lib", library)
    monkeypatch.setattr(torch.ops, "pyg", SimpleNamespace(), raising=False)
    assert segments_scatter._kernels() is None
    segments_scatter._kernels.cache_clear()
    operators = SimpleNamespace(segment_sum_csr=lambda v, ptr, out: v[:2] + 5, gather_csr=None)
    monkeypatch.setattr(torch.ops, "pyg", operators, raising=False)
    assert segments.segment_sum(torch.ones(3, 1), torch.tensor([0, 1, 3])).tolist() == [[6], [6]]
