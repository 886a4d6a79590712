r"""Variational autoencoder of events: a bound on their likelihood, in nats.

.. math::
    -\log p(e \mid c) \le E_{z \sim q}[-\log p(e \mid z, c)]
                          + \mathrm{KL}(q(z \mid e, c) \| N(0, 1))

(Kingma and Welling, arXiv 1312.6114) for an event e of a representation and its condition c (y,
class, log n); :math:`q = N(\mu, \sigma^2)` is what the encoder says, and the first term is that of
a decoder with a likelihood: pixels with a normal law, or occupancy and energy of cells.

An :class:`~pcgen.models.autoencoder.Autoencoder` with the same latent term is something else: its
distances of clouds (Chamfer, earth mover's) are no log-likelihoods, so their sum with the
divergence bounds nothing, its scale is arbitrary and β has to be found; and it makes as many points
as it is told. Here the terms are in one unit, and the occupied cells are part of what is modelled.
The log fractions of an event are treated as free numbers, although the fractions sum to 1: the nats
compare decoders of the same values, and are those of no other way to tell an event.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.autoencoder import Gaussian
from pcgen.models.base import Phase
from pcgen.models.event_decoder import EventDecoder
from pcgen.models.representations import Representation
from pcgen.models.represented import Represented
from pcgen.models.request import Request
from pcgen.ops.drawing import normal


class VAE(Represented):
    """Encoder, normal latent and a decoder that has a likelihood.

    Args:
        representation: Physical clouds to events and back.
        encoder: ``(event, condition [B, K]) -> [B, F]``.
        latent: Features to codes; with ``beta=1`` the loss is a bound.
        decoder: A module with ``losses`` and ``sample``, see
            :class:`~pcgen.models.event_decoder.EventDecoder`.

    Raises:
        ArgumentError: the decoder is not a module.
    """

    def __init__(
        self,
        representation: Representation,
        encoder: nn.Module,
        latent: Gaussian,
        decoder: EventDecoder,
    ) -> None:
        super().__init__(representation)
        if not isinstance(decoder, nn.Module):
            raise ArgumentError(f"decoder: got {type(decoder).__name__}, expected a module")
        self.encoder, self.latent, self.decoder = encoder, latent, decoder

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then one phase learns."""
        learning = Phase("bound", (self.encoder, self.latent, self.decoder), self.loss)
        return (*self.representation.phases(), learning)

    def loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the decoder and the divergence.

        Their sum is the bound on -log p in nats while training and for ``beta=1``; in evaluation
        mode the code has no noise (see :meth:`log_likelihood` for the bound).
        """
        event, condition = self.representation.see(clouds)
        code = self.latent(self.encoder(event, condition))
        terms = self.decoder.losses(code.value, condition, event)
        return {name: term.mean() for name, term in terms.items()} | code.terms

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
            ArgumentError: ``samples`` is below 1.
        """
        if samples < 1:
            raise ArgumentError(f"samples: got {samples}, expected >= 1")
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

    @torch.no_grad()
    def generate(self, asked: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`; codes come from the prior."""
        drawn = self.representation.cardinality.draw(asked, generator)
        condition = self.representation.condition(drawn)
        code = self.latent.sample(asked.number, generator)
        event = self.decoder.sample(code, drawn.sizes, condition, generator)
        return self.representation.clouds(event, drawn)
