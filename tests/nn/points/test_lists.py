"""Networks on sorted lists: what the list is, and that the order of the points does not matter."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import ListEncoder, ListField, MLPDecoder
from pcgen.nn.points.lists import listed, places
from pcgen.standardize import channels

CLOUDS = pc.make(
    torch.tensor([[1.0], [2.0], [3.0], [4.0]]),
    [3, 0, 1],
    x=torch.tensor([[-1.0], [5.0], [-1.0], [0.0]]),
)


def test_the_hardest_comes_first_and_equal_ones_keep_their_order() -> None:
    assert places(CLOUDS).tolist() == [1, 0, 2, 0]
    assert listed(CLOUDS, places(CLOUDS), 2).tolist() == [
        [2.0, 5.0, 1.0, 1.0, -1.0, 1.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [4.0, 0.0, 1.0, 0.0, 0.0, 0.0],
    ]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 99))
def test_sorting_and_finding_the_points_again_is_the_identity(sizes: list[int], seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    n = sum(sizes)
    x = torch.randint(0, 4, (n, 1), generator=draw).float()  # with ties
    clouds = pc.make(torch.randn(n, 2, generator=draw), sizes, x=x)
    place = places(clouds)
    rows = listed(clouds, place, 10).unflatten(1, (10, 4))
    assert torch.equal(rows[clouds.batch, place][:, :3], channels(clouds))
    assert torch.equal(rows[:, :, 3].sum(1).long(), pc.sizes(clouds))
    present = rows[:, :, 3] > 0
    falling = rows[:, 1:, 2] <= rows[:, :-1, 2]
    assert bool((falling | ~present[:, 1:]).all())


@settings(max_examples=20)
@given(st.integers(0, 99))
def test_the_order_of_the_points_changes_no_bit(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    clouds = pc.make(torch.randn(7, 2, generator=draw), [7], x=torch.randn(7, 1, generator=draw))
    order = torch.randperm(7, generator=draw)
    other = pc.make(clouds.pos[order], [7], x=clouds.x[order])
    encoder = ListEncoder(3, 2, max_points=9)
    assert torch.equal(encoder(other), encoder(clouds))


def test_the_encoder_does_not_see_the_softest_and_the_field_refuses_them() -> None:
    encoder, field = ListEncoder(2, 3, max_points=2), ListField(2, max_points=2)
    heard = pc.select_points(CLOUDS, places(CLOUDS) < 2)
    assert torch.equal(encoder(CLOUDS), encoder(heard))
    assert field(heard, torch.zeros(3)).shape == (3, 2)
    with pytest.raises(ArgumentError, match="got one of 3 points, expected at most 2"):
        field(CLOUDS, torch.zeros(3))


def test_a_velocity_belongs_to_its_place() -> None:
    field = ListField(2, max_points=3)
    nn.init.zeros_(field.mlp.out.weight)
    with torch.no_grad():
        field.mlp.out.bias.copy_(torch.arange(6.0))
    assert field(CLOUDS, torch.zeros(3)).tolist() == [
        [0.0, 1.0],
        [2.0, 3.0],
        [4.0, 5.0],
        [0.0, 1.0],
    ]


def test_what_a_list_decoder_makes_is_what_a_list_encoder_reads() -> None:
    """Encoder after decoder is differentiable; the order that the decoder chose is lost."""
    decoder, encoder = MLPDecoder(4, 2, 1, max_points=5), ListEncoder(3, 2, max_points=5)
    generated = decoder(torch.randn(3, 4), torch.tensor([5, 0, 2]))
    encoder(generated).sum().backward()
    for parameter in decoder.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_clouds_without_a_fraction_are_refused() -> None:
    with pytest.raises(ArgumentError, match="x: got none, expected the logarithm"):
        ListEncoder(2, 1, max_points=3)(pc.make(torch.zeros(1, 2), [1]))
