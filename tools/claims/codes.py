r"""Auto-encoders whose truth is known: four points, a linear decoder, codes of a given shape.

Four one-hot images of 2 x 2 pixels and codes of two numbers (Mescheder et al., arXiv 1701.04722,
section 6.1): given the code the decoder draws each pixel by itself, so it has to know which image
it is, and log p(x) is a sum over a grid of codes. The best value is -log 4 = -1.386; a normal
posterior cannot part the plane in four.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, partial

import torch
from sklearn.datasets import make_moons
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen.models.density_ratio import DensityRatio
from pcgen.models.gan import Adversary
from pcgen.models.latent_terms import Adversarial, Gaussian, Latent
from pcgen.models.prior_shapes import NORMAL, RING, ROLL, PriorShape
from pcgen.models.priors import DensityPrior
from pcgen.nn import MLP, RealNVP
from pcgen.objectives.adversarial import NON_SATURATING
from pcgen.objectives.latent import mmd
from pcgen.objectives.likelihood import gaussian
from pcgen.objectives.penalties import r1
from pcgen.tools.claims.claim import Claim

FEATURES, BATCH = 16, 256


def network(columns: int, out: int, width: int = 64, condition: int = 0) -> MLP:
    """An MLP of two hidden layers."""
    return MLP(columns, [width] * 2, out, condition_channels=condition, activation=nn.ELU)


def four_points(seed: int, implicit: bool, steps: int) -> float:
    """Mean log p(x) of the four points after a training with one of two latent terms."""
    torch.manual_seed(seed)
    encoder, decoder = network(4, FEATURES), network(2, 4)
    latent: Gaussian | DensityRatio = Gaussian(FEATURES, 2)
    if implicit:
        latent = DensityRatio(
            FEATURES, 2, network(8, 32), network(FEATURES, 1, 128, 2), functions=16,
            noise_channels=8,
        )  # fmt: skip
    points = torch.eye(4).repeat(BATCH // 4, 1)
    learning = [p for m in (encoder, decoder, *latent.modules_to_learn) for p in m.parameters()]
    first = torch.optim.Adam(learning, 1e-3)
    ratio = list(latent.ratio.parameters()) if isinstance(latent, DensityRatio) else learning
    second = torch.optim.Adam(ratio, 1e-3)
    for step in range(steps):
        first.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
        for _ in range(latent.steps if isinstance(latent, DensityRatio) else 0):
            assert isinstance(latent, DensityRatio)
            second.zero_grad()
            latent.ratio_loss(encoder(points).detach())["ratio"].backward()
            second.step()
        first.zero_grad()
        code, terms = latent(encoder(points))
        (-_log_likelihood(decoder(code), points).mean() + terms["kl"]).backward()
        first.step()
    axis = torch.linspace(-6, 6, 241)
    grid = torch.cartesian_prod(axis, axis)
    weight = (-0.5 * grid.square().sum(1)).softmax(0)
    with torch.no_grad():
        logits = decoder(grid)
        of_points = [_log_likelihood(logits, point).exp() for point in torch.eye(4)]
        return float(torch.stack([(weight * each).sum().log() for each in of_points]).mean())


def _log_likelihood(logits: Tensor, image: Tensor) -> Tensor:
    """log p of binary pixels [B] of images [B, P] or of one [P]."""
    image = image.expand_as(logits)
    return -F.binary_cross_entropy_with_logits(logits, image, reduction="none").sum(1)


@cache
def _both(seed: int, quick: bool) -> tuple[float, float]:
    steps = 20 if quick else 4000
    return four_points(seed, False, steps), four_points(seed, True, steps)


def normal_posterior(seeds: Sequence[int], quick: bool) -> list[float]:
    """log p of the VAE."""
    return [_both(seed, quick)[0] for seed in seeds]


def gain(seeds: Sequence[int], quick: bool) -> list[float]:
    """log p of the implicit posterior over that of the normal one; the least of the seeds each."""
    gains = [b - a for a, b in (_both(seed, quick) for seed in seeds)]
    return [min(gains)] * len(gains)


def principal_components(seeds: Sequence[int], quick: bool) -> list[float]:
    """log p by probabilistic PCA less the bound of a trained linear VAE, in nats."""
    found = []
    for seed in seeds:
        torch.manual_seed(seed)
        axes = torch.tensor([[2.0, 0.5, 0.0, 1.0], [0.0, 1.0, -1.0, 0.5]])
        x = (torch.randn(2000, 2) @ axes + 0.5 * torch.randn(2000, 4)).double()
        latent = Gaussian(4, 2).double()
        decoder, log_std = nn.Linear(2, 4).double(), nn.Parameter(torch.zeros(()).double())
        optimiser = torch.optim.Adam([*latent.parameters(), *decoder.parameters(), log_std], 0.02)
        steps = 20 if quick else 1200
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            optimiser.zero_grad()
            loss = _bound(x, latent, decoder, log_std)
            loss.backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            bound = -torch.stack([_bound(x, latent, decoder, log_std) for _ in range(50)]).mean()
        found.append(float(_ppca(x, 2) - bound))
    return found


def _bound(x: Tensor, latent: Latent, decoder: nn.Module, log_std: Tensor) -> Tensor:
    code, terms = latent(x)
    return gaussian(x, decoder(code), log_std).mean() + terms["kl"]


def _ppca(x: Tensor, columns: int) -> Tensor:
    """Largest mean log p: Tipping and Bishop 1999, eq. 3.12."""
    value = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))
    noise = value[:-columns].mean()
    size = x.shape[1]
    log_volume = value[-columns:].log().sum() + (size - columns) * noise.log()
    return -0.5 * (size * math.log(2 * math.pi) + log_volume + size)


def shaped(shape: PriorShape, seeds: Sequence[int], quick: bool) -> list[float]:
    """MMD of an adversarial autoencoder's codes and the prior over that of two prior samples."""
    found = []
    for seed in seeds:
        torch.manual_seed(seed)
        data = torch.randn(2000, 2) @ torch.randn(2, 8) + 0.1 * torch.randn(2000, 8)
        encoder, decoder = network(8, FEATURES, 128), network(2, 8, 128)
        play = Adversary(NON_SATURATING, r1, strength=0.1)
        latent = Adversarial(FEATURES, 2, network(2, 1, 128), adversary=play, shape=shape)
        steps = 20 if quick else 3000
        first = [*encoder.parameters(), *latent.linear.parameters(), *decoder.parameters()]
        learning = [torch.optim.Adam(first, 1e-3)]
        phases = latent.phases(encoder, encoder)
        learning += [torch.optim.Adam(p.parameters(), 1e-3, betas=(0.0, 0.9)) for p in phases]
        for step in range(steps):
            for phase, optimiser in zip((None, *phases), learning, strict=True):
                x = data[torch.randint(len(data), (BATCH,))]
                optimiser.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
                optimiser.zero_grad()
                if phase is None or phase.loss is None:
                    loss = (decoder(latent(encoder(x)).value) - x).square().mean()
                else:
                    loss = torch.stack(list(phase.loss(x).values())).sum()
                loss.backward()
                optimiser.step()
        with torch.no_grad():
            code = latent(encoder(data)).value
            prior = [latent.sample(2000) for _ in range(5)]
            ours = sum(_root(code, each) for each in prior) / 5
            floor = sum(_root(prior[i], prior[i - 1]) for i in range(5)) / 5
        found.append(ours / floor)
    return found


def _root(x: Tensor, y: Tensor) -> float:
    return float(mmd(x, y, unbiased=False)) ** 0.5


@cache
def _moons(seed: int, quick: bool) -> tuple[float, float, float]:
    """Negative log-likelihood of held-out moons, largest error of the inverse, and integral."""
    torch.manual_seed(seed)
    x = torch.from_numpy(make_moons(8000, noise=0.05, random_state=seed)[0]).float()
    prior = DensityPrior(RealNVP(2, couplings=8, hidden=(64, 64)), 2)
    none = x.new_zeros(len(x), 0)
    optimiser = torch.optim.Adam(prior.parameters(), 2e-3)
    steps = 20 if quick else 2500
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(6000, (BATCH,))
        optimiser.zero_grad()
        (-prior.log_prob(x[rows], none[rows]).mean()).backward()
        torch.nn.utils.clip_grad_norm_(prior.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        nll = -float(prior.log_prob(x[6000:], none[6000:]).mean())
        noise = prior.flow(x, none)[0]
        error = float((prior.from_noise(noise, none) - x).abs().max())
        axis = torch.linspace(-3, 4, 141 if quick else 1401)
        parts = torch.cartesian_prod(axis, axis).split(100_000)
        cell = float(axis[1] - axis[0]) ** 2
        mass = sum(float(prior.log_prob(p, p[:, :0]).exp().sum()) for p in parts) * cell
    return nll, error, abs(mass - 1)


def moons(which: int, seeds: Sequence[int], quick: bool) -> list[float]:
    """One of the numbers of :func:`_moons`."""
    return [_moons(seed, quick)[which] for seed in seeds]


_AVB, _AAE, _NVP = "1701.04722, section 6.1", "1511.05644", "1605.08803"
CLAIMS = (
    Claim("codes", "four points: log p(x) with a normal posterior (VAE), exact", _AVB, "-1.568",
          normal_posterior, -1.54),
    Claim("codes", "four points: gain in log p(x) by a density ratio (AVB), least of all seeds",
          _AVB, "0.165", gain, 0.03, above=True),
    Claim("codes", "linear VAE: log p of probabilistic PCA less the bound", "1312.6114",
          "0 where the posterior is exact", principal_components, 0.02),
    Claim("codes", "AAE: MMD(q(z), p) over that of two prior samples, normal", _AAE, "1",
          partial(shaped, NORMAL), 1.5),
    Claim("codes", "the same, ring of ten Gaussians", _AAE, "1", partial(shaped, RING), 1.5),
    Claim("codes", "the same, Swiss roll", _AAE, "1", partial(shaped, ROLL), 1.5),
    Claim("codes", "Real NVP on two moons: -log p of held-out points", _NVP,
          "0.36 of a kernel density", partial(moons, 0), 0.36),
    Claim("codes", "the same: largest error of the inverse", _NVP, "0", partial(moons, 1), 1e-4),
    Claim("codes", "the same: integral of the density, less 1", _NVP, "0", partial(moons, 2), 0.01),
)  # fmt: skip
