r"""Straight paths from noise to the values of events: what a flow, its map and a decoder share.

.. math:: x_t = (1 - t) x_0 + t x_1, \qquad v(x_t, t) \approx E[x_1 - x_0 \mid x_t]

with the noise :math:`x_0` of each event, the times t by a clock, and the velocity v a network that
sees the whole event (:mod:`pcgen.objectives.flow_matching`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pcgen.models.representations import Event, Representation
from pcgen.objectives.flow_matching import Clock, straight_path
from pcgen.ops.ode import Integrator
from pcgen.ops.segments import segment_mean

Coupling = Callable[[Tensor, Tensor, Tensor], Tensor]
UNIFORM = Clock()
UNIFORM_SHARE = 0.3
"""Share of the training times that are uniform whatever the clock: the noisy end is learnt too."""


@dataclass
class Paths:
    """How noise and data are joined.

    Attributes:
        representation: Of the events.
        clock: Law of the times in training, of which :data:`UNIFORM_SHARE` stay uniform. Networks
            receive its reading as the time.
        coupling: ``(noise [N, C], data [N, C], ptr)`` -> rows of the noise [N] that go to the
            points, :func:`~pcgen.objectives.coupling.optimal_pairs` say. None: independent pairs.
        solver: How trajectories are followed; free to be changed on a trained model.
    """

    representation: Representation
    clock: Clock
    coupling: Coupling | None
    solver: Integrator

    def errors(self, field: nn.Module, event: Event, condition: Tensor) -> Tensor:
        """Mean squared error of the velocity at a random time of each event [B].

        Args:
            field: ``(event, time [B], condition [B, K])`` -> velocity, of the shape of the values.
            event: Data.
            condition: [B, K].
        """
        data = self.representation.values(event)
        time = self.times(len(condition), data)
        at, velocity = straight_path(self.noise(event), data, _per_value(time, event))
        event_at = self.representation.with_values(event, at)
        found = field(event_at, self.clock.reading(time), condition)
        return _mean(event, (found - velocity).square())

    def noise(self, event: Event) -> Tensor:
        """Where the paths to the values of the event begin, of the shape of the values."""
        data = self.representation.values(event)
        noise = torch.randn_like(data)
        return noise if self.coupling is None else noise[self.coupling(noise, data, event.ptr)]

    def times(self, number: int, like: Tensor) -> Tensor:
        """Times of training [B]."""
        reading = torch.rand(number, dtype=like.dtype, device=like.device)
        if self.clock == UNIFORM:
            return reading
        uniform = torch.rand_like(reading) < UNIFORM_SHARE
        return torch.where(uniform, reading, self.clock.time(reading))

    def follow(self, field: nn.Module, event: Event, condition: Tensor) -> Event:
        """Events at t = 1, of those whose values are noise at t = 0."""

        def velocity(values: Tensor, time: float) -> Tensor:
            moment = values.new_full((condition.shape[0],), self.clock.reading(time))
            return field(self.representation.with_values(event, values), moment, condition)

        values = self.solver(velocity, self.representation.values(event))
        return self.representation.with_values(event, values)


def followed(model: nn.Module) -> list[Paths]:
    """The paths that a model follows when it is sampled: of itself or of a part; often none."""
    own = (getattr(part, "paths", None) for part in model.modules())
    return [paths for paths in own if isinstance(paths, Paths)]


def _per_value(of_event: Tensor, event: Event) -> Tensor:
    """Numbers [B] in a shape that broadcasts with the values of the events."""
    if isinstance(event, Tensor):
        return of_event.view(-1, *[1] * (event.dim() - 1))
    return of_event[event.batch][:, None]


def _mean(event: Event, value: Tensor) -> Tensor:
    """Mean over the values of each event [B]; 0 for an empty one."""
    if isinstance(event, Tensor):
        return value.flatten(1).mean(1)
    return segment_mean(value.mean(1), event.ptr)
