r"""Markov chains whose stationary law is that of the data: kernels that are learnt, one by one.

.. math:: X_{t+1} \sim P(X \mid Z_t), \qquad Z_t \sim C(Z \mid X_t)

Whatever C loses of a cloud, P draws again. If P is the conditional law of the data given Z, the
data are stationary: with :math:`(X, Z)` from :math:`p(X) C(Z \mid X)`, a step draws X anew given Z.
Two models are such a chain:

* the **generative stochastic network** of Bengio et al., arXiv 1306.1091: C drops, adds and moves
  points (:class:`~pcgen.objectives.corruption.SetCorruption`), and P is an autoencoder that learns
  to undo it, by :math:`-\log P(X \mid \tilde X)`. *Walkback* trains it also on what k steps of the
  present chain make of X, so that the chain is led back to the data from where it goes astray;
* the **chain of an unregularised autoencoder** of Zhao, Song and Ermon, arXiv 1702.08658: C is the
  encoder's own posterior q(z | x), without a prior and so without a Kullback-Leibler term, and P
  the decoder p(x | z).

The chain goes on at fixed n, total, y and class, which are drawn first as for every model
(:mod:`pcgen.models.cardinality`): what mixes is the shape of a cloud given these. It starts from
points that are noise, never from the data, so ``burn_in`` steps have to lead it there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen.errors import at_least
from pcgen.models.autoencoder import Autoencoder, Gaussian
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.cardinality import Drawn
from pcgen.models.representations import Event, Representation
from pcgen.models.request import Request
from pcgen.ops.drawing import normal

State = TypeVar("State")
Kernel = Callable[[State, torch.Generator | None], State]
"""One step: the next state, drawn given the present one."""
Corruption = Callable[[Event, torch.Generator | None], Event]
"""Events as networks take them, with something lost."""


def markov_chain(
    kernel: Kernel[State], start: State, steps: int, generator: torch.Generator | None = None
) -> Iterator[State]:
    """The states that follow ``start``, one after each step.

    Args:
        kernel: Draws the next state.
        start: Before the first step; it is not among the states.
        steps: Number of states.
        generator: Source of all randomness.

    >>> list(markov_chain(lambda state, generator: state + 1, 0, 3))
    [1, 2, 3]
    """
    state = start
    for _ in range(steps):
        state = kernel(state, generator)
        yield state


@runtime_checkable
class Mixing(Protocol):
    """A model that samples by a chain.

    Attributes:
        burn_in: Steps to a sample.
        homogeneous: Whether all steps are of one kernel, so that the chain may go on for ever.
    """

    burn_in: int

    @property
    def homogeneous(self) -> bool:
        """See above."""
        ...

    def states(
        self, request: Request, steps: int, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """The requested clouds after each step of a chain of their own, in physical units."""
        ...


class Chain(GenerativeModel):
    """Encoder and decoder as the kernel of a chain.

    Args:
        codec: Gives p(cloud | code); with a posterior, from which codes are drawn, or without one.
        corruption: What the encoder takes in place of an event; None: the event itself.
        walkback: Further steps of the chain from each training event, from all of which the event
            is to be reconstructed.
        burn_in: Steps of the chain to a sample.
    """

    homogeneous = True
    representation: Representation

    def __init__(
        self,
        codec: Autoencoder,
        corruption: Corruption | None = None,
        *,
        walkback: int = 0,
        burn_in: int = 20,
    ) -> None:
        super().__init__()
        at_least(0, walkback=walkback)
        at_least(1, burn_in=burn_in)
        self.schema = codec.schema
        # A reference: the representation is a part of the autoencoder, and stored once.
        self.__dict__["representation"] = codec.representation
        self.codec, self.corruption = codec, corruption
        self.walkback, self.burn_in = walkback, burn_in

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then the kernel learns."""
        learning = Phase(
            "kernel", (self.codec.encoder, self.codec.latent, self.codec.decoder), self.loss
        )
        return (*self.representation.phases(), learning)

    def loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of -log P(X | Z), a mean over the states Z of the chain that starts at X."""
        event, condition = self.representation.see(clouds)
        drawn = self.representation.describe(clouds)
        state, found = clouds, []
        for step in range(1 + self.walkback):
            if step:
                with torch.no_grad():
                    state = self.step(state, drawn)
            code = self._lossy(state, condition)
            found.append(self.codec.mismatch(code, condition, event))
        return {name: torch.stack([terms[name] for terms in found]).mean() for name in found[0]}

    def step(self, clouds: Batch, drawn: Drawn, generator: torch.Generator | None = None) -> Batch:
        """One step of the chain of each cloud, in physical units.

        Args:
            clouds: Present states.
            drawn: What stays along the chain.
            generator: Source of all randomness.
        """
        condition = self.representation.condition(drawn)
        return self.codec.decode(self._lossy(clouds, condition, generator), drawn, generator)

    @torch.no_grad()
    def states(
        self, request: Request, steps: int, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """See :meth:`Mixing.states`."""
        drawn = self.representation.draw(request, generator)
        start = noise(self.representation, drawn, generator)

        def kernel(clouds: Batch, source: torch.Generator | None) -> Batch:
            return self.step(clouds, drawn, source)

        yield from markov_chain(kernel, start, steps, generator)

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`: the last of ``burn_in`` states."""
        return last(self.states(request, self.burn_in, generator))

    def _lossy(
        self, clouds: Batch, condition: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Codes [B, Z] that are drawn given the clouds."""
        event = self.representation.see(clouds).event
        if self.corruption is not None:
            event = self.representation.complete(self.corruption(event, generator))
        features = self.codec.encoder(event, condition)
        if not isinstance(self.codec.latent, Gaussian):
            return self.codec.latent(features).value
        mean, log_variance = self.codec.latent.posterior(features)
        return mean + (0.5 * log_variance).exp() * normal(tuple(mean.shape), mean, generator)


def noise(
    representation: Representation, drawn: Drawn, generator: torch.Generator | None = None
) -> Batch:
    """Clouds in physical units whose points are noise: where a chain starts."""
    blank = representation.unfilled(drawn)
    values = representation.values(blank)
    start = normal(tuple(values.shape), values, generator)
    return representation.clouds(representation.with_values(blank, start), drawn)


def last(states: Iterator[Batch]) -> Batch:
    """The last of at least one state."""
    return deque(states, maxlen=1)[0]
