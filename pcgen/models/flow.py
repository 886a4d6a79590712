r"""Flow matching: noise on the values of an event is carried to data by a learnt velocity.

The same model on three representations (:mod:`pcgen.models.representations`); what differs is
where the values are:

* points: as many as p(n | y, label) gives;
* images: all cells; which of them are active is what comes out;
* active sites: a *support*, a model of which cells are active, draws them first, and the flow gives
  them their energies.

EPiC-FM (Buhmann et al., arXiv 2310.00049) is this model on points with an EPiC field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel, NoiseChannels, Phase
from pcgen.models.cardinality import Drawn
from pcgen.models.paths import UNIFORM, Coupling, Paths
from pcgen.models.representations import Event, Representation
from pcgen.models.request import Request
from pcgen.objectives.flow_matching import Clock
from pcgen.ops.drawing import normal
from pcgen.ops.ode import Integrator


class EventDecoder(Protocol):
    """A distribution p(event | code, condition): a decoder with a likelihood, a flow's support."""

    def losses(self, code: Tensor, condition: Tensor, event: Event) -> dict[str, Tensor]:
        """Terms of -log p(event | code, condition), each [B]."""
        ...

    def sample(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor,
        generator: torch.Generator | None = None,
    ) -> Event:
        """Events drawn for codes [B, Z], sizes [B] and conditions [B, K]."""
        ...


class FlowMatching(GenerativeModel):
    """Velocity field on the values of events.

    Args:
        representation: Physical clouds to events and back.
        field: ``(event, time [B], condition [B, K])`` -> velocity, of the shape of the values.
        support: Module that draws which cells are active, where their number does not give it; its
            code has 0 columns.
        steps: Steps of the midpoint rule when sampling, of two evaluations each.
        clock: See :class:`~pcgen.models.paths.Paths`.
        coupling: See :class:`~pcgen.models.paths.Paths`.
        reader: Of events that are generated from contexts: ``(event) -> event`` with what the field
            takes of the context in its place, once for each event.

    Attributes:
        paths: Clock, coupling, and the solver: the midpoint rule at first.
        choices: What of the solver may be chosen when sampling.

    Raises:
        ArgumentError: the support is not a module, or missing where events need one.
    """

    representation: Representation
    choices: tuple[str, ...] = ("rule", "steps", "tolerance", "pace")

    def __init__(
        self,
        representation: Representation,
        field: nn.Module,
        *,
        support: EventDecoder | None = None,
        steps: int = 20,
        clock: Clock = UNIFORM,
        coupling: Coupling | None = None,
        reader: nn.Module | None = None,
    ) -> None:
        super().__init__(representation)
        if not (support is None or isinstance(support, nn.Module)):
            raise ArgumentError(f"support: got {type(support).__name__}, expected a module")
        if support is None and not representation.counted:
            # Refused here, and not after the training.
            representation.blank(torch.zeros(0, dtype=torch.long))
        self.field, self.support, self.reader = field, support, reader
        self.paths = Paths(representation, clock, coupling, Integrator(steps=steps))

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then the velocity, and the support where there is one."""
        networks = (self.field,) if self.reader is None else (self.field, self.reader)
        learning = [Phase("velocity", networks, self.velocity_loss)]
        if isinstance(self.support, nn.Module):
            learning.append(Phase("support", (self.support,), self.support_loss))
        return (*self.representation.phases(), *learning)

    def velocity_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Mean squared error of the velocity at a random time of each event."""
        event, condition = self.representation.see(clouds)
        event = event if self.reader is None else self.reader(event)
        return {"velocity": self.paths.errors(self.field, event, condition).mean()}

    def support_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Negative log-likelihood of the active cells."""
        assert self.support is not None
        event, condition = self.representation.see(clouds)
        terms = self.support.losses(condition.new_zeros(len(condition), 0), condition, event)
        return {name: term.mean() for name, term in terms.items()}

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`."""
        drawn = self.representation.draw(request, generator)
        event, condition = self._support(drawn, generator)
        event = event if self.reader is None else self.reader(event)
        blank = self.representation.values(event)
        start = normal(tuple(blank.shape), blank, generator)
        event = self.follow(self.representation.with_values(event, start), condition)
        return self.representation.clouds(event, drawn)

    def follow(self, event: Event, condition: Tensor) -> Event:
        """Events at t = 1, of those whose values are noise at t = 0."""
        return self.paths.follow(self.field, event, condition)

    @property
    def noise_channels(self) -> NoiseChannels:
        """See :class:`~pcgen.models.base.FromNoise`; points alone have noise."""
        return NoiseChannels(self.representation.value_channels, 0)

    def from_noise(self, start: Batch, code: Tensor, drawn: Drawn) -> Batch:
        """See :meth:`pcgen.models.base.FromNoise.from_noise`; of a flow on points."""
        condition = self.representation.condition(drawn)
        event = self.follow(self.representation.with_values(start, start.pos), condition)
        return self.representation.clouds(event, drawn)

    def _support(self, drawn: Drawn, generator: torch.Generator | None) -> tuple[Event, Tensor]:
        """Events whose values are still to be drawn, and the condition of the field."""
        condition = self.representation.condition(drawn)
        if self.support is None:
            return self.representation.unfilled(drawn), condition
        code = condition.new_zeros(len(condition), 0)
        event = self.support.sample(code, drawn.sizes, condition, generator)
        # What the field saw in training is the number of the cells that are there.
        return event, self.representation.condition(drawn._replace(sizes=cl.sizes(event)))
