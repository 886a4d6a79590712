"""Attention against torch's own module, one cloud at a time, and at its edges."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import AttentionBlock, AttentionEncoder, AttentionPool, SelfAttention
from pcgen.nn.points import attention
from pcgen.nn.points.attention import CloudNorm, attend

sizes_lists = st.lists(st.integers(0, 7), min_size=1, max_size=5)


def pointer(sizes: list[int]) -> Tensor:
    return F.pad(torch.tensor(sizes).cumsum(0), (1, 0))


def twin(read: Tensor, out: nn.Linear, heads: int) -> nn.MultiheadAttention:
    """torch's module with the same weights; its biases of queries, keys and values start at 0."""
    other = nn.MultiheadAttention(read.shape[1], heads, batch_first=True).double()
    with torch.no_grad():
        other.in_proj_weight.copy_(read)
        other.out_proj.load_state_dict(out.state_dict())
    return other


@settings(max_examples=15)
@given(sizes_lists, st.sampled_from([1, 2, 4]))
def test_self_attention_is_that_of_torch_in_each_cloud(sizes: list[int], heads: int) -> None:
    layer = SelfAttention(8, heads).double()
    other = twin(layer.read.weight, layer.out, heads)
    x = torch.randn(sum(sizes), 8).double()
    each = [other(rows[None], rows[None], rows[None])[0][0] for rows in x.split(sizes) if len(rows)]
    expected = torch.cat(each) if each else x
    torch.testing.assert_close(layer(x, pointer(sizes)), expected)


@settings(max_examples=15)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.sampled_from([1, 3]))
def test_pooling_is_attention_of_the_seeds(sizes: list[int], seeds: int) -> None:
    layer = AttentionPool(8, 2, seeds).double()
    other = twin(torch.cat([layer.query.weight, layer.read.weight]), layer.out, 2)
    x, seed = torch.randn(sum(sizes), 8).double(), layer.seeds[None]
    each = [(seed + other(seed, rows[None], rows[None])[0]).flatten() for rows in x.split(sizes)]
    torch.testing.assert_close(layer(x, pointer(sizes)), torch.stack(each))


def test_an_empty_cloud_reads_zeros_whatever_is_beside_it() -> None:
    layer = AttentionPool(4, 2).double()
    expected = layer.seeds + layer.out.bias
    for sizes in ([0], [0, 0], [0, 5]):
        x = torch.randn(sum(sizes), 4).double().requires_grad_()
        pooled = layer(x, pointer(sizes))
        torch.testing.assert_close(pooled[:1], expected, rtol=0, atol=0)
        (gradient,) = torch.autograd.grad(pooled.sum(), x)
        assert torch.isfinite(gradient).all()


def test_a_single_point_reads_itself() -> None:
    layer, x = SelfAttention(4, 2), torch.randn(2, 4)
    value = x @ layer.read.weight[8:].T
    torch.testing.assert_close(layer(x, torch.tensor([0, 1, 2])), layer.out(value))


@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(0, 6), st.floats(0.1, 1e3))
def test_padding_is_not_read(points: int, padding: int, scale: float) -> None:
    query, key, value = (scale * torch.randn(3, 1, 2, points, 4).double()).unbind(0)
    present = torch.ones(1, points, dtype=torch.bool)
    wide = [F.pad(part, (0, 0, 0, padding), value=7.0) for part in (key, value)]
    got = attend(query, *wide, F.pad(present, (0, padding)))
    torch.testing.assert_close(got, attend(query, key, value, present), rtol=1e-12, atol=1e-12)
    # Each reads a convex combination of the values.
    assert (got <= value.amax(2, keepdim=True) + 1e-9 * scale).all()
    assert (got >= value.amin(2, keepdim=True) - 1e-9 * scale).all()


def test_a_block_can_be_differentiated_twice() -> None:
    block = AttentionBlock(4, heads=2, condition_channels=2).double()
    x = torch.randn(5, 4).double().requires_grad_()
    y = torch.randn(3, 2).double().requires_grad_()
    ptr = pointer([3, 0, 2])

    def value(x: Tensor, y: Tensor) -> Tensor:
        return block(x, ptr, y)

    assert torch.autograd.gradcheck(value, (x, y))
    assert torch.autograd.gradgradcheck(value, (x, y))


def test_a_norm_is_scaled_and_shifted_by_its_cloud() -> None:
    norm, x, y = CloudNorm(4, 2), torch.randn(3, 4), torch.randn(2, 2)
    plain = F.layer_norm(x, (4,))
    scale, shift = norm.film(y).split(4, 1)
    owner = torch.tensor([0, 1, 1])
    expected = plain * (1 + scale[owner]) + shift[owner]
    torch.testing.assert_close(norm(x, torch.tensor([0, 1, 3]), y), expected)
    torch.testing.assert_close(CloudNorm(4)(x, torch.tensor([0, 1, 3])), plain)


def test_the_number_of_points_is_seen_by_sums_and_not_by_seeds() -> None:
    once = pc.make(torch.randn(3, 2), [3])
    twice = pc.concat([once, once])
    twice = pc.make(twice.pos, [6])
    seeds = AttentionEncoder(2, 4, pooling=())
    sums = AttentionEncoder(2, 4)
    torch.testing.assert_close(seeds(twice), seeds(once), rtol=1e-4, atol=1e-5)
    assert (sums(twice) - sums(once)).abs().max() > 1e-3


def test_heads_divide_the_channels() -> None:
    with pytest.raises(ArgumentError, match="heads: got 3, expected a divisor of 8 channels"):
        SelfAttention(8, 3)


@pytest.mark.parametrize("sizes", [[3, 0, 5], [0], [1], [0, 150, 7, 200], [129]])
def test_fused_attention_is_that_written_out_and_so_are_its_derivatives(sizes: list[int]) -> None:
    rows, slopes = torch.randn(2, 3, sum(sizes), 2, 4).double().unbind(0)
    found = []
    for attend_to in (attention.attend_within, attention.written_out):
        inputs = [each.clone().requires_grad_() for each in rows]
        read = attend_to(*inputs, pointer(sizes))
        once = torch.autograd.grad((read * slopes[0]).sum(), inputs, retain_graph=True)
        first = torch.autograd.grad((read * slopes[0]).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(
            sum((each.square() * slope).sum() for each, slope in zip(first, slopes, strict=True)),
            inputs,
        )
        found.append([read, *once, *first, *second])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_attention_keeps_no_products_of_points_with_points() -> None:
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    x, ptr, layer = torch.randn(1200, 8, requires_grad=True), pointer([600, 600]), SelfAttention(8)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        read = layer(x, ptr).square().sum()
        read.backward(retain_graph=True)
        assert max(kept) <= 3 * 8 * 1200
        torch.autograd.grad(read, x, create_graph=True)  # for a second derivative they are there
        assert max(kept) == 2 * 4 * 600 * 600
