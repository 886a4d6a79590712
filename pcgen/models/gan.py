r"""Generative adversarial network on events: generator against critic, with a gradient penalty.

    critic:     game(D(x, c), D(G(z, n, c), c)) + λ penalty,        z ~ N(0, 1)
    generator:  game(D(G(z, n, c), c))

on points, images or active sites (:mod:`pcgen.models.representations`), where a generator is told
the condition c of real events and makes as many (Goodfellow et al., arXiv 1406.2661). With the
non-saturating game and R1 (Mescheder et al., arXiv 1801.04406), the default, it converges where
the plain game does not; R1 asks nothing of the generated events, so it suits sets, for which the
"in between" of WGAN-GP has no meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.models.base import Phase
from pcgen.models.representations import Event, Representation
from pcgen.models.represented import Represented
from pcgen.models.request import Request
from pcgen.objectives.adversarial import NON_SATURATING, OPTIMISER, Game
from pcgen.objectives.penalties import r1
from pcgen.ops.drawing import normal

Penalty = Callable[..., Tensor]
"""``(critic, real, generated, ptr=...) -> [B]``, see :mod:`pcgen.objectives.penalties`."""


class GAN(Represented):
    """Generator and critic of events.

    Args:
        representation: Physical clouds to events and back.
        generator: ``(code [B, Z], sizes [B], condition [B, K], generator)`` -> event.
        critic: ``(event, condition [B, K]) -> [B, 1]``.
        code_channels: Columns Z of the code.
        game: What the two play.
        penalty: On the critic's gradient with respect to the values. Where generated events have
            cells of their own (:class:`~pcgen.models.representations.Sites`) :func:`r1` alone.
        strength: λ, factor of the penalty.
        critic_steps: Steps of the critic per step of the generator.
    """

    def __init__(
        self,
        representation: Representation,
        generator: nn.Module,
        critic: nn.Module,
        code_channels: int,
        *,
        game: Game = NON_SATURATING,
        penalty: Penalty = r1,
        strength: float = 1.0,
        critic_steps: int = 1,
    ) -> None:
        super().__init__(representation)
        self.generator, self.critic, self.code_channels = generator, critic, code_channels
        self.game, self.penalty, self.strength = game, penalty, strength
        self.critic_steps = critic_steps

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then the critic and the generator take turns."""
        return (
            *self.representation.phases(),
            Phase(
                "critic",
                (self.critic,),
                self.critic_loss,
                repeat=self.critic_steps,
                optimiser=OPTIMISER,
            ),
            Phase("generator", (self.generator,), self.generator_loss, optimiser=OPTIMISER),
        )

    def critic_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the critic; generated events have the sizes and conditions of the real ones."""
        real, condition = self.representation.see(clouds)
        with torch.no_grad():
            made = self._make(real, condition)
        logits = self.critic(real, condition), self.critic(made, condition)
        return {
            "critic": self.game.critic_loss(*logits).mean(),
            "penalty": self.strength * self._penalty(real, made, condition).mean(),
        }

    def generator_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the generator."""
        real, condition = self.representation.see(clouds)
        logit = self.critic(self._make(real, condition), condition)
        of_real = self.critic(real, condition) if self.game.paired else None
        return {"generator": self.game.generator_loss(logit, of_real).mean()}

    @torch.no_grad()
    def generate(self, asked: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`."""
        drawn = self.representation.cardinality.draw(asked, generator)
        condition = self.representation.condition(drawn)
        code = normal((len(condition), self.code_channels), condition, generator)
        event = self.generator(code, drawn.sizes, condition, generator)
        return self.representation.clouds(event, drawn)

    def _make(self, real: Event, condition: Tensor) -> Event:
        """As many events as the real ones, of their sizes and conditions."""
        code = normal((len(condition), self.code_channels), condition, None)
        return self.generator(code, self.representation.sizes(real), condition, None)

    def _penalty(self, real: Event, made: Event, condition: Tensor) -> Tensor:
        """The penalty at the values of real and generated events [B]."""
        see = self.representation
        ptr = None if isinstance(real, Tensor) else real.ptr

        def critic(values: Tensor) -> Tensor:
            # Points and images: both sides have the same frame, which serves the values of either.
            return self.critic(see.with_values(real, values), condition)

        return self.penalty(critic, see.values(real), see.values(made), ptr=ptr)
