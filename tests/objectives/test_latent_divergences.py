"""KL divergence against torch.distributions and against a Monte Carlo estimate."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from pcgen.objectives import kl_normal


@given(st.integers(1, 5), st.integers(1, 6), st.floats(0.01, 10.0))
def test_it_agrees_with_torch(number: int, columns: int, scale: float) -> None:
    mean, log_variance = scale * torch.randn(2, number, columns, dtype=torch.float64)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_normal(mean, log_variance), expected)


def test_it_agrees_with_monte_carlo() -> None:
    mean, log_variance = torch.tensor([[1.0, -0.5]]), torch.tensor([[0.4, -1.0]])
    posterior, prior = Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)
    z = posterior.sample(torch.Size([200_000]))
    ratio = (posterior.log_prob(z) - prior.log_prob(z)).sum(-1)
    error = float(ratio.std() / len(ratio) ** 0.5)
    assert float(kl_normal(mean, log_variance)) == pytest.approx(float(ratio.mean()), abs=4 * error)


def test_it_is_zero_for_the_prior_only() -> None:
    zero = torch.zeros(3, 4)
    assert torch.equal(kl_normal(zero, zero), torch.zeros(3))
    assert (kl_normal(zero + 0.1, zero) > 0).all()
    assert (kl_normal(zero, zero - 0.1) > 0).all()


def test_free_bits_are_a_floor_per_dimension_without_gradient() -> None:
    # Mean KL of the two dimensions over the batch: (0.02 + 0.08) / 2 = 0.05 and (2 + 8) / 2 = 5.
    mean = torch.tensor([[0.2, 2.0], [0.4, 4.0]], dtype=torch.float64, requires_grad=True)
    loss = kl_normal(mean, torch.zeros(2, 2, dtype=torch.float64), free_bits=0.5)
    torch.testing.assert_close(loss.detach(), torch.tensor([2.5, 8.5], dtype=torch.float64))
    loss.sum().backward()
    assert mean.grad is not None
    torch.testing.assert_close(
        mean.grad, torch.tensor([[0.0, 2.0], [0.0, 4.0]], dtype=torch.float64)
    )
    plain = kl_normal(mean, torch.zeros(2, 2), free_bits=0.01)
    torch.testing.assert_close(plain, kl_normal(mean, torch.zeros(2, 2)))
