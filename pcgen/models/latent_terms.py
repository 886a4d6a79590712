r"""From features of the encoder to codes, and what holds the codes together: the latent term.

With q(z) the distribution of the codes of all events and p(z) a prior,

============= ==================================== ============================================
term          what is added to the reconstruction  literature
============= ==================================== ============================================
deterministic nothing; codes have no prior         Zhao et al., arXiv 1702.08658, section 4
Gaussian      β KL(q(z|x), N(0, 1))                Kingma and Welling, arXiv 1312.6114; free
                                                   bits: Kingma et al., arXiv 1606.04934
matched       λ MMD²(q, p), or sliced Wasserstein  InfoVAE, arXiv 1706.02262; Wasserstein
                                                   autoencoders, arXiv 1711.01558, 1804.01947
adversarial   a game: a critic tests z ~ p against Makhzani et al., arXiv 1511.05644
              z ~ q, the encoder misleads it
density ratio β E log q(z|x) / p(z), learnt        Mescheder et al., arXiv 1701.04722
============= ==================================== ============================================

The last is in :mod:`pcgen.models.density_ratio`. A term that learns by itself brings its own phases
(:meth:`Latent.phases`); the autoencoder treats all terms alike.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.base import Phase
from pcgen.models.gan import Adversary
from pcgen.models.prior_shapes import NORMAL, PriorShape
from pcgen.objectives.latent import kl_normal
from pcgen.ops.drawing import normal

Divergence = Callable[[Tensor, Tensor], Tensor]
"""Of codes [B, Z] and as many of the prior, a scalar."""


class Code(NamedTuple):
    """Codes [B, Z] and the terms, scalars, that they add to the loss."""

    value: Tensor
    terms: dict[str, Tensor]


class Latent(nn.Module, ABC):
    """From the encoder's features to codes.

    Attributes:
        has_prior: Whether codes can be drawn without an event.
        has_density: Whether :meth:`posterior` is a distribution, and the prior is N(0, 1).
        code_channels: Columns Z of the codes.
    """

    has_prior = True
    has_density = False
    code_channels: int

    @abstractmethod
    def forward(self, features: Tensor) -> Code:
        """Codes of features [B, F]; in evaluation mode without noise."""

    @abstractmethod
    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """Codes [B, Z] of the prior."""

    @property
    def modules_to_learn(self) -> tuple[nn.Module, ...]:
        """What learns together with encoder and decoder."""
        return (self,)

    def phases(self, encoder: nn.Module, features: Callable[[Batch], Tensor]) -> tuple[Phase, ...]:
        """Phases of the term's own, after that of the reconstruction.

        Args:
            encoder: A term may train it further.
            features: Clouds in physical units -> features [B, F].
        """
        return ()

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance [B, Z] of a normal that is, or is near, q(z|x).

        Where a code is a function of its event the mean is that code, and the variance 0.
        """
        mean = self(features).value
        return mean, torch.full_like(mean, -torch.inf)

    def from_noise(self, noise: Tensor) -> Tensor:
        """Codes of the prior as a function of standard normal numbers [B, Z].

        Raises:
            ArgumentError: they are not such a function.
        """
        return noise


class Deterministic(Latent):
    """A linear map to the code and no term: the plain autoencoder, which has no prior.

    Args:
        in_channels: Columns F of the encoder's features.
        code_channels: Columns Z of the code.
    """

    has_prior = False

    def __init__(self, in_channels: int, code_channels: int) -> None:
        super().__init__()
        self.code_channels = code_channels
        self.linear = nn.Linear(in_channels, code_channels)

    def forward(self, features: Tensor) -> Code:
        """See :meth:`Latent.forward`."""
        return Code(self.linear(features), {})

    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """A plain autoencoder cannot be sampled.

        Raises:
            ArgumentError: always, with the remedy.
        """
        raise ArgumentError(
            "sample: got a plain autoencoder, which has no prior over its codes to draw from, "
            "expected a VAE (recipe points-vae, latent Gaussian) or a prior over the codes "
            "(recipes points-latent-*, LatentModel)"
        )


class Gaussian(Latent):
    """Normal posterior with a diagonal covariance, drawn by reparametrisation: the VAE.

    Args:
        in_channels: Columns F of the encoder's features.
        code_channels: Columns Z of the code.
        beta: Factor of the Kullback-Leibler term.
        free_bits: Nats of each number of the code that cost nothing, see
            :func:`~pcgen.objectives.latent.kl_normal`.
    """

    has_density = True

    def __init__(
        self, in_channels: int, code_channels: int, *, beta: float = 1.0, free_bits: float = 0.0
    ) -> None:
        super().__init__()
        self.code_channels, self.beta, self.free_bits = code_channels, beta, free_bits
        self.linear = nn.Linear(in_channels, 2 * code_channels)
        # Unit variance at first, whatever the size of the features: the exponential of a large one
        # would be the whole loss, or infinite.
        with torch.no_grad():
            self.linear.weight[code_channels:] = 0.0
            self.linear.bias[code_channels:] = 0.0

    def forward(self, features: Tensor) -> Code:
        """See :meth:`Latent.forward`."""
        mean, log_variance = self.posterior(features)
        kl = kl_normal(mean, log_variance, free_bits=self.free_bits).mean()
        terms = {"kl": self.beta * kl}
        if not self.training:
            return Code(mean, terms)
        return Code(mean + (0.5 * log_variance).exp() * torch.randn_like(mean), terms)

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the codes [B, Z] of features [B, F]."""
        mean, log_variance = self.linear(features).chunk(2, 1)
        return mean, log_variance

    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """See :meth:`Latent.sample`."""
        return normal((number, self.code_channels), self.linear.weight, generator)


class Shaped(Latent):
    """Codes as a linear function of features, whose distribution is to be that of a prior.

    Args:
        in_channels: Columns F of the encoder's features.
        code_channels: Columns Z of the code.
        shape: The prior.

    Raises:
        ArgumentError: the shape lies in a plane, and codes have one number.
    """

    def __init__(self, in_channels: int, code_channels: int, shape: PriorShape) -> None:
        super().__init__()
        self.code_channels, self.shape = code_channels, shape
        self.linear = nn.Linear(in_channels, code_channels)
        self.sample(1)

    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """See :meth:`Latent.sample`."""
        return self.shape.sample(number, self.code_channels, self.linear.weight, generator)

    def from_noise(self, noise: Tensor) -> Tensor:
        """See :meth:`Latent.from_noise`; of the normal prior.

        Raises:
            ArgumentError: the prior has another shape.
        """
        if self.shape.plane is not None:
            raise ArgumentError(
                f"prior_shape: got {self.shape.name}, expected normal, as its codes are to be a "
                "function of normal numbers"
            )
        return noise


class Matched(Shaped):
    """Codes whose divergence from a prior is computed from the two samples: MMD, sliced.

    Args:
        in_channels: Columns F of the encoder's features.
        code_channels: Columns Z of the code.
        divergence: Of the two samples.
        name: Of the term in the log.
        strength: λ, factor of the term.
        shape: The prior.
    """

    def __init__(
        self,
        in_channels: int,
        code_channels: int,
        divergence: Divergence,
        *,
        name: str = "mmd",
        strength: float = 1.0,
        shape: PriorShape = NORMAL,
    ) -> None:
        super().__init__(in_channels, code_channels, shape)
        self.divergence, self.name, self.strength = divergence, name, strength

    def forward(self, features: Tensor) -> Code:
        """See :meth:`Latent.forward`; one code is no sample, and has no term."""
        code = self.linear(features)
        if len(code) < 2:
            return Code(code, {self.name: 0.0 * code.sum()})
        prior = self.shape.sample(len(code), self.code_channels, code.detach())
        return Code(code, {self.name: self.strength * self.divergence(code, prior)})


class Adversarial(Shaped):
    """Codes that a critic cannot tell from those of the prior: the adversarial autoencoder.

    In each step the reconstruction comes first, without a term; then the critic, to which codes of
    the prior are the real ones; then the encoder, against the critic.

    Args:
        in_channels: Columns F of the encoder's features.
        code_channels: Columns Z of the code.
        critic: ``code [B, Z] -> [B, 1]``.
        adversary: What the two play.
        shape: The prior.
    """

    def __init__(
        self,
        in_channels: int,
        code_channels: int,
        critic: nn.Module,
        *,
        adversary: Adversary | None = None,
        shape: PriorShape = NORMAL,
    ) -> None:
        super().__init__(in_channels, code_channels, shape)
        self.critic = critic
        self.adversary = Adversary() if adversary is None else adversary
        self.done = 0.0

    @property
    def modules_to_learn(self) -> tuple[nn.Module, ...]:
        """See :attr:`Latent.modules_to_learn`; the critic has a phase of its own."""
        return (self.linear,)

    def forward(self, features: Tensor) -> Code:
        """See :meth:`Latent.forward`."""
        return Code(self.linear(features), {})

    def phases(self, encoder: nn.Module, features: Callable[[Batch], Tensor]) -> tuple[Phase, ...]:
        """See :meth:`Latent.phases`: ``code_critic`` and ``code_generator``."""

        def critic_loss(clouds: Batch) -> dict[str, Tensor]:
            with torch.no_grad():
                code = self.linear(features(clouds))
            return self.adversary.critic_loss(self.critic, self._prior(code), code, done=self.done)

        def encoder_loss(clouds: Batch) -> dict[str, Tensor]:
            code = self.linear(features(clouds))
            return self.adversary.generator_loss(
                self.critic, self._prior(code), code, done=self.done
            )

        play = self.adversary.phases(
            self.critic,
            critic_loss,
            nn.ModuleList([encoder, self.linear]),
            encoder_loss,
            self.set_done,
        )
        return tuple(dataclasses.replace(phase, name=f"code_{phase.name}") for phase in play)

    def set_done(self, done: float) -> None:
        """Take the fraction of the phases that is done, which annealing is a function of."""
        self.done = done

    def _prior(self, code: Tensor) -> Tensor:
        return self.shape.sample(len(code), self.code_channels, code.detach())
