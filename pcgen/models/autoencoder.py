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
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel, NoiseChannels, Phase
from pcgen.models.cardinality import Drawn
from pcgen.models.flow_decoder import FlowDecoder
from pcgen.models.latent_terms import Code, Deterministic, Gaussian, Latent
from pcgen.models.representations import Event, Representation
from pcgen.models.request import Request
from pcgen.ops.drawing import normal

__all__ = ["Autoencoder", "Code", "Deterministic", "Distance", "Gaussian", "Latent"]

Distance = Callable[[Event, Event], Tensor]
"""Of generated and real events as networks see them, per event [B]."""


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

    as_part = "autoencoder"
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
        """The representation is fitted; then one phase learns, and those of the latent term."""
        name = "bound" if self.reconstruction is None else "reconstruction"
        modules = (self.encoder, *self.latent.modules_to_learn, self.decoder)
        learning = Phase(name, modules, self.loss, optimiser=self.optimiser)
        further = self.latent.phases(self.encoder, self.features)
        return (*self.representation.phases(), learning, *further)

    def features(self, clouds: Batch) -> Tensor:
        """What the encoder makes of clouds in physical units [B, F]."""
        return self.encoder(*self.representation.see(clouds))

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
        code = self.latent.from_noise(code)
        event = self.decoder.decode(code, start, self.representation.condition(drawn))
        return self.representation.clouds(event, drawn)

    @property
    def has_bound(self) -> bool:
        """Whether decoder and posterior have densities, so that log p has a bound."""
        likelihood = self.reconstruction is None and not isinstance(self.decoder, FlowDecoder)
        return likelihood and self.latent.has_density

    @torch.no_grad()
    def log_likelihood(
        self, clouds: Batch, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        r"""Estimate of log p(event | condition), on average from below, in nats [B].

        .. math:: \log \frac1k \sum_{j=1}^k \frac{p(e \mid z_j, c)\, p(z_j)}{q(z_j \mid e, c)}

        The importance-weighted bound of Burda, Grosse and Salakhutdinov, arXiv 1509.00519, eq. 8:
        its mean is the bound of the loss for k = 1, rises with k and tends to log p. q is the
        posterior, or for one without a density the normal of equal moments, which bounds log p too.

        Args:
            clouds: In physical units.
            samples: k, codes per event.
            generator: Source of the codes.

        Raises:
            ArgumentError: ``samples`` is below 1, or the model has no likelihood.
        """
        if samples < 1:
            raise ArgumentError(f"samples: got {samples}, expected >= 1")
        if not self.has_bound:
            raise ArgumentError(
                "log_likelihood: got an autoencoder without a likelihood, expected the decoder's "
                "own likelihood as reconstruction and a posterior with a density"
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
