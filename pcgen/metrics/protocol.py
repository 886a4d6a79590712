"""What a protocol is: which events its scores are taken on, how many, how often, after which cuts.

Published scores can be compared only where all of that is the same; a protocol fixes it under one
name and stops where sets are too small for it. A score of :mod:`pcgen.metrics.scores` enters a
table as one more :class:`Part` of a protocol of :mod:`pcgen.metrics.protocols`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch_geometric.data import Batch

from pcgen.errors import DataError
from pcgen.metrics.comparison import Comparison
from pcgen.schema import Schema

Drawing = Literal["halvings", "disjoint", "resampled"]


@dataclass(frozen=True)
class Part:
    """Scores of one kind and how their events are drawn.

    Attributes:
        build: Makes the comparison from the pool of all events.
        events: Events on each side of a batch; None means as many as there are.
        batches: Batches, for mean and standard deviation.
        draw: ``"halvings"``: each batch cuts the real events anew and draws generated ones, each
            event once; ``"disjoint"``: no generated event is in two batches, either;
            ``"resampled"``: one cut of the real events, draws with replacement.
        tested: Events on each side of the permutation test, at most.
    """

    build: Callable[[Batch, Schema], Comparison]
    events: int | None = None
    batches: int = 10
    draw: Drawing = "halvings"
    tested: int = 1000


def unchanged(clouds: Batch, schema: Schema) -> Batch:
    """The clouds themselves."""
    return clouds


def any_events(schema: Schema) -> None:
    """Refuses nothing."""


@dataclass(frozen=True)
class Protocol:
    """Everything that fixes a table of scores.

    Attributes:
        name: Its name.
        parts: The scores.
        prepare: Cuts and conversions of each side.
        need: Generated events needed; the real ones are twice as many, for the floor.
        source: Where it was defined.
        more: How to get more events, for the error where there are too few.
        requires: Raises one of pcgen's errors where events are not of the kind that it scores.
    """

    name: str
    parts: tuple[Part, ...]
    prepare: Callable[[Batch, Schema], Batch] = unchanged
    need: int = 2
    source: str = ""
    more: str = ""
    requires: Callable[[Schema], None] = any_events

    def check(self, real: int, generated: int) -> None:
        """Refuse sets that are too small.

        Raises:
            DataError: saying how many events are needed.
        """
        if real < 2 * self.need or generated < self.need:
            raise DataError(
                f"events: got {real} real and {generated} generated, expected at least "
                f"{2 * self.need} and {self.need} for protocol {self.name} (the floor compares "
                f"two disjoint sets of real events){self.more}"
            )
