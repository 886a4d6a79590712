"""What a conversion did."""

from __future__ import annotations

from typing import NamedTuple


class Converted(NamedTuple):
    """What a conversion did.

    Attributes:
        events: Number of events written.
        points: Number of points, or filled cells, written.
        outside: Number of points that were outside the grid, and were dropped or clipped.
        outside_weight: Their weight, in the unit of the source.
        format: Of the target.
        unobserved: Number of cells that were NaN and gave no point.
        negative: Number of cells that were negative, below the threshold, and gave no point.
        missing: Number of points without coordinates that were left out.
        rounded: Whether a value of float64 was rounded to float32.
        wide: Why the floats are float64 where that was not chosen; empty where it is not so.
        passed_over: Names of arrays that the source has and nothing took.
        lost: Names of what the source has and the format of the target has no place for.
        doubts: Axes that exceed their period, as lines of text.
    """

    events: int
    points: int
    outside: int = 0
    outside_weight: float = 0.0
    format: str = ""
    unobserved: int = 0
    negative: int = 0
    missing: int = 0
    rounded: bool = False
    wide: str = ""
    passed_over: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
