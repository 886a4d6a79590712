"""Questions of a study: what was expected, as plain comparisons, and what the rows answer.

An expectation compares two groups of rows by a score, of which each has the median over its seeds:

============== =================================================================================
``a < b``      a is lower; also ``>``, ``<=``, ``>=``, and ``a < 0.95 b`` with a factor
``a ~ b``      they differ by less than the spread (largest minus smallest) of the seeds of either
============== =================================================================================

It is looked at in each place that has all groups: each combination of the factors that no group
fixes. It holds where it holds in every place. Seeds that are not converged support no conclusion on
quality; the time of a step does not depend on whether it was the last one that was needed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Literal, NamedTuple

from pcgen.errors import ArgumentError
from pcgen.tools.comparison.results import Cell, Factors, Names, matches

Verdict = Literal["holds", "does not hold", "no conclusion"]

_SIGNS = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
_COMPARISON = re.compile(r"\s*(.+?)\s*(<=|>=|<|>|~)\s*(?:(\d[\d.]*)\s*[\s*]\s*)?(.+?)\s*")
_CONDITION = re.compile(r"\s*(.+?)\s*(<=|>=|<|>)\s*([\d.]+(?:e-?\d+)?)\s*")


class Answer(NamedTuple):
    """What the rows answer: a verdict, and the numbers (or the reason) behind it."""

    verdict: Verdict
    because: str


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        name: Short, ``H2a`` say.
        text: What is expected, so that numbers decide it.
        expect: Comparisons of groups, all of which must hold.
        score: The number of a row that is compared.
        rows: Values of factors of the rows that take part; a list for several.
        groups: What each name of ``expect`` stands for, as values of factors; ``score`` in it is
            compared in place of the question's. A name that is left out is the value of a factor.
        best: A factor: each group has the lowest median over its values.
        only_if: A condition on another number, ``occupancy < 0.3`` say, for places that count.
        converged: Converged seeds that each median needs, and is of; 0 takes all seeds.
        significance: Largest p-value of a rank test of the seeds (Mann and Whitney's, two-sided)
            with which ``<`` or ``>`` counts as a difference; None: medians decide.
        place: How a place is written, ``{resolution} cells`` say.
        shown: How the numbers of a place are written: names of groups, of factors and of numbers
            of a row in braces; ``{place}``, ``{values}``, ``{spread}``.
        unit: Is written behind each of the ``{values}``.

    Raises:
        ArgumentError: an expectation or condition is no comparison.
    """

    name: str
    text: str
    expect: str | list[str]
    score: str = "score"
    rows: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    best: str | None = None
    only_if: str | None = None
    converged: int = 2
    significance: float | None = None
    place: str | None = None
    shown: str | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        for text in self._texts:
            if _COMPARISON.fullmatch(text) is None:
                raise ArgumentError(f"expect: got {text!r}, expected A < B, A > 0.5 B or A ~ B say")
        if self.only_if is not None and _CONDITION.fullmatch(self.only_if) is None:
            raise ArgumentError(f"only_if: got {self.only_if!r}, expected NUMBER < 0.5 say")

    @property
    def _texts(self) -> list[str]:
        return [self.expect] if isinstance(self.expect, str) else self.expect

    @property
    def comparisons(self) -> list[tuple[str, str, float, str]]:
        """First group, sign, factor and second group of each."""
        found = [_COMPARISON.fullmatch(text) for text in self._texts]
        return [(m[1], m[2], float(m[3] or 1), m[4]) for m in found if m is not None]

    def check(self, factors: Mapping[str, Mapping[Any, str]]) -> None:
        """Refuse names that no rows have.

        Raises:
            ArgumentError: naming the question, the name and what there is.
        """
        of_groups = {k for group in self.groups.values() for k in group if k != "score"}
        for name in (*self.rows, *of_groups, *([self.best] if self.best else ())):
            if name not in factors:
                raise ArgumentError(
                    f"question {self.name}: got the factor {name!r}, expected one of "
                    f"{', '.join(factors)}"
                )
        self.resolved(factors)

    def resolved(self, factors: Mapping[str, Mapping[Any, str]]) -> dict[str, dict[str, Any]]:
        """The groups, those too that are only the value of a factor.

        Raises:
            ArgumentError: a name is the value of no factor, or of several.
        """
        found = dict(self.groups)
        for first, _, _, second in self.comparisons:
            for name in (first, second):
                if name in found:
                    continue
                homes = [(k, v) for k, values in factors.items() for v in values if str(v) == name]
                if len(homes) != 1:
                    known = ", ".join(str(v) for values in factors.values() for v in values)
                    raise ArgumentError(
                        f"question {self.name}: got {name!r}, expected a name of groups or the "
                        f"value of one factor: {known}"
                    )
                found[name] = {homes[0][0]: homes[0][1]}
        return found


class Group(NamedTuple):
    """What a group of rows has in one place.

    Attributes:
        values: The score of each seed that counts.
        cell: The first cell that they are of.
    """

    values: list[float]
    cell: Cell

    @property
    def median(self) -> float:
        """Of the seeds."""
        return median(self.values)


Members = Sequence[tuple[str, Cell]]
"""Names of groups, each with one of its cells."""


def answer(question: Question, there: Sequence[Cell], factors: Mapping[str, Any]) -> Answer:
    """What the rows answer.

    Args:
        question: One.
        there: All rows, seeds together.
        factors: Of the study.
    """
    groups = question.resolved(factors)
    held, words, left = [], [], []
    for place, members in _places(question, there, groups, list(factors)):
        found, short = _found(question, place, members, groups)
        left += short
        if len(found) < len(groups) or not _counts(question, found):
            continue
        unclear = _unclear(question, found)
        if unclear:
            left.append(_at(question, place, unclear))
            continue
        text = _shown(question, place, found)
        if question.best and short:
            every, _ = _found(replace(question, converged=0), place, members, groups)
            text += f"; left out: {'; '.join(short)}. Of all seeds, converged or not: "
            text += _values(question, every)
        held.append(all(_holds(each, found) for each in question.comparisons))
        words.append(text if held[-1] or question.best else f"**not** {text}")
    if held:
        return Answer("holds" if all(held) else "does not hold", "; ".join(words))
    few = all(each.endswith("converged") for each in left)
    why = "too few converged seeds" if few else "nothing is decided"
    return Answer("no conclusion", f"{why} ({'; '.join(left)})" if left else "no such rows")


def _places(
    question: Question,
    there: Sequence[Cell],
    groups: Mapping[str, Mapping[str, Any]],
    factors: Sequence[str],
) -> Iterator[tuple[Factors, Members]]:
    """Each place in which all groups have rows, and these rows in their order."""
    filters = {n: {k: v for k, v in g.items() if k != "score"} for n, g in groups.items()}
    fixed = {question.best, *(name for each in filters.values() for name in each)}
    free = [name for name in factors if name not in fixed]
    pairs = [
        (name, cell)
        for cell in there
        for name, each in filters.items()
        if matches(cell.factors, {**question.rows, **each})
    ]
    for values in dict.fromkeys(tuple(cell.factors[name] for name in free) for _, cell in pairs):
        place = dict(zip(free, values, strict=True))
        here = [(name, cell) for name, cell in pairs if matches(cell.factors, place)]
        if {name for name, _ in here} == set(groups):
            yield place, here


def _found(
    question: Question,
    place: Factors,
    members: Members,
    groups: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Group], list[str]]:
    """The groups that have enough seeds, and a remark on those that have not."""
    found: dict[str, Group] = {}
    counts: dict[str, int] = {}
    short = []
    for name, cell in members:
        sound = [each for each in cell.results if each.converged]
        score = groups[name].get("score", question.score)
        seeds = sound if question.converged else cell.results
        values = [v for v in (each.number(score) for each in seeds) if math.isfinite(v)]
        counts[name] = counts.get(name, 0) + len(sound)
        if question.best is None:
            known = found.get(name, Group([], cell))
            found[name] = known._replace(values=known.values + values)
        elif len(sound) < question.converged:
            short.append(f"{name} of {cell.factors[question.best]}: {len(sound)} converged")
        elif values and (name not in found or median(values) < found[name].median):
            found[name] = Group(values, cell)
    if question.best is None and min(counts.values()) < question.converged:
        # Groups that differ in their score alone are the same rows.
        rows = {repr({**each, "score": None}): name for name, each in reversed([*groups.items()])}
        numbers = ", ".join(f"{counts[name]} {name}" for name in groups if name in rows.values())
        return {}, [_at(question, place, f"{numbers} converged")]
    return {name: found[name] for name in groups if name in found and found[name].values}, short


def _counts(question: Question, found: Mapping[str, Group]) -> bool:
    """Whether the place fulfils the condition of the question."""
    condition = _CONDITION.fullmatch(question.only_if or "")
    if condition is None:
        return True
    value = _number(found, condition[1])
    return value is not None and _SIGNS[condition[2]](value, float(condition[3]))


def _unclear(question: Question, found: Mapping[str, Group]) -> str:
    """Why a difference is none, where the question requires a significance; empty where it is."""
    if question.significance is None:
        return ""
    from scipy.stats import mannwhitneyu

    for first, sign, factor, second in question.comparisons:
        if sign == "~":
            continue
        sides = found[first].values, [factor * value for value in found[second].values]
        p = mannwhitneyu(*sides, alternative="two-sided").pvalue
        if p > question.significance:
            return f"{first} and {second} differ by chance with p = {p:.2g}"
    return ""


def _holds(comparison: tuple[str, str, float, str], found: Mapping[str, Group]) -> bool:
    first, sign, factor, second = comparison
    values = found[first].median, factor * found[second].median
    if sign == "~":
        return abs(values[0] - values[1]) < _spread([found[first], found[second]])
    return _SIGNS[sign](*values)


def _spread(groups: Iterable[Group]) -> float:
    """Largest minus smallest value of the seeds, the larger one of all groups."""
    return max(max(each.values) - min(each.values) for each in groups)


def _number(found: Mapping[str, Group], name: str) -> float | None:
    """The median of a number of the rows of the first group that has it."""
    for group in found.values():
        known = group.cell.summary(name)
        if known is not None:
            return known.median
    return None


def _placed(question: Question, place: Factors) -> str:
    if question.place is not None:
        return question.place.format_map(place)
    return ", ".join(f"{name} {value}" for name, value in place.items())


def _at(question: Question, place: Factors, words: str) -> str:
    """Words about a place."""
    where = _placed(question, place)
    return f"{where}: {words}" if where else words


def _values(question: Question, found: Mapping[str, Group]) -> str:
    """The median of each group; with ``best`` also whose it is."""
    whose = {
        n: f" ({g.cell.factors[question.best]})" if question.best else "" for n, g in found.items()
    }
    return ", ".join(f"{n} {g.median:.3g}{question.unit}{whose[n]}" for n, g in found.items())


def _shown(question: Question, place: Factors, found: Mapping[str, Group]) -> str:
    """The numbers of a place, as the question writes them."""

    first = next((each.cell for each in found.values()), None)
    names = Names(place, first.results if first else ())
    names |= {name: group.median for name, group in found.items()}
    names |= {"place": _placed(question, place), "values": _values(question, found)}
    names["spread"] = _spread(found.values())
    return (question.shown or _at(question, place, "{values}")).format_map(names)
