r"""Point-set generation: a network of one step from a context and noise to a set of points.

With g what a network reads of the context c, and noise r,

.. math::
    X = G(g(c), r), \qquad
    \text{loss} = E\Big[\min_{j = 1 \ldots N} d\big(G(g(c), r_j), Y\big)\Big], \quad
    r_j \sim N(0, 1)

("min of N"), where d is a distance of sets and Y an event of the context. With N = 1 the noise is
ignored, and what comes out is the mean of all answers as d understands means; with more, one guess
has to be right and the others are free to be other answers. Or, as a conditional VAE, r is the code
of the event with a normal posterior,

.. math::
    \text{loss} = E_{r \sim q(r \mid Y, c)}\, d(G(g(c), r), Y)
                  + \beta\, \mathrm{KL}\big(q(r \mid Y, c)\,\|\,N(0, 1)\big).

Fan, Su and Guibas, "A point set generation network for 3D object reconstruction from a single
image", arXiv 1612.00603, sections 3.3 (min of N, with N = 2) and 4.5 (conditional VAE). The number
of points and the total are drawn first, given the context, and are not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, at_least
from pcgen.models.autoencoder import Distance, Latent
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.representations import Representation
from pcgen.models.request import Request
from pcgen.ops.drawing import normal


class SetGeneration(GenerativeModel):
    """Events of one step from contexts and noise.

    Args:
        representation: With contexts.
        reader: ``(event) -> event`` with what was read of the context in its place, see
            :class:`~pcgen.models.flow.FlowMatching`; its rows [B, G] are the condition of the set.
        decoder: ``(code [B, G + Z], sizes, condition, generator) -> event``.
        distances: Of sets, by name; their sum is minimised.
        row_channels: G.
        noise_channels: Z.
        guesses: N.
        encoder: ``(event, condition) -> features``, for a conditional VAE,
        latent: and its codes of features and rows. Both, or none.

    Raises:
        ArgumentError: the representation has no contexts, or options do not go together.
    """

    representation: Representation

    def __init__(
        self,
        representation: Representation,
        reader: nn.Module,
        decoder: nn.Module,
        distances: Mapping[str, Distance],
        *,
        row_channels: int,
        noise_channels: int,
        guesses: int = 2,
        encoder: nn.Module | None = None,
        latent: Latent | None = None,
    ) -> None:
        super().__init__(representation)
        at_least(1, noise_channels=noise_channels, guesses=guesses)
        if representation.contexts is None:
            raise ArgumentError("representation: got one without contexts, expected contexts")
        if (encoder is None) != (latent is None) or (encoder is not None and guesses > 1):
            raise ArgumentError(
                f"encoder, latent, guesses: got {encoder is not None}, {latent is not None} and "
                f"{guesses}, expected both for a conditional VAE, whose guesses are 1, or none"
            )
        self.reader, self.decoder, self.distances = reader, decoder, dict(distances)
        self.row_channels, self.noise_channels = row_channels, noise_channels
        self.guesses, self.encoder, self.latent = guesses, encoder, latent

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then one phase learns."""
        parts = (self.reader, self.decoder, self.encoder, self.latent)
        networks = tuple(part for part in parts if part is not None)
        return (*self.representation.phases(), Phase("guess", networks, self.loss))

    def loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Distance of the best guess, and the latent term of a conditional VAE."""
        event, condition = self.representation.see(clouds)
        rows = self._rows(event)
        real = cl.replace(event, context=None)
        if self.encoder is None or self.latent is None:
            draws = [torch.randn(len(rows), self.noise_channels).to(rows)
                     for _ in range(self.guesses)]  # fmt: skip
            terms: dict[str, Tensor] = {}
        else:
            code = self.latent(torch.cat([self.encoder(real, condition), rows], 1))
            draws, terms = [code.value], code.terms
        found = [self._distance(rows, noise, real, condition) for noise in draws]
        return {"distance": torch.stack(found).min(0).values.mean(), **terms}

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`."""
        drawn = self.representation.draw(request, generator)
        event = self.representation.unfilled(drawn)
        condition, rows = self.representation.condition(drawn), self._rows(event)
        noise = normal((len(rows), self.noise_channels), rows, generator)
        made = self.decoder(torch.cat([rows, noise], 1), drawn.sizes, condition, generator)
        return self.representation.clouds(self.representation.complete(made), drawn)

    def _rows(self, event: Batch) -> Tensor:
        read = cl.context(self.reader(event))
        assert read is not None
        rows: Tensor = read.y
        return rows

    def _distance(self, rows: Tensor, noise: Tensor, real: Batch, condition: Tensor) -> Tensor:
        """Of one guess to the event [B]."""
        code = torch.cat([rows, noise], 1)
        made = self.decoder(code, self.representation.sizes(real), condition, None)
        made = self.representation.complete(made)
        values = [distance(made, real) for distance in self.distances.values()]
        return torch.stack(values).sum(0)
