"""KL divergence against torch and Monte Carlo; MMD by its sum, sliced Wasserstein against POT."""

from __future__ import annotations

import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from pcgen.errors import ArgumentError
from pcgen.objectives import kl_normal
from pcgen.objectives.latent import SCALES, mmd, sliced_wasserstein


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


def codes(number: int, columns: int, seed: int, shift: float = 0.0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return shift + torch.randn(number, columns, generator=draw, dtype=torch.float64)


@given(st.integers(1, 8), st.integers(1, 4), st.floats(0.01, 5.0))
def test_mmd_is_zero_for_equal_sets_and_positive_for_others(
    number: int, columns: int, shift: float
) -> None:
    x = codes(number, columns, 0)
    assert float(mmd(x, x.flip(0), unbiased=False)) == pytest.approx(0.0, abs=1e-12)
    assert float(mmd(x, x + shift, unbiased=False)) > 0.0


def test_unbiased_mmd_of_one_distribution_is_zero_on_average() -> None:
    values = torch.stack([mmd(codes(10, 2, 2 * i), codes(10, 2, 2 * i + 1)) for i in range(400)])
    error = float(values.std() / len(values) ** 0.5)
    assert abs(float(values.mean())) < 4 * error
    assert (values < 0).any()
    biased = [mmd(codes(10, 2, i), codes(10, 2, i + 500), unbiased=False) for i in range(50)]
    assert float(torch.stack(biased).mean()) > 10 * error


def test_mmd_is_the_double_sum_of_its_kernel() -> None:
    x, y = codes(4, 2, 0), codes(3, 2, 1, 0.5)

    def kernel(a: Tensor, b: Tensor) -> float:
        return sum(4 * s / (4 * s + float((a - b).square().sum())) for s in SCALES) / len(SCALES)

    among = [
        sum(kernel(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j)
        / (len(z) * (len(z) - 1))
        for z in (x, y)
    ]
    between = sum(kernel(a, b) for a in x for b in y) / 12
    assert float(mmd(x, y)) == pytest.approx(sum(among) - 2 * between, abs=1e-12)
    assert torch.autograd.gradcheck(lambda z: mmd(z, y), x.requires_grad_(True))


def test_sliced_wasserstein_is_that_of_pot() -> None:
    x, y = codes(12, 3, 0), codes(9, 3, 1, 0.5)
    draw = torch.Generator().manual_seed(5)
    lines = torch.randn(3, 50, generator=draw, dtype=torch.float64)
    lines = (lines / lines.norm(dim=0)).numpy()
    expected = ot.sliced_wasserstein_distance(x.numpy(), y.numpy(), projections=lines) ** 2
    found = sliced_wasserstein(x, y, projections=50, generator=torch.Generator().manual_seed(5))
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    assert float(sliced_wasserstein(x, x.flip(0))) == pytest.approx(0.0, abs=1e-12)


def test_samples_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"mmd: got codes \(1, 2\) and \(5, 2\), expected"):
        mmd(torch.zeros(1, 2), torch.zeros(5, 2))
    with pytest.raises(ArgumentError, match=r"mmd: got codes \(5, 3\)"):
        mmd(torch.zeros(5, 3), torch.zeros(5, 2), unbiased=False)
