"""Which events a score is taken on: batches of real, other real and generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pcgen.errors import DataError
from pcgen.metrics.protocols.protocol import Drawing


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

    def batches(self, how: Drawing, events: int | None, number: int) -> Batches:
        """Draw batches as :class:`~pcgen.metrics.protocols.Part` says.

        Args:
            how: Halvings, disjoint or resampled.
            events: Events on each side of a batch; None, or more than there are of an event each:
                as many as there are.
            number: Batches.
        """
        if how == "resampled":
            return self._resampled(self.largest if events is None else events, number)
        fakes = self._shuffled(self._generated)
        largest = self.largest
        if how == "disjoint":
            largest = min(largest, len(fakes) // number)
        size = largest if events is None else min(events, largest)
        rows = []
        for k in range(number):
            order = self._shuffled(self._real)
            if how == "halvings":
                chosen = self._shuffled(fakes)[:size]
            else:
                chosen = fakes[k * size : (k + 1) * size]
            rows.append((order[:size], order[size : 2 * size], chosen))
        return _stacked(rows)

    def _resampled(self, events: int, number: int) -> Batches:
        order = self._shuffled(self._real)
        half = len(order) // 2
        sides = (order[:half], order[half:], self._generated)
        rows = []
        for _ in range(number):
            picks = (torch.randint(len(s), (events,), generator=self._generator) for s in sides)
            rows.append(tuple(side[pick] for side, pick in zip(sides, picks, strict=True)))
        return _stacked(rows)

    def pair(self, events: int) -> tuple[Tensor, Tensor]:
        """Real and generated events [n] each, every one once."""
        return self._shuffled(self._real)[:events], self._shuffled(self._generated)[:events]

    def _shuffled(self, events: Tensor) -> Tensor:
        return events[torch.randperm(len(events), generator=self._generator)]


def _stacked(rows: Sequence[tuple[Tensor, ...]]) -> Batches:
    a, b, generated = (torch.stack(column) for column in zip(*rows, strict=True))
    return Batches(a, b, generated)
