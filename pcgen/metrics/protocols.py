"""Protocols: which events a score is taken on, how many, how often, after which cuts.

Published scores can be compared only where all of that is the same; a protocol fixes it under one
name and refuses sets that are too small for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch_geometric.data import Batch

from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.comparison import Comparison
from pcgen.metrics.marginals import marginals
from pcgen.metrics.neighbourhood import chamfer_neighbourhood, earth_mover_neighbourhood
from pcgen.schema import Schema


@dataclass(frozen=True)
class Part:
    """Scores of one kind and how their events are drawn.

    Attributes:
        build: Makes the comparison from the pool of all events.
        events: Events on each side of a batch; None means as many as there are.
        batches: Batches, for mean and standard deviation.
        replace: Whether a batch is drawn with replacement from one cut of the real events and from
            the generated ones; otherwise each batch cuts the real events anew.
        tested: Events on each side of the permutation test, at most.
    """

    build: Callable[[Batch, Schema], Comparison]
    events: int | None = None
    batches: int = 10
    replace: bool = False
    tested: int = 1000


def unchanged(clouds: Batch, schema: Schema) -> Batch:
    """The clouds themselves."""
    return clouds


@dataclass(frozen=True)
class Protocol:
    """Everything that fixes a table of scores.

    Attributes:
        name: Its name.
        parts: The scores.
        prepare: Cuts and conversions of each side.
        need: Generated events needed; the real ones are twice as many, for the floor.
        source: Where it was defined.
    """

    name: str
    parts: tuple[Part, ...]
    prepare: Callable[[Batch, Schema], Batch] = unchanged
    need: int = 2
    source: str = ""

    def check(self, real: int, generated: int) -> None:
        """Refuse sets that are too small.

        Raises:
            DataError: saying how many events are needed.
        """
        if real < 2 * self.need or generated < self.need:
            raise DataError(
                f"events: got {real} real and {generated} generated, expected at least "
                f"{2 * self.need} and {self.need} for protocol {self.name} (the floor compares "
                "two disjoint sets of real events)"
            )


def pcgen(*, repeats: int = 10, subset: int = 100) -> Protocol:
    """pcgen's own: all that the events' schema gives a meaning to, at the size of the sets.

    Args:
        repeats: Random halvings of the real events.
        subset: Events on each side of the scores over all pairs; 0 leaves those out.

    Raises:
        ArgumentError: fewer than 2 repeats, or a negative subset.
    """
    if repeats < 2 or subset < 0:
        raise ArgumentError(
            f"repeats, subset: got {repeats} and {subset}, expected at least 2 (for an "
            "uncertainty) and at least 0"
        )
    parts = [Part(marginals, batches=repeats)]
    if subset:
        halves = max(repeats // 2, 2)
        pairs = (chamfer_neighbourhood, earth_mover_neighbourhood)
        parts += [Part(b, events=subset, batches=halves, tested=subset) for b in pairs]
    return Protocol("pcgen", tuple(parts))
