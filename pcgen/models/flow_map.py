r"""A flow whose trajectories are taken in few steps: one network gives the mean velocity.

The field of :class:`FlowMap` is one of a flow that sees how far it shall go as a further condition.
At no distance it is the velocity, so that a trained flow is where a map starts
(``pcgen train points-flow-map --start RUN --start-part field``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.base import Phase
from pcgen.models.flow import FlowMatching
from pcgen.models.paths import UNIFORM, Coupling, in_parts
from pcgen.models.representations import Points
from pcgen.objectives import flow_map
from pcgen.objectives.flow_matching import Clock, straight_path
from pcgen.ops.segments import segment_mean

DISTANCE = 8
"""Columns behind the condition that say how far the field shall go."""
_TO_THE_END, _FROM_THE_START = 0.5, 0.25
"""Shares of the mean velocities that are learnt up to s = 1, and from t = 0 on."""


class _Times(NamedTuple):
    """Times t and s [B], the share r of the way between them, and whether there is a way at all."""

    begin: Tensor
    end: Tensor
    share: Tensor
    far: Tensor


class FlowMap(FlowMatching):
    """Mean velocities between any two times, on the values of points.

    Args:
        representation: Physical clouds to points and back.
        field: ``(points, time [B], condition [B, K + DISTANCE])`` -> mean velocity.
        steps: Steps when sampling, of one evaluation each.
        clock: Law of the times, as of :class:`~pcgen.models.flow.FlowMatching`.
        coupling: As of :class:`~pcgen.models.flow.FlowMatching`.
        share: Fraction of the events that learn a mean velocity over a distance; the others learn
            the velocity from the data, as a flow does.

    Raises:
        ArgumentError: the share is not within 0 and 1.
    """

    representation: Points
    choices: tuple[str, ...] = ("steps", "pace")

    def __init__(
        self,
        representation: Points,
        field: nn.Module,
        *,
        steps: int = 1,
        clock: Clock = UNIFORM,
        coupling: Coupling | None = None,
        share: float = 0.25,
    ) -> None:
        super().__init__(representation, field, steps=steps, clock=clock, coupling=coupling)
        if not 0.0 < share < 1.0:
            raise ArgumentError(f"share: got {share}, expected a fraction between 0 and 1")
        self.share = share

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then velocity and mean velocity together."""
        return (*self.representation.phases(), Phase("map", (self.field,), self.map_loss))

    def map_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Mean squared errors of the velocity, and of mean velocities between random times."""
        event, condition = self.representation.see(clouds)
        data = self.representation.values(event)
        times = self._times_of_maps(clouds.num_graphs, data)
        at, velocity = straight_path(
            self.paths.noise(event), data, times.begin[event.batch][:, None]
        )
        event = self.representation.with_values(event, at)
        found = self.mean_velocity(event, times.begin, times.end, condition)
        wanted = self._wanted(found.detach(), velocity, event, times, condition)
        square = segment_mean((found - wanted).square().mean(1), event.ptr)
        loss = torch.where(times.far, flow_map.calmed(square), 1.0) * square / len(square)
        return {"velocity": loss[~times.far].sum(), "map": loss[times.far].sum()}

    @torch.no_grad()
    def _wanted(
        self, found: Tensor, velocity: Tensor, event: Batch, times: _Times, condition: Tensor
    ) -> Tensor:
        """The velocity; where the event goes far, the mean velocity found, less its jump."""
        far = times.far.nonzero().flatten()
        if not len(far):
            return velocity
        row = times.far[event.batch].nonzero().flatten()
        begin, end, share = times.begin[far], times.end[far], times.share[far]
        start = cl.select(event, far)
        move = (share * (end - begin))[start.batch][:, None] * velocity[row]
        onward = self.representation.with_values(start, self.representation.values(start) + move)
        beyond = self.mean_velocity(onward, begin + share * (end - begin), end, condition[far])
        jump = flow_map.jump(found[row], velocity[row], beyond, share[start.batch][:, None])
        return velocity.index_copy(0, row, found[row] - jump)

    def mean_velocity(self, event: Batch, begin: Tensor, end: Tensor, condition: Tensor) -> Tensor:
        """u between two times of each event [B] under a condition [B, K], at each point [N, C]."""
        now, then = self.paths.clock.reading(begin), self.paths.clock.reading(end)
        context = torch.cat([condition, distance(then - now)], 1)
        return in_parts(self.field, event, now, context)

    def _times_of_maps(self, number: int, like: Tensor) -> _Times:
        """Random times of so many events, a share of which goes far."""
        begin = self.paths.times(number, like)
        chance = torch.rand(5, number, dtype=like.dtype, device=like.device)
        now = torch.where(chance[1] < _FROM_THE_START, 0.0, self.paths.clock.reading(begin))
        then = torch.where(chance[2] < _TO_THE_END, 1.0, now + (1.0 - now) * chance[3])
        far = chance[0] < self.share
        begin = torch.where(far, self.paths.clock.time(now), begin)
        end = torch.where(far, self.paths.clock.time(then), begin)
        return _Times(begin, end, flow_map.fractions(chance[4]), far)

    def follow(self, event: Batch, condition: Tensor) -> Batch:
        """See :meth:`FlowMatching.follow`."""
        for time, then in itertools.pairwise(self.times()):
            begin, end = (condition.new_full((condition.shape[0],), each) for each in (time, then))
            move = (then - time) * self.mean_velocity(event, begin, end, condition)
            event = self.representation.with_values(event, self.representation.values(event) + move)
        return event

    def times(self) -> list[float]:
        """Where the steps begin and end: at equal readings of the clock, or at a pace in these."""
        return [self.paths.clock.time(reading) for reading in self.paths.solver.times()]


def distance(readings: Tensor) -> Tensor:
    r"""Features :math:`1 - \cos(\pi k d)` of a distance d on the clock [B] -> [B, DISTANCE].

    All are 0 at no distance: whatever is learnt of distances leaves the velocity as it is.
    """
    order = torch.arange(1, DISTANCE + 1, dtype=readings.dtype, device=readings.device)
    return 1.0 - torch.cos(math.pi * order * readings[:, None])
