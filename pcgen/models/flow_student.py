r"""A map that a flow teaches: where its trajectories are, learnt as pairs.

.. math:: L = E\,|x_t + (s - t)\,u(x_t, t, s) - x_s|^2

with x_t and x_s on one trajectory of the flow: the whole way from noise to data, and a piece of it.
Both ends are known point by point, so that the loss has no noise of its own, and no term has to
agree with another one of the same network, as in :mod:`pcgen.models.flow_map`. It is the
distillation of rectified flow (Liu et al., arXiv 2209.03003, section 2.2), from a flow whose paths
optimal pairs have made nearly straight (:mod:`pcgen.objectives.coupling`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.flow_gan import FlowGAN
from pcgen.models.flow_map import FlowMap
from pcgen.models.paths import UNIFORM, Coupling, in_parts
from pcgen.models.representations import Points
from pcgen.objectives.flow_matching import Clock
from pcgen.ops.ode import Integrator

LESSON = Integrator("midpoint", steps=4, pace=0.3)
"""How the trajectories of a teacher of optimal pairs are followed. Near the noise these pairs are
sorted out, and the velocity changes; 8 steps give better masses and worse small angles
(docs/fidelity.md)."""


class FlowStudent(FlowMap):
    """Mean velocities between the times of a flow's trajectories, learnt from these.

    The flow is learnt first, in a ``share`` of the run; or it is there already, and the share is 0
    (``--start RUN --start-part field --share 0``; ``teacher`` of another student). The student
    begins as its copy, but where it is a whole student that the run starts from.

    Args:
        representation: Physical clouds to points and back.
        field: ``(points, time [B], condition [B, K + DISTANCE])`` -> mean velocity.
        teacher: ``(points, time [B], condition [B, K])`` -> velocity.
        steps: Steps when sampling, of one evaluation each.
        clock: Law of the times of the teacher's training.
        coupling: Of the teacher's training.
        share: Fraction of the run in which the teacher learns.
        lesson: How the teacher's trajectories are followed; the student's steps have its pace.

    Raises:
        ArgumentError: the share is not below 1.
    """

    def __init__(
        self,
        representation: Points,
        field: nn.Module,
        teacher: nn.Module,
        *,
        steps: int = 1,
        clock: Clock = UNIFORM,
        coupling: Coupling | None = None,
        share: float = 0.7,
        lesson: Integrator = LESSON,
    ) -> None:
        super().__init__(representation, field, steps=steps, clock=clock, coupling=coupling)
        if not 0.0 <= share < 1.0:
            raise ArgumentError(f"share: got {share}, expected at least 0 and below 1")
        self.teacher, self.share, self.lesson = teacher, share, lesson
        self.paths.solver = replace(lesson, steps=steps)
        self._given: str | None = None  # what the run has started from, of the two networks

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then teacher and student, one after the other."""
        share, fitted = self.share, self.representation.phases()
        student = Phase("student", (self.field,), self.student_loss, begin=share)
        student = replace(student, prepare=self._begin, adapt=self._begin)
        if not share:
            return (*fitted, student)
        return (*fitted, Phase("teacher", (self.teacher,), self.velocity_loss, end=share), student)

    def begins_with(self, source: GenerativeModel, mine: str | None, theirs: str | None) -> None:
        """See :meth:`GenerativeModel.begins_with`; the field of a flow becomes the teacher."""
        if mine is not None and theirs == "field" and isinstance(source, FlowStudent | FlowGAN):
            raise ArgumentError(
                f"start_part: got the field of a {type(source).__name__}, which goes the whole way "
                "and is no velocity, expected the field of a flow, or the teacher of a student"
            )
        if not (mine in (None, "field") or mine.split(".")[0] == "teacher"):
            raise ArgumentError(
                f"start_part: got {mine!r}, expected field, teacher or a part of the teacher: the "
                "student begins as its copy"
            )
        if mine == "field":
            self._copy(self.field, self.teacher)
        known = {None: "both", "field": "teacher", "teacher": "teacher"}
        self._given = known.get(mine)

    def velocity_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """See :meth:`FlowMatching.velocity_loss`; of the teacher."""
        event, condition = self.representation.see(clouds)
        return {"velocity": self.paths.errors(self.teacher, event, condition).mean()}

    def student_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Mean squared errors of where trajectories end, and of pieces between random nodes.

        The events give their sizes and conditions alone.
        """
        event, condition = self.representation.see(clouds)
        times, nodes = self._trajectories(event, condition)
        last = len(times) - 1
        first = torch.zeros(len(condition), dtype=torch.long, device=condition.device)
        begin, end = _pieces(len(condition), last, condition.device)
        return {
            "whole": self._error(event, condition, times, nodes, first, first + last),
            "piece": self._error(event, condition, times, nodes, begin, end),
        }

    @torch.no_grad()
    def _trajectories(self, event: Batch, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Times [S+1] of trajectories of the teacher, and where they are then [S+1, N, C]."""

        def velocity(values: Tensor, time: float) -> Tensor:
            moment = values.new_full((len(condition),), self.paths.clock.reading(time))
            event_at = self.representation.with_values(event, values)
            return in_parts(self.teacher, event_at, moment, condition)

        times = self.lesson.times()
        nodes = [torch.randn_like(self.representation.values(event))]
        for time, then in itertools.pairwise(times):
            nodes.append(self.lesson.step(velocity, nodes[-1], time, then))
        return nodes[0].new_tensor(times), torch.stack(nodes)

    def _error(
        self,
        event: Batch,
        condition: Tensor,
        times: Tensor,
        nodes: Tensor,
        begin: Tensor,
        end: Tensor,
    ) -> Tensor:
        """Mean squared error of the mean velocity between two nodes [B] of each trajectory."""
        rows = torch.arange(nodes.shape[1], device=nodes.device)
        at, then = (nodes[each[event.batch], rows] for each in (begin, end))
        way = (times[end] - times[begin])[event.batch][:, None]
        start = self.representation.with_values(event, at)
        found = self.mean_velocity(start, times[begin], times[end], condition)
        return (at + way * found - then).square().mean()

    def times(self) -> list[float]:
        """See :meth:`FlowMap.times`; those of the lesson, or between them."""
        return self.paths.solver.times()

    def _begin(self, batches: Iterable[Batch]) -> None:
        """The student takes the teacher's parameters, and ignores how far it shall go."""
        if self.share == 0 and self._given is None:
            raise ArgumentError(
                "share: got 0 for a student without a teacher, expected a trained points-flow to "
                "start from (start, start_part field), or a share of the run in which one is learnt"
            )
        if self.share > 0 or self._given != "both":
            self._copy(self.teacher, self.field)

    @staticmethod
    @torch.no_grad()
    def _copy(source: nn.Module, target: nn.Module) -> None:
        """The same parameters; columns of the condition that one of them lacks are 0."""
        known = source.state_dict()
        for name, value in target.state_dict().items():
            stored = known[name]
            if value.dim():
                stored = stored[..., : value.shape[-1]]
                value.zero_()[..., : stored.shape[-1]] = stored
            else:
                value.copy_(stored)


def _pieces(number: int, last: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Two nodes of 0 to ``last`` for each of so many trajectories, in order of time."""
    begin = torch.randint(last, (number,), device=device)
    further = torch.rand(number, device=device) * (last - begin)
    return begin, begin + 1 + further.long().clamp(max=last - 1 - begin)
