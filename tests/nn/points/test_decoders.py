"""Decoders: sizes, what they depend on, reproducible noise, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import (
    AttentionDecoder,
    MessagePassingDecoder,
    MLPDecoder,
    Noise,
    PointDecoder,
    SetDecoder,
    weight_normed,
)
from pcgen.standardize import channels

DECODERS: dict[str, Callable[[], nn.Module]] = {
    "set": lambda: SetDecoder(5, 2, 1, condition_channels=3, hidden=8, global_channels=4),
    "set, weight norm": lambda: SetDecoder(
        5, 2, 1, condition_channels=3, hidden=8, global_channels=4, linear=weight_normed
    ),
    "set, skips": lambda: SetDecoder(
        5, 2, 1, condition_channels=3, hidden=8, global_channels=4, skips=True
    ),
    "attention": lambda: AttentionDecoder(5, 2, 1, condition_channels=3, hidden=8, layers=2),
    "attention, induced": lambda: AttentionDecoder(
        5, 2, 1, condition_channels=3, hidden=8, layers=2, induced=3
    ),
    "message passing": lambda: MessagePassingDecoder(
        5, 2, 1, condition_channels=3, hidden=6, edge=(7, 8), node=(9,), start=Noise(4, 0.2)
    ),
    "mlp": lambda: MLPDecoder(5, 2, 1, max_points=9, condition_channels=3, hidden=(16,)),
}
every_decoder = pytest.mark.parametrize("name", DECODERS)
sizes_lists = st.lists(st.integers(0, 9), max_size=6)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@every_decoder
@settings(max_examples=15)
@given(sizes_lists)
def test_clouds_have_the_requested_sizes(name: str, sizes: list[int]) -> None:
    decoder, b = DECODERS[name](), len(sizes)
    requested = torch.tensor(sizes, dtype=torch.long)
    clouds = decoder(torch.randn(b, 5), requested, torch.randn(b, 3), seeded())
    assert pc.sizes(clouds).tolist() == sizes
    assert (clouds.pos.shape, clouds.x.shape) == ((sum(sizes), 2), (sum(sizes), 1))
    assert clouds.get("weight") is None
    assert [cloud.num_nodes for cloud in clouds.to_data_list()] == sizes


@every_decoder
def test_code_and_condition_matter_and_the_generator_decides_the_rest(name: str) -> None:
    decoder = DECODERS[name]()
    code, y, sizes = torch.randn(2, 5), torch.randn(2, 3), torch.tensor([4, 5])
    first = channels(decoder(code, sizes, y, seeded(1)))
    assert torch.equal(channels(decoder(code, sizes, y, seeded(1))), first)
    other_code = channels(decoder(code + torch.tensor([[1.0], [0.0]]), sizes, y, seeded(1)))
    changed = (other_code - first).abs().amax(1) > 1e-6
    assert changed.tolist() == [True] * 4 + [False] * 5
    assert ((channels(decoder(code, sizes, y + 1, seeded(1))) - first).abs().amax(1) > 1e-6).all()
    noisy = not torch.equal(channels(decoder(code, sizes, y, seeded(2))), first)
    assert noisy == isinstance(decoder, PointDecoder)


@every_decoder
def test_gradient_reaches_code_and_every_parameter(name: str) -> None:
    decoder = DECODERS[name]()
    code = torch.randn(3, 5, requires_grad=True)
    clouds = decoder(code, torch.tensor([9, 0, 4]), torch.randn(3, 3), seeded())
    channels(clouds).square().sum().backward()
    assert code.grad is not None
    assert (code.grad.abs().sum(1) > 0).tolist() == [True, False, True]
    for label, parameter in decoder.named_parameters():
        assert parameter.grad is not None, label
        assert parameter.grad.abs().sum() > 0, label


@pytest.mark.parametrize("name", [name for name in DECODERS if name != "mlp"])
def test_points_of_a_set_decoder_are_exchangeable_and_clouds_independent(name: str) -> None:
    decoder = DECODERS[name]().double()
    code, y = torch.randn(2, 5).double(), torch.randn(2, 3).double()
    noise, sizes = torch.randn(7, decoder.noise_channels).double(), torch.tensor([4, 3])
    points = channels(decoder.decode(code, pc.make(noise, sizes), y))
    order = torch.tensor([2, 0, 3, 1, 6, 5, 4])
    other = channels(decoder.decode(code, pc.make(noise[order], sizes), y))
    torch.testing.assert_close(other, points[order])
    alone = decoder.decode(code[1:], pc.make(noise[4:], sizes[1:]), y[1:])
    torch.testing.assert_close(channels(alone), points[4:])


def test_points_of_a_set_decoder_know_of_each_other() -> None:
    decoder = DECODERS["set"]()
    code, y, sizes = torch.randn(1, 5), torch.randn(1, 3), torch.tensor([4])
    noise = torch.randn(4, decoder.noise_channels)
    points = channels(decoder.decode(code, pc.make(noise, sizes), y))
    moved = torch.cat([noise[:3], noise[3:] + 1])
    assert (
        (channels(decoder.decode(code, pc.make(moved, sizes), y)) - points)[:3].abs().max()
    ) > 1e-6


def test_smaller_clouds_of_a_list_are_its_beginning() -> None:
    decoder, code, y = DECODERS["mlp"](), torch.randn(1, 5).expand(2, 5), torch.randn(1, 3)
    clouds = decoder(code, torch.tensor([9, 4]), y.expand(2, 3))
    assert torch.equal(channels(clouds)[9:], channels(clouds)[:4])


def test_without_features_there_is_no_x() -> None:
    clouds = SetDecoder(5, 3, 0)(torch.zeros(1, 5), torch.tensor([2]))
    assert clouds.get("x") is None
    assert clouds.pos.shape == (2, 3)


def test_half_precision_ends_at_the_coordinates() -> None:
    decoder = SetDecoder(5, 2, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        clouds = decoder(torch.zeros(1, 5), torch.tensor([2]))
    assert clouds.pos.dtype == clouds.x.dtype == torch.float32


@every_decoder
def test_refusals(name: str) -> None:
    decoder, y = DECODERS[name](), torch.zeros(2, 3)
    with pytest.raises(
        ArgumentError, match=r"got code \(2, 4\) and sizes \(2,\), expected \[B, 5\]"
    ):
        decoder(torch.zeros(2, 4), torch.tensor([1, 1]), y)
    with pytest.raises(ArgumentError, match="sizes: got -1, expected non-negative"):
        decoder(torch.zeros(2, 5), torch.tensor([1, -1]), y)
    with pytest.raises(ArgumentError, match=r"condition: got None, expected \(2, 3\)"):
        decoder(torch.zeros(2, 5), torch.tensor([1, 1]))


def test_a_list_is_only_so_long() -> None:
    with pytest.raises(ArgumentError, match="a cloud of 10 points, expected at most 9"):
        DECODERS["mlp"]()(torch.zeros(1, 5), torch.tensor([10]), torch.zeros(1, 3))
