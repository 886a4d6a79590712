"""Real NVP: its inverse, its Jacobian against autograd, and a density that integrates to 1."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcgen.errors import ArgumentError
from pcgen.nn import RealNVP
from pcgen.nn.coupling import AffineCoupling


def flow(channels: int, conditions: int = 0, couplings: int = 4) -> RealNVP:
    """With random parameters: as it starts it is the identity."""
    torch.manual_seed(0)
    made = RealNVP(
        channels, condition_channels=conditions, couplings=couplings, hidden=(8, 8)
    ).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


@given(st.integers(1, 5), st.integers(0, 2), st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_the_inverse_and_the_jacobian(channels: int, conditions: int, couplings: int) -> None:
    net = flow(channels, conditions, couplings)
    x = torch.randn(3, channels, dtype=torch.float64)
    condition = torch.randn(3, conditions, dtype=torch.float64) if conditions else None
    noise, log_volume = net(x, condition)
    assert log_volume.shape == (3,)
    torch.testing.assert_close(net.inverse(noise, condition), x)
    for row in range(3):
        one = None if condition is None else condition[row : row + 1]
        jacobian = torch.autograd.functional.jacobian(
            lambda v, one=one: net(v[None], one)[0][0], x[row]
        )
        expected = torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(log_volume[row], expected)


def test_its_density_integrates_to_one() -> None:
    net = flow(2)
    axis = torch.linspace(-30, 30, 601, dtype=torch.float64)
    with torch.no_grad():
        centre = net.inverse(torch.zeros(1, 2, dtype=torch.float64))
        noise, log_volume = net(torch.cartesian_prod(axis, axis) + centre)
    density = (log_volume - 0.5 * noise.square().sum(1) - math.log(2 * math.pi)).exp()
    assert float(density.sum()) * 0.1**2 == pytest.approx(1.0, abs=5e-3)


def test_every_column_is_mapped_and_it_starts_as_the_identity() -> None:
    net = RealNVP(5, couplings=2)
    assert net.couplings[0].left == net.couplings[1].mapped
    x = torch.randn(4, 5)
    torch.nn.init.normal_(net.couplings[0].net.out.weight)
    assert not torch.equal(net(x)[0], x)
    net.reset_parameters()
    assert torch.equal(net(x)[0], x)


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="channels, couplings: got 0, 8"):
        RealNVP(0)
    with pytest.raises(ArgumentError, match="left: got 2 of 2 columns"):
        AffineCoupling(2, [0, 1], condition_channels=0, hidden=(4,))
