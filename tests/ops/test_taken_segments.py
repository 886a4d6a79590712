"""Segments taken out of many rows: the compiled loops, plain torch and slices agree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged_clouds import pointer

from pcgen.ops import ragged

SHAPES = [(), (1,), (3,), (2, 2), (0,)]
DTYPES = [torch.float32, torch.float64, torch.long]


def by_slices(value, ptr, index):
    """One segment after the other."""
    ends = ptr.tolist()
    parts = [value[ends[s] : ends[s + 1]] for s in index.tolist()]
    sizes = torch.tensor([len(part) for part in parts], dtype=torch.long)
    owner = torch.repeat_interleave(torch.arange(len(parts)), sizes)
    return torch.cat([value[:0], *parts]), [0, *sizes.cumsum(0).tolist()], owner


@pytest.mark.parametrize("many", [0, 1 << 40])
@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    chosen=st.lists(st.integers(0, 1 << 20), max_size=8),
    shape=st.sampled_from(SHAPES),
    dtype=st.sampled_from(DTYPES),
)
def test_take_is_what_slices_give(many, sizes, chosen, shape, dtype):
    value = torch.randint(0, 1000, (sum(sizes), *shape)).to(dtype)
    ptr = pointer(sizes)
    index = torch.tensor([each % len(sizes) for each in chosen], dtype=torch.long)
    expected, ends, owner = by_slices(value, ptr, index)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged, "MANY", many)
        (rows,), found, owners = ragged.take([value], ptr, index)
    assert rows.dtype == dtype
    assert torch.equal(rows, expected)
    assert found.tolist() == ends
    assert torch.equal(owners, owner)


@pytest.mark.parametrize("many", [0, 1 << 40])
def test_rows_that_are_differentiated_or_are_views_are_taken_too(many, monkeypatch):
    monkeypatch.setattr(ragged, "MANY", many)
    value = torch.randn(6, 2, dtype=torch.double, requires_grad=True)
    ptr, index = pointer([1, 2, 3]), torch.tensor([2, 0, 2])
    (rows, columns), *_ = ragged.take([value, value.detach().T.contiguous().T], ptr, index)
    assert torch.equal(rows, columns)
    rows.sum().backward()
    assert value.grad[:, 0].tolist() == [1, 0, 0, 2, 2, 2]


@given(sizes=st.lists(st.integers(0, 5), max_size=6))
def test_owners_are_the_same_by_the_compiled_loop(sizes):
    ptr, plain = pointer(sizes), ragged.owners(pointer(sizes), sum(sizes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged, "MANY", 0)
        assert torch.equal(ragged.owners(ptr, sum(sizes)), plain)
