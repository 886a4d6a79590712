from __future__ import annotations

import html
import io
import math
import re
from dataclasses import replace
from urllib.parse import unquote

import pytest
from rich.console import Console

from pcgen.metrics import Evaluation, Score
from pcgen.report import (
    bullets,
    comparison,
    details,
    far,
    figure,
    html_table,
    latex_table,
    link,
    markdown_table,
    number,
    paragraph,
    summary,
    text_table,
    write_page,
)

NEAR = Score("W1 mass", "GeV", 1.1, 0.2, 1.0, 0.2, 0.3, 50, 4)
FAR = Score("W1 mass", "GeV", 9.0, 0.2, 1.0, 0.2, 0.005, 50, 4)
ONLY = Score("COV-CD", "", 0.5, 0.02, 0.52, 0.02, None, 10, 2)


def evaluation(*scores):
    return Evaluation("pcgen", scores, events=(100, 50), seed=0, permutations=200)


BOTH = {"gan": evaluation(NEAR, ONLY), "vae": evaluation(FAR)}


def test_each_score_stands_beside_its_floor():
    header, rows = comparison(BOTH)
    assert header == ["score", "real vs real (floor)", "gan", "z", "p", "vae", "z", "p"]
    assert rows[0] == (
        "W1 mass [GeV]",
        [
            ("1.00 ± 0.20", False),
            *(("1.10 ± 0.20", False), ("+0.4", False), ("0.3", False)),
            *(("9.00 ± 0.20", True), ("+28.3", True), ("0.005", False)),
        ],
    )
    assert rows[1][1][4:] == [("", False)] * 3


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (1.0, 0.0, "1 ± 0"),
        (0.012342, 0.00021, "0.01234 ± 0.00021"),
        (2.1e-5, 1.0e-6, "2.1e-05 ± 1e-06"),
        (12345.0, 678.0, "12345 ± 678"),
    ],
)
def test_numbers_show_two_digits_of_the_error(value, error, expected):
    assert number(value, error) == expected


def test_the_page_escapes_what_it_is_given(tmp_path):
    path = tmp_path / "index.html"
    write_page(
        path, "a < b", {"Scores": [html_table(BOTH), paragraph("x & y"), figure("a.png", '"')]}
    )
    text = path.read_text()
    assert "<h1>a &lt; b</h1>" in text
    assert "x &amp; y" in text
    assert text.count('class="far"') == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_floor_gets_a_column_of_its_own():
    other = Score("W1 mass", "GeV", 2.0, 0.1, 3.0, 0.5, None, 50, 4)
    floors = {"pixels": evaluation(NEAR), "particles": evaluation(other)}
    header, rows = comparison({"gan": evaluation(NEAR, ONLY)}, floors)
    assert header == ["score", "pixels", "particles", "gan", "z", "p"]
    assert [text for text, _ in rows[0][1]][:2] == ["1.00 ± 0.20", "3.00 ± 0.50"]
    assert [text for text, _ in rows[1][1]][:2] == ["", ""]


def test_the_terminal_table_has_a_row_for_each_score():
    assert text_table(BOTH).row_count == 2


def test_names_are_broken_where_they_are_long_and_numbers_never():
    low, high = (
        "bias energy_response, pt 9 to 190 GeV",
        "resolution energy_response, pt 190 to 500 GeV",
    )
    numbers = (0.00123, 0.00011, -0.00184, 0.00063, 0.005, 100, 5)
    found = Evaluation("response", tuple(Score(n, "", *numbers) for n in (low, high)), (9, 9), 0, 9)
    shown = io.StringIO()
    Console(file=shown, width=80).print(text_table({"smearing-gan-electrons": found}))
    text = shown.getvalue()
    assert text.count("0.00123 ± 0.00011") == text.count("-0.00184 ± 0.00063") == 2
    assert max(map(len, text.splitlines())) <= 80
    first = " ".join(line[:22].strip() for line in text.splitlines())
    assert low in first
    assert high in first


def test_markdown_has_a_line_for_each_score_and_marks_the_far():
    lines = markdown_table(BOTH).splitlines()
    assert lines[1] == "| --- | --: | --: | --: | --: | --: | --: | --: |"
    assert len(lines) == 4
    assert lines[2].endswith("| **9.00 ± 0.20** | **+28.3** | 0.005 |")


def test_latex_escapes_its_special_characters():
    odd = Score("W1 eta_rel & 5%", "GeV", 1.1, 0.2, 1.0, 0.2, None, 50, 4)
    text = latex_table({"a_b": evaluation(odd)})
    assert r"W1 eta\_rel \& 5\% [GeV]" in text
    assert r"1.00 $\pm$ 0.20 & 1.10 $\pm$ 0.20 & +0.4 &  \\" in text
    assert text.startswith(r"\begin{tabular}{lrrrr}")


def test_the_summary_counts_scores_at_the_floor_and_names_the_ends():
    middle = Score("FPD", "", 2.0, 0.5, 1.0, 0.5, 0.2, 50, 4)
    lines = summary({"gan": evaluation(middle, NEAR, FAR), "vae": evaluation(ONLY)})
    assert lines[0] == (
        "gan: 2 of 3 scores are at the floor, what real events score against other real ones. "
        "Nearest to it: W1 distance of mass, 1.10 ± 0.20 GeV beside 1.00 ± 0.20 GeV "
        "(0.4 standard deviations); farthest: W1 distance of mass, 9.00 ± 0.20 GeV beside "
        "1.00 ± 0.20 GeV (28.3 standard deviations)."
    )
    assert lines[1].startswith("vae: 1 of 1 scores")
    assert "farthest" not in lines[1]
    assert lines[2] == "Missing: nothing, each score is defined."


def test_the_summary_hides_nothing_that_is_missing():
    nan = Score("JSD", "bit", math.nan, math.nan, 1.0, 0.1, None, 50, 4)
    stiff = Score("COV-EMD", "", 0.4, 0.0, 0.5, 0.0, None, 50, 4)
    gaps = replace(
        evaluation(NEAR, nan, stiff), broken=((), (3, 4)), weightless=(1, 0), undefined=("W1 tau2",)
    )
    lines = summary({"gan": gaps, "none": evaluation(nan)})
    # What is not defined has no distance; what differs where nothing varies is infinitely far.
    cells = dict(comparison({"gan": gaps})[1])
    assert [text for text, _ in cells["JSD [bit]"]] == ["1.00 ± 0.10", "nan ± nan", "", ""]
    assert [text for text, _ in cells["COV-EMD"]] == ["0.5 ± 0", "0.4 ± 0", "-inf", ""]
    assert lines[0].startswith("gan: 1 of 2 scores are at the floor")
    assert "farthest: COV-EMD, 0.4 ± 0 beside 0.5 ± 0 (infinitely far)" in lines[0]
    assert lines[1] == "none: no score has a distance from its floor."
    for gap in (
        "gan: 2 generated events with NaN or infinite values",
        "gan: 1 real events without weight in scores over pairs",
        "gan: no distance from the floor for JSD",
        "gan: not defined: W1 tau2",
        "none: no distance from the floor for JSD",
    ):
        assert gap in lines[2]


def test_a_score_far_away_by_chance_is_not_marked():
    chance = replace(FAR, p=0.2)
    assert far(FAR)
    assert not far(chance)
    assert "1 of 1" in summary({"gan": evaluation(chance)})[0]


@pytest.mark.parametrize(
    ("z", "p", "near"),
    [
        (2.0, 0.005, False),  # what σ of a few batches hides
        (2.0, 0.049, False),
        (2.0, 0.05, True),
        (5.0, 0.05, True),
        (5.0, 0.01, False),
        (3.0, None, True),
        (-3.0, None, True),
        (3.1, None, False),
        (-3.1, None, False),
        (math.inf, None, False),
    ],
)
def test_a_p_value_decides_what_is_at_the_floor_and_z_where_there_is_none(z, p, near):
    error = 0.0 if math.isinf(z) else 1.0
    score = Score("FPD", "", 1.0 if math.isinf(z) else z, error, 0.0, 0.0, p, 50, 4)
    assert score.z == z
    assert summary({"gan": evaluation(score)})[0].startswith(f"gan: {int(near)} of 1 scores")


def test_what_is_given_is_named_once_and_not_counted():
    both = {"gan": evaluation(NEAR, ONLY), "vae": evaluation(FAR, replace(ONLY, p=0.01))}
    lines = summary(both, given=("W1 pt", "W1 mass"))
    assert lines[0].startswith("gan: 1 of 1 scores are at the floor")
    assert lines[1].startswith("vae: 0 of 1 scores are at the floor")
    assert not any("mass" in line for line in lines[:2])
    assert lines[2:] == [
        "given, not counted: W1 mass.",
        "Missing: nothing, each score is defined.",
    ]
    assert summary({"gan": evaluation(NEAR)}, ["W1 mass"])[0] == (
        "gan: no score has a distance from its floor."
    )
    assert summary(both, given=["W1 pt"]) == summary(both)


ODD = ["[bold]a[/]", "<b>", "a|b", "$x$", "_a_ *b*", "a\nb", ":smile: \\"]


@pytest.mark.parametrize("name", ODD)
def test_names_of_generators_and_scores_are_shown_as_they_are(name):
    odd = {name: evaluation(replace(NEAR, name=name))}
    shown = name.replace("\n", " ")
    file = io.StringIO()
    Console(file=file, width=300).print(text_table(odd, f"title {name}"))
    assert f"title {shown}" in file.getvalue()
    assert file.getvalue().count(shown) == 3
    assert html_table(odd).count(html.escape(shown)) == 2
    lines = markdown_table(odd).splitlines()
    assert len(lines) == 3
    # A cell ends at a bar that is not escaped.
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 6 for line in lines)
    for piece in (paragraph(name), bullets([name]), details(name, []), link("a.html", name)):
        assert html.escape(shown, quote=True) in piece


def test_files_of_any_name_are_found_from_the_page():
    name = 'a b#c?d%e"<.png'
    for piece in (figure(name, "caption"), link(name, "text")):
        found = re.findall(r'(?:src|href)="([^"]*)"', piece)
        assert found
        assert {unquote(address) for address in found} == {name}
        assert not set("#?<") & set("".join(found))
