"""Which events a score is taken on: batches of real, other real and generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import DataError


class Batches(NamedTuple):
    """Events of P batches, as numbers in the pool, [P, n] each.

    Attributes:
        a: Real events, which score and floor have in common.
        b: Other real events, for the floor.
        generated: Generated events, for the score.
    """

    a: Tensor
    b: Tensor
    generated: Tensor


class Draws:
    """Draws from a pool whose first events are real and whose others are generated.

    Args:
        usable: Which events of the pool may be drawn [N], bool.
        real: Number of real events in the pool.
        generator: Where the choice comes from.

    Raises:
        DataError: fewer than four real or two generated events are usable.
    """

    def __init__(self, usable: Tensor, real: int, generator: torch.Generator) -> None:
        number = torch.arange(len(usable))
        self._real = number[:real][usable[:real]]
        self._generated = number[real:][usable[real:]]
        self._generator = generator
        self.largest = min(len(self._real) // 2, len(self._generated))
        if self.largest < 2:
            raise DataError(
                f"events: got {len(self._real)} real and {len(self._generated)} generated that "
                "can be compared, expected at least 4 and 2"
            )

    def halvings(self, events: int, batches: int) -> Batches:
        """Each batch cuts the real events anew, and draws every event at most once."""
        rows = []
        for _ in range(batches):
            order = self._shuffled(self._real)
            chosen = self._shuffled(self._generated)[:events]
            rows.append((order[:events], order[events : 2 * events], chosen))
        return _stacked(rows)

    def resampled(self, events: int, batches: int) -> Batches:
        """One cut of the real events; each batch draws from the three sets with replacement."""
        order = self._shuffled(self._real)
        half = len(order) // 2
        sides = (order[:half], order[half:], self._generated)
        return _stacked(
            [tuple(self._with_replacement(side, events) for side in sides) for _ in range(batches)]
        )

    def pair(self, events: int) -> tuple[Tensor, Tensor]:
        """Real and generated events [n] each, every one once."""
        return self._shuffled(self._real)[:events], self._shuffled(self._generated)[:events]

    def _shuffled(self, events: Tensor) -> Tensor:
        return events[torch.randperm(len(events), generator=self._generator)]

    def _with_replacement(self, events: Tensor, number: int) -> Tensor:
        return events[torch.randint(len(events), (number,), generator=self._generator)]


def _stacked(rows: Sequence[tuple[Tensor, ...]]) -> Batches:
    a, b, generated = (torch.stack(column) for column in zip(*rows, strict=True))
    return Batches(a, b, generated)
