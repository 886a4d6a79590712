r"""Autoencoder of events: AE or VAE by its latent term, with set distances or a likelihood.

    code z = latent(encoder(event, c)),        event' = decoder(z, n, c),
    loss = reconstruction + latent term,

with the condition c (y, class, log n), which the decoder takes beside the code, so that the code
carries what is left. The reconstruction is one of two things:

* distances d(event', event) of sets, Chamfer's or the earth mover's, say (Achlioptas et al.,
  arXiv 1707.02392). With the :class:`Gaussian` latent this is a β-VAE (Higgins et al., ICLR 2017);
  a distance is no log-likelihood, so the sum bounds nothing, and β has to be found;
* the decoder's own likelihood, or the error of the velocity of a
  :class:`~pcgen.models.flow_decoder.FlowDecoder`. With a likelihood and β = 1 the loss is then the
  bound of Kingma and Welling, arXiv 1312.6114, in nats:

.. math::
    -\log p(e \mid c) \le E_{z \sim q}[-\log p(e \mid z, c)]
                          + \mathrm{KL}(q(z \mid e, c) \| N(0, 1)).

  The log fractions of an event are treated as free numbers, although the fractions sum to 1: the
  nats compare decoders of the same values, not different representations of an event.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel, NoiseChannels, Phase
from pcgen.models.cardinality import Drawn
from pcgen.models.flow_decoder import FlowDecoder
from pcgen.models.representations import Event, Representation
from pcgen.models.request import Request
from pcgen.objectives.latent import kl_normal
from pcgen.ops.drawing import normal

Distance = Callable[[Event, Event], Tensor]
"""Of generated and real events as networks see them, per event [B]."""


class Code(NamedTuple):
    """Codes [B, Z] and the terms, scalars, that they add to the loss."""

    value: Tensor
    terms: dict[str, Tensor]


class Latent(nn.Module, ABC):
    """From the encoder's features to codes.

    Attributes:
        has_prior: Whether codes can be drawn without an event.
        code_channels: Columns Z of the codes.
    """

    has_prior = True
    code_channels: int

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
    """Encoder, latent term and decoder on one representation.

    Args:
        representation: Physical clouds to events and back.
        encoder: ``(event, condition [B, K])`` -> features [B, F].
        latent: Features -> codes.
        decoder: ``(code, sizes, condition, generator)`` -> event; or, where ``reconstruction`` is
            None, a module with ``losses`` and ``sample``, see
            :class:`~pcgen.models.flow.EventDecoder`.
        reconstruction: Distances by name; their sum is minimised. None: the negative
            log-likelihood of the decoder.
        optimiser: Options of the optimiser that differ from those of the run; see
            :class:`~pcgen.models.base.Phase`.

    Raises:
        ArgumentError: there are no distances and the decoder has no likelihood.
    """

    representation: Representation
    decoder: Any  # one of two kinds of module, by ``reconstruction``

    def __init__(
        self,
        representation: Representation,
        encoder: nn.Module,
        latent: Latent,
        decoder: nn.Module,
        reconstruction: Mapping[str, Distance] | None = None,
        *,
        optimiser: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(representation)
        if reconstruction is None and not hasattr(decoder, "losses"):
            raise ArgumentError(
                f"decoder: got {type(decoder).__name__}, which has no likelihood, expected one "
                "with losses and sample, or distances for reconstruction"
            )
        self.encoder, self.latent, self.decoder = encoder, latent, decoder
        self.reconstruction = None if reconstruction is None else dict(reconstruction)
        self.optimiser = optimiser

    @property
    def can_sample(self) -> bool:
        """See :attr:`GenerativeModel.can_sample`."""
        return self.latent.has_prior

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then one phase learns."""
        name = "bound" if self.reconstruction is None else "reconstruction"
        parts = (self.encoder, self.latent, self.decoder)
        learning = Phase(name, parts, self.loss, optimiser=self.optimiser)
        return (*self.representation.phases(), learning)

    def loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the reconstruction, and the latent term.

        With a likelihood and ``beta=1`` their sum is the bound on -log p in nats while training; in
        evaluation mode the code has no noise (see :meth:`log_likelihood` for the bound).
        """
        real, condition = self.representation.see(clouds)
        code = self.latent(self.encoder(real, condition))
        terms = self.mismatch(code.value, condition, real)
        return {name: term.mean() for name, term in terms.items()} | code.terms

    def mismatch(self, code: Tensor, condition: Tensor, real: Event) -> dict[str, Tensor]:
        """Terms [B] of the reconstruction of events from codes [B, Z] and conditions [B, K]."""
        if self.reconstruction is None:
            losses: dict[str, Tensor] = self.decoder.losses(code, condition, real)
            return losses
        sizes = self.representation.sizes(real)
        generated = self.representation.complete(self.decoder(code, sizes, condition, None))
        return {name: d(generated, real) for name, d in self.reconstruction.items()}

    def encode(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        """Codes [B, Z] and conditions [B, K] of clouds in physical units."""
        event, condition = self.representation.see(clouds)
        return self.latent(self.encoder(event, condition)).value, condition

    def decode(self, code: Tensor, drawn: Drawn, generator: torch.Generator | None = None) -> Batch:
        """Clouds in physical units that carry ``drawn.total``; of points, exactly ``drawn.sizes``.

        Args:
            code: [B, Z].
            drawn: Size, total, centroid and condition of each cloud.
            generator: Source of the decoder's noise.
        """
        condition = self.representation.condition(drawn)
        if isinstance(self.decoder, FlowDecoder):
            event = self.decoder.fill(
                code, self.representation.unfilled(drawn), condition, generator
            )
        else:
            decode = self.decoder if self.reconstruction is not None else self.decoder.sample
            event = decode(code, drawn.sizes, condition, generator)
        return self.representation.clouds(event, drawn)

    @torch.no_grad()
    def reconstruct(self, clouds: Batch, generator: torch.Generator | None = None) -> Batch:
        """What is left of clouds that go through their codes."""
        drawn = self.representation.describe(clouds)
        return self.decode(self.encode(clouds)[0], drawn, generator)

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`; codes come from the latent's prior."""
        drawn = self.representation.draw(request, generator)
        return self.decode(self.latent.sample(request.number, generator), drawn, generator)

    @property
    def noise_channels(self) -> NoiseChannels:
        """See :class:`~pcgen.models.base.FromNoise`; the code is noise where it has a prior."""
        return NoiseChannels(self.decoder.noise_channels, self.latent.code_channels)

    def from_noise(self, start: Batch, code: Tensor, drawn: Drawn) -> Batch:
        """See :meth:`pcgen.models.base.FromNoise.from_noise`; of a decoder of points."""
        event = self.decoder.decode(code, start, self.representation.condition(drawn))
        return self.representation.clouds(event, drawn)

    @torch.no_grad()
    def log_likelihood(
        self, clouds: Batch, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        r"""Estimate of log p(event | condition), on average from below, in nats [B].

        .. math:: \log \frac1k \sum_{j=1}^k \frac{p(e \mid z_j, c)\, p(z_j)}{q(z_j \mid e, c)}

        The importance-weighted bound of Burda, Grosse and Salakhutdinov, arXiv 1509.00519, eq. 8:
        its mean is the bound of the loss for k = 1, rises with k and tends to log p.

        Args:
            clouds: In physical units.
            samples: k, codes per event.
            generator: Source of the codes.

        Raises:
            ArgumentError: ``samples`` is below 1, or the model has no likelihood.
        """
        if samples < 1:
            raise ArgumentError(f"samples: got {samples}, expected >= 1")
        without = self.reconstruction is not None or isinstance(self.decoder, FlowDecoder)
        if without or not isinstance(self.latent, Gaussian):
            raise ArgumentError(
                "log_likelihood: got an autoencoder without a likelihood, expected the Gaussian "
                "latent and the decoder's own likelihood as reconstruction"
            )
        event, condition = self.representation.see(clouds)
        mean, log_variance = self.latent.posterior(self.encoder(event, condition))
        weights = []
        for _ in range(samples):
            noise = normal(tuple(mean.shape), mean, generator)
            code = mean + (0.5 * log_variance).exp() * noise
            terms = self.decoder.losses(code, condition, event)
            # log N(z; 0, 1) - log N(z; μ, σ²)
            ratio = 0.5 * (noise.square() + log_variance - code.square()).sum(1)
            weights.append(ratio - torch.stack(list(terms.values())).sum(0))
        return torch.stack(weights).logsumexp(0) - math.log(samples)
