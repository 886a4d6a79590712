"""Codes of the training split: what a prior learns from.

A trained autoencoder is frozen, so the codes of the training split are always the same. They are
kept as long as they are few: a step of a prior is then several times as fast as one that encodes a
batch of clouds again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch


class Encoded(NamedTuple):
    """What a prior sees of clouds.

    Attributes:
        code: Whitened codes [B, Z].
        condition: Standardised condition [B, K]: y, one-hot class, log n.
        label: Class [B], None where the schema has none.
    """

    code: Tensor
    condition: Tensor
    label: Tensor | None


class Codes(Protocol):
    """Where a prior gets codes from."""

    def encode(self, clouds: Batch) -> Encoded:
        """Codes of these clouds."""
        ...

    def draw(self, clouds: Batch) -> Encoded:
        """As many codes of the training split as there are clouds in a random batch of it."""
        ...


class CodeBook(nn.Module):
    """Codes and conditions of a training split of up to so many clouds.

    Args:
        code_channels: Columns Z of the codes.
        condition_channels: Columns K of the condition.
        capacity: Most clouds; of a larger split nothing is kept.
    """

    def __init__(
        self, code_channels: int, condition_channels: int, *, capacity: int = 16384
    ) -> None:
        super().__init__()
        self.seen: Tensor
        self.code: Tensor
        self.condition: Tensor
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("code", torch.zeros(capacity, code_channels))
        self.register_buffer("condition", torch.zeros(capacity, condition_channels))

    @property
    def complete(self) -> bool:
        """Whether it holds the codes of all training clouds."""
        return 0 < int(self.seen) <= len(self.code)

    def keep(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Pass codes [B, Z] and conditions [B, K] on, batch by batch, and keep them."""
        self.seen.zero_()
        for code, condition in pairs:
            start, stop = int(self.seen), int(self.seen) + len(code)
            room = self.code[start:stop]
            room.copy_(code[: len(room)])
            self.condition[start:stop].copy_(condition[: len(room)])
            self.seen.fill_(stop)
            yield code, condition

    def draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Random codes [number, Z] and their conditions [number, K], with replacement."""
        row = torch.randint(int(self.seen), (number,), device=self.code.device)
        return self.code[row], self.condition[row]
