"""Ranked decoders: any number of points, each cloud by itself, points told apart by their place."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds as cl
from pcgen.nn import RankedDecoder, SetDecoder
from pcgen.nn.ranked import CHANNELS, places


def decoder() -> RankedDecoder:
    net = SetDecoder(
        4,
        2,
        1,
        condition_channels=3,
        hidden=8,
        noise_channels=CHANNELS,
        global_channels=4,
        layers=2,
    )
    return RankedDecoder(net)


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6))
@settings(max_examples=25)
def test_a_cloud_does_not_depend_on_those_beside_it(sizes: list[int]) -> None:
    net, number = decoder(), len(sizes)
    code, y = torch.randn(number, 4), torch.randn(number, 3)
    clouds = net(code, torch.tensor(sizes), y)
    assert cl.sizes(clouds).tolist() == sizes
    for b, n in enumerate(sizes):
        alone = net(code[b : b + 1], torch.tensor([n]), y[b : b + 1])
        torch.testing.assert_close(clouds[b].pos, alone.pos, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(clouds[b].x, alone.x, rtol=1e-4, atol=1e-5)


def test_places_are_all_different_and_bounded() -> None:
    found = places(torch.tensor([0, 0, 300, 301]), 301)
    assert found.shape == (301, CHANNELS)
    assert found.abs().max() < 6
    apart = torch.cdist(found[:300], found[:300]) + torch.eye(300)
    assert apart.min() > 1e-3
    torch.testing.assert_close(found[300], places(torch.tensor([0, 1]), 1)[0])
    # What is not the fraction of the list is the same whatever the length of the list.
    torch.testing.assert_close(found[:50, 1:], places(torch.tensor([0, 50]), 50)[:, 1:])
