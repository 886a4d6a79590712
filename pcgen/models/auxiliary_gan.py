r"""GAN whose critic also names the class of an event: the auxiliary-classifier GAN.

With C classes the critic gives a logit D and C further ones, whose softmax is P(c | x). To the
losses of the game are added

.. math::
    \text{critic:}\quad & w\,E[-\log P(c | x)] + w\,E[-\log P(\tilde c\,| G(z, c))] \\
    \text{generator:}\quad & w\,E[-\log P(\tilde c\,| G(z, c))]

with c the class of the real event, with which as many are generated, and :math:`\tilde c` the same
but for a share of wrong labels. Odena, Olah and Shlens, "Conditional image synthesis with auxiliary
classifier GANs", arXiv 1610.09585; LAGAN (arXiv 1701.05927) has 5 % wrong labels for its critic and
9 % for its generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.gan import GAN, Adversary
from pcgen.models.representations import Event, Representation
from pcgen.ops.drawing import uniform


@dataclass(frozen=True)
class Auxiliary:
    """The classes that a critic names, and how much it matters.

    Attributes:
        classes: C, at least 2.
        weight: w.
        flipping: Probability of a wrong class of a generated event in the loss of the critic.
        generator_flipping: The same in the loss of the generator.

    Raises:
        ArgumentError: a number is out of range.
    """

    classes: int
    weight: float = 1.0
    flipping: float = 0.05
    generator_flipping: float = 0.09

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise ArgumentError(f"classes: got {self.classes}, expected at least 2")
        for name in ("flipping", "generator_flipping"):
            if not 0.0 <= getattr(self, name) < 0.5:
                raise ArgumentError(f"{name}: got {getattr(self, name)}, expected in [0, 0.5)")

    def loss(self, logits: Tensor, label: Tensor, flipping: float = 0.0) -> Tensor:
        """Weighted cross entropy, in nats [B].

        Args:
            logits: Of the classes [B, C].
            label: Class of each event [B].
            flipping: Probability of another class, all of which are equally likely.
        """
        if flipping:
            wrong = uniform(tuple(label.shape), logits, None) < flipping
            turn = 1 + uniform(tuple(label.shape), logits, None).mul(self.classes - 1).long()
            turn = turn.clamp(max=self.classes - 1)
            label = torch.where(wrong, (label + turn) % self.classes, label)
        return self.weight * F.cross_entropy(logits, label, reduction="none")


class AuxiliaryGAN(GAN):
    """Generator, and a critic that also names the class.

    Args:
        representation: Physical clouds, which have a class, to events and back.
        generator: As of :class:`GAN`.
        critic: ``(event, condition [B, K]) -> [B, 1 + C]``: the logit, then those of the classes.
        code_channels: Columns Z of the code.
        adversary: What the two play.
        auxiliary: The classes.
    """

    def __init__(
        self,
        representation: Representation,
        generator: nn.Module,
        critic: nn.Module,
        code_channels: int,
        adversary: Adversary,
        auxiliary: Auxiliary,
    ) -> None:
        super().__init__(representation, generator, critic, code_channels, adversary)
        self.auxiliary = auxiliary

    def critic_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the game, and ``classes``."""
        real, condition = self.representation.see(clouds)
        with torch.no_grad():
            generated = self._make(real, condition)
        critic, classes = self._divided(condition)
        terms = self.adversary.critic_loss(
            critic, real, generated, self.representation, done=self.done
        )
        of_real, of_generated = classes[:2]
        loss = self.auxiliary.loss(of_real, clouds.label) + self.auxiliary.loss(
            of_generated, clouds.label, self.auxiliary.flipping
        )
        return {**terms, "classes": loss.mean()}

    def generator_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the game, and ``classes``."""
        real, condition = self.representation.see(clouds)
        critic, classes = self._divided(condition)
        terms = self.adversary.generator_loss(
            critic, real, self._make(real, condition), self.representation, done=self.done
        )
        flipping = self.auxiliary.generator_flipping
        return {
            **terms,
            "classes": self.auxiliary.loss(classes[0], clouds.label, flipping).mean(),
        }

    def _divided(self, condition: Tensor) -> tuple[Callable[[Event], Tensor], list[Tensor]]:
        """The critic of the game, and the logits of the classes of what it is shown, in turn."""
        classes: list[Tensor] = []

        def critic(event: Event) -> Tensor:
            logits: Tensor = self.critic(event, condition)
            classes.append(logits[:, 1:])
            return logits[:, :1]

        return critic, classes
