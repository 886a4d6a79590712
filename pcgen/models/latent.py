"""Latent models: an autoencoder, and a prior that is learnt on its codes once it is trained.

The two stages of Achlioptas et al., "Learning representations and generative models for 3D point
clouds", ICML 2018, arXiv 1707.02392, conditional: the prior knows class, y and number of points.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.autoencoder import Autoencoder
from pcgen.models.base import GenerativeModel, Phase
from pcgen.models.codes import CodeBook, Codes, Encoded
from pcgen.models.request import Request
from pcgen.models.whitening import Whitening


class Prior(nn.Module, ABC):
    """p(code | condition), over whitened codes."""

    @abstractmethod
    def phases(self, codes: Codes) -> Sequence[Phase]:
        """Who learns how; ``begin`` and ``end`` are fractions of the prior's share of the run.

        Args:
            codes: Codes by the trained autoencoder, as it stands.
        """

    @abstractmethod
    def sample(
        self, condition: Tensor, label: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """One code [B, Z] for each condition [B, K] and class [B]."""


class LatentModel(GenerativeModel):
    """An autoencoder with a prior over its codes.

    Args:
        autoencoder: Trained first, then frozen and in evaluation mode.
        prior: Trained afterwards.
        whitening: Of the codes; found in between.
        book: Codes of the training split, for the prior to learn from.
        share: Fraction of the run's steps that the autoencoder gets.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        prior: Prior,
        whitening: Whitening,
        book: CodeBook,
        *,
        share: float = 0.6,
    ) -> None:
        super().__init__()
        if not 0.0 < share < 1.0:
            raise ArgumentError(f"LatentModel: got share {share}, expected 0 < share < 1")
        self.schema = autoencoder.schema
        self.autoencoder, self.prior = autoencoder, prior
        self.whitening, self.book = whitening, book
        self.share = share

    def phases(self) -> Sequence[Phase]:
        """Those of the autoencoder until ``share`` of the run, then the prior's."""
        share = self.share
        first = [
            dataclasses.replace(phase, begin=share * phase.begin, end=share * phase.end)
            for phase in self.autoencoder.phases()
        ]
        look = Phase("codes", (self.whitening, self.book), None, begin=share, prepare=self._look)
        second = [
            dataclasses.replace(
                phase,
                begin=share + (1 - share) * phase.begin,
                end=share + (1 - share) * phase.end,
            )
            for phase in self.prior.phases(self)
        ]
        return (*first, look, *second)

    @torch.no_grad()
    def encode(self, clouds: Batch) -> Encoded:
        """Whitened codes of clouds in physical units, and what the prior knows of them."""
        code, condition = self._codes(clouds)
        label = clouds.label if self.schema.labels else None
        return Encoded(self.whitening(code, condition), condition, label)

    @torch.no_grad()
    def draw(self, clouds: Batch) -> Encoded:
        """Codes of as many training clouds: of these, or where all are known of random ones."""
        if not self.book.complete:
            return self.encode(clouds)
        code, condition = self.book.draw(clouds.num_graphs)
        start, classes = len(self.schema.condition), len(self.schema.labels)
        label = condition[:, start : start + classes].argmax(1) if classes else None
        return Encoded(self.whitening(code, condition), condition, label)

    @property
    def condition_range(self) -> tuple[Tensor, Tensor] | None:
        """See :attr:`GenerativeModel.condition_range`."""
        return self.autoencoder.condition_range

    @property
    def classes(self) -> tuple[str, ...]:
        """See :attr:`GenerativeModel.classes`."""
        return self.autoencoder.classes

    @torch.no_grad()
    def generate(self, asked: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`; codes come from the prior."""
        model = self.autoencoder
        drawn = model.cardinality.draw(asked, generator)
        condition = model.condition(drawn)
        code = self.prior.sample(condition, drawn.label, generator)
        return model.decode(self.whitening.inverse(code, condition), drawn, generator)

    def _look(self, batches: Iterable[Batch]) -> None:
        self.whitening.fit(self.book.keep(self._codes(clouds) for clouds in batches))

    def _codes(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        """Codes [B, Z] and conditions [B, K], without the noise of training."""
        training = self.autoencoder.training
        self.autoencoder.eval()
        try:
            return self.autoencoder.encode(clouds)
        finally:
            self.autoencoder.train(training)
