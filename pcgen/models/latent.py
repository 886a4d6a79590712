r"""Latent models: an autoencoder, and a prior that is learnt on its codes once it is trained.

The two stages of Achlioptas et al., "Learning representations and generative models for 3D point
clouds", ICML 2018, arXiv 1707.02392, conditional: the prior takes class, y and number of points.

Between the two, codes are made simple for a prior (:mod:`pcgen.models.whitening`), which learns
what is left of them once their mean and covariance are right. The codes of a small training
split are kept, since a step of a prior is then several times as fast as one that encodes a batch
of clouds again.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.models.autoencoder import Autoencoder
from pcgen.models.base import GenerativeModel, NoiseChannels, Phase
from pcgen.models.cardinality import Drawn
from pcgen.models.request import Request
from pcgen.models.whitening import Whitening


class Encoded(NamedTuple):
    """What a prior learns from.

    Attributes:
        code: Whitened codes [B, Z].
        condition: Standardised condition [B, K]: y, one-hot class, log n.
        label: Class [B], None where the schema has none.
    """

    code: Tensor
    condition: Tensor
    label: Tensor | None


class Prior(nn.Module, ABC):
    """p(code | condition), over whitened codes."""

    @abstractmethod
    def phases(self, codes: LatentModel) -> Sequence[Phase]:
        """Who learns how; ``begin`` and ``end`` are fractions of the prior's share of the run.

        Args:
            codes: Gives codes of the trained autoencoder: ``encode`` and ``draw``.
        """

    @abstractmethod
    def sample(
        self, condition: Tensor, label: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """One code [B, Z] for each condition [B, K] and class [B]."""

    def from_noise(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Codes as a function of standard normal numbers [B, Z], where they are one.

        Raises:
            ArgumentError: they are not.
        """
        raise ArgumentError(
            f"{type(self).__name__}: got normal numbers for its codes, expected to draw them "
            "itself; the codes of an AdversarialPrior are a function of noise"
        )


class LatentModel(GenerativeModel):
    """An autoencoder with a prior over its codes.

    Args:
        autoencoder: Trained first, then frozen and in evaluation mode.
        prior: Trained afterwards.
        whitening: Of the codes; found in between.
        book: Codes of the training split, for the prior to learn from.
        share: Fraction of the run's steps that the autoencoder gets. 0: the run starts from a
            trained one, which stays as it is.

    Raises:
        ArgumentError: ``share`` is out of range.
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
        if not 0.0 <= share < 1.0:
            raise ArgumentError(f"share: got {share}, expected at least 0 and below 1")
        self.schema = autoencoder.schema
        # A reference: the representation is a part of the autoencoder, and stored once.
        self.__dict__["representation"] = autoencoder.representation
        self.autoencoder, self.prior = autoencoder, prior
        self.whitening, self.book = whitening, book
        self.share = share
        self._has_autoencoder = False  # whether the run has started from a trained one

    def begins_with(self, source: GenerativeModel, mine: str | None, theirs: str | None) -> None:
        """See :meth:`GenerativeModel.begins_with`."""
        self._has_autoencoder = mine in (None, "autoencoder")

    def phases(self) -> Sequence[Phase]:
        """Those of the autoencoder until ``share`` of the run, then the prior's."""
        share, first = self.share, list(self.autoencoder.phases())
        if share:
            first = [
                dataclasses.replace(phase, begin=share * phase.begin, end=share * phase.end)
                for phase in first
            ]
        else:
            first = [phase for phase in first if phase.loss is None]
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
        """Whitened codes of clouds in physical units, and their conditions."""
        code, condition = self._codes(clouds)
        label = clouds.label if self.schema.labels else None
        return Encoded(self.whitening(code, condition), condition, label)

    @torch.no_grad()
    def draw(self, clouds: Batch) -> Encoded:
        """Codes of as many training clouds: of these, or, where all are kept, of random ones."""
        if not self.book.complete:
            return self.encode(clouds)
        code, condition = self.book.draw(clouds.num_graphs)
        start, classes = len(self.schema.condition), len(self.schema.labels)
        label = condition[:, start : start + classes].argmax(1) if classes else None
        return Encoded(self.whitening(code, condition), condition, label)

    @torch.no_grad()
    def generate(self, request: Request, generator: torch.Generator | None = None) -> Batch:
        """See :meth:`GenerativeModel.generate`; codes come from the prior."""
        see = self.autoencoder.representation
        drawn = see.draw(request, generator)
        condition = see.condition(drawn)
        code = self.prior.sample(condition, drawn.label, generator)
        return self.autoencoder.decode(self.whitening.inverse(code, condition), drawn, generator)

    @property
    def noise_channels(self) -> NoiseChannels:
        """See :class:`~pcgen.models.base.FromNoise`."""
        return NoiseChannels(self.autoencoder.decoder.noise_channels, self.whitening.code_channels)

    def from_noise(self, start: Batch, code: Tensor, drawn: Drawn) -> Batch:
        """See :meth:`pcgen.models.base.FromNoise.from_noise`; of a prior that is made of noise."""
        condition = self.autoencoder.representation.condition(drawn)
        white = self.prior.from_noise(code, condition)
        return self.autoencoder.from_noise(start, self.whitening.inverse(white, condition), drawn)

    def _look(self, batches: Iterable[Batch]) -> None:
        if not (self.share or self._has_autoencoder):
            raise ArgumentError(
                "share: got 0 for a prior without a trained autoencoder, expected one to start "
                "from (start, start_part autoencoder), or a share of the run in which one is learnt"
            )
        self.whitening.fit(self.book.keep(self._codes(clouds) for clouds in batches))

    def _codes(self, clouds: Batch) -> tuple[Tensor, Tensor]:
        """Codes [B, Z] and conditions [B, K], without the noise of training."""
        training = self.autoencoder.training
        self.autoencoder.eval()
        try:
            return self.autoencoder.encode(clouds)
        finally:
            self.autoencoder.train(training)


class CodeBook(nn.Module):
    """Codes and conditions of a training split of up to so many clouds.

    Args:
        code_channels: Columns Z of the codes.
        condition_channels: Columns K of the condition.
        capacity: Most clouds; of a larger split nothing is kept.
    """

    growing = ("code", "condition")

    def __init__(
        self, code_channels: int, condition_channels: int, *, capacity: int = 16384
    ) -> None:
        super().__init__()
        self.capacity = capacity
        self.seen: Tensor
        self.code: Tensor
        self.condition: Tensor
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("code", torch.zeros(0, code_channels))
        self.register_buffer("condition", torch.zeros(0, condition_channels))

    @property
    def complete(self) -> bool:
        """Whether it holds the codes of all training clouds."""
        return 0 < int(self.seen) <= len(self.code)

    def keep(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Pass codes [B, Z] and conditions [B, K] on, batch by batch, and keep them."""
        self.seen.zero_()
        self._open(self.capacity)
        for code, condition in pairs:
            start, stop = int(self.seen), int(self.seen) + len(code)
            room = self.code[start:stop]
            room.copy_(code[: len(room)])
            self.condition[start:stop].copy_(condition[: len(room)])
            self.seen.fill_(stop)
            yield code, condition
        self._open(int(self.seen) if self.complete else 0)

    def _open(self, rows: int) -> None:
        """Keep the first rows, and zeros behind those that there were."""
        for name in ("code", "condition"):
            old = getattr(self, name)
            new = old.new_zeros(rows, old.shape[1])
            new[: len(old)] = old[:rows]
            setattr(self, name, new)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: Any, strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """As many rows as are stored; none of a split that was larger, which once were stored."""
        code = state_dict.get(prefix + "code")
        if isinstance(code, Tensor) and code.dim() == 2 and len(code) <= self.capacity:
            self._open(len(code))
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if not self.complete:
            self._open(0)

    def draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Random codes [number, Z] and their conditions [number, K], with replacement."""
        row = torch.randint(int(self.seen), (number,), device=self.code.device)
        return self.code[row], self.condition[row]
