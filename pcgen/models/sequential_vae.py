r"""The sequential VAE: a short chain of decoders, each of which mends what the one before made.

.. math:: X_t \sim p_t(X \mid z_t, X_{t-1}), \qquad z_t \sim N(0, 1), \qquad t = 1 \dots L

from an X_0 that is noise. In training :math:`z_t \sim q_t(z \mid X)` is the code of the true event
and :math:`X_{t-1}` what the step before made of its own code, through which no gradient passes:

.. math::
    \mathcal{L} = \sum_t d(X_t, X) + \beta c\, \mathrm{KL}(q_t(z \mid X) \| N(0, 1)),
    \qquad c = 1 - e^{-s / s_0}

with c rising from 0 in the course of the run, s the fraction that is done and :math:`s_0` a tenth
(Zhao, Song and Ermon, arXiv 1702.08658; in their program d is 16 times the squared error, c rises
over 10,000 steps, and the last step's output is the sample). Since an L2 error answers with means,
one step blurs; each further one sees the blurred event, of which fewer events can be the origin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError, at_least
from pcgen.models.autoencoder import Distance, Gaussian
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.cardinality import Drawn
from pcgen.models.chain import last, noise
from pcgen.models.representations import Event, Representation
from pcgen.models.request import Request
from pcgen.objectives.latent import kl_normal
from pcgen.ops.drawing import normal

RISE = 0.1
"""Fraction of the run over which the weight of the divergence rises to 1 - 1/e."""


class Transition(nn.Module):
    """One step of the chain: its posterior, and its decoder.

    Args:
        encoder: ``(event, condition [B, K])`` -> features [B, F] of the event to be made.
        latent: Features -> posterior of the code [B, Z].
        reader: ``(event, condition)`` -> features [B, R] of the event before.
        decoder: ``(code and features [B, Z + R], sizes [B], condition, generator)`` -> event.
    """

    def __init__(
        self, encoder: nn.Module, latent: Gaussian, reader: nn.Module, decoder: nn.Module
    ) -> None:
        super().__init__()
        self.encoder, self.latent = encoder, latent
        self.reader, self.decoder = reader, decoder

    def forward(
        self, code: Tensor, before: Event, sizes: Tensor, condition: Tensor,
        generator: torch.Generator | None = None,
    ) -> Event:  # fmt: skip
        """The event after the step, from a code [B, Z] and the event before."""
        seen = torch.cat([code, self.reader(before, condition)], 1)
        return self.decoder(seen, sizes, condition, generator)


class SequentialVAE(GenerativeModel):
    """Transitions in their order, trained together.

    Args:
        representation: Physical clouds to events and back.
        transitions: One for each step, or one for all: a homogeneous chain.
        reconstruction: Distances by name; their sum is minimised.
        steps: L; None: as many as there are transitions.
        beta: Factor of the divergence once it has risen.

    Attributes:
        burn_in: L.

    Raises:
        ArgumentError: several transitions, but not L of them.
    """

    representation: Representation

    def __init__(
        self,
        representation: Representation,
        transitions: Sequence[Transition],
        reconstruction: Mapping[str, Distance],
        *,
        steps: int | None = None,
        beta: float = 1 / 16,
    ) -> None:
        super().__init__(representation)
        steps = len(transitions) if steps is None else steps
        at_least(1, steps=steps)
        at_least(0, beta=beta)
        if len(transitions) not in (1, steps):
            raise ArgumentError(
                f"transitions: got {len(transitions)} for {steps} steps, expected one or {steps}"
            )
        self.transitions = nn.ModuleList(transitions)
        self.reconstruction = dict(reconstruction)
        self.burn_in, self.beta, self.weight = steps, beta, 1.0

    @property
    def homogeneous(self) -> bool:
        """Whether one transition makes all steps."""
        return len(self.transitions) == 1

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then all transitions learn."""
        learning = Phase("chain", (self.transitions,), self.loss, progress=self._rise)
        return (*self.representation.phases(), learning)

    def loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Sums over the steps of the distances, and of the divergence with its weight."""
        real, condition = self.representation.see(clouds)
        sizes, drawn = self.representation.sizes(real), self.representation.describe(clouds)
        before = self.representation.see(noise(self.representation, drawn)).event
        terms: dict[str, Tensor] = {}
        for step in range(self.burn_in):
            transition = self._transition(step)
            mean, log_variance = transition.latent.posterior(transition.encoder(real, condition))
            code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            made = self.representation.complete(transition(code, before, sizes, condition))
            found = {name: d(made, real).mean() for name, d in self.reconstruction.items()}
            found["kl"] = self.beta * self.weight * kl_normal(mean, log_variance).mean()
            terms = {name: terms.get(name, 0.0) + term for name, term in found.items()}
            with torch.no_grad():
                before = self._again(made, drawn)
        return terms

    @torch.no_grad()
    def states(
        self, request: Request, steps: int, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """The requested clouds after each step, in physical units.

        Raises:
            ArgumentError: more steps than there are, of a chain that is not homogeneous.
        """
        if not self.homogeneous and steps > self.burn_in:
            raise ArgumentError(
                f"steps: got {steps}, expected at most {self.burn_in}: each has a network of its "
                "own"
            )
        drawn = self.representation.draw(request, generator)
        condition = self.representation.condition(drawn)
        clouds = noise(self.representation, drawn, generator)
        for step in range(steps):
            transition = self._transition(step)
            like = transition.latent.linear.weight
            shape = (request.number, transition.latent.code_channels)
            before = self.representation.see(clouds).event
            made = transition(
                normal(shape, like, generator), before, drawn.sizes, condition, generator
            )
            clouds = self.representation.clouds(made, drawn)
            yield clouds

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`: what the last step makes."""
        return last(self.states(request, self.burn_in, generator))

    def _again(self, event: Event, drawn: Drawn) -> Event:
        """An event as the next step is given it: as it is seen once it is a cloud."""
        return self.representation.see(self.representation.clouds(event, drawn)).event

    def _transition(self, step: int) -> Transition:
        found = self.transitions[0 if self.homogeneous else step]
        assert isinstance(found, Transition)
        return found

    def _rise(self, done: float) -> None:
        self.weight = 1.0 - math.exp(-done / RISE)
