"""Questions of a study: what rows answer, from rows that were made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from scipy.stats import mannwhitneyu
from toy_study import result

from pcgen.errors import ArgumentError
from pcgen.tools.comparison.questions import Question, answer
from pcgen.tools.comparison.results import Result, cells


def seeds(values: list[float], name: str = "score", converged: bool = True, **factors: Any):
    """Rows that differ in seed and in one number."""
    return [
        result(seed=k, numbers={name: value}, converged=converged, **factors)
        for k, value in enumerate(values)
    ]


def answered(results: list[Result], expect: Any, **options: Any):
    """The answer to a question about all factors that the rows have."""
    factors: dict[str, dict[Any, str]] = {}
    for row in results:
        for name, value in row.factors.items():
            factors.setdefault(name, {}).setdefault(value, "")
    question = Question("H", "Text.", expect, **options)
    question.check(factors)
    return answer(question, cells(results, factors), factors)


NETS = [*seeds([1.0, 2.0, 4.0], net="dense"), *seeds([1.5, 1.6, 1.7], net="sparse")]


@pytest.mark.parametrize(
    ("expect", "verdict"),
    [
        ("sparse < dense", "holds"),
        ("dense < sparse", "does not hold"),
        ("dense > sparse", "holds"),
        ("sparse <= dense", "holds"),
        ("sparse >= 0.8 dense", "holds"),
        ("sparse >= 0.81 dense", "does not hold"),
        ("dense > 1.2 * sparse", "holds"),
        (["sparse < dense", "sparse > 0.5 dense"], "holds"),
        (["sparse < dense", "sparse < 0.5 dense"], "does not hold"),
        # Medians 2 and 1.6 differ by less than the spread of the dense seeds, 3.
        ("sparse ~ dense", "holds"),
    ],
)
def test_medians_over_the_seeds_are_compared(expect, verdict):
    assert answered(NETS, expect).verdict == verdict


def test_numbers_are_shown_by_the_words_of_the_question():
    assert answered(NETS, "sparse < dense").because == "sparse 1.6, dense 2"
    shown = answered(NETS, "sparse < dense", shown="{sparse:.2f} against {dense:.1f}, {spread:.0f}")
    assert shown.because == "1.60 against 2.0, 3"
    unit = answered(NETS, "dense < sparse", unit="σ", shown="best: {values}")
    assert unit.because == "**not** best: dense 2σ, sparse 1.6σ"


def two_sizes(converged: bool = True) -> list[Result]:
    return [
        *seeds([1.0, 1.0], net="dense", size=8),
        *seeds([0.5, 0.6], net="sparse", size=8),
        *seeds([1.0, 1.0], net="dense", size=16),
        *seeds([2.0, 2.1], net="sparse", size=16, converged=converged),
    ]


def test_it_holds_where_it_holds_in_every_place():
    found = answered(two_sizes(), "sparse < dense", place="at {size}²")
    assert found.verdict == "does not hold"
    assert found.because == ("at 8²: sparse 0.55, dense 1; **not** at 16²: sparse 2.05, dense 1")
    small = answered(two_sizes(), "sparse < dense", rows={"size": 8})
    assert small == ("holds", "size 8: sparse 0.55, dense 1")


def test_seeds_that_are_not_converged_support_no_conclusion():
    rows = two_sizes(converged=False)
    found = answered(rows, "sparse < dense", rows={"size": 16}, place="at {size}²")
    assert found == (
        "no conclusion",
        "too few converged seeds (at 16²: 0 sparse, 2 dense converged)",
    )
    # A time does not depend on it.
    timed = answered(rows, "sparse < dense", rows={"size": 16}, converged=0)
    assert timed.verdict == "does not hold"
    # What has an answer elsewhere has it.
    assert answered(rows, "sparse < dense").verdict == "holds"


def test_places_count_where_a_number_of_their_rows_allows_it():
    rows = [
        result(net=net, size=size, seed=seed, numbers={"ms": ms, "filled": filled})
        for net, ms in (("dense", 10.0), ("sparse", 20.0))
        for size, filled in ((8, 0.5), (16, 0.04))
        for seed in range(2)
    ]
    found = answered(rows, "sparse < dense", score="ms", only_if="filled < 0.3",
                  shown="{size} ({filled:.0%}): {sparse:.0f} ms")  # fmt: skip
    assert found == ("does not hold", "**not** 16 (4%): 20 ms")
    assert answered(rows, "sparse < dense", score="ms", only_if="filled < 0.01") == (
        "no conclusion",
        "no such rows",
    )


def test_the_best_of_a_factor_is_compared_and_what_is_left_out_is_named():
    rows = [
        *seeds([0.9, 0.9], net="image", loss="gan"),
        *seeds([0.3, 0.3], net="epic", loss="gan"),
        *seeds([0.2, 0.2], net="epic", loss="flow"),
    ]
    question = {"expect": "flow < gan", "best": "net", "shown": "best: {values}", "unit": "σ",
                "groups": {"gan": {"loss": "gan"}, "flow": {"loss": "flow"}}}  # fmt: skip
    assert answered(rows, **question) == ("holds", "best: gan 0.3σ (epic), flow 0.2σ (epic)")
    young = [*rows, *seeds([0.1, 0.1], net="image", loss="flow", converged=False)]
    assert answered(young, **question).because == (
        "best: gan 0.3σ (epic), flow 0.2σ (epic); left out: flow of image: 0 converged. Of all "
        "seeds, converged or not: gan 0.3σ (epic), flow 0.1σ (image)"
    )
    assert (
        answered(rows[:4], **{**question, "expect": "gan < gan", "groups": {}}).verdict != "holds"
    )
    few = [*rows[:4], *seeds([0.2], net="epic", loss="flow")]
    assert answered(few, **question).verdict == "no conclusion"


def test_groups_may_have_scores_of_their_own():
    rows = [result(net="a", seed=k, numbers={"at 30": 1.0, "at 70": 1.3}) for k in range(2)]
    groups = {"later": {"net": "a", "score": "at 70"}, "now": {"net": "a", "score": "at 30"}}
    assert answered(rows, "later < 1.4 now", groups=groups).verdict == "holds"
    assert answered(rows, "later < 1.2 now", groups=groups).verdict == "does not hold"
    few = answered(rows[:1], "later < 1.4 now", groups=groups)
    assert few.because == "too few converged seeds (1 later converged)"


def test_a_significance_makes_small_differences_undecided():
    """The p-value is that of SciPy's exact rank test of the seeds."""
    far = [*seeds([1.0, 1.1, 1.2, 1.3], net="a"), *seeds([2.0, 2.1, 2.2, 2.3], net="b")]
    near = [*seeds([1.0, 2.05, 1.2, 1.3], net="a"), *seeds([2.0, 1.1, 2.2, 2.3], net="b")]
    assert answered(far, "a < b", significance=0.05).verdict == "holds"
    assert answered(far, "b < a", significance=0.05).verdict == "does not hold"
    found = answered(near, "a < b", significance=0.05)
    p = mannwhitneyu([1.0, 2.05, 1.2, 1.3], [2.0, 1.1, 2.2, 2.3], alternative="two-sided").pvalue
    assert found.verdict == "no conclusion"
    assert found.because == f"nothing is decided (a and b differ by chance with p = {p:.2g})"
    assert answered(near, "a < b").verdict == "holds"


def test_nothing_is_answered_from_nothing():
    assert answered(NETS[:3], "dense < 2 dense").verdict == "holds"
    factors = {"net": {"dense": "", "sparse": ""}}
    found = answer(Question("H", "Text.", "sparse < dense"), cells(NETS[:3], factors), factors)
    assert found == ("no conclusion", "no such rows")
    nothing = [result(net=net, seed=k) for net in ("dense", "sparse") for k in range(2)]
    assert answered(nothing, "sparse < dense").verdict == "no conclusion"


def checked(**options: Any) -> None:
    given: dict[str, Any] = {"name": "H", "text": "Text.", "expect": "sparse < dense", **options}
    Question(**given).check({"net": {"dense": "", "sparse": ""}})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expect": "sparse is best"}, "expect: got 'sparse is best', expected A < B"),
        ({"only_if": "few"}, "only_if: got 'few', expected NUMBER < 0.5 say"),
        ({"expect": "thick < thin"}, "question H: got 'thick', expected a name of groups or the"),
        ({"rows": {"colour": 1}}, "question H: got the factor 'colour', expected one of net"),
        ({"best": "colour"}, "question H: got the factor 'colour', expected one of net"),
    ],
)
def test_questions_that_cannot_be_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        checked(**options)
