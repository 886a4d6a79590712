"""A comparison in a few sentences: how many scores are at the floor, and which is farthest."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from pcgen.metrics import Evaluation, Score
from pcgen.report.tables import CHANCE, FAR, has_distance, number

_WORDS = {
    "multiplicity": "the number of points",
    "leading": "the leading fraction",
    "ptd": "the pT dispersion",
    "lund ln 1/delta": "ln 1/delta in the Lund plane",
    "lund ln kt": "ln kt in the Lund plane",
}
"""Observables whose names in the table are short."""


def summary(evaluations: Mapping[str, Evaluation], given: Collection[str] = ()) -> list[str]:
    """One line on each generator, and one on what is missing.

    A score is at the floor where its permutation p-value is at least 0.05, and where it has none,
    up to three standard deviations from the floor. One that is not defined is counted as missing.

    Args:
        evaluations: Each generator's, by its name.
        given: Names of scores of what is drawn from the training events and not generated: they are
            not counted, but named once, in a line after those on the generators.
    """
    lines = [f"{name}: {_closeness(each, given)}" for name, each in evaluations.items()]
    scored = {score.name for each in evaluations.values() for score in each.scores}
    left = [name for name in given if name in scored]
    if left:
        lines.append(f"given, not counted: {', '.join(left)}.")
    gaps = [f"{name}: {gap}" for name, each in evaluations.items() for gap in _missing(each)]
    return [*lines, f"Missing: {'; '.join(gaps) if gaps else 'nothing, each score is defined'}."]


def in_words(name: str) -> str:
    """A score for a sentence.

    >>> in_words("W1 leading"), in_words("W1 point pt"), in_words("FPD")
    ('W1 distance of the leading fraction', 'W1 distance of pt of the points', 'FPD')
    """
    kind, _, rest = name.partition(" ")
    if kind != "W1":
        return name
    if rest.startswith("point "):
        return f"W1 distance of {rest.removeprefix('point ')} of the points"
    return f"W1 distance of {_WORDS.get(rest, rest)}"


def at_floor(score: Score) -> bool:
    """Whether a score is one that real events have against other real ones.

    The p-value decides where there is one: σ from a few batches may be far too large or small.
    """
    return abs(score.z) <= FAR if score.p is None else score.p >= CHANCE


def _closeness(evaluation: Evaluation, given: Collection[str]) -> str:
    known = [s for s in evaluation.scores if has_distance(s) and s.name not in given]
    if not known:
        return "no score has a distance from its floor."
    near = [score for score in known if at_floor(score)]
    order = sorted(known, key=lambda score: abs(score.z))
    text = (
        f"{len(near)} of {len(known)} scores are at the floor, what real events score against other"
        f" real ones. Nearest to it: {_beside(order[0])}"
    )
    return f"{text}; farthest: {_beside(order[-1])}." if len(order) > 1 else f"{text}."


def _beside(score: Score) -> str:
    unit = f" {score.unit}" if score.unit else ""
    away = "infinitely far" if math.isinf(score.z) else f"{abs(score.z):.1f} standard deviations"
    return (
        f"{in_words(score.name)}, {number(score.value, score.error)}{unit} beside "
        f"{number(score.floor, score.floor_error)}{unit} ({away})"
    )


def _missing(evaluation: Evaluation) -> list[str]:
    gaps = []
    for side, broken in zip(("real", "generated"), evaluation.broken, strict=True):
        if broken:
            gaps.append(f"{len(broken)} {side} events with NaN or infinite values")
    for side, count in zip(("real", "generated"), evaluation.weightless, strict=True):
        if count:
            gaps.append(f"{count} {side} events without weight in scores over pairs")
    bare = [score.name for score in evaluation.scores if not has_distance(score)]
    if bare:
        gaps.append(f"no distance from the floor for {', '.join(bare)}")
    return [*gaps, *evaluation.not_defined]
