"""Remedies of the games: labels, noise, clipping, spectral norms, units; in closed form."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError
from pcgen.models.gan import Adversary, Conditioned
from pcgen.nn import MLP, SubmanifoldConv
from pcgen.nn.critic import FeatureCritic
from pcgen.nn.spectral import SpectralCritic, spectrally_normed
from pcgen.objectives import (
    LEAST_SQUARES,
    MAXIMUM_LIKELIHOOD,
    NON_SATURATING,
    RELATIVISTIC,
    WASSERSTEIN,
    InstanceNoise,
    clip,
    dragan,
    r1,
    roth,
    spread,
    wgan_gp,
    wgan_lp,
)
from pcgen.objectives.noise import RISE, NoiseLevel
from pcgen.objectives.penalties import between


def test_maximum_likelihood_follows_the_divergence_that_it_is_named_after() -> None:
    """At the best critic the gradient in q is that of KL(p, q) = sum p log p/q."""
    p = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    logit_q = torch.tensor([0.1, -0.4, 0.6], dtype=torch.float64, requires_grad=True)
    q = logit_q.softmax(0)
    best = (p / q).log().detach()
    loss = (q * MAXIMUM_LIKELIHOOD.generator_loss(best)).sum()
    divergence = (p * (p / q).log()).sum()
    (got,) = torch.autograd.grad(loss, logit_q, retain_graph=True)
    (expected,) = torch.autograd.grad(divergence, logit_q)
    torch.testing.assert_close(got, expected)


def test_smoothed_labels_move_the_best_critic() -> None:
    """D* = log (1 - s) p / (q + s p): Salimans et al., with q in the denominator once."""
    game, p, q, s = dataclasses.replace(NON_SATURATING, smoothing=0.1), 0.3, 0.6, 0.1
    logit = torch.tensor([math.log((1 - s) * p / (q + s * p))], dtype=torch.float64)
    logit.requires_grad_(True)
    nothing = torch.tensor([-1e9], dtype=torch.float64)
    loss = p * game.critic_loss(logit, nothing)
    loss = loss + q * NON_SATURATING.critic_loss(-nothing, logit)
    (slope,) = torch.autograd.grad(loss.sum(), logit)
    assert abs(float(slope)) < 1e-12


def test_smoothed_least_squares_aims_at_a_lower_target() -> None:
    game, aim = dataclasses.replace(LEAST_SQUARES, smoothing=0.1), 1 - 2 * 0.1
    real = torch.linspace(-2, 2, 9, dtype=torch.float64)
    far = torch.full_like(real, -1.0)
    expected = (real - aim).square() + 1 - aim**2
    torch.testing.assert_close(game.critic_loss(real, far), expected)


def test_wrong_labels_come_with_their_probability() -> None:
    number = 40_000
    real, generated = torch.full((number,), 2.0), torch.full((number,), 1.0)
    game = dataclasses.replace(NON_SATURATING, flipping=0.05)
    loss = game.critic_loss(real, generated, generator=torch.Generator().manual_seed(1))
    at_real, at_generated = (float(NON_SATURATING.link(torch.tensor(t))) for t in (-2.0, 1.0))
    sums = {a + b for a in (at_real, at_real + 2.0) for b in (at_generated, at_generated - 1.0)}
    assert {round(each, 4) for each in loss.unique().tolist()} == {round(s, 4) for s in sums}
    # Wrong labels add 2 to the loss of a real sample and -1 to that of a generated one.
    expected = at_real + at_generated + 0.05 * (2.0 - 1.0)
    assert float(loss.mean()) == pytest.approx(expected, abs=0.01)
    paired = dataclasses.replace(RELATIVISTIC, flipping=0.4)
    assert float((paired.critic_loss(real, generated) > 1.0).float().mean()) == pytest.approx(
        0.4, abs=0.02
    )


@pytest.mark.parametrize("game", [WASSERSTEIN, RELATIVISTIC])
def test_games_without_labels_refuse_to_smooth_them(game) -> None:
    with pytest.raises(ArgumentError, match=r"smoothing: got 0.1, expected 0, as this game is"):
        dataclasses.replace(game, smoothing=0.1)
    with pytest.raises(ArgumentError, match=r"flipping: got 0.5, expected a share in \[0, 0.5\)"):
        dataclasses.replace(game, flipping=0.5)


# --- penalties ------------------------------------------------------------------------------------


def quadratic(x: Tensor) -> Tensor:
    return 0.5 * x.square().sum(1)


def test_one_sided_penalty_leaves_flat_critics_alone() -> None:
    real, generated = torch.randn(2, 64, 3, dtype=torch.float64)
    places = between(real, generated, generator=torch.Generator().manual_seed(5)).norm(dim=1)
    assert (places < 1).any()
    assert (places > 1).any()
    draw = torch.Generator().manual_seed(5)
    got = wgan_lp(quadratic, real, generated, generator=draw)
    torch.testing.assert_close(got, torch.where(places > 1, (places - 1).square(), 0.0))
    two_sided = wgan_gp(quadratic, real, generated, generator=torch.Generator().manual_seed(5))
    assert (got <= two_sided).all()


def test_dragan_looks_near_the_data_by_half_its_spread() -> None:
    """|∇D| = |x + s ε / 2| of a quadratic critic; its second moment is |x|² + K s² / 4."""
    real = torch.randn(1, 3, dtype=torch.float64) + torch.tensor([[3.0], [-3.0]]).double()
    real = real.repeat(20_000, 1)
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return quadratic(x)

    got = dragan(critic, real, real, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(got, (seen[0].norm(dim=1) - 1).square())
    away = (seen[0] - real).square().mean().sqrt()
    assert float(away) == pytest.approx(0.5 * float(spread(real)), rel=0.01)


@pytest.mark.parametrize("penalty", [wgan_lp, dragan])
def test_new_penalties_teach_the_critic(penalty) -> None:
    """The gradient in the parameters is the finite difference of its value."""
    critic = MLP(3, (6,), 1, activation=nn.Tanh).double()
    real, generated = 2 * torch.randn(2, 4, 3, dtype=torch.float64)
    weight = critic.hidden[0].weight

    def value(given: Tensor) -> Tensor:
        draw = torch.Generator().manual_seed(1)
        functional = torch.func.functional_call

        def called(x: Tensor) -> Tensor:
            return 3 * functional(critic, {"hidden.0.weight": given}, (x,))

        return penalty(called, real, generated, generator=draw).sum()

    torch.autograd.gradcheck(value, (weight.detach().clone().requires_grad_(True),))


@pytest.mark.parametrize("penalty", [r1, roth, dragan, wgan_gp, wgan_lp])
@pytest.mark.parametrize("unit", [1.0, 40.0])
def test_a_penalty_in_spreads_is_that_of_standardised_values(penalty, unit: float) -> None:
    """Codes in another unit, and a critic that undoes it, have the same penalty."""
    real, generated = torch.randn(2, 9, 3, dtype=torch.float64)
    real = (real - real.mean(0)) / spread(real)
    adversary = Adversary(penalty=penalty, in_spreads=True)
    torch.manual_seed(3)
    expected = penalty(quadratic, real, generated)
    torch.manual_seed(3)
    got = adversary.slope(lambda x: quadratic(x / unit), unit * real, unit * generated)
    torch.testing.assert_close(got, expected)


def test_spread_of_nothing_and_of_equal_values_is_one() -> None:
    assert float(spread(torch.zeros(0, 3))) == 1.0
    assert float(spread(torch.ones(4, 3))) == 1.0
    values = 5 * torch.randn(50, 2, 3, dtype=torch.float64)
    expected = values.flatten(1).numpy().std(0)
    assert float(spread(values)) == pytest.approx(math.sqrt((expected**2).mean()))


# --- what is not a penalty ------------------------------------------------------------------------


def test_clipping_is_the_nearest_critic_in_the_box() -> None:
    critic = MLP(2, (4,), 1)
    before = [p.detach().clone() for p in critic.parameters()]
    clip(critic, 0.1)
    for old, new in zip(before, critic.parameters(), strict=True):
        assert torch.equal(new, old.clamp(-0.1, 0.1))
    assert max(float(p.detach().abs().max()) for p in critic.parameters()) == pytest.approx(0.1)


def test_a_spectrally_normed_critic_is_as_steep_as_its_factor_at_most() -> None:
    torch.manual_seed(0)
    critic = SpectralCritic(MLP(3, (16, 16), 1), 5.0)
    for _ in range(50):  # the power method
        critic(torch.zeros(1, 3))
    points = torch.randn(200, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(points).sum(), points)
    assert float(slope.norm(dim=1).max()) <= 5.0 * 1.001
    for layer in (*critic.critic.hidden, critic.critic.out):
        if isinstance(layer, nn.Linear):
            assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) == pytest.approx(
                1, abs=1e-3
            )


def test_kernels_are_normed_as_matrices_and_vectors_are_not() -> None:
    torch.manual_seed(0)
    net = spectrally_normed(nn.Sequential(SubmanifoldConv(2, 3, 5), nn.LayerNorm(5)))
    net.eval()
    matrix = net[0].weight.detach().flatten(1)
    assert matrix.shape == (5, 27)
    assert float(torch.linalg.matrix_norm(matrix, 2)) == pytest.approx(1, abs=1e-2)
    assert net[1].weight.tolist() == [1.0] * 5
    assert spectrally_normed(net) is net  # what is normed is not normed again
    assert len(net[0].parametrizations.weight) == 1


def test_noise_has_the_scale_of_the_moment() -> None:
    noise, values = InstanceNoise(0.5, ratio=0.01), torch.full((50_000, 2), 3.0)
    for done, scale in ((0.0, 0.5), (0.5, 0.05), (1.0, 0.005)):
        got = noise(values, done, torch.Generator().manual_seed(4)) - values
        assert float(got.std()) == pytest.approx(scale, rel=0.02)
        assert float(got.mean()) == pytest.approx(0, abs=0.01 * scale + 1e-6)
    with pytest.raises(ArgumentError, match=r"noise: got -1.0, expected >= 0"):
        InstanceNoise(-1.0)
    with pytest.raises(ArgumentError, match=r"annealing: got 0.0, expected a ratio in \(0, 1\]"):
        InstanceNoise(1.0, ratio=0.0)


def test_roth_is_the_first_order_of_noise() -> None:
    """A critic's loss on noisy samples is that on clean ones and γ/2 times the penalty.

    Roth et al. 2017, equation 10, for logits that are linear in x: the Laplacian vanishes.
    """
    slope, variance = torch.tensor([0.3, -0.2], dtype=torch.float64), 1e-2
    real, generated = torch.randn(2, 8, 2, dtype=torch.float64)

    def critic(x: Tensor) -> Tensor:
        return x @ slope

    # E f(t + u) over u ~ N(0, v |slope|²) by Gauss and Hermite: f'' = σ(1 - σ).
    nodes, weights = torch.tensor([-math.sqrt(3), 0.0, math.sqrt(3)]), torch.tensor([1, 4, 1]) / 6
    noisy = sum(
        w * NON_SATURATING.critic_loss(*(critic(x) + z * slope.norm() * variance**0.5 for x in
                                         (real, generated)))
        for z, w in zip(nodes.double(), weights.double(), strict=True)
    )  # fmt: skip
    clean = NON_SATURATING.critic_loss(critic(real), critic(generated))
    at_real, at_generated = (torch.sigmoid(critic(x)) for x in (real, generated))
    exact = at_real * (1 - at_real) + at_generated * (1 - at_generated)
    expected = 0.5 * variance * exact * slope.square().sum()
    torch.testing.assert_close(noisy - clean, expected, rtol=1e-3, atol=1e-9)
    # At the best critic σ(1 - σ) averages to Roth's weights: p σ(1-σ) + q σ(1-σ) = p (1-σ)² + q σ²
    p, q = 0.3, 0.5
    best = p / (p + q)
    assert (p + q) * best * (1 - best) == pytest.approx(p * (1 - best) ** 2 + q * best**2)


def test_adaptive_noise_follows_the_sign_of_the_logits() -> None:
    """Up by C where more of the real events are called real than the target, and down."""
    level = NoiseLevel(InstanceNoise(0.5, ratio=0.1, target=0.6))
    sure, unsure = torch.ones(10), torch.tensor([1.0] * 7 + [-1.0] * 3)  # mean signs 1 and 0.4
    for number in range(1, 4):
        level.hear(sure)
        assert float(level.value) == pytest.approx(0.1 + number * RISE)
    level.hear(unsure[:, None])
    assert float(level.value) == pytest.approx(0.1 + 2 * RISE)
    level.hear(torch.tensor([1.0] * 8 + [-1.0] * 2))  # the target itself
    assert float(level.value) == pytest.approx(0.1 + 2 * RISE, abs=RISE + 1e-6)
    for _ in range(10):
        level.hear(-sure)
    assert float(level.value) == pytest.approx(0.1)
    level.value.fill_(1.0)
    level.hear(sure)
    assert float(level.value) == 1.0
    level.hear(sure[:0])
    level.eval().hear(-sure)
    assert float(level.value) == 1.0
    assert list(level.state_dict()) == ["value"]
    assert list(level.parameters()) == []


def test_adaptive_noise_is_as_large_as_its_level() -> None:
    noise = InstanceNoise(2.0, ratio=0.1, target=0.6)
    level = NoiseLevel(noise)
    level.value.fill_(0.25)
    for done in (0.0, 0.9):
        same = noise(torch.zeros(50_000), done, torch.Generator().manual_seed(0), level=level)
        assert float(same.std()) == pytest.approx(0.5, rel=0.02)
    with pytest.raises(ArgumentError, match="level: got none"):
        noise(torch.zeros(3), 0.0)
    with pytest.raises(ArgumentError, match="target: got none"):
        NoiseLevel(InstanceNoise(2.0))
    with pytest.raises(ArgumentError, match=r"target: got 1.0, expected a number in"):
        InstanceNoise(2.0, target=1.0)


def test_the_critic_of_real_events_moves_the_level_and_no_other() -> None:
    adversary = Adversary(penalty=None, noise=InstanceNoise(1e-6, ratio=0.1, target=0.6))
    level = adversary.noise_level()
    assert level is not None
    real, generated = torch.ones(4, 1), -torch.ones(4, 1)
    adversary.critic_loss(lambda x: x, real, generated, level=level)
    assert float(level.value) == pytest.approx(0.1 + RISE)
    adversary.generator_loss(lambda x: x, real, generated, level=level)
    assert float(level.value) == pytest.approx(0.1 + RISE)
    adversary.critic_loss(lambda x: -x, real, generated, level=level)
    assert float(level.value) == pytest.approx(0.1)
    assert Adversary(noise=InstanceNoise(1.0)).noise_level() is None


def test_feature_matching_is_the_distance_of_mean_features() -> None:
    """Of linear features f = A x: |A (mean x - mean G)|², and the critic does not see it."""
    matrix = torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]])
    trunk = nn.Linear(2, 3, bias=False)
    trunk.weight.data = matrix

    class Trunk(nn.Module):
        def forward(self, x: Tensor, condition: Tensor) -> Tensor:
            return trunk(x)

    critic = Conditioned(FeatureCritic(Trunk(), 3), torch.zeros(5, 0))
    real, generated = torch.rand(5, 2), torch.rand(5, 2).requires_grad_(True)
    adversary = Adversary(penalty=None, matching=True)
    (loss,) = adversary.generator_loss(critic, real, generated).values()

    def leaky(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    apart = leaky(real @ matrix.T).mean(0) - leaky(generated @ matrix.T).mean(0)
    torch.testing.assert_close(loss, apart.square().sum())
    loss.backward()
    assert generated.grad.abs().sum() > 0
    assert set(adversary.critic_loss(critic, real, generated)) == {"critic"}
