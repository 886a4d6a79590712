r"""Posterior without a density, and its divergence by a learnt density ratio: adversarial VB.

Mescheder, Nowozin and Geiger, "Adversarial variational Bayes", arXiv 1701.04722. With features h of
an event and noise :math:`\epsilon`, a code is

.. math:: z = a_0(h) + \sum_{k=1}^{m} a_k(h) \odot v_k(\epsilon),

linear in a basis of learnt functions of noise, which may have any shape (after section 6 of the
paper, where each function has noise of its own). Its moments follow from those of the basis:
:math:`\mu = a_0 + \sum_k a_k E v_k,\ \sigma^2 = \sum_{kl} a_k a_l \mathrm{Cov}(v_k, v_l)`. With
*adaptive contrast* (section 3.2) the divergence is split at the normal
:math:`r(z|x) = N(\mu, \sigma^2)`,

.. math::
    \mathrm{KL}(q(z|x) \| p) = E_q \log\frac{q(z|x)}{r(z|x)} + E_q \log\frac{r(z|x)}{p(z)},

and a network T learns the first logarithm alone, by telling :math:`\tilde z = (z - \mu) / \sigma`
from standard normal numbers: the best T of the logistic loss is log q / r (section 3.1). It is 0
for normal posteriors, and the second term is in closed form. Without it (r = p) T has to learn all.

Since z depends on the event through h alone, so does the ratio: T takes h and z, and needs no
encoder of events of its own. μ, σ and h enter as constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen.models.base import Phase
from pcgen.models.latent_terms import Code, Latent
from pcgen.ops.drawing import normal

_DRAWS = 256  # of the noise, for the moments of the basis


class DensityRatio(Latent):
    """Codes of an implicit posterior, and a network that learns its density over the prior's.

    Args:
        in_channels: Columns F of the encoder's features.
        code_channels: Columns Z of the code.
        basis: Noise [B, E] -> basis functions [B, m Z].
        ratio: ``(features [B, F], code [B, Z]) -> log ratio [B, 1]``.
        functions: m.
        noise_channels: E.
        beta: Factor of the divergence.
        contrast: Take the normal of equal moments as the reference r, or else the prior.
        steps: Steps of the ratio for each one of the autoencoder.
    """

    has_density = True

    def __init__(
        self,
        in_channels: int,
        code_channels: int,
        basis: nn.Module,
        ratio: nn.Module,
        *,
        functions: int,
        noise_channels: int,
        beta: float = 1.0,
        contrast: bool = True,
        steps: int = 2,
    ) -> None:
        super().__init__()
        self.code_channels, self.functions = code_channels, functions
        self.noise_channels, self.beta = noise_channels, beta
        self.contrast, self.steps = contrast, steps
        self.linear = nn.Linear(in_channels, (1 + functions) * code_channels)
        self.basis, self.ratio = basis, ratio

    @property
    def modules_to_learn(self) -> tuple[nn.Module, ...]:
        """See :attr:`Latent.modules_to_learn`; the ratio has a phase of its own."""
        return (self.linear, self.basis)

    def forward(self, features: Tensor) -> Code:
        """See :meth:`Latent.forward`."""
        if not self.training:
            return Code(self.posterior(features)[0], {})
        code = self.draw(features)
        return Code(code, {"kl": self.beta * self.divergence(features, code).mean()})

    def draw(self, features: Tensor) -> Tensor:
        """Codes of the posterior [B, Z] for features [B, F]."""
        first, gains = self._gains(features)
        noise = features.new_empty(len(features), self.noise_channels).normal_()
        return first + (gains * self._functions(noise)).sum(1)

    def divergence(self, features: Tensor, code: Tensor) -> Tensor:
        """Estimate of KL(q(z|x), N(0, 1)) from one code [B, Z] of each event, in nats [B].

        Its gradient in the code is that of the divergence where the ratio is the best one; features
        are constants in it, since theirs vanishes there (Proposition 2 of the paper).
        """
        features = features.detach()
        if not self.contrast:
            return self.ratio(features, code)[:, 0]
        away, log_std = self._apart(features, code)
        normals = 0.5 * (code.square() - away.square()).sum(1) - log_std.sum(1)
        return self.ratio(features, away)[:, 0] + normals

    def ratio_loss(self, features: Tensor) -> dict[str, Tensor]:
        """Logistic loss of the ratio, which separates codes of events from reference codes."""
        with torch.no_grad():
            code = self.draw(features)
            seen = self._apart(features, code)[0] if self.contrast else code
        at_code = self.ratio(features, seen)
        at_reference = self.ratio(features, torch.randn_like(seen))
        return {"ratio": (F.softplus(-at_code) + F.softplus(at_reference)).mean()}

    def phases(self, encoder: nn.Module, features: Callable[[Batch], Tensor]) -> tuple[Phase, ...]:
        """See :meth:`Latent.phases`: ``code_ratio``."""

        def loss(clouds: Batch) -> dict[str, Tensor]:
            with torch.no_grad():
                seen = features(clouds)
            return self.ratio_loss(seen)

        return (Phase("code_ratio", (self.ratio,), loss, repeat=self.steps),)

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Latent.posterior`: the normal of equal moments."""
        first, gains = self._gains(features)
        # A function of the parameters: a seed of its own, so that evaluation has no noise.
        draw = torch.Generator().manual_seed(0)
        values = self._functions(normal((_DRAWS, self.noise_channels), features, draw))
        mean = values.mean(0)
        away = values - mean
        covariance = torch.einsum("skz,slz->zkl", away, away) / (len(values) - 1)
        variance = torch.einsum("bkz,zkl,blz->bz", gains, covariance, gains)
        return first + (gains * mean).sum(1), (variance + 1e-8).log()

    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """See :meth:`Latent.sample`."""
        return normal((number, self.code_channels), self.linear.weight, generator)

    def _gains(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """a_0 [B, Z] and a_k [B, m, Z]."""
        values = self.linear(features).unflatten(1, (1 + self.functions, self.code_channels))
        return values[:, 0], 1.0 + values[:, 1:]

    def _functions(self, noise: Tensor) -> Tensor:
        """v_k(ε) [B, m, Z] of noise [B, E]."""
        values = self.basis(noise).unflatten(1, (self.functions, self.code_channels))
        return values / math.sqrt(self.functions)

    def _apart(self, features: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """(z - μ) / σ [B, Z] and log σ [B, Z], both constants but for z."""
        with torch.no_grad():
            mean, log_variance = self.posterior(features)
        return (code - mean) * (-0.5 * log_variance).exp(), 0.5 * log_variance
