"""Points that start from their place in the list: any number of them, each cloud by itself."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen import clouds as cl
from pcgen.nn import Noise, Ranks, SetDecoder
from pcgen.nn.points.starts import CHANNELS, places
from pcgen.training.checkpoint import fit


def decoder() -> SetDecoder:
    return SetDecoder(
        4,
        2,
        1,
        condition_channels=3,
        hidden=8,
        start=Ranks(),
        global_channels=4,
        layers=2,
    )


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


def test_the_start_decides_what_is_drawn() -> None:
    code, sizes, y = torch.randn(2, 4), torch.tensor([3, 5]), torch.randn(2, 3)
    assert decoder().noise_channels == 0
    assert SetDecoder(4, 2, 1, start=Noise(5)).noise_channels == 5
    net, seeded = decoder(), [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    one, other = (net(code, sizes, y, generator) for generator in seeded)
    assert torch.equal(one.pos, other.pos)
    assert torch.equal(one.pos, net.decode(code, cl.make(torch.zeros(8, 0), sizes), y).pos)


def test_parameters_under_their_former_names_are_loaded() -> None:
    """Earlier versions had the layers one module deeper, in a class of its own."""
    net, other = decoder(), decoder()
    former = {f"decoder.{name}": value for name, value in net.state_dict().items()}
    other.load_state_dict(former)
    assert next(iter(former)) == "decoder.global_in.weight"
    wrapped, whole = torch.nn.ModuleDict({"decoder": other}), torch.nn.ModuleDict({"decoder": net})
    former = {f"decoder.decoder.{name}": value + 1 for name, value in net.state_dict().items()}
    for load in (whole.load_state_dict, lambda state: fit("file", wrapped, state)):
        load(former)
    for name, value in net.state_dict().items():
        assert torch.equal(value, former[f"decoder.decoder.{name}"])
        assert torch.equal(value, other.state_dict()[name])
