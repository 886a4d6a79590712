r"""Latent GAN: an adversarial prior on the codes of a trained autoencoder.

Achlioptas et al., ICML 2018, arXiv 1707.02392, with the Wasserstein game and gradient penalty of
Gulrajani et al., arXiv 1704.00028, or any other :class:`~pcgen.objectives.adversarial.Game`:

    critic:     game(D(e, c), D(e', c)) + λ penalty,        e' = ε + G(ε, c),   ε ~ N(0, 1)
    generator:  game(D(e', c))

on whitened codes e given the condition c. The generator adds to its noise, so it starts near the
conditional normal distribution that fits the codes and learns what that one lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.models.base import Phase
from pcgen.models.codes import Codes
from pcgen.models.latent import Prior
from pcgen.objectives.adversarial import OPTIMISER, WASSERSTEIN, Game
from pcgen.objectives.penalties import wgan_gp
from pcgen.ops.drawing import normal

Penalty = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]
"""``(critic, real, generated) -> [B]``, see :mod:`pcgen.objectives.penalties`."""


class LatentGAN(Prior):
    """Generator and critic of codes.

    Args:
        generator: ``(noise [B, Z], condition [B, K]) -> [B, Z]``.
        critic: ``(code [B, Z], condition [B, K]) -> [B, 1]``.
        code_channels: Columns Z of the codes.
        game: What the two play.
        penalty: On the critic's gradient with respect to the code.
        strength: λ, factor of the penalty.
        critic_steps: Steps of the critic per step of the generator.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        code_channels: int,
        *,
        game: Game = WASSERSTEIN,
        penalty: Penalty = wgan_gp,
        strength: float = 10.0,
        critic_steps: int = 5,
    ) -> None:
        super().__init__()
        self.generator, self.critic, self.code_channels = generator, critic, code_channels
        self.game, self.penalty, self.strength = game, penalty, strength
        self.critic_steps = critic_steps

    def phases(self, codes: Codes) -> Sequence[Phase]:
        """The critic ``critic_steps`` times, then the generator once."""

        def critic_loss(clouds: Batch) -> dict[str, Tensor]:
            seen = codes.draw(clouds)
            return self.critic_loss(seen.code, seen.condition)

        def generator_loss(clouds: Batch) -> dict[str, Tensor]:
            seen = codes.draw(clouds)
            return self.generator_loss(seen.code, seen.condition)

        return (
            Phase(
                "critic",
                (self.critic,),
                critic_loss,
                repeat=self.critic_steps,
                optimiser=OPTIMISER,
            ),
            Phase("generator", (self.generator,), generator_loss, optimiser=OPTIMISER),
        )

    def critic_loss(self, code: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Terms of the critic for codes [B, Z] and conditions [B, K] of real clouds."""
        with torch.no_grad():
            made = self._make(condition, None)
        logits = self.critic(code, condition), self.critic(made, condition)
        penalty = self.penalty(lambda at: self.critic(at, condition), code, made)
        return {
            "critic": self.game.critic_loss(*logits).mean(),
            "penalty": self.strength * penalty.mean(),
        }

    def generator_loss(self, code: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Terms of the generator for codes [B, Z] and conditions [B, K] of real clouds."""
        logit = self.critic(self._make(condition, None), condition)
        real = self.critic(code, condition) if self.game.paired else None
        return {"generator": self.game.generator_loss(logit, real).mean()}

    def sample(
        self, condition: Tensor, label: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """See :meth:`Prior.sample`; the class is in the condition."""
        return self._make(condition, generator)

    def _make(self, condition: Tensor, generator: torch.Generator | None) -> Tensor:
        noise = normal((len(condition), self.code_channels), condition, generator)
        return noise + self.generator(noise, condition)
