from __future__ import annotations

import pytest

from pcgen.metrics import Evaluation, Score
from pcgen.report import comparison, figure, html_table, number, paragraph, text_table, write_page

NEAR = Score("W1 mass", "GeV", 1.1, 0.2, 1.0, 0.2)
FAR = Score("W1 mass", "GeV", 9.0, 0.2, 1.0, 0.2)
ONLY = Score("COV-CD", "", 0.5, 0.02, 0.52, 0.02)


def evaluation(*scores):
    return Evaluation(scores, events=100, subset=10, repeats=4, seed=0, empty=(0, 0))


BOTH = {"gan": evaluation(NEAR, ONLY), "vae": evaluation(FAR)}


def test_each_score_stands_beside_its_floor():
    header, rows = comparison(BOTH)
    assert header == ["score", "real vs real (floor)", "gan", "vae"]
    assert rows[0] == (
        "W1 mass [GeV]",
        [("1.00 ± 0.20", False), ("1.10 ± 0.20 (+0.4σ)", False), ("9.00 ± 0.20 (+28.3σ)", True)],
    )
    assert rows[1][1][2] == ("", False)


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
    assert text.count('class="far"') == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_floor_gets_a_column_of_its_own():
    other = Score("W1 mass", "GeV", 2.0, 0.1, 3.0, 0.5)
    floors = {"pixels": evaluation(NEAR), "particles": evaluation(other)}
    header, rows = comparison({"gan": evaluation(NEAR, ONLY)}, floors)
    assert header == ["score", "pixels", "particles", "gan"]
    assert [text for text, _ in rows[0][1]][:2] == ["1.00 ± 0.20", "3.00 ± 0.50"]
    assert [text for text, _ in rows[1][1]][:2] == ["", ""]


def test_the_terminal_table_has_a_row_for_each_score():
    assert text_table(BOTH).row_count == 2
