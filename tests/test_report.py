from __future__ import annotations

import pytest

from pcgen.metrics import Evaluation, Score
from pcgen.report import (
    comparison,
    figure,
    html_table,
    latex_table,
    markdown_table,
    number,
    paragraph,
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
