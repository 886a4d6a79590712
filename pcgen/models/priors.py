r"""Priors over the codes of an autoencoder: normal, mixture, Real NVP, adversarial, and a flow.

**Normal**: whitened codes e as standard normal numbers, so codes are normal given the condition,
and nothing is learnt.

**Real NVP** (Dinh et al., arXiv 1605.08803): an invertible network to noise, by maximum likelihood,
:math:`-\log p(e | c) = -\log N(f(e, c); 0, 1) - \log |\partial f / \partial e|`.

**Latent GAN** (Achlioptas et al., ICML 2018, arXiv 1707.02392), with any
:class:`~pcgen.models.gan.Adversary`; by default that of WGAN-GP (Gulrajani et al.,
arXiv 1704.00028):

    critic:     game(D(e, c), D(e', c)) + λ penalty,        e' = ε + G(ε, c),   ε ~ N(0, 1)
    generator:  game(D(e', c))

on whitened codes e given the condition c. The generator adds to its noise, so it starts near the
conditional normal distribution that fits the codes and learns what that one lacks.

**Latent flow**: flow matching (:mod:`pcgen.objectives.flow_matching`) from noise to e, given c.

**Gaussian mixture**, the baseline. For each class, v = (e, c) with c the continuous conditions
(y and log n):

    p(v) = Σ_k π_k N(v; m_k, S_k),    S_k full,

fitted by expectation maximisation, and sampled given c in closed form: component k with probability
proportional to π_k N(c; m_k^c, S_k^cc), and then

    e | c, k  ~  N(m_k^e + S_k^ec (S_k^cc)^-1 (c - m_k^c),  S_k^ee - S_k^ec (S_k^cc)^-1 S_k^ce).

Achlioptas et al. find 32 components on the codes of 3D shapes best of all their generators.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError, DataError
from pcgen.models.base import Phase
from pcgen.models.density import log_density
from pcgen.models.gan import Adversary
from pcgen.models.latent import Encoded, LatentModel, Prior
from pcgen.objectives.adversarial import WASSERSTEIN
from pcgen.objectives.flow_matching import straight_path
from pcgen.objectives.penalties import wgan_gp
from pcgen.ops.drawing import normal, uniform
from pcgen.ops.ode import Integrator

WGAN_GP = Adversary(WASSERSTEIN, wgan_gp, strength=10.0, steps=5)


class NoisePrior(Prior, ABC):
    """A prior whose codes are a function of as many normal numbers, and of the condition.

    Args:
        code_channels: Columns Z of the codes.
    """

    def __init__(self, code_channels: int) -> None:
        super().__init__()
        self.code_channels = code_channels

    @abstractmethod
    def from_noise(self, noise: Tensor, condition: Tensor) -> Tensor:
        """See :meth:`Prior.from_noise`."""

    def sample(
        self, condition: Tensor, label: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """See :meth:`Prior.sample`; the class is in the condition."""
        noise = normal((len(condition), self.code_channels), condition, generator)
        return self.from_noise(noise, condition)


class Normal(NoisePrior):
    """The standard normal distribution of whitened codes."""

    def phases(self, codes: LatentModel) -> Sequence[Phase]:
        """None: the whitening is all there is to fit."""
        return ()

    def from_noise(self, noise: Tensor, condition: Tensor) -> Tensor:
        """See :meth:`Prior.from_noise`."""
        return noise


class DensityPrior(NoisePrior):
    """An invertible network to noise, by maximum likelihood: a normalising flow.

    Args:
        flow: ``(code [B, Z], condition [B, K]) -> (noise [B, Z], log of the Jacobian [B])``, with
            ``inverse(noise, condition)``, such as :class:`pcgen.nn.RealNVP`.
        code_channels: Columns Z of the codes.
    """

    flow: Any

    def __init__(self, flow: nn.Module, code_channels: int) -> None:
        super().__init__(code_channels)
        self.flow = flow

    def phases(self, codes: LatentModel) -> Sequence[Phase]:
        """The density is learnt on codes of the training split."""

        def loss(clouds: Batch) -> dict[str, Tensor]:
            seen = codes.draw(clouds)
            return {"nll": -self.log_prob(seen.code, seen.condition).mean()}

        return (Phase("prior", (self.flow,), loss),)

    def log_prob(self, code: Tensor, condition: Tensor) -> Tensor:
        """log p(e | c) of whitened codes [B, Z], in nats [B]."""
        return log_density(self.flow, code, condition)

    def from_noise(self, noise: Tensor, condition: Tensor) -> Tensor:
        """See :meth:`Prior.from_noise`."""
        return self.flow.inverse(noise, condition)


class AdversarialPrior(NoisePrior):
    """Generator and critic of codes: the latent GAN.

    Args:
        generator: ``(noise [B, Z], condition [B, K]) -> [B, Z]``.
        critic: ``(code [B, Z], condition [B, K]) -> [B, 1]``.
        code_channels: Columns Z of the codes.
        adversary: What the two play.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        code_channels: int,
        adversary: Adversary | None = None,
    ) -> None:
        super().__init__(code_channels)
        self.generator, self.critic = generator, critic
        self.adversary = WGAN_GP if adversary is None else adversary
        self.level = self.adversary.noise_level()
        self.done = 0.0

    def phases(self, codes: LatentModel) -> Sequence[Phase]:
        """The critic and the generator take turns on codes of the training split."""

        def critic_loss(clouds: Batch) -> dict[str, Tensor]:
            seen = codes.draw(clouds)
            return self.critic_loss(seen.code, seen.condition)

        def generator_loss(clouds: Batch) -> dict[str, Tensor]:
            seen = codes.draw(clouds)
            return self.generator_loss(seen.code, seen.condition)

        return self.adversary.phases(
            self.critic, critic_loss, self.generator, generator_loss, self.set_done, self.level
        )

    def set_done(self, done: float) -> None:
        """Take the fraction of the phases that is done, which annealing is a function of."""
        self.done = done

    def critic_loss(self, code: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Terms of the critic for codes [B, Z] and conditions [B, K] of real clouds."""
        with torch.no_grad():
            generated = self.sample(condition, None)
        critic = self._critic(condition)
        return self.adversary.critic_loss(critic, code, generated, done=self.done, level=self.level)

    def generator_loss(self, code: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Terms of the generator for codes [B, Z] and conditions [B, K] of real clouds."""
        generated = self.sample(condition, None)
        critic = self._critic(condition)
        return self.adversary.generator_loss(
            critic, code, generated, done=self.done, level=self.level
        )

    def from_noise(self, noise: Tensor, condition: Tensor) -> Tensor:
        """See :meth:`Prior.from_noise`."""
        return noise + self.generator(noise, condition)

    def _critic(self, condition: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda code: self.critic(code, condition)


class FlowPrior(NoisePrior):
    """Flow matching on codes.

    Args:
        field: ``(code [B, Z], time [B], condition [B, K]) -> [B, Z]``.
        code_channels: Columns Z of the codes.
        steps: Steps of the midpoint rule when sampling, of two evaluations each.
    """

    def __init__(self, field: nn.Module, code_channels: int, *, steps: int = 20) -> None:
        super().__init__(code_channels)
        self.field = field
        self.solver = Integrator(steps=steps)

    def phases(self, codes: LatentModel) -> Sequence[Phase]:
        """The velocity is learnt on codes of the training split."""

        def loss(clouds: Batch) -> dict[str, Tensor]:
            seen = codes.draw(clouds)
            return self.loss(seen.code, seen.condition)

        return (Phase("prior", (self.field,), loss),)

    def loss(self, code: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Mean squared error of the velocity, for codes [B, Z] and conditions [B, K]."""
        time = torch.rand(len(code), dtype=code.dtype, device=code.device)
        at, velocity = straight_path(torch.randn_like(code), code, time[:, None])
        return {"velocity": (self.field(at, time, condition) - velocity).square().mean()}

    def from_noise(self, noise: Tensor, condition: Tensor) -> Tensor:
        """See :meth:`Prior.from_noise`."""

        def velocity(code: Tensor, time: float) -> Tensor:
            return self.field(code, code.new_full((code.shape[0],), time), condition)

        return self.solver(velocity, noise)


class Mixture(Prior):
    """One mixture per class.

    Args:
        code_channels: Columns Z of the codes.
        conditions: The continuous columns of the condition, those that are not one-hot.
        classes: Number of classes; 0 and 1 are one mixture.
        components: Most components of a class. Each has at least twice as many clouds as ``v`` has
            columns, so a class with few clouds has fewer.
        regularisation: Added to the variances.
        seed: Of the start of the iteration.
    """

    def __init__(
        self,
        code_channels: int,
        conditions: Sequence[int],
        *,
        classes: int = 0,
        components: int = 32,
        regularisation: float = 1e-3,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if components < 1:
            raise ArgumentError(f"components: got {components}, expected >= 1")
        self.code_channels, self.conditions = code_channels, tuple(conditions)
        self.components, self.regularisation, self.seed = components, regularisation, seed
        kinds, size = max(classes, 1), code_channels + len(self.conditions)
        self.log_weight: Tensor
        self.mean: Tensor
        self.covariance: Tensor
        # A component that is not used has weight 0 and a covariance that can be inverted.
        self.register_buffer("log_weight", torch.full((kinds, components), -torch.inf))
        self.register_buffer("mean", torch.zeros(kinds, components, size))
        self.register_buffer("covariance", torch.eye(size).repeat(kinds, components, 1, 1))

    def phases(self, codes: LatentModel) -> Sequence[Phase]:
        """Fitted in one pass over the training split, without steps."""

        def prepare(batches: Iterable[Batch]) -> None:
            self.fit(codes.encode(clouds) for clouds in batches)

        return (Phase("mixture", (self,), None, prepare=prepare),)

    def fit(self, encoded: Iterable[Encoded]) -> Mixture:
        """Expectation maximisation for each class; all codes are held in memory.

        Raises:
            DataError: there are no codes.
        """
        parts = list(encoded)
        if not sum(len(part.code) for part in parts):
            raise DataError("encoded: got no codes, expected some")
        rows = torch.cat([self._join(part.code, part.condition) for part in parts])
        labels = torch.cat([_labels(part) for part in parts])
        for kind in range(len(self.mean)):
            of_class = rows[labels == kind]
            if len(of_class):
                self._fit_class(kind, of_class)
        return self

    def _fit_class(self, kind: int, rows: Tensor) -> None:
        number = min(self.components, max(1, len(rows) // (2 * rows.shape[1])))
        # One cloud has no covariance: twice the same one has the covariance 0.
        values = rows.repeat(2, 1) if len(rows) == 1 else rows
        mixture = GaussianMixture(
            number, reg_covar=self.regularisation, random_state=self.seed, max_iter=200
        )
        with warnings.catch_warnings():
            # An iteration that goes on improving slightly is good enough.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(values.double().cpu().numpy())
        self.log_weight[kind] = -torch.inf
        self.log_weight[kind, :number] = torch.as_tensor(mixture.weights_).log().to(self.mean)
        self.mean[kind, :number] = torch.as_tensor(mixture.means_).to(self.mean)
        self.covariance[kind, :number] = torch.as_tensor(mixture.covariances_).to(self.mean)

    def sample(
        self, condition: Tensor, label: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """See :meth:`Prior.sample`.

        Raises:
            ArgumentError: a class has no mixture, because it was not in the training split.
        """
        kind = condition.new_zeros(len(condition), dtype=torch.long) if label is None else label
        kind = kind if len(self.mean) > 1 else torch.zeros_like(kind)
        if bool(torch.isneginf(self.log_weight[kind]).all(1).any()):
            raise ArgumentError("Mixture.sample: got a class without codes, expected trained ones")
        given = condition[:, list(self.conditions)]
        log_weight, gain, spread = self._given(given, kind)
        step = log_weight.softmax(1).cumsum(1)
        place = uniform((len(given), 1), given, generator) * step[:, -1:]
        chosen = (step <= place).sum(1).clamp(max=self.components - 1)
        mean = self.mean[kind, chosen]
        away = given - mean[:, self.code_channels :]
        noise = normal((len(given), self.code_channels), given, generator)
        moved = (gain[kind, chosen] @ away[:, :, None])[:, :, 0]
        drawn = (spread[kind, chosen] @ noise[:, :, None])[:, :, 0]
        return mean[:, : self.code_channels] + moved + drawn

    def _given(self, given: Tensor, kind: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights of the components [B, K], S_ec S_cc^-1, and a root of the rest of S_ee."""
        split = self.code_channels
        covariance = self.covariance.double()
        own, mixed, of_condition = (
            covariance[..., :split, :split],
            covariance[..., :split, split:],
            covariance[..., split:, split:],
        )
        root = torch.linalg.cholesky(of_condition)
        gain = torch.cholesky_solve(mixed.mT, root).mT
        spread = torch.linalg.cholesky(own - gain @ mixed.mT)
        away = given[:, None].double() - self.mean[kind][..., split:].double()
        normed = torch.linalg.solve_triangular(root[kind], away[..., None], upper=False)[..., 0]
        log_volume = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)[kind]
        log_weight = self.log_weight[kind].double() - 0.5 * normed.square().sum(-1) - log_volume
        return log_weight.to(given), gain.to(given), spread.to(given)

    def _join(self, code: Tensor, condition: Tensor) -> Tensor:
        return torch.cat([code, condition[:, list(self.conditions)]], 1)


def _labels(part: Encoded) -> Tensor:
    if part.label is None:
        return torch.zeros(len(part.code), dtype=torch.long, device=part.code.device)
    return part.label
