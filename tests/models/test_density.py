"""Images by maximum likelihood: what dequantising keeps, and a density that is known."""

from __future__ import annotations

import math

import pytest
import stand_in
import torch

from pcgen.datasets import sample_jets
from pcgen.errors import ArgumentError
from pcgen.models.density import ImageDensity, log_density
from pcgen.nn import ImageRealNVP
from pcgen.recipes import RECIPES

GRID = "eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8:rad"


def fitted() -> ImageDensity:
    torch.manual_seed(0)
    model = stand_in.fitted("image-real-nvp", grid=GRID, channels=4)
    assert isinstance(model, ImageDensity)
    return model


def test_noise_on_cells_leaves_the_event_as_it_was() -> None:
    model, jets = fitted(), sample_jets("test").read(0, 20)
    image, _ = model.representation.see(jets)
    noisy = model.dequantised(image, torch.Generator().manual_seed(0))
    empty = image == 0
    assert torch.equal(noisy > 0.5, ~empty)
    assert noisy[empty].unique().numel() == int(empty.sum())
    assert float((noisy[empty] + 0.5).min()) >= 0
    spread = float((noisy - image)[~empty].std())
    assert spread == pytest.approx(model.noise, rel=0.2)


def test_the_density_is_of_all_cells_and_depends_on_the_seed_alone() -> None:
    model, jets = fitted(), sample_jets("test").read(0, 5)
    found = model.log_prob(jets, torch.Generator().manual_seed(0))
    again = model.log_prob(jets, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)
    image, condition = model.representation.see(jets)
    noisy = model.dequantised(image, torch.Generator().manual_seed(0))
    # The untrained flow is the identity, so that all cells are independent and normal.
    expected = -0.5 * (noisy.square() + math.log(2 * math.pi)).flatten(1).sum(1)
    torch.testing.assert_close(found, expected)
    assert float(model.likelihood_loss(jets)["nll"].detach()) == pytest.approx(
        -float(expected.mean()) / 64, rel=0.1
    )
    assert condition.shape[1] == model.flow.condition_channels


def test_a_flow_on_images_learns_a_density_that_is_known() -> None:
    """Neighbouring cells that are correlated by 0.9: the entropy is that of the normal law."""
    torch.manual_seed(0)
    factor = torch.tensor([[1.0, 0.0], [0.9, math.sqrt(1 - 0.81)]])
    flow = ImageRealNVP((2, 2), hidden=16)
    rate = torch.optim.Adam(flow.parameters(), 5e-3)

    def images(number: int) -> torch.Tensor:
        return (torch.randn(number, 2, 2) @ factor.T)[:, None]

    for _ in range(400):
        rate.zero_grad()
        (-log_density(flow, images(256), None).mean()).backward()
        rate.step()
    with torch.no_grad():
        found = -float(log_density(flow, images(20000), None).mean())
    entropy = 2 * (math.log(2 * math.pi * math.e) + math.log(factor[1, 1]))
    independent = 2 * math.log(2 * math.pi * math.e)
    assert entropy - 0.05 < found < entropy + 0.1 < independent


def test_no_noise_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"noise: got 0\.0, expected a number > 0"):
        RECIPES["image-real-nvp"](grid=GRID, noise=0.0)
