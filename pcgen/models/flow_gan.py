r"""A map of one evaluation that a critic finishes: the adversarial flow model.

.. math:: G(x_0) = x_0 + u(x_0, 0, 1), \qquad
          L_G = \mathrm{game}(D(G(x_0))) + \lambda\,|G(x_0) - x_0|^2

The mean velocity of a flow (:mod:`pcgen.models.flow_map`) is where it starts. The critic mends what
a regression blurs; the second term selects one of all maps to the data, the nearest, and
keeps the generator from drifting (Lin et al., "Adversarial flow models", arXiv 2511.22475).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import at_least
from pcgen.models.base import Phase
from pcgen.models.flow_map import FlowMap
from pcgen.models.gan import Adversary
from pcgen.models.representations import Points
from pcgen.objectives.flow_matching import Clock
from pcgen.ops.segments import segment_mean

RATE = 3e-4
"""Learning rate of both: the generator has been trained before."""


class FlowGAN(FlowMap):
    """One step of a map as a generator, and a critic of its points.

    It is sampled in that one step.

    Args:
        representation: Physical clouds to points and back.
        field: As of :class:`~pcgen.models.flow_map.FlowMap`.
        critic: ``(points, condition [B, K]) -> [B, 1]``; of points whose features are those of
            :meth:`seen_by_critic`.
        adversary: What the two play.
        clock: As of the map that the field was trained in.
        nearness: λ.

    Raises:
        ArgumentError: λ is negative.
    """

    choices = ()

    def __init__(
        self,
        representation: Points,
        field: nn.Module,
        critic: nn.Module,
        adversary: Adversary,
        *,
        clock: Clock,
        nearness: float = 0.01,
    ) -> None:
        super().__init__(representation, field, clock=clock)
        at_least(0, nearness=nearness)
        self.critic, self.adversary, self.nearness = critic, adversary, nearness
        self.done = 0.0

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then the critic and the map take turns."""
        play = self.adversary.phases(
            self.critic, self.critic_loss, self.field, self.generator_loss, self.set_done
        )
        calm = [replace(each, optimiser={**(each.optimiser or {}), "lr": RATE}) for each in play]
        return (*self.representation.phases(), *calm)

    def set_done(self, done: float) -> None:
        """Take the fraction of the run that is done, which annealing is a function of."""
        self.done = done

    def critic_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the critic; generated events have the sizes and conditions of the real ones."""
        real, condition = self.representation.see(clouds)
        with torch.no_grad():
            generated = self.follow(self._start(real), condition)
        return self.adversary.critic_loss(
            self._critic(condition), real, generated, self.representation, done=self.done
        )

    def generator_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Terms of the map."""
        real, condition = self.representation.see(clouds)
        start = self._start(real)
        generated = self.follow(start, condition)
        terms = self.adversary.generator_loss(
            self._critic(condition), real, generated, self.representation, done=self.done
        )
        moved = self.representation.values(generated) - self.representation.values(start)
        far = segment_mean(moved.square().mean(1), generated.ptr).mean()
        return {**terms, "near": self.nearness * far}

    def seen_by_critic(self, event: Batch) -> Batch:
        """Points with n f u and n f abs(u)² behind their features, f their share of the weight.

        Their means are the first two moments of the cloud: the mass of a jet is one pooling away.
        """
        complete = self.representation.complete(event)
        if complete.get("weight") is None:
            return complete
        share = complete.weight * cl.sizes(event)[event.batch]
        moments = torch.cat([event.pos, event.pos.square().sum(1, keepdim=True)], 1)
        x = torch.cat([event.x, share[:, None] * moments], 1)
        return cl.replace(event, x=x)

    def _critic(self, condition: Tensor) -> Callable[[Batch], Tensor]:
        return lambda event: self.critic(self.seen_by_critic(event), condition)

    def _start(self, event: Batch) -> Batch:
        """Noise in place of the values."""
        values = self.representation.values(event)
        return self.representation.with_values(event, torch.randn_like(values))
