r"""Autoencoder of clouds; its latent term makes it an AE or a VAE.

    code z = latent(encoder(cloud)),    cloud' = decoder(z, n, condition),
    loss = d(cloud', cloud) + latent term.

The condition (y, class, log n) is given to the decoder beside the code, so the code carries what is
left. With the :class:`Gaussian` latent the loss is that of the β-VAE,

    d(cloud', cloud) + β KL(N(μ, σ²) || N(0, 1)),

(Kingma and Welling, arXiv 1312.6114; Higgins et al., ICLR 2017). With d a Chamfer or earth mover's
distance, which is not a log-likelihood, this is a Gibbs posterior and not a bound on log p(x).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.cardinality import Cardinality, Drawn, describe, recentred
from pcgen.models.request import Request
from pcgen.objectives.latent import kl_normal
from pcgen.ops.drawing import normal
from pcgen.standardize import Standardize

Distance = Callable[[Batch, Batch], Tensor]
"""Of generated and real clouds in standardised units, per cloud [B]."""


class Code(NamedTuple):
    """Codes [B, Z] and the terms, scalars, that they add to the loss."""

    value: Tensor
    terms: dict[str, Tensor]


class Latent(nn.Module, ABC):
    """From the encoder's features to codes."""

    @abstractmethod
    def forward(self, features: Tensor) -> Code:
        """Codes of features [B, F]; in evaluation mode without noise."""

    @abstractmethod
    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """Codes [B, Z] of the prior."""


class Deterministic(Latent):
    """A linear map to the code and no term: the plain autoencoder, which has no prior.

    Args:
        in_channels: Columns F of the encoder's features.
        code_channels: Columns Z of the code.
    """

    def __init__(self, in_channels: int, code_channels: int) -> None:
        super().__init__()
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
            "Autoencoder.sample: got a plain autoencoder, expected one with a prior over its "
            "codes: put it into a LatentModel, or use the Gaussian latent (VAE)"
        )


class Gaussian(Latent):
    """Normal posterior with a diagonal covariance, drawn by reparametrisation: the VAE.

    Args:
        in_channels: Columns F of the encoder's features.
        code_channels: Columns Z of the code.
        beta: Factor of the Kullback-Leibler term.
    """

    def __init__(self, in_channels: int, code_channels: int, *, beta: float = 1.0) -> None:
        super().__init__()
        self.code_channels, self.beta = code_channels, beta
        self.linear = nn.Linear(in_channels, 2 * code_channels)
        # Unit variance at first, whatever the size of the features: the exponential of a large one
        # would be the whole loss, or infinite.
        with torch.no_grad():
            self.linear.weight[code_channels:] = 0.0
            self.linear.bias[code_channels:] = 0.0

    def forward(self, features: Tensor) -> Code:
        """See :meth:`Latent.forward`."""
        mean, log_variance = self.posterior(features)
        terms = {"kl": self.beta * kl_normal(mean, log_variance).mean()}
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


class Autoencoder(GenerativeModel):
    """Encoder, latent term and decoder, with all that is needed to go back to physical units.

    Args:
        standardize: Physical to standardised units and back; says the schema.
        cardinality: p(n, total | y, label).
        encoder: Standardised clouds -> features [B, F].
        latent: Features -> codes.
        decoder: ``(code, sizes, condition, generator)`` -> standardised clouds.
        reconstruction: Terms of the reconstruction loss by name; their sum is minimised.
        recentre: Move each sampled cloud so that its weighted centre is that of a training cloud.
            For clouds whose centre is a convention of the data, such as constituents relative to
            the jet axis, and not a property of the event.
    """

    def __init__(
        self,
        *,
        standardize: Standardize,
        cardinality: Cardinality,
        encoder: nn.Module,
        latent: Latent,
        decoder: nn.Module,
        reconstruction: Mapping[str, Distance],
        recentre: bool = False,
    ) -> None:
        super().__init__()
        self.schema = standardize.schema
        self.standardize, self.cardinality = standardize, cardinality
        self.encoder, self.latent, self.decoder = encoder, latent, decoder
        self.reconstruction, self.recentre = dict(reconstruction), recentre

    def phases(self) -> Sequence[Phase]:
        """Standardisation and cardinality are found first; then one phase learns."""
        return (
            Phase("standardize", (self.standardize,), None, prepare=self.standardize.fit),
            Phase("cardinality", (self.cardinality,), None, prepare=self.cardinality.fit),
            Phase("reconstruction", (self.encoder, self.latent, self.decoder), self.loss),
        )

    def loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Distances between clouds and their reconstruction, and the latent term."""
        real = self.standardize(clouds)
        code = self.latent(self.encoder(real))
        made = self._decode(code.value, cl.sizes(real), real.y, None)
        terms = {name: d(made, real).mean() for name, d in self.reconstruction.items()}
        return terms | code.terms

    def encode(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        """Codes [B, Z] and conditions [B, K] of clouds in physical units."""
        seen = self.standardize(clouds)
        return self.latent(self.encoder(seen)).value, seen.y

    def condition(self, drawn: Drawn) -> Tensor:
        """What networks are told of clouds that have no points yet [B, K]."""
        return self.standardize.condition(drawn.y, drawn.label, drawn.sizes)

    def decode(self, code: Tensor, drawn: Drawn, generator: torch.Generator | None = None) -> Batch:
        """Clouds in physical units: exactly ``drawn.sizes`` points that carry ``drawn.total``.

        Args:
            code: [B, Z].
            drawn: Size, total, centroid and condition of each cloud.
            generator: Source of the decoder's noise.
        """
        made = self._decode(code, drawn.sizes, self.condition(drawn), generator)
        clouds = self.standardize.inverse(made, drawn.total)
        clouds = cl.replace(clouds, y=drawn.y, label=drawn.label)
        return recentred(clouds, drawn.centroid, self.schema) if self.recentre else clouds

    @torch.no_grad()
    def reconstruct(self, clouds: Batch, generator: torch.Generator | None = None) -> Batch:
        """What is left of clouds that go through their codes."""
        drawn = describe(clouds, self.schema)
        return self.decode(self.encode(clouds)[0], drawn, generator)

    @property
    def condition_range(self) -> tuple[Tensor, Tensor] | None:
        """See :attr:`GenerativeModel.condition_range`."""
        return self.cardinality.condition_range

    @property
    def classes(self) -> tuple[str, ...]:
        """See :attr:`GenerativeModel.classes`."""
        return self.cardinality.classes

    @torch.no_grad()
    def generate(self, asked: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`; codes come from the latent's prior."""
        code = self.latent.sample(asked.number, generator)
        return self.decode(code, self.cardinality.draw(asked, generator), generator)

    def _decode(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor,
        generator: torch.Generator | None,
    ) -> Batch:
        """Standardised clouds, with the fraction as their weight where points carry one."""
        made = self.decoder(code, sizes, condition, generator)
        if self.schema.weight is None:
            return made
        return cl.replace(made, weight=self.standardize.fractions(made.x, made.ptr))
