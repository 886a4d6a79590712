r"""Generative adversarial network on events: generator against critic, with a gradient penalty.

    critic:     game(D(x, c), D(G(z, n, c), c)) + λ penalty,        z ~ N(0, 1)
    generator:  game(D(G(z, n, c), c))

on points, images or active sites (:mod:`pcgen.models.representations`): as many events are
generated as there are real ones, with the conditions c of the real ones (Goodfellow et al.,
arXiv 1406.2661). With the non-saturating game and R1 (Mescheder et al., arXiv 1801.04406), the
default, it converges where the plain game does not; R1 is taken at real events alone, so it suits
sets, for which the "in between" of WGAN-GP has no meaning.

An :class:`Adversary` is that game as a value: the same one plays on events here and on codes in
:class:`~pcgen.models.priors.AdversarialPrior`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel, Loss, NoiseChannels, Phase
from pcgen.models.cardinality import Drawn
from pcgen.models.representations import Event, Representation
from pcgen.models.request import Request
from pcgen.objectives.adversarial import NON_SATURATING, OPTIMISER, Game
from pcgen.objectives.penalties import r1
from pcgen.ops.drawing import normal

Penalty = Callable[..., Tensor]
"""``(critic, real, generated, ptr=...) -> [B]``, see :mod:`pcgen.objectives.penalties`."""


@dataclass(frozen=True)
class Adversary:
    """What critic and generator play, the same for events and for codes.

    Attributes:
        game: Link function of the two losses.
        penalty: On the critic's gradient; None for none. Where generated events have cells of their
            own (:class:`~pcgen.models.representations.Sites`) :func:`r1` alone.
        strength: λ, factor of the penalty.
        steps: Steps of the critic per step of the generator.
    """

    game: Game = NON_SATURATING
    penalty: Penalty | None = r1
    strength: float = 1.0
    steps: int = 1

    def critic_loss(
        self,
        critic: Callable[[Any], Tensor],
        real: Any,
        generated: Any,
        representation: Representation | None = None,
    ) -> dict[str, Tensor]:
        """Terms of the critic.

        Args:
            critic: Event or code -> logits [B, 1].
            real: Events, or codes [B, Z].
            generated: As many generated ones, without gradient.
            representation: Of the events, whose values the penalty varies; None for codes.
        """
        terms = {"critic": self.game.critic_loss(critic(real), critic(generated)).mean()}
        if self.penalty is not None:
            slope = self.slope(critic, real, generated, representation)
            terms["penalty"] = self.strength * slope.mean()
        return terms

    def generator_loss(
        self, critic: Callable[[Any], Tensor], real: Any, generated: Any
    ) -> dict[str, Tensor]:
        """Terms of the generator; ``real`` events or codes are used in a paired game only."""
        logit = critic(generated)
        of_real = critic(real) if self.game.paired else None
        return {"generator": self.game.generator_loss(logit, of_real).mean()}

    def phases(
        self, critic: nn.Module, critic_loss: Loss, generator: nn.Module, generator_loss: Loss
    ) -> tuple[Phase, Phase]:
        """The critic ``steps`` times, then the generator once."""
        return (
            Phase("critic", (critic,), critic_loss, repeat=self.steps, optimiser=OPTIMISER),
            Phase("generator", (generator,), generator_loss, optimiser=OPTIMISER),
        )

    def slope(
        self,
        critic: Callable[[Any], Tensor],
        real: Any,
        generated: Any,
        representation: Representation | None = None,
    ) -> Tensor:
        """The penalty [B] at the values of real and generated events, or at codes.

        Raises:
            ArgumentError: there is no penalty, or it has no meaning for such events.
        """
        if self.penalty is None:
            raise ArgumentError("penalty: got none, expected one")
        if representation is None:
            return self.penalty(critic, real, generated)
        ptr = None if isinstance(real, Tensor) else real.ptr

        def of_values(values: Tensor) -> Tensor:
            # Points and images: both sides have the same frame, which serves the values of either.
            return critic(representation.with_values(real, values))

        values = representation.values(real), representation.values(generated)
        return self.penalty(of_values, *values, ptr=ptr)


class GAN(GenerativeModel):
    """Generator and critic of events.

    Args:
        representation: Physical clouds to events and back.
        generator: ``(code [B, Z], sizes [B], condition [B, K], generator)`` -> event.
        critic: ``(event, condition [B, K]) -> [B, 1]``.
        code_channels: Columns Z of the code.
        adversary: What the two play.
    """

    representation: Representation
    generator: Any  # of points it also has noise_channels and decode

    def __init__(
        self,
        representation: Representation,
        generator: nn.Module,
        critic: nn.Module,
        code_channels: int,
        adversary: Adversary | None = None,
    ) -> None:
        super().__init__(representation)
        self.generator, self.critic, self.code_channels = generator, critic, code_channels
        self.adversary = Adversary() if adversary is None else adversary

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then the critic and the generator take turns."""
        play = self.adversary.phases(
            self.critic, self.critic_loss, self.generator, self.generator_loss
        )
        return (*self.representation.phases(), *play)

    def critic_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the critic; generated events have the sizes and conditions of the real ones."""
        real, condition = self.representation.see(clouds)
        with torch.no_grad():
            generated = self._make(real, condition)
        critic = self._critic(condition)
        return self.adversary.critic_loss(critic, real, generated, self.representation)

    def generator_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the generator."""
        real, condition = self.representation.see(clouds)
        generated = self._make(real, condition)
        return self.adversary.generator_loss(self._critic(condition), real, generated)

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`."""
        drawn = self.representation.draw(request, generator)
        condition = self.representation.condition(drawn)
        code = normal((len(condition), self.code_channels), condition, generator)
        event = self.generator(code, drawn.sizes, condition, generator)
        return self.representation.clouds(event, drawn)

    @property
    def noise_channels(self) -> NoiseChannels:
        """See :class:`~pcgen.models.base.FromNoise`."""
        return NoiseChannels(self.generator.noise_channels, self.code_channels)

    def from_noise(self, start: Batch, code: Tensor, drawn: Drawn) -> Batch:
        """See :meth:`pcgen.models.base.FromNoise.from_noise`; of a generator of points."""
        condition = self.representation.condition(drawn)
        event = self.generator.decode(code, start, condition)
        return self.representation.clouds(event, drawn)

    def _critic(self, condition: Tensor) -> Callable[[Event], Tensor]:
        return lambda event: self.critic(event, condition)

    def _make(self, real: Event, condition: Tensor) -> Event:
        """As many events as the real ones, of their sizes and conditions."""
        code = normal((len(condition), self.code_channels), condition, None)
        return self.generator(code, self.representation.sizes(real), condition, None)
