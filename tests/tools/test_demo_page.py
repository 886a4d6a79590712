"""The page of ``pcgen demo``: pictures and six lines first, the table behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pcgen.metrics import Evaluation, Score
from pcgen.tools import demo

NEAR = Score("W1 mass", "GeV", 1.1, 0.2, 1.0, 0.2, 0.3, 672, 10)
FAR = Score("W1 girth", "", 9.0, 0.2, 1.0, 0.2, 0.005, 672, 10)
PAIRS = Score("COV-CD", "", 0.5, 0.02, 0.52, 0.02, None, 60, 10)


@pytest.fixture
def text(tmp_path: Path) -> str:
    near = Evaluation("pcgen", (NEAR, PAIRS), events=(1344, 2000), seed=0, permutations=200)
    far = Evaluation(
        "pcgen", (NEAR, FAR), events=(1344, 1999), seed=0, permutations=200, broken=((), (7,))
    )
    evaluations = {"latent GAN": near, "VAE": far}
    floors = {demo.PARTICLES: near, demo.PIXELS: near}
    demo._page(tmp_path, evaluations, floors, {"latent GAN": 0.001, "VAE": 0.0234}, 800)
    return (tmp_path / "index.html").read_text(encoding="utf-8")


def test_six_lines_and_a_picture_come_first(text: str) -> None:
    start = text[: text.index("<h2>Histograms")]
    lines = re.findall("<li>(.*)</li>", start)
    assert len(lines) == 6
    assert "2000 by a latent GAN after 1600 steps" in lines[0]
    assert "1999 by a VAE after 800 steps" in lines[0]
    assert "1344 real jets" in lines[0]
    assert lines[1].startswith("latent GAN: 1 of 1 scores are at the floor")
    assert lines[2].startswith("VAE: 0 of 1 scores are at the floor")
    assert "W1 distance of girth, 9.00 ± 0.20 beside 1.00 ± 0.20" in lines[2]
    # The width of a jet, and with it its mass, is that of a training jet.
    assert lines[3] == "given, not counted: W1 mass."
    assert "latent GAN 0.10%, VAE 2.34%" in lines[4]
    assert lines[5] == "Missing: VAE: 1 generated events with NaN or infinite values."
    assert 'src="jets-0.png"' in start
    assert "<table" not in start


def test_the_table_is_behind_the_pictures(text: str) -> None:
    table = text.index("<table")
    assert all(found.start() < table for found in re.finditer("<img", text))
    assert text.rindex("<details>", 0, table) > text.rindex("<h2>", 0, table)
    assert "The latent GAN is far from no floor. The VAE is far from the floor in W1 girth." in text
    assert "672 jets a side (60 for scores over pairs)" in text


def test_the_page_fits_narrow_screens(text: str) -> None:
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert '<div class="wide"><table>' in text
    assert "overflow-x: auto" in text
    assert "img { max-width: 100% }" in text
