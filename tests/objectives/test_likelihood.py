"""Likelihoods of images: against torch.distributions, normalised, safe where nothing is active."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from pcgen.errors import ArgumentError
from pcgen.objectives import best_log_std, bounded_log_std, gaussian, hurdle
from pcgen.objectives.likelihood import LEAST_LOG_STD, bernoulli


def images(*shape: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    x, logit, mean, log_std = torch.randn(4, *shape, generator=generator, dtype=torch.float64)
    return x, torch.rand(shape, generator=generator) < 0.3, logit, mean, log_std


def test_hurdle_is_a_bernoulli_times_a_normal_of_active_cells() -> None:
    x, active, logit, mean, log_std = images(4, 1, 5, 3)
    occupancy, energy = hurdle(x, active, logit, mean, log_std)
    cells = Bernoulli(logits=logit).log_prob(active.double())
    each = Normal(mean, log_std.exp()).log_prob(x) * active
    torch.testing.assert_close(occupancy, -cells.sum((1, 2, 3)))
    torch.testing.assert_close(energy, -each.sum((1, 2, 3)))


def test_occupancies_of_all_patterns_sum_to_one() -> None:
    logit = torch.tensor([-3.0, 0.5, 2.0, -torch.inf], dtype=torch.float64, requires_grad=True)
    patterns = torch.tensor(list(itertools.product([False, True], repeat=4)))
    each = bernoulli(patterns, logit.expand(16, 4)).sum(1)
    torch.testing.assert_close((-each).exp().sum(), torch.ones((), dtype=torch.float64))
    each[patterns[:, 3].logical_not()].sum().backward()
    assert logit.grad is not None
    assert logit.grad.isfinite().all()


def test_gradients() -> None:
    x, active, *network = images(2, 6)
    for value in network:
        value.requires_grad_()
    assert torch.autograd.gradcheck(lambda *given: hurdle(x, active, *given), tuple(network))
    log_std = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m, s: gaussian(x, m, s), (network[1], log_std))
    assert torch.autograd.gradcheck(bounded_log_std, (network[2],))


def test_inactive_cells_do_not_matter_whatever_they_hold() -> None:
    x, active, logit, mean, log_std = images(3, 8)
    mean_wild = torch.where(active, mean, 1e3).requires_grad_()
    log_std_wild = torch.where(active, log_std, -1e3).requires_grad_()
    _, energy = hurdle(torch.where(active, x, torch.inf), active, logit, mean_wild, log_std_wild)
    torch.testing.assert_close(energy, hurdle(x, active, logit, mean, log_std)[1])
    energy.sum().backward()
    for value in (mean_wild, log_std_wild):
        assert value.grad is not None
        assert value.grad.isfinite().all()
        assert (value.grad[~active] == 0).all()


def test_empty_images_and_extreme_logits_are_finite() -> None:
    logit = torch.tensor([[-1e4, 1e4, -1e4]], requires_grad=True)
    zero = torch.zeros(1, 3)
    occupancy, energy = hurdle(zero, torch.zeros(1, 3, dtype=torch.bool), logit, zero, zero)
    assert occupancy.tolist() == [1e4]
    assert energy.tolist() == [0.0]
    occupancy.sum().backward()
    assert logit.grad is not None
    assert logit.grad.tolist() == [[0.0, 1.0, 0.0]]


def test_gaussian_is_a_normal_of_all_pixels() -> None:
    x, _, _, mean, _ = images(4, 1, 5, 3)
    log_std = torch.tensor(-0.7, dtype=torch.float64)
    expected = -Normal(mean, log_std.exp()).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(gaussian(x, mean, log_std), expected)


def test_best_standard_deviation_is_where_the_likelihood_is_flat() -> None:
    x, _, _, mean, _ = images(4, 7)
    best = best_log_std(x, mean).requires_grad_()
    loss = gaussian(x, mean, best).sum()
    (slope,) = torch.autograd.grad(loss, best)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-12, rtol=0)
    # Closed form of the least loss: D/2 (log 2πe MSE).
    error = (x - mean).square().mean()
    expected = 0.5 * x.numel() * (2 * torch.pi * torch.e * error).log()
    torch.testing.assert_close(loss, expected)


def test_gradient_of_the_mean_does_not_ask_whether_the_best_deviation_has_one() -> None:
    x, _, _, mean, _ = images(4, 7)
    mean.requires_grad_()
    (without,) = torch.autograd.grad(gaussian(x, mean, best_log_std(x, mean)).sum(), mean)
    through = 0.5 * (x - mean).square().mean().log()
    (with_it,) = torch.autograd.grad(gaussian(x, mean, through).sum(), mean)
    torch.testing.assert_close(without, with_it)


def test_standard_deviations_are_bounded_from_below() -> None:
    assert best_log_std(torch.ones(2, 3), torch.ones(2, 3)).item() == LEAST_LOG_STD
    raw = torch.tensor([-1e4, -3.0, 20.0], dtype=torch.float64)
    bounded = bounded_log_std(raw)
    assert (bounded >= LEAST_LOG_STD).all()
    torch.testing.assert_close(bounded[2], raw[2], atol=1e-8, rtol=0)


def test_refuses_shapes_that_would_broadcast() -> None:
    zero, active = torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(ArgumentError, match=r"logit: got \(2, 1\), expected \(2, 3\)"):
        hurdle(zero, active, zero[:, :1], zero, zero)
    with pytest.raises(ArgumentError, match="mean"):
        gaussian(zero, zero[:, :1], torch.zeros(()))
