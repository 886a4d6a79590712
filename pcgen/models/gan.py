r"""Generative adversarial network on events: generator against critic, with a gradient penalty.

    critic:     game(D(x, c), D(G(z, n, c), c)) + λ penalty,        z ~ N(0, 1)
    generator:  game(D(G(z, n, c), c))

on points, images or active sites (:mod:`pcgen.models.representations`): as many events are
generated as there are real ones, with the conditions c of the real ones (Goodfellow et al.,
arXiv 1406.2661). With the non-saturating game and R1 (Mescheder et al., arXiv 1801.04406), the
default, it converges where the plain game does not; R1 is taken at real events alone, so it suits
sets, for which the "in between" of WGAN-GP has no meaning.

An :class:`Adversary` is that game as a value: the same one plays on events here and on codes in
:class:`~pcgen.models.priors.AdversarialPrior`. With it come the remedies for a critic that is too
good: the penalty, which may be annealed and taken in units of the spread of the critic's input,
instance noise (:mod:`pcgen.objectives.noise`) and clipping. The penalty of the log is the one that
is minimised, strength and weights included.

With feature matching (Salimans et al. 2016, arXiv 1606.03498, section 3.1) the generator does not
play for the logit; it matches the mean of the features f of a
:class:`~pcgen.nn.critic.FeatureCritic`:

    generator:  |E f(x, c) - E f(G(z, n, c), c)|²

Encoders beside the generator, against lost modes, are in :mod:`pcgen.models.mode_gan`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from pcgen.objectives.noise import InstanceNoise, NoiseLevel, annealed
from pcgen.objectives.penalties import clip, r1, spread
from pcgen.ops.drawing import normal

Penalty = Callable[..., Tensor]
"""``(critic, real, generated, ptr=...) -> [B]``, see :mod:`pcgen.objectives.penalties`."""


@dataclass(frozen=True)
class Conditioned:
    """A critic of events whose conditions are given.

    Attributes:
        network: ``(event, condition [B, K]) -> [B, 1]``; features and what is shared by a batch are
            those of a :class:`~pcgen.nn.critic.FeatureCritic`.
        condition: [B, K].
    """

    network: Any
    condition: Tensor

    def __call__(self, event: Any) -> Tensor:
        """Logits [B, 1]."""
        logit: Tensor = self.network(event, self.condition)
        return logit

    def features(self, event: Any) -> Tensor:
        """What the logits are a function of [B, F]."""
        found: Tensor = self.network.features(event, self.condition)
        return found

    def alone(self, event: Any) -> Tensor:
        """Logits [B, 1] of which each receives a gradient from its own event alone."""
        if not getattr(self.network, "statistics", False):
            return self(event)
        logit: Tensor = self.network(event, self.condition, alone=True)
        return logit


@dataclass(frozen=True)
class Adversary:
    """What critic and generator play, the same for events and for codes.

    Attributes:
        game: Link function of the two losses.
        penalty: On the critic's gradient; None for none. Where generated events have cells of their
            own (:class:`~pcgen.models.representations.Sites`) :func:`r1` alone.
        strength: λ, factor of the penalty.
        steps: Steps of the critic per step of the generator.
        annealing: Strength of the penalty at the end of the run over that at the start.
        in_spreads: Take the penalty in units of the spread of the real events' values, so that its
            strength carries over to data of other units.
        noise: On what the critic sees of real and generated events; None for none.
        bound: Clip the parameters of the critic to [-bound, bound] after each of its steps.
        matching: The generator matches the mean features of the critic; see the head of this file.
        optimiser: Options of the optimiser of both; None: no momentum, as penalties need.
        generator_optimiser: Those of the generator that differ; None: none.

    Raises:
        ArgumentError: ``annealing`` is not in (0, 1], or ``bound`` not positive.
    """

    game: Game = NON_SATURATING
    penalty: Penalty | None = r1
    strength: float = 1.0
    steps: int = 1
    annealing: float = 1.0
    in_spreads: bool = False
    noise: InstanceNoise | None = None
    bound: float | None = None
    matching: bool = False
    optimiser: Mapping[str, Any] | None = None
    generator_optimiser: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        annealed(self.strength, self.annealing, 0.0)
        if self.bound is not None and not self.bound > 0:
            raise ArgumentError(f"bound: got {self.bound}, expected a number > 0")

    def critic_loss(
        self,
        critic: Callable[[Any], Tensor],
        real: Any,
        generated: Any,
        representation: Representation | None = None,
        *,
        done: float = 0.0,
        level: NoiseLevel | None = None,
    ) -> dict[str, Tensor]:
        """Terms of the critic.

        Args:
            critic: Event or code -> logits [B, 1].
            real: Events, or codes [B, Z].
            generated: As many generated ones, without gradient.
            representation: Of the events, whose values noise and penalty vary; None for codes.
            done: Fraction of the run that is done, for what is annealed.
            level: Of adaptive noise, which follows the logits of the real ones.
        """
        real = self._blurred(real, representation, done, level)
        generated = self._blurred(generated, representation, done, level)
        logit = critic(real)
        terms = {"critic": self.game.critic_loss(logit, critic(generated)).mean()}
        if level is not None:
            level.hear(logit)
        if self.penalty is not None:
            slope = self.slope(critic, real, generated, representation)
            terms["penalty"] = annealed(self.strength, self.annealing, done) * slope.mean()
        return terms

    def generator_loss(
        self,
        critic: Callable[[Any], Tensor],
        real: Any,
        generated: Any,
        representation: Representation | None = None,
        *,
        done: float = 0.0,
        level: NoiseLevel | None = None,
    ) -> dict[str, Tensor]:
        """Terms of the generator; ``real`` events or codes are used in a paired game only.

        With feature matching both are used, and the critic is a :class:`Conditioned` one. Arguments
        are those of :meth:`critic_loss`.
        """
        seen = self._blurred(generated, representation, done, level)
        if self.matching:
            if not isinstance(critic, Conditioned):
                raise ArgumentError(
                    f"matching: got a critic of type {type(critic).__name__}, expected a "
                    "Conditioned one, which has features"
                )
            wanted = critic.features(self._blurred(real, representation, done, level)).mean(0)
            return {"features": (wanted - critic.features(seen).mean(0)).square().sum()}
        logit, of_real = critic(seen), None
        if self.game.paired:
            of_real = critic(self._blurred(real, representation, done, level))
        return {"generator": self.game.generator_loss(logit, of_real).mean()}

    def noise_level(self) -> NoiseLevel | None:
        """A new level of adaptive noise, which belongs to whoever plays; None without."""
        adapts = self.noise is not None and self.noise.target is not None
        return NoiseLevel(self.noise) if adapts and self.noise is not None else None

    def phases(
        self,
        critic: nn.Module,
        critic_loss: Loss,
        generator: nn.Module,
        generator_loss: Loss,
        progress: Callable[[float], object] | None = None,
        level: NoiseLevel | None = None,
    ) -> tuple[Phase, Phase]:
        """The critic ``steps`` times, then the generator once.

        Args:
            critic: Learns by ``critic_loss``.
            critic_loss: See :meth:`critic_loss`.
            generator: Learns by ``generator_loss``.
            generator_loss: See :meth:`generator_loss`.
            progress: Takes the fraction of the run that is done, before each step.
            level: Of adaptive noise, which follows the critic.
        """
        both = OPTIMISER if self.optimiser is None else self.optimiser
        common: dict[str, Any] = {"optimiser": both, "progress": progress}
        after = None if self.bound is None else partial(clip, critic, self.bound)
        side = (critic,) if level is None else (critic, level)
        of_generator = {**common, "optimiser": {**both, **(self.generator_optimiser or {})}}
        return (
            Phase("critic", side, critic_loss, repeat=self.steps, after=after, **common),
            Phase("generator", (generator,), generator_loss, **of_generator),
        )

    def _blurred(
        self,
        event: Any,
        representation: Representation | None,
        done: float,
        level: NoiseLevel | None,
    ) -> Any:
        """What the critic sees of events or codes."""
        if self.noise is None:
            return event
        if representation is None:
            return self.noise(event, done, level=level)
        values = self.noise(representation.values(event), done, level=level)
        return representation.with_values(event, values)

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
        ptr = None if isinstance(real, Tensor) else real.ptr
        frame, values = real, (real, generated)
        if representation is not None:
            values = representation.values(real), representation.values(generated)
        unit = spread(values[0]) if self.in_spreads else None
        logit = critic.alone if isinstance(critic, Conditioned) else critic

        def of_values(values: Tensor) -> Tensor:
            # Points and images: both sides have the same frame, which serves the values of either.
            values = values if unit is None else unit * values
            return logit(
                values if representation is None else representation.with_values(frame, values)
            )

        if unit is not None:
            values = values[0] / unit, values[1] / unit
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
        self.level = self.adversary.noise_level()
        self.done = 0.0

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then the critic and the generator take turns."""
        return (*self.representation.phases(), *self._play())

    def _play(self) -> tuple[Phase, Phase]:
        """The critic's phase and the generator's."""
        return self.adversary.phases(
            self.critic,
            self.critic_loss,
            self.generator,
            self.generator_loss,
            self.set_done,
            self.level,
        )

    def set_done(self, done: float) -> None:
        """Take the fraction of the run that is done, which annealing is a function of."""
        self.done = done

    def critic_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the critic; generated events have the sizes and conditions of the real ones."""
        real, condition = self.representation.see(clouds)
        with torch.no_grad():
            generated = self._make(real, condition)
        return self._critic_terms(self._critic(condition), real, generated, self.level)

    def generator_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the generator."""
        real, condition = self.representation.see(clouds)
        generated = self._make(real, condition)
        return self._generator_terms(self._critic(condition), real, generated, self.level)

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

    def _critic(self, condition: Tensor) -> Conditioned:
        return Conditioned(self.critic, condition)

    def _critic_terms(
        self, critic: Conditioned, real: Event, generated: Event, level: NoiseLevel | None
    ) -> dict[str, Tensor]:
        """Terms of a critic that separates them, and the level of its noise."""
        return self.adversary.critic_loss(
            critic, real, generated, self.representation, done=self.done, level=level
        )

    def _generator_terms(
        self, critic: Conditioned, real: Event, generated: Event, level: NoiseLevel | None
    ) -> dict[str, Tensor]:
        """Terms of what makes generated events for this critic."""
        return self.adversary.generator_loss(
            critic, real, generated, self.representation, done=self.done, level=level
        )

    def _make(self, real: Event, condition: Tensor) -> Event:
        """As many events as the real ones, of their sizes and conditions."""
        code = normal((len(condition), self.code_channels), condition, None)
        return self.generator(code, self.representation.sizes(real), condition, None)
