"""The study of representations and objectives: its page, and that all of it can be trained."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from pcgen.tools import cli
from pcgen.tools.comparison import study_file
from pcgen.tools.comparison.results import read
from pcgen.tools.comparison.study import STUDIES, Study

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def study() -> Study:
    return study_file.read("sparsity")


def test_the_page_comes_again_from_its_stored_rows(tmp_path):
    """Byte for byte, with the numbers beside it; figures are drawn anew."""
    page, stored = tmp_path / "comparison.md", DOCS / "comparison"
    words = ["compare", "sparsity", "--output", str(stored), "--page", "--report", str(page)]
    assert cli.main(words) == 0
    assert page.read_text() == (DOCS / "comparison.md").read_text()
    for name in ("rows.csv", "curves.csv", "floors.csv"):
        assert (tmp_path / "comparison" / name).read_text() == (stored / name).read_text()
    drawn = {file.name for file in (tmp_path / "comparison").glob("*.png")}
    assert drawn == {file.name for file in stored.glob("*.png")}


def test_a_page_of_some_rows_has_the_parts_that_they_fill(study, tmp_path):
    folder = tmp_path / "few"
    shutil.copytree(DOCS / "comparison", folder)
    for name in ("rows", "curves"):
        lines = (folder / f"{name}.csv").read_text().splitlines()
        kept = [line for line in lines[1:] if line.startswith("representations,list,vae")]
        (folder / f"{name}.csv").write_text("\n".join([lines[0], *kept]) + "\n")
    words = ["compare", "sparsity", "--output", str(folder), "--page"]
    assert cli.main(words) == 0
    text = (folder / "report.md").read_text()
    assert "## Which representation" in text
    for part in ("## What does sparsity change", "## Flow or GAN", "## Dead channels"):
        assert part not in text
    assert "**H2a: no conclusion.**" in text


def test_every_row_of_the_page_is_one_of_the_study(study):
    stored = Counter(row.name for row in read(DOCS / "comparison", list(study.factors)))
    rows = Counter(row.name for row in study.rows)
    assert stored == rows
    assert max(rows.values()) == 1
    assert sum(row.recipe is None for row in study.rows) == 30
    assert len(rows) == 105 + 30


def test_recipes_take_what_the_rows_give_them(study):
    for row in {f"{row.recipe}{row.options}{row.train}": row for row in study.rows}.values():
        study_file.check(row)


def test_what_is_trained_is_what_the_study_was_planned_with(study):
    """Rates, warm-up and schedule of all generators; those of dead channels are their own."""
    for row in study.rows:
        own = {"lr": 2e-3, "schedule": "constant", "warmup": 20, "batch_size": 64}
        if row.factors["spine"] == "dead-channels":
            own = {"lr": 2e-3, "schedule": "cosine", "warmup": 0, "clip": None, "ema": None}
        assert row.train.items() >= own.items()
        game = {"critic": {"lr": 1e-3}, "generator": {"lr": 1e-3}}
        assert row.train.get("phases") == (game if row.factors["objective"] == "gan" else None)
        assert row.budget.seconds == 40


def test_the_quick_part_is_made_of_its_rows(study):
    import yaml

    quick = yaml.safe_load((STUDIES / "sparsity" / "quick.yaml").read_text())
    rows = study.chosen(quick["only"])
    trained = Counter(row.factors["spine"] for row in rows)
    # Five networks at 24², three of them at two further resolutions; no gated flow; 2 seeds.
    assert trained["representations"] == 2 * (5 * 3 - 1 + 2 * 3 * 3)
    assert trained["dead-channels"] == 2 * 3
    assert quick["settings"]["budget"] == {"seconds": 15}


def test_the_study_of_a_shift_trains_at_two_densities():
    rows = study_file.read(str(STUDIES / "sparsity" / "shift.yaml")).rows
    assert Counter(row.options["dead"] for row in rows if row.seed == 0) == {30: 4, 70: 3}
    for row in rows:
        assert row.options["dead"] == row.protocol["trained_at"] == row.facts["trained_at"]
