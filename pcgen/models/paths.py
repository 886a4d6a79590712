r"""Straight paths from noise to the values of events: what a flow, its map and a decoder share.

.. math:: x_t = (1 - t) x_0 + t x_1, \qquad v(x_t, t) \approx E[x_1 - x_0 \mid x_t]

with the noise :math:`x_0` of each event, the times t by a clock, and the velocity v a network that
sees the whole event (:mod:`pcgen.objectives.flow_matching`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pcgen import clouds as cl
from pcgen.models.representations import Event, Representation
from pcgen.objectives.flow_matching import Clock, straight_path
from pcgen.ops.ode import Integrator
from pcgen.ops.padding import Padding
from pcgen.ops.segments import segment_mean

Coupling = Callable[[Tensor, Tensor, Tensor], Tensor]
UNIFORM = Clock()
UNIFORM_SHARE = 0.3
"""Share of the training times that are uniform whatever the clock: the noisy end is learnt too."""
TOGETHER = 4000
"""Points at which a network is evaluated together on a CPU.

What a layer holds is then 1 to 2 MB, which stay in the caches, and in memory that the process
keeps: larger blocks go back to the system and cost a page fault for each 4 KB, each time. 58,000
points at once take 1.4 times as long (EPiC, 64 x 4 and 96 x 6), and 29,000 more than twice as long
with attention, which pads to the longest cloud. Fields on cells gain nothing.
"""


@dataclass
class Paths:
    """How noise and data are joined.

    Attributes:
        representation: Of the events.
        clock: Law of the times in training, of which :data:`UNIFORM_SHARE` stay uniform. Networks
            receive its reading as the time.
        coupling: ``(noise [N, C], data [N, C], ptr [G+1])`` -> rows of the noise [N] that go to the
            points, within groups of points that may be exchanged;
            :func:`~pcgen.objectives.coupling.optimal_pairs` say. None: independent pairs.
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
        if self.coupling is None:
            return noise
        return noise[self.coupling(noise, data, self.representation.exchangeable(event))]

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
            event_at = self.representation.with_values(event, values)
            return in_parts(field, event_at, moment, condition)

        values = self.solver(velocity, self.representation.values(event))
        return self.representation.with_values(event, values)


def in_parts(field: Callable[..., Tensor], event: Event, *of_event: Tensor) -> Tensor:
    """``field(event, *of_event)`` without gradient, evaluated for a few thousand points at a time.

    The same numbers but for rounding. With gradient, on other devices than a CPU, for padded rows
    and for cells it is evaluated at once.

    Args:
        field: A network in which no event sees another.
        event: B events.
        of_event: Rows of the events [B, ...].
    """
    rows = _parts(event)
    if len(rows) < 2:
        return field(event, *of_event)
    return torch.cat(
        [field(cl.part(event, each), *(value[each] for value in of_event)) for each in rows]
    )


def _parts(event: Event) -> list[slice]:
    """Consecutive events of about :data:`TOGETHER` points; none where they stay together."""
    if torch.is_grad_enabled() or isinstance(event, Tensor) or event.get("cell") is not None:
        return []
    if isinstance(event.ptr, Padding) or event.ptr.device.type != "cpu":
        return []
    block = event.ptr[:-1] // TOGETHER
    cuts = [0, *((block[1:] != block[:-1]).nonzero().flatten() + 1).tolist(), len(block)]
    return [slice(first, last) for first, last in itertools.pairwise(cuts)]


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
