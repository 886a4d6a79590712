"""Decoders of dense images: exact zeros, gates that are drawn, likelihoods that are those drawn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.nn import (
    GatedImageDecoder,
    GaussianImageDecoder,
    HurdleImageDecoder,
    ImageTrunk,
    ReLUImageDecoder,
)
from pcgen.nn.images import decoders as module
from pcgen.ops.drawing import uniform

GENERATORS = [ReLUImageDecoder, GatedImageDecoder]
LIKELIHOODS = [GaussianImageDecoder, HurdleImageDecoder]
SIZES = torch.zeros(0)  # no dense decoder uses them


def trunk(*shape: int, condition: int = 0, levels: int = 2) -> ImageTrunk:
    return ImageTrunk(3, 4, levels, shape=shape, condition_channels=condition)


def make(decoder: nn.Module, code: Tensor, condition: Tensor | None = None) -> Tensor:
    """Images of one seed."""
    draw = decoder.sample if hasattr(decoder, "sample") else decoder
    return draw(code, SIZES, condition, torch.Generator().manual_seed(5))


@pytest.mark.parametrize("kind", GENERATORS + LIKELIHOODS)
@pytest.mark.parametrize("shape", [(7,), (25, 25), (4, 9), (3, 5, 6)])
def test_any_shape_and_number(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    decoder = kind(trunk(*shape, condition=2))
    for number in (0, 1, 3):
        image = make(decoder, torch.randn(number, 3), torch.randn(number, 2))
        assert image.shape == (number, 1, *shape)


@pytest.mark.parametrize("kind", GENERATORS + LIKELIHOODS)
def test_seeded_and_depends_on_the_condition(kind: type[nn.Module]) -> None:
    decoder, code = kind(trunk(16, 16, condition=2)), torch.randn(4, 3)
    one, other = torch.zeros(4, 2), torch.full((4, 2), 3.0)
    assert torch.equal(make(decoder, code, one), make(decoder, code, one))
    assert not torch.equal(make(decoder, code, one), make(decoder, code, other))
    with pytest.raises(ArgumentError, match="condition"):
        make(decoder, code)


@pytest.mark.parametrize("kind", LIKELIHOODS)
@pytest.mark.parametrize("training", [True, False])
def test_an_event_does_not_see_the_others(kind: type[nn.Module], training: bool) -> None:
    decoder = kind(trunk(9, 6)).double().train(training)
    code, image = torch.randn(5, 3, dtype=torch.float64), torch.rand(5, 1, 9, 6).double().round()
    if kind is GaussianImageDecoder and training:
        decoder.adapts = False  # the best width is that of a batch
    together = decoder.losses(code, None, image)
    for name, value in decoder.losses(code[2:3], None, image[2:3]).items():
        torch.testing.assert_close(value, together[name][2:3])


def test_a_relu_makes_exact_zeros() -> None:
    image = make(ReLUImageDecoder(trunk(16, 16)), torch.randn(20, 3))
    assert (image >= 0).all()
    assert 0.1 < (image == 0).double().mean() < 0.9
    assert ((image > 0).any(0) & (image == 0).any(0)).double().mean() > 0.5  # depends on the code


def test_a_gate_makes_zeros_or_at_least_one_and_few_at_first() -> None:
    image = make(GatedImageDecoder(trunk(32, 32), occupancy=0.05), torch.randn(50, 3))
    assert ((image == 0) | (image >= 1)).all()
    assert 0.04 < (image > 0).double().mean() < 0.06


def test_a_gate_opens_with_the_probability_of_its_logit() -> None:
    decoder, code = GatedImageDecoder(trunk(4, 4)), torch.randn(1, 3)
    logit = decoder.head(decoder.trunk(code))[:, :1].detach() + 2.0
    with torch.no_grad():
        decoder.head.bias[0] += 2.0
    drawn = make(decoder, code.expand(4000, 3)) > 0
    p = logit.sigmoid()
    error = (p * (1 - p) / 4000).sqrt()
    assert ((drawn.double().mean(0) - p).abs() < 4.5 * error).all()


def test_a_gate_is_passed_straight_through() -> None:
    decoder, code = GatedImageDecoder(trunk(6, 6)).double(), torch.randn(2, 3).double()
    outputs: list[Tensor] = []
    hook = decoder.head.register_forward_hook(lambda *given: outputs.append(given[2]))
    weight = torch.randn(2, 1, 6, 6, dtype=torch.float64)
    image = make(decoder, code)
    hook.remove()
    (found,) = torch.autograd.grad((weight * image).sum(), outputs[0])
    logit, intensity = outputs[0].detach().split(1, 1)
    u = uniform(tuple(logit.shape), logit, torch.Generator().manual_seed(5))
    soft = (logit + u.log() - (-u).log1p()).sigmoid()
    by_gate = weight * soft * (1 - soft) * (1 + F.softplus(intensity))
    by_intensity = weight * (image > 0) * intensity.sigmoid()
    torch.testing.assert_close(found, torch.cat([by_gate, by_intensity], 1))


@pytest.mark.parametrize("edge", [0.0, 1 - 2**-24])
def test_a_gate_is_finite_at_the_ends_of_the_noise(
    edge: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "uniform", lambda shape, like, _: torch.full(shape, edge))
    decoder = GatedImageDecoder(trunk(6, 6))
    image = make(decoder, torch.randn(2, 3))
    image.sum().backward()
    assert bool((image > 0).any()) == (edge > 0)
    assert all(p.grad.isfinite().all() for p in decoder.parameters() if p.grad is not None)


def test_a_gaussian_image_is_its_mean_and_its_loss_that_of_a_normal() -> None:
    decoder = GaussianImageDecoder(trunk(5, 5), std=0.3)
    code, image = torch.randn(4, 3), torch.randn(4, 1, 5, 5)
    mean = make(decoder, code)
    expected = -Normal(mean, 0.3).log_prob(image).sum((1, 2, 3))
    torch.testing.assert_close(decoder.losses(code, None, image)["pixels"], expected)


def test_a_gaussian_image_learns_its_width_from_the_batches() -> None:
    decoder, code = GaussianImageDecoder(trunk(5, 5), momentum=0.5), torch.randn(64, 3)
    mean = make(decoder, code).detach()
    for _ in range(20):
        image = mean + 0.2 * torch.randn_like(mean)
        decoder.losses(code, None, image)
    assert float(decoder.eval().log_std.exp()) == pytest.approx(0.2, rel=0.05)
    before = decoder.log_std.clone()
    decoder.losses(code, None, 100 * mean)
    assert torch.equal(decoder.log_std, before)


def test_a_hurdle_image_is_drawn_from_its_likelihood() -> None:
    """The mean of -log p over samples is the entropy; the floor is out of reach."""
    decoder, code = HurdleImageDecoder(trunk(4, 3), occupancy=0.3).double(), torch.randn(1, 3)
    with torch.no_grad():
        decoder.head.bias[1] += 20.0
    many = code.double().expand(4000, 3)
    image = make(decoder, many)
    assert ((image == 0) | (image > 10)).all()
    logit, mean, log_std = (value.detach() for value in decoder._cells(many[:1], None))
    of_cells, of_energy = Bernoulli(logits=logit), Normal(mean, log_std.exp())
    expected = {
        "occupancy": of_cells.entropy().sum(),
        "energy": (of_cells.probs * of_energy.entropy()).sum(),
    }
    for name, value in decoder.losses(many, None, image).items():
        error = value.std() / 4000**0.5
        assert (value.mean() - expected[name]).abs() < 4 * error, name


def test_a_hurdle_image_is_not_drawn_below_the_floor() -> None:
    decoder = HurdleImageDecoder(trunk(8, 8), occupancy=0.5)
    image = make(decoder, torch.randn(30, 3))
    assert ((image == 0) | (image >= 1)).all()
    assert (image == 1).any()


def test_an_empty_image_has_an_occupancy_alone() -> None:
    decoder = HurdleImageDecoder(trunk(8, 8))
    terms = decoder.losses(torch.randn(2, 3), None, torch.zeros(2, 1, 8, 8))
    assert terms["energy"].tolist() == [0.0, 0.0]
    assert (terms["occupancy"] > 0).all()


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(ArgumentError, match=r"shape: got \(2, 2, 2, 2\)"):
        trunk(2, 2, 2, 2)
    with pytest.raises(ArgumentError, match="occupancy: got 1"):
        GatedImageDecoder(trunk(4, 4), occupancy=1.0)
