r"""GAN of events that are generated from contexts: one step from noise, given what each comes from.

.. math:: G(z, c) = z + u(z, c), \qquad z \sim N(0, 1)

for each point, where u is a field at t = 0 whose points read from the context c: the generator of
:mod:`pcgen.models.flow_gan`, with contexts. The critic D(x, c) reads the context too, with a reader
of its own, so that it sees whether an event belongs to its context and not only whether it is like
events. A generator that ignores the noise answers every context in one way; whether it does is what
the scores of :mod:`pcgen.metrics.answers` show (Isola et al., arXiv 1611.07004, on images).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.gan import GAN, Adversary
from pcgen.models.representations import Points
from pcgen.models.request import Request
from pcgen.ops.drawing import normal


class ContextGAN(GAN):
    """Generator and critic of events with contexts.

    Args:
        representation: With contexts.
        generator: ``(noise with contexts, condition [B, K]) -> [N, C]``, what is added to it.
        critic: ``(event with contexts, condition [B, K]) -> [B, 1]``.
        adversary: What the two play.

    Raises:
        ArgumentError: the representation has no contexts.
    """

    def __init__(
        self,
        representation: Points,
        generator: nn.Module,
        critic: nn.Module,
        adversary: Adversary | None = None,
    ) -> None:
        if representation.contexts is None:
            raise ArgumentError("representation: got one without contexts, expected contexts")
        super().__init__(representation, generator, critic, 0, adversary)

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`."""
        drawn = self.representation.draw(request, generator)
        frame = self.representation.unfilled(drawn)
        event = self._make(frame, self.representation.condition(drawn), generator)
        return self.representation.clouds(event, drawn)

    def _make(
        self, real: Batch, condition: Tensor, generator: torch.Generator | None = None
    ) -> Batch:
        """Events of the contexts and sizes of others."""
        values = self.representation.values(real)
        noise = normal(tuple(values.shape), values, generator)
        start = self.representation.with_values(real, noise)
        return self.representation.with_values(real, noise + self.generator(start, condition))
