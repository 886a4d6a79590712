"""Padded rows against the same rows without padding, whatever stands in the padding."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ragged_clouds import pointer

from pcgen.errors import ArgumentError
from pcgen.ops import ragged, segments
from pcgen.ops.padding import Padding

REDUCTIONS = (
    segments.segment_sum,
    segments.segment_mean,
    segments.segment_std,
    segments.segment_max,
    segments.segment_min,
    segments.segment_logsumexp,
    lambda value, ptr: segments.segment_max(value, ptr, empty=-7.0),
)
SIZES = st.lists(st.integers(0, 5), min_size=1, max_size=5)


def padded(value, sizes, longest=6):
    """The rows of clouds of ``longest`` rows each, NaN where no point is, and their padding."""
    present = torch.arange(longest) < torch.tensor(sizes)[:, None]
    dense = value.new_full((*present.shape, *value.shape[1:]), math.nan)
    dense[present] = value
    return dense.flatten(0, 1), Padding(present)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (3,)])
@given(sizes=SIZES)
def test_reductions_are_those_of_the_ragged_rows(reduce, shape, sizes):
    value = torch.randn(sum(sizes), *shape, dtype=torch.float64)
    rows, padding = padded(value, sizes)
    torch.testing.assert_close(reduce(rows, padding), reduce(value, pointer(sizes)))


@given(sizes=SIZES)
def test_softmax_and_circular_mean_are_those_of_the_ragged_rows(sizes):
    value = 300 * torch.randn(sum(sizes), dtype=torch.float64)
    rows, padding = padded(value, sizes)
    softmax = segments.segment_softmax(rows, padding)[padding.present.flatten()]
    torch.testing.assert_close(softmax, segments.segment_softmax(value, pointer(sizes)))
    weight = torch.rand(sum(sizes), dtype=torch.float64)
    given_rows = (rows, padded(weight, sizes)[0], padding, 360.0)
    # Opposite directions may balance: then the mean is any of them, found by rounding alone.
    mean = segments.segment_circular_mean(*given_rows)
    ragged = segments.segment_circular_mean(value, weight, pointer(sizes), 360.0)
    turns = (mean - ragged) / 360.0
    torch.testing.assert_close(turns, turns.round(), atol=1e-9, rtol=0)


@given(sizes=SIZES)
def test_owners_places_and_lengths(sizes):
    padding = padded(torch.zeros(sum(sizes)), sizes)[1]
    there, ptr, rows = padding.present.flatten(), pointer(sizes), sum(sizes)
    number = len(there)
    assert torch.equal(ragged.owners(padding, number)[there], ragged.owners(ptr, rows))
    assert torch.equal(ragged.places(padding, number)[there], ragged.places(ptr, rows))
    assert ragged.lengths(padding).tolist() == ragged.lengths(ptr).tolist() == sizes


def test_gradients_reach_points_and_no_padding():
    value = torch.randn(2, 3, requires_grad=True)
    present = torch.tensor([[True, True, False], [False, False, False]])
    segments.segment_sum(value.flatten(), Padding(present)).square().sum().backward()
    assert (value.grad != 0).tolist() == present.tolist()


def test_other_numbers_of_rows_are_refused():
    padding = Padding(torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ArgumentError, match=r"value: got 5 rows, expected 2 clouds of 3, padded"):
        segments.segment_sum(torch.zeros(5), padding)
