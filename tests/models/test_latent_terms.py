"""Latent terms as values: shapes of codes, phases of their own, and an exact density ratio."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.density_ratio import DensityRatio
from pcgen.models.latent_terms import Adversarial, Deterministic, Gaussian, Latent, Matched
from pcgen.models.prior_shapes import NORMAL, RING, ROLL, PriorShape
from pcgen.nn import MLP
from pcgen.objectives.latent import kl_normal, mmd, sliced_wasserstein


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


# --- shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [NORMAL, RING, ROLL])
def test_shapes_have_about_unit_variance_and_leave_other_numbers_normal(shape: PriorShape) -> None:
    codes = shape.sample(20_000, 3, torch.zeros(1, dtype=torch.float64), seed())
    assert codes.dtype == torch.float64
    assert codes.mean(0).abs().max() < 0.4
    torch.testing.assert_close(codes.var(0), torch.ones(3).double(), atol=0.3, rtol=0)
    assert codes[:, 2].var().item() == pytest.approx(1.0, abs=0.04)
    again = shape.sample(20_000, 3, torch.zeros(1, dtype=torch.float64), seed())
    assert torch.equal(codes, again)


def test_a_ring_has_ten_clusters_and_a_roll_is_a_spiral() -> None:
    ring = RING.sample(5000, 2, torch.zeros(1), seed())
    angle = torch.atan2(ring[:, 1], ring[:, 0]) / (2 * math.pi) * 10
    assert ((angle - angle.round()).abs() < 0.35).float().mean() > 0.97
    assert len(angle.round().remainder(10).unique()) == 10
    roll = ROLL.sample(5000, 2, torch.zeros(1), seed())
    turn = roll.norm(dim=1) / 2 * 4.5 * math.pi
    apart = torch.atan2(roll[:, 1], roll[:, 0]) - turn
    assert torch.remainder(apart + 1, 2 * math.pi).sub(1).abs().lt(1.0).float().mean() > 0.95


def test_a_shape_in_a_plane_needs_two_numbers() -> None:
    with pytest.raises(ArgumentError, match="latent_dim: got 1, expected at least 2"):
        Matched(4, 1, mmd, shape=RING)
    ring = Matched(4, 2, mmd, shape=RING)
    with pytest.raises(ArgumentError, match="prior_shape: got ring, expected normal"):
        ring.from_noise(torch.zeros(3, 2))


# --- matched and adversarial ----------------------------------------------------------------------


@pytest.mark.parametrize("divergence", [mmd, sliced_wasserstein])
def test_matched_codes_move_to_the_prior(divergence) -> None:
    torch.manual_seed(0)
    latent = Matched(2, 2, divergence, name="d", strength=3.0)
    nn.init.eye_(latent.linear.weight)
    nn.init.constant_(latent.linear.bias, 4.0)
    features = torch.randn(128, 2)
    far = latent(features)
    assert set(far.terms) == {"d"}
    optimiser = torch.optim.Adam(latent.parameters(), 0.1)
    for _ in range(120):
        optimiser.zero_grad()
        latent(features).terms["d"].backward()
        optimiser.step()
    assert latent(features).value.mean(0).abs().max() < 0.3
    assert latent(features).terms["d"] < 0.1 * far.terms["d"]
    assert latent(features[:1]).terms["d"] == 0.0
    torch.manual_seed(1)
    prior = torch.randn(128, 2)
    torch.manual_seed(1)
    term = Matched(2, 2, mmd, strength=3.0)
    term.load_state_dict(latent.state_dict())
    torch.manual_seed(1)
    code, terms = term(features)
    torch.testing.assert_close(terms["mmd"], 3.0 * mmd(code, prior))


class Rows(nn.Module):
    """Encoder: positions of clouds of one point."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 4)

    def forward(self, clouds: Batch) -> Tensor:
        return self.linear(clouds.pos)


def one_point_clouds(number: int = 16) -> Batch:
    return cl.make(torch.randn(number, 2, generator=seed(3)), [1] * number)


def test_the_game_of_codes_is_two_phases_and_each_moves_its_own() -> None:
    encoder, clouds = Rows(), one_point_clouds()
    latent = Adversarial(4, 2, MLP(2, (8,), 1), shape=RING)
    assert latent.modules_to_learn == (latent.linear,)
    assert latent(encoder(clouds)).terms == {}
    critic, generator = latent.phases(encoder, encoder)
    assert (critic.name, generator.name) == ("code_critic", "code_generator")
    assert set(critic.parameters()) == set(latent.critic.parameters())
    mine = {*encoder.parameters(), *latent.linear.parameters()}
    assert set(generator.parameters()) == mine
    assert critic.loss is not None
    assert generator.loss is not None
    for phase in (critic, generator):
        loss = sum(phase.loss(clouds).values(), torch.zeros(()))
        grads = torch.autograd.grad(loss, phase.parameters(), allow_unused=True)
        moved = [g is not None and bool(g.abs().sum() > 0) for g in grads]
        assert sum(moved) >= len(moved) - 1  # the last bias of a critic may cancel
    assert not any(p.grad is not None for p in encoder.parameters())
    assert generator.progress is not None
    generator.progress(0.5)
    assert latent.done == 0.5


def test_others_have_no_phases_of_their_own() -> None:
    for latent in (Deterministic(4, 2), Gaussian(4, 2), Matched(4, 2, mmd)):
        assert latent.phases(nn.Identity(), lambda clouds: clouds.pos) == ()
        assert latent.modules_to_learn == (latent,)
    features = torch.randn(3, 4)
    mean, log_variance = Deterministic(4, 2).posterior(features)
    assert mean.shape == (3, 2)
    assert (log_variance == -math.inf).all()


def test_free_bits_reach_the_gaussian_term() -> None:
    latent, features = Gaussian(4, 2, beta=2.0, free_bits=0.7), torch.randn(5, 4)
    expected = 2.0 * kl_normal(*latent.posterior(features), free_bits=0.7).mean()
    torch.testing.assert_close(latent(features).terms["kl"], expected)
    assert expected >= 2.0 * 2 * 0.7


# --- density ratio --------------------------------------------------------------------------------


class Constant(nn.Module):
    """A log ratio of 0."""

    def forward(self, features: Tensor, code: Tensor) -> Tensor:
        return code.new_zeros(len(code), 1)


class Noise(nn.Module):
    """Normal noise as its own basis of one function."""

    def forward(self, noise: Tensor) -> Tensor:
        return noise


def implicit(contrast: bool = True, ratio: nn.Module | None = None) -> DensityRatio:
    return DensityRatio(
        3, 2, Noise(), ratio or Constant(), functions=1, noise_channels=2, contrast=contrast
    ).double()


def test_adaptive_contrast_of_a_normal_posterior_is_its_divergence() -> None:
    """T = 0 is then the exact ratio, and the rest is KL(N(μ, σ²), N(0, 1)) on average."""
    torch.manual_seed(0)
    latent, features = implicit(), torch.randn(4, 3, dtype=torch.float64)
    first, gains = latent._gains(features)
    exact = Normal(first, gains[:, 0].abs())
    mean, log_variance = latent.posterior(features)
    torch.testing.assert_close(mean, exact.mean, atol=0.3, rtol=0)
    torch.testing.assert_close((0.5 * log_variance).exp(), exact.stddev, atol=0, rtol=0.15)
    many = features.repeat(20_000, 1)
    estimate = latent.divergence(many, latent.draw(many)).reshape(-1, 4).mean(0)
    expected = kl_divergence(exact, Normal(0.0, 1.0)).sum(1)
    # E_q log r/p has its least error, KL(q, r), from the 256 draws of the moments.
    torch.testing.assert_close(estimate, expected, atol=0.08, rtol=0.03)


def test_the_identity_holds_for_any_reference() -> None:
    """log q/r + log r/p = log q/p, code by code, with the exact ratio given."""
    torch.manual_seed(1)
    latent, features = implicit(), torch.randn(6, 3, dtype=torch.float64)
    first, gains = latent._gains(features)
    exact, prior = Normal(first, gains[:, 0].abs()), Normal(0.0, 1.0)
    mean, log_variance = latent.posterior(features)
    reference = Normal(mean, (0.5 * log_variance).exp())
    code = latent.draw(features)

    class Exact(nn.Module):
        def forward(self, features: Tensor, away: Tensor) -> Tensor:
            at = mean + away * (0.5 * log_variance).exp()
            return (exact.log_prob(at) - reference.log_prob(at)).sum(1, keepdim=True)

    latent.ratio = Exact()
    found = latent.divergence(features, code)
    expected = (exact.log_prob(code) - prior.log_prob(code)).sum(1)
    torch.testing.assert_close(found, expected)


def test_a_trained_ratio_is_the_divergence() -> None:
    """The best T of the logistic loss is log q/p: of N(1, 1/4) and N(0, 1) in one dimension."""
    torch.manual_seed(0)
    latent = DensityRatio(
        1, 1, Noise(), MLP(1, (32, 32), 1, condition_channels=1), functions=1, noise_channels=1,
        contrast=False,
    )  # fmt: skip
    with torch.no_grad():
        latent.linear.weight.zero_()
        latent.linear.bias.copy_(torch.tensor([1.0, -0.5]))
    (phase,) = latent.phases(nn.Identity(), lambda clouds: torch.zeros(4096, 1))
    assert (phase.name, phase.repeat) == ("code_ratio", 2)
    assert set(phase.parameters()) == set(latent.ratio.parameters())
    assert phase.loss is not None
    optimiser = torch.optim.Adam(phase.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 400)
    for _ in range(400):
        optimiser.zero_grad()
        phase.loss(one_point_clouds(1))["ratio"].backward()
        optimiser.step()
        schedule.step()
    features = torch.zeros(20_000, 1)
    with torch.no_grad():
        found = latent.divergence(features, latent.draw(features)).mean()
    expected = kl_divergence(Normal(1.0, 0.5), Normal(0.0, 1.0))
    assert float(found) == pytest.approx(float(expected), rel=0.12)


def test_codes_of_an_implicit_posterior_and_their_evaluation() -> None:
    latent: Latent = DensityRatio(
        3, 2, MLP(5, (8,), 8), Constant(), functions=4, noise_channels=5, beta=0.5
    )
    features = torch.randn(3, 3)
    many = latent(features.repeat(4000, 1)).value.reshape(4000, 3, 2)
    mean, log_variance = latent.posterior(features)
    torch.testing.assert_close(many.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(many.std(0), (0.5 * log_variance).exp(), atol=0.02, rtol=0.2)
    latent.eval()
    assert torch.equal(latent(features).value, latent(features).value)
    assert latent(features).terms == {}
    assert latent.sample(5).shape == (5, 2)
