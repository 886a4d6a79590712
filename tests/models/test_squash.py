"""The radial asinh: inverse, scale, directions, reach."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen.errors import ArgumentError
from pcgen.models.squash import Squash


def fitted(z: torch.Tensor, width: float = 0.75) -> Squash:
    squash = Squash(width)
    squash.fit([z[: len(z) // 2], z[:0], z[len(z) // 2 :]])
    return squash


@given(st.integers(1, 4), st.floats(0.01, 100.0), st.floats(-6, 6), st.integers(0, 1000))
def test_there_and_back(axes, width, log_size, seed):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(20, axes, generator=generator, dtype=torch.float64) ** 3 * 10**log_size
    z[0] = 0.0
    squash = fitted(z, width)
    torch.testing.assert_close(squash.inverse(squash(z)), z, rtol=1e-9, atol=1e-12 * float(z.max()))


def test_formula_directions_and_scale():
    z = torch.randn(5000, 2, dtype=torch.float64) ** 3
    squash = fitted(z)
    q = squash(z)
    assert float(q.square().mean()) == pytest.approx(1.0, rel=1e-9)
    length = z.norm(dim=1)
    scale = float(squash.scale.std)
    torch.testing.assert_close(q.norm(dim=1), 0.75 * torch.asinh(length / 0.75) / scale)
    cosine = (q * z).sum(1) / (q.norm(dim=1) * length)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))
    # Heavy tails become light ones.
    assert float(kurtosis(z)) > 20
    assert float(kurtosis(q)) < 6


def kurtosis(value: torch.Tensor) -> torch.Tensor:
    return value.pow(4).mean() / value.square().mean() ** 2


def test_gradients_pass_through_the_origin():
    squash = fitted(torch.randn(50, 2, dtype=torch.float64))
    z = torch.tensor([[0.3, -2.0], [1e-3, 0.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(squash, z)
    assert torch.autograd.gradcheck(squash.inverse, z)
    zero = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    for function in (squash, squash.inverse):
        (slope,) = torch.autograd.grad(function(zero).sum(), zero)
        assert bool(slope.isfinite().all())


def test_the_inverse_goes_no_further_than_what_was_fitted():
    z = torch.randn(200, 2)
    squash = fitted(z)
    far = squash.inverse(torch.tensor([[50.0, 0.0], [0.0, -1e4]]))
    torch.testing.assert_close(far.norm(dim=1), z.norm(dim=1).max().expand(2))


def test_points_in_one_place_and_none():
    for z in (torch.zeros(3, 2), torch.zeros(0, 2)):
        squash = fitted(z)
        assert torch.equal(squash(z), z)
        assert torch.equal(squash.inverse(z), z)
    with pytest.raises(ArgumentError, match="squash: got 0"):
        Squash(0.0)


def test_a_wider_reach_keeps_the_scale():
    squash = fitted(torch.tensor([[1.0, 0.0], [0.0, -2.0]]))
    before = squash.scale.std.clone()
    far = torch.tensor([[3.0, 4.0]])
    assert not torch.allclose(squash.inverse(squash(far)), far)
    squash.widen([far, far[:0], torch.zeros(2, 2)])
    assert float(squash.reach) == 5.0
    torch.testing.assert_close(squash.inverse(squash(far)), far)
    assert torch.equal(squash.scale.std, before)
