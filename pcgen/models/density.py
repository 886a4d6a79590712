r"""Maximum likelihood on images: an invertible network from all cells to noise.

Real NVP (Dinh et al., arXiv 1605.08803) learns log p(x | c) itself. Cells of sparse images have no
density as they are, for two reasons:

* most are exactly 0, which a density would answer by growing without end. Empty cells are
  *dequantised*: each gets a number of [-1/2, 1/2), below which every active cell lies above, and
  log p of the dequantised image is a lower bound, on average, of that of the image with its empty
  cells (Theis et al., arXiv 1511.01844, section 3.1);
* the fractions of an event's total add up to 1, a surface without volume. Active cells get normal
  noise of a given standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.representations import Images
from pcgen.models.request import Request
from pcgen.ops.drawing import normal, uniform


def log_density(flow: Any, values: Tensor, condition: Tensor | None) -> Tensor:
    """log p(values | condition) [B] in nats, under a flow to standard normal noise.

    Args:
        flow: ``(values [B, ...], condition [B, K]) -> (noise [B, D], log of the Jacobian [B])``.
        values: Of events.
        condition: [B, K].
    """
    noise, log_volume = flow(values, condition)
    return log_volume - 0.5 * (noise.square() + math.log(2 * math.pi)).sum(1)


class ImageDensity(GenerativeModel):
    """An invertible network on the cells of images, by maximum likelihood.

    Args:
        representation: Of all cells.
        flow: Such as :class:`pcgen.nn.ImageRealNVP`, with ``inverse(noise, condition)``.
        noise: Standard deviation of the noise on active cells, in standardised log fractions.

    Raises:
        ArgumentError: the noise is not positive.
    """

    representation: Images
    flow: Any

    def __init__(self, representation: Images, flow: nn.Module, *, noise: float = 0.05) -> None:
        super().__init__(representation)
        if not 0 < noise < math.inf:
            raise ArgumentError(
                f"noise: got {noise}, expected a number > 0; without noise the likelihood of "
                "fractions, which add up to 1, has no bound"
            )
        self.flow, self.noise = flow, noise
        self.cells = math.prod(representation.shape)

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then the density."""
        return (
            *self.representation.phases(),
            Phase("density", (self.flow,), self.likelihood_loss),
        )

    def likelihood_loss(self, clouds: Batch) -> dict[str, Tensor]:
        """-log p of the dequantised images, in nats of a cell."""
        return {"nll": -self.log_prob(clouds).mean() / self.cells}

    def log_prob(self, clouds: Batch, generator: torch.Generator | None = None) -> Tensor:
        """log p(image | condition) [B] in nats, of images that are dequantised at random.

        Its unit of energy is the standardised log fraction of a cell.

        Args:
            clouds: In physical units; points outside of the cells are lost.
            generator: Source of what dequantises.
        """
        event, condition = self.representation.see(clouds)
        return log_density(self.flow, self.dequantised(event, generator), condition)

    def dequantised(self, image: Tensor, generator: torch.Generator | None = None) -> Tensor:
        r"""Images [B, 1, \*shape] with noise: uniform where they are empty, normal elsewhere."""
        place = uniform(tuple(image.shape), image, generator)
        jitter = self.noise * normal(tuple(image.shape), image, generator)
        return torch.where(image > 0.5, image + jitter, place - 0.5)

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`."""
        drawn = self.representation.draw(request, generator)
        condition = self.representation.condition(drawn)
        noise = normal((len(condition), self.cells), condition, generator)
        return self.representation.clouds(self.flow.inverse(noise, condition), drawn)
