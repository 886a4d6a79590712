r"""A decoder that is a flow: p(points | code, condition), and not one cloud for each code.

A code of some tens of numbers does not say where hundreds are. A decoder that is trained by a
distance of sets answers with medians: what the code leaves open is taken away, and with it a part
of :math:`\sum_i f_i |u_i|^2`, the squared mass of a jet over its momentum. A flow draws it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.models.paths import UNIFORM, Coupling, Paths
from pcgen.models.representations import Representation
from pcgen.objectives.flow_matching import Clock
from pcgen.ops.drawing import normal
from pcgen.ops.ode import Integrator


class FlowDecoder(nn.Module):
    """Flow matching on the points of a cloud, given its code.

    An :class:`~pcgen.models.flow.EventDecoder`, whose loss is no likelihood.

    Args:
        representation: Of the clouds; that of the autoencoder, which owns it.
        field: ``(points, time [B], condition [B, K + Z])`` -> velocity [N, C].
        clock: See :class:`~pcgen.models.paths.Paths`.
        coupling: See :class:`~pcgen.models.paths.Paths`.

    Attributes:
        paths: Clock, coupling, and the solver: 20 steps of the midpoint rule at first.
    """

    def __init__(
        self,
        representation: Representation,
        field: nn.Module,
        *,
        clock: Clock = UNIFORM,
        coupling: Coupling | None = None,
    ) -> None:
        super().__init__()
        self.field = field
        self.paths = Paths(representation, clock, coupling, Integrator(steps=20))

    def losses(self, code: Tensor, condition: Tensor, event: Batch) -> dict[str, Tensor]:
        """Mean squared error of the velocity [B], for codes [B, Z] and conditions [B, K]."""
        return {"velocity": self.paths.errors(self.field, event, torch.cat([condition, code], 1))}

    def sample(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Points drawn for codes [B, Z], sizes [B] and conditions [B, K]."""
        return self.fill(code, self.paths.representation.blank(sizes), condition, generator)

    def fill(
        self,
        code: Tensor,
        blank: Batch,
        condition: Tensor,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Points drawn for codes [B, Z] and conditions [B, K] in the places of blank events."""
        see = self.paths.representation
        values = see.values(blank)
        start = see.with_values(blank, normal(tuple(values.shape), values, generator))
        return self.paths.follow(self.field, start, torch.cat([condition, code], 1))

    @property
    def noise_channels(self) -> int:
        """Normal numbers that a point starts from."""
        return self.paths.representation.value_channels

    def decode(self, code: Tensor, start: Batch, condition: Tensor) -> Batch:
        """Points for codes [B, Z] and conditions [B, K], as a function of noise.

        Args:
            code: [B, Z].
            start: Clouds whose ``pos`` is noise [N, P].
            condition: [B, K].
        """
        event = self.paths.representation.with_values(start, start.pos)
        return self.paths.follow(self.field, event, torch.cat([condition, code], 1))
