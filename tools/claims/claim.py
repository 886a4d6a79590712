"""One claim of a paper: what is measured, and the threshold that was written before the run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Measure = Callable[[Sequence[int], bool], list[float]]
"""``(seeds, quick) -> one number for each seed``; quick shortens it to see that it runs."""


@dataclass(frozen=True)
class Claim:
    """A number and on which side of a threshold it must be.

    Attributes:
        family: Name of the family.
        text: What is claimed, and of what the number is.
        source: The paper.
        published: The paper's own figure, or what a proof there gives.
        measure: Makes the numbers.
        threshold: Of the median over seeds.
        above: The median must be at least the threshold; else at most.
    """

    family: str
    text: str
    source: str
    published: str
    measure: Measure
    threshold: float
    above: bool = False

    @property
    def condition(self) -> str:
        """The threshold with its side."""
        return f"{'>=' if self.above else '<='} {self.threshold:g}"

    def check(self, seeds: Sequence[int], quick: bool) -> Verdict:
        """Measure it with these seeds."""
        start = time.monotonic()
        values = self.measure(seeds, quick)
        return Verdict(self, tuple(values), time.monotonic() - start)


@dataclass(frozen=True)
class Verdict:
    """What came out.

    Attributes:
        claim: Of a paper.
        values: One for each seed.
        seconds: That it took.
    """

    claim: Claim
    values: tuple[float, ...]
    seconds: float

    @property
    def median(self) -> float:
        """Over the seeds."""
        return statistics.median(self.values)

    @property
    def holds(self) -> bool:
        """Whether the median is on the right side; never where a number is not finite."""
        if self.claim.above:
            return self.median >= self.claim.threshold
        return self.median <= self.claim.threshold

    @property
    def row(self) -> dict[str, str]:
        """As text, by the columns of the tables."""
        low, high = min(self.values), max(self.values)
        return {
            "family": self.claim.family,
            "claim": self.claim.text,
            "source": self.claim.source,
            "published": self.claim.published,
            "ours": _text(self.median),
            "spread": f"{_text(low)} to {_text(high)}",
            "threshold": self.claim.condition,
            "verdict": "pass" if self.holds else "FAIL",
            "seconds": f"{self.seconds:.1f}",
        }


def _text(value: float) -> str:
    """Three digits, and all of a whole number."""
    whole = value.is_integer() and abs(value) < 1e6
    return str(int(value)) if whole else f"{value:.3g}"
