"""Poolings against loops over clouds; maxima are the same to the last bit in any order."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen.nn import pool, scaled_sum
from pcgen.ops.segments import segment_max, segment_mean, segment_std


def pointer(sizes: list[int]) -> torch.Tensor:
    return torch.tensor([0, *sizes]).cumsum(0)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(0, 99))
def test_pooling_is_a_loop_over_clouds(sizes: list[int], seed: int) -> None:
    value = torch.randn(sum(sizes), 3, generator=torch.Generator().manual_seed(seed)).double()
    got = pool(value, pointer(sizes), (segment_max, segment_mean, scaled_sum(0.5), segment_std))
    for row, part in zip(got, value.split(sizes), strict=True):
        expected = torch.zeros(12, dtype=torch.float64)
        if len(part):
            parts = [part.amax(0), part.mean(0), 0.5 * part.sum(0), part.std(0, correction=0)]
            expected = torch.cat(parts)
        torch.testing.assert_close(row, expected)


@given(st.integers(1, 50), st.integers(0, 99))
def test_maximum_is_bitwise_invariant(size: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    value, ptr = torch.randn(size, 4, generator=draw), pointer([size])
    other = value[torch.randperm(size, generator=draw)]
    assert torch.equal(pool(other, ptr, (segment_max,)), pool(value, ptr, (segment_max,)))


def test_std_keeps_its_digits_at_an_offset() -> None:
    value = torch.randn(100, 2, dtype=torch.float64)
    far = pool(value + 1e8, pointer([100]), (segment_std,))
    torch.testing.assert_close(far, value.std(0, correction=0)[None], rtol=1e-7, atol=0)
