r"""Classifier of clouds: an encoder that ends in one logit for each class, and its cross entropy.

.. math::
    L = -\log \mathrm{softmax}(f(x))_c + \lambda\, P(x)

with the class c of a cloud x and, for networks that have one, a penalty P: of a PointNet with
T-Nets the distance :math:`\frac{1}{2} |I - A A^T|_F^2` of its feature transform from an orthogonal
one, with :math:`\lambda = 0.001` (Qi et al., arXiv 1612.00593, section 4.2). The network takes the
points alone: neither the class nor what may betray it, y and the number of points.

It shares loop, checkpoints and recipes with generative models and generates nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, DataError
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.blocks import ranges
from pcgen.models.representations import Points
from pcgen.models.request import Request


class Classifier(GenerativeModel):
    """Probabilities of the classes of a cloud.

    Args:
        representation: Clouds in physical units to points as the network sees them, without their
            conditions (``alone``).
        encoder: ``(event, condition [B, 0])`` -> logits [B, C], a column for each class of the
            schema; where it has a method ``penalty(event) -> [B]``, that is added to the loss.
        strength: λ, factor of the penalty.

    Raises:
        ArgumentError: the schema has fewer than two classes, the network sees conditions, or the
            strength is negative.
    """

    representation: Points

    def __init__(
        self, representation: Points, encoder: nn.Module, *, strength: float = 0.001
    ) -> None:
        super().__init__(representation)
        if len(self.schema.labels) < 2:
            known = ", ".join(self.schema.labels) or "none"
            raise ArgumentError(f"classes: got {known}, expected two or more to tell apart")
        if not representation.alone:
            raise ArgumentError("representation: got one with conditions, expected alone=True")
        if strength < 0:
            raise ArgumentError(f"strength: got {strength}, expected 0 or more")
        self.encoder, self.strength = encoder, strength

    @property
    def can_sample(self) -> bool:
        """See :attr:`GenerativeModel.can_sample`; a classifier generates nothing."""
        return False

    def phases(self) -> Sequence[Phase]:
        """The representation is fitted; then the network learns."""
        learning = Phase("classification", (self.encoder,), self.loss)
        return (*self.representation.phases(), learning)

    def logits(self, clouds: Batch) -> Tensor:
        """Logits [B, C] of clouds in physical units."""
        event, condition = self.representation.see(clouds)
        logits: Tensor = self.encoder(event, condition)
        return logits

    def loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Cross entropy in nats, and the penalty of a network that has one.

        Raises:
            DataError: the clouds have no classes.
        """
        event, condition = self.representation.see(clouds)
        logits = self.encoder(event, condition)
        terms = {"cross_entropy": cross_entropy(logits, self._labels(clouds))}
        penalty = getattr(self.encoder, "penalty", None)
        if penalty is not None and self.strength:
            terms["penalty"] = self.strength * penalty(event).mean()
        return terms

    def probabilities(self, clouds: Batch, *, block: int = 500) -> Tensor:
        """Probability of each class [B, C] of clouds in physical units, on the CPU.

        Args:
            clouds: B clouds; classes are not looked at.
            block: Clouds that are classified at a time.
        """
        return self.scores(clouds, block=block).softmax(1)

    @torch.no_grad()
    def scores(self, clouds: Batch, *, block: int = 500) -> Tensor:
        """Logits [B, C] as :meth:`probabilities` takes them, in evaluation mode and on the CPU."""
        training, device = self.training, next(self.parameters()).device
        self.eval()
        try:
            parts = [
                self.logits(cl.select(clouds, rows).to(device)).cpu()
                for rows in ranges(clouds.num_graphs, block)
            ]
        finally:
            self.train(training)
        return torch.cat(parts) if parts else torch.zeros(0, len(self.schema.labels))

    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """A classifier cannot be sampled.

        Raises:
            ArgumentError: always, with the remedy.
        """
        raise ArgumentError(
            "sample: got a classifier, which generates no events, expected a generative model; "
            "pcgen classify writes its scores"
        )

    def _labels(self, clouds: Batch) -> Tensor:
        label = clouds.get("label")
        if label is None:
            raise DataError("label: got clouds without classes, expected a class of each to learn")
        return label
